//! The automaton of one rule: a DFA whose states and transitions come into being when a text first
//! needs them.
//!
//! Benign text wakes a rule and lets it die a few bytes on, so that of thousands of states only a
//! handful is ever asked for. What a transition leads to is a function of the rule alone: which text
//! asked first, and on which thread, changes nothing but when the work is done.

mod heads;
mod program;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex_automata::nfa::thompson::NFA;
use regex_automata::util::look::Look;

use crate::bytes::Bytes;
use crate::pattern::{BEFORE, before_class, is_word};
pub(crate) use heads::{Head, Heads, LOOK};
use program::{Node, Program};

/// A state of a [`Dfa`]: its index, and [`MATCH`].
pub(crate) type State = u16;

/// Set on a state if a match ends before the byte that led to it.
const MATCH: State = 1 << 15;
/// A transition nobody has asked for yet.
const UNKNOWN: State = 0;
/// The state from which nothing matches.
const DEAD: State = 1;
/// Where there is no room for another state. No rule gets there: one with so many states was refused
/// when it was parsed.
const TOO_MANY: State = DEAD | MATCH;
/// The most states.
const MAX_STATES: usize = 1 << 14;
/// Rows in the first segment of a rule's automaton, as a power of two; each further one has twice as many.
const FIRST_SEGMENT: u32 = 5;
const SEGMENTS: usize = 10;

/// Where the threads of a state stand, the preferred one first; at the end, the class of the byte
/// before them (as far as they ask), and whether a match ended there.
type Key = Arc<[u32]>;

#[derive(Debug, Default)]
struct Known {
    keys: Vec<Key>,
    states: HashMap<Key, State>,
    scratch: Scratch,
}

#[derive(Debug)]
pub(crate) struct Dfa {
    program: Program,
    classes: Box<[u8; 256]>,
    stride: usize,
    /// Rows in the first segment, as a power of two.
    first_segment: u32,
    /// The most states.
    limit: usize,
    starts: [State; BEFORE],
    /// The rows of the transition table.
    segments: [OnceLock<Box<[AtomicU16]>>; SEGMENTS],
    known: Mutex<Known>,
}

/// The nodes that were met, in the order of preference.
#[derive(Debug, Default)]
struct Threads {
    list: Vec<u32>,
    seen: Vec<bool>,
    /// Which were seen.
    marked: Vec<u32>,
    stack: Vec<u32>,
}

impl Threads {
    /// None of `nodes`.
    fn clear(&mut self, nodes: usize) {
        self.seen.resize(nodes, false);
        for node in self.marked.drain(..) {
            self.seen[node as usize] = false;
        }
        self.list.clear();
    }

    /// Whether `node` is met for the first time.
    fn mark(&mut self, node: u32) -> bool {
        let new = !std::mem::replace(&mut self.seen[node as usize], true);
        if new {
            self.marked.push(node);
        }
        new
    }
}

/// Room for the threads before a byte and after it.
#[derive(Debug, Default)]
struct Scratch {
    now: Threads,
    after: Threads,
}

impl Dfa {
    /// The automaton of a rule.
    pub(crate) fn new(nfa: &NFA) -> Dfa {
        let byte_classes = nfa.byte_classes();
        let classes = Box::new(std::array::from_fn(|byte| byte_classes.get(byte as u8)));
        Dfa::over(Program::new(nfa), classes, FIRST_SEGMENT, MAX_STATES)
    }

