//! Sixty-four bytes at a time as masks of a bit each, made eight bytes at a time in a register.

/// A bit for each byte of a block; bit 0 is the first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    pub(super) alpha: u64,
    pub(super) upper: u64,
    pub(super) digit: u64,
    /// Bytes beyond ASCII.
    pub(super) high: u64,
    /// `+`, `/`, `-` and `_`: digits of base64.
    pub(super) link: u64,
    /// `-` and `.`: Morse code.
    pub(super) mark: u64,
    /// `@`, `$` and `!`: they stand for letters.
    pub(super) sign: u64,
    pub(super) space: u64,
}

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

/// The high bit of each byte of `w`, whose high bits are clear, that is at least `low` and less than `end`.
const fn within(w: u64, low: u8, end: u8) -> u64 {
    (w + (0x80 - low as u64) * ONES) & !(w + (0x80 - end as u64) * ONES) & HIGH
}

/// The high bits as eight bits.
const fn pack(bits: u64) -> u64 {
    (bits >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

impl Masks {
    /// The masks of a block.
    pub(super) fn of(block: &[u8; BLOCK]) -> Masks {
        let mut masks = Masks::default();
        for (index, bytes) in block.chunks_exact(8).enumerate() {
            let w = bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
            let ascii = !w & HIGH;
            let low = w & !HIGH;
            let small = low | (0x20 * ONES);
            let is = |byte: u8| within(low, byte, byte + 1);
            let shift = 8 * index;
            let hyphen = is(b'-');
            masks.alpha |= pack(within(small, b'a', b'z' + 1) & ascii) << shift;
            masks.upper |= pack(within(low, b'A', b'Z' + 1) & ascii) << shift;
            masks.digit |= pack(within(low, b'0', b'9' + 1) & ascii) << shift;
            masks.high |= pack(w & HIGH) << shift;
            masks.link |= pack((hyphen | is(b'+') | is(b'/') | is(b'_')) & ascii) << shift;
            masks.mark |= pack((hyphen | is(b'.')) & ascii) << shift;
            masks.sign |= pack((is(b'@') | is(b'$') | is(b'!')) & ascii) << shift;
            masks.space |= pack((is(b' ') | is(b'\n')) & ascii) << shift;
        }
        masks
    }

    /// Whatever is ASCII and neither letter nor digit.
    pub(super) fn other(&self) -> u64 {
        !(self.alpha | self.digit | self.high)
    }
}

/// The blocks of `text`, filled up with line feeds; there is one after the last byte at least.
pub(super) fn blocks(text: &[u8]) -> impl Iterator<Item = Masks> + '_ {
    let (whole, rest) = text.as_chunks::<BLOCK>();
    let mut last = [b'\n'; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    whole
        .iter()
        .map(Masks::of)
        .chain(std::iter::once_with(move || Masks::of(&last)))
}

/// A mask and the one before it: shifted left by `n`, it tells of the byte `n` before.
pub(super) fn both(before: u64, now: u64) -> u128 {
    u128::from(now) << 64 | u128::from(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_tell_what_each_byte_is() {
        let all: Vec<u8> = (0..=255).chain(0..=255).collect();
        for (at, masks) in blocks(&all).take(8).enumerate() {
            for bit in 0..BLOCK {
                let byte = all[at * BLOCK + bit];
                let has = |mask: u64| mask >> bit & 1 == 1;
                assert_eq!(has(masks.alpha), byte.is_ascii_alphabetic(), "{byte:#x}");
                assert_eq!(has(masks.upper), byte.is_ascii_uppercase(), "{byte:#x}");
                assert_eq!(has(masks.digit), byte.is_ascii_digit(), "{byte:#x}");
                assert_eq!(has(masks.high), !byte.is_ascii(), "{byte:#x}");
                assert_eq!(has(masks.link), b"+/-_".contains(&byte), "{byte:#x}");
                assert_eq!(has(masks.mark), b"-.".contains(&byte), "{byte:#x}");
                assert_eq!(has(masks.sign), b"@$!".contains(&byte), "{byte:#x}");
                assert_eq!(has(masks.space), b" \n".contains(&byte), "{byte:#x}");
            }
        }
    }
}
