//! What the journal counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A snapshot of a journal's counters; all but the first four only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of headers and records on disk (preallocated room not counted).
    pub disk_bytes: u64,
    /// Segment files.
    pub segments: u64,
    /// The next offset.
    pub end: i64,
    /// Offsets below this are on the device.
    pub synced: i64,
    /// Events appended since open.
    pub appended_events: u64,
    /// Their bytes, frames included.
    pub appended_bytes: u64,
    /// `pwrite` batches.
    pub writes: u64,
    /// Rounds of `fdatasync`.
    pub syncs: u64,
    /// Nanoseconds spent in them.
    pub sync_ns: u64,
    /// Events dropped under [`crate::WhenFull::Shed`].
    pub shed_events: u64,
    /// Their bytes.
    pub shed_bytes: u64,
    /// Batches refused under [`crate::WhenFull::Block`].
    pub refused: u64,
    /// Segments given up after a failed write or `fdatasync`.
    pub poisoned: u64,
    /// Segments deleted by [`crate::Journal::release`].
    pub released_segments: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub appended_events: AtomicU64,
    pub appended_bytes: AtomicU64,
    pub writes: AtomicU64,
    pub syncs: AtomicU64,
    pub sync_ns: AtomicU64,
    pub shed_events: AtomicU64,
    pub shed_bytes: AtomicU64,
    pub refused: AtomicU64,
    pub poisoned: AtomicU64,
    pub released_segments: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
