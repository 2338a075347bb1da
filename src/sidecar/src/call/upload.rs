//! A request body that is passed on unread, as it arrives: audio, files, images.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// What was sent so far.
#[derive(Clone)]
pub struct Tally {
    inner: Arc<Mutex<Sent>>,
}

struct Sent {
    hasher: blake3::Hasher,
    bytes: u64,
    /// When the last piece came.
    last: Instant,
    progress: Progress,
}

/// How far an upload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to come.
    Open,
    /// All of it was sent.
    Done,
    /// The app broke it off: why.
    Broken(String),
    /// It is larger than a request may be: its provider does not get the rest.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

impl Default for Tally {
    fn default() -> Tally {
        let sent = Sent {
            hasher: blake3::Hasher::new(),
            bytes: 0,
            last: Instant::now(),
            progress: Progress::Open,
        };
        Tally {
            inner: Arc::new(Mutex::new(sent)),
        }
    }
}

impl Tally {
    fn lock(&self) -> MutexGuard<'_, Sent> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in a piece. Returns how many bytes there were so far.
    pub fn add(&self, piece: &[u8]) -> u64 {
        let mut sent = self.lock();
        sent.hasher.update(piece);
        sent.bytes += piece.len() as u64;
        sent.last = Instant::now();
        sent.bytes
    }

    fn over(&self, progress: Progress) {
        let mut sent = self.lock();
        sent.last = Instant::now();
        sent.progress = progress;
    }

    /// How far it is, and when it last moved.
    pub fn progress(&self) -> (Progress, Instant) {
        let sent = self.lock();
        (sent.progress.clone(), sent.last)
    }

    /// Bytes seen, and their BLAKE3 in hex.
    pub fn result(&self) -> (u64, String) {
        let sent = self.lock();
        (sent.bytes, sent.hasher.finalize().to_hex().to_string())
    }
}

/// Why a body does not go on to its provider.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The app broke it off.
    #[error(transparent)]
    Broken(hyper::Error),
    /// It is too large.
    #[error("the request body is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
}

/// A request body on its way through, with back-pressure from the provider to the app.
pub struct Upload {
    body: Incoming,
    tally: Tally,
    /// The most bytes that it may have.
    limit: usize,
}

impl Upload {
    /// Passes `body` on, up to `limit` bytes, and keeps count in `tally`.
    pub fn new(body: Incoming, tally: Tally, limit: usize) -> Upload {
        Upload { body, tally, limit }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = UploadError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, UploadError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let limit = self.limit;
                    if self.tally.add(data) > limit as u64 {
                        self.tally.over(Progress::TooLarge { limit });
                        return Poll::Ready(Some(Err(UploadError::TooLarge { limit })));
                    }
                }
                if self.body.is_end_stream() {
                    self.tally.over(Progress::Done);
                }
            }
            Some(Err(error)) => self.tally.over(Progress::Broken(error.to_string())),
            None => self.tally.over(Progress::Done),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(UploadError::Broken)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
