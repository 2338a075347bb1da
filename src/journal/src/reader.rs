//! Reading: in order, whole records only, alongside the writer.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::Record;

use crate::ReadError;
use crate::core::Core;
use crate::disk::OsFile;
use crate::format::HEADER_BYTES;
use crate::scan::{Hole, Scanner, Step};
use crate::segment;

/// A record as it lies in the journal: bytes to pass on unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawRecord {
    /// Its offset.
    pub offset: i64,
    /// The event's complete JSON, as it is shipped.
    pub payload: Vec<u8>,
}

/// How far a reader may go.
enum Bound {
    /// Another process writes: as far as whole records go.
    None,
    /// To what is written.
    Written(Arc<Core>),
    /// To what is on the device.
    Durable(Arc<Core>),
}

/// Reads a journal in order. Needs no lock, and may be in another process than the writer.
pub struct Reader {
    dir: PathBuf,
    position: i64,
    bound: Bound,
    open: Option<Open>,
}

/// The segment that the reader stands in.
struct Open {
    scanner: Scanner,
    first: i64,
    inode: u64,
    /// Where the record at the reader's position begins.
    at: u64,
    /// The first offset of the following segment, as of the last look.
    next: Option<i64>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("dir", &self.dir)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens the journal in `dir` for reading from offset `from`.
    pub fn open(dir: &Path, from: i64) -> Result<Reader, ReadError> {
        Reader::new(dir, from, Bound::None)
    }

    pub(crate) fn written(core: &Arc<Core>, from: i64) -> Result<Reader, ReadError> {
        let end = core.end();
        if from > end {
            return Err(ReadError::Beyond { from, end });
        }
        Reader::new(&core.dir, from, Bound::Written(core.clone()))
    }

    pub(crate) fn durable(core: &Arc<Core>, from: i64) -> Result<Reader, ReadError> {
        Ok(Reader {
            bound: Bound::Durable(core.clone()),
            ..Reader::written(core, from)?
        })
    }

    fn new(dir: &Path, from: i64, bound: Bound) -> Result<Reader, ReadError> {
        let firsts = segment::list(dir).map_err(|e| ReadError::of("list", dir, e))?;
        match firsts.first() {
            None => return Err(ReadError::Missing { path: dir.to_owned() }),
            Some(&first) if from < first => return Err(ReadError::Released { from, first }),
            Some(_) => {}
        }
        Ok(Reader {
            dir: dir.to_owned(),
            position: from,
            bound,
            open: None,
        })
    }

