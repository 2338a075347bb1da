//! JSON inside a string, as a guardrail must see it.
//!
//! Arguments of tool calls, results of tools and structured answers are JSON text inside a JSON
//! string: `"ana\u0040example.com"` says `ana@example.com`, and in `"card:\n4111…"` the digits
//! follow a line break, not an `n`. [`Unescaper`] undoes such escapes as text arrives, [`Escaper`]
//! puts back those that JSON needs. Together they give JSON that is equal to what came; `\"` and
//! `\\` are never touched, so where strings begin and end is plain on both sides.
//!
//! Not all that is read so is JSON: code and formulas have backslashes, too. So what no rule changed is
//! spelled as it came, and only what stands around a redaction is escaped anew.

use std::collections::VecDeque;

/// The longest escape: a surrogate pair, `\ud83d\ude00`.
const LONGEST: usize = 12;

/// Whether a text looks like a JSON object: the only texts, but for tool calls, that are read so.
pub fn looks_like_json(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Puts back the escapes of control characters in strings.
#[derive(Debug, Default)]
pub struct Escaper {
    in_string: bool,
    after_backslash: bool,
}

impl Escaper {
    /// `text`, a released piece of an unescaped JSON text, as JSON again.
    pub fn push(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for char in text.chars() {
            let escaped = std::mem::take(&mut self.after_backslash);
            match char {
                '"' if !escaped => self.in_string = !self.in_string,
                '\\' if !escaped => self.after_backslash = true,
                _ => {}
            }
            match char {
                '\n' if self.in_string => out.push_str("\\n"),
                '\r' if self.in_string => out.push_str("\\r"),
                '\t' if self.in_string => out.push_str("\\t"),
                '\u{8}' if self.in_string => out.push_str("\\b"),
                '\u{c}' if self.in_string => out.push_str("\\f"),
                other => out.push(other),
            }
        }
        out
    }
}

/// A whole JSON text as a guardrail should look at it.
pub struct Unescaped {
    /// What it says.
    pub said: String,
    undone: VecDeque<Undone>,
}

/// Undoes the escapes of a whole text.
pub fn unescape(text: &str) -> Unescaped {
    let mut unescaper = Unescaper::default();
    let mut said = unescaper.push(text);
    said.push_str(&unescaper.finish());
    let undone = unescaper.undone;
    Unescaped { said, undone }
}

impl Unescaped {
    /// `text`, which is what was said with a change somewhere, as JSON again.
    pub fn escape_again(&self, text: &str) -> String {
        let same = |(a, b): &(char, char)| a == b;
        let bytes = |(a, _): (char, char)| a.len_utf8();
        let head: usize = (self.said.chars().zip(text.chars()).take_while(same).map(bytes)).sum();
        let (said, changed) = (&self.said[head..], &text[head..]);
        let tail: usize = (said
            .chars()
            .rev()
            .zip(changed.chars().rev())
            .take_while(same)
            .map(bytes))
        .sum();
        let mut escaper = Escaper::default();
        // What stands before says whether the change is within a string.
        escaper.push(&text[..head]);
        let middle = escaper.push(&changed[..changed.len() - tail]);
        let end = self.said.len() - tail;
        spelled(&self.undone, &self.said[..head], 0) + &middle + &spelled(&self.undone, &self.said[end..], end)
    }
}

/// An escape that was undone.
#[derive(Debug)]
struct Undone {
    /// Where its character stands in what was said.
    at: usize,
    /// Bytes of that character.
    len: usize,
    /// The escape.
    spelled: String,
}

/// `text`, which was said from `start` on, as it came.
fn spelled(undone: &VecDeque<Undone>, text: &str, start: usize) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let within = |escape: &&Undone| (start..start + text.len()).contains(&escape.at);
    for escape in undone.iter().filter(within) {
        out.push_str(text.get(from..escape.at - start).unwrap_or_default());
        out.push_str(&escape.spelled);
        from = escape.at - start + escape.len;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Undoes escapes in a JSON text that arrives in pieces.
#[derive(Debug, Default)]
pub struct Unescaper {
    /// The beginning of an escape whose end has not come.
    carry: String,
    /// Bytes said so far.
    said: usize,
    /// What was undone, and has not left.
    undone: VecDeque<Undone>,
}

/// What stands at a backslash.
enum Escape {
    /// Not all of it is there yet.
    Partial,
    /// So many bytes that stay as they are.
    Keep(usize),
    /// So many bytes that are this character.
    Is(char, usize),
}

impl Unescaper {
    /// What `piece` says, as far as its escapes are whole.
    pub fn push(&mut self, piece: &str) -> String {
        if self.carry.is_empty() && !piece.contains('\\') {
            self.said += piece.len();
            return piece.to_owned();
        }
        let text = std::mem::take(&mut self.carry) + piece;
        let mut out = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            match escape(rest) {
                Escape::Partial => {
                    self.carry.push_str(rest);
                    self.said += out.len();
                    return out;
                }
                Escape::Keep(length) => {
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                }
                Escape::Is(char, length) => {
                    self.undone.push_back(Undone {
                        at: self.said + out.len(),
                        len: char.len_utf8(),
                        spelled: rest[..length].to_owned(),
                    });
                    out.push(char);
                    rest = &rest[length..];
                }
            }
        }
        out.push_str(rest);
        self.said += out.len();
        out
    }

    /// `text`, which is the end of what was said but for `held` bytes, as it came. What was said before is
    /// forgotten.
    pub fn spelled(&mut self, text: &str, held: usize) -> String {
        let end = self.said.saturating_sub(held);
        let start = end.saturating_sub(text.len());
        let out = spelled(&self.undone, text, start);
        let left = self.undone.partition_point(|escape| escape.at < end);
        self.undone.drain(..left);
        out
    }

    /// What was still carried when the text ended: half an escape.
    pub fn finish(&mut self) -> String {
        self.said += self.carry.len();
        std::mem::take(&mut self.carry)
    }
}

/// The escape at the start of `text`, which begins with a backslash.
fn escape(text: &str) -> Escape {
    let keep = |bytes: usize| {
        // Whole characters only.
        Escape::Keep(
            (bytes..=text.len())
                .find(|end| text.is_char_boundary(*end))
                .unwrap_or(text.len()),
        )
    };
    match text.as_bytes().get(1) {
        None => Escape::Partial,
        Some(b'/') => Escape::Is('/', 2),
        Some(b'n') => Escape::Is('\n', 2),
        Some(b'r') => Escape::Is('\r', 2),
        Some(b't') => Escape::Is('\t', 2),
        Some(b'b') => Escape::Is('\u{8}', 2),
        Some(b'f') => Escape::Is('\u{c}', 2),
        Some(b'u') => match unit(text, 0) {
            Err(short) if short && text.len() < LONGEST => Escape::Partial,
            Err(_) => keep(2),
            Ok(high @ 0xd800..=0xdbff) => match text.as_bytes().get(6..8) {
                Some(br"\u") => match unit(text, 6) {
                    Err(true) => Escape::Partial,
                    Ok(low @ 0xdc00..=0xdfff) => {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        char::from_u32(code).map_or(Escape::Keep(6), |char| Escape::Is(char, 12))
                    }
                    _ => Escape::Keep(6),
                },
                Some(_) => Escape::Keep(6),
                None if text.len() == 6 || text[6..] == *"\\" => Escape::Partial,
                None => Escape::Keep(6),
            },
            Ok(code) => match char::from_u32(code) {
                Some(char @ ('\n' | '\r' | '\t' | '\u{8}' | '\u{c}')) => Escape::Is(char, 6),
                Some(char) if char >= ' ' && char != '"' && char != '\\' => Escape::Is(char, 6),
                _ => Escape::Keep(6),
            },
        },
        Some(_) => keep(2),
    }
}

/// The code unit of the `\uXXXX` at `at`; `Err(true)` if its digits have not all come.
fn unit(text: &str, at: usize) -> Result<u32, bool> {
    let digits = &text.as_bytes()[at + 2..text.len().min(at + 6)];
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(false);
    }
    if digits.len() < 4 {
        return Err(true);
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|hex| u32::from_str_radix(hex, 16).ok())
        .ok_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What came, and what leaves if nothing is redacted.
    const CASES: &[(&str, &str)] = &[
        (r#"{"a":"x\ny\tz","b":"\u000a"}"#, r#"{"a":"x\ny\tz","b":"\n"}"#),
        ("{\n  \"a\": \"\\\"\\n\\\"\"\n}", "{\n  \"a\": \"\\\"\\n\\\"\"\n}"),
        (r#"{"to":"ana@x.com"}"#, r#"{"to":"ana@x.com"}"#),
        (r#"{"to":"ana\u0040x.com"}"#, r#"{"to":"ana@x.com"}"#),
        (
            r#"{"a":"\\u0040 \" \n \/ \u000a \u0022 \u005c"}"#,
            r#"{"a":"\\u0040 \" \n / \n \u0022 \u005c"}"#,
        ),
        (
            r#""\ud83d\ude00 \u00e9 \ud83d x \ude00 \ud83d\u0041""#,
            "\"\u{1f600} \u{e9} \\ud83d x \\ude00 \\ud83dA\"",
        ),
        (r#""\u00zz \é ż\u017c""#, "\"\\u00zz \\é żż\""),
        (r"\u00", r"\u00"),
        (r"\", r"\"),
    ];

    #[test]
    fn says_the_same_cut_at_every_place() {
        for (text, wanted) in CASES {
            let cuts: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
            for first in &cuts {
                for second in cuts.iter().filter(|second| *second >= first) {
                    let mut unescaper = Unescaper::default();
                    let mut out = unescaper.push(&text[..*first]);
                    out += &unescaper.push(&text[*first..*second]);
                    out += &unescaper.push(&text[*second..]);
                    out += &unescaper.finish();
                    let mut escaper = Escaper::default();
                    let half = out.char_indices().nth(out.chars().count() / 2).map_or(0, |(at, _)| at);
                    let out = escaper.push(&out[..half]) + &escaper.push(&out[half..]);
                    assert_eq!(out, *wanted, "{text} cut at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn a_guardrail_sees_what_is_said() {
        assert_eq!(
            unescape(r#"{"to":"\u0061na\u0040x.com\n4111"}"#).said,
            "{\"to\":\"ana@x.com\n4111\"}"
        );
    }

    #[test]
    fn what_is_not_changed_is_spelled_as_it_came() {
        for (text, _) in CASES {
            let unescaped = unescape(text);
            assert_eq!(unescaped.escape_again(&unescaped.said), *text);
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let mut unescaper = Unescaper::default();
                let mut out = String::new();
                // Everything but a byte or so is released at once, and the rest a piece later.
                let mut held = String::new();
                for piece in [&text[..at], &text[at..]] {
                    held += &unescaper.push(piece);
                    let keep = held.char_indices().next_back().map_or(0, |(last, _)| last);
                    let rest = held.split_off(keep);
                    out += &unescaper.spelled(&held, rest.len());
                    held = rest;
                }
                held += &unescaper.finish();
                out += &unescaper.spelled(&held, 0);
                assert_eq!(out, *text, "cut at {at}");
            }
        }
    }

    #[test]
    fn only_the_neighbourhood_of_a_change_is_escaped_anew() {
        let text = r#"{"a":"\u0041","to":"ana\u0040x.com\/","b":"\u0042\/"}"#;
        let unescaped = unescape(text);
        let changed = unescaped.said.replace("ana@x.com", "[E\nMAIL]");
        assert_eq!(
            unescaped.escape_again(&changed),
            r#"{"a":"\u0041","to":"[E\nMAIL]\/","b":"\u0042\/"}"#
        );
    }

    #[test]
    fn the_json_stays_equal() {
        for (text, wanted) in CASES {
            if let Ok(before) = serde_json::from_str::<serde_json::Value>(text) {
                assert_eq!(
                    serde_json::from_str::<serde_json::Value>(wanted).unwrap(),
                    before,
                    "{text}"
                );
            }
        }
    }
}
