//! What of a text no list has to do with: a block of bytes at a time, most of it is told by the beginnings
//! of its words.

use super::super::gate::LETTERS;
use super::Words;
use crate::bits::{BLOCK, Beginnings, both, padded};

/// A block of a piece of text, as far as it was looked at.
#[derive(Debug, Default)]
pub(super) struct Skip {
    /// Where the block at hand begins; nobody has looked at one yet, if `after` is 0.
    base: usize,
    /// Where the next one begins.
    after: usize,
    now: Beginnings,
    next: Beginnings,
    /// Where words begin that may be one of a list, and what lies beyond ASCII.
    places: u64,
}

impl Skip {
    /// The first byte of `text` from `from` on at which something may happen, while no word is under way: at
    /// those before it, all ASCII, nothing does. `in_word` tells whether a word goes on at `from`, and is told
    /// whether one does where this ends.
    pub(super) fn pass(&mut self, words: &Words, text: &[u8], mut from: usize, in_word: &mut bool) -> usize {
        while from < text.len() {
            if !(self.base..self.after).contains(&from) {
                self.look(words, text, from - from % BLOCK);
            }
            let at = from % BLOCK;
            // What comes before may be a letter beyond ASCII.
            let begins = !(u64::from(*in_word) << at) | self.now.high;
            let mut places = self.places & begins & u64::MAX << at;
            let mut stop = BLOCK.min(text.len() - self.base);
            while places != 0 {
                let bit = places.trailing_zeros() as usize;
                places &= places - 1;
                if self.now.high >> bit & 1 != 0 || words.goes_on(&text[self.base + bit..]) {
                    stop = bit;
                    break;
                }
            }
            if let Some(last) = stop.checked_sub(1).filter(|_| stop > at) {
                *in_word = self.now.inside >> last & 1 != 0;
            }
            from = self.base + stop;
            if from < self.after {
                break;
            }
        }
        from
    }

    /// Looks at the block that begins at `base`.
    fn look(&mut self, words: &Words, text: &[u8], base: usize) {
        let follows = self.after > 0 && base == self.after;
        self.now = if follows {
            self.next
        } else {
            Beginnings::of(&padded(text, base))
        };
        self.next = match text.get(base + BLOCK..) {
            Some(rest @ [_, ..]) => Beginnings::of(&padded(rest, 0)),
            _ => Beginnings::default(),
        };
        (self.base, self.after) = (base, base + BLOCK);
        let (now, next) = (&self.now, &self.next);
        // An identifier such as `ass_subtitle` is one word, and its parts are none.
        let before = base.checked_sub(1).map_or(0, |before| text[before]);
        let joined = before.is_ascii_alphanumeric() || before == b'_';
        let inside = now.inside << 1 | u64::from(joined);
        let begins = (now.inside | now.sign) & !inside;
        // Beginnings are not told apart where there is more to them than letters, or too little of the text.
        let odd = both(now.odd, next.odd);
        let odd = odd | odd >> 1;
        let odd = (odd | odd >> 2) as u64;
        let whole = (text.len() - base).saturating_sub(LETTERS).min(BLOCK);
        let cut = u64::MAX.checked_shl(whole as u32).unwrap_or(0);
        self.places = now.high | (begins & (odd | cut));
        let block = padded::<{ BLOCK + LETTERS }>(text, base);
        let mut begins = begins & !(odd | cut);
        while begins != 0 {
            let bit = begins.trailing_zeros();
            begins &= begins - 1;
            let first = block[bit as usize % BLOCK..].first_chunk().copied().unwrap_or_default();
            self.places |= u64::from(words.gate.may_begin(first)) << bit;
        }
    }
}
