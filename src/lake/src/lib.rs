//! Landing: events to Arrow to Delta, exactly once; projection, compaction, retention.
//!
//! ```text
//!  Source ──▶ Lander ──▶ files ──fsync──▶ commit Add + txn(next) ──▶ events ──▶ calls
//!               │                                                      │          │
//!               └── Tail: rows not landed yet ── one swap ── Snapshot ──┴──────────┘──▶ SQL
//! ```
//!
//! The protocol and its promises are in `docs/specs/landing.md`. Everything here runs on a
//! multi-threaded tokio runtime; what takes CPU or disk time runs on its blocking threads.

#![forbid(unsafe_code)]

mod arena;
mod batch;
mod commit;
mod compact;
mod decode;
mod disk;
mod encode;
mod erase;
mod error;
mod failpoint;
mod files;
mod fold;
pub mod journal_source;
mod kafka_source;
mod lander;
mod landing;
mod maintain;
mod offline;
mod rebuild;
mod retention;
mod scan;
pub mod schema;
pub mod source;
mod spill;
mod stats;
mod status;
mod store;
mod tail;
mod tombstone;
mod torn;
mod txns;
mod verify;

pub use compact::{CompactReport, compact};
pub use erase::{EraseReport, Whose, erase};
pub use error::LakeError;
pub use journal_source::JournalSource;
pub use kafka_source::KafkaSource;
pub use lander::{LandOptions, Lander, LanderHandle, LanderStatus};
pub use maintain::{MaintainOptions, compact_now, maintain};
pub use rebuild::{RebuildReport, rebuild};
pub use retention::{ExpireReport, expire};
pub use schema::TableKind;
pub use status::{JournalStatus, LakeStatus, TableStatus};
pub use store::{Lake, Snapshot, Table};
pub use tail::{TableView, Tail, View};
pub use tombstone::{ERASED, EXPIRED};
pub use verify::{CallsReport, JournalReport, Problem, Range, Report, TailReport, verify};
