//! Characters written as escapes: `&#105;`, `%69`, `\u0069`, `\x69`.

use super::View;
use super::map::{OffsetMap, Rewrite};

/// Named entities of ASCII characters; others stand for nothing that a rule looks for.
const NAMED: [(&str, &str); 40] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("commat", "@"),
    ("period", "."),
    ("comma", ","),
    ("colon", ":"),
    ("semi", ";"),
    ("sol", "/"),
    ("bsol", "\\"),
    ("lowbar", "_"),
    ("num", "#"),
    ("dollar", "$"),
    ("percnt", "%"),
    ("plus", "+"),
    ("equals", "="),
    ("excl", "!"),
    ("quest", "?"),
    ("ast", "*"),
    ("lpar", "("),
    ("rpar", ")"),
    ("lsqb", "["),
    ("lbrack", "["),
    ("rsqb", "]"),
    ("rbrack", "]"),
    ("lcub", "{"),
    ("lbrace", "{"),
    ("rcub", "}"),
    ("rbrace", "}"),
    ("verbar", "|"),
    ("vert", "|"),
    ("hyphen", "-"),
    ("dash", "-"),
    ("grave", "`"),
    ("Hat", "^"),
    ("Tab", "\t"),
    ("NewLine", "\n"),
];

/// Undoes escapes, and those that come out of them.
pub(super) fn escapes(text: &str, depth: usize) -> Option<(String, OffsetMap)> {
    let (mut seen, mut map) = once(text)?;
    for _ in 1..depth {
        let Some((next, later)) = once(&seen) else { break };
        (seen, map) = (next, map.then(&later));
    }
    Some((seen, map))
}

