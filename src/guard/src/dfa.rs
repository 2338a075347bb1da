//! The automaton of one rule: a DFA whose states and transitions come into being when a text first
//! needs them.
//!
//! Benign text wakes a rule and lets it die a few bytes on, so that of thousands of states only a
//! handful is ever asked for. What a transition leads to is a function of the rule alone: which text
//! asked first, and on which thread, changes nothing but when the work is done.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex_automata::nfa::thompson::{NFA, State as NfaState};
use regex_automata::util::look::Look;

use crate::pattern::{BEFORE, before_class, is_word};

/// A state of a [`Dfa`]: its index, and [`MATCH`].
pub(crate) type State = u16;

/// Set on a state if a match ends before the byte that led to it.
const MATCH: State = 1 << 15;
/// A transition nobody has asked for yet.
const UNKNOWN: State = 0;
/// The state from which nothing matches.
const DEAD: State = 1;
/// The most states that a rule may have.
const MAX_STATES: usize = (1 << 14) - FIRST_SEGMENT;
/// Rows in the first segment; each further one has twice as many.
const FIRST_SEGMENT: usize = 32;
const SEGMENTS: usize = 10;

/// A state of the Thompson NFA, without what only captures need.
#[derive(Clone, Copy, Debug)]
enum Node {
    /// Consumes a byte of one of `ranges[from..to]`.
    Ranges {
        from: u32,
        to: u32,
    },
    /// Goes on at each of `alternatives[from..to]`, the first one preferred.
    Split {
        from: u32,
        to: u32,
    },
    Look {
        look: Look,
        next: u32,
    },
    Match,
}

/// Where the threads of a state stand, the preferred one first; at the end, the class of the byte
/// before them (as far as they ask), and whether a match ended there.
type Key = Arc<[u32]>;

#[derive(Debug, Default)]
struct Known {
    keys: Vec<Key>,
    states: HashMap<Key, State>,
}

#[derive(Debug)]
pub(crate) struct Dfa {
    nodes: Vec<Node>,
    ranges: Vec<(u8, u8, u32)>,
    alternatives: Vec<u32>,
    classes: Box<[u8; 256]>,
    stride: usize,
    starts: [State; BEFORE],
    /// The rows of the transition table.
    segments: [OnceLock<Box<[AtomicU16]>>; SEGMENTS],
    known: Mutex<Known>,
}

/// The nodes that were met, in the order of preference.
struct Threads {
    list: Vec<u32>,
    seen: Vec<bool>,
    stack: Vec<u32>,
}

impl Threads {
    fn new(nodes: usize) -> Threads {
        Threads {
            list: Vec::new(),
            seen: vec![false; nodes],
            stack: Vec::new(),
        }
    }
}

impl Dfa {
    pub(crate) fn new(nfa: &NFA) -> Dfa {
        let (mut nodes, mut ranges, mut alternatives) =
            (Vec::with_capacity(nfa.states().len()), Vec::new(), Vec::new());
        for state in nfa.states() {
            let (first_range, first_split) = (ranges.len() as u32, alternatives.len() as u32);
            nodes.push(match state {
                NfaState::Look { look, next } => Node::Look {
                    look: *look,
                    next: next.as_u32(),
                },
                NfaState::Match { .. } => Node::Match,
                consuming_or_split => {
                    match consuming_or_split {
                        NfaState::ByteRange { trans } => ranges.push((trans.start, trans.end, trans.next.as_u32())),
                        NfaState::Sparse(sparse) => {
                            ranges.extend(sparse.transitions.iter().map(|t| (t.start, t.end, t.next.as_u32())));
                        }
                        NfaState::Dense(dense) => {
                            let next = |byte| dense.matches_byte(byte).map(|next| (byte, byte, next.as_u32()));
                            ranges.extend((0..=255u8).filter_map(next));
                        }
                        NfaState::Union { alternates } => {
                            alternatives.extend(alternates.iter().map(|id| id.as_u32()));
                        }
                        NfaState::BinaryUnion { alt1, alt2 } => alternatives.extend([alt1.as_u32(), alt2.as_u32()]),
                        NfaState::Capture { next, .. } => alternatives.push(next.as_u32()),
                        _ => {}
                    }
                    let (range, split) = (ranges.len() as u32, alternatives.len() as u32);
                    if split > first_split {
                        Node::Split {
                            from: first_split,
                            to: split,
                        }
                    } else {
                        Node::Ranges {
                            from: first_range,
                            to: range,
                        }
                    }
                }
            });
        }
        ranges.shrink_to_fit();
        alternatives.shrink_to_fit();
        let byte_classes = nfa.byte_classes();
        let classes = Box::new(std::array::from_fn(|byte| byte_classes.get(byte as u8)));
        let mut dfa = Dfa {
            nodes,
            ranges,
            alternatives,
            // One column more than there are classes: the end of the text.
            stride: usize::from(classes[255]) + 2,
            classes,
            starts: [DEAD; BEFORE],
            segments: [const { OnceLock::new() }; SEGMENTS],
            known: Mutex::default(),
        };
        let mut known = Known::default();
        // Index 0 is UNKNOWN; the dead state has no threads.
        known.keys.push(Arc::new([]));
        dfa.state(&mut known, &[], 0, false);
        let root = nfa.start_anchored().as_u32();
        for before in 0..BEFORE {
            let mut threads = Threads::new(dfa.nodes.len());
            dfa.follow(root, &mut threads, &mut |_| false);
            dfa.starts[before] = dfa.state(&mut known, &threads.list, before, false);
        }
        dfa.known = Mutex::new(known);
        dfa
    }

