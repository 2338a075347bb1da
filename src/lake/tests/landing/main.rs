//! Landing end to end, in one binary: each test binary links all of DataFusion.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod history;
mod lands;
