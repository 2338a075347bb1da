//! The windows of a text: runs of steps, of which the one that weighs most for its length counts.
//!
//! ```text
//!  steps   │ 24 tokens │ 24 │ 24 │ 24 │ ...         at the end of each: windows of 1, 2, 4 .. DEPTH
//! ```
//!
//! No window is larger than [`LARGEST`] tokens: what little speaks against a harmless sentence must not
//! add up over a long text. A text that is shorter is a window as a whole.

/// Tokens by which a window moves.
pub const STEP: usize = 24;
/// Steps of the largest window.
pub const DEPTH: usize = 4;
/// Tokens of the largest window.
pub const LARGEST: usize = STEP * DEPTH;
/// Added to the length of a window where its sum is scaled, so that a few words prove little.
const PRIOR: f32 = 24.0;

/// What a sum over `tokens` tokens is multiplied by.
pub fn norm(tokens: usize) -> f32 {
    1.0 / (tokens as f32 + PRIOR).sqrt()
}

/// The window that weighs most so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// Its sum, scaled for its length.
    pub value: f32,
    /// What its sum was multiplied by.
    pub norm: f32,
    /// Where it starts.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// The windows of one text under way. Places are whatever the caller counts in.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Sums of the last steps, and where each starts; the last one first.
    sums: [f32; DEPTH],
    starts: [usize; DEPTH],
    /// Steps so far, at most [`DEPTH`].
    steps: usize,
    /// Where the step at hand starts.
    from: usize,
    norms: [f32; DEPTH],
    best: Best,
}

impl Default for Windows {
    fn default() -> Windows {
        Windows {
            sums: [0.0; DEPTH],
            starts: [0; DEPTH],
            steps: 0,
            from: 0,
            norms: std::array::from_fn(|i| norm((i + 1) * STEP)),
            best: Best {
                value: f32::MIN,
                norm: 0.0,
                start: 0,
                end: 0,
            },
        }
    }
}

impl Windows {
    fn consider(&mut self, sum: f32, norm: f32, start: usize, end: usize) {
        let value = sum * norm;
        if value > self.best.value {
            self.best = Best {
                value,
                norm,
                start,
                end,
            };
        }
    }

    /// A step of [`STEP`] tokens ends at `end`.
    pub fn step(&mut self, sum: f32, end: usize) {
        self.sums.copy_within(..DEPTH - 1, 1);
        self.starts.copy_within(..DEPTH - 1, 1);
        (self.sums[0], self.starts[0]) = (sum, self.from);
        self.steps = (self.steps + 1).min(DEPTH);
        self.from = end;
        let mut total = 0.0;
        for i in 0..self.steps {
            total += self.sums[i];
            if (i + 1).is_power_of_two() {
                self.consider(total, self.norms[i], self.starts[i], end);
            }
        }
    }

    /// The text ends at `end`, `open` tokens after the last step.
    pub fn close(mut self, sum: f32, open: usize, end: usize) -> Best {
        if self.steps == 0 {
            self.consider(sum, norm(open), 0, end);
            return self.best;
        }
        let mut total = sum;
        for i in 0..self.steps.min(DEPTH - 1) {
            total += self.sums[i];
            // The windows that the end cuts short, and the whole text if it is no larger.
            if (i + 2).is_power_of_two() || i + 1 == self.steps {
                self.consider(total, norm((i + 1) * STEP + open), self.starts[i], end);
            }
        }
        self.best
    }
}
