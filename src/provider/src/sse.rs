//! Server-sent events: from chunks of bytes to whole frames, and back.
//!
//! The decoder gives out every byte it takes in, exactly once and in order: the concatenation of
//! [`Frame::raw`] is the stream. How the stream was cut into chunks changes nothing. A frame that
//! lies within one chunk is a slice of it, without a copy.

mod frame;

use bytes::{Bytes, BytesMut};

pub use frame::{Frame, encode};

/// The default bound of one frame, in bytes.
pub const MAX_FRAME: usize = 16 * 1024 * 1024;

/// Why a stream of events cannot be read further.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SseError {
    /// A frame is larger than the bound.
    #[error(
        "an event of the stream is larger than {limit} bytes; raise the limit or ask the provider for smaller events"
    )]
    FrameTooLarge {
        /// The bound in bytes.
        limit: usize,
    },
    /// A frame is not UTF-8, which server-sent events must be.
    #[error("an event of the stream is not UTF-8 (byte {offset} of the stream)")]
    NotUtf8 {
        /// Offset of the first wrong byte in the whole stream.
        offset: u64,
    },
}

/// Cuts a byte stream into frames.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    /// The beginning of a frame whose end has not come yet.
    pending: BytesMut,
    /// Bytes given out so far.
    given: u64,
    /// No byte of the current line has come yet.
    line_empty: bool,
    /// The last byte was CR, and a following LF belongs to it.
    after_cr: bool,
    /// That CR ended an empty line, and so the frame.
    blank: bool,
    failed: Option<SseError>,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder::with_limit(MAX_FRAME)
    }
}

impl Decoder {
    /// A decoder with the default bound of [`MAX_FRAME`] bytes a frame.
    #[must_use]
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// A decoder that refuses frames larger than `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Decoder {
        Decoder {
            limit,
            pending: BytesMut::new(),
            given: 0,
            line_empty: true,
            after_cr: false,
            blank: false,
            failed: None,
        }
    }

    /// Takes the next chunk and appends the frames that it completes to `frames`.
    ///
    /// A frame that ends in CR CR waits for one byte more, because LF may follow.
    ///
    /// # Errors
    /// If a frame is too large or not UTF-8. The frames before it are in `frames`; nothing after
    /// it can be read, and every later call gives the same error.
    pub fn push(&mut self, chunk: &Bytes, frames: &mut Vec<Frame>) -> Result<(), SseError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut start = 0;
        let mut at = 0;
        while at < chunk.len() {
            if self.after_cr {
                self.after_cr = false;
                let line_feed = chunk[at] == b'\n';
                at += usize::from(line_feed);
                if std::mem::take(&mut self.blank) {
                    self.give(chunk.slice(start..at), frames)?;
                    start = at;
                    continue;
                }
                if line_feed {
                    continue;
                }
            }
            let Some(step) = memchr::memchr2(b'\n', b'\r', &chunk[at..]) else {
                self.line_empty = false;
                break;
            };
            let blank = self.line_empty && step == 0;
            self.line_empty = true;
            at += step + 1;
            if chunk[at - 1] == b'\r' {
                self.after_cr = true;
                self.blank = blank;
            } else if blank {
                self.give(chunk.slice(start..at), frames)?;
                start = at;
            }
        }
        let rest = &chunk[start..];
        self.fits(rest.len())?;
        self.pending.extend_from_slice(rest);
        Ok(())
    }

    /// The stream has ended: what came after the last whole frame, if anything. Its
    /// [`Frame::complete`] is false, unless only the LF was open that might have followed CR CR.
    ///
    /// # Errors
    /// If the bytes are not UTF-8, for example cut inside a character, or an earlier error.
    pub fn finish(mut self) -> Result<Option<Frame>, SseError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.pending.is_empty() {
            return Ok(None);
        }
        let complete = self.after_cr && self.blank;
        let raw = self.pending.split().freeze();
        Frame::read(raw, self.given == 0, complete)
            .map(Some)
            .map_err(|at| SseError::NotUtf8 {
                offset: self.given + at as u64,
            })
    }

    /// Bytes held back because their frame has not ended.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn fits(&mut self, more: usize) -> Result<(), SseError> {
        if self.pending.len() + more <= self.limit {
            return Ok(());
        }
        Err(self.fail(SseError::FrameTooLarge { limit: self.limit }))
    }

    fn fail(&mut self, error: SseError) -> SseError {
        self.failed = Some(error.clone());
        error
    }

    fn give(&mut self, part: Bytes, frames: &mut Vec<Frame>) -> Result<(), SseError> {
        self.fits(part.len())?;
        let raw = if self.pending.is_empty() {
            part
        } else {
            self.pending.extend_from_slice(&part);
            self.pending.split().freeze()
        };
        let length = raw.len() as u64;
        let frame = Frame::read(raw, self.given == 0, true).map_err(|at| {
            self.fail(SseError::NotUtf8 {
                offset: self.given + at as u64,
            })
        })?;
        self.given += length;
        self.line_empty = true;
        frames.push(frame);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
