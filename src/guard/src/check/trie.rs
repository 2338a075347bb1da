//! The words of all lists of a phase in one tree of characters.

use std::collections::BTreeMap;

use super::words::letter_of;

/// What a node means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accept {
    /// Index of the rule among the phase's checks.
    pub(crate) rule: u32,
    /// Index of the word in its list.
    pub(crate) word: u32,
    /// It makes the words within it innocent.
    pub(crate) exempt: bool,
    /// The word may go on.
    pub(crate) open: bool,
}

/// Children of a node: `a` to `z` by rank in `letters`, others by a search.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    letters: u32,
    first_letter: u32,
    others: (u32, u32),
    accepts: (u32, u32),
    /// One of `accepts` may go on.
    open: bool,
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Letter children, node after node.
    letters: Vec<u32>,
    others: Vec<(char, u32)>,
    accepts: Vec<Accept>,
    /// A bit for each character, by its last bits, with which a word begins, disguised or not.
    first: Box<[u64; FIRST / 64]>,
}

/// Bits of [`Tree::first`].
const FIRST: usize = 1 << 12;

#[derive(Default)]
struct Draft {
    children: BTreeMap<char, usize>,
    accepts: Vec<Accept>,
}

impl Tree {
    pub(crate) fn new(entries: impl Iterator<Item = (Vec<char>, Accept)>) -> Tree {
        let mut drafts = vec![Draft::default()];
        for (word, accept) in entries {
            let mut at = 0;
            for c in word {
                let next = drafts.len();
                at = *drafts[at].children.entry(c).or_insert(next);
                if at == next {
                    drafts.push(Draft::default());
                }
            }
            if at > 0 && !drafts[at].accepts.contains(&accept) {
                drafts[at].accepts.push(accept);
            }
        }
        let mut tree = Tree {
            nodes: Vec::new(),
            letters: Vec::new(),
            others: Vec::new(),
            accepts: Vec::new(),
            first: Box::new([0; FIRST / 64]),
        };
        for draft in drafts {
            let mut node = Node {
                first_letter: tree.letters.len() as u32,
                ..Node::default()
            };
            let (others, accepts) = (tree.others.len() as u32, tree.accepts.len() as u32);
            for (c, child) in draft.children {
                match c {
                    'a'..='z' => {
                        node.letters |= 1 << (c as u32 - 'a' as u32);
                        tree.letters.push(child as u32);
                    }
                    _ => tree.others.push((c, child as u32)),
                }
            }
            node.open = draft.accepts.iter().any(|accept| accept.open);
            tree.accepts.extend(draft.accepts);
            node.others = (others, tree.others.len() as u32);
            node.accepts = (accepts, tree.accepts.len() as u32);
            tree.nodes.push(node);
        }
        for c in (0..FIRST as u32).filter_map(char::from_u32) {
            let letter = letter_of(c).unwrap_or(c);
            if tree.step(0, c).is_some() || tree.step(0, letter).is_some() {
                tree.first[c as usize / 64] |= 1 << (c as usize % 64);
            }
        }
        for c in tree.others(0) {
            tree.first[c as usize % FIRST / 64] |= 1 << (c as usize % 64);
        }
        tree
    }

    /// Whether a word may begin with `c`, or with the letter that it stands for.
    #[inline]
    pub(crate) fn may_begin(&self, c: char) -> bool {
        self.first[c as usize % FIRST / 64] >> (c as usize % 64) & 1 != 0
    }

    /// What lies beyond `a` to `z` and leads on from a node.
    fn others(&self, node: u32) -> Vec<char> {
        let (from, to) = self.nodes[node as usize].others;
        self.others[from as usize..to as usize]
            .iter()
            .map(|(c, _)| *c)
            .collect()
    }

    /// The node after `c`.
    #[inline]
    pub(crate) fn step(&self, node: u32, c: char) -> Option<u32> {
        if c.is_ascii_lowercase() {
            return self.step_letter(node, c).map(|(next, _)| next);
        }
        let node = &self.nodes[node as usize];
        let others = self.others.get(node.others.0 as usize..node.others.1 as usize)?;
        let at = others.binary_search_by_key(&c, |(c, _)| *c).ok()?;
        Some(others[at].1)
    }

    /// The node after `c`, one of `a` to `z`, and whether a word that may go on ends there.
    #[inline]
    pub(crate) fn step_letter(&self, node: u32, c: char) -> Option<(u32, bool)> {
        let node = &self.nodes[node as usize];
        let bit = 1 << ((c as u32).wrapping_sub('a' as u32) % 32);
        if node.letters & bit == 0 {
            return None;
        }
        let rank = (node.letters & (bit - 1)).count_ones();
        let next = *self.letters.get((node.first_letter + rank) as usize)?;
        Some((next, self.nodes.get(next as usize)?.open))
    }

    #[inline]
    pub(crate) fn accepts(&self, node: u32) -> &[Accept] {
        let (from, to) = self.nodes[node as usize].accepts;
        &self.accepts[from as usize..to as usize]
    }

    /// The children of a node under `a` to `z`.
    pub(crate) fn letters(&self, node: u32) -> impl Iterator<Item = (char, u32)> {
        let node = &self.nodes[node as usize];
        let set = ('a'..='z').filter(|c| node.letters & (1 << (*c as u32 - 'a' as u32)) != 0);
        set.zip(&self.letters[node.first_letter as usize..])
            .map(|(c, child)| (c, *child))
    }

    pub(crate) fn memory(&self) -> usize {
        self.nodes.len() * size_of::<Node>()
            + self.letters.len() * 4
            + self.others.len() * size_of::<(char, u32)>()
            + self.accepts.len() * size_of::<Accept>()
            + FIRST / 8
    }
}
