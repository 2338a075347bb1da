//! What a pass over one text remembers.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::Fuel;
use crate::dfa;
use crate::pattern::{Pattern, before_class};
use crate::types::{Action, Kind};

/// A rule that may match from `start`; it has seen every byte so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) rule: u32,
    pub(super) state: dfa::State,
    pub(super) start: usize,
    /// End of the best match so far; 0 for none.
    pub(super) end: usize,
    /// It goes on where a match of the greatest length ended, with the last byte of that one.
    pub(super) resumed: bool,
}

impl Candidate {
    /// One of `rule`, which has this pattern, that has seen no byte yet.
    pub(super) fn new(rule: u32, pattern: &Pattern, view: View<'_>, start: usize) -> Candidate {
        Candidate {
            rule,
            state: pattern.start(before_class(view.before(start))),
            start,
            end: 0,
            resumed: false,
        }
    }

    /// Notes that it does not go on, as the byte at `at` showed.
    pub(super) fn stop(&self, state: &mut State, at: usize) {
        let mut going_on = state.going_on.iter_mut();
        if let Some((_, until)) = going_on.find(|(rule, _)| self.resumed && *rule == self.rule) {
            *until = at;
        }
    }
}

/// A match: the text it claims, and the span its verdict covers (the group `value`, if there is one).
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) rule: u32,
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) claim_start: usize,
    pub(super) claim_end: usize,
    pub(super) score: Option<f32>,
}

/// A match whose verdict is certain, still to be ordered among its neighbours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) claim: Claim,
    pub(super) action: Action,
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
    pub(super) live: Vec<Candidate>,
    pub(super) waiting: Vec<Claim>,
    pub(super) ready: BinaryHeap<Reverse<Ready>>,
    /// End of the last settled match of a rule.
    pub(super) last_ends: Vec<(u32, usize)>,
    /// Settled verdicts that later ones may lie within.
    pub(super) kept: Vec<(usize, Action, Kind)>,
    /// What the text may cost, and what is left of it.
    pub(super) grant: Fuel,
    /// Of rules that continue, how far the one that goes on beyond the longest match does so, once known.
    pub(super) going_on: Vec<(u32, usize)>,
    pub(super) fuel: i64,
    /// Where the engine gave up.
    pub(super) failed: Option<usize>,
    /// ... and that this was said.
    pub(super) reported: bool,
    pub(crate) errors: u32,
}

/// The part of the view that is at hand: `bytes` begin at offset `base`.
#[derive(Clone, Copy)]
pub(crate) struct View<'v> {
    pub(crate) bytes: &'v [u8],
    pub(crate) base: usize,
}

impl<'v> View<'v> {
    pub(super) fn get(&self, at: usize) -> Option<u8> {
        self.bytes.get(at.checked_sub(self.base)?).copied()
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> &'v [u8] {
        let (start, end) = (start.saturating_sub(self.base), end.saturating_sub(self.base));
        self.bytes.get(start..end.min(self.bytes.len())).unwrap_or_default()
    }

    pub(super) fn before(&self, at: usize) -> Option<u8> {
        self.get(at.checked_sub(1)?)
    }
}
