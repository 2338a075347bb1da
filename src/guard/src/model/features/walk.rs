//! A walk over any text: what is ASCII by blocks and words, the rest character by character. Most texts with a
//! quotation mark or a dash beyond ASCII are ASCII otherwise.

use super::wide::Wide;
use super::{CLASSES, Class, FOLDED, MIXED, load_word, spell};
use crate::bits::Places;

/// Takes the parts of a text in order.
pub(super) trait Parts {
    /// Whether the letters so far may be the first ones of a longer word.
    fn is_open(&self) -> bool;

    /// More letters or digits of the word at hand, folded.
    fn letter(&mut self, letter: u8);

    /// A word of its own, which ends before byte `end`: the hash of its letters, and its first ones.
    fn word(&mut self, word: (u64, u64), end: usize);

    /// A space at byte `at`.
    fn space(&mut self, at: usize);

    /// A mark at byte `at`.
    fn mark(&mut self, mix: u32, at: usize);

    /// A character beyond ASCII at byte `at`; `None` ends the walk.
    fn wide(&mut self, c: char, at: usize) -> Option<()>;

    /// What such a character is as it stands.
    #[inline(always)]
    fn as_it_stands(&mut self, is: Wide, c: char, at: usize) {
        match is {
            Wide::Letter(letter) => self.letter(letter),
            Wide::Nothing => {}
            Wide::Space => self.space(at),
            Wide::Mark(mix) => self.mark(mix, at),
            Wide::Sign(sign) => {
                self.space(at);
                self.word(spell(sign), at + c.len_utf8());
            }
        }
    }
}

/// Gives `parts` the parts of `text`; `None` if they did not want all of it.
#[inline(always)]
pub(super) fn walk(text: &str, parts: &mut impl Parts) -> Option<()> {
    let bytes = text.as_bytes();
    let mut ends = Places::new(bytes, |lanes| !lanes.letters_and_digits());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let Some(class) = CLASSES.get(usize::from(*byte)) else {
            for c in text.get(at..)?.chars().take_while(|c| !c.is_ascii()) {
                parts.wide(c, at)?;
                at += c.len_utf8();
            }
            continue;
        };
        match class {
            Class::Word => {
                let end = ends.from(at).map_or(bytes.len(), |end| end.min(bytes.len()));
                if parts.is_open() || bytes.get(end).is_some_and(|next| !next.is_ascii()) {
                    let letters = bytes.get(at..end).unwrap_or_default().iter();
                    letters.for_each(|letter| parts.letter(FOLDED[usize::from(*letter) % FOLDED.len()]));
                } else {
                    parts.word(load_word(bytes, at, end), end);
                }
                at = end;
            }
            Class::Space => {
                parts.space(at);
                at += 1;
            }
            Class::Mark => {
                parts.mark(MIXED[usize::from(*byte) % MIXED.len()], at);
                at += 1;
            }
        }
    }
    Some(())
}
