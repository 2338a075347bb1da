//! The automaton of one rule as a small table: exact rows of 16-bit states, and no two states that
//! behave alike one byte on.
//!
//! A general DFA serves searches of all kinds and pays with wide rows. A candidate only ever steps,
//! and asks whether it is dead or has matched: state 0 is dead, and matching states come next.

use std::collections::HashMap;

use regex_automata::dfa::{Automaton, dense};
use regex_automata::util::primitives::StateID;

use crate::pattern::BEFORE;

/// A state of a [`Dfa`].
pub(crate) type State = u16;

#[derive(Debug)]
pub(crate) struct Dfa {
    classes: Box<[u8; 256]>,
    stride: usize,
    next: Vec<State>,
    /// States from 1 to here match.
    last_match: State,
    /// Whether a match ends where the text does.
    at_end: Vec<bool>,
    starts: [State; BEFORE],
}

impl Dfa {
    /// Copies what can be reached from `starts`. `None` if there are too many states.
    pub(crate) fn new(dense: &dense::DFA<Vec<u32>>, starts: [StateID; BEFORE]) -> Option<Dfa> {
        let classes = Box::new(std::array::from_fn(|byte| dense.byte_classes().get(byte as u8)));
        let mut bytes: Vec<u8> = Vec::new();
        for byte in 0..=255u8 {
            if bytes.len() == usize::from(classes[usize::from(byte)]) {
                bytes.push(byte);
            }
        }
        let stride = bytes.len();
        // Breadth first; 0 is dead.
        let mut numbers: HashMap<StateID, u32> = HashMap::new();
        let mut order: Vec<StateID> = Vec::new();
        let mut number = |state: StateID, order: &mut Vec<StateID>| {
            if dense.is_dead_state(state) || dense.is_quit_state(state) {
                return 0;
            }
            *numbers.entry(state).or_insert_with(|| {
                order.push(state);
                order.len() as u32
            })
        };
        let starts = starts.map(|state| number(state, &mut order));
        let mut rows: Vec<State> = vec![0; stride];
        let mut index = 0;
        while let Some(&state) = order.get(index) {
            for &byte in &bytes {
                let next = number(dense.next_state(state, byte), &mut order);
                rows.push(State::try_from(next).ok()?);
            }
            index += 1;
        }
        let matches = |index: usize| index > 0 && dense.is_match_state(order[index - 1]);
        let at_end = |index: usize| index > 0 && dense.is_match_state(dense.next_eoi_state(order[index - 1]));
        let kept = merge(&mut rows, stride, |index| (matches(index), at_end(index)));
        // Dead first, then what matches, then the rest.
        let mut states: Vec<usize> = (0..=order.len())
            .filter(|index| usize::from(kept[*index]) == *index)
            .collect();
        states.sort_by_key(|index| (*index > 0, !matches(*index), *index));
        let mut renamed: Vec<State> = vec![0; order.len() + 1];
        for (new, old) in states.iter().enumerate() {
            renamed[*old] = State::try_from(new).ok()?;
        }
        let rename = |old: usize| renamed[usize::from(kept[old])];
        Some(Dfa {
            classes,
            stride,
            next: states
                .iter()
                .flat_map(|old| &rows[old * stride..(old + 1) * stride])
                .map(|next| rename(usize::from(*next)))
                .collect(),
            last_match: State::try_from(states.iter().filter(|index| matches(**index)).count()).ok()?,
            at_end: states.iter().map(|old| at_end(*old)).collect(),
            starts: starts.map(|start| rename(start as usize)),
        })
    }

    /// The state after a byte of class `before`.
    pub(crate) fn start(&self, before: usize) -> State {
        self.starts[before]
    }

    #[inline(always)]
    pub(crate) fn next(&self, state: State, byte: u8) -> State {
        self.next[usize::from(state) * self.stride + usize::from(self.classes[usize::from(byte)])]
    }

    #[inline(always)]
    pub(crate) fn is_dead(&self, state: State) -> bool {
        state == 0
    }

    /// Whether `state` is dead or matches.
    #[inline(always)]
    pub(crate) fn is_special(&self, state: State) -> bool {
        state <= self.last_match
    }

    /// Whether a match ends before the byte that led to `state`.
    #[inline(always)]
    pub(crate) fn is_match(&self, state: State) -> bool {
        state != 0 && state <= self.last_match
    }

    /// Whether a match ends where the text does.
    pub(crate) fn matches_at_end(&self, state: State) -> bool {
        self.at_end[usize::from(state)]
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        256 + self.next.len() * size_of::<State>() + self.at_end.len()
    }
}

/// For each state one that behaves alike. Two passes from the far end merge the common ends of a
/// rule's alternatives, which is nearly all that a full minimisation would.
fn merge(rows: &mut [State], stride: usize, kind: impl Fn(usize) -> (bool, bool)) -> Vec<State> {
    let count = rows.len() / stride;
    let mut kept: Vec<State> = (0..count).map(|index| index as State).collect();
    for _ in 0..2 {
        let mut known: HashMap<(Vec<State>, (bool, bool)), State> = HashMap::new();
        for index in (0..count).rev() {
            if usize::from(kept[index]) != index {
                continue;
            }
            let row = &mut rows[index * stride..(index + 1) * stride];
            for next in row.iter_mut() {
                *next = kept[usize::from(*next)];
            }
            // The dead state is the last one looked at, and stays itself: none other may take its place.
            if index > 0 {
                kept[index] = *known.entry((row.to_vec(), kind(index))).or_insert(index as State);
            }
        }
        // A state may have been merged into one that was merged later.
        for index in 0..count {
            while kept[index] != kept[usize::from(kept[index])] {
                kept[index] = kept[usize::from(kept[index])];
            }
        }
    }
    kept
}
