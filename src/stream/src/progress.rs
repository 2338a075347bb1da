//! How shipping stands, for metrics, `/readyz` and people.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by the shipper and whoever asks.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    records: AtomicU64,
    bytes: AtomicU64,
    parts: AtomicU64,
    restarts: AtomicU64,
    sent: AtomicI64,
    arrived: AtomicI64,
    stored: AtomicI64,
    partition: AtomicI64,
    trouble: Mutex<Option<String>>,
}

/// How a shipper stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ShipperStatus {
    /// Records handed to the client since the start, those sent again included.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records that travelled in parts.
    pub split: u64,
    /// How often sending began again from the journal.
    pub restarts: u64,
    /// Every record before this offset was sent.
    pub sent: i64,
    /// Every record before this offset has arrived.
    pub arrived: i64,
    /// The stored position: what a restart begins with.
    pub stored: i64,
    /// The partition of this journal, once it is known.
    pub partition: Option<i64>,
    /// What stops it, while something does.
    pub trouble: Option<String>,
}

impl Progress {
    /// All before this offset arrived in an earlier life.
    pub(crate) fn at(next: i64) -> Progress {
        let progress = Progress::default();
        progress.0.sent.store(next, Ordering::Relaxed);
        progress.arrived(next);
        progress.stored(next);
        progress
    }

    /// How it stands now.
    #[must_use]
    pub fn status(&self) -> ShipperStatus {
        let s = &self.0;
        ShipperStatus {
            records: s.records.load(Ordering::Relaxed),
            bytes: s.bytes.load(Ordering::Relaxed),
            split: s.parts.load(Ordering::Relaxed),
            restarts: s.restarts.load(Ordering::Relaxed),
            sent: s.sent.load(Ordering::Relaxed),
            arrived: s.arrived.load(Ordering::Relaxed),
            stored: s.stored.load(Ordering::Relaxed),
            partition: s.partition.load(Ordering::Relaxed).checked_sub(1).filter(|p| *p >= 0),
            trouble: self.trouble().clone(),
        }
    }

    pub(crate) fn sent(&self, next: i64, bytes: usize, split: bool) {
        let s = &self.0;
        s.records.fetch_add(1, Ordering::Relaxed);
        s.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        s.parts.fetch_add(u64::from(split), Ordering::Relaxed);
        s.sent.store(next, Ordering::Relaxed);
    }

    pub(crate) fn arrived(&self, next: i64) {
        self.0.arrived.store(next, Ordering::Relaxed);
    }

    pub(crate) fn stored(&self, next: i64) {
        self.0.stored.store(next, Ordering::Relaxed);
    }

    pub(crate) fn begins(&self, next: i64, partition: i32) {
        self.0.sent.store(next, Ordering::Relaxed);
        self.0.partition.store(i64::from(partition) + 1, Ordering::Relaxed);
        self.arrived(next);
        self.stored(next);
    }

    pub(crate) fn restarted(&self) {
        self.0.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Sets or clears what stops it; `true` if that is news.
    pub(crate) fn set_trouble(&self, trouble: Option<String>) -> bool {
        let mut held = self.trouble();
        let news = *held != trouble;
        *held = trouble;
        news
    }

    fn trouble(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.0.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where no broker answers at the start, what was shipped before is not told as waiting.
    #[test]
    fn what_arrived_before_has_arrived() {
        let status = Progress::at(7).status();
        assert_eq!(
            (status.sent, status.arrived, status.stored, status.partition),
            (7, 7, 7, None)
        );
    }
}
