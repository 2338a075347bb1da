//! Whole texts in all their views: what rules and checks find in what was undone.

use std::collections::HashMap;

use super::{View, ViewSet, ViewText};
use crate::check::{Checks, Found, Merge};
use crate::engine::Engine;
use crate::model::{Judgement, Model};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::scanner;
use crate::types::Verdict;

/// How far around a rewritten part a match may begin, bytes of the view.
const REACH: usize = 256;
/// How far beyond that it may end: one that goes on, such as a key's body, is followed so far.
const RUN: usize = 64 << 10;
/// How much of a view its matches may run through beyond their stretches in all, views: many that overlap
/// must not cost more than linear time.
const RUNS: usize = 4;
/// How near to a rewritten part a match must be to be owed to it.
const NEAR: usize = 64;
/// How much around a rewritten part a classifier reads, bytes of the view: about a window.
const CONTEXT: usize = 512;
/// By how much undoing must raise a margin.
const GAIN: f32 = 0.5;
/// The shortest hidden text that a classifier reads alone, bytes.
const HIDDEN: usize = 16;

/// Adds to `outcome` what `engine` and `checks` find in the views of `text`, and not in the text as it is.
pub(crate) fn scan(
    policy: &Policy,
    engine: Option<&Engine>,
    checks: Option<&Checks>,
    text: &str,
    outcome: &mut Outcome,
) {
    let views = super::texts(text);
    if views.is_empty() {
        return;
    }
    let mut found = Vec::new();
    for view in &views {
        let mut runs = RUNS * view.text.len();
        for (from, to) in view.stretches(REACH) {
            if let Some(engine) = engine {
                let most = view.text.floor_char_boundary(to + RUN.min(runs)).max(to);
                let (errors, seen) = matches(policy, engine, view, (from, to, most), &mut found);
                outcome.errors += errors;
                runs -= seen.saturating_sub(to).min(runs);
            }
            if let Some(checks) = checks {
                listed(policy, checks, view, (from, to), &mut found);
            }
        }
    }
    if let Some((checks, model)) = checks.and_then(|checks| Some((checks, checks.model()?)))
        && let Some((judgement, how)) = judge(model, text, &views)
    {
        let verdict = |rule| judged(policy, checks, rule, &judgement, how);
        found.extend(checks.models().filter_map(verdict));
    }
    let seen = Seen::new(&outcome.verdicts);
    // A classifier has one opinion of a text.
    let whole = |rule: &str| checks.is_some_and(|checks| checks.is_of_model(rule));
    found.retain(|v| !seen.covers(v, whole(&v.rule)));
    if found.is_empty() {
        return;
    }
    let mut merge = Merge::default();
    for verdict in std::mem::take(&mut outcome.verdicts) {
        merge.add(verdict, 0);
    }
    for verdict in found {
        merge.add(verdict, 1);
    }
    outcome.verdicts = std::iter::from_fn(|| merge.next(usize::MAX)).collect();
}

/// What is plain to see: by rule, starts and the greatest end of the spans up to there.
struct Seen<'v> {
    spans: HashMap<&'v str, Vec<(usize, usize)>>,
}

impl<'v> Seen<'v> {
    /// `verdicts` come in order of their start.
    fn new(verdicts: &'v [Verdict]) -> Seen<'v> {
        let mut spans: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for verdict in verdicts {
            let of_rule = spans.entry(&*verdict.rule).or_default();
            let end = of_rule.last().map_or(0, |(_, end)| *end).max(verdict.end);
            of_rule.push((verdict.start, end));
        }
        Seen { spans }
    }

    /// Whether the rule of `verdict` was found around it; with `anywhere`, whether it was found at all.
    fn covers(&self, verdict: &Verdict, anywhere: bool) -> bool {
        let Some(spans) = self.spans.get(&*verdict.rule) else {
            return false;
        };
        let before = spans.partition_point(|(start, _)| *start <= verdict.start);
        anywhere || before.checked_sub(1).is_some_and(|last| spans[last].1 >= verdict.end)
    }
}

impl ViewText {
    /// The rewritten parts and `reach` bytes around them, whole characters.
    fn stretches(&self, reach: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        let rewritten = self.map.rewritten(reach).into_iter();
        rewritten.map(|(from, to)| (self.text.floor_char_boundary(from), self.text.ceil_char_boundary(to)))
    }

