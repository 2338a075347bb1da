//! The wall clock, for what people read: nothing is ordered by it, and it may jump.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01 UTC; 0 before that.
#[must_use]
pub fn unix_nano() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Less than this is a clock being set right, or two looks that were not quite at once.
const TOLERANCE_NS: i64 = 2_000_000_000;

/// Tells when the wall clock has moved by itself: it is held against a clock that nobody sets.
#[derive(Debug)]
pub struct Watch {
    steady: Steady,
    /// Wall clock less the steady one, ns.
    apart: i64,
}

/// A clock that nobody sets. The system's uptime counts the time, too, in which the machine slept.
#[derive(Debug)]
enum Steady {
    Uptime,
    Since(Instant),
}

impl Default for Watch {
    fn default() -> Watch {
        let steady = match Steady::Uptime.now() {
            Some(_) => Steady::Uptime,
            None => Steady::Since(Instant::now()),
        };
        let apart = unix_nano().saturating_sub(steady.now().unwrap_or_default());
        Watch { steady, apart }
    }
}

impl Steady {
    /// Nanoseconds since some moment; `None` if it cannot be told now.
    fn now(&self) -> Option<i64> {
        let steady = match self {
            Steady::Since(begun) => begun.elapsed(),
            Steady::Uptime => {
                let text = std::fs::read_to_string("/proc/uptime").ok()?;
                let seconds = text.split(' ').next()?.parse::<f64>().ok()?;
                Duration::try_from_secs_f64(seconds).ok()?
            }
        };
        i64::try_from(steady.as_nanos()).ok()
    }
}

impl Watch {
    /// How far the wall clock has jumped since the last look, ns: ahead, or back if negative.
    pub fn jumped(&mut self) -> Option<i64> {
        let before = self.steady.now()?;
        let wall = unix_nano();
        // Stopped between the two: the next look tells.
        let at_once = self.steady.now()?.saturating_sub(before) < TOLERANCE_NS / 4;
        at_once.then(|| self.look(wall, before)).flatten()
    }

    fn look(&mut self, wall: i64, steady: i64) -> Option<i64> {
        let apart = wall.saturating_sub(steady);
        let jumped = apart.saturating_sub(std::mem::replace(&mut self.apart, apart));
        (jumped.saturating_abs() > TOLERANCE_NS).then_some(jumped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_are_told_once_and_drift_is_not() {
        const SECOND: i64 = 1_000_000_000;
        let mut watch = Watch::default();
        assert_eq!(watch.jumped(), None);
        watch.apart = 0;
        assert_eq!(watch.look(5 * SECOND, 5 * SECOND), None);
        assert_eq!(watch.look(11 * SECOND, 10 * SECOND), None, "set right by a second");
        assert_eq!(watch.look(3_615 * SECOND, 15 * SECOND), Some(3_599 * SECOND));
        assert_eq!(watch.look(3_620 * SECOND, 20 * SECOND), None);
        assert_eq!(watch.look(-10 * SECOND, 25 * SECOND), Some(-3_635 * SECOND));
    }
}
