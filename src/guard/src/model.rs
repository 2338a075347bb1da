//! A linear classifier of texts: a byte for each of 2^18 hashed features, summed over windows.
//!
//! ```text
//!  text ─▶ features ─▶ buckets ─▶ Σ weights over the whole text and over each window ─▶ best ─▶ score
//! ```
//!
//! Windows of [`STEP`] and of [`WINDOW`] tokens move by a step, so that an attack weighs the same in a
//! long document as alone. Sums are integers: the score of a text is the same on every machine.

use std::sync::OnceLock;

use serde::Deserialize;

pub mod features;

use features::{BUCKETS, Sink};

/// Tokens by which a window moves.
pub const STEP: usize = 24;
/// Tokens of a window.
pub const WINDOW: usize = 2 * STEP;
/// Added to the length of a window where its sum is scaled, so that a few words prove little.
pub const PRIOR: f32 = 6.0;

/// What a sum over `tokens` tokens is multiplied by.
pub fn norm(tokens: usize) -> f32 {
    1.0 / (tokens as f32 + PRIOR).sqrt()
}

/// Everything about a model but its weights, as the training writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Changes with every training.
    pub version: String,
    /// A weight is its byte times this.
    pub scale: f32,
    /// What a text without a feature has.
    pub bias: f32,
    /// Scores at margins, both rising. Between them a score is interpolated.
    pub calibration: Vec<Point>,
}

/// One row of the calibration table.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The margin: scaled sum and bias.
    pub margin: f32,
    /// The score there.
    pub score: f32,
    /// Share of harmless texts of unseen sources that reach it.
    pub benign: f32,
    /// Share of attacks of unseen sources that reach it.
    pub attacks: f32,
}

/// A trained classifier.
#[derive(Debug)]
pub struct Model {
    weights: Box<[i8]>,
    table: Table,
}

/// What a model thinks of a text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// 0 to 1; 0.5 is where one harmless text in a hundred lies, 0.9 one in a thousand.
    pub score: f32,
    /// The scaled sum behind it.
    pub margin: f32,
    /// First byte of the window that weighs most.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

impl Model {
    /// A model of these parts; `None` if they do not fit together.
    pub fn new(weights: &[u8], table: Table) -> Option<Model> {
        (weights.len() == BUCKETS && !table.calibration.is_empty()).then(|| Model {
            weights: weights.iter().map(|b| b.cast_signed()).collect(),
            table,
        })
    }

    /// The model that Weir ships for attacks on prompts.
    pub fn injection() -> Option<&'static Model> {
        static MODEL: OnceLock<Option<Model>> = OnceLock::new();
        MODEL
            .get_or_init(|| {
                let table = toml::from_str(include_str!("../models/injection.toml")).ok()?;
                Model::new(include_bytes!("../models/injection.i8"), table)
            })
            .as_ref()
    }

    /// Changes with every training.
    pub fn version(&self) -> &str {
        &self.table.version
    }

    /// The least margin of `score`, if the table holds that very score.
    pub fn margin_of(&self, score: f32) -> Option<f32> {
        let mut points = self.table.calibration.iter();
        points.find(|p| p.score == score).map(|p| p.margin)
    }

    /// Memory of the weights, bytes.
    pub fn memory(&self) -> usize {
        self.weights.len()
    }

    /// Judges a text.
    pub fn judge(&self, text: &str) -> Judgement {
        let mut sums = Sums {
            weights: &self.weights,
            scale: self.table.scale,
            all: 0,
            step: 0,
            last: 0,
            tokens: 0,
            starts: [0, 0],
            best: f32::MIN,
            span: (0, text.len()),
        };
        features::visit(text, &mut sums);
        sums.close(text.len());
        let margin = sums.best + self.table.bias;
        Judgement {
            score: self.score(margin),
            margin,
            start: sums.span.0,
            end: sums.span.1,
        }
    }

    /// The score of a margin.
    fn score(&self, margin: f32) -> f32 {
        let points = &self.table.calibration;
        let above = points.partition_point(|p| p.margin <= margin);
        match (above.checked_sub(1).map(|i| points[i]), points.get(above)) {
            (Some(low), Some(high)) => {
                low.score + (high.score - low.score) * (margin - low.margin) / (high.margin - low.margin)
            }
            (Some(last), None) => last.score,
            (None, first) => first.map_or(0.0, |p| p.score),
        }
    }
}

/// The sums of one text under way.
struct Sums<'m> {
    weights: &'m [i8],
    scale: f32,
    /// Of the whole text, of the step at hand, of the step before.
    all: i32,
    step: i32,
    last: i32,
    tokens: usize,
    /// Where the step before and the step at hand start.
    starts: [usize; 2],
    best: f32,
    span: (usize, usize),
}

impl Sums<'_> {
    fn consider(&mut self, sum: i32, tokens: usize, start: usize, end: usize) {
        let value = sum as f32 * self.scale * norm(tokens);
        if value > self.best {
            self.best = value;
            self.span = (start, end);
        }
    }

    /// The text has ended: its last window, and all of it.
    fn close(&mut self, end: usize) {
        let open = self.tokens % STEP;
        self.all += self.step;
        if self.tokens > WINDOW && open > 0 {
            self.consider(self.last + self.step, STEP + open, self.starts[0], end);
        }
        self.consider(self.all, self.tokens, 0, end);
    }
}

impl Sink for Sums<'_> {
    #[inline(always)]
    fn feature(&mut self, bucket: u32) {
        // A bucket is always within the table; the check keeps it so.
        self.step += i32::from(self.weights.get(bucket as usize).copied().unwrap_or_default());
    }

    #[inline(always)]
    fn token(&mut self, end: usize) {
        self.tokens += 1;
        if self.tokens.is_multiple_of(STEP) {
            self.consider(self.step, STEP, self.starts[1], end);
            if self.tokens >= WINDOW {
                self.consider(self.last + self.step, WINDOW, self.starts[0], end);
            }
            self.all += self.step;
            self.last = std::mem::take(&mut self.step);
            self.starts = [self.starts[1], end];
        }
    }
}
