//! The body of an answer to an app.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::call::{PassThrough, StreamedAnswer};

/// An answer: whole, streamed through the guardrails, or passed through unread.
pub enum AnswerBody {
    /// All of it at once.
    Whole(Option<Bytes>),
    /// Server-sent events.
    Streamed(Box<StreamedAnswer>),
    /// Anything that no guardrail can read.
    PassThrough(Box<PassThrough>),
}

/// The app's connection is cut: its answer cannot be completed.
#[derive(Debug, thiserror::Error)]
#[error("the answer cannot be completed: {0}")]
pub struct Aborted(pub String);

impl AnswerBody {
    /// A whole answer.
    pub fn whole(bytes: impl Into<Bytes>) -> AnswerBody {
        AnswerBody::Whole(Some(bytes.into()))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.get_mut() {
            AnswerBody::Whole(bytes) => Poll::Ready(
                bytes
                    .take()
                    .filter(|bytes| !bytes.is_empty())
                    .map(|bytes| Ok(Frame::data(bytes))),
            ),
            AnswerBody::Streamed(answer) => answer
                .poll_bytes(cx)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
            AnswerBody::PassThrough(answer) => answer
                .poll_bytes(cx)
                .map(|next| next.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, AnswerBody::Whole(bytes) if bytes.as_ref().is_none_or(Bytes::is_empty))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            AnswerBody::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            _ => SizeHint::default(),
        }
    }
}
