//! The pass over the text, one byte at a time, that every scan and every stream share.
//!
//! ```text
//!  byte ─▶ live candidates step ─▶ trie: literals wake rules ─▶ start table: classes wake rules
//!              │ dies                                              (eight bytes behind)
//!              ▼
//!          validators ─▶ context words ─▶ ready ─▶ settled, in order, once nothing earlier is live
//! ```
//!
//! The state after *n* bytes is a function of those bytes alone, never of how they arrived: that is
//! what makes a stream's verdicts equal the whole text's. It also holds for the step budget, which
//! is why candidates advance in lock-step and not each to its end.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::dfa;
use crate::forward::Forward;
use crate::nearby::{Nearby, Reach, Says};
use crate::pattern::{LEVELS, Step, before_class, is_word};
use crate::rule::Rule;
use crate::starts::StartTable;
use crate::trie::{HIT, Meaning, Trie};
use crate::types::{Action, Kind};

/// A rule as the policy wants it in one phase.
#[derive(Debug)]
pub(crate) struct ActiveRule {
    pub(crate) rule: Arc<Rule>,
    /// Index of the rule's pack in the policy.
    pub(crate) pack: usize,
    pub(crate) action: Action,
    pub(crate) threshold: f32,
    pub(crate) context: Option<ActiveContext>,
}

/// Where and how a rule looks for context.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActiveContext {
    /// Index of the words.
    pub(crate) group: u32,
    /// `after` is 0 where words after the match cannot change whether there is a verdict.
    pub(crate) reach: Reach,
    pub(crate) boost: f32,
    pub(crate) required: bool,
    /// The most that is done where no word is near.
    pub(crate) otherwise: Option<Action>,
}

/// How many automaton steps the text may cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fuel {
    /// Granted with each byte.
    pub(crate) per_byte: i64,
    /// The most that is saved up, and the start.
    pub(crate) cap: i64,
    /// What happens when it runs out: stop with a Block verdict, or drop what is live and go on.
    pub(crate) block: bool,
}

/// All rules of one phase.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) rules: Vec<ActiveRule>,
    trie: Trie,
    starts: StartTable,
    forward: Forward<Meaning>,
    pub(crate) contexts: Vec<Nearby>,
    whole: whole::Whole,
    /// The widest window before a match.
    window: usize,
    fuel: Fuel,
}

/// A rule that may match from `start`; it has seen every byte so far.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    rule: u32,
    state: dfa::State,
    start: usize,
    /// End of the best match so far; 0 for none.
    end: usize,
}

/// A match: the text it claims, and the span its verdict covers (the group `value`, if there is one).
#[derive(Clone, Copy, Debug)]
struct Claim {
    rule: u32,
    start: usize,
    end: usize,
    claim_start: usize,
    claim_end: usize,
    score: Option<f32>,
}

/// A match whose verdict is certain, still to be ordered among its neighbours.
#[derive(Clone, Copy, Debug)]
struct Ready {
    claim: Claim,
    action: Action,
}

impl Ready {
    /// Leftmost first, then the stronger action, then the longer match, then the earlier rule.
    fn key(&self) -> (usize, Reverse<Action>, Reverse<usize>, u32, usize) {
        let c = &self.claim;
        (c.start, Reverse(self.action), Reverse(c.end), c.rule, c.claim_start)
    }
}

