//! A linear classifier of texts: a byte for each of 2^18 hashed features, summed over windows.
//!
//! ```text
//!  text ─▶ features ─▶ buckets ─▶ Σ weights over each window ─▶ best ─▶ less, if there were many ─▶ score
//! ```
//!
//! Windows move by a step, so that an attack weighs the same in a long document as alone. What a text
//! repeats counts once. Of many windows one will look bad by chance: the margin that a long text needs
//! grows with its length. Sums are of whole numbers: the score of a text is the same on every machine.

use std::sync::OnceLock;

use serde::Deserialize;

pub mod features;
pub mod windows;

use features::{BUCKETS, Both, Feature, Sink, bucket};
use windows::{Best, LARGEST, STEP, Windows};

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
    /// What the margin of a long text loses, by its length, both rising. Between them it is interpolated.
    pub lengths: Vec<Loss>,
    /// Scores at margins, both rising. Between them a score is interpolated.
    pub calibration: Vec<Point>,
}

/// What the margin of a text of some length loses: of many windows, one looks bad by chance.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// The length.
    pub tokens: usize,
    /// What is taken from the margin.
    pub loss: f32,
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
    weights: Box<[i8; BUCKETS]>,
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
        let rises = table.lengths.windows(2).all(|p| p[0].tokens < p[1].tokens);
        let rises = rises && table.lengths.first().is_none_or(|l| l.tokens > LARGEST);
        let weights: Box<[i8]> = weights.iter().map(|b| b.cast_signed()).collect();
        let weights = weights.try_into().ok()?;
        (!table.calibration.is_empty() && rises).then_some(Model { weights, table })
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
            step: 0,
            steps: 0,
            open: 0,
            windows: Windows::default(),
        };
        features::visit(text, &mut sums);
        let best = sums.windows.close(sums.step as f32, sums.open, text.len());
        self.judged(best, sums.steps * STEP + sums.open)
    }

    /// Judges a text as it is and as its first view reads, each with places of its own; `None` if it takes two passes.
    pub(crate) fn judge_both(&self, text: &str) -> Option<[Judgement; 2]> {
        let mut sums = SumsOfBoth {
            weights: &self.weights,
            step: [0; 2],
            steps: 0,
            open: 0,
            windows: [Windows::default(), Windows::default()],
        };
        let view = features::visit_both(text, &mut sums)?;
        let tokens = sums.steps * STEP + sums.open;
        let [plain, folded] = sums.windows;
        let plain = plain.close(sums.step[0] as f32, sums.open, text.len());
        let folded = folded.close(sums.step[1] as f32, sums.open, view);
        Some([self.judged(plain, tokens), self.judged(folded, tokens)])
    }

    /// What the best window of a text of so many tokens makes of it.
    fn judged(&self, best: Best, tokens: usize) -> Judgement {
        let margin = best.value * self.table.scale + self.table.bias - loss(&self.table.lengths, tokens);
        Judgement {
            score: self.score(margin),
            margin,
            start: best.start,
            end: best.end,
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

/// What the margin of a text of so many tokens loses. A text of one window loses nothing.
pub fn loss(lengths: &[Loss], tokens: usize) -> f32 {
    let mut below = Loss {
        tokens: LARGEST,
        loss: 0.0,
    };
    for &above in lengths {
        if tokens < above.tokens {
            let part = tokens.saturating_sub(below.tokens) as f32 / (above.tokens - below.tokens) as f32;
            return below.loss + (above.loss - below.loss) * part;
        }
        below = above;
    }
    below.loss
}

/// The sums of one text under way.
struct Sums<'m> {
    weights: &'m [i8; BUCKETS],
    step: i32,
    /// Steps so far, and tokens after them.
    steps: usize,
    open: usize,
    windows: Windows,
}

impl Sink for Sums<'_> {
    #[inline(always)]
    fn feature(&mut self, feature: Feature) {
        // A bucket is always within the table; the remainder says so to the compiler.
        self.step += i32::from(self.weights[bucket(feature) as usize % BUCKETS]);
    }

    #[inline(always)]
    fn token(&mut self, end: usize) {
        self.open += 1;
        if self.open == STEP {
            (self.open, self.steps) = (0, self.steps + 1);
            self.windows.step(std::mem::take(&mut self.step) as f32, end);
        }
    }
}

/// The same for both readings of a text.
struct SumsOfBoth<'m> {
    weights: &'m [i8; BUCKETS],
    step: [i32; 2],
    steps: usize,
    open: usize,
    windows: [Windows; 2],
}

impl Both for SumsOfBoth<'_> {
    #[inline(always)]
    fn feature(&mut self, feature: Feature) {
        let weight = i32::from(self.weights[bucket(feature) as usize % BUCKETS]);
        self.step.iter_mut().for_each(|step| *step += weight);
    }

    #[inline(always)]
    fn apart(&mut self, reading: usize, feature: Feature) {
        self.step[reading] += i32::from(self.weights[bucket(feature) as usize % BUCKETS]);
    }

    #[inline(always)]
    fn token(&mut self, ends: [usize; 2]) {
        self.open += 1;
        if self.open == STEP {
            (self.open, self.steps) = (0, self.steps + 1);
            let windows = self.windows.iter_mut().zip(ends);
            for ((windows, end), step) in windows.zip(std::mem::take(&mut self.step)) {
                windows.step(step as f32, end);
            }
        }
    }
}