/// Whether an escape may stand at the first byte of `bytes`.
pub(super) fn may_escape(bytes: &[u8]) -> bool {
    match bytes {
        [b'&', b'#', next, ..] => next.is_ascii_digit() || matches!(next, b'x' | b'X'),
        [b'&', next, ..] => next.is_ascii_alphabetic(),
        [b'%', high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [b'\\', b'u' | b'U', next, ..] => next.is_ascii_hexdigit() || *next == b'{' || *next == b'+',
        [b'\\', b'x', high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        [b'\\', a @ b'0'..=b'3', b, c, ..] => a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_digit(),
        _ => false,
    }
}

fn once(text: &str) -> Option<(String, OffsetMap)> {
    let bytes = text.as_bytes();
    let mut out = Rewrite::new(text);
    let mut at = 0;
    while let Some(skip) = memchr::memchr3(b'&', b'%', b'\\', &bytes[at..]) {
        at += skip;
        if !may_escape(&bytes[at..]) {
            at += 1;
            continue;
        }
        if bytes[at] == b'&' {
            match entity(text, at) {
                Some((end, decoded)) => {
                    out.keep(at);
                    out.put(end, &decoded, Some(View::Entity));
                    at = end;
                }
                None => at += 1,
            }
        } else {
            at = bytewise(text, at, &mut out).unwrap_or(at + 1);
        }
    }
    out.finish()
}

fn entity(text: &str, at: usize) -> Option<(usize, String)> {
    let rest = &text[at + 1..];
    if let Some(number) = rest.strip_prefix('#') {
        let (digits, radix) = match number.strip_prefix(['x', 'X']) {
            Some(hex) => (hex, 16),
            None => (number, 10),
        };
        // Zeros in front count for nothing, however many.
        let zeros = digits.bytes().take_while(|b| *b == b'0').count();
        let more = digits[zeros..].bytes().take(8);
        let count = zeros + more.take_while(|b| char::from(*b).is_digit(radix)).count();
        let c = char::from_u32(u32::from_str_radix(digits.get(..count)?, radix).ok()?)?;
        // Browsers do not insist on the semicolon.
        let end = text.len() - digits.len() + count + usize::from(digits[count..].starts_with(';'));
        return Some((end, visible(c)));
    }
    let name = &rest[..rest.bytes().take(8).take_while(u8::is_ascii_alphabetic).count()];
    let (_, value) = NAMED.iter().find(|(known, _)| *known == name)?;
    let end = at + 1 + name.len();
    text[end..].starts_with(';').then(|| (end + 1, (*value).to_owned()))
}

/// The character as rules see it: escapes may hide what the first view folds.
fn visible(c: char) -> String {
    use crate::normalize::{Fold, fold};
    match fold(c) {
        Fold::Ascii(byte) => char::from(byte).to_string(),
        Fold::Remove => String::new(),
        Fold::Keep if c.is_control() && !c.is_whitespace() => " ".to_owned(),
        Fold::Keep => super::fold::look(c).map_or_else(|| c.to_string(), |byte| char::from(byte).to_string()),
    }
}

/// A run of `%69`, `\x69`, `\151` or `\u0069`: bytes of UTF-8 or UTF-16 units. Where it ends.
fn bytewise(text: &str, at: usize, out: &mut Rewrite<'_>) -> Option<usize> {
    let bytes = text.as_bytes();
    let how = if bytes[at] == b'%' { View::Percent } else { View::Escape };
    let start = at;
    let (end, unit) = unit(bytes, at)?;
    let mut end = end;
    let c = match unit {
        Unit::Char(high) if (0xD800..0xDC00).contains(&high) => {
            let low = unit_char(bytes, end).filter(|(_, low)| (0xDC00..0xE000).contains(low));
            let (after, low) = low?;
            end = after;
            char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?
        }
        Unit::Char(code) => char::from_u32(code)?,
        Unit::Byte(byte) if byte.is_ascii() => char::from(byte),
        Unit::Byte(first) => {
            let mut encoded = vec![first];
            let count = first.leading_ones() as usize;
            while encoded.len() < count.min(4)
                && let Some((after, Unit::Byte(next))) = bytes.get(end).and_then(|_| self::unit(bytes, end))
            {
                encoded.push(next);
                end = after;
            }
            std::str::from_utf8(&encoded).ok()?.chars().next()?
        }
    };
    out.keep(start);
    let decoded = visible(c);
    out.put(end, &decoded, Some(how));
    out.skip(end);
    Some(end)
}

enum Unit {
    Byte(u8),
    Char(u32),
}

fn unit_char(bytes: &[u8], at: usize) -> Option<(usize, u32)> {
    match unit(bytes, at)? {
        (end, Unit::Char(code)) => Some((end, code)),
        _ => None,
    }
}

/// One escape at `at`: where it ends and what it is.
fn unit(bytes: &[u8], at: usize) -> Option<(usize, Unit)> {
    let number = |from: usize, digits: usize, radix: u32| {
        let text = std::str::from_utf8(bytes.get(from..from + digits)?).ok()?;
        let plain = text.bytes().all(|b| char::from(b).is_digit(radix));
        if plain {
            u32::from_str_radix(text, radix).ok()
        } else {
            None
        }
    };
    let byte = |code: u32| u8::try_from(code).ok().map(Unit::Byte);
    match bytes.get(at..)? {
        [b'%', b'u' | b'U', ..] => Some((at + 6, Unit::Char(number(at + 2, 4, 16)?))),
        [b'%', ..] => Some((at + 3, byte(number(at + 1, 2, 16)?)?)),
        [b'\\', b'x', ..] => Some((at + 4, byte(number(at + 2, 2, 16)?)?)),
        [b'\\', b'u' | b'U', b'{', rest @ ..] => {
            let zeros = rest.iter().take_while(|b| **b == b'0').count();
            let count = zeros + rest[zeros..].iter().take(7).position(|b| *b == b'}')?;
            Some((at + 4 + count, Unit::Char(number(at + 3, count, 16)?)))
        }
        [b'\\', b'U', ..] if number(at + 2, 8, 16).is_some() => Some((at + 10, Unit::Char(number(at + 2, 8, 16)?))),
        [b'\\', b'u' | b'U', b'+', ..] => Some((at + 7, Unit::Char(number(at + 3, 4, 16)?))),
        [b'\\', b'u' | b'U', ..] => Some((at + 6, Unit::Char(number(at + 2, 4, 16)?))),
        [b'\\', b'0'..=b'3', ..] => Some((at + 4, byte(number(at + 1, 3, 8)?)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_undone() {
        for text in [
            "h&#105;!",
            "h&#x69;!",
            "h%69!",
            "h\\u0069!",
            "h\\u{69}!",
            "h\\x69!",
            "h\\151!",
            "h%2569!",
            "h&amp;#105;!",
            "h\\U00000069!",
            "&#104i!",
            "h\\uD835\\uDC22!",
            "h%F0%9D%90%A2!",
            "h&#65353;!",
            "h&#000000000105;!",
            "h&#x0000000000069;!",
            "h\\u{0000000069}!",
        ] {
            assert_eq!(escapes(text, 2).unwrap().0, "hi!", "{text}");
        }
        for text in [
            "100% sure",
            "a && b",
            "&nosuch;",
            "C:\\users",
            "%zz",
            "\\n",
            "%u12",
            "&",
            "%",
            "\\",
            "\\uD800 x",
            "%FF%41x",
        ] {
            let seen = escapes(text, 2).map_or(text.to_owned(), |(seen, _)| seen);
            assert!(seen == text || text == "%FF%41x", "{text}: {seen}");
        }
    }

    #[test]
    fn a_span_covers_whole_escapes() {
        let text = "to jane&#64;example.com";
        let (seen, map) = escapes(text, 2).unwrap();
        let at = seen.find('@').unwrap();
        let origin = map.origin(at, at + 1);
        assert_eq!(
            (&text[origin.start..origin.end], origin.how),
            ("&#64;", Some(View::Entity))
        );
        let origin = map.origin(at - 1, at + 2);
        assert_eq!(&text[origin.start..origin.end], "e&#64;e");
    }
}
