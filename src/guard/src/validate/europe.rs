//! Identity and tax numbers of the other European countries.

use super::digits::{luhn, number};
use super::sums::{base36, compact, day_month, ddmmyy, mod_11_10, remainder, two, uniform, weighted, yymmdd};

/// Austria, Sozialversicherungsnummer: serial, check digit in the fourth place, date.
pub(super) fn at_svnr(d: &[u8]) -> bool {
    d.len() == 10
        && d[0] > 0
        && (1..=31).contains(&two(&d[4..]))
        && (1..=15).contains(&two(&d[6..]))
        && weighted(d, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]) % 11 == u32::from(d[3])
}

/// Belgium, rijksregisternummer: 97 less the rest of the other digits, with 2 before them since 2000.
pub(super) fn be_nrn(d: &[u8]) -> bool {
    if d.len() != 11 || two(&d[2..]) % 20 > 12 || two(&d[4..]) > 31 || uniform(d) {
        return false;
    }
    let check = number(&d[9..]);
    let body = number(&d[..9]);
    97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check
}

/// Bulgaria, EGN: date (months plus 20 or 40 for other centuries), mod 11.
pub(super) fn bg_egn(d: &[u8]) -> bool {
    d.len() == 10
        && day_month(two(&d[4..]), two(&d[2..]) % 20)
        && two(&d[2..]) <= 52
        && weighted(d, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10 == u32::from(d[9])
}

/// Switzerland, AHV number: country 756, and the check digit of EAN-13.
pub(super) fn ch_ahv(d: &[u8]) -> bool {
    d.len() == 13 && d[..3] == [7, 5, 6] && weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Czechia and Slovakia, birth number of ten digits: date (women add 50 to the month), divisible by 11.
pub(super) fn cz_rc(d: &[u8]) -> bool {
    let month = d.get(2..4).map_or(0, two) % 50;
    let month = if month > 20 { month - 20 } else { month };
    match d.len() {
        9 => two(d) < 54 && day_month(two(&d[4..]), month),
        10 => {
            let exact = remainder(d, 11) == 0;
            let tenth = remainder(&d[..9], 11) == 10 && d[9] == 0;
            day_month(two(&d[4..]), month) && (exact || tenth)
        }
        _ => false,
    }
}

/// Germany, Steuer-ID: one digit twice or thrice, the others once at most, MOD 11,10.
pub(super) fn de_tax_id(d: &[u8]) -> bool {
    if d.len() != 11 || d[0] == 0 {
        return false;
    }
    let mut counts = [0u8; 10];
    d[..10].iter().for_each(|x| counts[usize::from(*x)] += 1);
    let often = counts.iter().filter(|c| **c > 1).count();
    // Numbers of the first years repeat one digit twice; later ones may do so thrice. The official test
    // numbers repeat none.
    often <= 1 && counts.iter().all(|c| *c <= 3) && mod_11_10(d)
}

/// Germany, Sozialversicherungsnummer: area, date, initial, serial, check digit.
pub(super) fn de_rvnr(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 12 || !c[8].is_ascii_uppercase() {
        return false;
    }
    let letter = c[8] - b'A' + 1;
    let mut d: Vec<u8> = c[..8].iter().map(|b| b.wrapping_sub(b'0')).collect();
    d.extend([letter / 10, letter % 10]);
    d.extend(c[9..].iter().map(|b| b.wrapping_sub(b'0')));
    if d.iter().any(|x| *x > 9) {
        return false;
    }
    let weights = [2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1];
    let sum: u32 = d
        .iter()
        .zip(weights)
        .map(|(d, w)| u32::from(*d) * w)
        .map(|p| p / 10 + p % 10)
        .sum();
    let day = two(&d[2..]);
    (1..=12).contains(&two(&d[4..])) && (1..=81).contains(&day) && sum % 10 == u32::from(d[12])
}

/// Germany, health insurance number: a letter, eight digits, check digit (Luhn's, weights 1 2 1 2).
pub(super) fn de_kvnr(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 10 || !c[0].is_ascii_uppercase() || !c[1..].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let letter = c[0] - b'A' + 1;
    let digits = [letter / 10, letter % 10]
        .into_iter()
        .chain(c[1..9].iter().map(|b| b - b'0'));
    let sum: u32 = digits
        .enumerate()
        .map(|(i, d)| u32::from(d) * (1 + i as u32 % 2))
        .map(|p| p / 10 + p % 10)
        .sum();
    sum % 10 == u32::from(c[9] - b'0')
}

/// Germany, passport and identity card: nine characters and a check digit, weights 7 3 1.
pub(super) fn de_document(text: &str) -> bool {
    let c = compact(text);
    let has_digit = c.iter().any(u8::is_ascii_digit);
    match c.len() {
        9 => has_digit,
        10 => has_digit && icao(&c[..9]) == base36(c[9]),
        _ => false,
    }
}

/// The check digit of machine readable documents (ICAO 9303).
fn icao(text: &[u8]) -> u32 {
    text.iter()
        .zip([7, 3, 1].into_iter().cycle())
        .map(|(b, w)| base36(*b) * w)
        .sum::<u32>()
        % 10
}

/// A VAT number of Germany without its prefix: nine digits, MOD 11,10.
pub(super) fn de_vat(d: &[u8]) -> bool {
    d.len() == 9 && d[0] > 0 && mod_11_10(d)
}

const NIF: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Spain, NIF: eight digits (old ones with seven), the letter of their rest by 23.
pub(super) fn es_nif(text: &str) -> bool {
    let c = compact(text);
    let Some((letter, body)) = c.split_last() else {
        return false;
    };
    matches!(body.len(), 7 | 8)
        && body.iter().all(u8::is_ascii_digit)
        && NIF[body.iter().fold(0, |n, b| n * 10 + usize::from(b - b'0')) % 23] == *letter
}

/// Spain, NIE: X, Y or Z stand for 0, 1 and 2 before seven digits.
pub(super) fn es_nie(text: &str) -> bool {
    let mut c = compact(text);
    let Some(first) = c.first_mut() else { return false };
    *first = match *first {
        b'X' => b'0',
        b'Y' => b'1',
        b'Z' => b'2',
        _ => return false,
    };
    c.len() == 9 && std::str::from_utf8(&c).is_ok_and(es_nif)
}

/// Spain, CIF of companies: a letter, seven digits, and a digit or letter of control.
pub(super) fn es_cif(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 9 || !c[1..8].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let sum: u32 = c[1..8]
        .iter()
        .enumerate()
        .map(|(i, b)| u32::from(b - b'0') * if i % 2 == 0 { 2 } else { 1 })
        .map(|p| p / 10 + p % 10)
        .sum();
    let control = (10 - sum % 10) % 10;
    c[8] == b'0' + control as u8 || c[8] == b"JABCDEFGHI"[control as usize]
}

/// France, NIR: sex, year, month, department (2A and 2B for Corsica), and 97 less the rest.
pub(super) fn fr_nir(text: &str) -> bool {
    let c = compact(text);
    if c.len() != 15 || !matches!(c[0], b'1'..=b'4' | b'7' | b'8') {
        return false;
    }
    let mut d: Vec<u8> = c.iter().map(|b| b.wrapping_sub(b'0')).collect();
    let less = match (c[5], c[6]) {
        (b'2', b'A') => 1_000_000,
        (b'2', b'B') => 2_000_000,
        _ => 0,
    };
    if less > 0 {
        d[6] = 0;
    }
    if d.iter().any(|x| *x > 9) || !matches!(two(&d[3..]), 1..=12 | 20..=42 | 50..=99) {
        return false;
    }
    // 2A counts as 19, 2B as 18: as 20 less one or two millions.
    97 - (number(&d[..13]) - less) % 97 == number(&d[13..])
}

/// Greece, AMKA: date, Luhn.
pub(super) fn gr_amka(d: &[u8]) -> bool {
    d.len() == 11 && ddmmyy(d) && luhn(d)
}

/// Greece, AFM: powers of two, mod 11.
pub(super) fn gr_afm(d: &[u8]) -> bool {
    d.len() == 9 && !uniform(d) && weighted(d, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == u32::from(d[8])
}

/// Croatia, OIB.
pub(super) fn hr_oib(d: &[u8]) -> bool {
    d.len() == 11 && mod_11_10(d)
}

/// Hungary, tax number of persons (begins with 8) and TAJ number (nine digits).
pub(super) fn hu_tax(d: &[u8]) -> bool {
    d.len() == 10 && d[0] == 8 && weighted(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9]) % 11 == u32::from(d[9])
}

/// Hungary, TAJ: weights 3 and 7, mod 10.
pub(super) fn hu_taj(d: &[u8]) -> bool {
    d.len() == 9 && !uniform(d) && weighted(d, &[3, 7, 3, 7, 3, 7, 3, 7]) % 10 == u32::from(d[8])
}

/// Hungary, személyi szám: sex and century, date, serial, mod 11 (its direction changed in 1997).
pub(super) fn hu_szemelyi(d: &[u8]) -> bool {
    d.len() == 11
        && (1..=8).contains(&d[0])
        && yymmdd(&d[1..])
        && (weighted(d, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) % 11 == u32::from(d[10])
            || weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]) % 11 == u32::from(d[10]))
}

