//! What an operator chooses about a journal.

use std::time::Duration;

/// When an append counts as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// In the page cache when the append returns, on the device within
    /// [`Options::sync_interval`]: a killed process loses nothing, a power cut at most the interval.
    #[default]
    Os,
    /// As `Os`, and [`crate::Journal::durable`] resolves only once the device has the record.
    Strict,
}

/// What happens to new work when the quota is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// Appends fail with [`crate::AppendError::Full`]: better no call than an unrecorded one.
    #[default]
    Block,
    /// Appends are dropped, counted, and told of in a `journal.shed` event once there is room.
    Shed,
}

/// The most disk that the journal may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Bytes of records and headers. Calls that already began may go beyond it by
    /// [`Quota::reserve`], so that each can write its end.
    pub bytes: u64,
    /// What happens then.
    pub when_full: WhenFull,
}

impl Quota {
    /// The headroom above [`Quota::bytes`] for calls in flight: a sixteenth, 64 KiB to 256 MiB.
    #[must_use]
    pub fn reserve(&self) -> u64 {
        (self.bytes / 16).clamp(64 << 10, 256 << 20)
    }
}

/// How a journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// When an append counts as durable.
    pub durability: Durability,
    /// Size that a segment file is preallocated with, in bytes. A batch that does not fit an
    /// empty segment gets one of its own size.
    pub segment_bytes: u64,
    /// Longest time that a written record waits for its `fdatasync`.
    pub sync_interval: Duration,
    /// The most disk to use; `None`: as much as there is, and [`WhenFull::Block`] when it is full.
    pub quota: Option<Quota>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            durability: Durability::Os,
            segment_bytes: 64 << 20,
            sync_interval: Duration::from_millis(50),
            quota: None,
        }
    }
}

impl Options {
    /// The size to preallocate: at most an eighth of the quota, so that releasing whole segments
    /// gives room back, and never less than 64 KiB.
    pub(crate) fn segment_size(&self) -> u64 {
        let wanted = self.segment_bytes.max(4 << 10);
        match self.quota {
            Some(quota) => wanted.min((quota.bytes / 8).max(64 << 10)),
            None => wanted,
        }
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        self.quota.map(|q| q.when_full).unwrap_or_default()
    }
}
