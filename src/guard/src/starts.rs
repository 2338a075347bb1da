//! The start table: for rules that begin with a class of bytes instead of a literal (digits of a
//! card, the name in an e-mail address), which of them may match at a position, judged by the first
//! twelve bytes. One bit a rule: a position costs one look-up, and a handful of ANDs if it is promising.

use std::collections::HashMap;

use crate::pattern::{BEFORE, FirstBytes, LEVELS};

#[derive(Debug)]
pub(crate) struct StartTable {
    /// Which rule each bit stands for.
    rules: Vec<u32>,
    words: usize,
    classes: Box<[u8; 256]>,
    class_count: usize,
    /// `[(before * class_count + class) * words + word]`
    start: Vec<u64>,
    /// `[(level * class_count + class) * words + word]`
    rest: Vec<u64>,
    /// The rules that a whole text is not searched from their gates for.
    ungated: Vec<u64>,
}

impl StartTable {
    /// Takes rules with their first bytes; the last part says whether whole texts have a gate for it.
    pub(crate) fn new(rules: &[(u32, &FirstBytes, bool)]) -> StartTable {
        let words = rules.len().div_ceil(64);
        // Bytes that no rule tells apart share a class.
        let mut signatures: HashMap<Vec<bool>, u8> = HashMap::new();
        let classes = Box::new(std::array::from_fn(|byte| {
            let sets = rules.iter().flat_map(|(_, f, _)| f.start.iter().chain(&f.rest));
            let next = u8::try_from(signatures.len()).unwrap_or(u8::MAX);
            *signatures
                .entry(sets.map(|set| set.has(byte as u8)).collect())
                .or_insert(next)
        }));
        let class_count = signatures.len();
        let mut table = StartTable {
            rules: rules.iter().map(|(rule, ..)| *rule).collect(),
            words,
            classes,
            class_count,
            start: vec![0; BEFORE * class_count * words],
            rest: vec![0; (LEVELS - 1) * class_count * words],
            ungated: vec![0; words],
        };
        for (bit, (_, bytes, gated)) in rules.iter().enumerate() {
            let (word, mask) = (bit / 64, 1u64 << (bit % 64));
            table.ungated[word] |= if *gated { 0 } else { mask };
            for byte in 0..=255u8 {
                let class = usize::from(table.classes[usize::from(byte)]);
                for (before, _) in bytes.start.iter().enumerate().filter(|(_, set)| set.has(byte)) {
                    table.start[(before * class_count + class) * words + word] |= mask;
                }
                for (level, _) in bytes.rest.iter().enumerate().filter(|(_, set)| set.has(byte)) {
                    table.rest[(level * class_count + class) * words + word] |= mask;
                }
            }
        }
        table
    }

    /// The rules, 64 a word, for which `bytes` (the candidate's first ones, at most [`LEVELS`]) may
    /// begin a match.
    #[inline]
    fn mask(&self, word: usize, before: usize, bytes: &[u8], ungated: bool) -> u64 {
        let Some((first, rest)) = bytes.split_first() else {
            return 0;
        };
        let class = |byte: &u8| usize::from(self.classes[usize::from(*byte)]);
        let mut mask = self.start[(before * self.class_count + class(first)) * self.words + word];
        if ungated {
            mask &= self.ungated[word];
        }
        for (level, byte) in rest.iter().take(LEVELS - 1).enumerate() {
            if mask == 0 {
                break;
            }
            mask &= self.rest[(level * self.class_count + class(byte)) * self.words + word];
        }
        mask
    }

    /// Whether some rule's match may begin with `bytes`.
    #[inline]
    pub(crate) fn any(&self, before: usize, bytes: &[u8], ungated: bool) -> bool {
        (0..self.words).any(|word| self.mask(word, before, bytes, ungated) != 0)
    }

    /// Calls `found` with each rule whose match may begin with `bytes`.
    #[inline]
    pub(crate) fn each(&self, before: usize, bytes: &[u8], ungated: bool, mut found: impl FnMut(u32)) {
        for word in 0..self.words {
            let mut mask = self.mask(word, before, bytes, ungated);
            while mask != 0 {
                found(self.rules[word * 64 + mask.trailing_zeros() as usize]);
                mask &= mask - 1;
            }
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        256 + (self.start.len() + self.rest.len() + self.ungated.len()) * 8 + self.rules.len() * 4
    }
}
