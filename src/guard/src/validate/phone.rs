//! Phone numbers.

use super::digits::number;

/// A number of the North American plan.
pub(crate) fn is_nanp(d: &[u8]) -> bool {
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
pub(crate) fn is_date(d: &[u8]) -> bool {
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

pub(crate) fn is_e164(d: &[u8]) -> bool {
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
