//! Looking at a journal from outside: what it holds, whether it is whole, its records as text.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use event::{Chain, JournalId, Record};

use crate::disk::OsFile;
use crate::format::HEADER_BYTES;
use crate::scan::{Hole, Scanner, Step};
use crate::{ReadError, Reader, position, segment};

/// What a journal's folder holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The journal's id; `None` if no header is readable.
    pub journal_id: Option<JournalId>,
    /// Its segments, in order.
    pub segments: Vec<SegmentReport>,
    /// The first offset there is.
    pub first: i64,
    /// The offset after the last record.
    pub end: i64,
    /// Good records.
    pub records: u64,
    /// Bytes of the files' headers and records.
    pub bytes: u64,
    /// Time of the first and the last record: nanoseconds since 1970-01-01 UTC.
    pub times: Option<(i64, i64)>,
    /// Records by event type; filled by [`verify`].
    pub types: BTreeMap<String, u64>,
    /// The offset that each consumer reads next: segments before the least are released.
    pub consumers: BTreeMap<String, i64>,
    /// What is wrong.
    pub faults: Vec<Fault>,
    /// Bytes of an unfinished write at the end: no fault, the next start cuts them. (Seen too
    /// while another process is writing.)
    pub torn_bytes: u64,
}

impl Report {
    /// Whether every record that the journal should have is there and unaltered.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.faults.is_empty()
    }
}

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// The file.
    pub path: PathBuf,
    /// Its first offset.
    pub first: i64,
    /// The offset after its last record.
    pub end: i64,
    /// Good records in it.
    pub records: u64,
    /// Bytes of its header and records.
    pub bytes: u64,
    /// Bytes of the file, preallocated room included.
    pub file_bytes: u64,
    /// When it was begun: nanoseconds since 1970-01-01 UTC; `None` if the header is unreadable.
    pub created_unix_nano: Option<i64>,
}