    /// The next offset to be read.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The next records, up to about `max_bytes` (at least one, however large); empty when the
    /// reader has caught up. After an error about a record the reader stands behind it.
    pub fn next_batch(&mut self, max_bytes: usize) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        let from = self.position;
        for raw in self.next_raw_batch(max_bytes)? {
            match Record::parse(&raw.payload) {
                Ok(record) => records.push(record),
                // Give the good ones first; come back for this one.
                Err(_) if raw.offset > from => {
                    self.seek(raw.offset);
                    break;
                }
                Err(source) => {
                    self.seek(raw.offset + 1);
                    return Err(ReadError::Record {
                        offset: raw.offset,
                        source,
                    });
                }
            }
        }
        Ok(records)
    }

    /// As [`Reader::next_batch`], without parsing.
    pub fn next_raw_batch(&mut self, max_bytes: usize) -> Result<Vec<RawRecord>, ReadError> {
        // The bound first, the folder's listing after it: all segments up to the bound are seen.
        let bound = match &self.bound {
            Bound::None => None,
            Bound::Written(core) => Some(core.end()),
            Bound::Durable(core) => Some(core.synced()),
        };
        let mut batch: Vec<RawRecord> = Vec::new();
        let mut bytes = 0;
        while bound.is_none_or(|end| self.position < end) {
            let next = self.open.as_ref().and_then(|open| open.next);
            if batch.is_empty() || self.open.is_none() || next.is_some_and(|next| self.position >= next) {
                match self.locate(bound) {
                    Err(_) if !batch.is_empty() => break,
                    located => located?,
                }
            }
            match self.take(batch.is_empty(), max_bytes.saturating_sub(bytes), bound) {
                Ok(Some(record)) => {
                    bytes += record.payload.len();
                    batch.push(record);
                }
                Ok(None) => break,
                // Give the good ones first; the error will be there again.
                Err(_) if !batch.is_empty() => break,
                Err(e) => return Err(e),
            }
        }
        Ok(batch)
    }

    /// Goes to another offset.
    pub fn seek(&mut self, offset: i64) {
        self.open = None;
        self.position = offset;
    }

    /// Finds the segment that has the position: the last one that begins at or before it, since a
    /// later segment overrules what a failed write left in an earlier one. Looked up anew for each
    /// batch.
    fn locate(&mut self, bound: Option<i64>) -> Result<(), ReadError> {
        let firsts = segment::list(&self.dir).map_err(|e| ReadError::of("list", &self.dir, e))?;
        let after = firsts.partition_point(|first| *first <= self.position);
        let Some(&first) = after.checked_sub(1).and_then(|i| firsts.get(i)) else {
            return Err(match firsts.first() {
                Some(&first) => ReadError::Released {
                    from: self.position,
                    first,
                },
                None => ReadError::Missing { path: self.dir.clone() },
            });
        };
        let next = firsts.get(after).copied();
        let path = segment::path(&self.dir, first);
        let io_error = |e| ReadError::of("read", &path, e);
        let inode = std::fs::metadata(&path).map_err(io_error)?.ino();
        if let Some(open) = self
            .open
            .as_mut()
            .filter(|open| open.first == first && open.inode == inode)
        {
            open.next = next;
            return open.scanner.refresh().map_err(io_error);
        }
        self.open = None;
        let file = OsFile::open(&path).map_err(io_error)?;
        let header = match segment::header(file.as_ref()).map_err(io_error)? {
            Ok(header) => header,
            Err(reason) => {
                let Some(next) = next.or(bound) else {
                    let reason = std::io::Error::new(std::io::ErrorKind::InvalidData, reason.to_string());
                    return Err(ReadError::of("read the header of", &path, reason));
                };
                let bytes = file.len().map_err(io_error)?;
                let hole = Hole {
                    segment: path,
                    first: self.position,
                    next,
                    at: 0,
                    bytes,
                };
                self.position = next;
                return Err(ReadError::Corrupt(hole));
            }
        };
        let mut scanner = Scanner::new(file, header.segment).map_err(io_error)?;
        let (mut at, mut offset) = (HEADER_BYTES, first);
        while offset < self.position {
            let record = match scanner.step(at, offset).map_err(io_error)? {
                Step::Record(record) => record,
                // The position lies in a hole: stand before it.
                Step::Damage { resume } if resume.offset > self.position => break,
                Step::Damage { resume } if resume.offset == self.position => {
                    at = resume.at;
                    break;
                }
                Step::Damage { resume } => resume,
                Step::End { .. } if next.or(bound).is_none() => {
                    return Err(ReadError::Beyond {
                        from: self.position,
                        end: offset,
                    });
                }
                Step::End { .. } => break,
            };
            at = record.end();
            offset = record.offset + 1;
        }
        self.open = Some(Open {
            scanner,
            first,
            inode,
            at,
            next,
        });
        Ok(())
    }

    /// One record of at most `room` bytes; the first of a batch may be larger. Only an error that
    /// is reported, the first of a batch, moves the position.
    fn take(&mut self, first_of_batch: bool, room: usize, bound: Option<i64>) -> Result<Option<RawRecord>, ReadError> {
        let Some(open) = &mut self.open else { return Ok(None) };
        let path = segment::path(&self.dir, open.first);
        let io_error = |e| ReadError::of("read", &path, e);
        let limit = open.next.or(bound);
        let hole = match open.scanner.step(open.at, self.position).map_err(io_error)? {
            Step::Record(found) => {
                if !first_of_batch && found.len > room {
                    return Ok(None);
                }
                let payload = open.scanner.payload(&found).map_err(io_error)?.to_vec();
                open.at = found.end();
                self.position = found.offset + 1;
                return Ok(Some(RawRecord {
                    offset: found.offset,
                    payload,
                }));
            }
            Step::Damage { resume } if limit.is_none_or(|limit| resume.offset < limit) => {
                let hole = Hole {
                    segment: path,
                    first: self.position,
                    next: resume.offset,
                    at: open.at,
                    bytes: resume.at - open.at,
                };
                if first_of_batch {
                    open.at = resume.at;
                }
                hole
            }
            step => {
                let Some(next) = limit.filter(|limit| *limit > self.position) else {
                    return Ok(None);
                };
                let bytes = match step {
                    Step::Damage { resume } => resume.at - open.at,
                    Step::End { torn } => torn,
                    Step::Record(_) => 0,
                };
                let hole = Hole {
                    segment: path,
                    first: self.position,
                    next,
                    at: open.at,
                    bytes,
                };
                if first_of_batch {
                    self.open = None;
                }
                hole
            }
        };
        if first_of_batch {
            self.position = hole.next;
        }
        Err(ReadError::Corrupt(hole))
    }
}
