//! What wakes a rule: one table look-up a byte tells where a literal, a rule's first bytes or a rule's
//! gate may begin, and a fingerprint of the next bytes, or an automaton of all beginnings, which of those
//! positions deserve a closer look. Streams and whole texts ask the same tables, and both ask about a
//! position only once the bytes behind it, [`AHEAD`] of them, are there.

mod scan;

use crate::dfa::{Heads, LOOK, State};
use crate::literals::{Literals, Window};
use crate::pattern::{BEFORE, Pattern, before_class, begins};
use scan::Plan;

/// Bytes from a position on that decide what is woken there: as many as the longest literal has.
pub(crate) const AHEAD: usize = crate::literals::MAX_LEN;

/// Some literal begins with this byte ...
const LITERAL: u8 = 1;
/// ... some rule without literals does, ...
const START: u8 = 2;
/// ... some such rule that needs a long token, ...
const TOKEN: u8 = 4;
/// ... some such rule that whole texts look for from its gate, ...
const GATED: u8 = 8;
/// ... or a gate.
const GATE: u8 = 16;

/// It was looked already whether a literal has its place here.
const PLACE: u8 = 32;

/// What streams look for: all rules, where their matches begin.
const STREAM: u8 = LITERAL | START | TOKEN | GATED;

/// The kinds of rules without literals; each has an automaton of their beginnings.
const STARTS: [u8; 3] = [START, TOKEN, GATED];

/// What may begin at a position.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct May {
    /// The classes of literals.
    literal: u8,
    gate: bool,
    /// What the automata of beginnings came to.
    starts: [Option<State>; STARTS.len()],
}

impl May {
    pub(crate) fn gate(self) -> bool {
        self.gate
    }
}

/// The tables of one phase.
#[derive(Debug)]
pub(crate) struct Wake {
    /// What may begin with each byte, by the class of the byte before it.
    lead: Box<[[u8; 256]; BEFORE]>,
    literals: Literals,
    starts: [Heads; STARTS.len()],
    /// What gates hold.
    gates: Vec<Vec<u8>>,
    plan: Plan,
}

impl Wake {
    /// Tables for `patterns`, numbered as they come. Those in `gated` have gates that may be used.
    pub(crate) fn new<'p>(patterns: impl Iterator<Item = &'p Pattern>, gated: &[u32]) -> Wake {
        let mut lead = Box::new([[0u8; 256]; BEFORE]);
        let (mut literals, mut starts) = (Vec::new(), [const { Vec::new() }; STARTS.len()]);
        let (mut gates, mut plan) = (Vec::new(), Plan::default());
        for (index, pattern) in patterns.enumerate() {
            let index = index as u32;
            for prefix in pattern.prefixes.iter().flatten() {
                literals.push((prefix, index, pattern.boundary));
                let Some(&first) = prefix.literal.first() else { continue };
                for (before, row) in lead.iter_mut().enumerate() {
                    for byte in [first, first.to_ascii_uppercase()] {
                        // Many a name may begin inside a word only with a capital: `myAcmeKey`.
                        if before != 1 || pattern.inside.has(byte) {
                            row[usize::from(byte)] |= LITERAL;
                        }
                    }
                }
            }
            let Some(first) = &pattern.first else { continue };
            let gate = pattern.gate.as_ref().filter(|_| gated.contains(&index));
            let kind = match gate {
                Some(_) => GATED,
                None if first.is_long() => TOKEN,
                None => START,
            };
            for (heads, _) in starts.iter_mut().zip(STARTS).filter(|(_, of)| *of == kind) {
                heads.push((index, &first.head));
            }
            if kind == START {
                plan.add(first);
            }
            for (row, allowed) in lead.iter_mut().zip(&first.bytes) {
                for byte in (0..=255u8).filter(|b| allowed.has(*b)) {
                    row[usize::from(byte)] |= kind;
                }
            }
            let Some(gate) = gate else { continue };
            for (row, byte) in lead.iter_mut().zip(gate.literal.first().into_iter().cycle()) {
                row[usize::from(*byte)] |= GATE;
            }
            gates.push(gate.literal.clone());
        }
        plan.settle(&lead);
        Wake {
            lead,
            literals: Literals::new(&literals),
            starts: starts.map(|heads| Heads::new(&heads)),
            gates,
            plan,
        }
    }

    /// The first position of `text`, from `from` on and before `to`, at which a rule wakes.
    #[inline]
    pub(crate) fn find(&self, text: &[u8], from: usize, to: usize) -> Option<(usize, May)> {
        let mut before = before_class(from.checked_sub(1).and_then(|at| text.get(at)).copied());
        let rest = text.get(from..to)?;
        let lead = &*self.lead;
        for (offset, &byte) in rest.iter().enumerate() {
            if lead[before][usize::from(byte)] & STREAM != 0
                && let Some(may) = self.look(STREAM, text, from + offset, before)
            {
                return Some((from + offset, may));
            }
            before = before_class(Some(byte));
        }
        None
    }

    /// What of `asked` begins at `at`.
    // Apart, so that the loops over bytes that promise nothing stay in registers.
    #[inline(never)]
    fn look(&self, asked: u8, text: &[u8], at: usize, before: usize) -> Option<May> {
        let bits = self.lead[before][usize::from(text[at])] & asked;
        let mut may = May::default();
        if bits & LITERAL != 0 && (asked & PLACE != 0 || self.literals.is_place(text, at, before == 1)) {
            let window = Window::at(text, at);
            may.literal = (self.literals).wake(&window, self.literals.may_begin(&window), before == 1);
        }
        let mut some = may.literal != 0;
        if bits & (START | TOKEN | GATED) != 0 {
            let next = &text[at..text.len().min(at + LOOK)];
            for ((heads, kind), found) in self.starts.iter().zip(STARTS).zip(&mut may.starts) {
                if bits & kind != 0 {
                    *found = heads.look(before, next);
                    some |= found.is_some();
                }
            }
        }
        may.gate = bits & GATE != 0 && self.is_gate(text, at);
        (some || may.gate).then_some(may)
    }

    fn is_gate(&self, text: &[u8], at: usize) -> bool {
        self.gates.iter().any(|gate| begins(&text[at..], gate))
    }

    /// Calls `found` with each rule that wakes at `at`, of which [`Wake::find`] or [`Wake::each_place`] says what
    /// begins there.
    /// `text` must hold all that follows, or the [`AHEAD`] next bytes.
    #[inline]
    pub(crate) fn each(&self, text: &[u8], at: usize, may: May, mut found: impl FnMut(u32)) {
        let before = before_class(at.checked_sub(1).and_then(|at| text.get(at)).copied());
        if may.literal != 0 {
            let window = Window::at(text, at);
            self.literals.each(&window, may.literal, before == 1, &mut found);
        }
        for (heads, state) in self.starts.iter().zip(may.starts) {
            if let Some(state) = state {
                heads.each(before, &text[at..text.len().min(at + LOOK)], state, &mut found);
            }
        }
    }

    /// Whether the bytes of `text` from `at` on, fewer than [`AHEAD`], begin a literal that goes on.
    pub(crate) fn begins_literal(&self, text: &[u8], at: usize) -> bool {
        let before = before_class(at.checked_sub(1).and_then(|at| text.get(at)).copied());
        let Some(byte) = text.get(at) else { return false };
        self.lead[before][usize::from(*byte)] & LITERAL != 0 && self.literals.begins(&Window::at(text, at), before == 1)
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        let starts: usize = self.starts.iter().map(Heads::memory).sum();
        256 * BEFORE + self.literals.memory() + starts + self.plan.memory()
    }
}
