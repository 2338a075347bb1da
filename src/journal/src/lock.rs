//! One process a folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::OpenError;

const NAME: &str = "lock";

/// Held as long as the journal is open; the system lets go of it when the process dies.
pub(crate) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a child of this process that has not come to its own program yet has the
        // file open, too, and would hold the lock on for that moment.
        let _ = self.file.unlock();
    }
}

pub(crate) fn acquire(dir: &Path) -> Result<Lock, OpenError> {
    let path = dir.join(NAME);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| OpenError::of("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(OpenError::InUse {
                path: dir.to_owned(),
                pid: pid.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(e)) => return Err(OpenError::of("lock", &path, e)),
    }
    // The pid is for people; on a full disk it does without.
    let _ = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(Lock { file })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As between `fork` and `exec`, where a child has everything open that its parent had.
    #[test]
    fn a_child_that_is_being_born_does_not_hold_it_on() {
        let dir = tempfile::tempdir().unwrap();
        let lock = acquire(dir.path()).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        assert!(matches!(acquire(dir.path()), Err(OpenError::InUse { .. })));
        drop(lock);
        assert!(acquire(dir.path()).is_ok());
        drop(inherited);
    }
}
