//! The filter of whole texts: one table look-up, shift and OR a byte tell at which positions a
//! literal, a rule's first bytes, or a rule's gate may begin. It may say yes too often, never too
//! seldom.
//!
//! Up to twenty-four *buckets* of items are matched at once, each against five bytes: the one before the
//! position and four from it on. The state holds, for each of the five and each bucket, one bit that
//! is 0 while all bytes so far were allowed (Baeza-Yates and Gonnet's shift-or, over sets of bytes).

/// What an item of a bucket stands for; its value is the bucket's mark in [`Filter::each`]'s answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Literal,
    Start,
    Gate,
}

/// Bytes that are looked at from the position on.
pub(crate) const DEPTH: usize = 4;
/// Buckets in a word of the state.
const BUCKETS: usize = 12;
/// Words of the state; they do not wait for each other, so that two cost hardly more than one.
const WORDS: usize = 2;
const LOW: u64 = (1 << BUCKETS) - 1;
/// Where the bits of the last byte lie.
const TOP: u32 = (BUCKETS * DEPTH) as u32;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes([u64; 4]);

impl Bytes {
    pub(crate) const ALL: Bytes = Bytes([u64::MAX; 4]);

    pub(crate) fn of(allowed: impl Fn(u8) -> bool) -> Bytes {
        let mut set = Bytes::default();
        for byte in (0..=255u8).filter(|b| allowed(*b)) {
            set.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        set
    }

    /// `byte` in either case.
    pub(crate) fn letter(byte: u8) -> Bytes {
        Bytes::of(|b| b.eq_ignore_ascii_case(&byte))
    }

    pub(crate) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    pub(crate) fn union(&self, other: &Bytes) -> Bytes {
        let mut all = *self;
        all.0.iter_mut().zip(other.0).for_each(|(a, b)| *a |= b);
        all
    }

    /// Roughly how much of a text these bytes are: what is common in prose counts eight times.
    fn weight(&self) -> f32 {
        /// Small letters; the space.
        const COMMON: [u64; 4] = [1 << 32, 0x07FF_FFFE << 32, 0, 0];
        let common: u32 = self.0.iter().zip(COMMON).map(|(a, b)| (a & b).count_ones()).sum();
        let all: u32 = self.0.iter().map(|a| a.count_ones()).sum();
        (all + 7 * common) as f32 / 445.0
    }
}

/// One or more items of a kind: what may stand before the position, and from it on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) item: Item,
    /// May the text begin here?
    pub(crate) at_start: bool,
    pub(crate) before: Bytes,
    pub(crate) bytes: [Bytes; DEPTH],
}

impl Shape {
    fn union(&self, other: &Shape) -> Shape {
        let mut both = *self;
        both.at_start |= other.at_start;
        both.before = both.before.union(&other.before);
        for (mine, theirs) in both.bytes.iter_mut().zip(&other.bytes) {
            *mine = mine.union(theirs);
        }
        both
    }

    fn weight(&self) -> f32 {
        self.bytes.iter().map(Bytes::weight).product::<f32>() * self.before.weight()
    }
}

/// The compiled filter.
#[derive(Debug)]
pub(crate) struct Filter {
    table: Vec<Words>,
    init: Words,
    literals: Words,
    starts: Words,
    gates: Words,
}

/// The state of the filter, or a row of its table.
pub(crate) type Words = [u64; WORDS];

/// Which kinds of items may begin at a position.
#[derive(Clone, Copy, Debug)]
pub(crate) struct May {
    pub(crate) literal: bool,
    pub(crate) start: bool,
    pub(crate) gate: bool,
}

impl Filter {
    pub(crate) fn new(shapes: Vec<Shape>) -> Filter {
        let buckets = merge(shapes);
        let mut filter = Filter {
            table: vec![[u64::MAX; WORDS]; 256],
            init: [u64::MAX; WORDS],
            literals: [0; WORDS],
            starts: [0; WORDS],
            gates: [0; WORDS],
        };
        for (index, bucket) in buckets.iter().enumerate() {
            let (word, mark) = (index % WORDS, 1u64 << (index / WORDS));
            match bucket.item {
                Item::Literal => filter.literals[word] |= mark,
                Item::Start => filter.starts[word] |= mark,
                Item::Gate => filter.gates[word] |= mark,
            }
            if bucket.at_start {
                filter.init[word] &= !mark;
            }
            let sets = std::iter::once(&bucket.before).chain(&bucket.bytes);
            for (level, set) in sets.enumerate() {
                for byte in (0..=255u8).filter(|b| set.has(*b)) {
                    filter.table[usize::from(byte)][word] &= !(mark << (level * BUCKETS));
                }
            }
        }
        filter
    }

