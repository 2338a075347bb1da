//! What every role looks at now and then: the wall clock, and memory that can go back to the system.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use journal::clock::Watch;
use sidecar::Companion;
use sidecar::metrics::extra::written;

use crate::allocator;

/// How often.
const EVERY: Duration = Duration::from_secs(2);

/// The wall clock, as `/metrics` tells of it. The looking ends when nobody holds it any more.
#[derive(Default)]
pub struct Clock {
    jumps: AtomicU64,
}

/// Begins to look.
pub fn start() -> Arc<Clock> {
    let clock = Arc::new(Clock::default());
    let held = Arc::downgrade(&clock);
    let started = std::thread::Builder::new()
        .name("weir-ticker".to_owned())
        .spawn(move || {
            let mut watch = Watch::default();
            loop {
                std::thread::sleep(EVERY);
                let Some(clock) = held.upgrade() else { return };
                if let Some(jumped) = watch.jumped() {
                    clock.jumps.fetch_add(1, Ordering::Relaxed);
                    tell(jumped);
                }
                allocator::give_back();
            }
        });
    if let Err(error) = started {
        tracing::warn!(%error, "nobody watches the system's clock");
    }
    clock
}

fn tell(jumped: i64) {
    let seconds = jumped / 1_000_000_000;
    let way = if seconds < 0 { "back" } else { "ahead" };
    tracing::warn!(
        seconds = seconds.abs(),
        "the system's clock has jumped {way}: what is recorded from now on has its time. Nothing is lost by it, and no duration is wrong; see that the machine keeps the time (NTP)"
    );
}

impl Companion for Clock {
    fn metrics(&self) -> String {
        let jumps = self.jumps.load(Ordering::Relaxed);
        written(&[(
            "weir_clock_jumps",
            "counter",
            "How often the system's clock was set by more than two seconds",
            jumps.into(),
        )])
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}
