//! What appenders, the sync thread and readers share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use event::{Chain, JournalId};
use tokio::sync::watch;

use crate::append::Batch;
use crate::disk::Disk;
use crate::segment::{Active, Blank, Sealed};
use crate::stats::Counters;
use crate::sync::Pace;
use crate::{AppendError, FullReason, Options};

/// Locks, whatever a panicking holder left: every invariant here holds between statements that
/// cannot panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// The writer's state, under one lock.
pub(crate) struct State {
    /// The next offset to give, and the chain's value before it.
    pub next: i64,
    pub chain: Chain,
    /// The same for what is written: between the two lies what [`State::writing`] is at, and the
    /// buffer.
    pub end: i64,
    pub end_chain: Chain,
    /// Sealed records that wait to be written to `active`.
    pub buffer: Vec<u8>,
    /// A buffer to swap in.
    pub spare: Vec<u8>,
    /// Bytes that a leader has taken to write.
    pub taken: u64,
    /// Appenders whose records are in the buffer, if any waits.
    pub batch: Option<Arc<Batch>>,
    /// Whether somebody is the leader. When nobody is, the buffer is empty.
    pub writing: bool,
    /// How many wait for `writing` to end; while any does, nobody adds to the buffer.
    pub exclusive: usize,
    pub active: Option<Active>,
    /// Segments that take no more but are not known to be on the device.
    pub sealed: Vec<Sealed>,
    /// The folder has entries not known to be on the device.
    pub dir_dirty: bool,
    /// First offset and bytes of every segment but the active one.
    pub older: Vec<(i64, u64)>,
    /// A file ready to become the next segment.
    pub blank: Option<Blank>,
    /// The chain's value at the synced offset, for a rescue.
    pub synced_chain: Chain,
    /// An `fdatasync` failed, and so did the rescue.
    pub poisoned: Option<AppendError>,
    /// What was shed and not told of yet.
    pub shed: Option<(u64, u64, FullReason)>,
    pub closed: bool,
}

impl State {
    /// Bytes in use on disk, the buffer included.
    pub fn used(&self) -> u64 {
        let older: u64 = self.older.iter().map(|(_, bytes)| bytes).sum();
        older + self.active.as_ref().map_or(0, |a| a.written) + self.taken + self.buffer.len() as u64
    }
}

pub(crate) struct Core {
    pub dir: PathBuf,
    pub id: JournalId,
    pub options: Options,
    pub disk: Box<dyn Disk>,
    pub state: Mutex<State>,
    /// Told when `writing` ends.
    pub idle: Condvar,
    pub pace: Mutex<Pace>,
    /// Told when the sync thread has something to do.
    pub work: Condvar,
    /// The sync thread will look at `end` again by itself. Cleared by it alone, before it looks a
    /// last time and sleeps without a deadline; who sets it again wakes it.
    pub awake: AtomicBool,
    /// Next offset: everything below is in the page cache.
    pub end: AtomicI64,
    /// Everything below is on the device.
    pub synced: AtomicI64,
    /// Bytes in use, as of the last write.
    pub used: AtomicU64,
    /// The last attempt to begin a segment found the disk full.
    pub disk_full: AtomicBool,
    pub end_watch: watch::Sender<i64>,
    pub synced_watch: watch::Sender<i64>,
    pub counters: Counters,
}

impl Core {
    pub fn end(&self) -> i64 {
        self.end.load(Ordering::SeqCst)
    }

    pub fn synced(&self) -> i64 {
        self.synced.load(Ordering::Acquire)
    }

    /// The lock, once nobody is writing: the buffer is empty, `next == end`.
    pub fn exclusive(&self) -> MutexGuard<'_, State> {
        self.until_idle(lock(&self.state))
    }

    pub fn until_idle<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        if state.writing {
            state.exclusive += 1;
            while state.writing {
                state = wait(&self.idle, state);
            }
            state.exclusive -= 1;
        }
        state
    }

    /// Why there is no room for new work, if there is none.
    pub fn full(&self) -> Option<FullReason> {
        let used = self.used.load(Ordering::Relaxed);
        if self.disk_full.load(Ordering::Relaxed) {
            return Some(FullReason::Disk);
        }
        let over = self.options.quota.is_some_and(|quota| used >= quota.bytes);
        over.then_some(FullReason::Quota)
    }
}