/// Something wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Records are damaged or missing.
    #[error("{0}")]
    Hole(Hole),
    /// A consumer's position is unreadable: the journal does not open with it.
    #[error("the position in {path} is unreadable: {reason}")]
    Position {
        /// The position's file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// A segment's header is unreadable, and so its records are.
    #[error("the header of {path} is unreadable: {reason}")]
    Header {
        /// The segment file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A segment belongs to another journal.
    #[error("{path} belongs to journal {found}")]
    Foreign {
        /// The segment file.
        path: PathBuf,
        /// Its journal.
        found: JournalId,
    },
    /// A record passed its checksum but is no event of this journal at this offset.
    #[error("record {offset} in {path}: {reason}")]
    Record {
        /// The segment file.
        path: PathBuf,
        /// Its offset.
        offset: i64,
        /// What is wrong with it.
        reason: String,
    },
    /// The hash chain does not lead from the record before to this one: one of them was altered.
    #[error("the chain is broken at offset {offset} in {path}: history was altered here or just before")]
    Chain {
        /// The segment file.
        path: PathBuf,
        /// The record that does not follow.
        offset: i64,
    },
}

/// What [`export`] wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Records, one a line.
    pub records: u64,
    /// Records that could not be read.
    pub holes: Vec<Hole>,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The journal could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The output could not be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// Segments, offsets, sizes, times and consumers. Reads everything, checks checksums and order.
pub fn inspect(dir: &Path) -> Result<Report, ReadError> {
    again(dir, || look(dir, false))
}

/// As [`inspect`], and checks that every record is an event, and every link of the hash chain.
pub fn verify(dir: &Path) -> Result<Report, ReadError> {
    again(dir, || look(dir, true))
}

/// The first offset there is.
pub fn first(dir: &Path) -> Result<i64, ReadError> {
    let firsts = segment::list(dir).map_err(|e| ReadError::of("list", dir, e))?;
    let first = firsts.first().copied();
    first.ok_or_else(|| ReadError::Missing { path: dir.to_owned() })
}

/// The journal's id and the offset after its last record, from its newest segment alone: however much the
/// journal holds, so much is read. `None` if no header is readable.
pub fn end(dir: &Path) -> Result<Option<(JournalId, i64)>, ReadError> {
    again(dir, || {
        let firsts = segment::list(dir).map_err(|e| ReadError::of("list", dir, e))?;
        let last = *firsts
            .last()
            .ok_or_else(|| ReadError::Missing { path: dir.to_owned() })?;
        // An older one only where that one does not say whose it is.
        for first in firsts.into_iter().rev() {
            let mut walk = Walk::default();
            walk.segment(dir, first, None)?;
            if let Some(journal) = walk.report.journal_id {
                return Ok(Some((journal, walk.expected.unwrap_or_default().max(last))));
            }
        }
        Ok(None)
    })
}

/// A reader at the first offset there is, however often that is released meanwhile.
pub fn from_first(dir: &Path) -> Result<Reader, ReadError> {
    for _ in 1..TIMES {
        match Reader::open(dir, first(dir)?) {
            Err(ReadError::Released { .. }) => {}
            done => return done,
        }
    }
    Reader::open(dir, first(dir)?)
}

/// Writes the events of offsets `from..to` as lines of JSON, the very bytes that the journal holds;
/// `None`: from the first, to the end. What cannot be read is passed over and reported.
pub fn export(dir: &Path, from: Option<i64>, to: Option<i64>, mut out: impl Write) -> Result<Exported, ExportError> {
    const BATCH_BYTES: usize = 4 << 20;
    let mut reader = match from {
        Some(from) => Reader::open(dir, from)?,
        None => from_first(dir)?,
    };
    let mut exported = Exported::default();
    loop {
        match reader.next_raw_batch(BATCH_BYTES) {
            Ok(batch) if batch.is_empty() => break,
            Ok(batch) => {
                for record in batch {
                    if to.is_some_and(|to| record.offset >= to) {
                        out.flush()?;
                        return Ok(exported);
                    }
                    out.write_all(&record.payload)?;
                    out.write_all(b"\n")?;
                    exported.records += 1;
                }
            }
            Err(ReadError::Corrupt(hole)) if to.is_none_or(|to| hole.first < to) => exported.holes.push(hole),
            Err(ReadError::Corrupt(_)) => break,
            // Between the look for the first and the reading of it.
            Err(ReadError::Released { .. }) if from.is_none() && exported == Exported::default() => {
                reader = from_first(dir)?;
            }
            Err(e) => return Err(e.into()),
        }
    }
    out.flush()?;
    Ok(exported)
}

/// How often a journal is looked at that somebody releases segments of meanwhile.
const TIMES: usize = 100;

/// What is known after the record before.
#[derive(Default)]
struct Walk {
    report: Report,
    deep: bool,
    /// The next offset; `None` before the first segment.
    expected: Option<i64>,
    /// The chain's value there; `None` after a hole.
    chain: Option<Chain>,
}

/// Looks anew where a segment was released after it was listed: somebody works with this journal.
fn again<T>(dir: &Path, look: impl Fn() -> Result<T, ReadError>) -> Result<T, ReadError> {
    for _ in 1..TIMES {
        match look() {
            Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound && dir.is_dir() => {}
            done => return done,
        }
    }
    look()
}

fn look(dir: &Path, deep: bool) -> Result<Report, ReadError> {
    let firsts = segment::list(dir).map_err(|e| ReadError::of("list", dir, e))?;
    if firsts.is_empty() {
        return Err(ReadError::Missing { path: dir.to_owned() });
    }
    let mut walk = Walk {
        deep,
        ..Walk::default()
    };
    walk.report.first = firsts.first().copied().unwrap_or_default();
    for (i, &first) in firsts.iter().enumerate() {
        walk.segment(dir, first, firsts.get(i + 1).copied())?;
    }
    walk.report.end = walk.expected.unwrap_or_default();
    for (path, stored) in position::stored(dir)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        match stored {
            Ok(offset) => drop(walk.report.consumers.insert(name.to_owned(), offset)),
            Err(reason) => walk.report.faults.push(Fault::Position { path, reason }),
        }
    }
    Ok(walk.report)
}

