//! Compaction.

/// Size that compaction aims at, bytes.
pub(crate) const TARGET_BYTES: i64 = 256 << 20;
