//! Kafka: the shipper from journal to topic, the source from topic to lander.
//!
//! ```text
//!  Journal ──Shipper──▶ topic weir.events.v1, partition by journal ──Intake──▶ Lander (crate lake)
//!             │  position stored after the delivery report        │  positions kept by the table
//!             └─ a call never waits for it                        └─ partitions shared by Membership
//! ```
//!
//! A journal's records stay in order in one partition. Each may be in the topic more than once, and
//! none before all that precede it: whoever reads drops what it has by `(journal_id, offset)` and
//! sees every other jump as a loss. `docs/specs/kafka.md` has the promises and the bytes.

#![forbid(unsafe_code)]

mod client;
mod error;
mod inflight;
mod intake;
mod membership;
mod parts;
mod progress;
mod settings;
mod shipper;
mod topic;
mod wire;

pub use error::StreamError;
pub use intake::{Arrival, Broken, Intake, What};
pub use membership::Membership;
pub use progress::{Progress, ShipperStatus};
pub use settings::{Compression, Mechanism, Protocol, Security, Settings};
pub use shipper::{POSITION, Shipper};
