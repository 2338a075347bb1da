//! Prices of one token, exact.

use std::fmt;

/// The price of one token, in femto-dollars (10⁻¹⁵). A dollar a million tokens is 10⁹.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

/// A text that is no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no price: write US dollars as a decimal such as 0.25, not negative and below 10000 a token")]
pub struct RateError {
    text: String,
}

impl Rate {
    /// From femto-dollars a token.
    #[must_use]
    pub const fn from_femto(femto: u64) -> Rate {
        Rate(femto)
    }

    /// Femto-dollars a token.
    #[must_use]
    pub const fn femto(self) -> u64 {
        self.0
    }

    /// From a decimal of dollars for a million tokens, such as `0.25`; rounded half up to a
    /// femto-dollar a token.
    ///
    /// # Errors
    /// If `text` is no such decimal.
    pub fn per_million(text: &str) -> Result<Rate, RateError> {
        scaled(text, 9)
            .map(Rate)
            .ok_or_else(|| RateError { text: text.to_owned() })
    }

    /// From a decimal of dollars for one token, such as `2.5e-07`; rounded half up to a
    /// femto-dollar.
    ///
    /// # Errors
    /// If `text` is no such decimal.
    pub fn per_token(text: &str) -> Result<Rate, RateError> {
        scaled(text, 15)
            .map(Rate)
            .ok_or_else(|| RateError { text: text.to_owned() })
    }
}

impl fmt::Display for Rate {
    /// Dollars for a million tokens, exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{}", format!("{rest:09}").trim_end_matches('0'))
    }
}

/// A decimal times 10^`scale`, rounded half up.
fn scaled(text: &str, scale: i32) -> Option<u64> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 30 {
        return None;
    }
    let mut digits = 0u128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        digits = digits * 10 + u128::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    let shift = exponent
        .checked_add(scale)?
        .checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = |by: u32| 10u128.checked_pow(by);
    let value = if digits == 0 {
        0
    } else if shift >= 0 {
        digits.checked_mul(power(shift.unsigned_abs())?)?
    } else {
        match power(shift.unsigned_abs()) {
            Some(divisor) => (digits + divisor / 2) / divisor,
            None => 0,
        }
    };
    // A bound that keeps every later sum far from overflow.
    u64::try_from(value)
        .ok()
        .filter(|femto| *femto < 10_000 * 1_000_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, femto) in [
            ("0.25", 250_000_000),
            ("2.5", 2_500_000_000),
            ("0", 0),
            ("0.000000001", 1),
            ("0.0000000005", 1),
            ("0.0000000004", 0),
            ("1e1", 10_000_000_000),
            (".5", 500_000_000),
        ] {
            assert_eq!(Rate::per_million(text), Ok(Rate(femto)), "{text}");
        }
        assert_eq!(Rate::per_token("2.5e-06"), Ok(Rate(2_500_000_000)));
        // What a float made of 2e-07 in the source.
        assert_eq!(Rate::per_token("2.0000000000000002e-07"), Ok(Rate(200_000_000)));
        assert_eq!(Rate::per_token("3.625e-09"), Ok(Rate(3_625_000)));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in [
            "",
            "-1",
            "1,5",
            "abc",
            "1e",
            "1e99",
            "NaN",
            "0x10",
            "1.2.3",
            "9999999999999999999999999999999",
        ] {
            assert!(Rate::per_million(text).is_err(), "{text}");
        }
        let error = Rate::per_million("1,5").unwrap_err().to_string();
        assert!(error.contains("`1,5`"), "{error}");
    }

    #[test]
    fn shown_and_read_again() {
        for femto in [0, 1, 3_625_000, 250_000_000, 2_500_000_000, 123_456_789_012] {
            assert_eq!(Rate::per_million(&Rate(femto).to_string()), Ok(Rate(femto)));
        }
    }
}