    /// The state after a byte of class `before`.
    pub(crate) fn start(&self, before: usize) -> State {
        self.starts[before]
    }

    #[inline(always)]
    pub(crate) fn next(&self, state: State, byte: u8) -> State {
        let class = usize::from(self.classes[usize::from(byte)]);
        match self.cell(state, class).map(|cell| cell.load(Ordering::Acquire)) {
            None | Some(UNKNOWN) => self.discover(state, byte),
            Some(next) => next,
        }
    }

    /// The rows of the first states: few texts ever leave them.
    #[inline(always)]
    pub(crate) fn front(&self) -> &[AtomicU16] {
        self.segments[0].get().map_or(&[], |rows| rows)
    }

    /// [`Dfa::next`] with the rows of the first states at hand.
    #[inline(always)]
    pub(crate) fn next_in(&self, front: &[AtomicU16], state: State, byte: u8) -> State {
        let class = usize::from(self.classes[usize::from(byte)]);
        // Rows of further states lie beyond its end.
        match front
            .get(index(state) * self.stride + class)
            .map(|cell| cell.load(Ordering::Acquire))
        {
            None | Some(UNKNOWN) => self.next(state, byte),
            Some(next) => next,
        }
    }

    #[inline(always)]
    pub(crate) fn is_dead(&self, state: State) -> bool {
        state == DEAD
    }

    /// Whether `state` is dead or matches.
    #[inline(always)]
    pub(crate) fn is_special(&self, state: State) -> bool {
        state & MATCH != 0 || state == DEAD
    }

    /// Whether a match ends before the byte that led to `state`.
    #[inline(always)]
    pub(crate) fn is_match(&self, state: State) -> bool {
        state & MATCH != 0
    }

    /// Whether a match ends where the text does.
    pub(crate) fn matches_at_end(&self, state: State) -> bool {
        let cell = self.cell(state, self.stride - 1);
        if let Some(known @ 1..) = cell.map(|cell| cell.load(Ordering::Acquire)) {
            return known & MATCH != 0;
        }
        let key = self.known.lock().unwrap_or_else(PoisonError::into_inner).keys[index(state)].clone();
        let matched = self.resolve(&key, None).1;
        if let Some(cell) = cell {
            cell.store(DEAD | if matched { MATCH } else { 0 }, Ordering::Release);
        }
        matched
    }

    /// Bytes of memory now: it grows with the texts that were seen.
    pub(crate) fn memory(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let keys: usize = known.keys.iter().map(|key| 16 + 4 * key.len()).sum();
        let cells: usize = self.segments.iter().filter_map(|s| s.get()).map(|s| s.len()).sum();
        256 + self.nodes.len() * size_of::<Node>()
            + self.ranges.len() * size_of::<(u8, u8, u32)>()
            + self.alternatives.len() * 4
            + known.keys.len() * 64
            + keys
            + cells * 2
    }

    /// Brings every state into being. `false` if there are too many, or they take more than `limit` bytes.
    pub(crate) fn explore(&self, limit: usize) -> bool {
        let mut bytes: Vec<u8> = Vec::new();
        for byte in 0..=255u8 {
            if bytes.len() == usize::from(self.classes[usize::from(byte)]) {
                bytes.push(byte);
            }
        }
        let mut at = usize::from(DEAD);
        loop {
            let count = self.known.lock().unwrap_or_else(PoisonError::into_inner).keys.len();
            if count >= MAX_STATES || count * self.stride * size_of::<State>() > limit {
                return false;
            }
            if at == count {
                return true;
            }
            for &byte in &bytes {
                self.next(at as State, byte);
            }
            at += 1;
        }
    }

    #[inline(always)]
    fn cell(&self, state: State, class: usize) -> Option<&AtomicU16> {
        let row = index(state) + FIRST_SEGMENT;
        let segment = (row / FIRST_SEGMENT).ilog2() as usize;
        let rows = self.segments.get(segment)?.get()?;
        rows.get((row - (FIRST_SEGMENT << segment)) * self.stride + class)
    }

    /// Works out where `byte` leads.
    #[cold]
    #[inline(never)]
    fn discover(&self, state: State, byte: u8) -> State {
        let class = usize::from(self.classes[usize::from(byte)]);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = known.keys[index(state)].clone();
        let (threads, matched) = self.resolve(&key, Some(byte));
        let next = self.state(&mut known, &threads, before_class(Some(byte)), matched);
        if let Some(cell) = self.cell(state, class) {
            cell.store(next, Ordering::Release);
        }
        next
    }

