//! Sets of bytes.

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Bytes([u64; 4]);

impl Bytes {
    pub(crate) const ALL: Bytes = Bytes([u64::MAX; 4]);

    pub(crate) fn of(allowed: impl Fn(u8) -> bool) -> Bytes {
        let mut set = Bytes::default();
        for byte in (0..=255u8).filter(|b| allowed(*b)) {
            set.insert(byte);
        }
        set
    }

    pub(crate) fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    /// The small letters of the ASCII letters, and all other bytes.
    pub(crate) fn to_lowercase(self) -> Bytes {
        Bytes::of(|byte| !byte.is_ascii_uppercase() && (self.has(byte) || self.has(byte.to_ascii_uppercase())))
    }

    pub(crate) fn union(&self, other: &Bytes) -> Bytes {
        let mut all = *self;
        all.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
        all
    }
}
