//! The vocabulary: event types, envelope, ids, money, and the fold of events into a [`Call`]. Pure.
//!
//! ```text
//!  Draft ──(journal gives offset and chain)──▶ Record ──decode──▶ Event ──apply──▶ Call
//! ```
//!
//! A [`Draft`] is a fact as its producer states it. The journal seals it into a [`Record`]: the
//! draft's bytes, unchanged, plus its place in the journal and the hash chain. Everything that
//! shows a call shows the one fold, [`Call::apply`].

#![forbid(unsafe_code)]

pub mod body;
mod call;
mod chain;
mod envelope;
mod error;
mod id;
mod json;
mod money;
pub mod schema;
pub mod text;
mod usage;

pub use body::{Body, EventType};
pub use call::{Applied, Call, Status};
pub use chain::{Chain, Digest};
pub use envelope::{Draft, Envelope, Event, Record, Scope, VERSION};
pub use error::DecodeError;
pub use id::{CallId, EventId, JournalId};
pub use json::Json;
pub use money::NanoUsd;
pub use usage::{Usage, UsageSource};
