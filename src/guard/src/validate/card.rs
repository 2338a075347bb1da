//! Payment cards.

use super::digits::{digits, group_ends, luhn, number};

/// The accepted prefix of a card number: a short number behind one of sixteen digits or more (an expiry, a
/// security code, an amount) may look like its last group.
pub(super) fn card(text: &str) -> Option<usize> {
    group_ends(text).find(|end| {
        let d = digits(&text[..*end]);
        (*end == text.len() || d.len() >= 16) && is_card(&d)
    })
}

/// Issuer ranges as published in ISO/IEC 7812 registrations and the networks' own guides.
pub(crate) fn is_card(d: &[u8]) -> bool {
    if d.len() < 12 || d.len() > 19 || d.iter().all(|x| *x == d[0]) {
        return false;
    }
    let (two, three, four) = (number(&d[..2]), number(&d[..3]), number(&d[..4]));
    let six = number(&d[..6]);
    let known = match d.len() {
        13 => d[0] == 4 || maestro(four, six),
        14 => matches!(three, 300..=305) || matches!(two, 36 | 38 | 39) || four == 3095,
        15 => matches!(two, 34 | 37) || matches!(four, 2131 | 1800),
        16 => {
            d[0] == 4
                || matches!(two, 35 | 50..=58 | 36 | 38 | 39 | 62 | 65 | 81)
                || matches!(four, 2200..=2204 | 2221..=2720 | 6011 | 5018 | 5020 | 5038 | 6304 | 6759 | 6761..=6763 | 9792)
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
    matches!(four, 5018 | 5020 | 5038 | 5600..=5899 | 6304 | 6390 | 6759 | 6761..=6763 | 604)
        || matches!(six, 676770 | 676774)
}
