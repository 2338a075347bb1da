//! Dates of birth.

use super::sums::day_month;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Whether `text` is a date between 1900 and 2030, in any usual order, the month in digits or letters.
pub(super) fn is_birth_date(text: &str) -> bool {
    let mut parts = text
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|p| !p.is_empty());
    let (Some(a), Some(b), Some(c), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let value = |part: &str| {
        let digits = part.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        if digits.is_empty() {
            let lower = part.to_lowercase();
            MONTHS
                .iter()
                .position(|m| lower.starts_with(m))
                .map_or(0, |i| i as u32 + 1)
        } else {
            digits.parse().unwrap_or(0)
        }
    };
    let (a, b, c) = (value(a), value(b), value(c));
    let year = |y: u32| y < 100 || (1900..=2030).contains(&y);
    if a >= 1900 {
        return year(a) && (day_month(c, b) || day_month(b, c));
    }
    year(c) && (day_month(a, b) || day_month(b, a))
}
