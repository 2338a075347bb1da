//! Whole texts: the same matches as the pass over bytes in lock-step, for a fraction of the work.
//!
//! ```text
//!  where may something begin? ─▶ literals ─▶ candidate, run to its end at once ─▶ claims
//!                             ├▶ start table ─▶        "
//!                             └▶ gate: `@`, so walk back to where an address may begin
//! ```
//!
//! The candidates of lock-step share one step budget. Here each is charged to the stretch of text in
//! which lock-step would have run it. As long as no stretch costs more than it is granted, lock-step
//! cannot have run out of budget; otherwise this gives up, and lock-step decides.

use super::state::{Candidate, Settled, State, View};
use super::{ActiveRule, Engine, Fuel};
use crate::pattern::{Gate, before_class, begins, is_word};
use crate::wake::May;

/// Bytes of text that share an account: half of what the budget saves up.
const STRETCH: usize = 512;
/// More than the steps with which a candidate catches up when it is launched, and the launch.
const CATCH_UP: usize = 16;
/// Stretches whose accounts need no memory of their own.
const FEW: usize = 8;
/// The text is settled in pieces of this many bytes, so that the queues stay short.
const PIECE: usize = 8 << 10;

/// The tables for whole texts.
#[derive(Debug)]
pub(super) struct Whole {
    /// Rules that are looked for from their gate back.
    pub(super) gated: Vec<u32>,
    /// The longest way from a gate back to a match's start.
    reach: usize,
    /// The most steps that all gated rules together take from one start without meeting their gates.
    gated_steps: usize,
}

impl Whole {
    pub(super) fn new(rules: &[ActiveRule], fuel: Fuel) -> Whole {
        let (mut gated, mut reach, mut gated_steps) = (Vec::new(), 0, 0);
        for (index, active) in rules.iter().enumerate() {
            // The launch, the bytes up to where the gate should be, and the byte that was not it.
            let steps = |gate: &Gate| gated_steps + gate.max + 2;
            let affordable = |gate: &&Gate| reserve(steps(gate), reach.max(gate.max)) <= limit(fuel) / 4 * 3;
            if let Some(gate) = active.rule.pattern.gate.as_ref().filter(affordable) {
                gated.push(index as u32);
                (gated_steps, reach) = (steps(gate), reach.max(gate.max));
            }
        }
        Whole {
            gated,
            reach,
            gated_steps,
        }
    }
}

/// What a stretch is granted.
fn limit(fuel: Fuel) -> usize {
    usize::try_from(fuel.per_byte).unwrap_or(0) * STRETCH
}

/// The most that gated rules can cost in a stretch: at most every other byte is a word's first.
fn reserve(gated_steps: usize, reach: usize) -> usize {
    gated_steps * ((STRETCH + reach + CATCH_UP) / 2 + 1)
}

/// What the candidates of a stretch would cost in lock-step.
#[derive(Clone, Copy, Default)]
struct Account {
    spent: usize,
    /// What gated rules would cost, once it was counted.
    gated: Option<usize>,
}

struct Pass<'e, 't, 'a> {
    engine: &'e Engine,
    view: View<'t>,
    accounts: &'a mut [Account],
    limit: usize,
    reserve: usize,
    /// One past the last byte that a candidate saw.
    seen: usize,
}

impl Engine {
    /// Hands out, in order, the settled matches of a whole text that begin, or have their gate, before `until`.
    /// Tells how far the longest candidate ran, matched or not. `None` if the step budget might not do: then
    /// what was handed out is void.
    pub(crate) fn scan_until(&self, bytes: &[u8], until: usize, mut emit: impl FnMut(Settled)) -> Option<usize> {
        let stretches = bytes.len() / STRETCH + 1;
        let (mut few, mut many) = ([Account::default(); FEW], Vec::new());
        let accounts = if stretches <= FEW {
            &mut few[..stretches]
        } else {
            many.resize(stretches, Account::default());
            &mut many[..]
        };
        let mut pass = Pass {
            engine: self,
            view: View { bytes, base: 0 },
            accounts,
            limit: limit(self.fuel),
            reserve: reserve(self.whole.gated_steps, self.whole.reach),
            seen: 0,
        };
        let mut state = self.state();
        let mut from = 0;
        while from < until {
            let end = until.min(from + PIECE);
            let affordable = self
                .wake
                .each_place(bytes, from, end, |at, may| pass.visit(&mut state, at, may));
            if !affordable {
                return None;
            }
            from = end;
            if from < until {
                // All that begins before here was seen, save what a gate further on may lead back to.
                state.at = from;
                self.judge_waiting(&mut state, pass.view, false);
                let waiting = state.waiting.iter().map(|c| c.claim_start);
                let frontier = waiting.fold(state.at.saturating_sub(self.whole.reach), usize::min);
                self.settle(&mut state, frontier, &mut emit);
            }
        }
        state.at = bytes.len();
        self.judge_waiting(&mut state, pass.view, true);
        self.settle(&mut state, usize::MAX, emit);
        Some(pass.seen)
    }
}

