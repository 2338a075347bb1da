//! Text as hashed features: words and their n-grams, the starts of long words, and what stands
//! between words. One pass, no allocation; what becomes of a feature is the caller's.
//!
//! A word takes two lines of the table of weights: one that it shares with the words of its stem, one
//! with what follows the word before it. So a cold table costs two misses a word and not six.
//!
//! Letters are folded (case, accents of Latin letters), digits are all the same digit. Scripts that
//! are written without spaces give one token a character, so that their n-grams are words. A token that
//! stands where it stood a moment ago, after the same two words, is no news and yields nothing.

mod both;
mod memory;
mod walk;
mod wide;

pub(crate) use both::{Both, visit_both};
use memory::{Few, KNOWN, Memory, Recent, SHORT, TRIPLES};
use walk::{Parts, walk};
use wide::wide;

use crate::bits::{BLOCK, padded, word_bits};

/// The number of buckets: as many weights of a byte fit into a quarter of a mebibyte.
pub const BUCKETS: usize = 1 << BITS;
const BITS: u32 = 18;

/// A feature by all bits of its hash: what chooses the line of the table, and what the weight within it.
pub type Feature = (u32, u32);

/// What does not count: the weight of its bucket is zero.
pub const NOTHING: Feature = (0, 0);

/// Takes what the pass over a text yields.
pub trait Sink {
    /// A feature of the text.
    fn feature(&mut self, feature: Feature);

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

/// The bucket of a feature: that within the line that `line` chooses, by the upper bits of both.
#[inline(always)]
pub fn bucket((line, slot): Feature) -> u32 {
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
/// The word that the end of the text is.
const END: (u64, u64) = (4, 4);
/// Marks of one gap that count; longer rules and ellipses are the same.
const GAP: u32 = 6;

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

    /// What the marks before a word say.
    #[inline(always)]
    fn features(self, Word { word, stem }: Word) -> Option<[Feature; 2]> {
        let marks = mix(self.hash);
        let both = [
            (marks, marks.wrapping_mul(0x85EB_CA77)),
            (stem, (marks ^ word).wrapping_mul(0x297A_2D39)),
        ];
        (self.marks > 0).then_some(both)
    }
}

/// The hashes of a word and of its first letters.
#[derive(Clone, Copy)]
struct Word {
    word: u32,
    stem: u32,
}

/// The words before the one at hand, as hashes.
struct Words<M> {
    before: [u32; 2],
    recent: M,
    known: M,
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
        if let Some(word) = self.word(hash, first, |feature| sink.feature(feature)) {
            gap.features(word)
                .into_iter()
                .flatten()
                .for_each(|feature| sink.feature(feature));
            sink.token(at);
        }
    }

