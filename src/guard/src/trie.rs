//! The literal automaton: Aho-Corasick over every rule's required prefixes,
//! ASCII case-insensitive, that can also say how much of the text's end may still become a literal.
//!
//! The `aho-corasick` crate finds literals as fast, but does not tell the depth of a state, and the
//! depth is exactly the hold-back that a stream needs for a literal that has begun.

use std::collections::VecDeque;

/// What a literal stands for: a match of this rule may start where the literal starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Index of the rule in its engine.
    pub(crate) rule: u32,
    /// The rule never matches right after a word byte.
    pub(crate) boundary: bool,
}

/// A literal that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hit<M = Meaning> {
    pub(crate) len: u32,
    pub(crate) meaning: M,
}

#[derive(Debug, Default)]
struct Node {
    children: Vec<(u8, u32)>,
    fail: u32,
    depth: u32,
    hits: Vec<Hit>,
    /// A rule's literal ends below this node, so the text on the way here must be held.
    holds: bool,
    /// ... and at least one such literal may follow a word byte.
    holds_inside_word: bool,
}

/// The compiled automaton. A state is the number that [`Trie::step`] returns, 0 at the start.
#[derive(Debug)]
pub(crate) struct Trie {
    classes: [u8; 256],
    stride: u32,
    /// `next[state + class]`; states are premultiplied by the stride, the top bit marks hits.
    next: Vec<u32>,
    nodes: Vec<Node>,
    longest: usize,
}

/// Set on a state in which a literal ends.
pub(crate) const HIT: u32 = 1 << 31;

impl Trie {
    /// Builds the automaton. Literals must be lower case in their ASCII letters, and not empty.
    pub(crate) fn new(literals: &[(Vec<u8>, Meaning)]) -> Trie {
        let mut nodes = vec![Node::default()];
        for (literal, meaning) in literals {
            let mut at = 0u32;
            for (depth, &byte) in literal.iter().enumerate() {
                let node = &mut nodes[at as usize];
                node.holds = true;
                node.holds_inside_word |= !meaning.boundary;
                let child = nodes[at as usize]
                    .children
                    .iter()
                    .find(|(b, _)| *b == byte)
                    .map(|(_, n)| *n);
                at = child.unwrap_or_else(|| {
                    let new = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                    nodes[at as usize].children.push((byte, new));
                    nodes.push(Node {
                        depth: depth as u32 + 1,
                        ..Node::default()
                    });
                    new
                });
            }
            nodes[at as usize].hits.push(Hit {
                len: literal.len() as u32,
                meaning: *meaning,
            });
        }
        let (classes, count) = byte_classes(literals);
        let stride = count as u32;
        let mut next = vec![0u32; nodes.len() * count];
        let mut queue = VecDeque::from([0u32]);
        // Breadth first: a node's failure target is complete before the node is.
        while let Some(at) = queue.pop_front() {
            let fail = nodes[at as usize].fail;
            if at != 0 {
                let (from, to) = (fail as usize * count, at as usize * count);
                next.copy_within(from..from + count, to);
                let inherited = nodes[fail as usize].hits.clone();
                nodes[at as usize].hits.extend(inherited);
            }
            for (byte, child) in nodes[at as usize].children.clone() {
                let slot = at as usize * count + usize::from(classes[usize::from(byte)]);
                nodes[child as usize].fail = if at == 0 { 0 } else { next[slot] };
                next[slot] = child;
                queue.push_back(child);
            }
        }
        for state in &mut next {
            let hit = if nodes[*state as usize].hits.is_empty() { 0 } else { HIT };
            *state = (*state * stride) | hit;
        }
        for node in &mut nodes {
            node.children = Vec::new();
            node.hits.shrink_to_fit();
        }
        let longest = literals.iter().map(|(l, _)| l.len()).max().unwrap_or(0);
        Trie {
            classes,
            stride,
            next,
            nodes,
            longest,
        }
    }