    /// An automaton over `program` that tells the bytes of each of `classes` apart, of at most `limit` states.
    fn over(program: Program, classes: Box<[u8; 256]>, first_segment: u32, limit: usize) -> Dfa {
        let mut dfa = Dfa {
            program,
            // One column more than there are classes: the end of the text.
            stride: usize::from(classes.iter().copied().max().unwrap_or(0)) + 2,
            classes,
            first_segment,
            limit,
            starts: [DEAD; BEFORE],
            segments: [const { OnceLock::new() }; SEGMENTS],
            known: Mutex::default(),
        };
        let mut known = Known::default();
        // Index 0 is UNKNOWN; the dead state has no threads.
        known.keys.push(Arc::new([]));
        dfa.state(&mut known, &[], 0, false);
        for before in 0..BEFORE {
            let mut threads = Threads::default();
            threads.clear(dfa.program.nodes.len());
            dfa.follow(dfa.program.root, &mut threads, &mut |_| false);
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

    /// The bytes of `of` by what the automaton makes of them: of each kind one, and all of them.
    pub(crate) fn kinds(&self, of: &Bytes) -> Vec<(u8, Bytes)> {
        let mut places = [usize::MAX; 256];
        let mut kinds: Vec<(u8, Bytes)> = Vec::new();
        for byte in (0..=255u8).filter(|byte| of.has(*byte)) {
            let place = &mut places[usize::from(self.classes[usize::from(byte)])];
            if *place == usize::MAX {
                *place = kinds.len();
                kinds.push((byte, Bytes::default()));
            }
            kinds[*place].1.insert(byte);
        }
        kinds
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
        let matched = self.resolve(&self.key_of(state), None, &mut Scratch::default());
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
        256 + self.program.memory() + known.keys.len() * 64 + keys + cells * 2
    }

    /// Brings every state into being. `false` if there are too many, or they take more than `limit` bytes.
    pub(crate) fn explore(&self, limit: usize) -> bool {
        let bytes: Vec<u8> = self.kinds(&Bytes::ALL).iter().map(|(byte, _)| *byte).collect();
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

    /// The segment of a state, its row there.
    #[inline(always)]
    fn place(&self, index: usize) -> (usize, usize) {
        let row = index + (1 << self.first_segment);
        let segment = (row >> self.first_segment).ilog2();
        (segment as usize, row - (1 << (self.first_segment + segment)))
    }

    #[inline(always)]
    fn cell(&self, state: State, class: usize) -> Option<&AtomicU16> {
        let (segment, row) = self.place(index(state));
        let rows = self.segments.get(segment)?.get()?;
        rows.get(row * self.stride + class)
    }

    /// Works out where `byte` leads.
    #[cold]
    #[inline(never)]
    fn discover(&self, state: State, byte: u8) -> State {
        let class = usize::from(self.classes[usize::from(byte)]);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Arc::clone(&known.keys[index(state)]);
        let mut scratch = std::mem::take(&mut known.scratch);
        let matched = self.resolve(&key, Some(byte), &mut scratch);
        let next = self.state(&mut known, &scratch.after.list, before_class(Some(byte)), matched);
        known.scratch = scratch;
        if let Some(cell) = self.cell(state, class) {
            cell.store(next, Ordering::Release);
        }
        next
    }

    /// Works out the threads that `next` leaves alive (none at the end of the text), which are those after
    /// it in `scratch` then, and whether a match ends before it.
    fn resolve(&self, key: &[u32], next: Option<u8>, scratch: &mut Scratch) -> bool {
        let Scratch { now, after } = scratch;
        now.clear(self.program.nodes.len());
        after.clear(self.program.nodes.len());
        let Some((&tag, threads)) = key.split_last() else {
            return false;
        };
        // Only here, with the bytes on both sides known, do assertions hold or not.
        let holds = |look: Look| holds(look, (tag >> 1) as usize, next);
        let mut done = 0;
        for &thread in threads {
            self.follow(thread, now, &mut |look| holds(look));
            while let Some(&node) = now.list.get(done) {
                done += 1;
                match self.program.nodes[node as usize] {
                    // Whatever is less preferred than a match is cut off.
                    Node::Match => return true,
                    Node::Ranges { from, to } => {
                        let Some(next) = next else { continue };
                        let ranges = &self.program.ranges[from as usize..to as usize];
                        if let Some((.., target)) = ranges.iter().find(|(lo, hi, _)| (*lo..=*hi).contains(&next)) {
                            self.follow(*target, after, &mut |_| false);
                        }
                    }
                    Node::Look { .. } | Node::Split { .. } => {}
                }
            }
        }
        false
    }

    /// Lists what can be reached from `node` without a byte. An assertion of which `holds` says no is
    /// listed itself, to be asked again.
    fn follow(&self, node: u32, threads: &mut Threads, holds: &mut dyn FnMut(Look) -> bool) {
        threads.stack.push(node);
        while let Some(node) = threads.stack.pop() {
            match self.program.nodes[node as usize] {
                // An assertion may be asked again, on the way of another thread: it stays the same.
                Node::Look { look, next } if holds(look) => {
                    if threads.mark(node) {
                        threads.stack.push(next);
                    }
                }
                Node::Split { from, to } => {
                    if threads.mark(node) {
                        let alternatives = &self.program.alternatives[from as usize..to as usize];
                        threads.stack.extend(alternatives.iter().rev());
                    }
                }
                Node::Match | Node::Ranges { .. } | Node::Look { .. } => {
                    if threads.mark(node) {
                        threads.list.push(node);
                    }
                }
            }
        }
    }

    fn key_of(&self, state: State) -> Key {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known.keys[index(state)])
    }

    /// What makes the state of `threads` another one than those of others.
    fn key(&self, threads: &[u32], before: usize, matched: bool) -> Vec<u32> {
        let asks = threads
            .iter()
            .any(|node| matches!(self.program.nodes[*node as usize], Node::Look { .. }));
        let mut key = threads.to_vec();
        key.push(if asks { (before as u32) << 1 } else { 8 } | u32::from(matched));
        key
    }

    /// The state of `threads`, made if there is none yet; [`TOO_MANY`] if there is no room for it.
    fn state(&self, known: &mut Known, threads: &[u32], before: usize, matched: bool) -> State {
        let key = self.key(threads, before, matched);
        if let Some(state) = known.states.get(key.as_slice()) {
            return *state;
        }
        let index = known.keys.len();
        let mark = if matched { MATCH } else { 0 };
        if index >= self.limit {
            return TOO_MANY;
        }
        let (segment, _) = self.place(index);
        if let Some(rows) = self.segments.get(segment) {
            let cells = self.stride << (self.first_segment as usize + segment);
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
