//! From matches to verdicts: validators, the words around a match, and the order of what is settled.

use std::cmp::Reverse;

use super::state::{Candidate, Claim, Ready, Settled, State, View};
use super::{ActiveRule, Engine};
use crate::nearby::{Reach, Says};
use crate::rule::{MAX_NAME, Rule};
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
        // The byte after the match was seen: it is what ended the candidate. The one behind that was not.
        if active.context.is_some() || may_join(&active.rule, view.bytes, claim_end - view.base) {
            state.waiting.push(claim);
        } else {
            self.ready(state, claim, None);
        }
        true
    }

    /// The byte right before a match of `rule` that begins at `start` which shows that it is part of something
    /// else. Before a number, `-`, `.` and `,` may as well end a word or what stands in brackets (`SSN-`, `No.`,
    /// `(SSN)-`, `Jane,`; dashes of all kinds are a `-` by now): then they join nothing.
    pub(crate) fn refused_before(rule: &Rule, text: &[u8], start: usize) -> Option<u8> {
        let at = start.checked_sub(1)?;
        let mark = *text.get(at)?;
        if !rule.not_before.as_bytes().contains(&mark) {
            return None;
        }
        let number = text.get(start).is_some_and(|b| b.is_ascii_digit() || *b == b'(');
        let before = char_before(text, at);
        let ends_word = || match before {
            Some(c) if c.is_ascii_alphabetic() => !rule.not_before.contains(c),
            Some(c) => c.is_alphabetic() || matches!(c, ')' | ']') || c == char::from(mark),
            None => false,
        };
        let joins = match mark {
            b'-' | b'.' => !ends_word(),
            b',' => before.is_some_and(|c| c.is_ascii_digit()),
            _ => true,
        };
        (joins || !number).then_some(mark)
    }

    /// The byte right behind a match of `rule` that ends at `end` which shows that it is part of something else. A
    /// mark that may end a clause does so only with a digit behind it, or a letter that the rule names, too.
    pub(crate) fn refused_after(rule: &Rule, text: &[u8], end: usize) -> Option<u8> {
        let mark = *text.get(end)?;
        // `::` begins an address of the kind that has no digit there.
        let joined = |b: &u8| {
            b.is_ascii_digit()
                || (*b == b':' && mark == b':')
                || (b.is_ascii_alphabetic() && rule.not_after.as_bytes().contains(b))
        };
        let refuses = if may_join(rule, text, end) {
            text.get(end + 1).is_some_and(joined)
        } else {
            rule.not_after.as_bytes().contains(&mark)
        };
        refuses.then_some(mark)
    }

    /// Whether what stands around a match, and the name before its value, let it count, as far as is known.
    fn circumstances(&self, view: View<'_>, active: &ActiveRule, claim: (usize, usize), value_start: usize) -> bool {
        let rule = &active.rule;
        let (start, end) = (claim.0 - view.base, claim.1 - view.base);
        let refused = !may_join(rule, view.bytes, end) && Engine::refused_after(rule, view.bytes, end).is_some();
        if refused || Engine::refused_before(rule, view.bytes, start).is_some() {
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

    /// Looks at what matches wait for: their context, and what is behind the mark after them. The answer
    /// depends on the text around the match only, so it does not matter when this runs.
    pub(super) fn judge_waiting(&self, state: &mut State, view: View<'_>, ended: bool) {
        let mut index = 0;
        while let Some(claim) = state.waiting.get(index).copied() {
            let active = &self.rules[claim.rule as usize];
            let (start, end) = (claim.claim_start - view.base, claim.claim_end - view.base);
            if may_join(&active.rule, view.bytes, end) {
                if !ended && state.at <= claim.claim_end + 1 {
                    index += 1;
                    continue;
                }
                if Engine::refused_after(&active.rule, view.bytes, end).is_some() {
                    state.waiting.swap_remove(index);
                    continue;
                }
            }
            let Some(context) = active.context else {
                state.waiting.swap_remove(index);
                self.ready(state, claim, None);
                continue;
            };
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

/// Whether it depends on what is behind the byte at `end` whether that refuses a match of `rule` that ends there.
fn may_join(rule: &Rule, text: &[u8], end: usize) -> bool {
    let mark = |byte: &u8| b"-./,:".contains(byte) && rule.not_after.as_bytes().contains(byte);
    let last = end.checked_sub(1).and_then(|last| text.get(last));
    text.get(end).is_some_and(mark) && last.is_some_and(u8::is_ascii_alphanumeric) && !rule.continues
}

/// The character that ends at `at`.
fn char_before(text: &[u8], at: usize) -> Option<char> {
    let from = text[at.saturating_sub(4)..at].iter().rposition(|b| b & 0xC0 != 0x80)?;
    let text = &text[at.saturating_sub(4) + from..at];
    std::str::from_utf8(text).ok()?.chars().next()
}
