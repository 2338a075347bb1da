//! The beginnings of many rules in one automaton: which of them wake at a position.
//!
//! A rule wakes where its own automaton is alive after the next bytes, or has matched within them. That
//! is asked once for all rules and not rule by rule: prose leaves hardly a beginning alive for more than
//! two or three bytes.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use regex_automata::nfa::thompson::NFA;

use super::program::{Node, Program};
use super::{DEAD, Dfa, MAX_STATES, SEGMENTS, Scratch, State, TOO_MANY, index};
use crate::pattern::before_class;

/// How many bytes are looked at.
pub(crate) const LOOK: usize = 12;

/// Rows in the first segment, as a power of two: most of what prose asks for.
const FIRST_SEGMENT: u32 = 7;

/// What the first [`LOOK`] bytes of a rule's match reach. All that lies behind is one node, from which any
/// byte leads back to it.
#[derive(Debug)]
pub(crate) struct Head(Program);

impl Head {
    pub(crate) fn new(nfa: &NFA) -> Head {
        let whole = Program::new(nfa);
        let depths = depths(&whole);
        let mut numbers = vec![u32::MAX; whole.nodes.len()];
        let mut head = Program::default();
        // The node behind the last byte.
        head.ranges([(0, 255, 0)]);
        let kept: Vec<usize> = (0..whole.nodes.len())
            .filter(|node| depths[*node] < LOOK && !matches!(whole.nodes[*node], Node::Match))
            .collect();
        for (node, number) in kept.iter().copied().zip(1..) {
            numbers[node] = number;
        }
        let number = |node: u32| match numbers[node as usize] {
            u32::MAX => 0,
            number => number,
        };
        for node in kept {
            match whole.nodes[node] {
                Node::Ranges { from, to } => {
                    let ranges = &whole.ranges[from as usize..to as usize];
                    head.ranges(ranges.iter().map(|(lo, hi, next)| (*lo, *hi, number(*next))));
                }
                Node::Split { from, to } => {
                    let alternatives = &whole.alternatives[from as usize..to as usize];
                    head.split(alternatives.iter().map(|next| number(*next)));
                }
                Node::Look { look, next } => head.nodes.push(Node::Look {
                    look,
                    next: number(next),
                }),
                Node::Match => {}
            }
        }
        head.root = number(whole.root);
        Head(head)
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.0.memory()
    }
}

/// How many bytes lead to each node, at least; none is said of those that [`LOOK`] and more do.
fn depths(program: &Program) -> Vec<usize> {
    let mut depths = vec![usize::MAX; program.nodes.len()];
    let mut level = vec![program.root];
    for depth in 0..LOOK {
        let mut next_level = Vec::new();
        while let Some(node) = level.pop() {
            if depths[node as usize] <= depth {
                continue;
            }
            depths[node as usize] = depth;
            match program.nodes[node as usize] {
                Node::Ranges { from, to } => {
                    next_level.extend(
                        program.ranges[from as usize..to as usize]
                            .iter()
                            .map(|(.., next)| *next),
                    );
                }
                Node::Split { from, to } => level.extend(&program.alternatives[from as usize..to as usize]),
                Node::Look { next, .. } => level.push(next),
                Node::Match => {}
            }
        }
        level = next_level;
    }
    depths
}

/// The rules that wake in each state, told when it is first asked.
type Awake = Box<[OnceLock<Box<[u32]>>]>;

#[derive(Debug)]
pub(crate) struct Heads {
    dfa: Dfa,
    /// The first node of each rule, and the rule.
    owners: Vec<(u32, u32)>,
    awake: [OnceLock<Awake>; SEGMENTS],
}

impl Heads {
    /// One automaton for the heads of these rules.
    pub(crate) fn new(heads: &[(u32, &Head)]) -> Heads {
        Heads::limited(heads, MAX_STATES)
    }

    fn limited(heads: &[(u32, &Head)], limit: usize) -> Heads {
        let mut all = Program::default();
        let (mut owners, mut roots) = (Vec::new(), Vec::new());
        for (rule, Head(head)) in heads {
            let base = all.nodes.len() as u32;
            owners.push((base, *rule));
            roots.push(base + head.root);
            for node in &head.nodes {
                match *node {
                    Node::Ranges { from, to } => {
                        let ranges = &head.ranges[from as usize..to as usize];
                        all.ranges(ranges.iter().map(|(lo, hi, next)| (*lo, *hi, base + next)));
                    }
                    Node::Split { from, to } => {
                        let alternatives = &head.alternatives[from as usize..to as usize];
                        all.split(alternatives.iter().map(|next| base + next));
                    }
                    Node::Look { look, next } => all.nodes.push(Node::Look {
                        look,
                        next: base + next,
                    }),
                    Node::Match => {}
                }
            }
        }
        all.root = all.nodes.len() as u32;
        all.split(roots);
        let classes = classes(&all);
        Heads {
            dfa: Dfa::over(all, classes, FIRST_SEGMENT, limit),
            owners,
            awake: [const { OnceLock::new() }; SEGMENTS],
        }
    }

    /// What the next bytes, [`LOOK`] or all there are, say: `None` if no rule wakes.
    #[inline]
    pub(crate) fn look(&self, before: usize, bytes: &[u8]) -> Option<State> {
        let front = self.dfa.front();
        let mut state = self.dfa.start(before);
        for byte in bytes {
            state = self.dfa.next_in(front, state, *byte);
            if state == DEAD {
                return None;
            }
            if state == TOO_MANY {
                break;
            }
        }
        Some(state)
    }