    /// The state before the first byte of a text.
    pub(crate) fn begin(&self) -> Words {
        self.init
    }

    /// Takes `bytes`, which stand at offset `base` of the text, and calls `found` with each position
    /// at which something may begin, in order. `found` returns `false` to stop.
    #[inline]
    pub(crate) fn each(
        &self,
        state: &mut Words,
        bytes: &[u8],
        base: usize,
        mut found: impl FnMut(usize, May) -> bool,
    ) -> bool {
        const ALL: u64 = LOW << TOP;
        let Ok(table) = <&[Words; 256]>::try_from(self.table.as_slice()) else {
            return false;
        };
        let step = |[a, b]: Words, byte: u8| {
            let row = &table[usize::from(byte)];
            [(a << BUCKETS) | row[0], (b << BUCKETS) | row[1]]
        };
        let mut now = *state;
        let (blocks, rest) = bytes.as_chunks::<8>();
        let mut at = base;
        for block in blocks {
            let mut seen = [[0u64; WORDS]; 8];
            let mut all = u64::MAX;
            for (state, byte) in seen.iter_mut().zip(block) {
                now = step(now, *byte);
                *state = now;
                all &= now[0] & now[1];
            }
            if all & ALL != ALL {
                for (offset, state) in seen.iter().enumerate() {
                    if state[0] & state[1] & ALL != ALL && !found(at + offset + 1 - DEPTH, self.may(state)) {
                        return false;
                    }
                }
            }
            at += 8;
        }
        for (byte, at) in rest.iter().zip(at..) {
            now = step(now, *byte);
            if now[0] & now[1] & ALL != ALL && !found(at + 1 - DEPTH, self.may(&now)) {
                return false;
            }
        }
        *state = now;
        true
    }

    #[inline]
    fn may(&self, state: &Words) -> May {
        let open = state.map(|word| !(word >> TOP) & LOW);
        let any = |kind: &Words| (open[0] & kind[0]) | (open[1] & kind[1]) != 0;
        May {
            literal: any(&self.literals),
            start: any(&self.starts),
            gate: any(&self.gates),
        }
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.table.len() * size_of::<Words>()
    }
}

/// Unites shapes of one kind, the pair first that opens the filter least, until there are few enough.
fn merge(mut shapes: Vec<Shape>) -> Vec<Shape> {
    let added = |a: &Shape, b: &Shape| {
        if a.item == b.item {
            a.union(b).weight() - a.weight() - b.weight()
        } else {
            f32::INFINITY
        }
    };
    let row = |shapes: &[Shape], index: usize| -> Vec<f32> {
        shapes[..index]
            .iter()
            .map(|other| added(&shapes[index], other))
            .collect()
    };
    let mut costs: Vec<Vec<f32>> = (0..shapes.len()).map(|index| row(&shapes, index)).collect();
    while shapes.len() > BUCKETS * WORDS {
        let pairs = costs
            .iter()
            .enumerate()
            .flat_map(|(a, row)| row.iter().enumerate().map(move |(b, cost)| (a, b, cost)));
        // `b` is below `a`, so that removing `a` leaves it in its place.
        let Some((a, b, _)) = pairs.min_by(|x, y| x.2.total_cmp(y.2)) else {
            break;
        };
        shapes[b] = shapes[b].union(&shapes[a]);
        shapes.remove(a);
        costs.remove(a);
        costs[a..].iter_mut().for_each(|row| {
            row.remove(a);
        });
        costs[b] = row(&shapes, b);
        for later in b + 1..shapes.len() {
            costs[later][b] = added(&shapes[later], &shapes[b]);
        }
    }
    shapes
}
