//! Segment files: their names, their listing, their birth.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::{Chain, JournalId};
use uuid::Uuid;

use crate::disk::{Disk, DiskFile, write_all};
use crate::format::{HEADER_BYTES, Header, HeaderError};

const SUFFIX: &str = ".seg";
/// Files that are not yet, or no longer, part of the journal.
pub(crate) const TEMPORARY: &str = ".tmp";

pub(crate) fn path(dir: &Path, first: i64) -> PathBuf {
    dir.join(format!("{first:020}{SUFFIX}"))
}

/// The first offset that a segment file's name says; 0 for other names.
pub(crate) fn first_of(path: &Path) -> i64 {
    path.file_stem()
        .and_then(|n| n.to_str())
        .and_then(|n| n.parse().ok())
        .unwrap_or_default()
}

/// First offsets of the segments in `dir`, ascending.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<i64>> {
    let mut firsts = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let first = name
            .to_str()
            .and_then(|n| n.strip_suffix(SUFFIX))
            .filter(|n| n.len() == 20);
        if let Some(first) = first.and_then(|n| n.parse().ok()) {
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// The header of an open segment file.
pub(crate) fn header(file: &dyn DiskFile) -> io::Result<Result<Header, HeaderError>> {
    let mut bytes = vec![0; HEADER_BYTES as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], filled as u64)? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(Header::decode(&bytes[..filled]))
}

/// Where a segment begins.
pub(crate) struct Start {
    pub journal: JournalId,
    pub first: i64,
    pub chain: Chain,
    /// What is on the device as it begins.
    pub synced: i64,
}

/// A file with its blocks reserved, waiting to become a segment.
pub(crate) struct Blank {
    pub file: Arc<dyn DiskFile>,
    pub path: PathBuf,
    pub bytes: u64,
}

impl Blank {
    pub fn create(disk: &dyn Disk, dir: &Path, name: &str, bytes: u64) -> io::Result<Blank> {
        let path = dir.join(format!("{name}{TEMPORARY}"));
        let file = disk.create(&path, bytes)?;
        Ok(Blank { file, path, bytes })
    }

    /// Writes the header that makes it a segment; it is not yet under its name.
    pub fn head(&self, start: &Start) -> io::Result<Uuid> {
        let header = Header {
            journal: start.journal,
            segment: Uuid::now_v7(),
            first: start.first,
            chain: start.chain,
            created_unix_nano: crate::clock::unix_nano(),
            synced: start.synced,
        };
        write_all(self.file.as_ref(), &header.encode(), 0)?;
        Ok(header.segment)
    }
}

/// The segment being written to.
pub(crate) struct Active {
    pub file: Arc<dyn DiskFile>,
    pub segment: Uuid,
    pub first: i64,
    /// Bytes the file may hold.
    pub capacity: u64,
    /// Bytes written, header included.
    pub written: u64,
}

impl Active {
    /// Turns `blank` into the segment that begins at `start`, replacing an empty one of that name.
    pub fn begin(disk: &dyn Disk, dir: &Path, blank: Blank, start: &Start) -> io::Result<Active> {
        let begun = blank.head(start).and_then(|segment| {
            disk.rename(&blank.path, &path(dir, start.first))?;
            Ok(segment)
        });
        match begun {
            Ok(segment) => Ok(Active {
                file: blank.file,
                segment,
                first: start.first,
                capacity: blank.bytes,
                written: HEADER_BYTES,
            }),
            Err(e) => {
                let _ = disk.remove(&blank.path);
                Err(e)
            }
        }
    }
}

/// A segment that takes no more records, but is not known to be on the device.
#[derive(Clone)]
pub(crate) struct Sealed {
    pub file: Arc<dyn DiskFile>,
    pub segment: Uuid,
    pub first: i64,
    /// Bytes in use; what was preallocated beyond is given back.
    pub used: u64,
}
