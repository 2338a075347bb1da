//! The literals as a plain trie, walked from one position of a whole text: what the automaton of
//! [`crate::trie`] finds at its ends, this finds at its starts.

use crate::trie::Hit;

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    edges: (u32, u32),
    hits: (u32, u32),
}

/// The compiled trie.
#[derive(Debug)]
pub(crate) struct Forward<M> {
    /// The node after each first byte, in either case; 0, the root, for none.
    first: Vec<u32>,
    nodes: Vec<Node>,
    edges: Vec<(u8, u32)>,
    hits: Vec<Hit<M>>,
}

impl<M: Copy> Forward<M> {
    /// Builds the trie. Literals must be lower case in their ASCII letters, and not empty.
    pub(crate) fn new(literals: &[(Vec<u8>, M)]) -> Forward<M> {
        let mut sorted: Vec<&(Vec<u8>, M)> = literals.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        let (mut nodes, mut edges, mut hits) = (vec![Node::default()], Vec::new(), Vec::new());
        // Node `n` stands for the literals of one range, which share their first `depth` bytes.
        let mut ranges = vec![(0..sorted.len(), 0usize)];
        let mut index = 0;
        while let Some((range, depth)) = ranges.get(index).cloned() {
            let own = range.clone().take_while(|i| sorted[*i].0.len() == depth).count();
            let first_hit = hits.len() as u32;
            hits.extend(sorted[range.start..range.start + own].iter().map(|(_, meaning)| Hit {
                len: depth as u32,
                meaning: *meaning,
            }));
            let first_edge = edges.len() as u32;
            let mut at = range.start + own;
            while at < range.end {
                let byte = sorted[at].0[depth];
                let end = at + sorted[at..range.end].iter().take_while(|l| l.0[depth] == byte).count();
                edges.push((byte, nodes.len() as u32));
                nodes.push(Node::default());
                ranges.push((at..end, depth + 1));
                at = end;
            }
            nodes[index] = Node {
                edges: (first_edge, edges.len() as u32),
                hits: (first_hit, hits.len() as u32),
            };
            index += 1;
        }
        let mut first = vec![0; 256];
        for &(byte, node) in &edges[..nodes[0].edges.1 as usize] {
            first[usize::from(byte)] = node;
            first[usize::from(byte.to_ascii_uppercase())] = node;
        }
        Forward {
            first,
            nodes,
            edges,
            hits,
        }
    }

    /// Calls `found` with every literal with which `bytes` begins, shortest first.
    #[inline]
    pub(crate) fn each(&self, bytes: &[u8], mut found: impl FnMut(&Hit<M>)) {
        let Some((first, rest)) = bytes.split_first() else {
            return;
        };
        let mut at = self.first[usize::from(*first)];
        let mut rest = rest.iter();
        while at != 0 {
            let node = &self.nodes[at as usize];
            for hit in &self.hits[node.hits.0 as usize..node.hits.1 as usize] {
                found(hit);
            }
            let Some(byte) = rest.next().map(u8::to_ascii_lowercase) else {
                return;
            };
            let edges = &self.edges[node.edges.0 as usize..node.edges.1 as usize];
            at = edges.iter().find(|(b, _)| *b == byte).map_or(0, |(_, next)| *next);
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.first.len() * 4
            + self.nodes.len() * size_of::<Node>()
            + self.edges.len() * size_of::<(u8, u32)>()
            + self.hits.len() * size_of::<Hit<M>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_begins_here_in_any_case() {
        let literals: Vec<_> = ["he", "hers", "her ", "she", "忽略"]
            .iter()
            .map(|l| (l.as_bytes().to_vec(), ()))
            .collect();
        let trie = Forward::new(&literals);
        let lengths = |text: &str| {
            let mut all = Vec::new();
            trie.each(text.as_bytes(), |hit| all.push(hit.len));
            all
        };
        assert_eq!(lengths("HeRs"), [2, 4]);
        assert_eq!(lengths("her x"), [2, 4]);
        assert_eq!(lengths("shers"), [3]);
        assert_eq!(lengths("忽略"), [6]);
        assert!(lengths("xhe").is_empty() && lengths("h").is_empty() && lengths("").is_empty());
    }
}
