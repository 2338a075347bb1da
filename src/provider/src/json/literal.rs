//! String literals: where they end, what they say, how they are written.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::ErrorKind;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// From just after the opening quote: the index of the closing quote, and whether there are
/// escapes between.
pub(super) fn scan(bytes: &[u8], start: usize) -> Result<(usize, bool), (ErrorKind, usize)> {
    let mut at = start;
    let mut escaped = false;
    loop {
        // Eight bytes at a time to the first quote, backslash or control character. Each term
        // sets the high bit of a matching byte; a borrow can set a false one only above a true
        // one, so the lowest is exact.
        while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*chunk);
            let quote = word ^ (ONES * b'"' as u64);
            let backslash = word ^ (ONES * b'\\' as u64);
            let hit = (quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | (word.wrapping_sub(ONES * 0x20) & !word);
            let hit = hit & HIGHS;
            if hit == 0 {
                at += 8;
            } else {
                at += hit.trailing_zeros() as usize / 8;
                break;
            }
        }
        match bytes.get(at) {
            None => return Err((ErrorKind::UnexpectedEnd, at)),
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape(bytes, at)?;
            }
            Some(0..0x20) => return Err((ErrorKind::ControlCharacter, at)),
            Some(_) => at += 1,
        }
    }
}

fn escape(bytes: &[u8], at: usize) -> Result<usize, (ErrorKind, usize)> {
    match bytes.get(at + 1) {
        None => Err((ErrorKind::UnexpectedEnd, bytes.len())),
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            for index in at + 2..at + 6 {
                match bytes.get(index) {
                    None => return Err((ErrorKind::UnexpectedEnd, bytes.len())),
                    Some(byte) if byte.is_ascii_hexdigit() => {}
                    Some(_) => return Err((ErrorKind::InvalidEscape, at)),
                }
            }
            Ok(at + 6)
        }
        Some(_) => Err((ErrorKind::InvalidEscape, at)),
    }
}

/// What the inside of a validated literal says. Lone surrogates become U+FFFD.
pub(super) fn decode(inner: &str, escaped: bool) -> Cow<'_, str> {
    if !escaped {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let code = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        rest = rest.get(at + 2..).unwrap_or("");
        match code {
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            b'u' => {
                let unit = hex(rest);
                rest = rest.get(4..).unwrap_or("");
                out.push(match unit {
                    0xd800..0xdc00 => match low_surrogate(rest) {
                        Some(low) => {
                            rest = &rest[6..];
                            join(unit, low)
                        }
                        None => char::REPLACEMENT_CHARACTER,
                    },
                    _ => char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
                });
            }
            other => out.push(char::from(other)),
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn hex(text: &str) -> u32 {
    text.get(..4)
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .unwrap_or(0xfffd)
}

fn low_surrogate(rest: &str) -> Option<u32> {
    let unit = hex(rest.strip_prefix("\\u")?);
    (0xdc00..0xe000).contains(&unit).then_some(unit)
}

fn join(high: u32, low: u32) -> char {
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A character that a stream cut between its two UTF-16 escapes: the lone low surrogate with
/// which a literal (quotes included) begins, and the lone high one with which it ends.
pub(crate) fn surrogate_edges(literal: &str) -> (Option<u32>, Option<u32>) {
    let inner = literal.get(1..literal.len().saturating_sub(1)).unwrap_or("");
    let head = low_surrogate(inner);
    let tail = inner.len().checked_sub(6).and_then(|at| {
        let unit = hex(inner.get(at..)?.strip_prefix("\\u")?);
        // An odd run of backslashes before the `u`, or it is a written backslash and plain text.
        let slashes = inner.as_bytes()[..=at]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        ((0xd800..0xdc00).contains(&unit) && slashes % 2 == 1).then_some(unit)
    });
    (head, tail)
}

/// The character of two surrogates.
pub(crate) fn joined(high: u32, low: u32) -> char {
    join(high, low)
}

/// `text` as a JSON string literal.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    quote_into(text, &mut out);
    out
}

/// Appends `text` as a JSON string literal.
pub(crate) fn quote_into(text: &str, out: &mut String) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if short.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(short);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}
