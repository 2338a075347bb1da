//! Sixty-four bytes at a time as masks of a bit each: what kinds of bytes a text is made of, for all who
//! look for where words begin.

use wide::u8x16;

/// A bit for each byte of a block; bit 0 is the first.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Masks {
    pub(crate) alpha: u64,
    pub(crate) upper: u64,
    pub(crate) digit: u64,
    /// Bytes beyond ASCII.
    pub(crate) high: u64,
    /// `+`, `/`, `-` and `_`: digits of base64.
    pub(crate) link: u64,
    /// `-` and `.`: Morse code.
    pub(crate) mark: u64,
    /// `@`, `$` and `!`: they stand for letters.
    pub(crate) sign: u64,
    pub(crate) space: u64,
    /// Letters that are rare in prose and that rot13 makes frequent.
    pub(crate) rare: u64,
}

/// The letters of [`Masks::rare`].
pub(crate) const RARE: [u8; 7] = *b"vbgqzjx";

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

impl Masks {
    /// The masks of a block.
    pub(crate) fn of(block: &[u8; BLOCK]) -> Masks {
        let lanes = Lanes::of(block);
        Masks {
            alpha: lanes.letters(),
            upper: lanes.within(b'A', b'Z'),
            digit: lanes.within(b'0', b'9'),
            high: lanes.high(),
            link: lanes.any(*b"+/-_"),
            mark: lanes.any(*b"-."),
            sign: lanes.any(*b"@$!"),
            space: lanes.any(*b" \n"),
            rare: lanes.lower().any(RARE),
        }
    }

    /// Whatever is ASCII and neither letter nor digit.
    pub(crate) fn other(&self) -> u64 {
        !(self.alpha | self.digit | self.high)
    }
}

/// The letters and digits of a block.
pub(crate) fn word_bits(block: &[u8; BLOCK]) -> u64 {
    Lanes::of(block).letters_and_digits()
}

/// What tells where words and tokens begin in a block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tokens {
    /// Letters and digits.
    pub(crate) alnum: u64,
    pub(crate) digit: u64,
    /// `_`
    pub(crate) joint: u64,
    /// What [`is_token`].
    pub(crate) token: u64,
    /// Space and line feed.
    pub(crate) space: u64,
    pub(crate) high: u64,
}

impl Tokens {
    pub(crate) fn of(block: &[u8; BLOCK]) -> Tokens {
        let lanes = Lanes::of(block);
        let (digit, joint) = (lanes.within(b'0', b'9'), lanes.any([b'_']));
        let alnum = lanes.letters() | digit;
        // `-./` are neighbours.
        let marks = lanes.bits(|lane| within(lane, b'-', b'/') | any(lane, *b"+~="));
        Tokens {
            alnum,
            digit,
            joint,
            token: alnum | joint | marks,
            space: lanes.any(*b" \n"),
            high: lanes.high(),
        }
    }
}

/// What tells where a word of a list may begin in a block.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Beginnings {
    /// Letters, digits and `_`: after them, nothing begins.
    pub(crate) inside: u64,
    /// `@` and `$`: they stand for letters even at the beginning.
    pub(crate) sign: u64,
    pub(crate) high: u64,
    /// What may stand for a letter or join words, and what lies beyond ASCII.
    pub(crate) odd: u64,
}

impl Beginnings {
    pub(crate) fn of(block: &[u8; BLOCK]) -> Beginnings {
        let lanes = Lanes::of(block);
        let (high, sign) = (lanes.high(), lanes.any(*b"@$"));
        let numbers = lanes.bits(|lane| within(lane, b'0', b'9') | any(lane, [b'_']));
        Beginnings {
            inside: lanes.letters() | numbers,
            sign,
            high,
            odd: numbers | sign | lanes.any(*b"!*") | high,
        }
    }
}

/// The bits from `from` on of a block's and the next one's, sixty-four of them.
#[inline(always)]
pub(crate) fn ahead(now: u64, next: u64, from: u32) -> u64 {
    now >> from | next << 1 << (63 - from)
}

/// The bytes of `text` from `at` on, as many as `N`, zeros where it has ended.
#[inline(always)]
pub(crate) fn padded<const N: usize>(text: &[u8], at: usize) -> [u8; N] {
    let rest = text.get(at..).unwrap_or_default();
    match rest.first_chunk::<N>() {
        Some(chunk) => *chunk,
        None => {
            let mut chunk = [0; N];
            chunk[..rest.len()].copy_from_slice(rest);
            chunk
        }
    }
}