    /// The threads that `next` leaves alive (none at the end of the text), and whether a match ends before it.
    fn resolve(&self, key: &[u32], next: Option<u8>) -> (Vec<u32>, bool) {
        let mut after = Threads::new(self.nodes.len());
        let Some((&tag, threads)) = key.split_last() else {
            return (after.list, false);
        };
        // Only here, with the bytes on both sides known, do assertions hold or not.
        let holds = |look: Look| holds(look, (tag >> 1) as usize, next);
        let mut now = Threads::new(self.nodes.len());
        let mut done = 0;
        for &thread in threads {
            self.follow(thread, &mut now, &mut |look| holds(look));
            while let Some(&node) = now.list.get(done) {
                done += 1;
                match self.nodes[node as usize] {
                    // Whatever is less preferred than a match is cut off.
                    Node::Match => return (after.list, true),
                    Node::Ranges { from, to } => {
                        let Some(next) = next else { continue };
                        let ranges = &self.ranges[from as usize..to as usize];
                        if let Some((.., target)) = ranges.iter().find(|(lo, hi, _)| (*lo..=*hi).contains(&next)) {
                            self.follow(*target, &mut after, &mut |_| false);
                        }
                    }
                    Node::Look { .. } | Node::Split { .. } => {}
                }
            }
        }
        (after.list, false)
    }

    /// Lists what can be reached from `node` without a byte. An assertion of which `holds` says no is
    /// listed itself, to be asked again.
    fn follow(&self, node: u32, threads: &mut Threads, holds: &mut dyn FnMut(Look) -> bool) {
        threads.stack.push(node);
        while let Some(node) = threads.stack.pop() {
            match self.nodes[node as usize] {
                // An assertion may be asked again, on the way of another thread: it stays the same.
                Node::Look { look, next } if holds(look) => {
                    if !std::mem::replace(&mut threads.seen[node as usize], true) {
                        threads.stack.push(next);
                    }
                }
                Node::Split { from, to } => {
                    if !std::mem::replace(&mut threads.seen[node as usize], true) {
                        let alternatives = &self.alternatives[from as usize..to as usize];
                        threads.stack.extend(alternatives.iter().rev());
                    }
                }
                Node::Match | Node::Ranges { .. } | Node::Look { .. } => {
                    if !std::mem::replace(&mut threads.seen[node as usize], true) {
                        threads.list.push(node);
                    }
                }
            }
        }
    }

    /// The state of `threads`, made if there is none yet.
    fn state(&self, known: &mut Known, threads: &[u32], before: usize, matched: bool) -> State {
        let asks = threads
            .iter()
            .any(|node| matches!(self.nodes[*node as usize], Node::Look { .. }));
        let mut key = threads.to_vec();
        key.push(if asks { (before as u32) << 1 } else { 8 } | u32::from(matched));
        if let Some(state) = known.states.get(key.as_slice()) {
            return *state;
        }
        let index = known.keys.len();
        let mark = if matched { MATCH } else { 0 };
        if index >= MAX_STATES {
            // A rule with so many states was refused when it was parsed.
            return DEAD | mark;
        }
        let segment = ((index + FIRST_SEGMENT) / FIRST_SEGMENT).ilog2() as usize;
        if let Some(rows) = self.segments.get(segment) {
            let cells = (FIRST_SEGMENT << segment) * self.stride;
            rows.get_or_init(|| (0..cells).map(|_| AtomicU16::new(UNKNOWN)).collect());
        }
        let (state, key) = (index as State | mark, Key::from(key));
        known.keys.push(Arc::clone(&key));
        known.states.insert(key, state);
        state
    }
}

fn index(state: State) -> usize {
    usize::from(state & !MATCH)
}

/// Whether `look` holds between a byte of class `before` and `after`; `None` is the end of the text.
fn holds(look: Look, before: usize, after: Option<u8>) -> bool {
    let (word_before, word_after) = (before == 1, after.is_some_and(is_word));
    let (line_feed, carriage_return) = (after == Some(b'\n'), after == Some(b'\r'));
    match look {
        Look::Start => before == 0,
        Look::End => after.is_none(),
        Look::StartLF => before == 0 || before == 2,
        Look::EndLF => after.is_none() || line_feed,
        Look::StartCRLF => before == 0 || before == 2 || (before == 3 && !line_feed),
        Look::EndCRLF => after.is_none() || carriage_return || (line_feed && before != 3),
        Look::WordAscii | Look::WordUnicode => word_before != word_after,
        Look::WordAsciiNegate | Look::WordUnicodeNegate => word_before == word_after,
        Look::WordStartAscii | Look::WordStartUnicode => !word_before && word_after,
        Look::WordEndAscii | Look::WordEndUnicode => word_before && !word_after,
        Look::WordStartHalfAscii | Look::WordStartHalfUnicode => !word_before,
        Look::WordEndHalfAscii | Look::WordEndHalfUnicode => !word_after,
    }
}
