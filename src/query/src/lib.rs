//! SQL over the lake: session, tables, functions, named queries and output formats.
//!
//! ```text
//!  SQL ──▶ Engine ──▶ one View of the lake ──▶ events, calls = landed ∪ tail ──▶ rows ──▶ output
//! ```
//!
//! Reading only: whatever would write is refused before it is planned.

#![forbid(unsafe_code)]

mod bounds;
mod engine;
mod error;
mod json;
mod length;
mod named;
pub mod output;
mod pauses;
mod recent;
mod table;
mod threads;
#[cfg(test)]
mod worst;

pub use datafusion::execution::SendableRecordBatchStream;
pub use engine::{Engine, EngineOptions};
pub use error::QueryError;
pub use named::{NamedQuery, named};
