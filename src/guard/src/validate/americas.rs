//! Identity and tax numbers of Canada and Latin America.

use super::digits::luhn;
use super::sums::{base36, compact, day_month, two, uniform, weighted};

/// Argentina, CUIT and CUIL: type, mod 11.
pub(super) fn ar_cuit(d: &[u8]) -> bool {
    d.len() == 11
        && matches!(two(d), 20 | 23 | 24 | 25 | 26 | 27 | 30 | 33 | 34)
        && (11 - weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11 == u32::from(d[10])
}

/// A check digit of Brazil: 11 less the rest, 0 for 10 and 11.
fn br_digit(sum: u32) -> u32 {
    match sum % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    }
}

/// Brazil, CPF: two check digits.
pub(super) fn br_cpf(d: &[u8]) -> bool {
    d.len() == 11
        && !uniform(d)
        && br_digit(weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(d[9])
        && br_digit(weighted(d, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(d[10])
}

/// Brazil, CNPJ: two check digits. Since 2026 it may hold letters, which count as their code less 48.
pub(super) fn br_cnpj(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 14 || !c[12..].iter().all(u8::is_ascii_digit) || c.iter().all(|b| *b == c[0]) {
        return false;
    }
    let v: Vec<u8> = c.iter().map(|b| b - b'0').collect();
    br_digit(weighted(&v, &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(v[12])
        && br_digit(weighted(&v, &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2])) == u32::from(v[13])
}

/// Canada, SIN: Luhn; nothing begins with 0 or 8.
pub(super) fn ca_sin(d: &[u8]) -> bool {
    d.len() == 9 && !matches!(d[0], 0 | 8) && !uniform(d) && luhn(d)
}

/// Chile, RUT: mod 11, K for 10.
pub(super) fn cl_rut(text: &str) -> bool {
    let c = compact(text);
    let Some((check, body)) = c.split_last() else {
        return false;
    };
    if !matches!(body.len(), 7 | 8) || !body.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = body
        .iter()
        .rev()
        .zip([2, 3, 4, 5, 6, 7].into_iter().cycle())
        .map(|(b, w)| u32::from(b - b'0') * w)
        .sum();
    *check == b"0K987654321"[(sum % 11) as usize]
}

/// Colombia, NIT: primes as weights, mod 11.
pub(super) fn co_nit(d: &[u8]) -> bool {
    let Some((check, body)) = d.split_last() else {
        return false;
    };
    let weights = [3u32, 7, 13, 17, 19, 23, 29, 37, 41, 43];
    let sum: u32 = body.iter().rev().zip(weights).map(|(d, w)| u32::from(*d) * w).sum();
    let expected = match sum % 11 {
        rest @ (0 | 1) => rest,
        rest => 11 - rest,
    };
    matches!(d.len(), 9..=11) && expected == u32::from(*check)
}

/// Ecuador, cédula: province, Luhn.
pub(super) fn ec_cedula(d: &[u8]) -> bool {
    d.len() == 10 && matches!(two(d), 1..=24 | 30) && d[2] <= 6 && luhn(d)
}

/// Mexico, CURP: date, sex, state, check digit in base 37.
pub(super) fn mx_curp(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 18 || !c[4..10].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let d: Vec<u8> = c[4..10].iter().map(|b| b - b'0').collect();
    // In the alphabet with Ñ after N, letters from O on count one more.
    let value = |b: u8| base36(b) + u32::from(b >= b'O');
    let sum: u32 = c[..17].iter().zip((2..=18).rev()).map(|(b, w)| value(*b) * w).sum();
    day_month(two(&d[4..]), two(&d[2..])) && u32::from(c[17].wrapping_sub(b'0')) == (10 - sum % 10) % 10
}

/// Mexico, RFC: date; the last character is a check in mod 11.
pub(super) fn mx_rfc(text: &str) -> bool {
    let upper: Vec<char> = text
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == '&')
        .flat_map(char::to_uppercase)
        .collect();
    let Some((check, body)) = upper.split_last() else {
        return false;
    };
    if !matches!(upper.len(), 12 | 13) {
        return false;
    }
    let date: Vec<u8> = body[upper.len() - 9..upper.len() - 3]
        .iter()
        .filter_map(|c| c.to_digit(10).and_then(|d| u8::try_from(d).ok()))
        .collect();
    let value = |c: char| match c {
        '0'..='9' => c as u32 - '0' as u32,
        'A'..='N' => c as u32 - 'A' as u32 + 10,
        '&' => 24,
        'O'..='Z' => c as u32 - 'O' as u32 + 25,
        'Ñ' => 38,
        _ => 0,
    };
    // A company's number is one letter shorter: a space, 37, stands before it.
    let pad = if upper.len() == 12 { 37 * 13 } else { 0 };
    let sum: u32 = pad + body.iter().rev().zip(2..).map(|(c, w)| value(*c) * w).sum::<u32>();
    let expected = match (11 - sum % 11) % 11 {
        10 => 'A',
        digit => char::from(b'0' + digit as u8),
    };
    date.len() == 6 && day_month(two(&date[4..]), two(&date[2..])) && *check == expected
}

/// Peru, RUC: type, mod 11.
pub(super) fn pe_ruc(d: &[u8]) -> bool {
    d.len() == 11
        && matches!(two(d), 10 | 15 | 17 | 20)
        && (11 - weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 10 == u32::from(d[10])
}

/// Uruguay, cédula de identidad: weights 2 9 8 7 6 3 4, mod 10.
pub(super) fn uy_ci(d: &[u8]) -> bool {
    d.len() == 8 && !uniform(d) && weighted(d, &[2, 9, 8, 7, 6, 3, 4, 1]).is_multiple_of(10)
}
