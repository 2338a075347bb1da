//! Landing: events to Arrow to Delta, exactly once; projection, compaction, retention.
//!
//! ```text
//!  Source ──▶ Lander ──▶ files ──fsync──▶ commit Add + txn(next) ──▶ events ──▶ calls
//!               │                                                      │          │
//!               └── Tail: rows not landed yet ── one swap ── Snapshot ──┴──────────┘──▶ SQL
//! ```
//!
//! The protocol and its promises are in `docs/specs/landing.md`.

#![forbid(unsafe_code)]

mod batch;
mod commit;
mod compact;
mod decode;
mod encode;
mod error;
mod failpoint;
mod files;
mod fold;
mod lander;
mod landing;
mod scan;
pub mod schema;
pub mod source;
mod store;
mod tail;

pub use error::LakeError;
pub use lander::{LandOptions, Lander, LanderHandle, LanderStatus};
pub use schema::TableKind;
pub use store::{Lake, Snapshot, Table};
pub use tail::{TableView, Tail, View};
