//! What a journal's folder holds after whatever ended the last process.
//!
//! A segment's header says what was on the device when it was begun. The newest segment, and every
//! other with records that were not, is read in full and synced. What follows the last good record is a torn tail and is cut.
//! What precedes a good record is damage: kept, and reported. Writing always goes on in a fresh
//! segment, so no byte of an old one can be taken for a new one.

use std::io;
use std::path::{Path, PathBuf};

use event::{Chain, JournalId};

use crate::disk::OsFile;
use crate::format::{HEADER_BYTES, HeaderError};
use crate::scan::{Hole, Scanner, Step};
use crate::segment::{self, TEMPORARY};
use crate::{OpenError, format};

/// What [`crate::Journal::open`] found and did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The journal's id.
    pub journal_id: JournalId,
    /// Whether the journal is new.
    pub created: bool,
    /// The next offset to be given.
    pub next_offset: i64,
    /// The torn tail that was cut, if there was one.
    pub torn: Option<Torn>,
    /// Damaged or missing records, kept as they are. Only segments that may not have been
    /// on the device were looked at; [`crate::tool::verify`] looks at all.
    pub corrupt: Vec<Hole>,
    /// Offsets `from..to` that will never be: consumers had positions beyond the recovered end,
    /// and an offset is never given twice.
    pub skipped: Option<(i64, i64)>,
}

/// An unfinished write at the end of the newest segment: never acknowledged under `strict`, and
/// under `os` only within the sync interval before a power cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The segment file.
    pub segment: PathBuf,
    /// The offset that the first torn record would have had.
    pub offset: i64,
    /// How many bytes were cut.
    pub bytes: u64,
}

/// Where writing goes on.
pub(crate) struct Found {
    pub recovery: Recovery,
    pub chain: Chain,
    /// First offset and bytes in use of each segment.
    pub segments: Vec<(i64, u64)>,
    journal: Option<JournalId>,
}

pub(crate) fn recover(dir: &Path, most_consumed: Option<i64>) -> Result<Found, OpenError> {
    remove_temporary(dir)?;
    let mut firsts = segment::list(dir).map_err(|e| OpenError::of("list", dir, e))?;
    let mut torn = None;
    let mut synced = 0;
    // A newest segment whose header never reached the device holds nothing that was synced.
    while let Some(&first) = firsts.last() {
        let path = segment::path(dir, first);
        let io_error = |e| OpenError::of("read", &path, e);
        let file = OsFile::open(&path).map_err(io_error)?;
        match segment::header(file.as_ref()).map_err(io_error)? {
            Ok(header) => {
                synced = header.synced;
                break;
            }
            Err(HeaderError::Zero) => {
                let blank = file.next_data(0).map_err(io_error)?.is_none();
                let bytes = if blank { 0 } else { file.len().map_err(io_error)? };
                let (action, done) = if blank {
                    ("remove", std::fs::remove_file(&path))
                } else {
                    ("rename", std::fs::rename(&path, path.with_extension("lost")))
                };
                done.map_err(|e| OpenError::of(action, &path, e))?;
                let before = torn.map_or(0, |t: Torn| t.bytes);
                torn = Some(Torn {
                    segment: path,
                    offset: first,
                    bytes: before + bytes,
                });
                firsts.pop();
            }
            Err(reason) => {
                return Err(OpenError::Damaged {
                    path,
                    reason: reason.to_string(),
                });
            }
        }
    }
    let mut found = Found {
        recovery: Recovery {
            journal_id: JournalId::new(),
            created: firsts.is_empty(),
            next_offset: 0,
            torn,
            corrupt: Vec::new(),
            skipped: None,
        },
        chain: Chain::START,
        segments: Vec::new(),
        journal: None,
    };
    let newest = firsts.len().saturating_sub(1);
    for (i, &first) in firsts.iter().enumerate() {
        let path = segment::path(dir, first);
        if firsts.get(i + 1).is_none_or(|next| *next > synced) {
            walk(&mut found, path, firsts.get(i + 1).copied(), i == newest)?;
        } else {
            let bytes = std::fs::metadata(&path)
                .map_err(|e| OpenError::of("read", &path, e))?
                .len();
            found.segments.push((first, bytes));
        }
    }
    if let Some(consumed) = most_consumed
        && consumed > found.recovery.next_offset
        // Of a journal that is gone; a new one has offsets of its own.
        && !found.recovery.created
    {
        found.recovery.skipped = Some((found.recovery.next_offset, consumed));
        found.recovery.next_offset = consumed;
    }
    Ok(found)
}

