//! The view that rules see: the text without invisible characters, with wide and typographic forms
//! of ASCII and the digits of all scripts folded, and the map from that view back to the original.
//!
//! Every character is mapped by itself, so the view of a stream does not depend on how it was cut.
//! The view serves matching only; what is released is always the original text, joiners included.

use crate::bits::{BLOCK, Lanes, Places};

/// What one character becomes in the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fold {
    Keep,
    Remove,
    Ascii(u8),
}

/// The first bytes of the characters that [`fold`] does not keep; all others are copied without a look.
pub(crate) fn suspects(text: &str) -> Places<'_, impl Fn(&Lanes) -> u64> {
    Places::new(text.as_bytes(), |lanes| {
        if lanes.high() == 0 {
            return 0;
        }
        // Two of the characters from U+3000 on, of which others are most of what is written in Japanese.
        let next = |mask: u64| mask >> 1 | 1 << (BLOCK - 1);
        let rare = lanes.any([0xE3]) & next(lanes.any([0x80, 0x85]));
        // The digits of other scripts, whose letters begin with the same bytes as they do.
        let arabic = lanes.any([0xD9]) & next(lanes.within(0xA0, 0xA9))
            | lanes.any([0xDB]) & next(lanes.within(0xB0, 0xB9))
            | lanes.any([0xDF]) & next(lanes.within(0x80, 0x89));
        let blocks = [
            0xA5, 0xA7, 0xA9, 0xAB, 0xAD, 0xAF, 0xB1, 0xB3, 0xB5, 0xB7, 0xB9, 0xBB, 0xBC,
        ];
        let indian = lanes.any([0xE0])
            & next(lanes.any(blocks))
            & next(next(lanes.within(0x90, 0x99) | lanes.within(0xA0, 0xAF)));
        let others = lanes.any([0xEA]) & next(lanes.any([0x98, 0xA3, 0xA4, 0xA7, 0xA9, 0xAF]));
        rare | arabic | indian | others | lanes.any([0xC2, 0xC5, 0xCD, 0xD8, 0xE1, 0xE2, 0xEF, 0xF0, 0xF3])
    })
}

/// Unicode's Default_Ignorable_Code_Point, plus interlinear annotation; spaces, dashes and quotes
/// folded to ASCII; full-width forms and the digits of other scripts to ASCII; and the two letters that case-fold *into* ASCII, so
/// that an ASCII prefilter never misses what a case-insensitive rule would have matched.
pub(crate) fn fold(c: char) -> Fold {
    match c {
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' => Fold::Remove,
        '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' => Fold::Remove,
        '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' => Fold::Remove,
        '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' => Fold::Remove,
        '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}' => Fold::Remove,
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => Fold::Ascii(b' '),
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{FE58}' | '\u{FE63}' => Fold::Ascii(b'-'),
        '\u{2018}'..='\u{201B}' => Fold::Ascii(b'\''),
        '\u{201C}'..='\u{201F}' => Fold::Ascii(b'"'),
        '\u{17F}' => Fold::Ascii(b's'),
        '\u{212A}' => Fold::Ascii(b'K'),
        '\u{FF01}'..='\u{FF5E}' => u8::try_from(c as u32 - 0xFF01 + 0x21).map_or(Fold::Keep, Fold::Ascii),
        // Styled letters and digits, circled and squared ones, small forms.
        '\u{1D2C}'..='\u{1DBF}'
        | '\u{2024}'
        | '\u{2090}'..='\u{209C}'
        | '\u{2100}'..='\u{214F}'
        | '\u{2160}'..='\u{217F}'
        | '\u{24B6}'..='\u{24E9}'
        | '\u{2C7C}'..='\u{2C7D}'
        | '\u{FE10}'..='\u{FE6F}'
        | '\u{1D400}'..='\u{1D7FF}'
        | '\u{1F12B}'..='\u{1F149}'
        | '\u{1FBF0}'..='\u{1FBF9}' => crate::views::compat(c).map_or(Fold::Keep, Fold::Ascii),
        _ => digit(c).map_or(Fold::Keep, Fold::Ascii),
    }
}

