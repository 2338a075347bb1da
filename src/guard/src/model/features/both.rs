//! A text and its first view in one pass: nearly always they differ in nothing but the marks between words.

use super::memory::Recent;
use super::wide::Wide;
use super::{CLASSES, Class, FOLDED, Feature, Gap, MIXED, Spelled, Words, seen, spell};
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
struct Readings {
    words: Words<Recent>,
    word: Spelled,
    gaps: [Gap; 2],
    /// By how many bytes the view is shorter so far.
    shift: usize,
}

impl Readings {
    /// A word is complete: the hash of its letters, and its first ones.
    #[inline]
    fn end(&mut self, (hash, first): (u64, u64), at: usize, sink: &mut impl Both) {
        let gaps = std::mem::take(&mut self.gaps);
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
    fn end_word(&mut self, at: usize, sink: &mut impl Both) {
        if let Some(word) = self.word.take() {
            self.end(word, at, sink);
        }
    }
}

/// Gives `sink` every feature of `text` and of its first view, and tells the length of that. `None`, and what
/// `sink` took is void, if they differ in more than marks.
pub(crate) fn visit_both(text: &str, sink: &mut impl Both) -> Option<usize> {
    let mut all = Readings {
        words: Words::new(),
        word: Spelled::default(),
        gaps: [Gap::default(); 2],
        shift: 0,
    };
    let mut suspects = suspects(text);
    let mut suspect = suspects.from(0);
    for (at, c) in text.char_indices() {
        let plain = seen(c);
        let mut folded = None;
        if suspect == Some(at) {
            suspect = suspects.from(at + c.len_utf8());
            folded = match fold(c) {
                Fold::Keep => None,
                Fold::Remove if plain == Wide::Nothing => {
                    all.shift += c.len_utf8();
                    continue;
                }
                Fold::Remove => return None,
                Fold::Ascii(byte) => Some(byte),
            };
        }
        let Some(byte) = folded else {
            match plain {
                Wide::Letter(letter) => all.word.letter(letter),
                Wide::Nothing => {}
                Wide::Space => all.end_word(at, sink),
                Wide::Mark(mix) => {
                    all.end_word(at, sink);
                    all.gaps.iter_mut().for_each(|gap| gap.mark(mix));
                }
                Wide::Sign(sign) => {
                    all.end_word(at, sink);
                    all.end(spell(sign), at + c.len_utf8(), sink);
                }
            }
            continue;
        };
        let ascii = usize::from(byte) % CLASSES.len();
        match (plain, CLASSES[ascii]) {
            (Wide::Letter(letter), Class::Word) if letter == FOLDED[ascii] => all.word.letter(letter),
            (Wide::Space | Wide::Mark(_), Class::Word) | (Wide::Letter(_) | Wide::Sign(_) | Wide::Nothing, _) => {
                return None;
            }
            (plain, class) => {
                all.end_word(at, sink);
                if let Wide::Mark(mix) = plain {
                    all.gaps[0].mark(mix);
                }
                if class == Class::Mark {
                    all.gaps[1].mark(MIXED[ascii]);
                }
            }
        }
        all.shift += c.len_utf8() - 1;
    }
    all.end_word(text.len(), sink);
    all.end(super::END, text.len(), sink);
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
