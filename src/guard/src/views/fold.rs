//! Characters that stand for ASCII ones: styled forms, look-alikes, marks, smuggled text.

use super::View;
use super::map::{OffsetMap, Rewrite};
use super::tables::{COMPAT, LOOKS};
use crate::normalize::{self, Fold};

fn find(table: &[(u32, u8, u8, u8)], c: char) -> Option<u8> {
    let code = c as u32;
    let row = table.partition_point(|row| row.0 <= code).checked_sub(1)?;
    let (start, more, first, step) = *table.get(row)?;
    let offset = u8::try_from(code - start).ok().filter(|offset| *offset <= more)?;
    Some(first + offset * step)
}

/// The ASCII character of which `c` is a styled form.
pub(crate) fn compat(c: char) -> Option<u8> {
    find(&COMPAT, c)
}

/// The ASCII character that `c` looks like, or is with marks.
pub(super) fn look(c: char) -> Option<u8> {
    find(&LOOKS, c).or_else(|| compat(c))
}

/// Combining marks that are stacked on letters of any script.
pub(super) fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36F}' | '\u{483}'..='\u{489}' | '\u{1AB0}'..='\u{1AFF}' | '\u{1DC0}'..='\u{1DFF}'
        | '\u{20D0}'..='\u{20FF}' | '\u{FE20}'..='\u{FE2F}')
}

/// The byte that a variation selector stands for where it smuggles.
fn selector(c: char) -> Option<u8> {
    let code = c as u32;
    match code {
        0xFE00..=0xFE0F => u8::try_from(code - 0xFE00).ok(),
        0xE0100..=0xE01EF => u8::try_from(code - 0xE0100 + 16).ok(),
        _ => None,
    }
}

/// The text as every rule sees it, but with what tag characters and variation selectors smuggle.
pub(super) fn folded(text: &str) -> Option<(String, OffsetMap)> {
    let mut out = Rewrite::new(text);
    let (mut suspects, mut at) = (normalize::suspects(text), 0);
    // Up to here tags are those of a flag.
    let mut flag = 0;
    while let Some(next) = suspects.from(at) {
        at = next;
        let Some(c) = text[at..].chars().next() else { break };
        let next = at + c.len_utf8();
        if c == '\u{1F3F4}' {
            flag = flag_end(text, next);
        }
        match (c, normalize::fold(c)) {
            ('\u{E0020}'..='\u{E007E}', _) if at >= flag => {
                let end = run(text, at, |c| matches!(c, '\u{E0000}'..='\u{E007F}'));
                out.keep(at);
                // Lines of their own, so that words outside do not run into those inside.
                out.insert("\n", (at, next), View::Tags);
                for (offset, c) in text[at..end].char_indices() {
                    let ascii = u8::try_from(c as u32 & 0x7F).map_or(' ', char::from);
                    let (from, to) = (at + offset, at + offset + c.len_utf8());
                    out.skip(from);
                    if ascii.is_ascii_graphic() || ascii == ' ' {
                        out.put(to, ascii.encode_utf8(&mut [0; 4]), Some(View::Tags));
                    }
                }
                out.skip(end);
                out.insert("\n", (end - c.len_utf8(), end), View::Tags);
                at = end;
                continue;
            }
            (_, Fold::Remove) if selector(c).is_some() => {
                let end = run(text, at, |c| selector(c).is_some());
                let bytes: Vec<u8> = text[at..end].chars().filter_map(selector).collect();
                out.keep(at);
                if let (true, Ok(hidden)) = (bytes.len() >= 4, std::str::from_utf8(&bytes))
                    && super::run::is_text(hidden)
                {
                    out.put(end, hidden, Some(View::Selectors));
                }
                out.skip(end);
                at = end;
                continue;
            }
            (_, Fold::Keep) => {}
            (_, Fold::Remove) => {
                out.keep(at);
                out.skip(next);
            }
            (_, Fold::Ascii(byte)) => {
                out.keep(at);
                out.put(next, char::from(byte).encode_utf8(&mut [0; 4]), None);
            }
        }
        at = next;
    }
    out.finish()
}

