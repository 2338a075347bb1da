//! How good and how fast a policy is on labelled texts: the figures behind `weir guard eval`.
//!
//! ```text
//!  Row ──▶ Judged: findings in code points, score, time ──▶ verdict line
//!             └──▶ rows · spans · attacks and thresholds · false alarms · speed ──▶ Report
//! ```
//!
//! A *row* is right if it has a finding of its kind exactly when its label says so. A *span* is found
//! if a finding covers it well enough (see [`SpanCounts`]).

mod attacks;
mod finding;
mod row;
mod spans;
mod speed;
mod stats;
pub mod types;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use attacks::{Attacks, Evasion, Operating, Stopped};
pub use finding::{Finding, Judged, Scores, VerdictLine, findings};
pub use row::{Row, Span, replace_lone_surrogates};
pub use spans::{SpanCounts, SpanFigures};
pub use speed::{Speed, Speeds};
pub use stats::{Counts, Share, wilson};

use crate::policy::Policy;
use crate::types::{Kind, Phase};

/// Rows and spans of one kind, or of one source.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// Rows with a finding of their kind, and without.
    pub rows: Counts,
    /// Spans of annotated rows; `None` if there are none.
    pub spans: Option<SpanFigures>,
}

/// What an evaluation says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Version of the policy.
    pub policy: String,
    /// The packs in it, with their versions: `pii@3`.
    pub packs: Vec<String>,
    /// Number of rows.
    pub rows: u64,
    /// By kind of the rows.
    pub kinds: BTreeMap<String, Group>,
    /// By kind and source, `kind/source`.
    pub sources: BTreeMap<String, Group>,
    /// Spans by their type.
    pub entities: BTreeMap<String, SpanCounts>,
    /// Attacks; `None` without any.
    pub injection: Option<Attacks>,
    /// Obfuscated attacks, by transformation and in `all`.
    pub evasion: BTreeMap<String, Evasion>,
    /// Rows that lie near what should be caught, by kind and source: any finding of their kind.
    pub hard_negatives: BTreeMap<String, Stopped>,
    /// NotInject, XSTest and their like, by source and in `all`: any finding at all.
    pub over_refusal: BTreeMap<String, Stopped>,
    /// Different harmless prompts (label 0, neither made of personal data nor of keys), by kind of the
    /// finding.
    pub benign_prompts: BTreeMap<String, Stopped>,
    /// How fast it was.
    pub micros_per_2kib: Speeds,
}

/// An evaluation under way.
pub struct Evaluation<'p> {
    policy: &'p Policy,
    phase: Option<Phase>,
    known: BTreeSet<String>,
    report: Report,
    attacks: attacks::Gathering,
    clock: speed::Clock,
}

