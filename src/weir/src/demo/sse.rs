//! Server-sent events as frames of a plan.

use std::time::Duration;

use bytes::Bytes;

use super::directives::Directives;

/// Writes events, in the usual way or in the unusual ways that the format allows too.
pub struct Sse {
    frames: Vec<(Duration, Bytes)>,
    end: &'static str,
    comments: bool,
}

impl Sse {
    pub fn new(directives: &Directives) -> Self {
        let end = if directives.on("crlf") { "\r\n" } else { "\n" };
        Self {
            frames: Vec::new(),
            end,
            comments: directives.on("comments"),
        }
    }

    pub fn data(&mut self, pause: Duration, data: &str) {
        let end = self.end;
        let comment = if self.comments {
            format!(": keep-alive{end}{end}")
        } else {
            String::new()
        };
        self.frames
            .push((pause, Bytes::from(format!("{comment}data: {data}{end}{end}"))));
    }

    pub fn into_frames(self) -> Vec<(Duration, Bytes)> {
        self.frames
    }
}
