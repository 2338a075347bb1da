//! What can go wrong in the lake, and what to do about it.

use std::io::ErrorKind;

use event::JournalId;

use crate::source::SourceError;

/// Why landing, reading or tending the lake failed.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// No lake at this place.
    #[error("no lake at {0}: it is created when events first land, by `weir up`")]
    NotFound(String),
    /// The table's columns are not those this version writes.
    #[error("table {table} at {location} has no column {column}: it was written by another version of Weir")]
    Schema {
        /// The table.
        table: &'static str,
        /// Where it lies.
        location: String,
        /// The column that is missing.
        column: String,
    },
    /// The table asks for what this version does not know.
    #[error(
        "table {table} at {location} was written by a newer version ({what}): upgrade Weir here. It is left as it is; the source keeps what has not landed"
    )]
    Newer {
        /// The table.
        table: &'static str,
        /// Where it lies.
        location: String,
        /// What is not known.
        what: String,
    },
    /// An entry of a table's log cannot be read, and so nothing that came after it.
    #[error("table {table}: {path} is damaged, line {line}: {what}. {}", torn_advice(*newest))]
    Torn {
        /// The table.
        table: &'static str,
        /// The entry.
        path: String,
        /// Its first line that is no JSON.
        line: usize,
        /// What is wrong with it.
        what: String,
        /// Whether no other entry comes after it.
        newest: bool,
    },
    /// Records are missing between what landed and what came next. Nothing lands until this is
    /// resolved: history would have a hole that nobody sees.
    #[error("journal {journal}: offset {expected} should come next but {found} came: {} records are missing", .found - .expected)]
    Gap {
        /// The journal.
        journal: JournalId,
        /// The offset that was due.
        expected: i64,
        /// The offset that came.
        found: i64,
    },
    /// The protocol's own assertion failed: nothing was committed.
    #[error("landing refused, {what}: expected {expected}, found {found}")]
    Assertion {
        /// What was checked.
        what: &'static str,
        /// What had to be.
        expected: i64,
        /// What was.
        found: i64,
    },
    /// Another lander, or another run of the same work, committed first. Nothing of this commit is
    /// in the table: reload and redo.
    #[error("table {table}: another writer committed first, nothing was written: {source}")]
    Conflict {
        /// The table.
        table: &'static str,
        /// Delta's own words.
        source: deltalake::DeltaTableError,
    },
    /// Another lander has landed what this one had read. Nothing of ours is in the table: reload.
    #[error("partition {partition} has landed up to {theirs} elsewhere while we stood at {ours}")]
    Overtaken {
        /// The partition.
        partition: String,
        /// Where this lander stood.
        ours: i64,
        /// Where the table stands.
        theirs: i64,
    },
    /// A row of `events` does not rebuild its event.
    #[error("events row {journal}/{offset} is damaged: {what}")]
    Row {
        /// The journal.
        journal: String,
        /// The offset.
        offset: i64,
        /// What is wrong.
        what: String,
    },
    /// The source of events failed.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Delta's own error.
    #[error("delta table: {0}")]
    Delta(#[from] deltalake::DeltaTableError),
    /// Arrow's own error.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet's own error.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// DataFusion's own error.
    #[error("reading the lake: {0}")]
    Read(#[from] datafusion::error::DataFusionError),
    /// The object store's own error.
    #[error("object store: {0}")]
    Store(#[from] object_store::Error),
    /// A file could not be written or made durable.
    #[error("{path}: {source}{}", advice(source))]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The request of an open call was put into a file and does not come back. Landing begins again from
    /// the tables, which have it.
    #[error("the request of an open call cannot be read back: {0}")]
    Request(#[source] std::io::Error),
    /// A background task died.
    #[error("a background task failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// The lander has stopped.
    #[error("the lander has stopped: {0}")]
    Stopped(String),
    /// Something that should not be.
    #[error("{0}")]
    Internal(String),
}

impl LakeError {
    /// Whether trying again cannot help: somebody must look.
    #[must_use]
    pub fn is_alarm(&self) -> bool {
        matches!(
            self,
            LakeError::Gap { .. }
                | LakeError::Assertion { .. }
                | LakeError::Schema { .. }
                | LakeError::Newer { .. }
                | LakeError::Row { .. }
                | LakeError::Source(SourceError::Cut { .. } | SourceError::Damaged { .. })
        )
    }

    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> LakeError {
        LakeError::Io {
            path: path.display().to_string(),
            source,
        }
    }
}

/// What to do about a damaged log entry.
fn torn_advice(newest: bool) -> &'static str {
    if newest {
        "If the machine lost its power while this was written, move the file out of the folder (and keep it): what it names was not yet forgotten by its source and lands again. `weir lake verify` shows whether anything is missing"
    } else {
        "Other entries build on it: restore the file from a backup"
    }
}

/// What to do about it, where somebody can.
fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
            ": Weir must be able to write there. Until it is, nothing lands and the source keeps everything"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            ": make room there. Until there is some, nothing lands and the source keeps everything"
        }
        _ => "",
    }
}
