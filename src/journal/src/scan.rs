//! Walks the records of one segment, and finds the next good one after damage.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;

use crate::disk::DiskFile;
use crate::format::{FRAME_BYTES, Frame, MAX_RECORD_BYTES};

const WINDOW: usize = 256 << 10;

/// Records that are damaged or missing: offsets `first..next`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The segment file.
    pub segment: PathBuf,
    /// The first offset that is not readable.
    pub first: i64,
    /// The next offset that is.
    pub next: i64,
    /// Where in the file the unreadable bytes begin.
    pub at: u64,
    /// How many they are; 0 where records are missing altogether.
    pub bytes: u64,
}

/// Bytes of a damaged stretch that are passed on: those of a long call, not those of a whole segment.
const KEPT_BYTES: u64 = 8 << 20;

impl Hole {
    /// The unreadable bytes, [`KEPT_BYTES`] of them at most; what is not passed on is said. Empty if they
    /// cannot be read at all, or are gone.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        use std::os::unix::fs::FileExt as _;
        let kept = self.bytes.min(KEPT_BYTES);
        let mut raw = vec![0; usize::try_from(kept).unwrap_or_default()];
        let read = std::fs::File::open(&self.segment).and_then(|file| file.read_exact_at(&mut raw, self.at));
        let segment = self.segment.display();
        match read {
            Ok(()) if kept == self.bytes => {}
            Ok(()) => {
                tracing::error!(%segment, at = self.at, bytes = self.bytes, kept, "a damaged stretch is passed on as far as it is kept");
            }
            Err(error) => {
                raw.clear();
                tracing::error!(%segment, at = self.at, bytes = self.bytes, %error, "a damaged stretch cannot be read at all");
            }
        }
        raw
    }
}

impl fmt::Display for Hole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.next - 1;
        let path = self.segment.display();
        if self.bytes == 0 {
            write!(
                f,
                "offsets {}..={last} are missing after byte {} of {path}",
                self.first, self.at
            )
        } else {
            write!(
                f,
                "offsets {}..={last} are damaged: {} bytes at byte {} of {path}",
                self.first, self.bytes, self.at
            )
        }
    }
}

/// A checked record's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub at: u64,
    pub offset: i64,
    pub len: usize,
}

