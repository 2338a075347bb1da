//! One event: its exact bytes, and what its fields say.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::json::{Edit, splice};

const BOM: &str = "\u{feff}";

/// One event of a stream, or a stretch of comments and blank lines between events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The exact bytes, the blank line included. Always UTF-8.
    pub raw: Bytes,
    /// Where in [`Frame::raw`] the data lies, when it is a single line.
    pub data_range: Option<Range<usize>>,
    /// False for what was left when the stream ended in the middle.
    pub complete: bool,
    event: Option<Range<usize>>,
    joined: Option<String>,
}

impl Frame {
    /// Reads the fields of `raw`; `Err` has the offset of what is not UTF-8.
    pub(super) fn read(raw: Bytes, first: bool, complete: bool) -> Result<Frame, usize> {
        let mut frame = Frame {
            raw: Bytes::new(),
            data_range: None,
            complete,
            event: None,
            joined: None,
        };
        {
            let text = std::str::from_utf8(&raw).map_err(|error| error.valid_up_to())?;
            let mut at = if first && text.starts_with(BOM) { BOM.len() } else { 0 };
            while at < text.len() {
                let rest = &raw[at..];
                let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
                frame.line(text, at..at + length);
                at += length + 1;
            }
        }
        frame.raw = raw;
        Ok(frame)
    }

    fn line(&mut self, text: &str, line: Range<usize>) {
        let bytes = &text.as_bytes()[line.clone()];
        let colon = memchr::memchr(b':', bytes).unwrap_or(bytes.len());
        let value = line.start + (colon + 1).min(bytes.len());
        let value = if text.as_bytes()[value..line.end].first() == Some(&b' ') {
            value + 1
        } else {
            value
        };
        match &bytes[..colon] {
            b"data" => match (&mut self.joined, self.data_range.take()) {
                (Some(joined), _) => {
                    joined.push('\n');
                    joined.push_str(&text[value..line.end]);
                }
                (None, Some(before)) => {
                    self.joined = Some(format!("{}\n{}", &text[before], &text[value..line.end]));
                }
                (None, None) => self.data_range = Some(value..line.end),
            },
            b"event" => self.event = Some(value..line.end),
            _ => {}
        }
    }

    fn text(&self, range: &Range<usize>) -> &str {
        // The whole frame was checked when it was read.
        self.raw
            .get(range.clone())
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .unwrap_or("")
    }

    /// The `event` field.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        self.event.as_ref().map(|range| self.text(range))
    }

    /// The `data` field, its lines joined by LF; `None` where the frame has none (a comment).
    #[must_use]
    pub fn data(&self) -> Option<&str> {
        match (&self.joined, &self.data_range) {
            (Some(joined), _) => Some(joined),
            (None, Some(range)) => Some(self.text(range)),
            (None, None) => None,
        }
    }

    /// Whether this is the `[DONE]` with which OpenAI's streams end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.data().is_some_and(|data| data.trim() == "[DONE]")
    }

    /// The frame with the blank line that ends it, where the stream ended without one.
    #[must_use]
    pub fn completed(mut self) -> Frame {
        if !self.complete {
            // LF behind a CR ends the same line.
            let missing: &[u8] = if self.raw.ends_with(b"\n") { b"\n" } else { b"\n\n" };
            self.raw = [&self.raw[..], missing].concat().into();
            self.complete = true;
        }
        self
    }

    /// The frame with other data and everything else as it was.
    #[must_use]
    pub fn with_data(&self, data: &str) -> Bytes {
        match &self.data_range {
            Some(range) if !data.contains(['\n', '\r']) => {
                splice(&self.raw, &mut [(range.clone(), data.as_bytes().to_vec())]).into()
            }
            _ => encode(self.event(), data),
        }
    }

    /// The frame with `edits` made to its data (ranges are those of [`Frame::data`]).
    #[must_use]
    pub fn splice_data(&self, edits: &mut [Edit]) -> Bytes {
        match (&self.joined, &self.data_range) {
            (None, Some(range)) => {
                for (edit, _) in edits.iter_mut() {
                    *edit = edit.start + range.start..edit.end + range.start;
                }
                splice(&self.raw, edits).into()
            }
            _ => {
                let data = splice(self.data().unwrap_or("").as_bytes(), edits);
                encode(self.event(), &String::from_utf8_lossy(&data))
            }
        }
    }
}

/// A frame of our own: `data` becomes one `data:` line for each of its lines.
#[must_use]
pub fn encode(event: Option<&str>, data: &str) -> Bytes {
    let mut out = String::with_capacity(data.len() + 16);
    if let Some(event) = event {
        out.push_str("event: ");
        out.push_str(event);
        out.push('\n');
    }
    let data: Cow<'_, str> = if data.contains('\r') {
        data.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        data.into()
    };
    for line in data.split('\n') {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    Bytes::from(out)
}
