//! Requests of open calls, in memory as far as they fit, and in a file beyond.
//!
//! A call may be open for an hour, and its request is needed again only when it ends. What a crash
//! takes with it is in `events`.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use event::Json;

/// Bytes of requests that all open calls of a lander keep in memory at most.
const IN_MEMORY: usize = 8 << 20;
/// A file that has so many bytes takes no more: it is given back when its last request is.
const FILE_BYTES: u64 = 64 << 20;
/// A request below this is not worth a read: all calls that may be open keep theirs.
const SMALL: usize = 256;

/// Room for requests, shared by all that fold. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Spill(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    limit: usize,
    in_memory: AtomicUsize,
    open: Mutex<Option<Filling>>,
}

#[derive(Debug)]
struct Filling {
    file: Arc<File>,
    end: u64,
}

/// A request that is kept; dropping it gives its room back.
#[derive(Debug)]
pub(crate) struct Kept {
    place: Place,
    room: Spill,
}

#[derive(Debug)]
enum Place {
    Memory(Json),
    /// The file goes with the last request in it: its name is gone already.
    File {
        file: Arc<File>,
        at: u64,
        len: usize,
    },
    /// It was taken out.
    Taken,
}

impl Default for Spill {
    fn default() -> Spill {
        Spill::new(&std::env::temp_dir(), IN_MEMORY)
    }
}

impl Spill {
    /// Files are made in `dir` once requests take more than `limit` bytes of memory.
    pub(crate) fn new(dir: &Path, limit: usize) -> Spill {
        Spill(Arc::new(Shared {
            dir: dir.to_owned(),
            limit,
            in_memory: AtomicUsize::new(0),
            open: Mutex::default(),
        }))
    }

    /// With the usual limit.
    pub(crate) fn within(dir: &Path) -> Spill {
        Spill::new(dir, IN_MEMORY)
    }

    /// Keeps a request.
    pub(crate) fn keep(&self, request: Json) -> Kept {
        let len = request.get().len();
        let fits = self.0.in_memory.load(Ordering::Relaxed) + len <= self.0.limit;
        let place = match fits || len < SMALL {
            true => Place::Memory(request),
            false => match self.write(request.get().as_bytes()) {
                Ok(place) => place,
                Err(error) => {
                    // Memory can be bought; a lost request cannot.
                    tracing::warn!(dir = %self.0.dir.display(), %error, "no file for the requests of open calls: they stay in memory");
                    Place::Memory(request)
                }
            },
        };
        if let Place::Memory(_) = place {
            self.0.in_memory.fetch_add(len, Ordering::Relaxed);
        }
        Kept {
            place,
            room: self.clone(),
        }
    }

    fn give_back(&self, request: &Json) {
        self.0.in_memory.fetch_sub(request.get().len(), Ordering::Relaxed);
    }

    fn write(&self, bytes: &[u8]) -> io::Result<Place> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        let filling = match open.take().filter(|filling| filling.end < FILE_BYTES) {
            Some(filling) => filling,
            None => Filling {
                file: Arc::new(tempfile::tempfile_in(&self.0.dir)?),
                end: 0,
            },
        };
        let at = filling.end;
        filling.file.write_all_at(bytes, at)?;
        let file = Arc::clone(&filling.file);
        *open = Some(Filling {
            end: at + bytes.len() as u64,
            ..filling
        });
        Ok(Place::File {
            file,
            at,
            len: bytes.len(),
        })
    }
}

impl Kept {
    /// The request.
    pub(crate) fn take(mut self) -> io::Result<Json> {
        match std::mem::replace(&mut self.place, Place::Taken) {
            Place::Memory(request) => {
                self.room.give_back(&request);
                Ok(request)
            }
            Place::File { file, at, len } => {
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, at)?;
                let text = String::from_utf8(bytes).map_err(io::Error::other)?;
                Json::parse(text).map_err(io::Error::other)
            }
            Place::Taken => Err(io::Error::other("it was taken before")),
        }
    }

    #[cfg(test)]
    fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Place::Memory(request) = &self.place {
            self.room.give_back(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(n: usize, len: usize) -> Json {
        Json::parse(format!("\"{n}{}\"", "x".repeat(len))).unwrap()
    }

    #[test]
    fn what_does_not_fit_lies_in_a_file_and_comes_back() {
        let dir = tempfile::tempdir().unwrap();
        let room = Spill::new(dir.path(), 10_000);
        let kept: Vec<Kept> = (0..50).map(|n| room.keep(request(n, 1000))).collect();
        assert_eq!(kept.iter().filter(|kept| kept.is_in_memory()).count(), 9);
        let names = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 0, "no name is left behind");
        for (n, kept) in kept.into_iter().enumerate() {
            assert_eq!(kept.take().unwrap(), request(n, 1000));
        }
        assert!(room.keep(request(0, 1000)).is_in_memory(), "room was given back");
    }

    #[test]
    fn without_a_file_nothing_is_lost() {
        let room = Spill::new(Path::new("/nowhere/at/all"), 0);
        let kept = room.keep(request(7, 5000));
        assert_eq!(kept.take().unwrap(), request(7, 5000));
    }
}
