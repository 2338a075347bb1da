//! Where a literal may begin: a byte a place says whether one begins with these three bytes, and for the
//! few places that are left, what may stand three, four and five bytes on. Most are told apart by that.

use super::{Literal, Then};
use crate::bits::{BLOCK, Lanes, padded};

/// Places of first bytes.
const FIRSTS: usize = 1 << 14;
/// What a place says of literals in general, and of those that may follow a word byte: the bits that a
/// block's bytes are asked for at once.
const SOME: u8 = 0x80;
const SOME_INSIDE: u8 = 0x40;

/// The bytes behind the first three that are looked at.
const BEHIND: usize = 3;
/// Bytes of a text behind a block's last one that are at hand.
pub(crate) const MORE: usize = 16;

/// A bit for each kind of byte that may stand at each of the places behind the first three.
type Follow = [u64; BEHIND];

/// What is known of the first bytes of all literals.
#[derive(Debug)]
pub(super) struct Places {
    /// By the hash of three bytes: [`SOME`] and [`SOME_INSIDE`].
    firsts: Box<[u8; FIRSTS]>,
    /// By the same hash: the row of `follow`.
    rows: Box<[u16; FIRSTS]>,
    /// What may follow anywhere, and after a word byte.
    follow: Vec<[Follow; 2]>,
}

/// The place of three bytes, the first one lowest, whatever their case.
#[inline(always)]
fn first(bytes: u32) -> usize {
    // The fourth byte is shifted out.
    ((bytes | 0x2020_2020).wrapping_mul(0x9E37_79B1 << 8) >> (32 - FIRSTS.trailing_zeros())) as usize
}

/// Kinds of bytes: letters whatever their case, digits and the marks of prose and code one by one.
const KINDS: [u8; 256] = {
    const MARKS: [u8; 23] = *b"_-., \n\t\r:=\"'/@()#+;<>*%";
    const OTHER: u8 = 26 + 10 + MARKS.len() as u8;
    let mut table = [OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        match byte as u8 {
            b @ (b'a'..=b'z' | b'A'..=b'Z') => table[byte] = (b | 0x20) - b'a',
            b @ b'0'..=b'9' => table[byte] = b - b'0' + 26,
            0x80..=0xBF => table[byte] = OTHER + 1,
            0xC0..=0xFF => table[byte] = OTHER + 2,
            0 => table[byte] = END,
            _ => {}
        }
        byte += 1;
    }
    let mut mark = 0;
    while mark < MARKS.len() {
        table[MARKS[mark] as usize] = 36 + mark as u8;
        mark += 1;
    }
    assert!(OTHER + 2 < END);
    table
};
/// Stands for what lies behind the end of the text, too: it may follow anything.
const END: u8 = 63;

impl Places {
    pub(super) fn new<'l>(literals: impl Iterator<Item = (&'l Literal, &'l Then)>) -> Places {
        let mut places = Places {
            firsts: Box::new([0; FIRSTS]),
            rows: Box::new([0; FIRSTS]),
            follow: vec![[[0; BEHIND]; 2]],
        };
        for (literal, then) in literals {
            // Of two bytes, the third may be any.
            let thirds = if literal.len == 2 { 256 } else { 1 };
            for third in 0..thirds {
                places.insert(first(literal.low as u32 | third << 16), literal, then);
            }
        }
        places
    }

    fn insert(&mut self, place: usize, literal: &Literal, then: &Then) {
        self.firsts[place] |= if literal.boundary { SOME } else { SOME | SOME_INSIDE };
        let next = self.follow.len() as u16;
        let row = &mut self.rows[place];
        if *row == 0 {
            *row = next;
            self.follow.push([[1 << END; BEHIND]; 2]);
        }
        let (bytes, len) = (literal.bytes(), usize::from(literal.len));
        let kinds = |at: usize| match at.checked_sub(len) {
            None => 1 << KINDS[usize::from((bytes >> (8 * at)) as u8)],
            Some(behind) => then.get(behind).map_or(u64::MAX, |set| {
                let allowed = (0..=255u8).filter(|byte| set.has(*byte));
                allowed.fold(0, |kinds, byte| kinds | 1 << KINDS[usize::from(byte)])
            }),
        };
        let [anywhere, inside] = &mut self.follow[usize::from(*row)];
        for (behind, (anywhere, inside)) in anywhere.iter_mut().zip(inside).enumerate() {
            let kinds = kinds(3 + behind);
            *anywhere |= kinds;
            *inside |= if literal.boundary { 0 } else { kinds };
        }
    }

    /// A bit for each byte of a block, of those `within`, at which a literal may begin; `inside` has one for each
    /// that follows a word byte.
    #[inline]
    pub(super) fn of(&self, block: &[u8; BLOCK + MORE], inside: u64, within: u64) -> u64 {
        let mut says = [0; BLOCK];
        // The end of a text leaves most of its last block empty.
        let count = (u64::BITS - within.leading_zeros()) as usize;
        for (at, says) in says.iter_mut().enumerate().take(count) {
            let next = [block[at], block[at + 1], block[at + 2], block[at + 3]];
            *says = self.firsts[first(u32::from_le_bytes(next))];
        }
        let says = Lanes::of(&says);
        ((says.bits(|lane| lane) & !inside) | (says.bits(|lane| lane + lane) & inside)) & within
    }

    /// Whether one of the literals that begin with the three bytes at `at` of a block may go on as the block does.
    #[inline(always)]
    pub(super) fn goes_on(&self, block: &[u8; BLOCK + MORE], at: usize, inside: bool) -> bool {
        let at = at % BLOCK;
        let bytes = &block[at..at + 3 + BEHIND];
        let place = first(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]));
        let follow = self.follow.get(usize::from(self.rows[place]));
        let follow = follow.map_or([0; BEHIND], |both| both[usize::from(inside)]);
        let kind = |behind: usize| follow[behind] >> (KINDS[usize::from(bytes[3 + behind])] % 64);
        kind(0) & kind(1) & kind(2) & 1 != 0
    }

    /// Whether a literal may begin with the three bytes at `at`.
    #[inline]
    pub(super) fn is_place(&self, text: &[u8], at: usize, inside_word: bool) -> bool {
        let some = if inside_word { SOME_INSIDE } else { SOME };
        self.firsts[first(u32::from_le_bytes(padded(text, at)))] & some != 0
    }

    /// Bytes of memory.
    pub(super) fn memory(&self) -> usize {
        FIRSTS * 3 + self.follow.len() * size_of::<[Follow; 2]>()
    }
}
