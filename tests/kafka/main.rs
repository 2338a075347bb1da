//! End to end over Kafka: real sidecars, a real broker, real analytics.
//!
//! ```text
//!  clients ──▶ weir sidecar ──▶ (proxy) ──▶ Apache Kafka ──▶ weir analytics ──▶ Delta tables
//!                                                                 weir sql · weir lake verify · DuckDB
//! ```
//!
//! `kafka.sh` fetches and runs the broker; each test has one of its own.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod broker;
mod chaos;
mod disk;
mod faults;
#[path = "../e2e/harness.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod harness;
mod path;
mod proxy;
#[path = "../e2e/raw.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod raw;
mod refuse;
mod scene;
#[path = "../e2e/sdk.rs"]
#[expect(dead_code, reason = "shared with the other end-to-end tests")]
mod sdk;
mod secure;
mod share;
mod trouble;
