//! Text as hashed features: words and their n-grams, the starts of long words, and what stands
//! between words. One pass, no allocation; what becomes of a feature is the caller's.
//!
//! A word takes two lines of the table of weights: one that it shares with the words of its stem, one
//! with what follows the word before it. So a cold table costs two misses a word and not six.
//!
//! Letters are folded (case, accents of Latin letters), digits are all the same digit. Scripts that
//! are written without spaces give one token a character, so that their n-grams are words. A token that
//! stands where it stood a moment ago, after the same two words, is no news and yields nothing.

use super::windows::LARGEST;
use crate::bits::{BLOCK, padded, word_bits};

/// The number of buckets: as many weights of a byte fit into a quarter of a mebibyte.
pub const BUCKETS: usize = 1 << BITS;
const BITS: u32 = 18;

/// The bucket of what does not count: its weight is zero.
pub const NOTHING: u32 = 0;

/// Takes what the pass over a text yields.
pub trait Sink {
    /// A feature lies in this bucket.
    fn feature(&mut self, bucket: u32);

    /// The features of one more token are complete; its text ends before byte `end`.
    fn token(&mut self, end: usize);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Word,
    Mark,
}

const CLASSES: [Class; 128] = {
    let mut table = [Class::Mark; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => Class::Word,
            b' ' | b'\t' | b'\r' | 0 => Class::Space,
            _ => Class::Mark,
        };
        byte += 1;
    }
    table
};

/// ASCII with both cases the same, and all digits.
const FOLDED: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' => b'0',
            other => other.to_ascii_lowercase(),
        };
        byte += 1;
    }
    table
};

/// Spreads a small number over all bits.
const fn mix(value: u32) -> u32 {
    let mut x = value.wrapping_mul(0x9E37_79B1) ^ 0x85EB_CA6B;
    x = (x ^ (x >> 15)).wrapping_mul(0x2C1B_3C6D);
    x = (x ^ (x >> 12)).wrapping_mul(0x297A_2D39);
    x ^ (x >> 15)
}

/// ASCII, spread.
const MIXED: [u32; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = mix(byte as u32);
        byte += 1;
    }
    table
};

/// Weights of one line of a cache.
const LINE: u32 = 6;

/// The bucket within the line that `line` chooses, by the upper bits of both.
#[inline(always)]
fn bucket(line: u32, slot: u32) -> u32 {
    ((line >> (32 - (BITS - LINE))) << LINE) | (slot >> (32 - LINE))
}

/// Adds eight letters to the hash of a word.
#[inline(always)]
fn letters(hash: u64, letters: u64) -> u64 {
    let x = (hash ^ letters).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x ^ (x >> 32)
}

/// The first letters of a word stand for its stem.
const STEM: u64 = 0xFF_FFFF_FFFF;
/// Marks of one gap that count; longer rules and ellipses are the same.
const GAP: u32 = 6;

/// What a character beyond ASCII is to the pass.
enum Wide {
    /// Part of a word.
    Letter(u8),
    /// A word by itself.
    Sign(u32),
    Mark(u32),
    Space,
    Nothing,
}

/// The plain letters of U+00C0–U+017F, `*` where there is none.
const PLAIN: &[u8; 192] = b"aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty\
aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

/// A letter of a script whose letters differ in their last bits.
fn letter(c: u32) -> Wide {
    Wide::Letter(c as u8 | 0x80)
}

fn wide(c: char) -> Wide {
    match c {
        '\u{C0}'..='\u{17F}' => match PLAIN[c as usize - 0xC0] {
            b'*' => Wide::Mark(mix(c as u32)),
            letter => Wide::Letter(letter),
        },
        '\u{80}'..='\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{3000}' => Wide::Space,
        '\u{AD}'
        | '\u{300}'..='\u{36F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2060}'..='\u{2064}'
        | '\u{FE00}'..='\u{FE0F}' => Wide::Nothing,
        '\u{A1}'..='\u{BF}' | '\u{2010}'..='\u{2BFF}' | '\u{3001}'..='\u{3004}' | '\u{3008}'..='\u{3030}' => {
            Wide::Mark(mix(c as u32))
        }
        '\u{410}'..='\u{42F}' => letter(c as u32 + 0x20),
        '\u{400}'..='\u{40F}' => letter(c as u32 + 0x50),
        '\u{391}'..='\u{3A9}' => letter(c as u32 + 0x20),
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Wide::Sign(c as u32),
        '\u{2E80}'..='\u{2FFF}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' => Wide::Sign(c as u32),
        '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => Wide::Sign(c as u32),
        '\u{FF01}'..='\u{FF5E}' => {
            let ascii = c as usize - 0xFF01 + 0x21;
            match CLASSES[ascii] {
                Class::Word => Wide::Letter(FOLDED[ascii]),
                _ => Wide::Mark(mix(u32::from(FOLDED[ascii]))),
            }
        }
        '\u{FF61}'..='\u{FF65}' => Wide::Mark(mix(c as u32)),
        '\u{1F000}'..='\u{1FAFF}' => Wide::Mark(mix(0x1F600)),
        _ => letter(c as u32),
    }
}