impl Pass<'_, '_, '_> {
    /// Tries all that may begin at `at`, or have its gate there.
    #[inline(never)]
    fn visit(&mut self, state: &mut State, at: usize, may: May) -> bool {
        let mut affordable = true;
        let (engine, view) = (self.engine, self.view);
        engine.wake.each(view.bytes, at, may, |rule| {
            affordable &= self.run(state, rule, at);
        });
        if may.gate() {
            affordable &= self.walk_back(state, at);
        }
        affordable
    }

    /// Tries the gated rules from every start that may lead to the gate at `at`.
    fn walk_back(&mut self, state: &mut State, at: usize) -> bool {
        let (engine, view) = (self.engine, self.view);
        let mut affordable = true;
        for &rule in &engine.whole.gated {
            let pattern = &engine.rules[rule as usize].rule.pattern;
            let (Some(gate), Some(first)) = (&pattern.gate, &pattern.first) else {
                continue;
            };
            if !begins(&view.bytes[at..], &gate.literal) {
                continue;
            }
            let back = view.bytes[at.saturating_sub(gate.max)..at].iter().rev();
            let body = back.take_while(|b| gate.body.has(**b)).count();
            if body < gate.min {
                continue;
            }
            for start in at - body..=at - gate.min {
                let before = before_class(view.before(start));
                if first.bytes[before].has(view.bytes[start]) {
                    affordable &= self.run(state, rule, start);
                }
            }
        }
        affordable
    }

    /// Runs a candidate to its end. `false` if lock-step might not have had the budget for it.
    fn run(&mut self, state: &mut State, rule: u32, start: usize) -> bool {
        let (engine, view) = (self.engine, self.view);
        let pattern = &engine.rules[rule as usize].rule.pattern;
        if let Some(steps) = pattern.in_vain(view.bytes, start) {
            return self.charge(start, steps, 0);
        }
        let mut candidate = Candidate::new(rule, pattern, view, start);
        let mut at = start;
        loop {
            let run = pattern.run(view.bytes, candidate.start, at, candidate.state);
            candidate.end = run.end;
            self.seen = self.seen.max(run.at);
            let matched = candidate.end.saturating_sub(candidate.start);
            if !self.charge(candidate.start, run.at - candidate.start, matched) {
                return false;
            }
            candidate.state = run.state;
            let counts = candidate.end > 0 && engine.judge(state, view, candidate);
            let next = if counts && run.capped {
                engine.resume(state, candidate, run.at - 1)
            } else {
                None
            };
            let Some(next) = next else {
                let ended = run.capped || pattern.is_dead(run.state);
                candidate.stop(state, if ended { run.at - 1 } else { view.bytes.len() });
                return true;
            };
            (candidate, at) = (next, run.at);
        }
    }

    /// Books the launch, `steps`, and a match of `matched` bytes to the stretches they may fall into.
    fn charge(&mut self, start: usize, steps: usize, matched: usize) -> bool {
        let last = (start + steps + CATCH_UP) / STRETCH;
        let (first, last) = (start / STRETCH, last.min(self.accounts.len() - 1));
        let total = 1 + steps + matched;
        let most = if first == last {
            total
        } else {
            total.min(STRETCH + CATCH_UP + matched)
        };
        (first..=last).all(|stretch| {
            self.accounts[stretch].spent += most;
            self.accounts[stretch].spent + self.reserve <= self.limit || self.recount(stretch)
        })
    }

    /// Counts the gated rules' starts of a stretch instead of assuming the most.
    #[cold]
    fn recount(&mut self, stretch: usize) -> bool {
        let (bytes, whole) = (self.view.bytes, &self.engine.whole);
        let from = (stretch * STRETCH).saturating_sub(whole.reach + CATCH_UP);
        let to = bytes.len().min((stretch + 1) * STRETCH);
        let account = &mut self.accounts[stretch];
        let gated = account.gated.get_or_insert_with(|| {
            let words = bytes[from..to].windows(2).filter(|w| !is_word(w[0]) && is_word(w[1]));
            (words.count() + 1) * whole.gated_steps
        });
        account.spent + *gated <= self.limit
    }
}
