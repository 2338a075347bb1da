//! Check sums and dates that the identity numbers of many countries share.

/// The sum of digits times weights.
pub(super) fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
}

/// Whether `day` and `month` may be a date of some year.
pub(super) fn day_month(day: u32, month: u32) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day)
}

/// Two digits as a number.
pub(super) fn two(digits: &[u8]) -> u32 {
    digits.iter().take(2).fold(0, |n, d| n * 10 + u32::from(*d))
}

/// Whether digits begin with a year (two digits), a month and a day.
pub(super) fn yymmdd(d: &[u8]) -> bool {
    d.len() >= 6 && day_month(two(&d[4..]), two(&d[2..]))
}

/// Whether digits begin with a day, a month and a year (two digits).
pub(super) fn ddmmyy(d: &[u8]) -> bool {
    d.len() >= 6 && day_month(two(d), two(&d[2..]))
}

/// Whether digits begin with a year of the last or this century, a month and a day.
pub(super) fn yyyymmdd(d: &[u8]) -> bool {
    d.len() >= 8 && matches!(two(d), 18..=20) && day_month(two(&d[6..]), two(&d[4..]))
}

/// Whether all digits are the same.
pub(super) fn uniform(d: &[u8]) -> bool {
    d.iter().all(|x| *x == d[0])
}

/// The remainder of the decimal number `digits`.
pub(super) fn remainder(digits: &[u8], modulus: u64) -> u64 {
    digits.iter().fold(0, |r, d| (r * 10 + u64::from(*d)) % modulus)
}

/// ISO/IEC 7064 MOD 11,10, the last digit included.
pub(super) fn mod_11_10(d: &[u8]) -> bool {
    let Some((check, body)) = d.split_last() else {
        return false;
    };
    let product = body.iter().fold(10u32, |p, d| {
        let sum = match (p + u32::from(*d)) % 10 {
            0 => 10,
            s => s,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// Verhoeff's check, the last digit included.
pub(super) fn verhoeff(d: &[u8]) -> bool {
    /// Products of the dihedral group D5.
    fn times(a: u8, b: u8) -> u8 {
        match (a < 5, b < 5) {
            (true, true) => (a + b) % 5,
            (true, false) => (a + b - 5) % 5 + 5,
            (false, true) => (a + 5 - b) % 5 + 5,
            (false, false) => (a + 5 - b) % 5,
        }
    }
    const PERMUTATION: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut check = 0;
    for (place, digit) in d.iter().rev().enumerate() {
        let permuted = (0..place % 8).fold(*digit, |p, _| PERMUTATION[usize::from(p)]);
        check = times(check, permuted);
    }
    check == 0
}

/// The ASCII letters and digits of `text`, letters as capitals.
pub(super) fn compact(text: &str) -> Vec<u8> {
    text.bytes()
        .filter(u8::is_ascii_alphanumeric)
        .map(|b| b.to_ascii_uppercase())
        .collect()
}

/// The value of a digit or capital in base 36.
pub(super) fn base36(byte: u8) -> u32 {
    match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        _ => u32::from(byte.wrapping_sub(b'A')) + 10,
    }
}
