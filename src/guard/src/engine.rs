//! What every scan and every stream share.
//!
//! ```text
//!  byte ─▶ live candidates step ─▶ twelve bytes behind: literals and first bytes wake rules
//!              │ dies
//!              ▼
//!          validators ─▶ words nearby ─▶ ready ─▶ settled, in order, once nothing earlier is live
//! ```
//!
//! The state after *n* bytes is a function of those bytes alone, never of how they arrived: that is
//! what makes a stream's verdicts equal the whole text's. It also holds for the step budget, which
//! is why candidates advance in lock-step and not each to its end.

mod claims;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::nearby::{Nearby, Reach};
use crate::rule::{MAX_NAME, Rule};
use crate::types::Action;
use crate::wake::{AHEAD, Wake};
pub(crate) use state::{Settled, State, View};

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
    wake: Wake,
    pub(crate) contexts: Vec<Nearby>,
    whole: whole::Whole,
    /// The widest window before a match.
    window: usize,
    fuel: Fuel,
}

impl Engine {
    pub(crate) fn new(mut rules: Vec<ActiveRule>, contexts: Vec<Nearby>, fuel: Fuel) -> Engine {
        rules.shrink_to_fit();
        let whole = whole::Whole::new(&rules, fuel);
        let wake = Wake::new(rules.iter().map(|r| &r.rule.pattern), &whole.gated);
        let window = rules
            .iter()
            .filter_map(|r| {
                r.context
                    .and_then(|c| Some(contexts.get(c.group as usize)?.look_back(c.reach)))
            })
            .max()
            .unwrap_or(0);
        Engine {
            wake,
            whole,
            contexts,
            rules,
            window,
            fuel,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state_with(self.fuel)
    }

    /// Automaton steps that lock-step takes over `bytes`, if nobody stops it: what the budget is spent on.
    pub(crate) fn steps(&self, bytes: &[u8]) -> u64 {
        let endless = Fuel {
            per_byte: 0,
            cap: i64::MAX,
            block: false,
        };
        let (mut state, view) = (self.state_with(endless), View { bytes, base: 0 });
        self.advance(&mut state, view);
        self.finish(&mut state, view);
        (i64::MAX - state.fuel).unsigned_abs()
    }

    fn state_with(&self, grant: Fuel) -> State {
        State {
            at: 0,
            live: Vec::new(),
            waiting: Vec::new(),
            ready: BinaryHeap::new(),
            last_ends: Vec::new(),
            kept: Vec::new(),
            going_on: Vec::new(),
            grant,
            fuel: grant.cap,
            failed: None,
            reported: false,
            errors: 0,
        }
    }

    /// How many bytes before the frontier the engine still looks at.
    pub(crate) fn look_back(&self) -> usize {
        AHEAD.max(self.window).max(MAX_NAME) + 1
    }

    /// Bytes of memory for the tables, automata of rules not counted.
    pub(crate) fn memory(&self) -> usize {
        let contexts: usize = self.contexts.iter().map(Nearby::memory).sum();
        self.wake.memory() + contexts
    }
}