    /// Calls `found` with the rules that wake where [`Heads::look`] came to `state`.
    pub(crate) fn each(&self, before: usize, bytes: &[u8], state: State, found: impl FnMut(u32)) {
        if state == TOO_MANY {
            self.awake(&self.simulated(before, bytes)).into_iter().for_each(found);
        } else {
            self.rules(state).iter().copied().for_each(found);
        }
    }

    /// The rules that wake in a state there is room for.
    fn rules(&self, state: State) -> &[u32] {
        let (segment, row) = self.dfa.place(index(state));
        let Some(rows) = self.awake.get(segment) else {
            return &[];
        };
        let rows = rows.get_or_init(|| {
            let count = 1usize << (self.dfa.first_segment as usize + segment);
            (0..count).map(|_| OnceLock::new()).collect()
        });
        let Some(cell) = rows.get(row) else { return &[] };
        cell.get_or_init(|| self.awake(&self.dfa.key_of(state)).into())
    }

    /// The key of the state to which `bytes` lead, without any state in between. Slower by far, for when
    /// texts have used up all the states there may be.
    #[cold]
    fn simulated(&self, before: usize, bytes: &[u8]) -> Vec<u32> {
        let mut key = self.dfa.key_of(self.dfa.start(before)).to_vec();
        let mut scratch = Scratch::default();
        for byte in bytes {
            let matched = self.dfa.resolve(&key, Some(*byte), &mut scratch);
            key = self.dfa.key(&scratch.after.list, before_class(Some(*byte)), matched);
        }
        key
    }

    /// The rules that own threads of a state, in order.
    fn awake(&self, key: &[u32]) -> Vec<u32> {
        let nodes = key.split_last().map_or(&[][..], |(_, nodes)| nodes);
        let owner = |node: &u32| {
            let after = self.owners.partition_point(|(first, _)| first <= node);
            after.checked_sub(1).map(|owner| self.owners[owner].1)
        };
        nodes
            .iter()
            .filter_map(owner)
            .collect::<BTreeSet<u32>>()
            .into_iter()
            .collect()
    }

    /// Bytes of memory now; it grows with the texts that were seen.
    pub(crate) fn memory(&self) -> usize {
        self.dfa.memory() + self.owners.len() * 8
    }
}

/// Which bytes a program tells apart.
fn classes(program: &Program) -> Box<[u8; 256]> {
    let mut ends = [false; 256];
    for (lo, hi, _) in &program.ranges {
        ends[usize::from(*hi)] = true;
        if let Some(before) = lo.checked_sub(1) {
            ends[usize::from(before)] = true;
        }
    }
    for byte in 0..255u8 {
        // Assertions ask for the byte before.
        ends[usize::from(byte)] |= before_class(Some(byte)) != before_class(Some(byte + 1));
    }
    let mut class = 0;
    let mut classes = Box::new([0; 256]);
    for (byte, end) in ends.iter().enumerate() {
        classes[byte] = class;
        class += u8::from(*end && byte < 255);
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    /// A rule wakes where its own automaton is alive after the next bytes, or has matched within them.
    #[test]
    fn all_rules_together_wake_as_each_does_alone() {
        let regexes = [
            r"\b\d{3}-\d{2}-\d{4}\b",
            r"\b(?:ab|a\d{2})\b",
            r"\b[a-f]{1,4}:",
            r"(?m)^\d{1,30}$",
            r"\b\d+[.]\d\b{end}",
            r"\b[A-Za-z0-9+/]{14,}=",
        ];
        let patterns: Vec<Pattern> = regexes
            .iter()
            .map(|regex| Pattern::new(regex, regex, false, Some(99), false).unwrap())
            .collect();
        let first = |pattern: &'_ Pattern| pattern.first.is_some();
        assert!(patterns.iter().all(first));
        let heads: Vec<(u32, &Head)> = (0..)
            .zip(&patterns)
            .filter_map(|(rule, pattern)| Some((rule, &pattern.first.as_ref()?.head)))
            .collect();
        // With room for all states, and with none to speak of.
        let heads = [Heads::new(&heads), Heads::limited(&heads, 12)];
        let mut simulated = 0;
        let alphabet = b"a1-:.\n";
        for number in 0..alphabet.len().pow(5) {
            let digit = |place: u32| alphabet[number / alphabet.len().pow(place) % alphabet.len()];
            let text: Vec<u8> = (0..5).map(digit).collect();
            // Five, or as many bytes as are looked at and one more.
            for text in [text.clone(), text.iter().cycle().take(13).copied().collect()] {
                let before = before_class(Some(text[0]));
                let next = &text[1..];
                let awake = |pattern: &Pattern| {
                    let next = &next[..LOOK.min(next.len())];
                    let run = pattern.run(next, 0, 0, pattern.start(before));
                    run.end > 0 || !pattern.is_dead(run.state)
                };
                let alone: Vec<u32> = (0..)
                    .zip(&patterns)
                    .filter(|(_, p)| awake(p))
                    .map(|(rule, _)| rule)
                    .collect();
                for heads in &heads {
                    let next = &next[..LOOK.min(next.len())];
                    let mut together = Vec::new();
                    if let Some(state) = heads.look(before, next) {
                        simulated += usize::from(state == TOO_MANY);
                        heads.each(before, next, state, |rule| together.push(rule));
                    }
                    assert_eq!(together, alone, "{:?}", String::from_utf8_lossy(&text));
                }
            }
        }
        assert!(simulated > 100, "{simulated}");
    }
}
