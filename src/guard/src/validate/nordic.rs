//! Identity numbers of the Nordic and Baltic countries.

use super::digits::{luhn, number};
use super::sums::{compact, day_month, ddmmyy, remainder, two, uniform, weighted, yymmdd};

/// Norway, fødselsnummer: date (D and H numbers add 40 to the day or the month), two mod-11 digits.
pub(super) fn no_fnr(d: &[u8]) -> bool {
    if d.len() != 11 {
        return false;
    }
    let day = if d[0] >= 4 { two(d) - 40 } else { two(d) };
    let month = if d[2] >= 4 { two(&d[2..]) % 40 } else { two(&d[2..]) };
    day_month(day, month)
        && weighted(d, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Sweden, personnummer and samordningsnummer (day plus 60), with or without the century.
pub(super) fn se_personnummer(d: &[u8]) -> bool {
    let short = match d.len() {
        10 => d,
        12 if matches!(two(d), 18..=20) => &d[2..],
        _ => return false,
    };
    let day = if short[4] >= 6 {
        two(&short[4..]) - 60
    } else {
        two(&short[4..])
    };
    day_month(day, two(&short[2..])) && luhn(short)
}

/// Sweden, organisationsnummer: the third digit is 2 or more, so that it is no date.
pub(super) fn se_orgnr(d: &[u8]) -> bool {
    d.len() == 10 && d[2] >= 2 && luhn(d)
}

/// Denmark, CPR: a date, and mod 11. Numbers given since 2007 may lack the check.
pub(super) fn dk_cpr(d: &[u8]) -> bool {
    d.len() == 10 && ddmmyy(d) && weighted(d, &[4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Denmark, CPR without the check: a date and a serial number.
pub(super) fn dk_cpr_date(d: &[u8]) -> bool {
    d.len() == 10 && ddmmyy(d) && number(&d[6..]) > 0
}

/// Finland, henkilötunnus: date, sign of the century, mod 31.
pub(super) fn fi_hetu(text: &str) -> bool {
    let c = compact(text);
    // The sign between may be a letter, which then counts among the eleven.
    let (Some(check), Some(date)) = (c.last(), c.get(..6)) else {
        return false;
    };
    let serial = &c[c.len().saturating_sub(4)..c.len() - 1];
    if c.len() < 10 || !date.iter().chain(serial).all(u8::is_ascii_digit) {
        return false;
    }
    let digits: Vec<u8> = date.iter().chain(serial).map(|b| b - b'0').collect();
    let table = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    ddmmyy(&digits) && number(&digits[6..]) >= 2 && table[remainder(&digits, 31) as usize] == *check
}

/// Iceland, kennitala: date (companies add 40 to the day), mod 11, and the century.
pub(super) fn is_kennitala(d: &[u8]) -> bool {
    let day = |d: &[u8]| if d[0] >= 4 { two(d) - 40 } else { two(d) };
    d.len() == 10
        && day_month(day(d), two(&d[2..]))
        && matches!(d[9], 0 | 8 | 9)
        && weighted(d, &[3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Estonia, isikukood, and Lithuania, asmens kodas: century and sex, date, mod 11 in two stages.
pub(super) fn baltic(d: &[u8]) -> bool {
    if d.len() != 11 || !(1..=8).contains(&d[0]) || !yymmdd(&d[1..]) {
        return false;
    }
    let check = match weighted(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11 {
        10 => weighted(d, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10,
        first => first,
    };
    check == u32::from(d[10])
}

/// Latvia, personas kods: the old form with a date and mod 11, or the new one, which begins with 32.
pub(super) fn lv_pk(d: &[u8]) -> bool {
    if d.len() != 11 || uniform(d) {
        return false;
    }
    let sum = weighted(d, &[10, 5, 8, 4, 2, 1, 6, 3, 7, 9]);
    two(d) == 32 || (ddmmyy(d) && d[6] <= 2 && (1 + sum) % 11 % 10 == u32::from(d[10]))
}
