//! The pass over the text, one byte at a time, that streams and long texts share.

use super::Engine;
use super::state::{Candidate, State, View};
use crate::pattern::{Pattern, Step};
use crate::wake::AHEAD;

impl Engine {
    /// Consumes the bytes of `view` that were not consumed yet.
    pub(crate) fn advance(&self, state: &mut State, view: View<'_>) {
        let end = view.base + view.bytes.len();
        while state.at < end && state.failed.is_none() {
            if state.live.is_empty() && state.fuel == state.grant.cap {
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
            if let Some(start) = state.at.checked_sub(AHEAD) {
                self.start_at(state, view, start);
            }
            if state.fuel < 0 {
                self.out_of_fuel(state, view);
            }
            state.fuel = (state.fuel + state.grant.per_byte).min(state.grant.cap);
        }
    }

    /// Consumes the bytes at which nothing happens: the same as the loop above, without its cares.
    #[inline]
    fn skip(&self, state: &mut State, view: View<'_>) {
        let end = view.base + view.bytes.len();
        let next = |at: usize| (at + 1).saturating_sub(AHEAD).saturating_sub(view.base);
        state.at = match self.wake.find(view.bytes, next(state.at), next(end)) {
            Some((start, _)) => view.base + start + AHEAD - 1,
            None => end,
        };
    }

    /// The text has ended: decides everything that was open.
    pub(crate) fn finish(&self, state: &mut State, view: View<'_>) {
        if state.failed.is_none() {
            for start in state.at.saturating_sub(AHEAD - 1)..state.at {
                self.start_at(state, view, start);
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
            self.resolve(state, view, candidate, state.at);
        }
        self.judge_waiting(state, view, true);
    }

    /// Launches what wakes at `start`.
    #[inline]
    fn start_at(&self, state: &mut State, view: View<'_>, start: usize) {
        let at = start - view.base;
        if let Some((at, may)) = self.wake.find(view.bytes, at, at + 1) {
            let each = |rule| self.launch(state, view, rule, start);
            self.wake.each(view.bytes, at, may, each);
        }
    }

    /// Starts a candidate and lets it catch up with the text.
    pub(super) fn launch(&self, state: &mut State, view: View<'_>, rule: u32, start: usize) {
        let pattern = &self.rules[rule as usize].rule.pattern;
        let mut candidate = Candidate::new(rule, pattern, view, start);
        state.fuel -= 1;
        let (base, mut at) = (view.base, start);
        let seen = &view.bytes[..state.at - base];
        loop {
            let walk = pattern.walk(seen, candidate.start - base, at - base, candidate.state);
            state.fuel -= (walk.at + base - at) as i64;
            at = walk.at + base;
            candidate.state = walk.state;
            if walk.end > 0 {
                candidate.end = walk.end + base;
            }
            if !walk.capped && !pattern.is_dead(walk.state) {
                state.live.push(candidate);
                return;
            }
            match self.resolve(state, view, candidate, at - 1) {
                // It was fed the bytes up to here, and goes on.
                Some(next) => candidate = next,
                None => return,
            }
        }
    }

    fn step_live(&self, state: &mut State, view: View<'_>, byte: u8) {
        state.fuel -= state.live.len() as i64;
        let mut index = 0;
        while let Some(candidate) = state.live.get_mut(index) {
            let pattern = &self.rules[candidate.rule as usize].rule.pattern;
            if step(pattern, candidate, state.at, byte) {
                let candidate = state.live.swap_remove(index);
                if let Some(next) = self.resolve(state, view, candidate, state.at) {
                    state.live.push(next);
                    // The last candidate took this one's place, and has not been stepped; `next` has.
                    let last = state.live.len() - 1;
                    state.live.swap(index, last);
                    index += 1;
                }
            } else {
                index += 1;
            }
        }
    }

    /// Everything before the frontier is decided. It never moves back.
    pub(crate) fn frontier(&self, state: &mut State, view: View<'_>) -> usize {
        if state.failed.is_some() {
            return usize::MAX;
        }
        self.judge_waiting(state, view, false);
        let mut frontier = state.at;
        for start in state.at.saturating_sub(AHEAD - 1)..state.at {
            if self.may_match_from(view, start) {
                frontier = start;
                break;
            }
        }
        let live = state.live.iter().map(|c| c.start);
        live.chain(state.waiting.iter().map(|c| c.claim_start))
            .fold(frontier, usize::min)
    }

    /// Whether a literal has begun at `start`, which the pass has not come to yet, or a rule that wakes
    /// there is still alive, or has matched. The tables alone would say yes too often.
    fn may_match_from(&self, view: View<'_>, start: usize) -> bool {
        let at = start - view.base;
        let mut alive = self.wake.begins_literal(view.bytes, at);
        if let Some((at, may)) = self.wake.find(view.bytes, at, at + 1) {
            self.wake.each(view.bytes, at, may, |rule| {
                alive = alive || self.is_alive(view, rule, start);
            });
        }
        alive
    }

    fn is_alive(&self, view: View<'_>, rule: u32, start: usize) -> bool {
        let pattern = &self.rules[rule as usize].rule.pattern;
        let Candidate { state, .. } = Candidate::new(rule, pattern, view, start);
        let walk = pattern.walk(view.bytes, start - view.base, start - view.base, state);
        walk.end > 0 || !(walk.capped || pattern.is_dead(walk.state))
    }

    fn out_of_fuel(&self, state: &mut State, view: View<'_>) {
        state.errors += 1;
        state.fuel = state.grant.cap;
        if state.grant.block {
            // What was not consumed yet says nothing: how much of it there is depends on the cut.
            let consumed = View {
                bytes: &view.bytes[..state.at - view.base],
                ..view
            };
            let mut frontier = self.frontier(state, consumed);
            // The budget may end within a character; nothing of that one was released.
            while view.get(frontier).is_some_and(|byte| byte & 0xC0 == 0x80) {
                frontier -= 1;
            }
            state.failed = Some(frontier);
            state.waiting.clear();
            state.ready.retain(|r| r.0.claim.start < frontier);
        }
        state.live.clear();
        state.going_on.clear();
    }
}

/// One byte for one candidate; `true` if it can grow no more.
#[inline]
fn step(pattern: &Pattern, candidate: &mut Candidate, at: usize, byte: u8) -> bool {
    let (next, step) = pattern.step(candidate.state, byte);
    candidate.state = next;
    match step {
        Step::Dead => return true,
        Step::Match => candidate.end = at,
        Step::Alive => {}
    }
    at - candidate.start >= pattern.max_len
}