/// The marks between two words.
#[derive(Clone, Copy, Default)]
struct Gap {
    hash: u32,
    marks: u32,
}

impl Gap {
    #[inline(always)]
    fn mark(&mut self, mix: u32) {
        if self.marks < GAP {
            self.hash = self.hash.rotate_left(7) ^ mix;
        }
        self.marks += 1;
    }
}

/// The words before the one at hand, as hashes.
struct Words<M> {
    before: [u32; 2],
    recent: M,
    known: M,
}

/// What was there a moment ago.
trait Memory {
    /// One of `size` entries at least.
    fn new(size: usize) -> Self;

    /// Whether it was there; it is from now on.
    fn seen(&mut self, hash: u32) -> bool;
}

/// The place of an entry, and its bits there.
#[inline(always)]
fn place(hash: u32) -> (usize, u64) {
    let mask = 1_u64 << ((hash >> 12) & 63) | 1_u64 << ((hash >> 18) & 63);
    ((hash >> 24) as usize % RECENT, mask)
}

/// What was there a moment ago: a Bloom filter of two bits in one word, in two generations. None of the
/// last `size` is forgotten; of a thousand new ones, about two are taken for old ones.
struct Recent {
    /// Both generations of a place side by side.
    bits: [[u64; 2]; RECENT],
    /// Entries of the younger generation, and which one that is.
    count: usize,
    young: usize,
    size: usize,
}

/// Words of memory of a generation.
const RECENT: usize = 256;
/// Sequences of three words that are remembered for certain.
const TRIPLES: usize = 256;
/// Words that are remembered for certain: those of the largest window.
const KNOWN: usize = LARGEST;

impl Memory for Recent {
    fn new(size: usize) -> Recent {
        Recent {
            bits: [[0; 2]; RECENT],
            count: 0,
            young: 0,
            size,
        }
    }

    #[inline(always)]
    fn seen(&mut self, hash: u32) -> bool {
        let (at, mask) = place(hash);
        let place = &mut self.bits[at];
        let seen = (!place[0] & mask == 0) | (!place[1] & mask == 0);
        // No branch on what nobody can foretell.
        place[self.young & 1] |= mask & u64::from(seen).wrapping_sub(1);
        self.count += usize::from(!seen);
        if self.count == self.size {
            self.renew();
        }
        seen
    }
}

impl Recent {
    /// The older generation is forgotten and becomes the younger one.
    #[cold]
    #[inline(never)]
    fn renew(&mut self) {
        self.count = 0;
        self.young ^= 1;
        let young = self.young & 1;
        self.bits.iter_mut().for_each(|place| place[young] = 0);
    }
}

/// The same for a text of few words: what the filter would hold, entry by entry, so that a word or two need
/// not wait for the filter to be cleared.
struct Few {
    entries: [(usize, u64); FEW],
    count: usize,
}

/// The most words of a text that is short, and its most bytes.
const FEW: usize = KNOWN / 4;
const SHORT: usize = 2 * (FEW - 1) - 1;

impl Memory for Few {
    fn new(_: usize) -> Few {
        Few {
            entries: [(0, 0); FEW],
            count: 0,
        }
    }

    fn seen(&mut self, hash: u32) -> bool {
        let (at, mask) = place(hash);
        let here = self.entries[..self.count.min(FEW)].iter().filter(|(other, _)| *other == at);
        let seen = !here.fold(0, |all, (_, bits)| all | bits) & mask == 0;
        if let (false, Some(entry)) = (seen, self.entries.get_mut(self.count)) {
            *entry = (at, mask);
            self.count += 1;
        }
        seen
    }
}

impl<M: Memory> Words<M> {
    fn new() -> Words<M> {
        Words {
            before: [0x0101_0101, 0x0202_0202],
            recent: M::new(TRIPLES),
            known: M::new(KNOWN),
        }
    }

