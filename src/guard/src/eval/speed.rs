//! How long scans took.

use serde::Serialize;

use super::row::Row;

/// Rows shorter than this say nothing about speed, bytes: their time is the clock's.
const LEAST_TIMED: usize = 256;

/// µs of scanning for each 2 KiB of text.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speed {
    /// Rows that were timed.
    pub rows: u64,
    /// Median over the rows.
    pub p50: f64,
    /// 99th percentile over the rows.
    pub p99: f64,
    /// All the time through all the text.
    pub mean: f64,
}

/// Speed by what the text is written in.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speeds {
    /// Every row of 256 bytes and more.
    pub all: Option<Speed>,
    /// Harmless prompts, nine bytes in ten ASCII.
    pub prompts_ascii: Option<Speed>,
    /// Harmless prompts, less of them ASCII: Chinese, Japanese, Russian and so on.
    pub prompts_other: Option<Speed>,
}

#[derive(Default)]
struct Times {
    each: Vec<f64>,
    micros: f64,
    bytes: usize,
}

impl Times {
    fn add(&mut self, micros: f64, bytes: usize) {
        self.each.push(micros * 2048.0 / bytes as f64);
        self.micros += micros;
        self.bytes += bytes;
    }

    fn finish(mut self) -> Option<Speed> {
        self.each.sort_by(f64::total_cmp);
        let at = |share: f64| self.each.get((self.each.len() as f64 * share) as usize).copied();
        Some(Speed {
            rows: self.each.len() as u64,
            p50: at(0.5)?,
            p99: at(0.99)?,
            mean: self.micros * 2048.0 / self.bytes as f64,
        })
    }
}

/// Gathers the times, row by row.
#[derive(Default)]
pub(super) struct Clock {
    all: Times,
    ascii: Times,
    other: Times,
}

impl Clock {
    pub(super) fn take(&mut self, row: &Row, is_prompt: bool, micros: f64) {
        let bytes = row.text.len();
        if bytes < LEAST_TIMED {
            return;
        }
        self.all.add(micros, bytes);
        if is_prompt {
            let ascii = row.text.bytes().filter(u8::is_ascii).count();
            let times = if 10 * ascii >= 9 * bytes {
                &mut self.ascii
            } else {
                &mut self.other
            };
            times.add(micros, bytes);
        }
    }

    pub(super) fn finish(self) -> Speeds {
        Speeds {
            all: self.all.finish(),
            prompts_ascii: self.ascii.finish(),
            prompts_other: self.other.finish(),
        }
    }
}
