//! Whole texts in all their views: what rules find in what was undone.

use crate::check::Merge;
use crate::engine::Engine;
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::scanner;

/// How far around a rewritten part a match may begin or end, bytes of the view.
const REACH: usize = 256;
/// How near to a rewritten part a match must be to be owed to it.
const NEAR: usize = 64;

/// Adds to `outcome` what `engine` finds in the views of `text`, and not in the text as it is.
pub(crate) fn scan(policy: &Policy, engine: &Engine, text: &str, outcome: &mut Outcome) {
    let views = super::texts(text);
    if views.is_empty() {
        return;
    }
    let mut found = Vec::new();
    for view in &views {
        for (from, to) in view.map.rewritten(REACH) {
            let (from, to) = (view.text.floor_char_boundary(from), view.text.ceil_char_boundary(to));
            outcome.errors += scanner::matches(engine, &view.text.as_bytes()[from..to], |settled| {
                let (start, end) = (from + settled.start, from + settled.end);
                let Some(rule) = settled.rule.and_then(|rule| engine.rules.get(rule as usize)) else {
                    // Nobody looked at the rest, wherever in the text that stands.
                    let rest = view.map.origin(start, to);
                    found.push(policy.verdict(engine, &settled, rest.start, rest.start));
                    return;
                };
                let origin = view.map.origin(start, end);
                let around = view
                    .map
                    .origin(start.saturating_sub(NEAR).max(from), (end + NEAR).min(to));
                let Some(how) = origin
                    .how
                    .or(around.how)
                    .filter(|_| rule.rule.views.holds(around.needs))
                else {
                    return;
                };
                let mut verdict = policy.verdict(engine, &settled, origin.start, origin.end);
                verdict.view = Some(how);
                found.push(verdict);
            });
        }
    }
    // What is plain to see was found already.
    let plain = |v: &crate::Verdict| {
        let mut same = outcome.verdicts.iter().filter(|o| o.rule == v.rule);
        same.any(|o| o.start <= v.start && v.end <= o.end)
    };
    found.retain(|v| !plain(v));
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