impl Found {
    /// Where the next record begins.
    pub fn end(&self) -> u64 {
        self.at + (FRAME_BYTES + self.len) as u64
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Record(Found),
    /// Unreadable from here to `resume`, a good record.
    Damage {
        resume: Found,
    },
    /// No good record follows; `torn` bytes up to the last one that is not zero.
    End {
        torn: u64,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    Good(Found),
    /// Zeros or the end of the file.
    Blank,
    Bad,
}

/// Reads one segment through a window of its own.
pub(crate) struct Scanner {
    file: Arc<dyn DiskFile>,
    segment: Uuid,
    len: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl Scanner {
    pub fn new(file: Arc<dyn DiskFile>, segment: Uuid) -> io::Result<Scanner> {
        let len = file.len()?;
        Ok(Scanner {
            file,
            segment,
            len,
            window: Vec::new(),
            window_at: 0,
        })
    }

    /// Forgets what was read: the file may have grown or changed since.
    pub fn refresh(&mut self) -> io::Result<()> {
        self.window.clear();
        self.len = self.file.len()?;
        Ok(())
    }

    /// Up to `need` bytes at `at` (fewer only at the end of the file).
    fn bytes(&mut self, at: u64, need: usize) -> io::Result<&[u8]> {
        let need = need.min(usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX));
        let cached = at >= self.window_at && at + need as u64 <= self.window_at + self.window.len() as u64;
        if !cached {
            let room = usize::try_from(self.len.saturating_sub(at)).unwrap_or(usize::MAX);
            self.window.resize(need.max(WINDOW).min(room), 0);
            self.window_at = at;
            let mut filled = 0;
            while filled < self.window.len() {
                match self.file.read_at(&mut self.window[filled..], at + filled as u64) {
                    Ok(0) => break, // cut while we read
                    Ok(n) => filled += n,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => {
                        self.window.clear();
                        return Err(e);
                    }
                }
            }
            self.window.truncate(filled);
        }
        let start = usize::try_from(at - self.window_at)
            .unwrap_or(usize::MAX)
            .min(self.window.len());
        let end = (start + need).min(self.window.len());
        Ok(&self.window[start..end])
    }

    /// Checks the record at byte `at`.
    pub fn probe(&mut self, at: u64) -> io::Result<Probe> {
        let segment = self.segment;
        let left = self.len.saturating_sub(at);
        let head = self.bytes(at, FRAME_BYTES)?;
        if head.len() < FRAME_BYTES {
            return Ok(if head.iter().all(|b| *b == 0) {
                Probe::Blank
            } else {
                Probe::Bad
            });
        }
        let frame = Frame::decode(head);
        if frame.is_zero() {
            return Ok(Probe::Blank);
        }
        let len = frame.len as usize;
        if len == 0 || len > MAX_RECORD_BYTES || frame.offset < 0 || (FRAME_BYTES + len) as u64 > left {
            return Ok(Probe::Bad);
        }
        let bytes = self.bytes(at, FRAME_BYTES + len)?;
        Ok(match bytes.get(FRAME_BYTES..) {
            Some(payload) if frame.fits(&segment, payload) => Probe::Good(Found {
                at,
                offset: frame.offset,
                len,
            }),
            _ => Probe::Bad,
        })
    }

    /// The payload of a record that [`Scanner::probe`] found good.
    pub fn payload(&mut self, found: &Found) -> io::Result<&[u8]> {
        self.bytes(found.at + FRAME_BYTES as u64, found.len)
    }

    /// The record at byte `at`, which should have offset `expected`, or what is there instead.
    pub fn step(&mut self, at: u64, expected: i64) -> io::Result<Step> {
        if let Some(step) = self.good(at, expected)? {
            return Ok(step);
        }
        let (found, torn) = self.search(at, expected)?;
        let Some(resume) = found else {
            return Ok(Step::End { torn });
        };
        // A record behind it is whole, so this one was written before: had we read it too early?
        self.refresh()?;
        Ok(self.good(at, expected)?.unwrap_or(Step::Damage { resume }))
    }

    fn good(&mut self, at: u64, expected: i64) -> io::Result<Option<Step>> {
        Ok(match self.probe(at)? {
            Probe::Good(found) if found.offset == expected => Some(Step::Record(found)),
            Probe::Good(resume) if resume.offset > expected => Some(Step::Damage { resume }),
            _ => None,
        })
    }

    /// The first good record after byte `at` with an offset from `expected` on, and how many
    /// bytes from `at` on are not blank.
    fn search(&mut self, at: u64, expected: i64) -> io::Result<(Option<Found>, u64)> {
        let mut solid = at;
        let mut base = at;
        // More offsets than that cannot lie within the file.
        let most = expected.saturating_add(i64::try_from(self.len / FRAME_BYTES as u64).unwrap_or(i64::MAX));
        while base < self.len {
            let bytes = self.bytes(base, WINDOW)?;
            let size = bytes.len();
            if size == 0 {
                break;
            }
            let Some(last) = bytes.iter().rposition(|b| *b != 0) else {
                let after = base + size as u64;
                // Keep a frame's worth: a frame may begin with zeros.
                match self.file.next_data(after)? {
                    Some(data) => {
                        base = data
                            .saturating_sub(FRAME_BYTES as u64)
                            .max(after - (FRAME_BYTES as u64 - 1).min(size as u64 - 1))
                    }
                    None => break,
                }
                if base >= self.len.saturating_sub(FRAME_BYTES as u64) {
                    break;
                }
                continue;
            };
            solid = solid.max(base + last as u64 + 1);
            let candidates: Vec<u64> = bytes
                .windows(FRAME_BYTES)
                .enumerate()
                .filter(|(_, w)| {
                    let frame = Frame::decode(w);
                    frame.len != 0 && (expected..=most).contains(&frame.offset)
                })
                .map(|(i, _)| base + i as u64)
                .filter(|c| *c > at)
                .collect();
            for candidate in candidates {
                if let Probe::Good(found) = self.probe(candidate)?
                    && found.offset >= expected
                {
                    return Ok((Some(found), solid - at));
                }
            }
            if size < FRAME_BYTES || base + size as u64 >= self.len {
                break;
            }
            base += (size - FRAME_BYTES + 1) as u64;
        }
        Ok((None, solid - at))
    }
}
