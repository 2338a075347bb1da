//! What an automaton is made of: the states of a Thompson NFA, as flat lists.

use regex_automata::nfa::thompson::{NFA, State as NfaState};
use regex_automata::util::look::Look;

/// A state of the Thompson NFA, without what only captures need.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node {
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

#[derive(Clone, Debug, Default)]
pub(super) struct Program {
    pub(super) nodes: Vec<Node>,
    /// First and last byte, and the node that follows.
    pub(super) ranges: Vec<(u8, u8, u32)>,
    pub(super) alternatives: Vec<u32>,
    pub(super) root: u32,
}

impl Program {
    pub(super) fn new(nfa: &NFA) -> Program {
        let mut program = Program {
            root: nfa.start_anchored().as_u32(),
            ..Program::default()
        };
        for state in nfa.states() {
            match state {
                NfaState::Look { look, next } => program.nodes.push(Node::Look {
                    look: *look,
                    next: next.as_u32(),
                }),
                NfaState::Match { .. } => program.nodes.push(Node::Match),
                NfaState::ByteRange { trans } => program.ranges([(trans.start, trans.end, trans.next.as_u32())]),
                NfaState::Sparse(sparse) => {
                    let all = sparse.transitions.iter();
                    program.ranges(all.map(|t| (t.start, t.end, t.next.as_u32())));
                }
                NfaState::Dense(dense) => {
                    let next = |byte| dense.matches_byte(byte).map(|next| (byte, byte, next.as_u32()));
                    program.ranges((0..=255u8).filter_map(next));
                }
                NfaState::Union { alternates } => program.split(alternates.iter().map(|id| id.as_u32())),
                NfaState::BinaryUnion { alt1, alt2 } => program.split([alt1.as_u32(), alt2.as_u32()]),
                NfaState::Capture { next, .. } => program.split([next.as_u32()]),
                NfaState::Fail => program.ranges([]),
            }
        }
        program.ranges.shrink_to_fit();
        program.alternatives.shrink_to_fit();
        program
    }

    /// Adds a node that consumes a byte.
    pub(super) fn ranges(&mut self, ranges: impl IntoIterator<Item = (u8, u8, u32)>) {
        let from = self.ranges.len() as u32;
        self.ranges.extend(ranges);
        let to = self.ranges.len() as u32;
        self.nodes.push(Node::Ranges { from, to });
    }

    /// Adds a node that goes on at each of `alternatives`, the first one preferred.
    pub(super) fn split(&mut self, alternatives: impl IntoIterator<Item = u32>) {
        let from = self.alternatives.len() as u32;
        self.alternatives.extend(alternatives);
        let to = self.alternatives.len() as u32;
        self.nodes.push(Node::Split { from, to });
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        self.nodes.len() * size_of::<Node>()
            + self.ranges.len() * size_of::<(u8, u8, u32)>()
            + self.alternatives.len() * 4
    }
}
