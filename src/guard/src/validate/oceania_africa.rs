//! Identity and tax numbers of Oceania and Africa.

use super::digits::{luhn, number};
use super::sums::{remainder, uniform, weighted, yymmdd};

/// Australia, tax file number: weights, mod 11.
pub(super) fn au_tfn(d: &[u8]) -> bool {
    d.len() == 9 && !uniform(d) && weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// Australia, business number: one less in the first digit, mod 89.
pub(super) fn au_abn(d: &[u8]) -> bool {
    d.len() == 11 && d[0] > 0 && (weighted(d, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10).is_multiple_of(89)
}

/// Australia, company number: weights 8 to 1, mod 10.
pub(super) fn au_acn(d: &[u8]) -> bool {
    d.len() == 9 && !uniform(d) && weighted(d, &[8, 7, 6, 5, 4, 3, 2, 1, 1]).is_multiple_of(10)
}

/// Australia, Medicare card: begins with 2 to 6, the ninth digit is the check; perhaps a reference number.
pub(super) fn au_medicare(d: &[u8]) -> bool {
    matches!(d.len(), 10 | 11)
        && (2..=6).contains(&d[0])
        && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == u32::from(d[8])
        && d[9] > 0
}

/// New Zealand, IRD: two sets of weights, mod 11, within the range that is given out.
pub(super) fn nz_ird(d: &[u8]) -> bool {
    let nine: Vec<u8> = match d.len() {
        8 => std::iter::once(0).chain(d.iter().copied()).collect(),
        9 => d.to_vec(),
        _ => return false,
    };
    if !(10_000_000..150_000_000).contains(&number(&nine)) {
        return false;
    }
    let check = match weighted(&nine, &[3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        0 => 0,
        1 => match weighted(&nine, &[7, 4, 3, 2, 5, 2, 7, 6]) % 11 {
            0 => 0,
            rest => 11 - rest,
        },
        rest => 11 - rest,
    };
    check == u32::from(nine[8])
}

/// South Africa, identity number: date, citizenship, Luhn.
pub(super) fn za_id(d: &[u8]) -> bool {
    d.len() == 13 && yymmdd(d) && d[10] <= 2 && luhn(d)
}

/// Egypt, national number: century, date, governorate.
pub(super) fn eg_id(d: &[u8]) -> bool {
    d.len() == 14 && matches!(d[0], 2 | 3) && yymmdd(&d[1..]) && (1..=88).contains(&remainder(&d[7..9], 100))
}
