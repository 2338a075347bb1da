//! Tokens of a text that hold something beside letters, found sixty-four bytes at a time: of plain words,
//! most of a text, only the number is told.

use crate::bits::{BLOCK, Lanes, padded};

/// A bit for each byte of a block: what tokens are made of, and what those hold that are looked for.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub(super) part: u64,
    /// Nothing but parts.
    pub(super) marked: u64,
}

/// Calls `found` with the start and the end of each token that holds something marked, in order, until it says
/// `false`. Returns the number of all tokens that were seen. `parts` tells what is in a block; zeros are no parts.
pub(super) fn marked(
    bytes: &[u8],
    parts: impl Fn(&Lanes) -> Parts,
    mut found: impl FnMut(usize, usize) -> bool,
) -> usize {
    let (mut count, mut inside) = (0, 0);
    // Where the token at hand starts, and the last one ended that was found.
    let (mut open, mut ended) = (0, 0_usize);
    for base in (0..bytes.len()).step_by(BLOCK) {
        let Parts { part, marked } = parts(&Lanes::of(&padded(bytes, base)));
        let after = part << 1 | inside;
        let starts = part & !after;
        count += starts.count_ones() as usize;
        let mut marked = marked & u64::MAX.checked_shl(ended.saturating_sub(base) as u32).unwrap_or(0);
        while marked != 0 {
            let bit = marked.trailing_zeros();
            let before = starts & u64::MAX >> (63 - bit);
            let start = match before.checked_ilog2() {
                Some(last) => base + last as usize,
                None => open,
            };
            let ends = after & !part & u64::MAX << bit;
            let mut end = base
                + if ends == 0 {
                    BLOCK
                } else {
                    ends.trailing_zeros() as usize
                };
            while ends == 0 && end < bytes.len() {
                let gaps = !parts(&Lanes::of(&padded(bytes, end))).part;
                end += gaps.trailing_zeros() as usize;
                if gaps != 0 {
                    break;
                }
            }
            ended = end.min(bytes.len());
            if !found(start, ended) {
                return count;
            }
            marked &= u64::MAX.checked_shl((ended - base) as u32).unwrap_or(0);
        }
        if let Some(last) = starts.checked_ilog2() {
            open = base + last as usize;
        }
        inside = part >> (BLOCK - 1);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Blocks of bytes find the tokens that byte after byte finds.
        #[test]
        fn blocks_find_what_each_byte_says(text in "([a-c]{0,9}[ .-]{0,2}|[a-c]{0,200}|[a-]{60,70} ?){0,9}") {
            let bytes = text.as_bytes();
            let tokens = || bytes.split(|b| !b"abc-".contains(b)).filter(|token| !token.is_empty());
            let place = |token: &[u8]| token.as_ptr() as usize - bytes.as_ptr() as usize;
            let one_by_one: Vec<_> = tokens()
                .filter(|token| token.contains(&b'-'))
                .map(|token| (place(token), place(token) + token.len()))
                .collect();
            let mut in_blocks = Vec::new();
            let parts = |lanes: &Lanes| {
                let marked = lanes.any([b'-']);
                Parts { part: marked | lanes.letters(), marked }
            };
            let all = marked(bytes, parts, |start, end| {
                in_blocks.push((start, end));
                true
            });
            prop_assert_eq!((tokens().count(), one_by_one), (all, in_blocks));
        }
    }
}
