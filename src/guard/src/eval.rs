//! How good and how fast a policy is on labelled texts: the figures behind `weir guard eval`.
//!
//! A *row* is right if it has a verdict of its kind exactly when its label says so. A *span* is found
//! if a verdict overlaps it; typed, if that verdict names the span's entity.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::{Deserialize, Deserializer, Serialize};

use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::types::{Kind, Phase, Verdict};

/// One labelled text, as a line of the evaluation files.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Row {
    /// The text.
    pub text: String,
    /// Whether it should be caught; 0 and 1 in the files.
    #[serde(deserialize_with = "truth")]
    pub label: bool,
    /// What it is about: `pii`, `secrets`, `injection`, `toxic` and so on.
    pub kind: String,
    /// Where it comes from.
    #[serde(default)]
    pub source: String,
    /// What should be found; `None` if not annotated.
    #[serde(default)]
    pub spans: Option<Vec<Span>>,
}

/// What should be found: `[start, end, entity]`, or `[start, end]` if any entity will do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum Span {
    /// First and one past the last Unicode code point, and what stands there.
    Typed(usize, usize, String),
    /// First and one past the last Unicode code point.
    Untyped(usize, usize),
}

fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Truth {
        Bool(bool),
        Number(u8),
    }
    Ok(match Truth::deserialize(deserializer)? {
        Truth::Bool(b) => b,
        Truth::Number(n) => n != 0,
    })
}

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
}

impl Counts {
    fn row(&mut self, label: bool, caught: bool) {
        *match (label, caught) {
            (true, true) => &mut self.true_positives,
            (false, true) => &mut self.false_positives,
            (true, false) => &mut self.false_negatives,
            (false, false) => &mut self.true_negatives,
        } += 1;
    }

    fn finish(&mut self) {
        let ratio = |part: u64, rest: u64| (part + rest > 0).then(|| part as f64 / (part + rest) as f64);
        self.precision = ratio(self.true_positives, self.false_positives);
        self.recall = ratio(self.true_positives, self.false_negatives);
        self.f1 = ratio(2 * self.true_positives, self.false_positives + self.false_negatives);
        self.false_positive_rate = ratio(self.false_positives, self.true_negatives);
    }
}

/// Span counts of one entity, or of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SpanCounts {
    /// The verdict must name the span's entity.
    pub typed: Counts,
    /// Any verdict of the same kind will do.
    pub untyped: Counts,
}

/// µs of scanning for each 2 KiB of text, over the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Speed {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

/// What an evaluation says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Version of the policy.
    pub policy: String,
    /// Number of rows.
    pub rows: u64,
    /// Right and wrong rows, by kind.
    pub kinds: BTreeMap<String, Counts>,
    /// The same by kind and source, `kind/source`.
    pub sources: BTreeMap<String, Counts>,
    /// Found and missed spans of annotated rows, by entity.
    pub entities: BTreeMap<String, SpanCounts>,
    /// The same over the entities that the policy knows.
    pub spans: SpanCounts,
    /// How fast it was. Short rows are left out: their time is the clock's.
    pub micros_per_2kib: Option<Speed>,
}

/// Rows shorter than this say nothing about speed, bytes.
const LEAST_TIMED: usize = 256;

/// Scans every row in `phase` and counts.
pub fn evaluate<'r>(policy: &Policy, phase: Phase, rows: impl IntoIterator<Item = &'r Row>) -> Report {
    let known = policy.entities(phase);
    let mut report = Report {
        policy: policy.version().to_owned(),
        ..Report::default()
    };
    let mut times = Vec::new();
    for row in rows {
        report.rows += 1;
        let start = Instant::now();
        let outcome = policy.scan(phase, &row.text);
        let micros = start.elapsed().as_secs_f64() * 1e6;
        if row.text.len() >= LEAST_TIMED {
            times.push(micros * 2048.0 / row.text.len() as f64);
        }
        let wanted = kind_of(&row.kind);
        let caught = outcome.verdicts.iter().any(|v| wanted.is_none_or(|k| v.kind == k));
        report.kinds.entry(row.kind.clone()).or_default().row(row.label, caught);
        report
            .sources
            .entry(format!("{}/{}", row.kind, row.source))
            .or_default()
            .row(row.label, caught);
        if let Some(spans) = &row.spans {
            count_spans(&mut report, &known, row, spans, &outcome, wanted);
        }
    }
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied();
    report.micros_per_2kib = at(0.5).zip(at(0.99)).map(|(p50, p99)| Speed { p50, p99 });
    report
        .kinds
        .values_mut()
        .chain(report.sources.values_mut())
        .for_each(Counts::finish);
    for spans in report.entities.values_mut().chain([&mut report.spans]) {
        spans.typed.finish();
        spans.untyped.finish();
    }
    report
}

