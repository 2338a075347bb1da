//! Where a run of code may begin: a look at sixty-four bytes at a time, so that words are not looked at one
//! by one.

use super::runs::SHORTEST;
use crate::bits::{BLOCK, Lanes, both, padded};

/// What digits there are in a block.
#[derive(Clone, Copy, Default)]
struct Digits {
    base64: u64,
    hex: u64,
    decimal: u64,
    slash: u64,
    /// `.` and `-`
    mark: u64,
    /// `\\`, and `0`: with an `x` behind it, they announce hexadecimal digits.
    prefix: u64,
    x: u64,
    /// What no digit comes before, and may yet begin a run.
    sign: u64,
}

impl Digits {
    fn of(block: &[u8; BLOCK]) -> Digits {
        let lanes = Lanes::of(block);
        let decimal = lanes.within(b'0', b'9');
        Digits {
            base64: lanes.letters() | decimal | lanes.any(*b"+/-_"),
            hex: lanes.lower().within(b'a', b'f') | decimal,
            decimal,
            slash: lanes.any([b'/']),
            mark: lanes.any(*b".-"),
            prefix: lanes.any(*b"\\0"),
            x: lanes.any([b'x']),
            sign: lanes.any(*b".\\"),
        }
    }
}

/// The places of a text, asked for from its start to its end.
pub(super) struct Starts<'t> {
    bytes: &'t [u8],
    /// Where the next block begins.
    after: usize,
    next: Digits,
    /// The places in the block at hand.
    places: u64,
}

impl<'t> Starts<'t> {
    pub(super) fn new(bytes: &'t [u8]) -> Starts<'t> {
        Starts {
            bytes,
            after: 0,
            next: Digits::of(&padded(bytes, 0)),
            places: 0,
        }
    }

    /// The first place from `at` on.
    pub(super) fn from(&mut self, at: usize) -> Option<usize> {
        while at >= self.after && self.after < self.bytes.len() {
            self.look();
        }
        loop {
            let base = self.after.saturating_sub(BLOCK);
            let places = self.places & u64::MAX.checked_shl(at.saturating_sub(base) as u32).unwrap_or(0);
            if places != 0 {
                return Some(base + places.trailing_zeros() as usize);
            }
            if self.after >= self.bytes.len() {
                return None;
            }
            self.look();
        }
    }

    /// Goes on to the next block.
    fn look(&mut self) {
        let before = self.after.checked_sub(1).map_or(0, |before| self.bytes[before]);
        let inside = before != b'/' && super::runs::is_base64(before);
        self.after += BLOCK;
        let now = std::mem::replace(&mut self.next, Digits::of(&padded(self.bytes, self.after)));
        let next = &self.next;
        let begins = (now.base64 | now.sign) & !((now.base64 & !now.slash) << 1 | u64::from(inside));
        let row = |of: u128| {
            let of = of & of >> 1;
            let of = of & of >> 2;
            of & of >> 4
        };
        let long = row(both(now.base64, next.base64));
        let long = long & long >> (SHORTEST / 2);
        // Two digits, or three or eight decimal ones, and no more.
        let (hex, decimal) = (both(now.hex, next.hex), both(now.decimal, next.decimal));
        let two = hex & hex >> 1 & !(hex >> 2);
        let three = decimal & decimal >> 1 & decimal >> 2 & !(hex >> 3);
        let eight = row(decimal) & !(hex >> 8);
        let prefixed = both(now.prefix, next.prefix) & both(now.x, next.x) >> 1;
        let some = long | two | three | eight | prefixed;
        self.places = begins & (some as u64 | now.mark);
    }
}

const _: () = assert!(SHORTEST == 16, "twice what `row` counts");