impl PartialEq for Ready {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for Ready {}
impl PartialOrd for Ready {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Ready {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// A verdict's substance, in offsets of the view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    /// `None`: the engine gave up here.
    pub(crate) rule: Option<u32>,
    pub(crate) action: Action,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) score: Option<f32>,
}

/// Everything that one text's pass remembers. Offsets count bytes of the view.
#[derive(Debug)]
pub(crate) struct State {
    /// Bytes consumed.
    pub(crate) at: usize,
    node: u32,
    live: Vec<Candidate>,
    waiting: Vec<Claim>,
    ready: BinaryHeap<Reverse<Ready>>,
    /// End of the last settled match of a rule.
    last_ends: Vec<(u32, usize)>,
    /// Settled verdicts that later ones may lie within.
    kept: Vec<(usize, Action, Kind)>,
    fuel: i64,
    /// Where the engine gave up.
    failed: Option<usize>,
    /// ... and that this was said.
    reported: bool,
    pub(crate) errors: u32,
}

/// The part of the view that is at hand: `bytes` begin at offset `base`.
#[derive(Clone, Copy)]
pub(crate) struct View<'v> {
    pub(crate) bytes: &'v [u8],
    pub(crate) base: usize,
}

impl<'v> View<'v> {
    fn get(&self, at: usize) -> Option<u8> {
        self.bytes.get(at.checked_sub(self.base)?).copied()
    }

    fn slice(&self, start: usize, end: usize) -> &'v [u8] {
        let (start, end) = (start.saturating_sub(self.base), end.saturating_sub(self.base));
        self.bytes.get(start..end.min(self.bytes.len())).unwrap_or_default()
    }

    fn before(&self, at: usize) -> Option<u8> {
        self.get(at.checked_sub(1)?)
    }

    fn in_word(&self, at: usize) -> bool {
        self.before(at).is_some_and(is_word)
    }
}

impl Engine {
    pub(crate) fn new(rules: Vec<ActiveRule>, contexts: Vec<Nearby>, fuel: Fuel) -> Engine {
        let mut literals = Vec::new();
        let mut first = Vec::new();
        for (index, active) in rules.iter().enumerate() {
            let (index, pattern) = (index as u32, &active.rule.pattern);
            for literal in pattern.prefixes.iter().flatten() {
                let boundary = pattern.boundary;
                literals.push((literal.clone(), Meaning { rule: index, boundary }));
            }
            if let Some(bytes) = &pattern.first {
                first.push((index, &**bytes));
            }
        }
        let window = rules
            .iter()
            .filter_map(|r| {
                r.context
                    .and_then(|c| Some(contexts.get(c.group as usize)?.look_back(c.reach)))
            })
            .max()
            .unwrap_or(0);
        Engine {
            trie: Trie::new(&literals),
            starts: StartTable::new(&first),
            forward: Forward::new(&literals),
            whole: whole::Whole::new(&rules, &literals, fuel),
            contexts,
            rules,
            window,
            fuel,
        }
    }

    pub(crate) fn state(&self) -> State {
        State {
            at: 0,
            node: 0,
            live: Vec::new(),
            waiting: Vec::new(),
            ready: BinaryHeap::new(),
            last_ends: Vec::new(),
            kept: Vec::new(),
            fuel: self.fuel.cap,
            failed: None,
            reported: false,
            errors: 0,
        }
    }

    /// How many bytes before the frontier the engine still looks at.
    pub(crate) fn look_back(&self) -> usize {
        self.trie.longest().max(LEVELS).max(self.window) + 1
    }

    /// Bytes of memory for the tables, automata of rules not counted.
    pub(crate) fn memory(&self) -> usize {
        let contexts: usize = self.contexts.iter().map(Nearby::memory).sum();
        self.trie.memory() + self.forward.memory() + self.whole.memory() + contexts
    }

    /// Consumes the bytes of `view` that were not consumed yet.
    pub(crate) fn advance(&self, state: &mut State, view: View<'_>) {
        let end = view.base + view.bytes.len();
        let has_starts = !self.starts.is_empty();
        while state.at < end && state.failed.is_none() {
            if state.live.is_empty() && state.fuel == self.fuel.cap {
                self.skip(state, view);
                if state.at == end {
                    break;
                }
            }
            let byte = view.bytes[state.at - view.base];
            if !state.live.is_empty() {
                self.step_live(state, view, byte);
            }
            state.at += 1;
            state.node = self.trie.step(state.node, byte);
            if state.node & HIT != 0 {
                self.on_hit(state, view);
            }
            if has_starts && state.at >= LEVELS {
                let start = state.at - LEVELS;
                let index = start - view.base;
                let before = before_class(index.checked_sub(1).map(|i| view.bytes[i]));
                if self.starts.may_start(before, view.bytes[index]) {
                    self.start_at(state, view, start, before);
                }
            }
            if state.fuel < 0 {
                self.out_of_fuel(state, view);
            }
            state.fuel = (state.fuel + self.fuel.per_byte).min(self.fuel.cap);
        }
    }

