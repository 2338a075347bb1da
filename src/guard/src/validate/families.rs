//! Validators of cards, phones, addresses and tokens accept and refuse what they ought to.

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
fn mail() {
    check(
        Email,
        &["jane@example.com", "иван@почта.рф", "gitte@example.com"],
        &["git@github.com", "logo@2x.png", "pkg@next.js", "Icon@3x.SVG"],
    );
}

#[test]
fn tokens() {
    let header = ["eyJhbGciOi", "JIUzI1NiJ9"].concat();
    check(Jwt, &[&format!("{header}.e30.x")], &["eyJub3QiOiJqd3QifQ.e30.x"]);
    check(Mixed, &["a1"], &["abc", "123"]);
    assert!(entropy("aaaa") < 0.1 && entropy("abcd") > 1.9);
}
