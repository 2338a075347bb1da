//! Text as hashed features: words and their n-grams, the starts of long words, and what stands
//! between words. One pass, no allocation; what becomes of a feature is the caller's.
//!
//! Letters are folded (case, accents of Latin letters), digits are all the same digit. Scripts that
//! are written without spaces give one token a character, so that their n-grams are words. A token that
//! stands where it stood a moment ago, after the same two words, is no news and yields nothing.

/// The number of buckets: as many weights of a byte fit into a quarter of a mebibyte.
pub const BUCKETS: usize = 1 << BITS;
const BITS: u32 = 18;

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
    /// The first byte of a character of several.
    Lead,
}

const CLASSES: [Class; 256] = {
    let mut table = [Class::Mark; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => Class::Word,
            b' ' | b'\t' | b'\r' | 0 => Class::Space,
            0x80.. => Class::Lead,
            _ => Class::Mark,
        };
        byte += 1;
    }
    table
};

/// What each ASCII byte adds to a rolling hash: the same for both cases, and for all digits.
const MIX: [u32; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let folded = match byte as u8 {
            b'0'..=b'9' => b'0',
            other => other.to_ascii_lowercase(),
        };
        table[byte] = mix(folded as u32);
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

fn bucket(hash: u32) -> u32 {
    hash.wrapping_mul(0x9E37_79B1) >> (32 - BITS)
}

/// Marks of one gap that count; longer rules and ellipses are the same.
const GAP: u32 = 6;
/// Letters of a word that stand for its stem.
const STEM: u32 = 5;

/// What a character beyond ASCII is to the pass.
enum Wide {
    /// Part of a word.
    Letter(u32),
    /// A word by itself.
    Sign(u32),
    Mark(u32),
    Space,
    Nothing,
}

/// The plain letters of U+00C0–U+017F, `*` where there is none.
const PLAIN: &[u8; 192] = b"aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty\
aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

fn wide(c: char) -> Wide {
    match c {
        '\u{C0}'..='\u{17F}' => match PLAIN[c as usize - 0xC0] {
            b'*' => Wide::Mark(mix(c as u32)),
            letter => Wide::Letter(MIX[usize::from(letter & 0x7F)]),
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
        '\u{410}'..='\u{42F}' => Wide::Letter(mix(c as u32 + 0x20)),
        '\u{400}'..='\u{40F}' => Wide::Letter(mix(c as u32 + 0x50)),
        '\u{391}'..='\u{3A9}' => Wide::Letter(mix(c as u32 + 0x20)),
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Wide::Sign(mix(c as u32)),
        '\u{2E80}'..='\u{2FFF}' | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' => Wide::Sign(mix(c as u32)),
        '\u{AC00}'..='\u{D7AF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => Wide::Sign(mix(c as u32)),
        '\u{FF01}'..='\u{FF5E}' => {
            let ascii = c as usize - 0xFF01 + 0x21;
            match CLASSES[ascii] {
                Class::Word => Wide::Letter(MIX[ascii]),
                _ => Wide::Mark(MIX[ascii]),
            }
        }
        '\u{FF61}'..='\u{FF65}' => Wide::Mark(mix(c as u32)),
        '\u{1F000}'..='\u{1FAFF}' => Wide::Mark(mix(0x1F600)),
        _ => Wide::Letter(mix(c as u32)),
    }
}

/// The words before the one at hand, as hashes, and the one at hand.
struct Words {
    before: [u32; 2],
    word: u32,
    letters: u32,
    stem: u32,
    gap: u32,
    marks: u32,
    recent: Recent,
}

/// Which sequences of three words were there a moment ago: a Bloom filter of two bits in one word, in
/// two generations. None of the last [`RECENT`] is forgotten; in a thousand new ones, about two are
/// taken for old ones.
struct Recent {
    bits: [[u64; RECENT]; 2],
    /// Entries of the younger generation, and which one that is.
    count: usize,
    young: usize,
}

/// Entries of a generation.
const RECENT: usize = 256;

impl Recent {
    /// Whether it was there; it is from now on.
    #[inline(always)]
    fn seen(&mut self, hash: u32) -> bool {
        let at = (hash >> 24) as usize % RECENT;
        let mask = 1_u64 << ((hash >> 12) & 63) | 1_u64 << ((hash >> 18) & 63);
        if self.bits[0][at] & mask == mask || self.bits[1][at] & mask == mask {
            return true;
        }
        if self.count == RECENT {
            self.count = 0;
            self.young ^= 1;
            self.bits[self.young] = [0; RECENT];
        }
        self.count += 1;
        self.bits[self.young][at] |= mask;
        false
    }
}

impl Words {
    #[inline(always)]
    fn letter(&mut self, mix: u32) {
        self.word = self.word.rotate_left(5) ^ mix;
        self.letters += 1;
        if self.letters == STEM {
            self.stem = self.word;
        }
    }

    #[inline(always)]
    fn mark(&mut self, mix: u32) {
        if self.marks < GAP {
            self.gap = self.gap.rotate_left(7) ^ mix;
        }
        self.marks += 1;
    }

    /// The word at hand is complete.
    #[inline(always)]
    fn end(&mut self, at: usize, sink: &mut impl Sink) {
        let word = (self.word ^ (self.word >> 15)).wrapping_mul(0x2C1B_3C6D);
        let [far, near] = self.before;
        let pair = near.rotate_left(11).wrapping_add(word);
        let triple = far.rotate_left(21).wrapping_add(pair ^ 0x5bd1_e995);
        self.before = [near, word];
        if self.recent.seen(triple.wrapping_mul(0x9E37_79B1)) {
            (self.word, self.letters, self.gap, self.marks) = (0, 0, 0, 0);
            return;
        }
        sink.feature(bucket(word));
        sink.feature(bucket(pair));
        sink.feature(bucket(triple));
        sink.feature(bucket(far.rotate_left(13) ^ word.rotate_left(3)));
        if self.letters > STEM {
            sink.feature(bucket(self.stem.wrapping_mul(0x85EB_CA77)));
        }
        if self.marks > 0 {
            sink.feature(bucket(self.gap ^ 0x1656_67B1));
            sink.feature(bucket(self.gap.rotate_left(17).wrapping_add(word)));
        }
        sink.token(at);
        (self.word, self.letters, self.gap, self.marks) = (0, 0, 0, 0);
    }
}

/// Gives `sink` every feature of `text`, token by token.
pub fn visit(text: &str, sink: &mut impl Sink) {
    let bytes = text.as_bytes();
    let mut words = Words {
        before: [0x0101_0101, 0x0202_0202],
        word: 0,
        letters: 0,
        stem: 0,
        gap: 0,
        marks: 0,
        recent: Recent {
            bits: [[0; RECENT]; 2],
            count: 0,
            young: 0,
        },
    };
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match CLASSES[usize::from(byte)] {
            Class::Word => {
                words.letter(MIX[usize::from(byte & 0x7F)]);
                at += 1;
            }
            class => {
                let mut next = at + 1;
                let seen = match class {
                    Class::Lead => {
                        let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else {
                            break;
                        };
                        next = at + c.len_utf8();
                        wide(c)
                    }
                    Class::Mark => Wide::Mark(MIX[usize::from(byte & 0x7F)]),
                    _ => Wide::Space,
                };
                match seen {
                    Wide::Letter(mix) => words.letter(mix),
                    Wide::Nothing => {}
                    Wide::Sign(mix) => {
                        if words.letters > 0 {
                            words.end(at, sink);
                        }
                        words.letter(mix);
                        words.end(next, sink);
                    }
                    Wide::Mark(mix) => {
                        if words.letters > 0 {
                            words.end(at, sink);
                        }
                        words.mark(mix);
                    }
                    Wide::Space => {
                        if words.letters > 0 {
                            words.end(at, sink);
                        }
                    }
                }
                at = next;
            }
        }
    }
    if words.letters > 0 {
        words.end(at, sink);
    }
    // The end of the text is a word like any other.
    words.word = 0x0404_0404;
    words.letters = 1;
    words.end(at, sink);
}
