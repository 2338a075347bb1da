//! The durable local event log: group-committed segments, readers, recovery.
//!
//! ```text
//!  append ──▶ seal (offset, chain) ──▶ buffer ──pwrite──▶ 00000000000000000000.seg ──▶ Reader
//!               under the lock          │  one for all who came        │
//!                                       │  meanwhile                   ├─ fdatasync every 50 ms (`os`)
//!                                       ▼                              └─ or when somebody waits (`strict`)
//!                                 the appender itself
//! ```
//!
//! Lose no event: what [`Journal::append`] acknowledged survives the process, what
//! [`Journal::durable`] acknowledged under [`Durability::Strict`] survives the machine. What was
//! damaged is reported and kept, never silently cut. `docs/specs/durability.md` has the promises
//! and the bytes.
//!
//! There is **no writer thread**. Whoever appends while nobody writes does the `pwrite`, for itself
//! and for everybody who queued meanwhile (see `append.rs` for the reasons). A thread of the
//! journal's own does what takes milliseconds: `fdatasync`, and reserving the next segment.

#![forbid(unsafe_code)]

mod append;
pub mod clock;
mod core;
mod disk;
mod error;
mod format;
mod journal;
mod lock;
mod options;
mod position;
mod reader;
mod recovery;
mod rescue;
mod scan;
mod segment;
mod shed;
mod stats;
mod sync;
#[cfg(test)]
mod tests;
pub mod tool;

pub use append::Appended;
pub use disk::make_dir;
pub use error::{AppendError, FullReason, OpenError, PositionError, ReadError};
pub use format::MAX_RECORD_BYTES;
pub use journal::{Journal, Released};
pub use options::{Durability, Options, Quota, WhenFull};
pub use position::Positions;
pub use reader::{RawRecord, Reader};
pub use recovery::{Recovery, Torn};
pub use scan::Hole;
pub use stats::Stats;
pub use sync::Durable;
