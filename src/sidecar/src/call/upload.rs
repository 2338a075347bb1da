//! A request body that is passed on unread, as it arrives: audio, files, images.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What was sent so far.
#[derive(Clone, Default)]
pub struct Tally {
    inner: Arc<Mutex<(blake3::Hasher, u64)>>,
}

impl Tally {
    /// Takes in a piece.
    pub fn add(&self, piece: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.0.update(piece);
        inner.1 += piece.len() as u64;
    }

    /// Bytes seen, and their BLAKE3 in hex.
    pub fn result(&self) -> (u64, String) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.1, inner.0.finalize().to_hex().to_string())
    }
}

/// A request body on its way through, with back-pressure from the provider to the app.
pub struct Upload {
    body: Incoming,
    tally: Tally,
}

impl Upload {
    /// Passes `body` on and keeps count in `tally`.
    pub fn new(body: Incoming, tally: Tally) -> Upload {
        Upload { body, tally }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.tally.add(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
