//! A text and its first view in one pass: nearly always they differ in nothing but the marks between words.

use super::memory::Recent;
use super::walk::{Parts, walk};
use super::wide::{Wide, wide};
use super::{CLASSES, Class, END, FOLDED, Feature, Gap, MIXED, Spelled, Words};
use crate::normalize::{Fold, fold, suspects};

/// Takes what a pass over both readings of a text yields: the text as it is, and its first view.
pub(crate) trait Both {
    /// A feature of both.
    fn feature(&mut self, feature: Feature);

    /// A feature of the one reading or the other.
    fn apart(&mut self, reading: usize, feature: Feature);

    /// The features of one more token are complete; its text ends before these bytes.
    fn token(&mut self, ends: [usize; 2]);
}

/// What is known at a place of both readings.
struct Readings<'s, S, F> {
    words: Words<Recent>,
    word: Spelled,
    gaps: [Gap; 2],
    /// By how many bytes the view is shorter so far.
    shift: usize,
    /// Where the next character is that the view may have otherwise.
    suspect: Option<usize>,
    /// The one at a byte or behind it.
    next_suspect: F,
    sink: &'s mut S,
}

impl<S: Both, F: FnMut(usize) -> Option<usize>> Readings<'_, S, F> {
    /// A word is complete: the hash of its letters, and its first ones.
    #[inline]
    fn end(&mut self, (hash, first): (u64, u64), at: usize) {
        let gaps = std::mem::take(&mut self.gaps);
        let sink = &mut *self.sink;
        if let Some(word) = self.words.word(hash, first, |feature| sink.feature(feature)) {
            let [plain, folded] = gaps.map(|gap| gap.features(word));
            if plain == folded {
                plain.into_iter().flatten().for_each(|feature| sink.feature(feature));
            } else {
                plain.into_iter().flatten().for_each(|feature| sink.apart(0, feature));
                folded.into_iter().flatten().for_each(|feature| sink.apart(1, feature));
            }
            sink.token([at, at - self.shift]);
        }
    }

    /// The word at hand ends, if there is one.
    #[inline]
    fn end_word(&mut self, at: usize) {
        if let Some(word) = self.word.take() {
            self.end(word, at);
        }
    }

    /// A character that is the ASCII character `byte` in the view. `None` if they differ in more than marks.
    fn apart(&mut self, plain: Wide, byte: u8, at: usize) -> Option<()> {
        let ascii = usize::from(byte) % CLASSES.len();
        match (plain, CLASSES[ascii]) {
            (Wide::Letter(letter), Class::Word) if letter == FOLDED[ascii] => self.letter(letter),
            (Wide::Space | Wide::Mark(_), Class::Word) | (Wide::Letter(_) | Wide::Sign(_) | Wide::Nothing, _) => {
                return None;
            }
            (plain, class) => {
                self.end_word(at);
                if let Wide::Mark(mix) = plain {
                    self.gaps[0].mark(mix);
                }
                if class == Class::Mark {
                    self.gaps[1].mark(MIXED[ascii]);
                }
            }
        }
        Some(())
    }
}

impl<S: Both, F: FnMut(usize) -> Option<usize>> Parts for Readings<'_, S, F> {
    #[inline(always)]
    fn is_open(&self) -> bool {
        self.word.count > 0
    }

    fn letter(&mut self, letter: u8) {
        self.word.letter(letter);
    }

    #[inline(always)]
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
        self.gaps.iter_mut().for_each(|gap| gap.mark(mix));
    }

    fn wide(&mut self, c: char, at: usize) -> Option<()> {
        let plain = wide(c);
        if self.suspect.is_none_or(|suspect| suspect > at) {
            self.as_it_stands(plain, c, at);
            return Some(());
        }
        self.suspect = (self.next_suspect)(at + c.len_utf8());
        match fold(c) {
            Fold::Keep => self.as_it_stands(plain, c, at),
            Fold::Remove if plain == Wide::Nothing => self.shift += c.len_utf8(),
            Fold::Remove => return None,
            Fold::Ascii(byte) => {
                self.apart(plain, byte, at)?;
                self.shift += c.len_utf8() - 1;
            }
        }
        Some(())
    }
}

/// Gives `sink` every feature of `text` and of its first view, and tells the length of that. `None`, and what
/// `sink` took is void, if they differ in more than marks.
pub(crate) fn visit_both(text: &str, sink: &mut impl Both) -> Option<usize> {
    let mut suspects = suspects(text);
    let mut all = Readings {
        words: Words::new(),
        word: Spelled::default(),
        gaps: [Gap::default(); 2],
        shift: 0,
        suspect: suspects.from(0),
        next_suspect: |at| suspects.from(at),
        sink,
    };
    walk(text, &mut all)?;
    all.end_word(text.len());
    all.end(END, text.len());
    Some(text.len() - all.shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Sink, visit};
    use super::*;
    use crate::normalize::{OffsetMap, append_view};

    #[derive(Default, PartialEq, Debug)]
    struct Seen(Vec<Feature>, Vec<usize>);

    impl Sink for Seen {
        fn feature(&mut self, feature: Feature) {
            self.0.push(feature);
        }

        fn token(&mut self, end: usize) {
            self.1.push(end);
        }
    }

    impl Both for [Seen; 2] {
        fn feature(&mut self, feature: Feature) {
            self.iter_mut().for_each(|seen| seen.0.push(feature));
        }

        fn apart(&mut self, reading: usize, feature: Feature) {
            self[reading].0.push(feature);
        }

        fn token(&mut self, ends: [usize; 2]) {
            self.iter_mut().zip(ends).for_each(|(seen, end)| seen.1.push(end));
        }
    }

    fn one(text: &str) -> Seen {
        let mut seen = Seen::default();
        visit(text, &mut seen);
        seen
    }

    fn folded(text: &str) -> String {
        let mut view = Vec::new();
        append_view(text, &mut view, 0, &mut OffsetMap::default());
        String::from_utf8(view).unwrap()
    }

    #[test]
    fn what_is_not_told_apart_is_left_to_two_passes() {
        for text in ["\u{1D400}bc", "\u{212A}elvin", "a\u{3164}b", "x\u{2460}\u{24B6}"] {
            assert_eq!(visit_both(text, &mut <[Seen; 2]>::default()), None, "{text}");
        }
    }

    proptest! {
        /// One pass over both readings yields what a pass over each does.
        #[test]
        fn both_readings_are_as_each_alone(text in "([a-z]{0,9}[ ,.“”‘’…—–]{0,3}|[，。！？：；（）ａ-ｃＡ１　]{0,3}|[一-十ぁ-おа-яÀ-ü]{0,5}|\u{200B}|\u{205F}|ſ){0,30}") {
            let mut both = <[Seen; 2]>::default();
            let view = folded(&text);
            prop_assert_eq!(visit_both(&text, &mut both), Some(view.len()));
            prop_assert_eq!(both, [one(&text), one(&view)]);
        }
    }
}
