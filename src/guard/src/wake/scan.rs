//! Where something may begin in a whole text, a block of sixty-four bytes at a time: most words are told
//! from their first two letters, how many they have, and what follows.

use super::{GATE, LITERAL, May, PLACE, START, TOKEN, Wake};
use crate::bits::{BLOCK, Tokens, ahead, both, padded};
use crate::bytes::Bytes;
use crate::dfa::LOOK;
use crate::literals::MORE;
use crate::pattern::{BEFORE, First, LETTERS, before_class, is_word};

/// What is known of rules without literals before any text is seen.
#[derive(Debug)]
pub(super) struct Plan {
    /// By the first two letters, a bit for each number of letters: a word of so many, with a space and a
    /// letter behind it, or, sixteen bits further, with something else, may begin a match.
    words: Box<[u32; LETTER * LETTER]>,
    /// By the byte behind such a word, how many letters it may have, a bit for each number.
    ends: Box<[u16; 256]>,
    /// By a byte other than a letter or a digit, what may follow if a rule begins there.
    pairs: Box<[Bytes; 256]>,
    /// Some rule may begin at a letter or digit that follows a word byte, ...
    inside: bool,
    /// ... at white space, ...
    space: bool,
    /// ... or beyond ASCII.
    high: bool,
}

/// Letters of both cases, by their lower six bits.
const LETTER: usize = 64;

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            words: Box::new([0; LETTER * LETTER]),
            ends: Box::new([0; 256]),
            pairs: Box::new([Bytes::default(); 256]),
            inside: false,
            space: false,
            high: false,
        }
    }
}

/// The bits of words of one letter.
const ONE: u32 = 1 << 1 | 1 << (16 + 1);

/// The place of a word's first two letters.
#[inline(always)]
fn place(first: u8, second: u8) -> usize {
    usize::from(first) % LETTER * LETTER + usize::from(second) % LETTER
}

impl Plan {
    /// Takes note of a rule.
    pub(super) fn add(&mut self, first: &First) {
        let bytes = |set: Bytes| (0..=255u8).filter(move |byte| set.has(*byte)).map(usize::from);
        for (set, counts) in &first.ends {
            bytes(*set).for_each(|byte| self.ends[byte] |= counts);
        }
        for (set, seconds) in &first.pairs {
            bytes(*set).for_each(|byte| self.pairs[byte] = self.pairs[byte].union(seconds));
        }
        let letters = |set: Bytes| (b'A'..=b'z').filter(move |b| b.is_ascii_alphabetic() && set.has(*b));
        for words in &first.spelled {
            let lengths = u32::from(words.lengths.spaced) | u32::from(words.lengths.ended) << 16;
            for first in letters(words.first) {
                match words.second {
                    // Whatever comes behind the one letter.
                    None => (0..LETTER as u8).for_each(|second| self.words[place(first, second)] |= lengths & ONE),
                    Some(set) => letters(set).for_each(|second| self.words[place(first, second)] |= lengths),
                }
            }
        }
    }

    /// Takes note of which bytes lead to what.
    pub(super) fn settle(&mut self, lead: &[[u8; 256]; BEFORE]) {
        let starts = |byte: u8, row: &[u8; 256]| row[usize::from(byte)] & (START | TOKEN | GATE) != 0;
        let anywhere = |byte: u8| lead.iter().any(|row| starts(byte, row));
        self.inside = (0..=127u8).any(|byte| byte.is_ascii_alphanumeric() && starts(byte, &lead[1]));
        self.space = anywhere(b' ') || anywhere(b'\n');
        self.high = (128..=255).any(anywhere);
    }

    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.words) + size_of_val(&*self.ends) + size_of_val(&*self.pairs)
    }

    /// Whether a rule without literals, which needs no long token, may begin with the word of ASCII letters
    /// at `at` of a block, which no word byte comes before. The bits from there on, [`LETTERS`] and more, tell
    /// letters.
    #[inline(always)]
    fn word_may(&self, block: &[u8; BLOCK + MORE], at: usize, letters: u64) -> bool {
        let (at, count) = (at % BLOCK, (letters.trailing_ones() as usize).min(LETTERS));
        // No branch on what nobody can foretell.
        let (end, beyond) = (block[at + count], block[at + count + 1]);
        let spaced = (end == b' ') & beyond.is_ascii_alphabetic() | (count == LETTERS);
        let half = usize::from(!spaced) * 16;
        let ended = spaced | (self.ends[usize::from(end)] >> count & 1 != 0);
        ended & (self.words[place(block[at], block[at + 1])] >> (half + count) & 1 != 0)
    }
}

