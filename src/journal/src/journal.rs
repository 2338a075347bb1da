//! The journal's handle.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use event::{Draft, JournalId};
use tokio::sync::watch;

use crate::append::Appended;
use crate::core::{Core, State, lock};
use crate::disk::{Disk, Os, make_dir_on};
use crate::lock::Lock;
use crate::reader::Reader;
use crate::recovery::{self, Recovery};
use crate::stats::{Counters, Stats, add, get};
use crate::sync::{self, Durable, Pace};
use crate::{AppendError, OpenError, Options, PositionError, Positions, ReadError, position, segment};

/// A durable, gapless log of events in one folder. Cheap to clone; the last clone to be dropped
/// syncs and closes it.
#[derive(Clone)]
pub struct Journal(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    positions: Positions,
    thread: Option<JoinHandle<()>>,
    _lock: Lock,
}

/// What [`Journal::release`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Segments deleted.
    pub segments: u64,
    /// Bytes of records and headers given back.
    pub bytes: u64,
    /// The first offset that the journal still has.
    pub first: i64,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal")
            .field("dir", &self.0.core.dir)
            .field("id", &self.0.core.id)
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in folder `dir` (`<data>/journal`), creating it if there is none, and
    /// says what was found there. Reads the segments that may not have been on the device.
    pub fn open(dir: &Path, options: Options) -> Result<(Journal, Recovery), OpenError> {
        Journal::open_on(Box::new(Os), dir, options)
    }

    pub(crate) fn open_on(disk: Box<dyn Disk>, dir: &Path, options: Options) -> Result<(Journal, Recovery), OpenError> {
        make_dir_on(disk.as_ref(), dir).map_err(|e| OpenError::of("create", dir, e))?;
        let lock = crate::lock::acquire(dir)?;
        let mut known = position::load(dir)?;
        let found = recovery::recover(dir, known.values().max().copied())?;
        if found.recovery.created && !known.is_empty() {
            let dir_name = dir.display();
            tracing::error!(dir = %dir_name, ?known, "the journal of these consumers is gone: a new one begins, and they with it");
            position::clear(dir)?;
            known.clear();
        }
        report(dir, &found.recovery);
        let next = found.recovery.next_offset;
        let state = State {
            next,
            chain: found.chain,
            end: next,
            end_chain: found.chain,
            buffer: Vec::new(),
            spare: Vec::new(),
            taken: 0,
            batch: None,
            writing: false,
            exclusive: 0,
            active: None,
            sealed: Vec::new(),
            dir_dirty: false,
            older: found.segments,
            blank: None,
            synced_chain: found.chain,
            poisoned: None,
            shed: None,
            closed: false,
        };
        let core = Arc::new(Core {
            dir: dir.to_owned(),
            id: found.recovery.journal_id,
            options,
            disk,
            used: AtomicU64::new(state.used()),
            state: Mutex::new(state),
            idle: Condvar::new(),
            pace: Mutex::new(Pace::default()),
            work: Condvar::new(),
            awake: AtomicBool::new(true),
            end: AtomicI64::new(next),
            synced: AtomicI64::new(next),
            disk_full: AtomicBool::new(false),
            end_watch: watch::Sender::new(next),
            synced_watch: watch::Sender::new(next),
            counters: Counters::default(),
        });
        position::lay_ballast(dir);
        begin(&core)?;
        let thread = std::thread::Builder::new().name("weir-journal".to_owned()).spawn({
            let core = core.clone();
            move || sync::run(&core)
        });
        let thread = thread.map_err(|e| OpenError::of("start the sync thread of", dir, e))?;
        let positions = Positions::new(known, core.clone());
        let inner = Inner {
            core,
            positions,
            thread: Some(thread),
            _lock: lock,
        };
        Ok((Journal(Arc::new(inner)), found.recovery))
    }

    /// This journal's id: the same for the folder's whole life.
    #[must_use]
    pub fn id(&self) -> JournalId {
        self.0.core.id
    }

    /// Records `drafts` in order, at contiguous offsets. They are in the page cache when this
    /// returns: the process may die, they stay. Blocks for the write, a few microseconds; for the
    /// device see [`Journal::durable`].
    pub fn append(&self, drafts: &[Draft]) -> Result<Appended, AppendError> {
        self.0.core.append(drafts)
    }

    /// Resolves when the record at `offset` is as durable as the policy promises: under `strict`
    /// after the `fdatasync` that covers it, under `os` at once. The sync begins when this is
    /// called, not when it is polled. An error says that the device did not take the record.
    pub fn durable(&self, offset: i64) -> Durable {
        self.0.core.durable(offset)
    }

    /// Blocks until everything appended so far is on the device, whatever the policy.
    pub fn flush(&self) -> Result<(), AppendError> {
        self.0.core.flush()
    }

    /// Whether there is room for new work. If not, do not begin a call: its end may still be
    /// recorded from the reserve, another start may not.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.full().is_none()
    }

    /// Why there is no room for new work, if there is none.
    #[must_use]
    pub fn full(&self) -> Option<crate::FullReason> {
        self.0.core.full()
    }

    /// Whether what finds no room is given up and counted: then calls may begin without it.
    #[must_use]
    pub fn sheds(&self) -> bool {
        self.0.core.options.when_full() == crate::WhenFull::Shed
    }

    /// Gives up `drafts`, the rest of what was [`crate::AppendError::Shed`] for `reason`: counts them with it.
    pub fn shed(&self, drafts: &[Draft], reason: crate::FullReason) {
        if !drafts.is_empty() {
            self.0.core.shed(drafts, reason);
        }
    }

    /// The next offset: every record below it can be read.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.0.core.end()
    }

    /// Every record below this offset is on the device.
    #[must_use]
    pub fn synced(&self) -> i64 {
        self.0.core.synced()
    }

    /// Tells of a new [`Journal::end`], at most every 10 ms.
    #[must_use]
    pub fn watch_end(&self) -> watch::Receiver<i64> {
        let core = &self.0.core;
        let receiver = core.end_watch.subscribe();
        core.end_watch.send_replace(core.end());
        core.wake_sync();
        receiver
    }

    /// Tells of a new [`Journal::synced`].
    #[must_use]
    pub fn watch_synced(&self) -> watch::Receiver<i64> {
        let core = &self.0.core;
        let receiver = core.synced_watch.subscribe();
        core.synced_watch.send_replace(core.synced());
        receiver
    }

    /// Reads from offset `from` on, up to what is written: for showing it as it happens.
    pub fn reader(&self, from: i64) -> Result<Reader, ReadError> {
        Reader::written(&self.0.core, from)
    }

    /// Reads from offset `from` on, up to what is on the device: for consumers that store it
    /// elsewhere. A power cut takes back at most what such a reader has not seen.
    pub fn durable_reader(&self, from: i64) -> Result<Reader, ReadError> {
        Reader::durable(&self.0.core, from)
    }

    /// Where the consumers have come to.
    #[must_use]
    pub fn positions(&self) -> &Positions {
        &self.0.positions
    }

    /// Deletes the segments that every consumer is past; none while there are no consumers, and
    /// never the one being written. What was shed is told of if there is room now.
    pub fn release(&self) -> Result<Released, PositionError> {
        let core = &self.0.core;
        let least = self.0.positions.least().unwrap_or(0).min(core.synced());
        let mut released = Released::default();
        let mut outcome = Ok(());
        let mut state = lock(&core.state);
        let goes = |state: &State, i: usize| {
            // Without a following segment this one says where the journal goes on.
            let next = state
                .older
                .get(i + 1)
                .map(|(first, _)| *first)
                .or(state.active.as_ref().map(|a| a.first));
            let sealed = |(first, _): &(i64, u64)| state.sealed.iter().any(|s| s.first == *first);
            next.is_some_and(|next| next <= least) && state.older.get(i).is_some_and(|older| !sealed(older))
        };
        let count = (0..state.older.len()).take_while(|i| goes(&state, *i)).count();
        let mut doomed: Vec<(i64, u64)> = state.older.drain(..count).collect();
        drop(state);
        // Unlinking takes a file system milliseconds: not under the appenders' lock.
        while let Some(&(first, bytes)) = doomed.first() {
            let path = segment::path(&core.dir, first);
            if let Err(e) = core.disk.remove(&path) {
                outcome = Err(PositionError::of("remove", &path, e));
                break;
            }
            doomed.remove(0);
            released.segments += 1;
            released.bytes += bytes;
        }
        let mut state = lock(&core.state);
        state.older.splice(..0, doomed);
        let first = state.older.first().map(|(first, _)| *first);
        released.first = first.or(state.active.as_ref().map(|a| a.first)).unwrap_or(state.end);
        core.used.store(state.used(), Ordering::Relaxed);
        drop(state);
        if released.segments > 0 {
            add(&core.counters.released_segments, released.segments);
            core.disk_full.store(false, Ordering::Relaxed);
            core.disk
                .sync_dir(&core.dir)
                .map_err(|e| PositionError::of("sync", &core.dir, e))?;
            position::lay_ballast(&core.dir);
            core.settle_shed();
        }
        outcome.map(|()| released)
    }

    /// Counters and gauges, for metrics.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let core = &self.0.core;
        let (disk_bytes, segments) = {
            let state = lock(&core.state);
            (
                state.used(),
                state.older.len() as u64 + u64::from(state.active.is_some()),
            )
        };
        let c = &core.counters;
        Stats {
            disk_bytes,
            segments,
            end: core.end(),
            synced: core.synced(),
            appended_events: get(&c.appended_events),
            appended_bytes: get(&c.appended_bytes),
            writes: get(&c.writes),
            syncs: get(&c.syncs),
            sync_ns: get(&c.sync_ns),
            shed_events: get(&c.shed_events),
            shed_bytes: get(&c.shed_bytes),
            refused: get(&c.refused),
            poisoned: get(&c.poisoned),
            released_segments: get(&c.released_segments),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.request_stop();
        if let Some(thread) = self.thread.take() {
            // It does not panic; and there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// Begins the segment that this process writes to.
fn begin(core: &Core) -> Result<(), OpenError> {
    let mut state = lock(&core.state);
    let begun = core.roll(&mut state, 0).map_err(|e| match e {
        AppendError::Io { action, path, source } => {
            OpenError::of(action, &path, std::io::Error::new(source.kind(), source))
        }
        e => OpenError::of(
            "begin a segment in",
            &core.dir,
            std::io::Error::new(std::io::ErrorKind::StorageFull, e),
        ),
    });
    match begun {
        // Consumers can still read, and so make room.
        Err(OpenError::NoSpace { .. }) if !state.older.is_empty() => {}
        begun => begun?,
    }
    state.dir_dirty = false;
    // Also without a new segment: the names of those that are read must last, as `synced` says they do.
    let synced = state.active.as_ref().map_or(Ok(()), |active| active.file.sync());
    synced
        .and_then(|()| core.disk.sync_dir(&core.dir))
        .map_err(|e| OpenError::of("sync", &core.dir, e))
}

/// Says what recovery found, for the operator.
fn report(dir: &Path, recovery: &Recovery) {
    let dir = dir.display();
    if let Some(torn) = &recovery.torn {
        tracing::warn!(%dir, offset = torn.offset, bytes = torn.bytes, "cut an unfinished write off the journal");
    }
    for hole in &recovery.corrupt {
        tracing::error!(%dir, %hole, "the journal is damaged: the records are kept as they are, `weir journal verify` says more");
    }
    if let Some((from, to)) = recovery.skipped {
        tracing::error!(%dir, from, to, "the journal ends before its consumers: these offsets stay empty");
    }
}
