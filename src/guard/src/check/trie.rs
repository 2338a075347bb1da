//! The words of all lists of a phase in one tree of characters.

use std::collections::BTreeMap;

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
}

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    nodes: Vec<Node>,
    /// Letter children, node after node.
    letters: Vec<u32>,
    others: Vec<(char, u32)>,
    accepts: Vec<Accept>,
}

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
        let mut tree = Tree::default();
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
            tree.accepts.extend(draft.accepts);
            node.others = (others, tree.others.len() as u32);
            node.accepts = (accepts, tree.accepts.len() as u32);
            tree.nodes.push(node);
        }
        tree
    }

    /// The node after `c`.
    #[inline]
    pub(crate) fn step(&self, node: u32, c: char) -> Option<u32> {
        let node = &self.nodes[node as usize];
        if let 'a'..='z' = c {
            let bit = 1 << (c as u32 - 'a' as u32);
            if node.letters & bit == 0 {
                return None;
            }
            let rank = (node.letters & (bit - 1)).count_ones();
            return self.letters.get((node.first_letter + rank) as usize).copied();
        }
        let others = self.others.get(node.others.0 as usize..node.others.1 as usize)?;
        let at = others.binary_search_by_key(&c, |(c, _)| *c).ok()?;
        Some(others[at].1)
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
    }
}
