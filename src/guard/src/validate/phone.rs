//! Phone numbers.

use super::digits::{digits, group_ends, number};

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
        // Made-up numbers often have an exchange that is not given out; the + says enough.
        1 => d.len() == 11 && d[1] > 0,
        7 => d.len() == 11,
        _ if TWO_DIGIT_CODES.contains(&two) => true,
        _ => {
            matches!(number(&d[..3]), 210..=269 | 290..=299 | 350..=389 | 420..=423 | 500..=509 | 590..=599 | 670..=692 | 800 | 808 | 850..=886 | 960..=998)
        }
    }
}

/// `text` in two: the number, and where an extension begins.
fn without_extension(text: &str) -> &str {
    let end = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    text[..end].trim_end()
}

/// A number of the North American plan. Made-up ones with an extension often have an area or an exchange
/// that is not given out; the extension says enough.
pub(crate) fn is_nanp_text(text: &str) -> bool {
    let number = without_extension(text);
    let d = digits(number);
    if is_list(number) {
        return false;
    }
    is_nanp(&d) || (number.len() < text.len() && matches!(d.len(), 10 | 11) && !uniform(&d))
}

/// Whether `text` lists measures: three groups that only spaces part, the last one round as sizes are (1000,
/// 1024, 1080).
fn is_list(text: &str) -> bool {
    let round = |n: u64| n > 0 && [128, 120, 1000].iter().any(|of| n.is_multiple_of(*of));
    let spaced = text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit() || b == b' ');
    spaced && text[8..].parse().is_ok_and(round)
}

/// Whether `text` begins with a fraction such as coordinates are: at most 180, and five to seven digits.
fn is_fraction(text: &str) -> bool {
    let Some((whole, rest)) = text.trim_start_matches('+').split_once('.') else {
        return false;
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    whole.parse::<u8>().is_ok_and(|whole| whole <= 180) && (5..=7).contains(&digits) && !rest[digits..].starts_with('.')
}

/// The accepted prefix of a number with country code, `+` or `00` before it.
pub(crate) fn international(text: &str) -> Option<usize> {
    let number = without_extension(text);
    if is_fraction(number) {
        return None;
    }
    let end = group_ends(number).find(|end| {
        let d = digits(&number[..*end]);
        // Millions are no phones.
        is_e164(d.strip_prefix(&[0, 0]).unwrap_or(&d)) && !d.ends_with(&[0; 6])
    })?;
    Some(if end == number.len() { text.len() } else { end })
}

/// The accepted prefix of a number that a word nearby announces: 7 to 13 digits that are no date, or more with
/// `00` and a country code.
pub(crate) fn national(text: &str) -> Option<usize> {
    let number = without_extension(text);
    let end = group_ends(number).find(|end| {
        let d = digits(&number[..*end]);
        let abroad = d.len() > 13 && is_e164(d.strip_prefix(&[0, 0]).unwrap_or_default());
        ((7..=13).contains(&d.len()) || abroad)
            && !uniform(&d)
            && !d.ends_with(&[0; 5])
            && !is_date(&d)
            && !begins_with_date(&number[..*end])
    })?;
    let balanced = number[..end].matches('(').count() == number[..end].matches(')').count();
    balanced.then_some(if end == number.len() { text.len() } else { end })
}

/// A number of some national plan that its trunk prefix and groups show: 9 to 13 digits, fewer with an
/// area in brackets, that are no date and no counting.
pub(crate) fn is_local(text: &str) -> bool {
    let d = digits(text);
    let values = text.split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty());
    let values: Vec<u64> = values.map(|g| g.parse().unwrap_or(0)).collect();
    let steps: Vec<u64> = values.windows(2).map(|w| w[1].wrapping_sub(w[0])).collect();
    // One by one, or by twelve: 12 24 36 48.
    let counting = values.len() > 2 && steps.iter().all(|step| *step == 1)
        || values.len() > 4 && values[1] > 0 && steps[1..].iter().all(|step| *step == values[1]);
    let lengths: Vec<usize> = text.split(|c: char| !c.is_ascii_digit()).map(str::len).collect();
    // Three, two and four digits are a number of the US administration.
    let social = lengths == [3, 2, 4];
    let least = if text.contains('(') { 8 } else { 9 };
    (least..=13).contains(&d.len())
        && d[..2] != [0, 0]
        && !uniform(&d)
        && !counting
        && !social
        && !begins_with_date(text)
}

/// Whether the first three groups are a date with a year of four digits, or a year comes first.
fn begins_with_date(text: &str) -> bool {
    let mut groups = text.split(|c: char| !c.is_ascii_digit()).filter(|g| !g.is_empty());
    let (Some(a), Some(b), Some(c)) = (groups.next(), groups.next(), groups.next()) else {
        return false;
    };
    let value = |g: &str| g.parse::<u64>().unwrap_or(0);
    let year = |g: &str| g.len() == 4 && (1900..2100).contains(&value(g));
    let small = |g: &str, most: u64| g.len() <= 2 && (1..=most).contains(&value(g));
    (year(c) && small(a, 31) && small(b, 31)) || (year(a) && small(b, 12) && small(c, 31))
}

fn uniform(d: &[u8]) -> bool {
    d.iter().all(|x| *x == d[0])
}