impl Walk {
    fn segment(&mut self, dir: &Path, first: i64, next: Option<i64>) -> Result<(), ReadError> {
        let path = segment::path(dir, first);
        let io_error = |e| ReadError::of("read", &path, e);
        let file = OsFile::open(&path).map_err(io_error)?;
        let file_bytes = file.len().map_err(io_error)?;
        let mut summary = SegmentReport {
            path: path.clone(),
            first,
            end: first,
            records: 0,
            bytes: 0,
            file_bytes,
            created_unix_nano: None,
        };
        let header = match segment::header(file.as_ref()).map_err(io_error)? {
            Ok(header) => header,
            Err(reason) => {
                self.report.faults.push(Fault::Header {
                    path,
                    reason: reason.to_string(),
                });
                self.report.segments.push(summary);
                (self.expected, self.chain) = (next, None);
                return Ok(());
            }
        };
        let journal = *self.report.journal_id.get_or_insert(header.journal);
        if journal != header.journal || header.first != first {
            self.report.faults.push(Fault::Foreign {
                path: path.clone(),
                found: header.journal,
            });
        }
        if let Some(expected) = self.expected.filter(|expected| *expected < first) {
            // Offsets skipped at a start lie between two segments.
            let hole = Hole {
                segment: path.clone(),
                first: expected,
                next: first,
                at: HEADER_BYTES,
                bytes: 0,
            };
            self.report.faults.push(Fault::Hole(hole));
            self.chain = None;
        }
        if self.deep && self.chain.is_some_and(|chain| chain != header.chain) {
            self.report.faults.push(Fault::Chain {
                path: path.clone(),
                offset: first,
            });
        }
        summary.created_unix_nano = Some(header.created_unix_nano);
        self.chain = Some(header.chain);
        let mut scanner = Scanner::new(file, header.segment).map_err(io_error)?;
        let (mut at, mut expected) = (HEADER_BYTES, first);
        while next.is_none_or(|next| expected < next) {
            let record = match scanner.step(at, expected).map_err(io_error)? {
                Step::Record(record) => record,
                Step::Damage { resume } if next.is_none_or(|next| resume.offset < next) => {
                    let bytes = resume.at - at;
                    let hole = Hole {
                        segment: path.clone(),
                        first: expected,
                        next: resume.offset,
                        at,
                        bytes,
                    };
                    self.report.faults.push(Fault::Hole(hole));
                    self.chain = None;
                    resume
                }
                step => {
                    let torn = if let Step::End { torn } = step { torn } else { 0 };
                    match next {
                        Some(next) => {
                            let hole = Hole {
                                segment: path.clone(),
                                first: expected,
                                next,
                                at,
                                bytes: torn,
                            };
                            self.report.faults.push(Fault::Hole(hole));
                            (expected, self.chain) = (next, None);
                        }
                        None => self.report.torn_bytes = torn,
                    }
                    break;
                }
            };
            let payload = scanner.payload(&record).map_err(io_error)?;
            summary.records += 1;
            self.record(&path, record.offset, payload, header.journal);
            at = record.end();
            expected = record.offset + 1;
        }
        (summary.end, summary.bytes) = (expected, at);
        self.expected = Some(expected);
        self.report.records += summary.records;
        self.report.bytes += at;
        self.report.segments.push(summary);
        Ok(())
    }

    fn record(&mut self, path: &Path, offset: i64, payload: &[u8], journal: JournalId) {
        let fault = |reason: String| Fault::Record {
            path: path.to_owned(),
            offset,
            reason,
        };
        let record = match Record::parse(payload) {
            Ok(record) => record,
            Err(e) => {
                self.report.faults.push(fault(e.to_string()));
                self.chain = None;
                return;
            }
        };
        let time = record.envelope.time_unix_nano;
        self.report.times = Some((self.report.times.map_or(time, |(first, _)| first), time));
        if !self.deep {
            return;
        }
        *self.report.types.entry(record.envelope.event_type.clone()).or_default() += 1;
        if record.envelope.offset != offset || record.envelope.journal_id != journal {
            let says = format!(
                "it says it is {} of {}",
                record.envelope.offset, record.envelope.journal_id
            );
            self.report.faults.push(fault(says));
        }
        // After a hole the first link cannot be checked; the ones after it can.
        if let Some(chain) = self.chain {
            match record.expected_chain(&chain) {
                Ok(expected) if expected == record.envelope.chain => {}
                Ok(_) => self.report.faults.push(Fault::Chain {
                    path: path.to_owned(),
                    offset,
                }),
                Err(e) => self.report.faults.push(fault(e.to_string())),
            }
        }
        self.chain = Some(record.envelope.chain);
    }
}
