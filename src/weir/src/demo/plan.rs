//! An answer as a list of frames with pauses, made in full before the first is sent, so that an
//! answer depends on its request alone.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;

use super::directives::Directives;

/// Body of the demo upstream's answers.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Finish,
    /// The connection closes in the middle of the body.
    Die,
    /// Nothing more comes, and the connection stays.
    Hang,
}

/// Frames to send, each after its pause.
#[derive(Debug)]
pub struct Plan {
    pub frames: Vec<(Duration, Bytes)>,
    pub end: End,
}

impl Plan {
    pub fn whole(body: impl Into<Bytes>) -> Self {
        Self {
            frames: vec![(Duration::ZERO, body.into())],
            end: End::Finish,
        }
    }

    /// Applies the directives that concern transport, in this order: compression, cuts, early ends.
    pub fn directed(mut self, directives: &Directives) -> io::Result<Self> {
        if let Some(mut coder) = Coder::new(directives)? {
            let mut coded = Vec::with_capacity(self.frames.len() + 1);
            for (pause, frame) in self.frames {
                coded.push((pause, coder.push(&frame)?));
            }
            coded.push((Duration::ZERO, coder.finish()?));
            self.frames = coded;
        }
        if let Some(size) = directives.count("cut").filter(|size| *size > 0) {
            let mut cut = Vec::new();
            for (pause, frame) in self.frames {
                for (index, piece) in frame.chunks(size).enumerate() {
                    let pause = if index == 0 { pause } else { Duration::ZERO };
                    cut.push((pause, Bytes::copy_from_slice(piece)));
                }
            }
            self.frames = cut;
        }
        for (key, end) in [
            ("end_after", End::Finish),
            ("die_after", End::Die),
            ("hang_after", End::Hang),
        ] {
            if let Some(count) = directives.count(key) {
                self.frames.truncate(count);
                self.end = end;
            }
        }
        Ok(self)
    }

    /// The body that plays the plan. Dropped before its end, it counts as cancelled.
    pub fn body(self, flight: Flight) -> Body {
        let frames = self.frames.into_iter();
        let state = (frames, self.end, flight);
        let stream = stream::unfold(Some(state), |state| async move {
            let (mut frames, end, mut flight) = state?;
            match frames.next() {
                Some((pause, bytes)) => {
                    if pause.is_zero() {
                        // Lets the connection flush, so that each frame is a write of its own.
                        tokio::task::yield_now().await;
                    } else {
                        tokio::time::sleep(pause).await;
                    }
                    // A body of known length is not asked for more than that.
                    if frames.len() == 0 && end == End::Finish {
                        flight.land(Landing::Finished);
                    }
                    Some((Ok(Frame::data(bytes)), Some((frames, end, flight))))
                }
                None => match end {
                    End::Finish => {
                        flight.land(Landing::Finished);
                        None
                    }
                    End::Die => {
                        flight.land(Landing::Died);
                        Some((Err(io::Error::other("the demo was told to break off")), None))
                    }
                    End::Hang => {
                        std::future::pending::<()>().await;
                        drop(flight);
                        None
                    }
                },
            }
        });
        StreamBody::new(stream).boxed_unsync()
    }
}

/// How a request left the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    Finished,
    Died,
}

/// Counters shown at `/stats`.
#[derive(Debug, Default)]
pub struct Counters {
    pub started: AtomicU64,
    pub finished: AtomicU64,
    pub died: AtomicU64,
    pub cancelled: AtomicU64,
}

/// One request in flight. Dropped before it landed: the client went away.
#[derive(Debug)]
pub struct Flight {
    counters: Arc<Counters>,
    landed: bool,
}

impl Flight {
    pub fn start(counters: &Arc<Counters>) -> Self {
        counters.started.fetch_add(1, Ordering::Relaxed);
        Self {
            counters: Arc::clone(counters),
            landed: false,
        }
    }

    pub fn land(&mut self, how: Landing) {
        if std::mem::replace(&mut self.landed, true) {
            return;
        }
        let counter = match how {
            Landing::Finished => &self.counters.finished,
            Landing::Died => &self.counters.died,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            self.counters.cancelled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A content coding that is flushed after every frame, as servers that stream do.
enum Coder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

/// The content coding asked for, as it stands in `content-encoding`.
pub fn coding(directives: &Directives) -> Option<&'static str> {
    ["gzip", "br", "zstd"].into_iter().find(|name| directives.on(name))
}

impl Coder {
    fn new(directives: &Directives) -> io::Result<Option<Self>> {
        Ok(match coding(directives) {
            Some("gzip") => Some(Self::Gzip(flate2::write::GzEncoder::new(
                Vec::new(),
                flate2::Compression::fast(),
            ))),
            Some("br") => Some(Self::Brotli(Box::new(brotli::CompressorWriter::new(
                Vec::new(),
                4096,
                4,
                20,
            )))),
            Some(_) => Some(Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1)?)),
            None => None,
        })
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        let out = match self {
            Self::Gzip(coder) => {
                coder.write_all(bytes)?;
                coder.flush()?;
                std::mem::take(coder.get_mut())
            }
            Self::Brotli(coder) => {
                coder.write_all(bytes)?;
                coder.flush()?;
                std::mem::take(coder.get_mut())
            }
            Self::Zstd(coder) => {
                coder.write_all(bytes)?;
                coder.flush()?;
                std::mem::take(coder.get_mut())
            }
        };
        Ok(Bytes::from(out))
    }

    fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::from(match self {
            Self::Gzip(coder) => coder.finish()?,
            Self::Brotli(coder) => coder.into_inner(),
            Self::Zstd(coder) => coder.finish()?,
        }))
    }
}