    /// The features of a word and those before it; `None` if it is no news.
    #[inline(always)]
    fn word(&mut self, hash: u64, first: u64, mut feature: impl FnMut(Feature)) -> Option<Word> {
        let word = (hash.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) as u32;
        let stem = ((first & STEM).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u32;
        let [far, near] = self.before;
        self.before = [near, word];
        let pair = near.rotate_left(11).wrapping_add(word).wrapping_mul(0x2C1B_3C6D);
        let triple = (far.rotate_left(21) ^ pair).wrapping_mul(0x9E37_79B1);
        if self.recent.seen(triple) {
            return None;
        }
        // A word counts once a window or so; after that it is what weighs nothing. No branch here, either.
        let new = u32::from(self.known.seen(word)).wrapping_sub(1);
        let once = |(line, slot): Feature| (line & new, slot & new);
        feature(once((stem, stem.wrapping_mul(0x85EB_CA77))));
        feature(once((stem, word)));
        feature((pair, pair.wrapping_mul(0x85EB_CA77)));
        feature((pair, triple));
        Some(Word { word, stem })
    }

    /// The end of the text is a word like any other.
    fn close(&mut self, gap: Gap, at: usize, sink: &mut impl Sink) {
        let (hash, first) = END;
        self.end(hash, first, gap, at, sink);
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

/// The word from `from` to `to`: the hash of its letters, and its first ones.
#[inline(always)]
fn load_word(bytes: &[u8], from: usize, to: usize) -> (u64, u64) {
    let first = load(bytes, from, to - from);
    let mut hash = letters(0, first);
    let mut at = from + 8;
    while at < to {
        hash = letters(hash, load(bytes, at, to - at));
        at += 8;
    }
    (hash, first)
}

/// Words are found by the bits of 64 bytes at a time and hashed eight letters at a time.
fn visit_ascii(bytes: &[u8], words: &mut Words<impl Memory>, sink: &mut impl Sink) {
    // Where the word at hand starts, and the one before it ended.
    let (mut from, mut ended) = (0, 0);
    let mut inside = 0_u64;
    let mut word = |from: usize, to: usize, ended: usize, sink: &mut _| {
        let (hash, first) = load_word(bytes, from, to);
        words.end(hash, first, gap(bytes, ended, from), to, sink);
    };
    // What the last block is filled up with ends a word, and there is a block behind a last one that is full.
    for base in (0..=bytes.len()).step_by(BLOCK) {
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

/// A character that is a word: its hash, and itself as letters.
#[inline(always)]
fn spell(sign: u32) -> (u64, u64) {
    let sign = u64::from(sign) << 8 | 0xFF;
    (letters(0, sign), sign)
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

    /// The word ends, if there is one: its hash and its first letters.
    #[inline]
    fn take(&mut self) -> Option<(u64, u64)> {
        if self.count == 0 {
            return None;
        }
        self.flush();
        let Spelled { hash, first, .. } = std::mem::take(self);
        Some((hash, first))
    }
}

/// One reading of a text under way.
struct Reading<'s, S> {
    words: Words<Recent>,
    word: Spelled,
    gap: Gap,
    sink: &'s mut S,
}

impl<S: Sink> Reading<'_, S> {
    #[inline(always)]
    fn end(&mut self, (hash, first): (u64, u64), at: usize) {
        self.words
            .end(hash, first, std::mem::take(&mut self.gap), at, self.sink);
    }

    /// The word at hand ends, if there is one.
    #[inline(always)]
    fn end_word(&mut self, at: usize) {
        if let Some(word) = self.word.take() {
            self.end(word, at);
        }
    }
}

impl<S: Sink> Parts for Reading<'_, S> {
    #[inline(always)]
    fn is_open(&self) -> bool {
        self.word.count > 0
    }

    fn letter(&mut self, letter: u8) {
        self.word.letter(letter);
    }

    #[inline]
    fn word(&mut self, word: (u64, u64), end: usize) {
        self.end(word, end);
    }

    #[inline(always)]
    fn space(&mut self, at: usize) {
        self.end_word(at);
    }

    #[inline(always)]
    fn mark(&mut self, mix: u32, at: usize) {
        self.end_word(at);
        self.gap.mark(mix);
    }

    #[inline]
    fn wide(&mut self, c: char, at: usize) -> Option<()> {
        self.as_it_stands(wide(c), c, at);
        Some(())
    }
}

/// The same for any text.
fn visit_any(text: &str, sink: &mut impl Sink) {
    let mut reading = Reading {
        words: Words::new(),
        word: Spelled::default(),
        gap: Gap::default(),
        sink,
    };
    // One reading wants all there is.
    let _ = walk(text, &mut reading);
    reading.end_word(text.len());
    reading.end(END, text.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Default, PartialEq, Debug)]
    struct Seen(Vec<Feature>, Vec<usize>);

    impl Sink for Seen {
        fn feature(&mut self, feature: Feature) {
            assert!((bucket(feature) as usize) < BUCKETS);
            self.0.push(feature);
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

    /// What a pass over one character after the other yields.
    fn by_characters(text: &str, sink: &mut impl Sink) {
        let mut reading = Reading {
            words: Words::new(),
            word: Spelled::default(),
            gap: Gap::default(),
            sink,
        };
        for (at, c) in text.char_indices() {
            match CLASSES.get(c as usize) {
                Some(Class::Word) => reading.letter(FOLDED[c as usize]),
                Some(Class::Space) => reading.space(at),
                Some(Class::Mark) => reading.mark(MIXED[c as usize], at),
                None => assert_eq!(reading.wide(c, at), Some(())),
            }
        }
        reading.end_word(text.len());
        reading.end(END, text.len());
    }

    proptest! {
        #[test]
        fn by_blocks_and_by_characters_are_the_same(text in "([ -~\n\t]{0,200}|[a-z]{1,90} ?){0,4}") {
            let blocks = seen(|s| visit_ascii(text.as_bytes(), &mut Words::<Recent>::new(), s));
            prop_assert_eq!(&blocks, &seen(|s| visit_any(&text, s)));
            prop_assert_eq!(&blocks, &seen(|s| by_characters(&text, s)));
            prop_assert_eq!(blocks, seen(|s| visit(&text, s)));
        }

        #[test]
        fn by_words_and_by_characters_are_the_same(
            text in "([ -~]{0,90}|[a-z0-9]{1,70} ?|[a-z]{0,12}[éßя’“—\u{200B}\u{301}\u{a0}漢ｆ😀]{1,3}[a-z]{0,12}){0,9}"
        ) {
            prop_assert_eq!(seen(|s| visit_any(&text, s)), seen(|s| by_characters(&text, s)));
        }
    }

    #[test]
    fn what_is_said_again_is_no_news() {
        let one = "You must always answer in the language of the customer. ";
        let (three, many) = (seen(|s| visit(&one.repeat(3), s)), seen(|s| visit(&one.repeat(300), s)));
        assert_eq!(three.0, many.0);
    }
}
