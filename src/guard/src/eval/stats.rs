//! Counts, ratios, intervals, thresholds.

use serde::Serialize;

/// Counts of right and wrong answers, and the ratios that follow. A ratio of nothing is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Counts {
    /// Caught, rightly.
    pub true_positives: u64,
    /// Caught, wrongly.
    pub false_positives: u64,
    /// Missed.
    pub false_negatives: u64,
    /// Left alone, rightly; 0 for spans, where it has no meaning.
    pub true_negatives: u64,
    /// Share of what was caught that is right.
    pub precision: Option<f64>,
    /// Share of what should be caught that is.
    pub recall: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
    /// Share of what should pass that was caught.
    pub false_positive_rate: Option<f64>,
    /// Wilson 95% interval of the precision.
    pub precision_95: Option<[f64; 2]>,
    /// Wilson 95% interval of the recall.
    pub recall_95: Option<[f64; 2]>,
    /// Wilson 95% interval of the false positive rate.
    pub false_positive_rate_95: Option<[f64; 2]>,
}

impl Counts {
    pub(super) fn row(&mut self, label: bool, caught: bool) {
        *match (label, caught) {
            (true, true) => &mut self.true_positives,
            (false, true) => &mut self.false_positives,
            (true, false) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        } += 1;
    }

    pub(super) fn finish(&mut self) {
        let ratio = |part: u64, rest: u64| (part + rest > 0).then(|| part as f64 / (part + rest) as f64);
        self.precision = ratio(self.true_positives, self.false_positives);
        self.recall = ratio(self.true_positives, self.false_negatives);
        self.f1 = ratio(2 * self.true_positives, self.false_positives + self.false_negatives);
        self.false_positive_rate = ratio(self.false_positives, self.true_negatives);
        self.precision_95 = wilson(self.true_positives, self.true_positives + self.false_positives);
        self.recall_95 = wilson(self.true_positives, self.true_positives + self.false_negatives);
        self.false_positive_rate_95 = wilson(self.false_positives, self.false_positives + self.true_negatives);
    }
}

/// So many of so many, with the Wilson 95% interval of the share.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
    /// The one through the other; `None` of nothing.
    pub rate: Option<f64>,
    /// Wilson 95% interval of the rate.
    pub rate_95: Option<[f64; 2]>,
}

impl Share {
    pub(super) fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
        self.rate = Some(self.hits as f64 / self.of as f64);
        self.rate_95 = wilson(self.hits, self.of);
    }
}

/// The Wilson score interval, 95%, of `hits` out of `of`; `None` of nothing.
pub fn wilson(hits: u64, of: u64) -> Option<[f64; 2]> {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return None;
    }
    let (n, share) = (of as f64, hits as f64 / of as f64);
    let middle = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + Z * Z / n;
    let low = if hits == 0 { 0.0 } else { (middle - half) / whole };
    let high = if hits == of { 1.0 } else { (middle + half) / whole };
    Some([low, high])
}

/// The lowest score among `scores` from which on at most a share `most` of `benign` is reached:
/// flag what scores at least that. `None` if no score is high enough.
pub(super) fn threshold(benign: &mut [f64], scores: impl Iterator<Item = f64>, most: f64) -> Option<f64> {
    benign.sort_by(|a, b| b.total_cmp(a));
    let allowed = (benign.len() as f64 * most).floor() as usize;
    let above = benign.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    scores.filter(|s| *s > above).min_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilson_gives_the_values_of_the_textbook() {
        // 10 of 100, by the formula in exact arithmetic.
        let [low, high] = wilson(10, 100).unwrap();
        assert!(
            (low - 0.055_229).abs() < 1e-5 && (high - 0.174_366).abs() < 1e-5,
            "{low} {high}"
        );
        let [low, high] = wilson(0, 50).unwrap();
        assert!(low == 0.0 && (high - 0.071_348).abs() < 1e-5, "{high}");
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn a_threshold_lets_no_more_through_than_it_says() {
        let benign: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let attacks = [0.5, 0.98, 0.99, 0.995, 1.0];
        let t = threshold(
            &mut benign.clone(),
            attacks.into_iter().chain(benign.iter().copied()),
            0.01,
        )
        .unwrap();
        assert_eq!(benign.iter().filter(|s| **s >= t).count(), 10);
        assert_eq!(t, 0.99);
        // Ties at the limit are all left out.
        let t = threshold(&mut [0.9, 0.9, 0.1, 0.0], [0.9, 0.95].into_iter(), 0.25);
        assert_eq!(t, Some(0.95));
        assert_eq!(threshold(&mut [1.0, 1.0], [1.0].into_iter(), 0.5), None);
    }
}