/// Ireland, PPS: seven digits, letter mod 23, perhaps a second letter that counts nine times.
pub(super) fn ie_pps(text: &str) -> bool {
    let c = compact(text);
    if !matches!(c.len(), 8 | 9) || !c[..7].iter().all(u8::is_ascii_digit) {
        return false;
    }
    let digits: Vec<u8> = c[..7].iter().map(|b| b - b'0').collect();
    let second = c.get(8).map_or(0, |b| match b {
        b'A'..=b'I' => u32::from(b - b'A') + 1,
        _ => 0,
    });
    let sum = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + 9 * second;
    c[7] == b"WABCDEFGHIJKLMNOPQRSTUV"[(sum % 23) as usize]
}

/// Italy, codice fiscale: the check character over odd and even places.
pub(super) fn it_fiscal(text: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
    ];
    let c = compact(text);
    let Some((check, body)) = c.split_last() else {
        return false;
    };
    let value = |b: u8| if b.is_ascii_digit() { b - b'0' } else { b - b'A' };
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(i, b)| match i % 2 {
            0 => ODD[usize::from(value(*b))],
            _ => u32::from(value(*b)),
        })
        .sum();
    c.len() == 16 && u32::from(check.wrapping_sub(b'A')) == sum % 26
}

/// Italy, partita IVA: Luhn over eleven digits.
pub(super) fn it_vat(d: &[u8]) -> bool {
    d.len() == 11 && !uniform(d) && luhn(d)
}

