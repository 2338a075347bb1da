//! Spans found, missed and imagined.
//!
//! A finding is a span's if they share at least half of what the two cover together. Findings within
//! what has no shape (a postcode in an address) are neither right nor wrong in the figures that
//! leave such spans out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::finding::Finding;
use super::row::Span;
use super::stats::Counts;
use super::types;

/// Span counts by how much must agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SpanCounts {
    /// The finding must have the span's type.
    pub typed: Counts,
    /// Any finding of the same kind will do.
    pub untyped: Counts,
    /// The finding must have the span's type and exactly its bounds.
    pub exact: Counts,
}

impl SpanCounts {
    pub(super) fn finish(&mut self) {
        for counts in [&mut self.typed, &mut self.untyped, &mut self.exact] {
            counts.finish();
        }
    }
}

/// Span counts by which spans are asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SpanFigures {
    /// Every annotated span.
    pub all: SpanCounts,
    /// Those that have a shape: without [`types::SHAPELESS`].
    pub patterns: SpanCounts,
    /// Those of a type that some rule of the policy names.
    pub covered: SpanCounts,
}

impl SpanFigures {
    pub(super) fn finish(&mut self) {
        for counts in [&mut self.all, &mut self.patterns, &mut self.covered] {
            counts.finish();
        }
    }
}

/// Bounds and canonical type.
struct Gold<'r> {
    start: usize,
    end: usize,
    name: Option<Cow<'r, str>>,
}

impl Gold<'_> {
    fn overlap(&self, finding: &Finding) -> usize {
        self.end.min(finding.end).saturating_sub(self.start.max(finding.start))
    }

    fn is_place(&self, finding: &Finding) -> bool {
        let shared = self.overlap(finding);
        let both = (self.end - self.start) + (finding.end - finding.start) - shared;
        shared > 0 && 2 * shared >= both
    }

    fn is_type(&self, finding: &Finding) -> bool {
        self.name.as_ref().is_some_and(|name| types::same(name, &finding.name))
    }

    fn is_exact(&self, finding: &Finding) -> bool {
        (self.start, self.end) == (finding.start, finding.end) && self.is_type(finding)
    }

    fn has_shape(&self) -> bool {
        self.name.as_ref().is_none_or(|name| types::has_shape(name))
    }
}

/// Counts the spans of one row, into each of `figures` and by type into `entities`.
pub(super) fn count(
    spans: &[Span],
    findings: &[&Finding],
    known: &BTreeSet<String>,
    figures: &mut [&mut SpanFigures],
    mut entities: Option<&mut BTreeMap<String, SpanCounts>>,
) {
    let gold = |span: &Span| {
        let (start, end, name) = span.parts();
        Gold {
            start,
            end: end.max(start),
            name: name.map(|name| Cow::Owned(types::canonical(name).into_owned())),
        }
    };
    let gold: Vec<Gold<'_>> = spans.iter().map(gold).collect();
    // Without their types, typed figures mean nothing.
    let typed = gold.iter().all(|span| span.name.is_some());
    let add = |counts: &mut SpanCounts, right: bool, hits: [bool; 3]| {
        let note = |counts: &mut Counts, hit: bool| match (right, hit) {
            (true, hit) => counts.row(true, hit),
            (false, true) => {}
            (false, false) => counts.false_positives += 1,
        };
        note(&mut counts.untyped, hits[0]);
        if typed {
            note(&mut counts.typed, hits[1]);
            note(&mut counts.exact, hits[2]);
        }
    };
    for span in &gold {
        let hits = [
            findings.iter().any(|f| span.is_place(f)),
            findings.iter().any(|f| span.is_place(f) && span.is_type(f)),
            findings.iter().any(|f| span.is_exact(f)),
        ];
        let covered = |name: &str| {
            known
                .iter()
                .any(|k| k == name || (name == "CRYPTO" && types::same(name, k)))
        };
        for figure in figures.iter_mut() {
            add(&mut figure.all, true, hits);
            if span.has_shape() {
                add(&mut figure.patterns, true, hits);
            }
            if span.name.as_ref().is_none_or(|name| covered(name)) {
                add(&mut figure.covered, true, hits);
            }
        }
        if let (Some(name), Some(entities)) = (&span.name, &mut entities) {
            add(entities.entry(name.to_string()).or_default(), true, hits);
        }
    }
    for finding in findings {
        let hits = [
            gold.iter().any(|span| span.is_place(finding)),
            gold.iter().any(|span| span.is_place(finding) && span.is_type(finding)),
            gold.iter().any(|span| span.is_exact(finding)),
        ];
        let inside = |span: &Gold<'_>| !span.has_shape() && 2 * span.overlap(finding) > finding.end - finding.start;
        let beside = gold.iter().any(inside);
        for figure in figures.iter_mut() {
            add(&mut figure.all, false, hits);
            if !beside {
                add(&mut figure.patterns, false, hits);
                add(&mut figure.covered, false, hits);
            }
        }
        if let (true, Some(entities)) = (typed, &mut entities) {
            add(entities.entry(finding.name.clone()).or_default(), false, hits);
        }
    }
}
