//! Where each consumer has come to, kept as durably as what it consumed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::core::{Core, lock};
use crate::disk::{Disk as _, Os, is_full};
use crate::segment::TEMPORARY;
use crate::{OpenError, PositionError, ReadError};

const FOLDER: &str = "positions";
const BALLAST: &str = "ballast";
const BALLAST_BYTES: u64 = 64 << 10;

/// Named consumer positions: the offset that each will read next. A segment is released only when
/// every one of them is past it.
pub struct Positions {
    dir: PathBuf,
    known: Mutex<BTreeMap<String, i64>>,
    core: Arc<Core>,
}

impl std::fmt::Debug for Positions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Positions").field(&*lock(&self.known)).finish()
    }
}

/// Reads what is stored under a journal's folder.
pub(crate) fn load(journal: &Path) -> Result<BTreeMap<String, i64>, OpenError> {
    let dir = journal.join(FOLDER);
    std::fs::create_dir_all(&dir).map_err(|e| OpenError::of("create", &dir, e))?;
    let mut known = BTreeMap::new();
    for (name, path) in files(&dir).map_err(|e| OpenError::of("list", &dir, e))? {
        let text = std::fs::read_to_string(&path).map_err(|e| OpenError::of("read", &path, e))?;
        let offset = decode(&text)
            .ok_or_else(|| OpenError::of("read", &path, io::Error::new(io::ErrorKind::InvalidData, NO_POSITION)))?;
        known.insert(name, offset);
    }
    Ok(known)
}

/// Removes what is stored under a journal's folder.
pub(crate) fn clear(journal: &Path) -> Result<(), OpenError> {
    let dir = journal.join(FOLDER);
    for (_, path) in files(&dir).map_err(|e| OpenError::of("list", &dir, e))? {
        std::fs::remove_file(&path).map_err(|e| OpenError::of("remove", &path, e))?;
    }
    let synced = File::open(&dir).and_then(|dir| dir.sync_all());
    synced.map_err(|e| OpenError::of("sync", &dir, e))
}

/// A position's file, and the position or why it cannot be read.
pub(crate) type Stored = (PathBuf, Result<i64, String>);

/// What is stored under a journal's folder, for somebody who only looks: makes nothing, and a position
/// that cannot be read is one among others.
pub(crate) fn stored(journal: &Path) -> Result<Vec<Stored>, ReadError> {
    let dir = journal.join(FOLDER);
    let files = match files(&dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(|e| ReadError::of("list", &dir, e))?,
    };
    let mut positions = Vec::new();
    for (_, path) in files {
        let stored = match std::fs::read_to_string(&path) {
            // Its consumer was forgotten meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => Err(e.to_string()),
            Ok(text) => decode(&text).ok_or_else(|| NO_POSITION.to_owned()),
        };
        positions.push((path, stored));
    }
    Ok(positions)
}

const NO_POSITION: &str = "it is not a stored position: remove it, and its consumer begins anew";

/// The stored positions' names and files.
fn files(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().and_then(|n| n.to_str())
            && is_name(name)
        {
            files.push((name.to_owned(), path));
        }
    }
    Ok(files)
}

impl Positions {
    pub(crate) fn new(known: BTreeMap<String, i64>, core: Arc<Core>) -> Positions {
        Positions {
            dir: core.dir.join(FOLDER),
            known: Mutex::new(known),
            core,
        }
    }

    /// The offset that `name` reads next; `None` if it never stored one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<i64> {
        lock(&self.known).get(name).copied()
    }

    /// Every stored position.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, i64> {
        lock(&self.known).clone()
    }

    /// Stores durably that `name` reads `offset` next. Call it after what was read is itself
    /// durable downstream. The records before `offset` are on the device when this returns, so a
    /// power cut cannot bring the journal's end back behind its consumer.
    pub fn set(&self, name: &str, offset: i64) -> Result<(), PositionError> {
        if !is_name(name) {
            return Err(PositionError::Name { name: name.to_owned() });
        }
        let end = self.core.end();
        if !(0..=end).contains(&offset) {
            return Err(PositionError::Range {
                name: name.to_owned(),
                offset,
                end,
            });
        }
        if offset > self.core.synced() {
            self.core.flush()?;
        }
        let mut known = lock(&self.known);
        if known.get(name) == Some(&offset) {
            return Ok(());
        }
        let path = self.dir.join(name);
        let temporary = self.dir.join(format!("{name}{TEMPORARY}"));
        let store = || {
            let mut file = File::create(&temporary)?;
            file.write_all(encode(offset).as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        let stored = match store() {
            Err(e) if is_full(&e) => std::fs::remove_file(self.core.dir.join(BALLAST))
                .and_then(|()| store())
                .map_err(|_| e),
            other => other,
        };
        stored.map_err(|e| PositionError::of("store", &path, e))?;
        known.insert(name.to_owned(), offset);
        Ok(())
    }

    /// Forgets a consumer that will not come back, so that it no longer holds segments.
    pub fn remove(&self, name: &str) -> Result<(), PositionError> {
        let mut known = lock(&self.known);
        if known.remove(name).is_none() {
            return Ok(());
        }
        let path = self.dir.join(name);
        let removed = std::fs::remove_file(&path).and_then(|()| File::open(&self.dir)?.sync_all());
        removed.map_err(|e| PositionError::of("remove", &path, e))
    }

    /// The least position; `None` without consumers.
    pub(crate) fn least(&self) -> Option<i64> {
        lock(&self.known).values().min().copied()
    }
}

/// Reserves a few blocks for positions. On a disk that the journal itself has filled, a consumer
/// could otherwise not store that it is done, nothing could be released, and it stayed full.
pub(crate) fn lay_ballast(journal: &Path) {
    let path = journal.join(BALLAST);
    if path.exists() {
        return;
    }
    // Best effort: it is tried again after each release.
    if Os.create(&path, BALLAST_BYTES).and_then(|file| file.sync()).is_err() {
        let _ = std::fs::remove_file(&path);
    }
}

fn encode(offset: i64) -> String {
    let digits = offset.to_string();
    format!("{digits} {:08x}\n", crc32c::crc32c(digits.as_bytes()))
}

fn decode(text: &str) -> Option<i64> {
    let (digits, crc) = text.trim_end().split_once(' ')?;
    (u32::from_str_radix(crc, 16).ok()? == crc32c::crc32c(digits.as_bytes())).then(|| digits.parse().ok())?
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=64).contains(&name.len())
        && name.as_bytes().first().is_some_and(|b| plain(*b))
        && name.bytes().all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
        && !name.ends_with(TEMPORARY)
}