/// Where the tags end that make a black flag before `at` the flag of a region, such as Wales.
fn flag_end(text: &str, at: usize) -> usize {
    let end = run(text, at, |c| matches!(c, '\u{E0020}'..='\u{E007F}'));
    let tags = &text[at..end];
    // Six characters at most and their end, four bytes each.
    if tags.len() <= 28 && tags.ends_with('\u{E007F}') {
        end
    } else {
        at
    }
}

fn run(text: &str, at: usize, of: impl Fn(char) -> bool) -> usize {
    text[at..].find(|c| !of(c)).map_or(text.len(), |len| at + len)
}

/// What a word is made of.
#[derive(Default)]
struct Word {
    /// ASCII letters, or styled ones.
    latin: usize,
    /// Letters with marks and marks.
    marked: usize,
    /// Look-alikes of other scripts.
    alike: usize,
    /// Other letters.
    other: usize,
}

/// Whether `c` is of a script in which words of their own are written.
fn is_foreign(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{58F}' | '\u{13A0}'..='\u{13FF}' | '\u{1C80}'..='\u{1C8F}' | '\u{1F00}'..='\u{1FFF}'
        | '\u{2C80}'..='\u{2DFF}' | '\u{A640}'..='\u{A69F}' | '\u{AB70}'..='\u{ABBF}')
}

/// Look-alikes as the ASCII letters that they are taken for, in words that mix scripts, and in words
/// of nothing but look-alikes where the text has mixed words; marks taken off.
pub(super) fn looks(text: &str) -> Option<(String, OffsetMap)> {
    let mixed = words(text).any(|(.., w)| w.latin + w.marked > 0 && w.alike > 0);
    let mut out = Rewrite::new(text);
    for (start, end, word) in words(text) {
        let foreign = word.alike > 0 && !(mixed && word.other == 0);
        if (word.alike == 0 && word.marked == 0) || foreign {
            continue;
        }
        let mut at = start;
        while let Some(c) = text[at..end].chars().next() {
            let mut next = at + c.len_utf8();
            let ascii = if c.is_ascii() { u8::try_from(c).ok() } else { look(c) };
            // The marks belong to their letter, so that a redaction leaves none behind.
            next += text[next..end]
                .chars()
                .take_while(|c| is_mark(*c))
                .map(char::len_utf8)
                .sum::<usize>();
            match ascii {
                Some(byte) if next > at + 1 => {
                    out.keep(at);
                    out.put(next, char::from(byte).encode_utf8(&mut [0; 4]), Some(View::Looks));
                }
                _ if is_mark(c) => {
                    out.keep(at);
                    out.skip(next);
                }
                _ => {}
            }
            at = next;
        }
    }
    out.finish()
}

/// Runs of letters and marks that have something beyond ASCII.
fn words(text: &str) -> impl Iterator<Item = (usize, usize, Word)> + '_ {
    let is_part = |c: char| c.is_alphanumeric() || is_mark(c) || look(c).is_some_and(|b| b.is_ascii_alphanumeric());
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let start = at + text[at..].find(|c: char| !c.is_ascii() && is_part(c))?;
            let before = text[..start]
                .bytes()
                .rev()
                .take_while(u8::is_ascii_alphanumeric)
                .count();
            let end = text[start..]
                .find(|c: char| !is_part(c))
                .map_or(text.len(), |len| start + len);
            at = end;
            let mut word = Word::default();
            for c in text[start - before..end].chars() {
                if c.is_ascii() {
                    word.latin += usize::from(c.is_ascii_alphabetic());
                } else if is_mark(c) {
                    word.marked += usize::from(word.latin + word.marked + word.alike > 0);
                } else if look(c).is_none() {
                    word.other += 1;
                } else if is_foreign(c) {
                    word.alike += 1;
                } else {
                    word.marked += 1;
                }
            }
            if word.other == 0 || word.latin > 0 {
                return Some((start - before, end, word));
            }
        }
    })
}