/// Reads one segment and, if it is the newest, cuts it after its last good record.
fn walk(found: &mut Found, path: PathBuf, next_first: Option<i64>, newest: bool) -> Result<(), OpenError> {
    let io_error = |e: io::Error| OpenError::of("read", &path, e);
    let file = OsFile::open(&path).map_err(io_error)?;
    let header = match segment::header(file.as_ref()).map_err(io_error)? {
        Ok(header) => header,
        Err(reason) if newest => {
            return Err(OpenError::Damaged {
                path,
                reason: reason.to_string(),
            });
        }
        Err(_) => {
            let bytes = file.len().map_err(io_error)?;
            let (first, next) = (segment::first_of(&path), next_first.unwrap_or_default());
            found.recovery.corrupt.push(Hole {
                segment: path.clone(),
                first,
                next,
                at: 0,
                bytes,
            });
            found.segments.push((first, bytes));
            return Ok(());
        }
    };
    let recovery = &mut found.recovery;
    let other = *found.journal.get_or_insert(header.journal);
    if other != header.journal {
        return Err(OpenError::Mixed {
            path,
            found: header.journal,
            expected: other,
        });
    }
    if newest {
        recovery.journal_id = header.journal;
        found.chain = header.chain;
    }
    let mut scanner = Scanner::new(file.clone(), header.segment).map_err(io_error)?;
    let (mut at, mut expected) = (HEADER_BYTES, header.first);
    let torn = loop {
        if next_first.is_some_and(|next| expected >= next) {
            break 0;
        }
        let record = match scanner.step(at, expected).map_err(io_error)? {
            Step::Record(record) => record,
            Step::Damage { resume } => {
                recovery.corrupt.push(Hole {
                    segment: path.clone(),
                    first: expected,
                    next: resume.offset,
                    at,
                    bytes: resume.at - at,
                });
                resume
            }
            Step::End { torn } => break torn,
        };
        if newest {
            let payload = scanner.payload(&record).map_err(io_error)?;
            found.chain = format::chain_of(payload).unwrap_or(found.chain);
        }
        at = record.end();
        expected = record.offset + 1;
    };
    if let Some(next) = next_first {
        // A process that was killed may have left it in the page cache.
        file.sync().map_err(|e| OpenError::of("sync", &path, e))?;
        if expected < next {
            recovery.corrupt.push(Hole {
                segment: path.clone(),
                first: expected,
                next,
                at,
                bytes: torn,
            });
        }
        found.segments.push((header.first, file.len().map_err(io_error)?));
        return Ok(());
    }
    recovery.next_offset = expected;
    if torn > 0 {
        let later = recovery.torn.as_ref().map_or(0, |t| t.bytes);
        recovery.torn = Some(Torn {
            segment: path.clone(),
            offset: expected,
            bytes: torn + later,
        });
    }
    let cut = std::fs::OpenOptions::new().write(true).open(&path).and_then(|file| {
        file.set_len(at)?;
        file.sync_all()
    });
    cut.map_err(|e| OpenError::of("cut", &path, e))?;
    found.segments.push((header.first, at));
    Ok(())
}

fn remove_temporary(dir: &Path) -> Result<(), OpenError> {
    let list_error = |e| OpenError::of("list", dir, e);
    for entry in std::fs::read_dir(dir).map_err(list_error)? {
        let path = entry.map_err(list_error)?.path();
        if path.to_str().is_some_and(|p| p.ends_with(TEMPORARY)) {
            std::fs::remove_file(&path).map_err(|e| OpenError::of("remove", &path, e))?;
        }
    }
    Ok(())
}
