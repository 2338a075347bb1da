//! What wakes a rule: one table look-up a byte tells where a literal, a rule's first bytes or a rule's
//! gate may begin, and a fingerprint of the next bytes which of those positions deserve a closer look.
//! Streams and whole texts ask the same tables, and both ask about a position only once the bytes
//! behind it, [`AHEAD`] of them, are there.

use crate::literals::{LONG, Literals, MIDDLE, SHORT, Window};
use crate::pattern::{BEFORE, LEVELS, Pattern, before_class};
use crate::starts::StartTable;

/// Bytes from a position on that decide what is woken there: as many as the longest literal has.
pub(crate) const AHEAD: usize = crate::literals::MAX_LEN;

/// Some literal begins with this byte ...
const LITERAL: u8 = SHORT | MIDDLE | LONG;
/// ... some rule without literals does, ...
const START: u8 = 8;
/// ... or some rule without literals that is not looked for from its gate, ...
const UNGATED: u8 = 16;
/// ... or a gate does.
const GATE: u8 = 32;

/// Which rules are looked for where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// All, at the start of their matches.
    Stream,
    /// Those with gates at their gates.
    Whole,
}

impl Mode {
    fn mask(self) -> u8 {
        match self {
            Mode::Stream => LITERAL | START,
            Mode::Whole => LITERAL | UNGATED | GATE,
        }
    }
}

/// What may begin at a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct May(u8);

impl May {
    pub(crate) fn gate(self) -> bool {
        self.0 & GATE != 0
    }
}

/// The tables of one phase.
#[derive(Debug)]
pub(crate) struct Wake {
    /// What may begin with each byte, by the class of the byte before it.
    lead: Box<[[u8; 256]; BEFORE]>,
    literals: Literals,
    starts: StartTable,
}

impl Wake {
    /// Tables for `patterns`, numbered as they come. Those in `gated` have gates that may be used.
    pub(crate) fn new<'p>(patterns: impl Iterator<Item = &'p Pattern>, gated: &[u32]) -> Wake {
        let mut lead = Box::new([[0u8; 256]; BEFORE]);
        let (mut literals, mut starts) = (Vec::new(), Vec::new());
        for (index, pattern) in patterns.enumerate() {
            let index = index as u32;
            for literal in pattern.prefixes.iter().flatten() {
                literals.push((literal.as_slice(), index, pattern.boundary));
                let Some(&first) = literal.first() else { continue };
                for (before, row) in lead.iter_mut().enumerate() {
                    for byte in [first, first.to_ascii_uppercase()] {
                        // Many a name may begin inside a word only with a capital: `myAcmeKey`.
                        if before != 1 || pattern.inside.has(byte) {
                            row[usize::from(byte)] |= Literals::class(literal);
                        }
                    }
                }
            }
            if let Some(first) = &pattern.first {
                let from_gate = gated.contains(&index);
                starts.push((index, &**first, from_gate));
                for (row, allowed) in lead.iter_mut().zip(&first.start) {
                    for byte in (0..=255u8).filter(|b| allowed.has(*b)) {
                        row[usize::from(byte)] |= if from_gate { START } else { START | UNGATED };
                    }
                }
                if let Some(byte) = pattern
                    .gate
                    .as_ref()
                    .filter(|_| from_gate)
                    .and_then(|g| g.literal.first())
                {
                    for row in lead.iter_mut() {
                        row[usize::from(*byte)] |= GATE;
                    }
                }
            }
        }
        Wake {
            lead,
            literals: Literals::new(literals),
            starts: StartTable::new(&starts),
        }
    }

    /// The first position of `text`, from `from` on and before `to`, at which something may begin for
    /// `mode`. It may say yes too often, never too seldom.
    #[inline]
    pub(crate) fn find(&self, mode: Mode, text: &[u8], from: usize, to: usize) -> Option<(usize, May)> {
        let mask = mode.mask();
        let mut before = before_class(from.checked_sub(1).and_then(|at| text.get(at)).copied());
        let rest = text.get(from..to)?;
        let lead = &*self.lead;
        for (offset, &byte) in rest.iter().enumerate() {
            let may = lead[before][usize::from(byte)] & mask;
            if may != 0 && self.is_promising(mode, text, from + offset, before, may) {
                return Some((from + offset, May(may)));
            }
            before = before_class(Some(byte));
        }
        None
    }

    // Apart, so that the loop over bytes that promise nothing stays in registers.
    #[inline(never)]
    fn is_promising(&self, mode: Mode, text: &[u8], at: usize, before: usize, may: u8) -> bool {
        if may & GATE != 0 || (may & LITERAL != 0 && self.literals.may_begin(text, at, may & LITERAL, before == 1)) {
            return true;
        }
        if may & (START | UNGATED) == 0 {
            return false;
        }
        let first = &text[at..text.len().min(at + LEVELS)];
        self.starts.any(before, first, mode == Mode::Whole)
    }

    /// Calls `found` with each rule that wakes at `at`. `text` must hold all that follows, or the
    /// [`AHEAD`] next bytes.
    #[inline]
    pub(crate) fn each(&self, mode: Mode, text: &[u8], at: usize, mut found: impl FnMut(u32)) {
        let before = before_class(at.checked_sub(1).and_then(|at| text.get(at)).copied());
        let Some(byte) = text.get(at) else { return };
        let may = self.lead[before][usize::from(*byte)] & mode.mask();
        if may & LITERAL != 0 {
            self.literals.each(&Window::at(text, at), before == 1, &mut found);
        }
        if may & (START | UNGATED) != 0 {
            let first = &text[at..text.len().min(at + LEVELS)];
            self.starts.each(before, first, mode == Mode::Whole, found);
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
        256 * BEFORE + self.literals.memory() + self.starts.memory()
    }
}