    /// Consumes the bytes at which nothing happens: the same as the loop above, in registers.
    #[inline]
    fn skip(&self, state: &mut State, view: View<'_>) {
        let (mut index, mut node) = (state.at - view.base, state.node);
        while let Some(&byte) = view.bytes.get(index) {
            let next = self.trie.step(node, byte);
            if next & HIT != 0 {
                break;
            }
            if let Some(start) = (index + 1).checked_sub(LEVELS) {
                // The first byte of all has no byte before it: the loop above looks at it.
                let Some(before) = start.checked_sub(1) else { break };
                let before = before_class(Some(view.bytes[before]));
                if self.starts.may_start(before, view.bytes[start]) {
                    break;
                }
            }
            node = next;
            index += 1;
        }
        (state.at, state.node) = (index + view.base, node);
    }

    /// The text has ended: decides everything that was open.
    pub(crate) fn finish(&self, state: &mut State, view: View<'_>) {
        if state.failed.is_none() {
            for start in state.at.saturating_sub(LEVELS - 1)..state.at {
                self.start_at(state, view, start, before_class(view.before(start)));
            }
            if state.fuel < 0 {
                self.out_of_fuel(state, view);
            }
        }
        for mut candidate in std::mem::take(&mut state.live) {
            if self.rules[candidate.rule as usize]
                .rule
                .pattern
                .matches_at_end(candidate.state)
            {
                candidate.end = state.at;
            }
            self.resolve(state, view, candidate);
        }
        self.judge_waiting(state, view, true);
    }

    fn start_at(&self, state: &mut State, view: View<'_>, start: usize, before: usize) {
        let bytes = view.slice(start, start + LEVELS);
        self.starts
            .each(before, bytes, |rule| self.launch(state, view, rule, start));
    }

    fn on_hit(&self, state: &mut State, view: View<'_>) {
        for hit in self.trie.hits(state.node) {
            let start = state.at - hit.len as usize;
            if !(hit.meaning.boundary && view.in_word(start)) {
                self.launch(state, view, hit.meaning.rule, start);
            }
        }
    }

    /// Starts a candidate and lets it catch up with the text.
    fn launch(&self, state: &mut State, view: View<'_>, rule: u32, start: usize) {
        let pattern = &self.rules[rule as usize].rule.pattern;
        let mut candidate = Candidate {
            rule,
            state: pattern.start(before_class(view.before(start))),
            start,
            end: 0,
        };
        state.fuel -= 1;
        for at in start..state.at {
            let Some(byte) = view.get(at) else { break };
            state.fuel -= 1;
            if step(pattern, &mut candidate, at, byte) {
                self.resolve(state, view, candidate);
                return;
            }
        }
        state.live.push(candidate);
    }

    fn step_live(&self, state: &mut State, view: View<'_>, byte: u8) {
        state.fuel -= state.live.len() as i64;
        let mut index = 0;
        while let Some(candidate) = state.live.get_mut(index) {
            let pattern = &self.rules[candidate.rule as usize].rule.pattern;
            if step(pattern, candidate, state.at, byte) {
                let candidate = state.live.swap_remove(index);
                self.resolve(state, view, candidate);
            } else {
                index += 1;
            }
        }
    }