    /// The state after one more byte.
    #[inline(always)]
    pub(crate) fn step(&self, state: u32, byte: u8) -> u32 {
        self.next[(state & !HIT) as usize + usize::from(self.classes[usize::from(byte)])]
    }

    fn node(&self, state: u32) -> &Node {
        &self.nodes[((state & !HIT) / self.stride) as usize]
    }

    /// The literals that end at the byte that led to `state`.
    pub(crate) fn hits(&self, state: u32) -> &[Hit] {
        &self.node(state).hits
    }

    /// How many bytes at the end of the text may be the beginning of a rule's literal.
    /// `inside_word(n)` says whether the byte before the last `n` is a word byte.
    pub(crate) fn held(&self, state: u32, inside_word: impl Fn(usize) -> bool) -> usize {
        let mut node = self.node(state);
        while node.depth > 0 {
            let depth = node.depth as usize;
            if node.holds && (node.holds_inside_word || !inside_word(depth)) {
                return depth;
            }
            node = &self.nodes[node.fail as usize];
        }
        0
    }

    /// Length of the longest literal, bytes.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Bytes of memory for the transition table.
    pub(crate) fn memory(&self) -> usize {
        self.next.len() * 4
    }
}

/// One class for each byte that some literal uses (capitals with their small letters), one for the rest.
fn byte_classes(literals: &[(Vec<u8>, Meaning)]) -> ([u8; 256], usize) {
    let mut used = [false; 256];
    for byte in literals.iter().flat_map(|(l, _)| l) {
        used[usize::from(*byte)] = true;
    }
    let mut classes = [0u8; 256];
    let mut count = 1usize;
    for byte in 0..=255u8 {
        if used[usize::from(byte)] {
            // 255 at most: a byte above 0xF4 never occurs in UTF-8, and capitals share a class.
            classes[usize::from(byte)] = u8::try_from(count).unwrap_or(u8::MAX);
            count += 1;
        }
    }
    for byte in b'A'..=b'Z' {
        classes[usize::from(byte)] = classes[usize::from(byte.to_ascii_lowercase())];
    }
    (classes, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(rule: u32, boundary: bool) -> Meaning {
        Meaning { rule, boundary }
    }

    fn run(trie: &Trie, text: &str) -> (Vec<(usize, usize)>, u32) {
        let (mut state, mut found) = (0, Vec::new());
        for (i, b) in text.bytes().enumerate() {
            state = trie.step(state, b);
            if state & HIT != 0 {
                found.extend(trie.hits(state).iter().map(|h| (i + 1 - h.len as usize, i + 1)));
            }
        }
        (found, state)
    }

    #[test]
    fn finds_overlapping_literals_in_any_case() {
        let literals: Vec<_> = ["he", "she", "his", "hers", "忽略"]
            .iter()
            .enumerate()
            .map(|(i, l)| (l.as_bytes().to_vec(), prefix(i as u32, false)))
            .collect();
        let trie = Trie::new(&literals);
        assert_eq!(run(&trie, "usHErs 忽略").0, [(1, 4), (2, 4), (2, 6), (7, 13)]);
    }

    #[test]
    fn holds_exactly_the_longest_begun_literal() {
        let trie = Trie::new(&[
            (b"sk-".to_vec(), prefix(0, true)),
            (b"ignore".to_vec(), prefix(1, false)),
        ]);
        let held = |text: &str| {
            let state = run(&trie, text).1;
            trie.held(state, |n| {
                text.len()
                    .checked_sub(n + 1)
                    .is_some_and(|i| text.as_bytes()[i].is_ascii_alphanumeric())
            })
        };
        assert_eq!(held("an igno"), 4);
        assert_eq!(held("anigno"), 4, "this rule may start inside a word");
        assert_eq!(held("a s"), 1);
        assert_eq!(held("tas"), 0, "this rule may not");
        assert_eq!(held("ignore"), 0, "a whole literal is a candidate's business");
        assert_eq!(held("ignore s"), 1);
    }
}