/// The verdicts that count for rows of a kind; `None`: all.
fn kind_of(kind: &str) -> Option<Kind> {
    Some(match kind {
        "pii" => Kind::Pii,
        "injection" | "evasion" | "overdefense" => Kind::Injection,
        "toxic" => Kind::Toxicity,
        "exfil_code" => Kind::Exfil,
        _ if kind.starts_with("secret") => Kind::Secret,
        _ => return None,
    })
}

fn count_spans(
    report: &mut Report,
    known: &BTreeSet<&str>,
    row: &Row,
    spans: &[Span],
    outcome: &Outcome,
    kind: Option<Kind>,
) {
    let mut offsets: Vec<usize> = row.text.char_indices().map(|(at, _)| at).collect();
    offsets.push(row.text.len());
    let byte = |code_point: usize| offsets.get(code_point).copied().unwrap_or(row.text.len());
    let gold = spans.iter().filter_map(|span| match span {
        Span::Typed(start, end, entity) => Some((byte(*start), byte(*end), entity.as_str())),
        // There is no entity to count it under; the row itself counts.
        Span::Untyped(..) => None,
    });
    let gold: Vec<(usize, usize, &str)> = gold.collect();
    if gold.is_empty() && !spans.is_empty() {
        return;
    }
    let found: Vec<&Verdict> = outcome
        .verdicts
        .iter()
        .filter(|v| kind.is_none_or(|k| v.kind == k))
        .collect();
    let overlap = |span: &(usize, usize, &str), v: &Verdict| v.start < span.1 && span.0 < v.end;
    for span in &gold {
        let untyped = found.iter().any(|v| overlap(span, v));
        let typed = found.iter().any(|v| overlap(span, v) && &*v.entity == span.2);
        let entity = report.entities.entry(span.2.to_owned()).or_default();
        entity.typed.row(true, typed);
        entity.untyped.row(true, untyped);
        if known.contains(span.2) {
            report.spans.typed.row(true, typed);
            report.spans.untyped.row(true, untyped);
        }
    }
    for verdict in found {
        let any = gold.iter().any(|span| overlap(span, verdict));
        let same = gold
            .iter()
            .any(|span| overlap(span, verdict) && &*verdict.entity == span.2);
        for counts in [
            report.entities.entry(verdict.entity.to_string()).or_default(),
            &mut report.spans,
        ] {
            counts.typed.false_positives += u64::from(!same);
            counts.untyped.false_positives += u64::from(!any);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pack, PolicySpec};

    fn row(text: &str, label: bool, spans: &[(usize, usize, &str)]) -> Row {
        let spans = Some(
            spans
                .iter()
                .map(|(s, e, t)| Span::Typed(*s, *e, (*t).to_owned()))
                .collect(),
        );
        Row {
            text: text.to_owned(),
            label,
            kind: "pii".to_owned(),
            source: "test".to_owned(),
            spans,
        }
    }

    #[test]
    fn counts_rows_and_spans_in_code_points() {
        let policy = Policy::compile(&PolicySpec::default(), &Pack::builtin()).unwrap();
        let rows = [
            row("é jane@example.com", true, &[(2, 18, "EMAIL")]),
            row(
                "Jane said 4111 1111 1111 1111",
                true,
                &[(0, 4, "PERSON"), (10, 29, "IBAN")],
            ),
            row("from 8.8.8.8", false, &[]),
            row("nothing", false, &[]),
        ];
        let report = evaluate(&policy, Phase::Input, &rows);
        let pii = &report.kinds["pii"];
        assert_eq!(
            (
                pii.true_positives,
                pii.false_positives,
                pii.false_negatives,
                pii.true_negatives
            ),
            (2, 1, 0, 1)
        );
        assert_eq!((pii.recall, pii.false_positive_rate), (Some(1.0), Some(0.5)));
        assert_eq!(report.entities["EMAIL"].typed.f1, Some(1.0));
        assert_eq!(
            (
                report.entities["IBAN"].typed.recall,
                report.entities["IBAN"].untyped.recall
            ),
            (Some(0.0), Some(1.0))
        );
        assert_eq!(report.entities["CREDIT_CARD"].typed.false_positives, 1);
        assert_eq!(report.entities["PERSON"].untyped.recall, Some(0.0));
        assert_eq!(
            report.spans.untyped.recall,
            Some(1.0),
            "PERSON is not this policy's business"
        );
    }
}
