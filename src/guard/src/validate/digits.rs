//! Digits of a matched text, and the sums that several kinds of numbers share.

/// The digits of `text`, whatever stands between them.
pub(crate) fn digits(text: &str) -> Vec<u8> {
    text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect()
}

/// The ends of the groups of digits in `text`, last first.
pub(crate) fn group_ends(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let is_end = move |end: &usize| {
        bytes[*end - 1].is_ascii_digit() && bytes.get(*end).is_none_or(|next| !next.is_ascii_alphanumeric())
    };
    (1..=bytes.len()).rev().filter(is_end)
}

/// The number that `digits` write.
pub(crate) fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(*d))
}

/// Luhn's check (ISO/IEC 7812-1), the last digit included.
pub(crate) fn luhn(digits: &[u8]) -> bool {
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