/// The bits of `mask` for which `keep` says so.
#[inline(always)]
fn filter(mut mask: u64, mut keep: impl FnMut(u32) -> bool) -> u64 {
    let mut kept = 0;
    while mask != 0 {
        let bit = mask.trailing_zeros();
        mask &= mask - 1;
        kept |= u64::from(keep(bit)) << bit;
    }
    kept
}

impl Wake {
    /// Calls `found` with the positions of the whole text `text`, from `from` on and before `to`, at which
    /// something may begin, in order, until it returns `false`; returns what it returned last.
    pub(crate) fn each_place(
        &self,
        text: &[u8],
        from: usize,
        to: usize,
        mut found: impl FnMut(usize, May) -> bool,
    ) -> bool {
        let plan = &self.plan;
        let mut after_word = from > 0 && is_word(text[from - 1]);
        let mut now = Tokens::of(&padded(text, from));
        for base in (from..to).step_by(BLOCK) {
            let next = match text.get(base + BLOCK..) {
                Some(rest @ [_, ..]) => Tokens::of(&padded(rest, 0)),
                _ => Tokens::default(),
            };
            let word = now.alnum | now.joint;
            let inside = word << 1 | u64::from(after_word);
            after_word = word >> (BLOCK - 1) != 0;
            let range = u64::MAX >> (BLOCK - BLOCK.min(to - base));

            let block = padded(text, base);
            let literals = self.literals.places(&block, inside, range);
            let words = now.alnum & !inside & range;
            // A word with a digit may be anything, and one that the end of the text cuts short.
            let digits = before_end(both(now.alnum, next.alnum), both(now.digit, next.digit)) as u64;
            let last = u64::MAX.checked_shl((text.len() - base).saturating_sub(MORE) as u32);
            let odd = words & (digits | last.unwrap_or(0));
            let starts = odd
                | filter(words & !odd, |bit| {
                    plan.word_may(&block, bit as usize, ahead(now.alnum, next.alnum, bit))
                });
            let mut others = !now.alnum & range;
            others &= if plan.space { u64::MAX } else { !now.space };
            others &= if plan.high { u64::MAX } else { !now.high };
            others |= if plan.inside { now.alnum & inside & range } else { 0 };
            // What the end of the text cuts short may be long.
            let last = (base + BLOCK + LOOK).saturating_sub(text.len()).min(BLOCK);
            let cut = u64::MAX.checked_shl((BLOCK - last) as u32).unwrap_or(0);
            let tokens = (words | others) & (cut | runs(both(now.token, next.token)));
            let mut gates = 0;
            let others = filter(others, |bit| {
                let at = base + bit as usize;
                let before = before_class(at.checked_sub(1).map(|before| text[before]));
                let bits = self.lead[before][usize::from(text[at])];
                if bits & GATE != 0 {
                    gates |= u64::from(self.is_gate(text, at)) << bit;
                }
                // A letter or digit may be followed by anything.
                let follows = |next: &u8| self.plan.pairs[usize::from(text[at])].has(*next);
                bits & START != 0 && (text[at].is_ascii_alphanumeric() || text.get(at + 1).is_none_or(follows))
            });

            let mut places = literals | starts | tokens | gates | others;
            while places != 0 {
                let bit = places.trailing_zeros();
                places &= places - 1;
                let at = base + bit as usize;
                let of = |kind: u8, places: u64| if places >> bit & 1 != 0 { kind } else { 0 };
                let asked =
                    of(LITERAL | PLACE, literals) | of(START, starts | others) | of(TOKEN, tokens) | of(GATE, gates);
                let before = before_class(at.checked_sub(1).map(|before| text[before]));
                if let Some(may) = self.look(asked, text, at, before)
                    && !found(at, may)
                {
                    return false;
                }
            }
            now = next;
        }
        true
    }
}

