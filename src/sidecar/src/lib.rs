//! The proxy: one call's life from socket to socket, and routing, recording and metrics around it.
//!
//! ```text
//!  server ─▶ service ─▶ call ─▶ upstream
//!                        │ every step is an event
//!                        ▼
//!                     journal
//! ```

#![forbid(unsafe_code)]

mod body;
mod call;
pub mod config;
mod encoding;
mod error;
mod headers;
pub mod metrics;
mod open_calls;
mod policies;
mod route;
mod server;
mod service;
mod shared;
mod snapshot;
mod spread;
mod upstream;

pub use error::{CallError, Fault, StartError};
pub use open_calls::{POSITION as OPEN_CALLS_POSITION, recover};
pub use policies::{Apply, Facts, Policies};
pub use route::{Route, Routes, matches as name_fits};
pub use server::{Running, start};
pub use shared::{Companion, RecordError, Shared};
pub use snapshot::{Limits, Owner, Parts, Snapshot, hash_key};
pub use upstream::Target;