impl<'p> Evaluation<'p> {
    /// An evaluation of `policy`, in `phase`; with `None`, each row in the phase of [`phase_of`].
    pub fn new(policy: &'p Policy, phase: Option<Phase>) -> Evaluation<'p> {
        let phases = phase.map_or_else(|| Phase::ALL.to_vec(), |phase| vec![phase]);
        let known = phases.iter().flat_map(|phase| policy.entities(*phase));
        Evaluation {
            policy,
            phase,
            known: known.map(|name| types::canonical(name).into_owned()).collect(),
            report: Report {
                policy: policy.version().to_owned(),
                packs: policy
                    .packs()
                    .map(|(name, version)| format!("{name}@{version}"))
                    .collect(),
                ..Report::default()
            },
            attacks: attacks::Gathering::default(),
            clock: speed::Clock::default(),
        }
    }

    /// Scans a row, counts it, and tells what was found.
    pub fn take(&mut self, row: &Row) -> Judged {
        let phase = self.phase.unwrap_or_else(|| phase_of(&row.kind));
        let judged = Judged::new(self.policy, phase, &row.text);
        self.count(row, &judged);
        if let Some(plain) = row
            .plain
            .as_deref()
            .filter(|_| row.kind == "evasion" && row.label == Some(true))
        {
            let plain = Judged::new(self.policy, phase, plain);
            attacks::add_evasion(&mut self.report.evasion, row, &plain, &judged);
        }
        judged
    }

    /// Counts what was found in a row, by whatever tool.
    pub fn count(&mut self, row: &Row, judged: &Judged) {
        self.report.rows += 1;
        let wanted = kind_of(&row.kind);
        let is_prompt = row.label == Some(false) && !matches!(wanted, Some(Kind::Pii | Kind::Secret));
        self.clock.take(row, is_prompt, judged.micros);
        let Some(label) = row.label else { return };
        self.rows_and_spans(row, label, wanted, judged);
        if !label {
            self.harmless(row, wanted, is_prompt, judged);
        } else if row.kind == "injection" {
            self.attacks.take(row, true, judged);
        }
    }

    /// The figures.
    pub fn finish(self) -> Report {
        let mut report = self.report;
        for group in report.kinds.values_mut().chain(report.sources.values_mut()) {
            group.rows.finish();
            if let Some(spans) = &mut group.spans {
                spans.finish();
            }
        }
        report.entities.values_mut().for_each(SpanCounts::finish);
        report.injection = self.attacks.finish();
        report.micros_per_2kib = self.clock.finish();
        report
    }

    fn rows_and_spans(&mut self, row: &Row, label: bool, wanted: Option<Kind>, judged: &Judged) {
        let report = &mut self.report;
        let caught = judged.tier(wanted).is_some();
        let by_kind = report.kinds.entry(row.kind.clone()).or_default();
        let by_source = report
            .sources
            .entry(format!("{}/{}", row.kind, row.source))
            .or_default();
        by_kind.rows.row(label, caught);
        by_source.rows.row(label, caught);
        // A row that is to be left alone has no spans, whether that is written or not.
        let spans = match &row.spans {
            Some(spans) => spans.as_slice(),
            None if !label && matches!(wanted, Some(Kind::Pii | Kind::Secret)) => &[],
            None => return,
        };
        let of_kind = judged.findings.iter().filter(|f| wanted.is_none_or(|k| f.kind == k));
        let found: Vec<&Finding> = of_kind.collect();
        let mut figures = [
            by_kind.spans.get_or_insert_default(),
            by_source.spans.get_or_insert_default(),
        ];
        // The names of keys are every scanner's own; only those of personal data can be compared.
        let entities = (wanted != Some(Kind::Secret)).then_some(&mut report.entities);
        spans::count(spans, &found, &self.known, &mut figures, entities);
    }

    fn harmless(&mut self, row: &Row, wanted: Option<Kind>, is_prompt: bool, judged: &Judged) {
        let report = &mut self.report;
        if row.is_hard_negative() {
            let name = format!("{}/{}", row.kind, row.source);
            report.hard_negatives.entry(name).or_default().add(judged.tier(wanted));
        }
        if row.is_over_refusal() {
            for name in [row.source.as_str(), "all"] {
                let stopped = report.over_refusal.entry(name.to_owned()).or_default();
                stopped.add(judged.tier(None));
            }
        }
        // Files overlap; a prompt counts once.
        if !self.attacks.is_fresh(row) {
            return;
        }
        self.attacks.take(row, false, judged);
        if is_prompt {
            for kind in Kind::ALL {
                let stopped = report.benign_prompts.entry(kind.to_string()).or_default();
                stopped.add(judged.tier(Some(kind)));
            }
            let any = report.benign_prompts.entry("any".to_owned()).or_default();
            any.add(judged.tier(None));
        }
    }
}

/// Scans every row and counts.
pub fn evaluate<'r>(policy: &Policy, phase: Option<Phase>, rows: impl IntoIterator<Item = &'r Row>) -> Report {
    let mut evaluation = Evaluation::new(policy, phase);
    for row in rows {
        evaluation.take(row);
    }
    evaluation.finish()
}

/// Where texts of a kind turn up: what carries data out is in answers, all else in prompts.
pub fn phase_of(kind: &str) -> Phase {
    if kind.starts_with("exfil") || kind.starts_with("leak") || kind.starts_with("format") {
        Phase::Output
    } else {
        Phase::Input
    }
}

/// The findings that count for rows of a kind; `None`: all.
fn kind_of(kind: &str) -> Option<Kind> {
    let starts = [
        ("pii", Kind::Pii),
        ("secret", Kind::Secret),
        ("injection", Kind::Injection),
        ("evasion", Kind::Injection),
        ("overdefense", Kind::Injection),
        ("toxic", Kind::Toxicity),
        ("exfil", Kind::Exfil),
        ("leak", Kind::Leak),
        ("topic", Kind::Topic),
        ("format", Kind::Format),
    ];
    starts
        .iter()
        .find(|(start, _)| kind.starts_with(start))
        .map(|(_, kind)| *kind)
}

#[cfg(test)]
mod tests;
