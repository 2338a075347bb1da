//! After a failed `fdatasync`.
//!
//! The kernel may report the error once and mark the pages clean, so a second `fdatasync` of the
//! same file can succeed without a byte on the device. What the failed one should have covered is
//! therefore read back (from the page cache, each record against its checksum), written to a new
//! segment, and synced there. The old file is then cut to what was durable before.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::AppendError;
use crate::core::{Core, State};
use crate::disk::write_all;
use crate::format::{self, FRAME_BYTES, HEADER_BYTES};
use crate::scan::{Found, Scanner, Step};
use crate::segment::{self, Blank, Sealed, Start};

const CHUNK: usize = 1 << 20;

impl Core {
    pub fn rescue(&self, error: &AppendError) -> Result<(), AppendError> {
        let mut state = self.exclusive();
        self.retire(&mut state);
        match self.move_unsynced(&mut state) {
            Ok(()) => {
                state.poisoned = None;
                state.synced_chain = state.end_chain;
                self.synced.store(state.end, Ordering::Release);
                tracing::warn!(dir = %self.dir.display(), "the journal goes on in a new segment; nothing was lost");
                Ok(())
            }
            Err(e) => {
                tracing::error!(dir = %self.dir.display(), error = %e, "the journal cannot reach its device: appends are refused");
                state.poisoned = Some(match error {
                    AppendError::Poisoned { path, .. } => AppendError::Poisoned {
                        path: path.clone(),
                        source: Arc::new(e),
                    },
                    other => other.clone(),
                });
                Err(error.clone())
            }
        }
    }

    fn move_unsynced(&self, state: &mut State) -> io::Result<()> {
        let from = self.synced();
        let sources = state.sealed.clone();
        if from == state.end {
            // Only preallocated room was at stake.
            state.sealed.clear();
            state.dir_dirty = false;
            return self.disk.sync_dir(&self.dir);
        }
        let total: u64 = sources.iter().map(|s| s.used).sum();
        let blank = Blank::create(self.disk.as_ref(), &self.dir, "rescue", HEADER_BYTES + total)?;
        let moved = self.copy(&blank, state, &sources, from);
        let (copied, cut) = match moved {
            Ok(done) => done,
            Err(e) => {
                let _ = self.disk.remove(&blank.path);
                return Err(e);
            }
        };
        let Copied { segment, used } = copied;
        self.disk.rename(&blank.path, &segment::path(&self.dir, from))?;
        self.disk.sync_dir(&self.dir)?;
        // The new file has everything. What is left of those after it would overrule it at the next
        // start, so they are gone for good before anything counts as synced.
        for source in sources.iter().filter(|source| source.first > from) {
            match self.disk.remove(&segment::path(&self.dir, source.first)) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        self.disk.sync_dir(&self.dir)?;
        if let Some((source, at)) = cut {
            let _ = source.file.set_len(at);
            for older in state.older.iter_mut().filter(|(first, _)| *first == source.first) {
                older.1 = at;
            }
        }
        state.older.retain(|(first, _)| *first < from);
        state.older.push((from, used));
        state.sealed.clear();
        state.sealed.push(Sealed {
            file: blank.file,
            segment,
            first: from,
            used,
        });
        Ok(())
    }

    /// Copies records `from..` of `sources` to `blank` and syncs it. Also says which source is to
    /// be cut, and where.
    fn copy(
        &self,
        blank: &Blank,
        state: &State,
        sources: &[Sealed],
        from: i64,
    ) -> io::Result<(Copied, Option<(Sealed, u64)>)> {
        let start = Start {
            journal: self.id,
            first: from,
            chain: state.synced_chain,
            synced: from,
        };
        let segment = blank.head(&start)?;
        let mut out = Vec::new();
        let mut at = HEADER_BYTES;
        let mut next = from;
        let mut cut = None;
        for source in sources {
            let mut scanner = Scanner::new(source.file.clone(), source.segment)?;
            let (mut place, mut expected) = (HEADER_BYTES, source.first);
            while place < source.used {
                let Step::Record(record) = scanner.step(place, expected)? else {
                    break;
                };
                if record.offset == next {
                    if source.first < from && cut.is_none() {
                        cut = Some((source.clone(), place));
                    }
                    push(&mut out, &mut scanner, &record, &segment)?;
                    next += 1;
                    if out.len() >= CHUNK {
                        write_all(blank.file.as_ref(), &out, at)?;
                        at += out.len() as u64;
                        out.clear();
                    }
                }
                place = record.end();
                expected += 1;
            }
        }
        write_all(blank.file.as_ref(), &out, at)?;
        at += out.len() as u64;
        if next != state.end {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("records {next}..{} could not be read back", state.end),
            ));
        }
        blank.file.set_len(at)?;
        blank.file.sync()?;
        Ok((Copied { segment, used: at }, cut))
    }
}

struct Copied {
    segment: uuid::Uuid,
    used: u64,
}

fn push(out: &mut Vec<u8>, scanner: &mut Scanner, record: &Found, segment: &uuid::Uuid) -> io::Result<()> {
    let payload = scanner.payload(record)?;
    out.reserve(FRAME_BYTES + payload.len());
    format::put(out, segment, record.offset, 0, 0, |out| out.extend_from_slice(payload));
    Ok(())
}