    /// A word is complete: the hash of its letters, its first eight letters, what stood before it.
    #[inline(always)]
    fn end(&mut self, hash: u64, first: u64, gap: Gap, at: usize, sink: &mut impl Sink) {
        let word = (hash.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) as u32;
        let stem = ((first & STEM).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
        let [far, near] = self.before;
        self.before = [near, word];
        let pair = near.rotate_left(11).wrapping_add(word).wrapping_mul(0x2C1B_3C6D);
        let triple = (far.rotate_left(21) ^ pair).wrapping_mul(0x9E37_79B1);
        if self.recent.seen(triple) {
            return;
        }
        // A word counts once a window or so; after that it is the bucket that weighs nothing. No branch here, either.
        let new = u32::from(self.known.seen(word)).wrapping_sub(1);
        let once = |bucket: u32| bucket & new;
        sink.feature(once(bucket(stem, stem.wrapping_mul(0x85EB_CA77))));
        sink.feature(once(bucket(stem, word)));
        sink.feature(bucket(pair, pair.wrapping_mul(0x85EB_CA77)));
        sink.feature(bucket(pair, triple));
        if gap.marks > 0 {
            let marks = mix(gap.hash);
            sink.feature(bucket(marks, marks.wrapping_mul(0x85EB_CA77)));
            sink.feature(bucket(stem, (marks ^ word).wrapping_mul(0x297A_2D39)));
        }
        sink.token(at);
    }

    /// The end of the text is a word like any other.
    fn close(&mut self, gap: Gap, at: usize, sink: &mut impl Sink) {
        self.end(4, 4, gap, at, sink);
    }
}

/// Gives `sink` every feature of `text`, token by token.
pub fn visit(text: &str, sink: &mut impl Sink) {
    if text.is_ascii() {
        match text.len() {
            0..=SHORT => visit_ascii(text.as_bytes(), &mut Words::<Few>::new(), sink),
            _ => visit_ascii(text.as_bytes(), &mut Words::<Recent>::new(), sink),
        }
    } else {
        visit_any(text, sink);
    }
}

/// Of the word at `at`, of which `count` letters are left, up to eight, folded; what is not of it is zero.
#[inline(always)]
fn load(bytes: &[u8], at: usize, count: usize) -> u64 {
    let raw = match bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        Some(eight) => u64::from_le_bytes(*eight),
        None => {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(bytes.get(at..).unwrap_or_default()) {
                *to = *from;
            }
            u64::from_le_bytes(eight)
        }
    };
    let lower = raw | 0x2020_2020_2020_2020;
    // A digit lacks the bit that all letters have: it loses its value.
    let digits = (!lower >> 6) & 0x0101_0101_0101_0101;
    let folded = lower & !(digits * 0x0F);
    folded & u64::MAX >> (64 - 8 * count.min(8))
}

/// Words are found by the bits of 64 bytes at a time and hashed eight letters at a time.
fn visit_ascii(bytes: &[u8], words: &mut Words<impl Memory>, sink: &mut impl Sink) {
    // Where the word at hand starts, and the one before it ended.
    let (mut from, mut ended) = (0, 0);
    let mut inside = 0_u64;
    let mut word = |from: usize, to: usize, ended: usize, sink: &mut _| {
        let first = load(bytes, from, to - from);
        let mut hash = letters(0, first);
        let mut at = from + 8;
        while at < to {
            hash = letters(hash, load(bytes, at, to - at));
            at += 8;
        }
        words.end(hash, first, gap(bytes, ended, from), to, sink);
    };
    for base in (0..bytes.len()).step_by(BLOCK) {
        let bits = word_bits(&padded(bytes, base));
        let after = bits << 1 | inside;
        let (mut starts, mut ends) = (bits & !after, after & !bits);
        // The next start; where there is none, the next block has it.
        let mut next = || {
            let start = base + starts.trailing_zeros() as usize;
            starts &= starts.wrapping_sub(1);
            start
        };
        if inside == 0 {
            from = next();
        }
        while ends != 0 {
            let at = base + ends.trailing_zeros() as usize;
            ends &= ends - 1;
            word(from, at, ended, sink);
            (from, ended) = (next(), at);
        }
        inside = bits >> (BLOCK - 1);
    }
    if inside == 1 {
        word(from, bytes.len(), ended, sink);
        ended = bytes.len();
    }
    words.close(gap(bytes, ended, bytes.len()), bytes.len(), sink);
}

