//! What can go wrong, where, and what to do.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::is_full;
use crate::scan::Hole;

/// Why a journal did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has the folder.
    #[error(
        "the journal {path} is in use by another process{}: stop it, or choose another data folder",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    InUse {
        /// The journal's folder.
        path: PathBuf,
        /// The other process, if its lock file says.
        pid: Option<u32>,
    },
    /// The folder cannot be written.
    #[error(
        "the journal {path} cannot be written ({source}): give this user write access, or choose another data folder"
    )]
    NotWritable {
        /// The journal's folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room for the first segment.
    #[error("no disk space for the journal {path}: free some, or choose another data folder")]
    NoSpace {
        /// The journal's folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Both copies of the newest segment's header are unreadable, so the next offset is unknown;
    /// guessing it could give one offset to two events.
    #[error(
        "segment {path} has no readable header ({reason}): run `weir journal verify`, then move the whole folder away: a new journal begins, and `weir journal export` reads what the old one holds"
    )]
    Damaged {
        /// The segment file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A folder holds segments of two journals.
    #[error(
        "segment {path} belongs to journal {found}, the newest one to {expected}: two journals were mixed in one folder, separate them"
    )]
    Mixed {
        /// The odd segment file.
        path: PathBuf,
        /// Its journal.
        found: event::JournalId,
        /// The journal of the newest segment.
        expected: event::JournalId,
    },
    /// Something else failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl OpenError {
    pub(crate) fn of(action: &'static str, path: &std::path::Path, source: io::Error) -> OpenError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                OpenError::NotWritable { path, source }
            }
            _ if is_full(&source) => OpenError::NoSpace { path, source },
            _ => OpenError::Io { action, path, source },
        }
    }
}

/// What is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FullReason {
    /// The configured quota.
    Quota,
    /// The file system.
    Disk,
}

impl FullReason {
    /// As the `journal.shed` event names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            FullReason::Quota => "quota",
            FullReason::Disk => "disk_full",
        }
    }
}

/// Why a batch is not (known to be) in the journal.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// There is no room; nothing of the batch was recorded. It may be tried again once consumers
    /// have caught up and [`crate::Journal::release`] has freed segments.
    #[error("the journal {path} is full ({}, {used} bytes used): raise the quota or let consumers catch up", reason.as_str())]
    Full {
        /// What is used up.
        reason: FullReason,
        /// The journal's folder.
        path: PathBuf,
        /// Bytes in use.
        used: u64,
    },
    /// There is no room and the policy is [`crate::WhenFull::Shed`]: the batch was dropped and
    /// counted. Not a reason to fail a call.
    #[error("{events} events shed: the journal is full ({})", reason.as_str())]
    Shed {
        /// How many events the batch had.
        events: u64,
        /// What is used up.
        reason: FullReason,
    },
    /// A record is larger than [`crate::MAX_RECORD_BYTES`]; nothing of the batch was recorded.
    #[error("an event of {bytes} bytes is larger than a record may be ({limit})")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        limit: usize,
    },
    /// The device failed, and writing to a new segment failed as well.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// An `fdatasync` failed and what it covered could not be saved to a new segment: those
    /// records may be lost in a power cut. Appends are refused until a new segment holds them.
    #[error("the journal {path} cannot reach its device ({source}): check the disk")]
    Poisoned {
        /// The journal's folder.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The journal was closed before the record was known to be durable.
    #[error("the journal was closed")]
    Closed,
}

impl AppendError {
    pub(crate) fn of(action: &'static str, path: &std::path::Path, used: u64, source: io::Error) -> AppendError {
        let path = path.to_owned();
        match source.kind() {
            _ if is_full(&source) => AppendError::Full {
                reason: FullReason::Disk,
                path,
                used,
            },
            _ => AppendError::Io {
                action,
                path,
                source: Arc::new(source),
            },
        }
    }
}

/// Why a reader has no records to give.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// These records are damaged or missing. The reader stands after them: reading on continues
    /// with the next good record.
    #[error("{0}")]
    Corrupt(Hole),
    /// A record passed its checksum but is not an event. The reader stands after it; its bytes
    /// are to be had from [`crate::Reader::next_raw_batch`].
    #[error("record {offset} is not an event: {source}")]
    Record {
        /// Its offset.
        offset: i64,
        /// What is wrong with it.
        source: event::DecodeError,
    },
    /// The records were released: every consumer had them.
    #[error("offset {from} was released: the journal begins at {first}")]
    Released {
        /// The offset asked for.
        from: i64,
        /// The first one there is.
        first: i64,
    },
    /// The journal has not come that far.
    #[error("offset {from} is beyond the journal's end {end}")]
    Beyond {
        /// The offset asked for.
        from: i64,
        /// The next offset to be written.
        end: i64,
    },
    /// There is no journal in this folder.
    #[error("no journal in {path}: it has no segment file")]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// A read failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ReadError {
    pub(crate) fn of(action: &'static str, path: &std::path::Path, source: io::Error) -> ReadError {
        ReadError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why a consumer's position was not stored, or segments were not released.
#[derive(Debug, thiserror::Error)]
pub enum PositionError {
    /// Names are 1 to 64 of `a-z 0-9 . _ -`, beginning with a letter or digit.
    #[error("`{name}` is no name for a position: use 1 to 64 of a-z 0-9 . _ -")]
    Name {
        /// The name given.
        name: String,
    },
    /// The position is not within the journal.
    #[error("position {offset} of {name} is not within the journal, which ends at {end}")]
    Range {
        /// The consumer.
        name: String,
        /// The position given.
        offset: i64,
        /// The next offset to be written.
        end: i64,
    },
    /// The records before the position could not be made durable.
    #[error("records before the position are not durable: {0}")]
    Sync(#[from] AppendError),
    /// A file operation failed; the stored position is the earlier one.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PositionError {
    pub(crate) fn of(action: &'static str, path: &std::path::Path, source: io::Error) -> PositionError {
        PositionError::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}
