//! Identity and tax numbers of Asia.

use super::digits::luhn;
use super::sums::{base36, compact, day_month, two, uniform, verhoeff, weighted, yyyymmdd};

/// China, resident identity card: region, date, ISO 7064 MOD 11-2.
pub(super) fn cn_id(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 18 || !c[..17].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let d: Vec<u8> = c[..17].iter().map(|b| b - b'0').collect();
    let sum = weighted(&d, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    matches!(two(&d), 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83)
        && yyyymmdd(&d[6..])
        && c[17] == b"10X98765432"[(sum % 11) as usize]
}

/// Hong Kong, identity card: one or two letters, six digits, mod 11.
pub(super) fn hk_id(text: &str) -> bool {
    let mut c = compact(text);
    if c.len() == 8 {
        c.insert(0, b' ');
    }
    if c.len() != 9 || !c[2..8].iter().all(u8::is_ascii_digit) || c[1].is_ascii_digit() {
        return false;
    }
    let value = |b: u8| if b == b' ' { 36 } else { base36(b) };
    let check = if c[8] == b'A' { 10 } else { base36(c[8]) };
    let sum: u32 = c[..8].iter().zip((2..=9).rev()).map(|(b, w)| value(*b) * w).sum();
    check <= 10 && (sum + check).is_multiple_of(11)
}

/// Indonesia, NIK: province, date of birth (women add 40 to the day), serial.
pub(super) fn id_nik(d: &[u8]) -> bool {
    d.len() == 16
        && matches!(two(d), 11..=19 | 21 | 31..=36 | 51..=53 | 61..=65 | 71..=76 | 81 | 82 | 91..=97)
        && two(&d[6..]) <= 71
        && day_month(two(&d[6..]) % 40, two(&d[8..]))
        && d[12..] != [0; 4]
}

/// Israel, teudat zehut: Luhn over nine digits.
pub(super) fn il_id(d: &[u8]) -> bool {
    d.len() == 9 && !uniform(d) && luhn(d)
}

/// India, Aadhaar: Verhoeff; nothing begins with 0 or 1, and no number reads the same backwards.
pub(super) fn in_aadhaar(d: &[u8]) -> bool {
    let stamp = yyyymmdd(d) && two(&d[8.min(d.len())..]) < 24;
    d.len() == 12 && d[0] >= 2 && verhoeff(d) && !stamp && !d.iter().eq(d.iter().rev())
}

/// India, PAN: the fourth letter says what kind of holder it is.
pub(super) fn in_pan(text: &str) -> bool {
    let c = compact(text);
    c.len() == 10 && b"ABCEFGHJLPTK".contains(&c[3])
}

/// India, GSTIN: state, PAN, and a check character in base 36.
pub(super) fn in_gstin(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 15 || !in_gstin_shape(text) {
        return false;
    }
    let sum: u32 = c[..14]
        .iter()
        .enumerate()
        .map(|(i, b)| base36(*b) * (1 + i as u32 % 2))
        .map(|p| p / 36 + p % 36)
        .sum();
    base36(c[14]) == (36 - sum % 36) % 36
}

/// India, GSTIN, the state alone: a typing error should not let it through.
pub(super) fn in_gstin_shape(text: &str) -> bool {
    let c = compact(text);
    c.len() == 15
        && matches!(
            (c[0], c[1]),
            (b'0', b'1'..=b'9') | (b'1' | b'2', _) | (b'3', b'0'..=b'7') | (b'9', b'7' | b'9')
        )
}

/// Japan, My Number: twelve digits, mod 11.
pub(super) fn jp_my_number(d: &[u8]) -> bool {
    d.len() == 12
        && !uniform(d)
        && match weighted(d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
            0 | 1 => d[11] == 0,
            rest => 11 - rest == u32::from(d[11]),
        }
}

/// Korea, resident and foreigner registration number: date, century and sex, mod 11. Numbers given since
/// October 2020 end at random.
pub(super) fn kr_rrn(d: &[u8]) -> bool {
    kr_rrn_date(d) && {
        let check = (11 - weighted(d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10;
        let foreigner = matches!(d[6], 5..=8);
        u32::from(d[12]) == if foreigner { (check + 2) % 10 } else { check } || u32::from(d[12]) == check
    }
}

/// The same without the check digit.
pub(super) fn kr_rrn_date(d: &[u8]) -> bool {
    d.len() == 13 && matches!(d[6], 1..=8) && two(&d[2..]) <= 12 && two(&d[4..]) <= 31
}

/// Korea, business registration number.
pub(super) fn kr_brn(d: &[u8]) -> bool {
    d.len() == 10
        && d[0] > 0
        && (weighted(d, &[1, 3, 7, 1, 3, 7, 1, 3, 5, 1]) + u32::from(d[8]) * 5 / 10).is_multiple_of(10)
}

/// Malaysia, MyKad: date of birth, place of birth.
pub(super) fn my_nric(d: &[u8]) -> bool {
    d.len() == 12
        && day_month(two(&d[4..]), two(&d[2..]))
        && matches!(two(&d[6..]), 1..=16 | 21..=59 | 60..=68 | 71 | 72 | 74..=79 | 82..=93 | 98 | 99)
}

/// Pakistan, CNIC: province, thirteen digits.
pub(super) fn pk_cnic(d: &[u8]) -> bool {
    d.len() == 13 && (1..=7).contains(&d[0])
}

/// Singapore, NRIC and FIN: weights 2 7 6 5 4 3 2, letter by series.
pub(super) fn sg_nric(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 9 || !c[1..8].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let d: Vec<u8> = c[1..8].iter().map(|b| b - b'0').collect();
    let sum = weighted(&d, &[2, 7, 6, 5, 4, 3, 2]) as usize;
    let expected = match c[0] {
        b'S' => b"JZIHGFEDCBA"[sum % 11],
        b'T' => b"JZIHGFEDCBA"[(sum + 4) % 11],
        b'F' => b"XWUTRQPNMLK"[sum % 11],
        b'G' => b"XWUTRQPNMLK"[(sum + 4) % 11],
        b'M' => b"KLJNPQRTUWX"[10 - (sum + 3) % 11],
        _ => return false,
    };
    c[8] == expected
}

/// Thailand, citizen's number: mod 11.
pub(super) fn th_id(d: &[u8]) -> bool {
    d.len() == 13
        && matches!(d[0], 1..=8)
        && (11 - weighted(d, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 10 == u32::from(d[12])
}

/// Taiwan, identity card and residence certificate: the letter counts as two digits.
pub(super) fn tw_id(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 10 || !c[2..].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let place = |b: u8| {
        b"ABCDEFGHJKLMNPQRSTUVXYWZIO"
            .iter()
            .position(|l| *l == b)
            .map(|i| i as u32 + 10)
    };
    let Some(first) = place(c[0]) else { return false };
    // Residence certificates of the old form have a second letter, which counts by its last digit.
    let second = match c[1] {
        b'A'..=b'D' => place(c[1]).unwrap_or(0) % 10,
        b'1' | b'2' | b'8' | b'9' => u32::from(c[1] - b'0'),
        _ => return false,
    };
    let d: Vec<u8> = c[2..].iter().map(|b| b - b'0').collect();
    (first / 10 + first % 10 * 9 + second * 8 + weighted(&d, &[7, 6, 5, 4, 3, 2, 1, 1])).is_multiple_of(10)
}

/// United Arab Emirates, Emirates ID: country 784, year, Luhn.
pub(super) fn ae_id(d: &[u8]) -> bool {
    d.len() == 15 && d[..3] == [7, 8, 4] && matches!(two(&d[3..]), 19 | 20) && luhn(d)
}

/// Saudi Arabia, national ID (1) and iqama (2): Luhn.
pub(super) fn sa_id(d: &[u8]) -> bool {
    d.len() == 10 && matches!(d[0], 1 | 2) && luhn(d)
}
