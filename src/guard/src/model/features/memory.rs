//! Which words and sequences of words a text has repeated.

use crate::model::windows::LARGEST;

/// What was there a moment ago.
pub(super) trait Memory {
    /// One of `size` entries at least.
    fn new(size: usize) -> Self;

    /// Whether it was there; it is from now on.
    fn seen(&mut self, hash: u32) -> bool;
}

/// The place of an entry, and its bits there.
#[inline(always)]
fn place(hash: u32) -> (usize, u64) {
    let mask = 1_u64 << ((hash >> 12) & 63) | 1_u64 << ((hash >> 18) & 63);
    ((hash >> 24) as usize % RECENT, mask)
}

/// What was there a moment ago: a Bloom filter of two bits in one word, in two generations. None of the
/// last `size` is forgotten; of a thousand new ones, about two are taken for old ones.
pub(super) struct Recent {
    /// Both generations of a place side by side.
    bits: [[u64; 2]; RECENT],
    /// Which generation is the younger one, and how many entries it has room for.
    young: usize,
    left: usize,
    size: usize,
}

/// Words of memory of a generation.
pub(super) const RECENT: usize = 256;
/// Sequences of three words that are remembered for certain.
pub(super) const TRIPLES: usize = 256;
/// Words that are remembered for certain: those of the largest window.
pub(super) const KNOWN: usize = LARGEST;

impl Memory for Recent {
    fn new(size: usize) -> Recent {
        Recent {
            bits: [[0; 2]; RECENT],
            young: 0,
            left: size,
            size,
        }
    }

    #[inline(always)]
    fn seen(&mut self, hash: u32) -> bool {
        let (at, mask) = place(hash);
        let place = &mut self.bits[at];
        let seen = (!place[0] & mask == 0) | (!place[1] & mask == 0);
        // No branch on what nobody can foretell.
        place[self.young & 1] |= mask & u64::from(seen).wrapping_sub(1);
        self.left -= usize::from(!seen);
        if self.left == 0 {
            self.renew();
        }
        seen
    }
}

impl Recent {
    /// The older generation is forgotten and becomes the younger one.
    #[cold]
    #[inline(never)]
    fn renew(&mut self) {
        self.left = self.size;
        self.young ^= 1;
        let young = self.young & 1;
        self.bits.iter_mut().for_each(|place| place[young] = 0);
    }
}

/// The same for a text of few words: what the filter would hold, entry by entry, so that a word or two need
/// not wait for the filter to be cleared.
pub(super) struct Few {
    entries: [(usize, u64); FEW],
    count: usize,
}

/// The most words of a text that is short, and its most bytes.
pub(super) const FEW: usize = KNOWN / 4;
pub(super) const SHORT: usize = 2 * (FEW - 1) - 1;

impl Memory for Few {
    fn new(_: usize) -> Few {
        Few {
            entries: [(0, 0); FEW],
            count: 0,
        }
    }

    fn seen(&mut self, hash: u32) -> bool {
        let (at, mask) = place(hash);
        let here = self.entries[..self.count.min(FEW)]
            .iter()
            .filter(|(other, _)| *other == at);
        let seen = !here.fold(0, |all, (_, bits)| all | bits) & mask == 0;
        if let (false, Some(entry)) = (seen, self.entries.get_mut(self.count)) {
            *entry = (at, mask);
            self.count += 1;
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As long as neither forgets, nobody can tell them apart.
        #[test]
        fn few_words_are_remembered_alike(hashes in prop::collection::vec((0u32..4, 0u32..1 << 12), 0..=FEW)) {
            let (mut few, mut recent) = (Few::new(KNOWN), Recent::new(KNOWN));
            for hash in hashes.iter().map(|(at, bits)| at << 24 | bits << 12) {
                prop_assert_eq!(few.seen(hash), recent.seen(hash));
            }
        }
    }
}
