//! What a pattern cannot say: checksums, number ranges, randomness.
//!
//! A validator looks at one matched text and accepts a prefix of it (greedy patterns may take in
//! what follows) or refuses it.

use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A named check on a matched text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Validator {
    /// The digits pass the Luhn check.
    Luhn,
    /// A payment card: issuer range, length for that issuer, Luhn, and not all digits alike.
    Card,
    /// A US social security number: area, group and serial were issued, and it is no known sample.
    Ssn,
    /// An IBAN: length for its country and mod-97 check. Cuts what follows the number.
    Iban,
    /// A North American phone number: area code and exchange may be assigned.
    Nanp,
    /// An international phone number: a country code that exists and a length that it allows. Cuts
    /// groups of digits that follow the number.
    E164,
    /// A phone number as it is written inside some country: 7 to 12 digits.
    NationalPhone,
    /// An IPv4 address in dotted form, not unspecified, not a netmask.
    Ipv4,
    /// An IPv6 address with at least three groups, or a compressed one that is not bare `::`.
    Ipv6,
    /// A JSON web token: the header decodes to a JSON object that names an algorithm.
    Jwt,
    /// At least one letter and one digit: words and plain numbers are no keys.
    Mixed,
}

impl Validator {
    /// Length of the accepted prefix of `text`, bytes; `None` refuses the match.
    pub fn accept(self, text: &str) -> Option<usize> {
        let whole = |ok: bool| ok.then_some(text.len());
        match self {
            Validator::Luhn => whole(luhn(&digits(text))),
            Validator::Card => whole(is_card(&digits(text))),
            Validator::Ssn => whole(is_ssn(&digits(text))),
            Validator::Iban => iban(text),
            Validator::Nanp => whole(is_nanp(&digits(text))),
            Validator::E164 => group_ends(text).find(|end| is_e164(&digits(&text[..*end]))),
            Validator::NationalPhone => {
                let d = digits(text);
                whole((7..=12).contains(&d.len()) && !d.iter().all(|x| *x == d[0]) && !is_date(&d))
            }
            Validator::Ipv4 => whole(is_ipv4(text)),
            Validator::Ipv6 => whole(is_ipv6(text)),
            Validator::Jwt => whole(is_jwt(text)),
            Validator::Mixed => {
                let (letter, digit) = (|b: u8| b.is_ascii_alphabetic(), |b: u8| b.is_ascii_digit());
                whole(text.bytes().any(letter) && text.bytes().any(digit))
            }
        }
    }
}

fn digits(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect()
}

/// The ends of the groups of digits in `text`, last first.
fn group_ends(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let is_end = move |end: &usize| {
        bytes[*end - 1].is_ascii_digit() && bytes.get(*end).is_none_or(|next| !next.is_ascii_alphanumeric())
    };
    (1..=bytes.len()).rev().filter(is_end)
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(*d))
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, &d)| match (i % 2, u32::from(d)) {
            (0, d) => d,
            (_, d) if d > 4 => 2 * d - 9,
            (_, d) => 2 * d,
        })
        .sum();
    digits.len() > 1 && sum.is_multiple_of(10)
}

/// Issuer ranges as published in ISO/IEC 7812 registrations and the networks' own guides.
fn is_card(d: &[u8]) -> bool {
    if d.len() < 12 || d.len() > 19 || d.iter().all(|x| *x == d[0]) {
        return false;
    }
    let (two, three, four) = (number(&d[..2]), number(&d[..3]), number(&d[..4]));
    let six = number(&d[..6]);
    let known = match d.len() {
        13 => d[0] == 4,
        14 => matches!(three, 300..=305) || matches!(two, 36 | 38 | 39) || four == 3095,
        15 => matches!(two, 34 | 37) || matches!(four, 2131 | 1800),
        16 => {
            d[0] == 4
                || matches!(two, 51..=55 | 36 | 38 | 39 | 62 | 65 | 81)
                || matches!(four, 2200..=2204 | 2221..=2720 | 3528..=3589 | 6011 | 5018 | 5020 | 5038 | 6304 | 6759 | 6761..=6763 | 9792)
                || matches!(three, 644..=649 | 508 | 606 | 607 | 636 | 637 | 300..=305)
        }
        17 | 18 => two == 62 || maestro(four, six),
        19 => {
            d[0] == 4
                || two == 62
                || matches!(four, 6011 | 2200..=2204)
                || maestro(four, six)
                || matches!(three, 644..=649)
                || two == 65
        }
        _ => maestro(four, six),
    };
    known && luhn(d)
}

