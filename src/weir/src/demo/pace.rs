//! Made-up latencies: small, and the same for the same prompt.

use std::time::Duration;

use super::directives::Directives;
use super::seed::Seed;

/// How fast the demo's model speaks.
#[derive(Debug)]
pub struct Pace {
    seed: Seed,
    fixed: Option<Duration>,
}

impl Pace {
    pub fn new(prompt: &str, directives: &Directives) -> Self {
        Self {
            seed: Seed::of(prompt.as_bytes()),
            fixed: directives.millis("delay_ms"),
        }
    }

    /// From the request to the answer's head.
    pub fn first(&mut self, directives: &Directives) -> Duration {
        let made_up = if self.fixed.is_some() {
            0
        } else {
            8 + self.seed.below(30)
        };
        directives.millis("ttft_ms").unwrap_or(Duration::from_millis(made_up))
    }

    /// Between two tokens.
    pub fn token(&mut self) -> Duration {
        let made_up = Duration::from_micros(800 + self.seed.below(1_500));
        self.fixed.unwrap_or(made_up)
    }

    /// For an answer of so many tokens at once.
    pub fn tokens(&mut self, count: u64) -> Duration {
        let made_up = Duration::from_micros(count.saturating_mul(400).min(60_000));
        self.fixed.unwrap_or(made_up)
    }
}
