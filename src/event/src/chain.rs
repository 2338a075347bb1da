//! The hash chain that makes a journal tamper-evident.
//!
//! `digest = BLAKE3(draft bytes)` and `chain = BLAKE3(previous chain ‖ journal id ‖ offset ‖ digest)`,
//! offset as 8 bytes little-endian, and 32 zero bytes before the first record. The draft bytes are
//! rebuilt from the columns of a landed row ([`crate::Draft::canonical`]), so history is verifiable
//! without the journal. The heavy hash, over the body, depends on nothing but the draft: many
//! writers compute it at once, and only the 88-byte link is serial.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::JournalId;

/// BLAKE3 of a draft's canonical bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of canonical draft bytes.
    #[must_use]
    pub fn of(canonical: &[u8]) -> Digest {
        Digest(*blake3::hash(canonical).as_bytes())
    }
}

/// The chain's value at one record: it commits to that record and to all before it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The value before a journal's first record.
    pub const START: Chain = Chain([0; 32]);

    /// The value after one more record.
    #[must_use]
    pub fn next(&self, journal: JournalId, offset: i64, digest: &Digest) -> Chain {
        let mut link = [0u8; 88];
        link[..32].copy_from_slice(&self.0);
        link[32..48].copy_from_slice(journal.0.as_bytes());
        link[48..56].copy_from_slice(&offset.to_le_bytes());
        link[56..].copy_from_slice(&digest.0);
        Chain(*blake3::hash(&link).as_bytes())
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0u8; 64];
        // 64 hex digits always fit 64 bytes.
        let _ = hex::encode_to_slice(self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Chain {
    type Err = hex::FromHexError;
    fn from_str(s: &str) -> Result<Chain, hex::FromHexError> {
        let mut bytes = [0u8; 32];
        // Every record that is read comes here: no branch per digit.
        let (pairs, odd) = s.as_bytes().as_chunks::<2>();
        let mut seen = 0;
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
            seen |= high | low;
            *byte = high << 4 | low & 0x0f;
        }
        if pairs.len() != bytes.len() || !odd.is_empty() || seen > 0x0f {
            // It says what is wrong.
            hex::decode_to_slice(s, &mut bytes)?;
        }
        Ok(Chain(bytes))
    }
}

/// The value of a hex digit; above 15 for what is none.
const NIBBLES: [u8; 256] = {
    let mut table = [0xf0; 256];
    let mut digit = 0u8;
    while digit < 16 {
        let (lower, upper) = match digit {
            0..10 => (b'0' + digit, b'0' + digit),
            _ => (b'a' + digit - 10, b'A' + digit - 10),
        };
        table[lower as usize] = digit;
        table[upper as usize] = digit;
        digit += 1;
    }
    table
};

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Chain, D::Error> {
        struct Hex;
        impl serde::de::Visitor<'_> for Hex {
            type Value = Chain;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("64 hex digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Chain, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(Hex)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn hex_is_read_as_hex_is(text in "[0-9a-fA-F]{63,65}|[0-9a-fA-F]{40}[\\x00-\\xff][0-9a-fA-F]{22,23}") {
            let mut bytes = [0u8; 32];
            let plain = hex::decode_to_slice(&text, &mut bytes).map(|()| Chain(bytes));
            prop_assert_eq!(text.parse::<Chain>(), plain);
        }
    }
}
