//! Where a call's time goes.

use std::time::{Duration, Instant};

use event::body::CallEnded;

/// Where a call's time goes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    arrived: Instant,
    guard: Duration,
    queue: Duration,
    upstream: Duration,
    client: Duration,
    first_token: Option<Duration>,
    /// Whom the call waits for now. It may end so: then nobody comes back to say that the wait is over.
    waiting: Option<(Wait, Instant)>,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A connection to the provider.
    Queue,
    /// The provider.
    Upstream,
    /// The app: its body to come in, its socket to take more.
    Client,
}

impl Stopwatch {
    /// Of a call that arrived at `arrived`.
    pub fn new(arrived: Instant) -> Stopwatch {
        let zero = Duration::ZERO;
        Stopwatch {
            arrived,
            guard: zero,
            queue: zero,
            upstream: zero,
            client: zero,
            first_token: None,
            waiting: None,
        }
    }

    /// When the call arrived.
    pub fn arrived(&self) -> Instant {
        self.arrived
    }

    /// Time spent in guardrails.
    pub fn add_guard(&mut self, time: Duration) {
        self.guard += time;
    }

    /// The call waits from now on, and no longer for anything else. Returns since when it waits for this.
    pub fn wait(&mut self, wait: Wait) -> Instant {
        match self.waiting {
            Some((now, since)) if now == wait => since,
            _ => {
                self.stop();
                let now = Instant::now();
                self.waiting = Some((wait, now));
                now
            }
        }
    }

    /// It no longer waits for this, if it did.
    pub fn go_on(&mut self, wait: Wait) {
        if self.waiting.is_some_and(|(now, _)| now == wait) {
            self.stop();
        }
    }

    fn stop(&mut self) {
        if let Some((wait, since)) = self.waiting.take() {
            let time = since.elapsed();
            match wait {
                Wait::Queue => self.queue += time,
                Wait::Upstream => self.upstream += time,
                Wait::Client => self.client += time,
            }
        }
    }

    /// The first piece of the answer leaves; later calls change nothing.
    pub fn mark_first_token(&mut self) {
        self.first_token.get_or_insert_with(|| self.arrived.elapsed());
    }

    /// The call ends now.
    pub fn close(&mut self, ended: &mut CallEnded) {
        self.stop();
        let total = self.arrived.elapsed();
        let waited = self.queue + self.upstream + self.client;
        ended.latency.total_ns = nanos(total);
        ended.latency.guard_ns = nanos(self.guard);
        ended.latency.queue_ns = nanos(self.queue);
        ended.latency.upstream_ns = nanos(self.upstream);
        ended.latency.self_ns = nanos(total.saturating_sub(waited));
        ended.time_to_first_token_ns = self.first_token.map(nanos);
    }
}

/// In whole nanoseconds.
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_nobody_ended_is_a_wait() {
        let arrived = Instant::now();
        let mut time = Stopwatch::new(arrived);
        let since = time.wait(Wait::Upstream);
        time.go_on(Wait::Client);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(time.wait(Wait::Upstream), since, "it still waits for the same");
        let mut ended = CallEnded::default();
        time.close(&mut ended);
        let latency = &ended.latency;
        assert!(latency.upstream_ns >= 30_000_000, "{latency:?}");
        assert!(latency.self_ns + latency.upstream_ns <= latency.total_ns, "{latency:?}");
    }
}
