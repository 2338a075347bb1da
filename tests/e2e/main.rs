//! End to end: the real binary, a real upstream process, real clients.
//!
//! ```text
//!  OpenAI SDKs, raw HTTP ──▶ weir up ──▶ weir demo --upstream-only
//!                              │
//!                weir sql · weir tail · weir lake verify
//! ```
//!
//! Each test has its own data folder and ports. Scripts for the SDKs are in `tests/sdk/`; what they
//! need, `tests/setup.sh` installs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod bytes;
mod cancel;
mod commands;
mod ends;
mod errors;
mod fences;
mod forms;
mod guardrails;
mod harness;
mod history;
mod kept;
mod kill;
mod lifecycle;
mod odd;
mod passing;
mod policies;
mod queries;
mod raw;
mod sdk;
mod streams;
mod surface;
mod trouble;
