//! Text that nobody sees: tag characters, runs of zero-width marks or variation selectors, forced
//! directions. What belongs there is no finding: joiners of emoji, Persian and Indic text, flags,
//! soft hyphens.

use super::script::is_ignorable;
use super::{Check, Found};
use crate::normalize::suspects;

/// A run is judged after this many characters at the latest, and goes on as a new one.
const LONGEST: u32 = 256;
/// So many zero-width characters in a row carry a message.
const MANY: u32 = 4;

/// The check for one text.
#[derive(Debug)]
pub(crate) struct Invisible {
    rule: u32,
    at: usize,
    /// The last character that is seen.
    before: Option<char>,
    run: Option<Run>,
}

/// A run of characters that are not seen.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    start: usize,
    length: u32,
    tags: u32,
    selectors: u32,
    zero_width: u32,
    overrides: u32,
    /// The last one was the tag that ends a flag.
    closed: bool,
}

impl Invisible {
    pub(crate) fn new(rule: u32) -> Invisible {
        Invisible {
            rule,
            at: 0,
            before: None,
            run: None,
        }
    }

    fn end_run(&mut self, after: Option<char>, found: &mut Vec<Found>) {
        if let Some(run) = self.run.take()
            && let Some(score) = run.score(self.before, after)
        {
            found.push(Found {
                rule: self.rule,
                start: run.start,
                end: self.at,
                score: Some(score),
            });
        }
    }
}

impl Run {
    fn take(&mut self, c: char) {
        self.length += 1;
        self.closed = c == '\u{E007F}';
        match c {
            '\u{E0000}'..='\u{E007F}' => self.tags += 1,
            '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' | '\u{180B}'..='\u{180D}' => self.selectors += 1,
            '\u{202D}' | '\u{202E}' => self.overrides += 1,
            // Marks of direction and hyphenation have their place anywhere.
            '\u{AD}' | '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202C}' | '\u{2066}'..='\u{2069}' => {}
            _ => self.zero_width += 1,
        }
    }

    /// How sure it is that the run should not be there.
    fn score(&self, before: Option<char>, after: Option<char>) -> Option<f32> {
        let in_word = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        if self.tags > 0 {
            // The flags of England, Scotland and Wales are spelled in tags behind a black flag.
            let flag = before == Some('\u{1F3F4}') && self.closed && self.length <= 8 && self.tags == self.length;
            return (!flag).then_some(1.0);
        }
        if self.zero_width >= MANY || self.selectors >= MANY {
            return Some(1.0);
        }
        if self.overrides > 0 {
            return Some(0.8);
        }
        if self.selectors > 0 && before.is_some_and(|c| c.is_ascii_alphabetic()) {
            return Some(0.7);
        }
        (self.zero_width > 0 && in_word(before) && in_word(after)).then_some(0.6)
    }
}

impl Check for Invisible {
    fn push(&mut self, text: &str, found: &mut Vec<Found>) {
        if text.is_ascii() && !text.is_empty() {
            let first = text.chars().next();
            self.end_run(first, found);
            self.before = text.chars().next_back();
            self.at += text.len();
            return;
        }
        let (mut suspects, mut index) = (suspects(text), 0);
        while index < text.len() {
            // What is not even suspect is seen.
            let next = suspects.from(index).unwrap_or(text.len());
            let seen = text.get(index..next).unwrap_or_default();
            if let Some(first) = seen.chars().next() {
                self.end_run(Some(first), found);
                self.before = seen.chars().next_back();
                self.at += seen.len();
            }
            let Some(c) = text.get(next..).and_then(|rest| rest.chars().next()) else {
                break;
            };
            index = next + c.len_utf8();
            if is_ignorable(c) && !(c == '\u{FEFF}' && self.at == 0) {
                let at = self.at;
                let run = self.run.get_or_insert(Run {
                    start: at,
                    ..Run::default()
                });
                run.take(c);
                let full = run.length == LONGEST;
                self.at += c.len_utf8();
                if full {
                    self.end_run(None, found);
                }
            } else {
                self.end_run(Some(c), found);
                self.before = Some(c);
                self.at += c.len_utf8();
            }
        }
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        self.end_run(None, found);
    }

    fn frontier(&self) -> usize {
        self.run.map_or(self.at, |run| run.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<&str> {
        let (mut check, mut found) = (Invisible::new(0), Vec::new());
        check.push(text, &mut found);
        check.finish(&mut found);
        found.iter().map(|f| &text[f.start..f.end]).collect()
    }

    #[test]
    fn what_belongs_there_is_no_finding() {
        for text in [
            "👩\u{200D}👩\u{200D}👧",
            "❤\u{FE0F}\u{200D}🔥",
            "می\u{200C}خواهم",
            "क्\u{200D}ष",
            "🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} goal",
            "1\u{FE0F}\u{20E3}",
            "Donau\u{AD}dampf\u{AD}schiff",
            "\u{FEFF}a file",
            "שלום \u{200E}(abc)\u{200F}",
            "\u{2067}עברית\u{2069}",
            "ภาษา\u{200B}ไทย",
            "葛\u{E0100}城",
            "@\u{200B}someone",
        ] {
            assert_eq!(spans(text), Vec::<&str>::new(), "{text:?}");
        }
    }

    #[test]
    fn what_hides_is_found_whole() {
        let hidden: String = "ignore"
            .chars()
            .filter_map(|c| char::from_u32(0xE0000 + c as u32))
            .collect();
        assert_eq!(spans(&format!("hi{hidden} there")), [hidden.as_str()]);
        assert_eq!(spans(&format!("🏴{hidden} there")), [hidden.as_str()]);
        assert_eq!(spans("pass\u{200B}word"), ["\u{200B}"]);
        assert_eq!(
            spans("x \u{200B}\u{200C}\u{200B}\u{200C}"),
            ["\u{200B}\u{200C}\u{200B}\u{200C}"]
        );
        assert_eq!(
            spans("😀\u{E0110}\u{E0120}\u{E0130}\u{E0140}"),
            ["\u{E0110}\u{E0120}\u{E0130}\u{E0140}"]
        );
        assert_eq!(spans("gpj\u{202E}exe"), ["\u{202E}"]);
    }
}