/// Places of a text that are looked for a block at a time, asked for from its start to its end.
pub(crate) struct Places<'t, F> {
    text: &'t [u8],
    of: F,
    /// Where the block after the one at hand begins, and the places in that one.
    after: usize,
    places: u64,
}

impl<'t, F: Fn(&Lanes) -> u64> Places<'t, F> {
    /// Those places of which `of` has a bit; zeros are none.
    pub(crate) fn new(text: &'t [u8], of: F) -> Places<'t, F> {
        Places {
            text,
            of,
            after: 0,
            places: 0,
        }
    }

    /// The first one at `at` or behind it.
    #[inline]
    pub(crate) fn from(&mut self, mut at: usize) -> Option<usize> {
        loop {
            if at >= self.after {
                if at >= self.text.len() {
                    return None;
                }
                let base = at - at % BLOCK;
                self.places = (self.of)(&Lanes::of(&padded(self.text, base)));
                self.after = base + BLOCK;
            }
            let base = self.after - BLOCK;
            let places = self.places & u64::MAX << at.saturating_sub(base);
            if places != 0 {
                return Some(base + places.trailing_zeros() as usize);
            }
            at = self.after;
        }
    }
}

/// The blocks of `text`, filled up with line feeds; there is one after the last byte at least.
pub(crate) fn blocks(text: &[u8]) -> impl Iterator<Item = Masks> + '_ {
    let (whole, rest) = text.as_chunks::<BLOCK>();
    let mut last = [b'\n'; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    whole
        .iter()
        .map(Masks::of)
        .chain(std::iter::once_with(move || Masks::of(&last)))
}

/// A mask and the one before it: shifted left by `n`, it tells of the byte `n` before.
pub(crate) fn both(before: u64, now: u64) -> u128 {
    u128::from(now) << 64 | u128::from(before)
}

/// Bytes such as long tokens are made of.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/_~.=-".contains(&byte)
}

/// A block in registers.
pub(crate) struct Lanes([u8x16; 4]);

impl Lanes {
    #[inline(always)]
    pub(crate) fn of(block: &[u8; BLOCK]) -> Lanes {
        let (lanes, _) = block.as_chunks::<16>();
        Lanes(std::array::from_fn(|lane| u8x16::new(lanes[lane])))
    }

    /// The highest bits of what `of` makes of each byte.
    #[inline(always)]
    pub(crate) fn bits(&self, of: impl Fn(u8x16) -> u8x16) -> u64 {
        let mask = |lane: usize| u64::from(of(self.0[lane]).to_bitmask()) << (16 * lane);
        mask(0) | mask(1) | mask(2) | mask(3)
    }

    /// One of these bytes.
    #[inline(always)]
    pub(crate) fn any<const N: usize>(&self, bytes: [u8; N]) -> u64 {
        self.bits(|lane| any(lane, bytes))
    }

    #[inline(always)]
    pub(crate) fn high(&self) -> u64 {
        self.bits(|lane| lane)
    }

    #[inline(always)]
    pub(crate) fn within(&self, first: u8, last: u8) -> u64 {
        self.bits(|lane| within(lane, first, last))
    }

    #[inline(always)]
    pub(crate) fn letters(&self) -> u64 {
        self.bits(letters)
    }

    #[inline(always)]
    pub(crate) fn letters_and_digits(&self) -> u64 {
        self.bits(|lane| letters(lane) | within(lane, b'0', b'9'))
    }

    /// Small letters for capitals; other bytes may change, too.
    #[inline(always)]
    pub(crate) fn lower(&self) -> Lanes {
        Lanes(self.0.map(lower))
    }
}

#[inline(always)]
fn any<const N: usize>(lane: u8x16, bytes: [u8; N]) -> u8x16 {
    let none = u8x16::splat(0);
    bytes
        .into_iter()
        .fold(none, |found, byte| found | lane.simd_eq(u8x16::splat(byte)))
}

#[inline(always)]
fn within(lane: u8x16, first: u8, last: u8) -> u8x16 {
    let from_first = lane - u8x16::splat(first);
    from_first.min(u8x16::splat(last - first)).simd_eq(from_first)
}

#[inline(always)]
fn lower(lane: u8x16) -> u8x16 {
    lane | u8x16::splat(0x20)
}

#[inline(always)]
fn letters(lane: u8x16) -> u8x16 {
    within(lower(lane), b'a', b'z')
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
