//! From matches to verdicts: validators, the words around a match, and the order of what is settled.

use std::cmp::Reverse;

use super::state::{Candidate, Claim, Ready, Settled, State, View};
use super::{ActiveRule, Engine};
use crate::nearby::{Reach, Says};
use crate::rule::MAX_NAME;
use crate::types::Action;

impl Engine {
    /// A candidate cannot grow any more, as the byte at `at` showed: is what it found a match? What goes
    /// on behind the longest match of a rule that `continues` is returned.
    pub(super) fn resolve(
        &self,
        state: &mut State,
        view: View<'_>,
        candidate: Candidate,
        at: usize,
    ) -> Option<Candidate> {
        let counts = candidate.end > 0 && self.judge(state, view, candidate);
        let next = if counts {
            self.resume(state, candidate, at)
        } else {
            None
        };
        if next.is_none() {
            candidate.stop(state, at);
        }
        next
    }

    /// The candidate behind a match that the byte at `at` showed to be cut at its rule's greatest length
    /// while it could still grow. Of each rule, one goes on at a time, the earliest to do so: the
    /// others lie within it, and all of them would cost the square of a text's length.
    pub(super) fn resume(&self, state: &mut State, candidate: Candidate, at: usize) -> Option<Candidate> {
        let rule = &self.rules[candidate.rule as usize].rule;
        if !rule.continues || rule.pattern.is_dead(candidate.state) {
            return None;
        }
        if !candidate.resumed {
            match state.going_on.iter_mut().find(|(rule, _)| *rule == candidate.rule) {
                Some((_, until)) if at <= *until => return None,
                Some((_, until)) => *until = usize::MAX,
                None => state.going_on.push((candidate.rule, usize::MAX)),
            }
        }
        Some(Candidate {
            // One byte of overlap makes one redaction of the two.
            start: candidate.end - 1,
            end: 0,
            resumed: true,
            ..candidate
        })
    }

    /// Whether the match of a candidate counts; if so it is noted.
    pub(super) fn judge(&self, state: &mut State, view: View<'_>, candidate: Candidate) -> bool {
        let Candidate { rule, start, end, .. } = candidate;
        let active = &self.rules[rule as usize];
        state.fuel -= (end - start) as i64;
        let score = active.rule.score;
        if candidate.resumed {
            // What it goes on from was judged.
            let claim = Claim {
                rule,
                start,
                end,
                claim_start: start + 1,
                claim_end: end,
                score,
            };
            self.ready(state, claim, None);
            return true;
        }
        let (from, to) = active
            .rule
            .pattern
            .value(view.bytes, start - view.base, end - view.base);
        let whole = to - from == end - start;
        let Ok(text) = std::str::from_utf8(&view.bytes[from..to]) else {
            return false;
        };
        let Some(accepted) = active.rule.accept(text) else {
            return false;
        };
        let (value_start, value_end) = (from + view.base, from + view.base + accepted);
        let claim_end = if whole { value_end } else { end };
        if value_start == value_end || !self.circumstances(view, active, (start, claim_end), value_start) {
            return false;
        }
        let matched = &view.bytes[start - view.base..end - view.base];
        if !active.rule.allows(&text[..accepted], matched) {
            return false;
        }
        let claim = Claim {
            rule,
            start: value_start,
            end: value_end,
            claim_start: start,
            claim_end,
            score,
        };
        match &active.context {
            None => self.ready(state, claim, None),
            Some(_) => state.waiting.push(claim),
        }
        true
    }

    /// Whether what stands around a match, and the name before its value, let it count.
    fn circumstances(&self, view: View<'_>, active: &ActiveRule, claim: (usize, usize), value_start: usize) -> bool {
        let rule = &active.rule;
        // The byte after the match was seen: it is what ended the candidate.
        let beside = |set: &str, byte: Option<u8>| byte.is_some_and(|b| set.as_bytes().contains(&b));
        if beside(&rule.not_before, view.before(claim.0)) || beside(&rule.not_after, view.get(claim.1)) {
            return false;
        }
        let earliest = claim.0.saturating_sub(MAX_NAME).max(view.base);
        rule.is_named_well(view.slice(earliest, claim.0), view.slice(claim.0, value_start))
    }

    fn ready(&self, state: &mut State, claim: Claim, at_most: Option<Action>) {
        let active = &self.rules[claim.rule as usize];
        if claim.score.is_none_or(|s| s >= active.threshold) {
            state.ready.push(Reverse(Ready {
                claim,
                action: at_most.map_or(active.action, |most| most.min(active.action)),
            }));
        }
    }

    /// Looks for the context of matches that wait for it. The answer depends on the text around the
    /// match only, so it does not matter when this runs.
    pub(super) fn judge_waiting(&self, state: &mut State, view: View<'_>, ended: bool) {
        let mut index = 0;
        while let Some(claim) = state.waiting.get(index).copied() {
            let Some(context) = self.rules[claim.rule as usize].context else {
                break;
            };
            let (start, end) = (claim.claim_start - view.base, claim.claim_end - view.base);
            // Words after the match count once all of them are there, and the byte after the last one.
            let complete = ended || state.at > claim.claim_end + context.reach.after;
            let after = if complete { context.reach.after } else { 0 };
            let reach = Reach { after, ..context.reach };
            let says = match self.contexts.get(context.group as usize) {
                Some(words) => words.judge(view.bytes, start, end, reach),
                None => Says::Nothing,
            };
            if says == Says::Nothing && !complete && context.reach.after > 0 {
                index += 1;
                continue;
            }
            let mut claim = state.waiting.swap_remove(index);
            match says {
                Says::Yes => {
                    claim.score = claim.score.map(|s| (s + context.boost).min(1.0));
                    self.ready(state, claim, None);
                }
                Says::Nothing if !context.required => self.ready(state, claim, context.otherwise),
                _ => {}
            }
        }
    }

    /// Hands out, in order, the matches that start before `frontier`.
    pub(crate) fn settle(&self, state: &mut State, frontier: usize, mut emit: impl FnMut(Settled)) {
        while let Some(Reverse(next)) = state.ready.peek() {
            if next.claim.start >= frontier {
                break;
            }
            let Some(Reverse(Ready { claim, action })) = state.ready.pop() else {
                break;
            };
            let last = state.last_ends.iter_mut().find(|(rule, _)| *rule == claim.rule);
            if last.as_ref().is_some_and(|(_, end)| claim.claim_start < *end) {
                continue;
            }
            match last {
                Some((_, end)) => *end = claim.claim_end,
                None => state.last_ends.push((claim.rule, claim.claim_end)),
            }
            let kind = self.rules[claim.rule as usize].rule.kind;
            state.kept.retain(|(end, ..)| *end > claim.start);
            let within = state
                .kept
                .iter()
                .any(|(end, outer, other)| *end >= claim.end && outer.covers(action) && other.stands_for(kind));
            if within {
                continue;
            }
            state.kept.push((claim.end, action, kind));
            emit(Settled {
                rule: Some(claim.rule),
                action,
                start: claim.start,
                end: claim.end,
                score: claim.score,
            });
        }
        if let Some(at) = state.failed
            && !state.reported
        {
            state.reported = true;
            emit(Settled {
                rule: None,
                action: Action::Block,
                start: at,
                end: at,
                score: None,
            });
        }
        if state.last_ends.len() > 16 {
            state.last_ends.retain(|(_, end)| *end > frontier);
        }
    }
}