    /// A candidate cannot grow any more: is what it found a match?
    fn resolve(&self, state: &mut State, view: View<'_>, candidate: Candidate) {
        let Candidate { rule, start, end, .. } = candidate;
        if end == 0 {
            return;
        }
        let active = &self.rules[rule as usize];
        state.fuel -= (end - start) as i64;
        let (from, to) = active
            .rule
            .pattern
            .value(view.bytes, start - view.base, end - view.base);
        let whole = to - from == end - start;
        let Ok(text) = std::str::from_utf8(&view.bytes[from..to]) else {
            return;
        };
        let Some(accepted) = active.rule.accept(text) else {
            return;
        };
        let (value_start, value_end) = (from + view.base, from + view.base + accepted);
        let claim_end = if whole { value_end } else { end };
        if value_start == value_end {
            return;
        }
        // The byte after the match was seen: it is what ended the candidate.
        let beside = |set: &str, byte: Option<u8>| byte.is_some_and(|b| set.as_bytes().contains(&b));
        if beside(&active.rule.not_before, view.before(start)) || beside(&active.rule.not_after, view.get(claim_end)) {
            return;
        }
        let score = active.rule.score;
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
    fn judge_waiting(&self, state: &mut State, view: View<'_>, ended: bool) {
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

    /// Everything before the frontier is decided. It never moves back.
    pub(crate) fn frontier(&self, state: &mut State, view: View<'_>) -> usize {
        if state.failed.is_some() {
            return usize::MAX;
        }
        self.judge_waiting(state, view, false);
        let mut frontier = state.at - self.trie.held(state.node, |n| view.in_word(state.at - n));
        for start in state.at.saturating_sub(LEVELS - 1)..frontier {
            if self.may_match_from(view, start, state.at) {
                frontier = start;
                break;
            }
        }
        let live = state.live.iter().map(|c| c.start);
        live.chain(state.waiting.iter().map(|c| c.claim_start))
            .fold(frontier, usize::min)
    }

    /// Whether a rule of the start table is still alive, or has matched, from `start`, which the pass
    /// has not come to yet. The table alone would say yes too often.
    fn may_match_from(&self, view: View<'_>, start: usize, end: usize) -> bool {
        let (bytes, before) = (view.slice(start, end), before_class(view.before(start)));
        if !bytes.first().is_some_and(|byte| self.starts.may_start(before, *byte)) {
            return false;
        }
        let mut alive = false;
        self.starts.each(before, bytes, |rule| {
            let pattern = &self.rules[rule as usize].rule.pattern;
            let mut candidate = Candidate {
                rule,
                state: pattern.start(before),
                start,
                end: 0,
            };
            let dead = bytes
                .iter()
                .zip(start..)
                .any(|(byte, at)| step(pattern, &mut candidate, at, *byte));
            alive |= !dead || candidate.end > 0;
        });
        alive
    }

    fn out_of_fuel(&self, state: &mut State, view: View<'_>) {
        state.errors += 1;
        state.fuel = self.fuel.cap;
        if self.fuel.block {
            let mut frontier = self.frontier(state, view);
            // The budget may end within a character; nothing of that one was released.
            while view.get(frontier).is_some_and(|byte| byte & 0xC0 == 0x80) {
                frontier -= 1;
            }
            state.failed = Some(frontier);
            state.waiting.clear();
            state.ready.retain(|r| r.0.claim.start < frontier);
        }
        state.live.clear();
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
            let within = state.kept.iter().any(|(end, stronger, other)| {
                *end >= claim.end
                    && *stronger >= action
                    && (*other == kind || (other.is_sensitive() && kind.is_sensitive()))
            });
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

/// One byte for one candidate; `true` if it can grow no more.
#[inline]
fn step(pattern: &crate::pattern::Pattern, candidate: &mut Candidate, at: usize, byte: u8) -> bool {
    let (next, step) = pattern.step(candidate.state, byte);
    candidate.state = next;
    match step {
        Step::Dead => return true,
        Step::Match => candidate.end = at,
        Step::Alive => {}
    }
    at - candidate.start >= pattern.max_len
}

mod whole;

#[cfg(test)]
mod tests;