    /// Where `start..end` of the stretch `within` comes from, if it is owed to rewriting that a rule for
    /// the classes `of` looks at.
    fn owed(
        &self,
        (start, end): (usize, usize),
        within: (usize, usize),
        of: ViewSet,
    ) -> Option<((usize, usize), View)> {
        let origin = self.map.origin(start, end);
        let (from, to) = (start.saturating_sub(NEAR).max(within.0), (end + NEAR).min(within.1));
        let around = self.map.origin(from, to);
        // Of a match that is rewritten itself, what else is rewritten around it is no matter.
        let (how, owed) = match origin.how {
            Some(how) => (how, of.holds(origin.needs)),
            None => (around.how?, of.shares(around.needs)),
        };
        owed.then_some(((origin.start, origin.end), how))
    }
}

/// What the rules match that begins in the stretch `from..to` of a view and ends before `most`. The number of
/// errors, and how far it had to look.
fn matches(
    policy: &Policy,
    engine: &Engine,
    view: &ViewText,
    (from, to, most): (usize, usize, usize),
    found: &mut Vec<Verdict>,
) -> (u32, usize) {
    let bytes = &view.text.as_bytes()[from..most];
    // A match that goes on where a part of it ended is owed to what that part is owed to.
    let mut going_on: Option<(u32, usize, View)> = None;
    let (errors, seen) = scanner::matches_until(engine, bytes, to - from, |settled| {
        let (start, end) = (from + settled.start, from + settled.end);
        let Some(rule) = settled.rule.and_then(|rule| engine.rules.get(rule as usize)) else {
            // Nobody looked at the rest, wherever in the text that stands.
            let rest = view.map.origin(start, to);
            found.push(policy.verdict(engine, &settled, rest.start, rest.start));
            return;
        };
        let goes_on = going_on.filter(|(rule, ended, _)| Some(*rule) == settled.rule && start < *ended && end > *ended);
        let owed = match goes_on {
            Some((_, _, how)) => {
                let origin = view.map.origin(start, end);
                Some(((origin.start, origin.end), how))
            }
            None => view.owed((start, end), (from, most), rule.rule.views),
        };
        if let Some(((from, to), how)) = owed {
            let mut verdict = policy.verdict(engine, &settled, from, to);
            verdict.view = Some(how);
            found.push(verdict);
            going_on = settled.rule.map(|rule| (rule, end, how));
        }
    });
    (errors, from + seen)
}

/// What the word lists find in a stretch of a view.
fn listed(policy: &Policy, checks: &Checks, view: &ViewText, (from, to): (usize, usize), found: &mut Vec<Verdict>) {
    let Some(mut running) = checks.start_words() else {
        return;
    };
    running.whole(&view.text[from..to]);
    for hit in running.found() {
        let (start, end) = (from + hit.start, from + hit.end);
        if let Some(((start, end), how)) = view.owed((start, end), (from, to), ViewSet::ALL)
            && let Some(mut verdict) = policy.found(checks, Found { start, end, ..hit })
        {
            verdict.view = Some(how);
            found.push(verdict);
        }
    }
}

/// What `model` thinks of the views: the highest score, its place in the original, and what was undone
/// there.
pub(crate) fn judge(model: &Model, text: &str, views: &[ViewText]) -> Option<(Judgement, View)> {
    let mut best: Option<(Judgement, View)> = None;
    for view in views {
        // What was hidden in a harmless text is a text by itself, too.
        let hidden = view.stretches(0).filter(|(from, to)| to - from >= HIDDEN);
        for (from, to) in view.stretches(CONTEXT).chain(hidden) {
            let judgement = model.judge(&view.text[from..to]);
            if best.is_some_and(|(best, _)| best.margin >= judgement.margin) {
                continue;
            }
            let origin = view.map.origin(from + judgement.start, from + judgement.end);
            let Some(how) = origin.how else { continue };
            // What reads like an attack without anything undone is for the text itself to say.
            let all = view.map.origin(from, to);
            if model.judge(&text[all.start..all.end]).margin + GAIN <= judgement.margin {
                let (start, end) = (origin.start, origin.end);
                best = Some((
                    Judgement {
                        start,
                        end,
                        ..judgement
                    },
                    how,
                ));
            }
        }
    }
    best
}

/// The verdict of one of the rules that use a classifier.
fn judged(policy: &Policy, checks: &Checks, rule: u32, judgement: &Judgement, how: View) -> Option<Verdict> {
    let found = Found {
        rule,
        start: judgement.start,
        end: judgement.end,
        score: Some(judgement.score),
    };
    let mut verdict = policy.found(checks, found)?;
    verdict.view = Some(how);
    Some(verdict)
}
