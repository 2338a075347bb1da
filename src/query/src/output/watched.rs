//! Remembers why a writer failed: libraries tell it in errors of their own, as a text.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A writer that is watched.
pub(super) struct Watched<W> {
    out: W,
    failed: Failed,
}

/// Its last error.
#[derive(Clone, Default)]
pub(super) struct Failed(Arc<Mutex<Option<io::Error>>>);

impl<W: Write> Watched<W> {
    /// Watches `out`; what is returned beside it knows of its errors.
    pub(super) fn new(out: W) -> (Watched<W>, Failed) {
        let failed = Failed::default();
        let watched = Watched {
            out,
            failed: failed.clone(),
        };
        (watched, failed)
    }
}

impl Failed {
    /// The last error, if there was one.
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &done
            && error.kind() != io::ErrorKind::Interrupted
        {
            let same = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::new(error.kind(), error.to_string()),
            };
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(same);
        }
        done
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.failed.note(self.out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.failed.note(self.out.flush())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use lake::{Lake, Tail};

    use crate::output::{Format, write};
    use crate::{Engine, EngineOptions, QueryError};

    /// Whoever reads it has gone.
    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[tokio::test]
    async fn a_writer_that_fails_is_told_in_every_format() {
        let lake = Lake::in_memory().await.unwrap();
        let tail = Tail::offline(&lake, None).await.unwrap();
        let engine = Engine::open(tail, EngineOptions::default()).unwrap();
        for name in Format::NAMES {
            let rows = engine.sql("select * from generate_series(1, 100000)").await.unwrap();
            let error = write(rows, name.parse().unwrap(), None, Closed).await.unwrap_err();
            assert!(
                matches!(&error, QueryError::Write(error) if error.kind() == io::ErrorKind::BrokenPipe),
                "{name}: {error:?}"
            );
        }
    }
}