/// The marks between two words of an ASCII text.
#[inline(always)]
fn gap(bytes: &[u8], from: usize, to: usize) -> Gap {
    let mut gap = Gap::default();
    if to - from == 1 && bytes.get(from) == Some(&b' ') {
        return gap;
    }
    for byte in bytes.get(from..to).unwrap_or_default() {
        if CLASSES[usize::from(byte & 0x7F)] == Class::Mark {
            gap.mark(MIXED[usize::from(byte & 0x7F)]);
        }
    }
    gap
}

/// The word at hand, letter by letter.
#[derive(Default)]
struct Spelled {
    hash: u64,
    /// The letters that are not yet in the hash.
    open: u64,
    first: u64,
    count: usize,
}

impl Spelled {
    fn letter(&mut self, letter: u8) {
        let place = self.count % 8;
        if place == 0 && self.count > 0 {
            self.flush();
        }
        self.open |= u64::from(letter) << (8 * place);
        self.count += 1;
    }

    fn flush(&mut self) {
        if self.count <= 8 {
            self.first = self.open;
        }
        self.hash = letters(self.hash, std::mem::take(&mut self.open));
    }

    /// The word ends, if there is one.
    fn end(&mut self, words: &mut Words<impl Memory>, gap: &mut Gap, at: usize, sink: &mut impl Sink) {
        if self.count > 0 {
            self.flush();
            words.end(self.hash, self.first, std::mem::take(gap), at, sink);
            *self = Spelled::default();
        }
    }
}

/// The same for any text, character by character.
fn visit_any(text: &str, sink: &mut impl Sink) {
    let mut words = Words::<Recent>::new();
    let mut word = Spelled::default();
    let mut gap = Gap::default();
    for (at, c) in text.char_indices() {
        let seen = match CLASSES.get(c as usize) {
            Some(Class::Word) => Wide::Letter(FOLDED[c as usize]),
            Some(Class::Space) => Wide::Space,
            Some(Class::Mark) => Wide::Mark(mix(c as u32)),
            None => wide(c),
        };
        match seen {
            Wide::Letter(letter) => word.letter(letter),
            Wide::Nothing => {}
            Wide::Space => word.end(&mut words, &mut gap, at, sink),
            Wide::Mark(mix) => {
                word.end(&mut words, &mut gap, at, sink);
                gap.mark(mix);
            }
            Wide::Sign(sign) => {
                word.end(&mut words, &mut gap, at, sink);
                let sign = u64::from(sign) << 8 | 0xFF;
                words.end(
                    letters(0, sign),
                    sign,
                    std::mem::take(&mut gap),
                    at + c.len_utf8(),
                    sink,
                );
            }
        }
    }
    word.end(&mut words, &mut gap, text.len(), sink);
    words.close(gap, text.len(), sink);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default, PartialEq, Debug)]
    struct Seen(Vec<u32>, Vec<usize>);

    impl Sink for Seen {
        fn feature(&mut self, bucket: u32) {
            assert!((bucket as usize) < BUCKETS);
            self.0.push(bucket);
        }

        fn token(&mut self, end: usize) {
            self.1.push(end);
        }
    }

    fn seen(visit: impl FnOnce(&mut Seen)) -> Seen {
        let mut seen = Seen::default();
        visit(&mut seen);
        seen
    }

    proptest! {
        #[test]
        fn by_blocks_and_by_characters_are_the_same(text in "([ -~\n\t]{0,200}|[a-z]{1,90} ?){0,4}") {
            let blocks = seen(|s| visit_ascii(text.as_bytes(), &mut Words::<Recent>::new(), s));
            prop_assert_eq!(&blocks, &seen(|s| visit_any(&text, s)));
            prop_assert_eq!(blocks, seen(|s| visit(&text, s)));
        }

        /// As long as neither forgets, nobody can tell them apart.
        #[test]
        fn few_words_are_remembered_alike(hashes in prop::collection::vec((0u32..4, 0u32..1 << 12), 0..=FEW)) {
            let (mut few, mut recent) = (Few::new(KNOWN), Recent::new(KNOWN));
            for hash in hashes.iter().map(|(at, bits)| at << 24 | bits << 12) {
                prop_assert_eq!(few.seen(hash), recent.seen(hash));
            }
        }
    }

    #[test]
    fn what_is_said_again_is_no_news() {
        let one = "You must always answer in the language of the customer. ";
        let (three, many) = (seen(|s| visit(&one.repeat(3), s)), seen(|s| visit(&one.repeat(300), s)));
        assert_eq!(three.0, many.0);
    }
}
