//! SQL over a real lake, in one binary: each test binary links all of DataFusion.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_wrap, reason = "tests count to thousands")]

mod answers;
#[path = "../../../lake/tests/landing/history.rs"]
#[expect(dead_code, reason = "shared with the lake's tests, which use all of it")]
mod history;
mod limits;
mod outputs;
mod world;