/// Netherlands, BSN: the eleven test, where the last digit counts minus one.
pub(super) fn nl_bsn(d: &[u8]) -> bool {
    d.len() == 9 && !uniform(d) && (weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) + 11 - u32::from(d[8])).is_multiple_of(11)
}

/// Poland, PESEL: date (the century is in the month), weights 1 3 7 9.
pub(super) fn pl_pesel(d: &[u8]) -> bool {
    d.len() == 11
        && day_month(two(&d[4..]), two(&d[2..]) % 20)
        && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// A PESEL by its sum alone: test data often has no date in it.
pub(super) fn pl_pesel_sum(d: &[u8]) -> bool {
    d.len() == 11 && !uniform(d) && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

/// Poland, NIP: mod 11.
pub(super) fn pl_nip(d: &[u8]) -> bool {
    d.len() == 10 && !uniform(d) && weighted(d, &[6, 5, 7, 2, 3, 4, 5, 6, 7]) % 11 == u32::from(d[9])
}

/// Poland, REGON of nine or fourteen digits.
pub(super) fn pl_regon(d: &[u8]) -> bool {
    let nine = |d: &[u8]| weighted(d, &[8, 9, 2, 3, 4, 5, 6, 7]) % 11 % 10 == u32::from(d[8]);
    let long = [2, 4, 8, 5, 0, 9, 7, 3, 6, 1, 2, 4, 8];
    match d.len() {
        9 => !uniform(d) && nine(d),
        14 => nine(d) && weighted(d, &long) % 11 % 10 == u32::from(d[13]),
        _ => false,
    }
}

/// Poland, identity card: three letters, a check digit, five digits.
pub(super) fn pl_id_card(text: &str) -> bool {
    let c = compact(text);
    c.len() == 9
        && c[..3].iter().all(u8::is_ascii_uppercase)
        && c[3..].iter().all(u8::is_ascii_digit)
        && c.iter()
            .zip([7, 3, 1, 9, 7, 3, 1, 7, 3])
            .map(|(b, w)| base36(*b) * w)
            .sum::<u32>()
            % 10
            == 0
}

/// Portugal, NIF: mod 11, and a first digit that is in use.
pub(super) fn pt_nif(d: &[u8]) -> bool {
    d.len() == 9
        && matches!(d[0], 1..=3 | 5 | 6 | 8 | 9 | 4)
        && !uniform(d)
        && (11 - weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 % 10 == u32::from(d[8])
}

/// Romania, CNP: sex and century, date, county, mod 11.
pub(super) fn ro_cnp(d: &[u8]) -> bool {
    d.len() == 13
        && d[0] > 0
        && yymmdd(&d[1..])
        && weighted(d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11
            == match d[12] {
                1 if weighted(d, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 == 10 => 10,
                last => u32::from(last),
            }
}

/// Slovenia, EMŠO, and the JMBG of its neighbours: date with three digits of the year, mod 11.
pub(super) fn emso(d: &[u8]) -> bool {
    d.len() == 13
        && ddmmyy(d)
        && matches!(d[4], 0 | 9)
        && weighted(d, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Slovenia, davčna številka: mod 11.
pub(super) fn si_tax(d: &[u8]) -> bool {
    d.len() == 8
        && d[0] > 0
        && (11 - weighted(d, &[8, 7, 6, 5, 4, 3, 2]) % 11) % 10 == u32::from(d[7])
        && !weighted(d, &[8, 7, 6, 5, 4, 3, 2]).is_multiple_of(11)
}

/// Turkey, T.C. kimlik numarası: two check digits.
pub(super) fn tr_tckn(d: &[u8]) -> bool {
    if d.len() != 11 || d[0] == 0 {
        return false;
    }
    let odd: u32 = d[..9].iter().step_by(2).map(|x| u32::from(*x)).sum();
    let even: u32 = d[1..8].iter().step_by(2).map(|x| u32::from(*x)).sum();
    let sum: u32 = d[..10].iter().map(|x| u32::from(*x)).sum();
    (odd * 7 + 100 - even) % 10 == u32::from(d[9]) && sum % 10 == u32::from(d[10])
}

/// Ukraine, РНОКПП (individual tax number): mod 11.
pub(super) fn ua_rnokpp(d: &[u8]) -> bool {
    // -1, 5, 7, 9, 4, 6, 10, 5, 7: the first weight is 10 by mod 11.
    d.len() == 10 && !uniform(d) && weighted(d, &[10, 5, 7, 9, 4, 6, 10, 5, 7]) % 11 % 10 == u32::from(d[9])
}

/// United Kingdom, NHS number: mod 11.
pub(super) fn uk_nhs(d: &[u8]) -> bool {
    d.len() == 10 && !uniform(d) && (11 - weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 == u32::from(d[9])
}

/// United Kingdom, National Insurance number: prefixes that are given out.
pub(super) fn uk_nino(text: &str) -> bool {
    let c = compact(text);
    c.len() >= 2
        && !matches!(c[0], b'D' | b'F' | b'I' | b'Q' | b'U' | b'V')
        && !matches!(c[1], b'D' | b'F' | b'I' | b'O' | b'Q' | b'U' | b'V')
        && !matches!(&c[..2], b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ")
}

/// United Kingdom, UTR: the check digit comes first.
pub(super) fn uk_utr(d: &[u8]) -> bool {
    d.len() == 10
        && !uniform(d)
        && u32::from(d[0])
            == [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1][(weighted(&d[1..], &[6, 7, 8, 9, 10, 5, 4, 3, 2]) % 11) as usize]
}

/// Russia, INN of persons (12 digits) and companies (10), and SNILS (11).
pub(super) fn ru_inn(d: &[u8]) -> bool {
    let check = |weights: &[u32], at: usize| weighted(&d[..at], weights) % 11 % 10 == u32::from(d[at]);
    match d.len() {
        10 => !uniform(d) && check(&[2, 4, 10, 3, 5, 9, 4, 6, 8], 9),
        12 => {
            !uniform(d) && check(&[7, 2, 4, 10, 3, 5, 9, 4, 6, 8], 10) && check(&[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8], 11)
        }
        _ => false,
    }
}

/// Russia, SNILS: weights 9 to 1, mod 101.
pub(super) fn ru_snils(d: &[u8]) -> bool {
    d.len() == 11 && weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100 == two(&d[9..]) && !uniform(&d[..9])
}
