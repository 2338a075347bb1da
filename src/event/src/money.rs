//! Money, in integers.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// An amount in nano-USD (10⁻⁹ US dollars). A million calls of 100 dollars fit a thousand times
/// over; the cheapest token price on the market (10⁻⁸ dollars) is still ten units.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(transparent)]
pub struct NanoUsd(pub i64);

impl NanoUsd {
    /// One US dollar.
    pub const USD: NanoUsd = NanoUsd(1_000_000_000);
}

impl Add for NanoUsd {
    type Output = NanoUsd;
    fn add(self, other: NanoUsd) -> NanoUsd {
        NanoUsd(self.0.saturating_add(other.0))
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: NanoUsd) {
        *self = *self + other;
    }
}

impl fmt::Display for NanoUsd {
    /// Dollars with as many decimals as the amount needs, at least two: `$0.00`, `$1.25`,
    /// `$0.000012500`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let abs = self.0.unsigned_abs();
        let (whole, frac) = (abs / 1_000_000_000, abs % 1_000_000_000);
        if frac.is_multiple_of(10_000_000) {
            write!(f, "{sign}${whole}.{:02}", frac / 10_000_000)
        } else {
            write!(f, "{sign}${whole}.{frac:09}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_dollars() {
        for (nano, shown) in [
            (0, "$0.00"),
            (1_250_000_000, "$1.25"),
            (12_500, "$0.000012500"),
            (-12_500, "-$0.000012500"),
        ] {
            assert_eq!(NanoUsd(nano).to_string(), shown);
        }
    }

    #[test]
    fn addition_saturates() {
        assert_eq!(NanoUsd(i64::MAX) + NanoUsd(1), NanoUsd(i64::MAX));
    }
}
