//! The start table: for rules that begin with a class of bytes instead of a literal (digits of a
//! card, the name in an e-mail address), which of them may match at a position, judged by the first
//! eight bytes. One bit a rule: a position costs one look-up, and a handful of ANDs if it is promising.

use crate::pattern::{BEFORE, FirstBytes, LEVELS};

#[derive(Debug)]
pub(crate) struct StartTable {
    /// Which rule each bit stands for.
    rules: Vec<u32>,
    words: usize,
    classes: [u8; 256],
    class_count: usize,
    /// For each byte, one bit for each class of the byte before: some rule may start here.
    first: [u8; 256],
    /// `[(before * class_count + class) * words + word]`
    start: Vec<u64>,
    /// `[(level * class_count + class) * words + word]`
    rest: Vec<u64>,
}

impl StartTable {
    pub(crate) fn new(rules: &[(u32, &FirstBytes)]) -> StartTable {
        let words = rules.len().div_ceil(64);
        // Bytes that no rule tells apart share a class.
        let mut signatures: Vec<Vec<bool>> = Vec::new();
        let mut classes = [0u8; 256];
        for byte in 0..256 {
            let signature: Vec<bool> = rules
                .iter()
                .flat_map(|(_, f)| f.start.iter().chain(&f.rest).map(move |allowed| allowed[byte]))
                .collect();
            let class = signatures.iter().position(|s| *s == signature).unwrap_or_else(|| {
                signatures.push(signature);
                signatures.len() - 1
            });
            classes[byte] = u8::try_from(class).unwrap_or(u8::MAX);
        }
        let class_count = signatures.len();
        let mut table = StartTable {
            rules: rules.iter().map(|(rule, _)| *rule).collect(),
            words,
            classes,
            class_count,
            first: [0; 256],
            start: vec![0; BEFORE * class_count * words],
            rest: vec![0; (LEVELS - 1) * class_count * words],
        };
        for (bit, (_, bytes)) in rules.iter().enumerate() {
            let (word, mask) = (bit / 64, 1u64 << (bit % 64));
            for byte in 0..256 {
                let class = usize::from(classes[byte]);
                for (before, allowed) in bytes.start.iter().enumerate() {
                    if allowed[byte] {
                        table.first[byte] |= 1 << before;
                        table.start[(before * class_count + class) * words + word] |= mask;
                    }
                }
                for (level, allowed) in bytes.rest.iter().enumerate() {
                    if allowed[byte] {
                        table.rest[(level * class_count + class) * words + word] |= mask;
                    }
                }
            }
        }
        table
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether any rule may start with `byte` after a byte of class `before`.
    #[inline(always)]
    pub(crate) fn may_start(&self, before: usize, byte: u8) -> bool {
        self.first[usize::from(byte)] & (1 << before) != 0
    }

    /// The rules, 64 a word, for which `bytes` (the candidate's first ones, at most [`LEVELS`]) may
    /// begin a match.
    #[inline]
    fn mask(&self, word: usize, before: usize, bytes: &[u8]) -> u64 {
        let Some((first, rest)) = bytes.split_first() else {
            return u64::MAX;
        };
        let class = |byte: &u8| usize::from(self.classes[usize::from(*byte)]);
        let mut mask = self.start[(before * self.class_count + class(first)) * self.words + word];
        for (level, byte) in rest.iter().take(LEVELS - 1).enumerate() {
            if mask == 0 {
                break;
            }
            mask &= self.rest[(level * self.class_count + class(byte)) * self.words + word];
        }
        mask
    }

    /// Calls `found` with each rule whose match may begin with `bytes`.
    #[inline]
    pub(crate) fn each(&self, before: usize, bytes: &[u8], mut found: impl FnMut(u32)) {
        for word in 0..self.words {
            let mut mask = self.mask(word, before, bytes);
            while mask != 0 {
                found(self.rules[word * 64 + mask.trailing_zeros() as usize]);
                mask &= mask - 1;
            }
        }
    }
}
