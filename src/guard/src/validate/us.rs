//! Numbers that authorities of the United States issue.

use super::digits::number;

/// A social security number: area, group and serial were issued.
pub(crate) fn is_ssn(d: &[u8]) -> bool {
    if d.len() != 9 {
        return false;
    }
    let (area, group, serial) = (number(&d[..3]), number(&d[3..5]), number(&d[5..]));
    // Printed on wallets and in advertisements, never anybody's.
    let sample = matches!(number(d), 78051120 | 219099999 | 457555462 | 123456789);
    !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0 && !sample && !d.iter().all(|x| *x == d[0])
}
