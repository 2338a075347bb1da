//! Landing end to end, in one binary: each test binary links all of DataFusion.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_wrap, reason = "tests count to thousands")]

mod devices;
#[path = "../../../../tests/kafka/disk.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod disk;
mod forgets;
mod full;
mod history;
mod judge;
mod kills;
mod lands;
mod proves;
mod races;
mod restored;
mod sizes;
mod stops;
