//! What each provider speaks: dialects, SSE, catalog, prices, token counts. Pure: bytes in, bytes out.
//!
//! ```text
//!  request bytes ──openai::request──▶ View (parameters, text spans) ──edits──▶ json::splice ──▶ bytes
//!  answer bytes ───openai::response─▶ View (texts, finish reasons, usage)
//!  stream bytes ───sse::Decoder──▶ Frame ──openai::stream──▶ ChunkView ──▶ Assembler ──▶ whole message
//!  usage ──────────prices::Price──▶ cost          text ──tokens──▶ estimate
//! ```
//!
//! Nothing here builds a tree of a document that passes through. One validating pass over the raw
//! text records *spans*: where each piece of free text lies and what it says. Whoever changes a
//! text splices a new literal over its span, and every other byte stays as the client sent it.

#![forbid(unsafe_code)]

pub mod catalog;
pub mod form;
pub mod json;
pub mod openai;
pub mod prices;
pub mod sse;
pub mod tokens;
pub mod usage;

pub use json::{JsonError, Role, TextSpan};