fn maestro(four: u64, six: u64) -> bool {
    matches!(four, 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763) || matches!(six, 676770 | 676774)
}

fn is_ssn(d: &[u8]) -> bool {
    if d.len() != 9 {
        return false;
    }
    let (area, group, serial) = (number(&d[..3]), number(&d[3..5]), number(&d[5..]));
    // Printed on wallets and in advertisements, never anybody's.
    let sample = matches!(number(d), 78051120 | 219099999 | 457555462 | 123456789);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0 && !sample && !d.iter().all(|x| *x == d[0])
}

/// Lengths from the IBAN registry (SWIFT, ISO 13616), by country.
const IBAN_LENGTHS: &[(&str, u8)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

fn iban(text: &str) -> Option<usize> {
    let country = text.get(..2)?.to_ascii_uppercase();
    let length = IBAN_LENGTHS.iter().find(|(c, _)| *c == country)?.1;
    let mut compact = Vec::with_capacity(34);
    let mut end = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() {
            compact.push(byte.to_ascii_uppercase());
            if compact.len() == usize::from(length) {
                end = at + 1;
                break;
            }
        }
    }
    if end == 0 || text.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let remainder = compact[4..].iter().chain(&compact[..4]).fold(0u32, |r, b| match b {
        b'0'..=b'9' => (r * 10 + u32::from(b - b'0')) % 97,
        letter => (r * 100 + u32::from(letter - b'A') + 10) % 97,
    });
    (remainder == 1).then_some(end)
}

fn is_nanp(d: &[u8]) -> bool {
    let d = match d {
        [1, rest @ ..] if rest.len() == 10 => rest,
        d if d.len() == 10 => d,
        _ => return false,
    };
    let area = number(&d[..3]);
    let exchange = number(&d[3..6]);
    // N11 codes are services, 37x and 96x areas are kept free, a ninth area digit is an expansion code.
    let service = |n: u64| n % 100 == 11;
    (200..=989).contains(&area)
        && exchange >= 200
        && !service(area)
        && !service(exchange)
        && !matches!(area / 10, 37 | 96)
        && (area / 10) % 10 != 9
        && !d.iter().all(|x| *x == d[0])
}

/// A date, or a span of years, that looks like eight digits of a phone number.
fn is_date(d: &[u8]) -> bool {
    let year = |n: u64| (1900..2100).contains(&n);
    d.len() == 8
        && year(number(&d[..4]))
        && (year(number(&d[4..])) || ((1..=12).contains(&number(&d[4..6])) && (1..=31).contains(&number(&d[6..]))))
}

/// Country codes of two digits (ITU E.164); 1 and 7 stand alone, all others have three.
const TWO_DIGIT_CODES: &[u64] = &[
    20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62,
    63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98,
];

fn is_e164(d: &[u8]) -> bool {
    if d.len() < 8 || d.len() > 15 || d[0] == 0 || d[1..].iter().all(|x| *x == d[1]) {
        return false;
    }
    let two = number(&d[..2]);
    match d[0] {
        1 => is_nanp(d),
        7 => d.len() == 11,
        _ if TWO_DIGIT_CODES.contains(&two) => true,
        _ => {
            matches!(number(&d[..3]), 210..=269 | 290..=299 | 350..=389 | 420..=423 | 500..=509 | 590..=599 | 670..=692 | 800 | 808 | 850..=886 | 960..=998)
        }
    }
}

fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>()
        .is_ok_and(|ip| !ip.is_unspecified() && !ip.is_broadcast() && ip.octets()[..3] != [255; 3])
}

fn is_ipv6(text: &str) -> bool {
    let groups = text.split(':').filter(|g| !g.is_empty()).count();
    text.parse::<Ipv6Addr>().is_ok_and(|ip| !ip.is_unspecified())
        && (groups >= 3 || text == "::1" || (text.len() >= 8 && text.bytes().any(|b| b.is_ascii_digit())))
}

fn is_jwt(text: &str) -> bool {
    let Some(header) = text.split('.').next() else {
        return false;
    };
    let decoded = base64url(header);
    decoded.starts_with(b"{") && decoded.windows(5).any(|w| w == b"\"alg\"")
}

fn base64url(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => break,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// Shannon entropy of the bytes of `text`, bits a byte.
pub(crate) fn entropy(text: &str) -> f32 {
    let mut counts = [0u32; 256];
    text.bytes().for_each(|b| counts[usize::from(b)] += 1);
    let total = text.len() as f32;
    counts
        .iter()
        .filter(|c| **c > 0)
        .map(|c| *c as f32 / total)
        .map(|p| -p * p.log2())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::Validator::*;
    use super::*;

    fn check(validator: Validator, yes: &[&str], no: &[&str]) {
        for text in yes {
            assert_eq!(validator.accept(text), Some(text.len()), "{validator:?} {text}");
        }
        for text in no {
            assert_eq!(validator.accept(text), None, "{validator:?} {text}");
        }
    }

    #[test]
    fn cards() {
        check(
            Card,
            &[
                "4111 1111 1111 1111",
                "5555-5555-5555-4444",
                "378282246310005",
                "6011111111111117",
                "30569309025904",
            ],
            &[
                "4111 1111 1111 1112",
                "0000 0000 0000 0000",
                "1234567812345670",
                "9111111111111111",
            ],
        );
    }

    #[test]
    fn social_security_numbers() {
        check(
            Ssn,
            &["536-90-4399", "536904399"],
            &[
                "000-12-3456",
                "666-12-3456",
                "900-12-3456",
                "536-00-4399",
                "536-90-0000",
                "078-05-1120",
            ],
        );
    }

    #[test]
    fn ibans_are_cut_at_their_country_length() {
        check(
            Iban,
            &[
                "DE89 3704 0044 0532 0130 00",
                "GB82WEST12345698765432",
                "NO9386011117947",
            ],
            &["DE88370400440532013000", "ZZ89370400440532013000"],
        );
        assert_eq!(Iban.accept("DE89 3704 0044 0532 0130 00 and"), Some(27));
    }

    #[test]
    fn phones() {
        check(
            Nanp,
            &["(212) 555-0147", "1-646-555-0100"],
            &["111-555-0147", "212-111-0147", "911-555-0100", "222 222 2222"],
        );
        check(
            E164,
            &["+49 30 901820", "+14155550123", "+919876543210"],
            &["+0123456789", "+49 1234", "+1111111111"],
        );
        assert_eq!(E164.accept("+1 212 555 0147 2026"), Some(15));
    }

    #[test]
    fn addresses() {
        check(
            Ipv4,
            &["8.8.8.8", "192.168.0.1"],
            &["256.1.1.1", "0.0.0.0", "255.255.255.0", "1.2.3"],
        );
        check(
            Ipv6,
            &["2001:db8::1", "fe80::1ff:fe23:4567:890a", "::1"],
            &["::", "12:30", "a::b"],
        );
    }

    #[test]
    fn tokens() {
        let header = ["eyJhbGciOi", "JIUzI1NiJ9"].concat();
        check(Jwt, &[&format!("{header}.e30.x")], &["eyJub3QiOiJqd3QifQ.e30.x"]);
        check(Mixed, &["a1"], &["abc", "123"]);
        assert!(entropy("aaaa") < 0.1 && entropy("abcd") > 1.9);
    }
}
