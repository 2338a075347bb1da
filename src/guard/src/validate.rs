//! What a pattern cannot say: checksums, number ranges, randomness.
//!
//! A validator looks at one matched text and accepts a prefix of it (greedy patterns may take in
//! what follows) or refuses it.

mod bank;
mod card;
mod digits;
mod net;
mod phone;
mod token;
mod us;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use digits::{digits, group_ends, luhn};
pub(crate) use token::entropy;

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
            Validator::Card => whole(card::is_card(&digits(text))),
            Validator::Ssn => whole(us::is_ssn(&digits(text))),
            Validator::Iban => bank::iban(text),
            Validator::Nanp => whole(phone::is_nanp(&digits(text))),
            Validator::E164 => group_ends(text).find(|end| phone::is_e164(&digits(&text[..*end]))),
            Validator::NationalPhone => {
                let d = digits(text);
                whole((7..=12).contains(&d.len()) && !d.iter().all(|x| *x == d[0]) && !phone::is_date(&d))
            }
            Validator::Ipv4 => whole(net::is_ipv4(text)),
            Validator::Ipv6 => whole(net::is_ipv6(text)),
            Validator::Jwt => whole(token::is_jwt(text)),
            Validator::Mixed => {
                let (letter, digit) = (|b: u8| b.is_ascii_alphabetic(), |b: u8| b.is_ascii_digit());
                whole(text.bytes().any(letter) && text.bytes().any(digit))
            }
        }
    }
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