/// The zeros of the scripts that have digits of their own, in order; the other nine follow each.
const ZEROS: &[u32] = &[
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6, 0xE50, 0xED0, 0xF20,
    0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0,
    0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0x1_04A0, 0x1_0D30, 0x1_1066, 0x1_10F0, 0x1_1136, 0x1_11D0, 0x1_12F0,
    0x1_1450, 0x1_14D0, 0x1_1650, 0x1_16C0, 0x1_1730, 0x1_18E0, 0x1_1950, 0x1_1C50, 0x1_1D50, 0x1_1DA0, 0x1_1F50,
    0x1_6A60, 0x1_6AC0, 0x1_6B50, 0x1_E140, 0x1_E2F0, 0x1_E4F0, 0x1_E950,
];

/// The ASCII digit for the digit of another script.
fn digit(c: char) -> Option<u8> {
    let code = c as u32;
    let zero = ZEROS[ZEROS.partition_point(|zero| *zero <= code).checked_sub(1)?];
    u8::try_from(code - zero)
        .ok()
        .filter(|digit| *digit < 10)
        .map(|digit| b'0' + digit)
}

/// Whether `text` is its own view.
pub(crate) fn is_plain(text: &str) -> bool {
    if text.is_ascii() {
        return true;
    }
    let (mut suspects, mut at) = (suspects(text), 0);
    while let Some(next) = suspects.from(at) {
        match char_at(text, next) {
            Some(c) if fold(c) == Fold::Keep => at = next + c.len_utf8(),
            Some(_) => return false,
            None => return true,
        }
    }
    true
}

fn char_at(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

/// A place where the view and the original drift apart.
#[derive(Clone, Copy, Debug)]
struct Drift {
    /// Offset in the view from which `shift` holds.
    at: usize,
    /// Original offset minus view offset, from here on.
    shift: usize,
    /// The drift comes from a character that *ends* here (a folded one); a removed character only
    /// lies here, and does not belong to a match that ends here.
    ends: bool,
}

/// Maps offsets of the view to offsets of the original text. Both count from the start of the stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct OffsetMap {
    /// The shift before the first drift that is still known.
    base: usize,
    drifts: Vec<Drift>,
}

impl OffsetMap {
    /// Notes that from `at` on the original is `by` bytes further ahead.
    fn drift(&mut self, at: usize, by: usize, ends: bool) {
        let shift = self.shift() + by;
        match self.drifts.last_mut() {
            // A run of invisible characters is one drift, however long it is.
            Some(last) if last.at == at && !last.ends && !ends => last.shift = shift,
            _ => self.drifts.push(Drift { at, shift, ends }),
        }
    }

    fn shift(&self) -> usize {
        self.drifts.last().map_or(self.base, |d| d.shift)
    }

    fn shift_before(&self, known: usize) -> usize {
        match known.checked_sub(1) {
            None => self.base,
            Some(last) => self.drifts.get(last).map_or(self.base, |d| d.shift),
        }
    }

    /// Where a span that starts at `view` starts in the original: after what is invisible before it.
    pub(crate) fn start(&self, view: usize) -> usize {
        view + self.shift_before(self.drifts.partition_point(|d| d.at <= view))
    }

    /// Where a span that ends at `view` ends in the original: before what is invisible after it.
    pub(crate) fn end(&self, view: usize) -> usize {
        view + self.shift_before(self.drifts.partition_point(|d| d.at < view || (d.at == view && d.ends)))
    }

    /// Forgets what only offsets before `view` need.
    pub(crate) fn forget_before(&mut self, view: usize) {
        let known = self.drifts.partition_point(|d| d.at < view);
        if known >= 64 {
            self.base = self.shift_before(known);
            self.drifts.drain(..known);
        }
    }
}

