//! Numbers that authorities of the United States issue.

use super::digits::{digits, luhn, number};
use super::sums::{compact, weighted};

/// A social security number: area, group and serial were issued.
pub(crate) fn is_ssn(d: &[u8]) -> bool {
    if d.len() != 9 {
        return false;
    }
    let (area, group, serial) = (number(&d[..3]), number(&d[3..5]), number(&d[5..]));
    // Printed on wallets and in advertisements, never anybody's.
    let sample = matches!(number(d), 78051120 | 219099999 | 457555462 | 123456789);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0 && !sample && !d.iter().all(|x| *x == d[0])
}

/// A taxpayer number of a person without a social security number.
pub(super) fn is_itin(d: &[u8]) -> bool {
    d.len() == 9 && d[0] == 9 && matches!(number(&d[3..5]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// An employer's number: a prefix that a campus of the tax service gives out.
pub(super) fn is_ein(d: &[u8]) -> bool {
    d.len() == 9
        && matches!(number(&d[..2]), 1..=6 | 10..=16 | 20..=27 | 30..=48 | 50..=68 | 71..=77 | 80..=88 | 90..=95 | 98 | 99)
}

/// A bank's routing number: Federal Reserve district, weights 3 7 1.
pub(super) fn is_routing(d: &[u8]) -> bool {
    d.len() == 9
        && matches!(number(&d[..2]), 1..=12 | 21..=32 | 61..=72 | 80)
        && weighted(d, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// A health care provider's number: Luhn with the prefix 80840.
pub(super) fn is_npi(d: &[u8]) -> bool {
    let prefixed: Vec<u8> = [8, 0, 8, 4, 0].iter().chain(d).copied().collect();
    d.len() == 10 && matches!(d[0], 1 | 2) && luhn(&prefixed)
}

/// A prescriber's number of the DEA: two letters, seven digits, the last is a check.
pub(super) fn is_dea(text: &str) -> bool {
    let d = digits(text);
    d.len() == 7 && weighted(&d, &[1, 2, 1, 2, 1, 2]) % 10 == u32::from(d[6])
}

/// The check digit of a vehicle's number, in the ninth place.
pub(super) fn is_vin(text: &str) -> bool {
    let c = compact(text);
    let value = |b: u8| match b {
        b'0'..=b'9' => u32::from(b - b'0'),
        b'A'..=b'H' => u32::from(b - b'A') + 1,
        b'J'..=b'R' => u32::from(b - b'J') + 1,
        _ => u32::from(b.wrapping_sub(b'S')) + 2,
    };
    let weights = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let sum: u32 = c.iter().zip(weights).map(|(b, w)| value(*b) * w).sum();
    c.len() == 17
        && c[8] == b"0123456789X"[(sum % 11) as usize]
        && c.iter().any(u8::is_ascii_alphabetic)
        && c.iter().filter(|b| b.is_ascii_digit()).count() >= 4
}