/// Of the runs of `of`, the bits from which [`LETTERS`] or fewer lead to one of `to` without leaving the run.
fn before_end(of: u128, to: u128) -> u128 {
    if to == 0 {
        return 0;
    }
    (1..LETTERS).fold(to, |found, _| found | (found >> 1 & of))
}

/// Which of the first sixty-four bits begin a row of [`LOOK`] of them.
fn runs(bits: u128) -> u64 {
    let two = bits & bits >> 1;
    let four = two & two >> 2;
    (four & four >> 4 & four >> 8) as u64
}

const _: () = assert!(LOOK == 12, "`runs` counts twelve");

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use proptest::prelude::*;

    use super::*;
    use crate::pattern::Pattern;

    fn wake() -> &'static Wake {
        let regexes = [
            r"\b\d{3}-\d{2}-\d{4}\b",
            r"(?i)\b(?:may|june?)\.? \d{1,2}\b",
            r"\b[A-Z]{2} ?\d{2}",
            r"\b[a-f0-9]{1,4}:[a-f0-9]{1,4}:",
            r"\b[A-Za-z0-9+/]{14}=",
            r"\b[A-Za-z0-9_][A-Za-z0-9._]{0,8}@b",
            r"sk-[a-z]{3}",
            r"(?i)\bas[ \n]{1,3}an? ai",
            r"\(\d{3}\)",
            r"忽略[a-z]",
            r"[\u{430}-\u{44f}]b{2}",
            r"_[0-9]b",
            r"[xyz]\d",
            r"\n#",
            r"\b[a-z]{6,10}\d",
            r"\b[a-z]{3} [a-z]\d",
        ];
        static MADE: OnceLock<Wake> = OnceLock::new();
        MADE.get_or_init(|| {
            let patterns: Vec<Pattern> = regexes
                .iter()
                .map(|regex| Pattern::new(regex, regex, false, Some(64), false).unwrap())
                .collect();
            assert!(patterns[5].gate.is_some());
            Wake::new(patterns.iter(), &[5])
        })
    }

    fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-f0-9:]{1,9}",
            "[A-Za-z]{1,14}",
            "(?i)(may|june|as an|as a|sk-|to) ?[0-9a-z]{0,3}",
            "[ -~]{1,5}",
            "[xyz_]?[0-9]{1,4}[-().]?(@b?)?",
            "[A-Z]{2} [0-9a]{1,2}",
            " [a-z]{3} [a-z]?[0-9]",
            "[a-z]{5,11}[0-9-]",
            "(忽略|я|é|=|\n#|_1b|aaaaaaaaaaaaaa=)",
            Just(" ".to_owned()),
        ];
        prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Blocks of bytes find what byte after byte finds.
        #[test]
        fn blocks_find_what_each_byte_says(text in texts(), cut in 0usize..200) {
            let (wake, bytes) = (wake(), text.as_bytes());
            let rules = |at: usize, may: May| {
                let mut rules = Vec::new();
                wake.each(bytes, at, may, |rule| rules.push(rule));
                (at, may.gate(), rules)
            };
            let one_by_one: Vec<_> = (0..bytes.len())
                .filter_map(|at| {
                    let before = before_class(at.checked_sub(1).map(|before| bytes[before]));
                    let may = wake.look(LITERAL | START | TOKEN | GATE, bytes, at, before)?;
                    Some(rules(at, may))
                })
                .collect();
            let mut in_blocks = Vec::new();
            let cut = cut.min(bytes.len());
            for (from, to) in [(0, cut), (cut, bytes.len())] {
                let all = wake.each_place(bytes, from, to, |at, may| {
                    in_blocks.push(rules(at, may));
                    true
                });
                prop_assert!(all);
            }
            prop_assert_eq!(one_by_one, in_blocks);
        }
    }
}