/// Appends the view of `chunk` to `view`, which starts at offset `view_base` of the stream's view.
pub(crate) fn append_view(chunk: &str, view: &mut Vec<u8>, view_base: usize, map: &mut OffsetMap) {
    let bytes = chunk.as_bytes();
    if chunk.is_ascii() {
        view.extend_from_slice(bytes);
        return;
    }
    let (mut copied, mut after) = (0, 0);
    let mut suspects = suspects(chunk);
    while let Some(at) = suspects.from(after) {
        let Some(c) = char_at(chunk, at) else { break };
        let next = at + c.len_utf8();
        match fold(c) {
            Fold::Keep => {}
            Fold::Remove => {
                view.extend_from_slice(&bytes[copied..at]);
                map.drift(view_base + view.len(), next - at, false);
                copied = next;
            }
            Fold::Ascii(byte) => {
                view.extend_from_slice(&bytes[copied..at]);
                view.push(byte);
                map.drift(view_base + view.len(), next - at - 1, true);
                copied = next;
            }
        }
        after = next;
    }
    view.extend_from_slice(&bytes[copied..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(text: &str) -> (String, OffsetMap) {
        let (mut view, mut map) = (Vec::new(), OffsetMap::default());
        append_view(text, &mut view, 0, &mut map);
        (String::from_utf8(view).unwrap(), map)
    }

    #[test]
    fn ignorable_characters_leave_no_trace() {
        for c in [
            '\u{200B}',
            '\u{200D}',
            '\u{202E}',
            '\u{2066}',
            '\u{FEFF}',
            '\u{E0041}',
            '\u{AD}',
            '\u{FE0F}',
        ] {
            assert_eq!(view(&format!("ig{c}nore")).0, "ignore", "{c:?}");
            assert!(!is_plain(&format!("ig{c}nore")));
        }
    }

    #[test]
    fn every_folded_character_is_suspect() {
        for c in '\0'..=char::MAX {
            assert_eq!(fold(c) == Fold::Remove, crate::check::script::is_ignorable(c), "{c:?}");
            if fold(c) != Fold::Keep {
                for pad in [0, 1, 62, 63] {
                    let text = format!("{}{c}", "x".repeat(pad));
                    assert_eq!(suspects(&text).from(0), Some(pad), "{c:?}");
                }
            }
        }
    }

    #[test]
    fn wide_and_typographic_forms_become_ascii() {
        assert_eq!(view("４１１１\u{3000}ａｂＣ\u{2011}“x”\u{212A}").0, "4111 abC-\"x\"K");
    }

    #[test]
    fn digits_of_all_scripts_become_ascii() {
        assert_eq!(view("٤١١١ ۰۹۱۲ २३४१ ৯ ๑๐ ၅ ៥ 𞥓").0, "4111 0912 2341 9 10 5 5 3");
        assert_eq!(view("آ۹ىक॥ॐก๏").0, "آ9ىक॥ॐก๏");
        let (seen, map) = view("رقم ١٠٥");
        assert_eq!(seen, "رقم 105");
        assert_eq!((map.start(7), map.end(10)), (7, 13));
        assert!(ZEROS.is_sorted());
    }

    #[test]
    fn other_scripts_pass_unchanged() {
        for text in ["naïve Straße", "日本語。カタカナ、", "한국어", "🏴 🎉", "नमस्ते"] {
            assert_eq!(view(text).0, text);
            assert!(is_plain(text));
        }
    }

    #[test]
    fn spans_map_back_tightly() {
        let text = "\u{200B}a\u{200B}\u{200B}ｂc\u{200B}d";
        let (seen, map) = view(text);
        assert_eq!(seen, "abcd");
        let original = |start: usize, end: usize| &text[map.start(start)..map.end(end)];
        assert_eq!(original(0, 1), "a");
        assert_eq!(original(0, 2), "a\u{200B}\u{200B}ｂ");
        assert_eq!(original(1, 2), "ｂ");
        assert_eq!(original(2, 3), "c");
        assert_eq!(original(2, 4), "c\u{200B}d");
    }

    #[test]
    fn a_long_invisible_run_costs_one_entry() {
        let (seen, map) = view(&format!("a{}b", "\u{200B}".repeat(1000)));
        assert_eq!((seen.as_str(), map.drifts.len()), ("ab", 1));
        assert_eq!((map.end(1), map.start(1)), (1, 3001));
    }

    #[test]
    fn forgetting_the_past_changes_no_later_offset() {
        let text = "a\u{200B}ｂ".repeat(200);
        let (seen, map) = view(&text);
        let mut short = map.clone();
        short.forget_before(300);
        assert!(short.drifts.len() < map.drifts.len());
        for at in 300..=seen.len() {
            assert_eq!((map.start(at), map.end(at)), (short.start(at), short.end(at)), "{at}");
        }
    }
}
