//! The start table: for rules that begin with a class of bytes instead of a literal (digits of a
//! card, the name in an e-mail address), which of them may match at a position, judged by the first
//! twelve bytes. One bit a rule: a position costs one look-up, and a handful of ANDs if it is promising.

use std::collections::HashMap;

use crate::bytes::Bytes;
use crate::pattern::{BEFORE, FirstBytes, LEVELS};

/// Words of bits that are looked at together.
const LANE: usize = 4;

#[derive(Debug)]
pub(crate) struct StartTable {
    /// Which rule each bit stands for.
    rules: Vec<u32>,
    /// A multiple of [`LANE`].
    words: usize,
    classes: Box<[u8; 256]>,
    class_count: usize,
    /// `[(before * class_count + class) * words + word]`
    start: Vec<u64>,
    /// `[(level * class_count + class) * words + word]`
    rest: Vec<u64>,
    /// The rules that a whole text is not searched from their gates for.
    ungated: Vec<u64>,
    /// `[run * words + word]`: the rules that need no more than `run` letters and digits first.
    runs: Vec<u64>,
    /// `[(before * class_count + class) * class_count + next]`: bit `run` says that some rule without a
    /// gate may begin with bytes of these two classes, `run` letters and digits first.
    pairs: Vec<u16>,
}

/// Letters and digits that are counted at once.
const RUN: usize = 8;

/// How many of eight bytes, from the lowest on, are ASCII letters and digits.
#[inline]
fn run_of(bytes: u64) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let within = |bytes: u64, first: u8, last: u8| {
        let seven = bytes & (0x7F * EACH);
        let from = seven + (0x80 - u64::from(first)) * EACH;
        let after = seven + (0x7F - u64::from(last)) * EACH;
        !bytes & (from ^ after) & (0x80 * EACH)
    };
    let either = within(bytes | (0x20 * EACH), b'a', b'z') | within(bytes, b'0', b'9');
    ((!either & (0x80 * EACH)).trailing_zeros() / 8) as usize
}

impl StartTable {
    /// Takes rules with their first bytes; the last part says whether whole texts have a gate for it.
    pub(crate) fn new(rules: &[(u32, &FirstBytes, bool)]) -> StartTable {
        let words = rules.len().div_ceil(64 * LANE) * LANE;
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
            runs: vec![0; (RUN + 1) * words],
            pairs: vec![0; BEFORE * class_count * class_count],
        };
        for (bit, (_, bytes, gated)) in rules.iter().enumerate() {
            let (word, mask) = (bit / 64, 1u64 << (bit % 64));
            table.ungated[word] |= if *gated { 0 } else { mask };
            let plain = |set: &Bytes| (0..=255u8).all(|byte| !set.has(byte) || byte.is_ascii_alphanumeric());
            let first = bytes.start.iter().all(plain);
            let needed = usize::from(first) * (1 + bytes.rest.iter().take_while(|set| plain(set)).count());
            for run in needed.min(RUN)..=RUN {
                table.runs[run * words + word] |= mask;
            }
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
        for (pair, runs) in std::mem::take(&mut table.pairs).into_iter().enumerate() {
            let (first, next) = (pair / class_count, pair % class_count);
            let alive = |run: usize| {
                (0..words).any(|word| {
                    table.start[first * words + word]
                        & table.rest[next * words + word]
                        & table.runs[run * words + word]
                        & table.ungated[word]
                        != 0
                })
            };
            let alive = (0..=RUN)
                .filter(|run| alive(*run))
                .fold(runs, |bits, run| bits | 1 << run);
            table.pairs.push(alive);
        }
        table
    }

    /// Whether `eight` bytes are enough to say that nothing without a gate begins with them.
    #[inline]
    fn is_hopeless(&self, before: usize, eight: &[u8; RUN]) -> bool {
        let class = |byte: u8| usize::from(self.classes[usize::from(byte)]);
        let pair = (before * self.class_count + class(eight[0])) * self.class_count + class(eight[1]);
        let run = run_of(u64::from_le_bytes(*eight));
        self.pairs.get(pair).is_some_and(|runs| runs & (1 << run) == 0)
    }

    /// The rules of the lane from `word` on, 64 a word, for which `bytes` (the candidate's first ones, at
    /// most [`LEVELS`]) may begin a match.
    #[inline]
    fn lane(&self, word: usize, before: usize, bytes: &[u8], ungated: bool) -> [u64; LANE] {
        let Some((first, rest)) = bytes.split_first() else {
            return [0; LANE];
        };
        let class = |byte: &u8| usize::from(self.classes[usize::from(*byte)]);
        let mut lane = [0; LANE];
        let start = (before * self.class_count + class(first)) * self.words + word;
        lane.copy_from_slice(&self.start[start..start + LANE]);
        if ungated {
            and(&mut lane, &self.ungated[word..word + LANE]);
        }
        if let Some(eight) = bytes.first_chunk::<RUN>() {
            let run = run_of(u64::from_le_bytes(*eight)) * self.words + word;
            and(&mut lane, &self.runs[run..run + LANE]);
        }
        for (level, byte) in rest.iter().take(LEVELS - 1).enumerate() {
            if lane.iter().fold(0, |any, mask| any | mask) == 0 {
                break;
            }
            let row = (level * self.class_count + class(byte)) * self.words + word;
            and(&mut lane, &self.rest[row..row + LANE]);
        }
        lane
    }

    /// Whether some rule's match may begin with `bytes`.
    #[inline]
    pub(crate) fn any(&self, before: usize, bytes: &[u8], ungated: bool) -> bool {
        if ungated && bytes.first_chunk().is_some_and(|eight| self.is_hopeless(before, eight)) {
            return false;
        }
        let mut lanes = (0..self.words).step_by(LANE);
        lanes.any(|word| self.lane(word, before, bytes, ungated) != [0; LANE])
    }

    /// Calls `found` with each rule whose match may begin with `bytes`.
    #[inline]
    pub(crate) fn each(&self, before: usize, bytes: &[u8], ungated: bool, mut found: impl FnMut(u32)) {
        for word in (0..self.words).step_by(LANE) {
            let lane = self.lane(word, before, bytes, ungated);
            for (mut mask, word) in lane.into_iter().zip(word..) {
                while mask != 0 {
                    found(self.rules[word * 64 + mask.trailing_zeros() as usize]);
                    mask &= mask - 1;
                }
            }
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        256 + (self.start.len() + self.rest.len() + self.ungated.len() + self.runs.len()) * 8
            + self.pairs.len() * 2
            + self.rules.len() * 4
    }
}

#[inline]
fn and(lane: &mut [u64; LANE], with: &[u64]) {
    for (mask, with) in lane.iter_mut().zip(with) {
        *mask &= with;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_as_one_by_one() {
        for byte in 0..=255u8 {
            for at in 0..RUN {
                let mut eight = *b"aZ09zA5q";
                eight[at] = byte;
                let one_by_one = eight.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
                assert_eq!(run_of(u64::from_le_bytes(eight)), one_by_one, "{byte} at {at}");
            }
        }
    }
}
