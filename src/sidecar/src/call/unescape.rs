//! JSON inside a string, as a guardrail must see it.
//!
//! Arguments of tool calls, results of tools and structured answers are JSON text inside a JSON
//! string: `"ana\u0040example.com"` says `ana@example.com`, and in `"card:\n4111…"` the digits
//! follow a line break, not an `n`. [`Unescaper`] undoes such escapes as text arrives, [`Escaper`]
//! puts back those that JSON needs. Together they give JSON that is equal to what came; `\"` and
//! `\\` are never touched, so where strings begin and end is plain on both sides.

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

/// What a guardrail should look at of a whole JSON text.
pub fn unescape(text: &str) -> String {
    let mut unescaper = Unescaper::default();
    let mut out = unescaper.push(text);
    out.push_str(&unescaper.finish());
    out
}

/// An unescaped and perhaps redacted text as JSON again.
pub fn escape_again(text: &str) -> String {
    Escaper::default().push(text)
}

/// Undoes escapes in a JSON text that arrives in pieces.
#[derive(Debug, Default)]
pub struct Unescaper {
    /// The beginning of an escape whose end has not come.
    carry: String,
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
                    return out;
                }
                Escape::Keep(length) => {
                    out.push_str(&rest[..length]);
                    rest = &rest[length..];
                }
                Escape::Is(char, length) => {
                    out.push(char);
                    rest = &rest[length..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    /// What was still carried when the text ended: half an escape.
    pub fn finish(&mut self) -> String {
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
            unescape(r#"{"to":"\u0061na\u0040x.com\n4111"}"#),
            "{\"to\":\"ana@x.com\n4111\"}"
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
