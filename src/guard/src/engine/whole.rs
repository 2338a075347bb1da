//! Whole texts: the same matches as the pass over bytes in lock-step, for a fraction of the work.
//!
//! ```text
//!  filter: where may something begin? ─▶ literals ─▶ candidate, run to its end at once ─▶ claims
//!                                     ├▶ start table ─▶        "
//!                                     └▶ gate: `@`, so walk back to where an address may begin
//! ```
//!
//! The candidates of lock-step share one step budget. Here each is charged to the stretch of text in
//! which lock-step would have run it. As long as no stretch costs more than it is granted, lock-step
//! cannot have run out of budget; otherwise this gives up, and lock-step decides.

use super::{ActiveRule, Candidate, Engine, Fuel, Settled, State, View};
use crate::filter::{Bytes, DEPTH, Filter, Item, May, Shape};
use crate::pattern::{BEFORE, Gate, LEVELS, before_class, is_word};
use crate::starts::StartTable;
use crate::trie::Meaning;

/// Bytes of text that share an account: half of what the budget saves up.
const STRETCH: usize = 512;
/// More than the steps with which a candidate catches up when it is launched, and the launch.
const CATCH_UP: usize = 16;
/// The text is settled in pieces of this many bytes, so that the queues stay short.
const PIECE: usize = 8 << 10;

/// The tables for whole texts.
#[derive(Debug)]
pub(super) struct Whole {
    filter: Filter,
    starts: StartTable,
    /// Rules that are looked for from their gate back.
    gated: Vec<u32>,
    /// The longest way from a gate back to a match's start.
    reach: usize,
    /// The most steps that all gated rules together take from one start without meeting their gates.
    gated_steps: usize,
}

