//! Escapes in the streamed arguments of a tool call, undone where JSON does not need them.
//!
//! Arguments are JSON text inside a string, and `"ana\u0040example.com"` says the same as
//! `"ana@example.com"`: a guardrail must see the latter. The rewritten JSON is equal to the one that
//! came; a stream without such escapes passes unchanged.

/// The longest escape: a surrogate pair, `\ud83d\ude00`.
const LONGEST: usize = 12;

/// Rewrites a JSON text that arrives in pieces.
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

    const CASES: &[(&str, &str)] = &[
        (r#"{"to":"ana@x.com"}"#, r#"{"to":"ana@x.com"}"#),
        (r#"{"to":"ana\u0040x.com"}"#, r#"{"to":"ana@x.com"}"#),
        (
            r#"{"a":"\\u0040 \" \n \/ \u000a \u0022 \u005c"}"#,
            r#"{"a":"\\u0040 \" \n / \u000a \u0022 \u005c"}"#,
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
                    assert_eq!(out, *wanted, "{text} cut at {first} and {second}");
                }
            }
        }
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