impl Whole {
    pub(super) fn new(rules: &[ActiveRule], literals: &[(Vec<u8>, Meaning)], fuel: Fuel) -> Whole {
        let (mut shapes, mut starts, mut gated) = (Vec::new(), Vec::new(), Vec::new());
        literal_shapes(literals, &mut shapes);
        let (mut reach, mut gated_steps) = (0, 0);
        for (index, active) in rules.iter().enumerate() {
            let pattern = &active.rule.pattern;
            let Some(first) = &pattern.first else { continue };
            // The launch, the bytes up to where the gate should be, and the byte that was not it.
            let steps = |gate: &Gate| gated_steps + gate.max + 2;
            let affordable = |gate: &&Gate| reserve(steps(gate), reach.max(gate.max)) <= limit(fuel) / 4 * 3;
            if let Some(gate) = pattern.gate.as_ref().filter(affordable) {
                gated.push(index as u32);
                (gated_steps, reach) = (steps(gate), reach.max(gate.max));
                let mut bytes = [Bytes::ALL; DEPTH];
                for (set, byte) in bytes.iter_mut().zip(&gate.literal) {
                    *set = Bytes::letter(*byte);
                }
                shapes.push(Shape {
                    item: Item::Gate,
                    at_start: false,
                    before: gate.body,
                    bytes,
                });
                continue;
            }
            starts.push((index as u32, &**first));
            // After a word byte, a rule often begins otherwise than elsewhere.
            for inside in [true, false] {
                let classes = (0..BEFORE).filter(|class| (*class == 1) == inside);
                let first_set = Bytes::of(|b| classes.clone().any(|c| first.start[c][usize::from(b)]));
                if first_set.is_empty() {
                    continue;
                }
                let mut bytes = [first_set; DEPTH];
                for (set, allowed) in bytes[1..].iter_mut().zip(&first.rest) {
                    *set = Bytes::of(|b| allowed[usize::from(b)]);
                }
                shapes.push(Shape {
                    item: Item::Start,
                    at_start: !inside,
                    before: Bytes::of(|b| is_word(b) == inside),
                    bytes,
                });
            }
        }
        Whole {
            filter: Filter::new(shapes),
            starts: StartTable::new(&starts),
            gated,
            reach,
            gated_steps,
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.filter.memory()
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

/// One shape for all literals that share the first two bytes and the need of a word boundary.
fn literal_shapes(literals: &[(Vec<u8>, Meaning)], shapes: &mut Vec<Shape>) {
    let mut groups: Vec<(([u8; 2], bool), Shape)> = Vec::new();
    for (literal, meaning) in literals {
        let Some(&first) = literal.first() else { continue };
        let at_boundary = meaning.boundary;
        let key = ([first, literal.get(1).copied().unwrap_or(0)], at_boundary);
        let index = groups.iter().position(|group| group.0 == key);
        let index = index.unwrap_or_else(|| {
            let shape = Shape {
                item: Item::Literal,
                at_start: true,
                before: Bytes::of(|b| !at_boundary || !is_word(b)),
                bytes: [Bytes::default(); DEPTH],
            };
            groups.push((key, shape));
            groups.len() - 1
        });
        for (level, set) in groups[index].1.bytes.iter_mut().enumerate() {
            *set = set.union(&literal.get(level).map_or(Bytes::ALL, |b| Bytes::letter(*b)));
        }
    }
    shapes.extend(groups.into_iter().map(|(_, shape)| shape));
}

/// What the candidates of a stretch would cost in lock-step.
#[derive(Clone, Copy, Default)]
struct Account {
    spent: usize,
    /// What gated rules would cost, once it was counted.
    gated: Option<usize>,
}

struct Pass<'e, 't> {
    engine: &'e Engine,
    view: View<'t>,
    accounts: Vec<Account>,
    limit: usize,
    reserve: usize,
}

impl Engine {
    /// Hands out the settled matches of a whole text, in order. `false` if the step budget might not
    /// do: then what was handed out is void.
    pub(crate) fn scan_whole(&self, bytes: &[u8], mut emit: impl FnMut(Settled)) -> bool {
        let mut pass = Pass {
            engine: self,
            view: View { bytes, base: 0 },
            accounts: vec![Account::default(); bytes.len() / STRETCH + 1],
            limit: limit(self.fuel),
            reserve: reserve(self.whole.gated_steps, self.whole.reach),
        };
        let mut state = self.state();
        let mut filter = self.whole.filter.begin();
        let mut from = 0;
        while from < bytes.len() {
            let end = bytes.len().min(from + PIECE);
            let piece = &bytes[from..end];
            if !self
                .whole
                .filter
                .each(&mut filter, piece, from, |at, may| pass.visit(&mut state, at, may))
            {
                return false;
            }
            from = end;
            if from < bytes.len() {
                // All that begins before here was seen, save what a gate further on may lead back to.
                state.at = from - DEPTH + 1;
                self.judge_waiting(&mut state, pass.view, false);
                let waiting = state.waiting.iter().map(|c| c.claim_start);
                let frontier = waiting.fold(state.at.saturating_sub(self.whole.reach), usize::min);
                self.settle(&mut state, frontier, &mut emit);
            }
        }
        // The filter wants bytes that the end of the text does not have.
        for at in bytes.len().saturating_sub(DEPTH - 1)..bytes.len() {
            let may = May {
                literal: true,
                start: true,
                gate: true,
            };
            if !pass.visit(&mut state, at, may) {
                return false;
            }
        }
        state.at = bytes.len();
        self.judge_waiting(&mut state, pass.view, true);
        self.settle(&mut state, usize::MAX, emit);
        true
    }
}

impl Pass<'_, '_> {
    /// Tries all that may begin at `at`, or have its gate there.
    #[inline(never)]
    fn visit(&mut self, state: &mut State, at: usize, may: May) -> bool {
        let (engine, view) = (self.engine, self.view);
        let mut affordable = true;
        if may.literal {
            engine.forward.each(&view.bytes[at..], |hit| {
                if !(hit.meaning.boundary && view.in_word(at)) {
                    affordable &= self.run(state, hit.meaning.rule, at);
                }
            });
        }
        if may.start && !engine.whole.starts.is_empty() {
            let before = before_class(view.before(at));
            let first = view.slice(at, at + LEVELS);
            if engine.whole.starts.may_start(before, view.bytes[at]) {
                engine.whole.starts.each(before, first, |rule| {
                    affordable &= self.run(state, rule, at);
                });
            }
        }
        if may.gate {
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
            let text = &view.bytes[at..];
            if text.len() < gate.literal.len() || !text[..gate.literal.len()].eq_ignore_ascii_case(&gate.literal) {
                continue;
            }
            let back = view.bytes[at.saturating_sub(gate.max)..at].iter().rev();
            let body = back.take_while(|b| gate.body.has(**b)).count();
            if body < gate.min {
                continue;
            }
            for start in at - body..=at - gate.min {
                let before = before_class(view.before(start));
                if first.start[before][usize::from(view.bytes[start])] {
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
        let (end, steps) = pattern.run(view.bytes, start, before_class(view.before(start)));
        let matched = end.saturating_sub(start);
        let affordable = self.charge(start, steps, matched);
        if end > 0 && affordable {
            let candidate = Candidate {
                rule,
                state: pattern.start(0),
                start,
                end,
            };
            engine.resolve(state, view, candidate);
        }
        affordable
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
