//! The literals that wake rules, ASCII case-insensitive: which of them begin at a position, asked of
//! a bitmap first, and which have begun at the end of the text so far.

/// The longest literal, bytes.
pub(crate) const MAX_LEN: usize = 12;

/// Literals of two or three bytes, of four to seven, of eight or more: each class is looked up by as
/// many bytes as its shortest ones have.
pub(crate) const SHORT: u8 = 1;
pub(crate) const MIDDLE: u8 = 2;
pub(crate) const LONG: u8 = 4;
/// The bytes of a text's first eight that each class is looked up by.
const KEYS: [(u8, u64); 3] = [(SHORT, 0xFFFF), (MIDDLE, 0xFFFF_FFFF), (LONG, u64::MAX)];

/// The bytes from a position on, small letters for capitals, the first one lowest; zeros where the
/// text ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    low: u64,
    high: u32,
    len: usize,
}

impl Window {
    #[inline]
    pub(crate) fn at(text: &[u8], at: usize) -> Window {
        let rest = &text[at..];
        let len = rest.len().min(MAX_LEN);
        let (low, high) = match (
            rest.first_chunk::<8>(),
            rest.get(8..).and_then(|r| r.first_chunk::<4>()),
        ) {
            (Some(low), Some(high)) => (u64::from_le_bytes(*low), u32::from_le_bytes(*high)),
            _ => {
                let mut bytes = [0u8; 16];
                bytes[..len].copy_from_slice(&rest[..len]);
                let all = u128::from_le_bytes(bytes);
                (all as u64, (all >> 64) as u32)
            }
        };
        Window {
            low: lower(low),
            high: lower(u64::from(high)) as u32,
            len,
        }
    }
}

/// Turns the ASCII capitals among eight bytes into small letters.
#[inline]
fn lower(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let seven = bytes & (0x7F * EACH);
    let from_a = seven + (0x80 - 0x41) * EACH;
    let after_z = seven + (0x80 - 0x5B) * EACH;
    let capital = !bytes & (from_a ^ after_z) & (0x80 * EACH);
    bytes | (capital >> 2)
}

#[derive(Clone, Copy, Debug)]
struct Literal {
    low: u64,
    high: u32,
    rule: u32,
    len: u8,
    boundary: bool,
}

impl Literal {
    #[inline]
    fn begins(&self, window: &Window) -> bool {
        let len = usize::from(self.len);
        let (low, high) = match len {
            0..8 => (u64::MAX >> (64 - 8 * len), 0),
            8 => (u64::MAX, 0),
            _ => (u64::MAX, u32::MAX >> (8 * (MAX_LEN - len))),
        };
        len <= window.len && (self.low ^ window.low) & low == 0 && (self.high ^ window.high) & high == 0
    }
}

/// Literals with one key, of one class.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    key: u64,
    class: u8,
    from: u32,
    to: u32,
}

/// The compiled literals.
#[derive(Debug)]
pub(crate) struct Literals {
    literals: Vec<Literal>,
    groups: Vec<Group>,
    /// Indices of groups by their hash, 1 for the first; 0 is free.
    slots: Vec<u32>,
    bitmap: Vec<u64>,
    /// The first three bytes of literals, hashed: of all, and of those that may follow a word byte. Most
    /// positions are told apart by these alone.
    firsts: [Box<[u64; FIRSTS / 64]>; 2],
    /// All literals as numbers, the first byte highest, in order: those that may follow a word byte, and all.
    inside: Vec<u128>,
    sorted: Vec<u128>,
}

/// Bits of a set of first bytes.
const FIRSTS: usize = 1 << 15;

/// The place of three bytes, the first one lowest.
#[inline]
fn first(bytes: u64) -> (usize, u64) {
    let hash = (bytes & 0xFF_FFFF).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - FIRSTS.trailing_zeros());
    ((hash / 64) as usize, 1 << (hash % 64))
}

#[inline]
fn hash(key: u64, class: u8) -> u64 {
    (key ^ u64::from(class)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn ordered(low: u64, high: u32) -> u128 {
    (u128::from(high) << 64 | u128::from(low)).swap_bytes()
}

impl Literals {
    /// Takes literals in lower case, 2 to [`MAX_LEN`] bytes long, each with its rule, and whether it never
    /// begins right after a word byte.
    pub(crate) fn new(all: Vec<(&[u8], u32, bool)>) -> Literals {
        let mut literals: Vec<(u8, u64, Literal)> = Vec::with_capacity(all.len());
        for (bytes, rule, boundary) in all {
            let window = Window::at(bytes, 0);
            let class = Literals::class(bytes);
            let key = KEYS
                .iter()
                .find(|(c, _)| *c == class)
                .map_or(0, |(_, mask)| window.low & mask);
            let literal = Literal {
                low: window.low,
                high: window.high,
                rule,
                len: window.len as u8,
                boundary,
            };
            literals.push((class, key, literal));
        }
        literals.sort_by_key(|(class, key, literal)| (*class, *key, literal.len, literal.rule));
        let mut groups: Vec<Group> = Vec::new();
        for (index, &(class, key, _)) in literals.iter().enumerate() {
            let index = index as u32;
            match groups.last_mut() {
                Some(last) if last.key == key && last.class == class => last.to = index + 1,
                _ => groups.push(Group {
                    key,
                    class,
                    from: index,
                    to: index + 1,
                }),
            }
        }
        let mut slots = vec![0u32; (groups.len() * 2).next_power_of_two().max(2)];
        // Sixty-four bits a group: one look in sixty-four is for nothing.
        let mut bitmap = vec![0u64; groups.len().next_power_of_two().clamp(64, 4096)];
        let (slot_shift, bit_shift) = (shift(slots.len()), shift(bitmap.len() * 64));
        for (group, number) in groups.iter().zip(1..) {
            let hash = hash(group.key, group.class);
            let mut slot = (hash >> slot_shift) as usize;
            while slots[slot] != 0 {
                slot = (slot + 1) & (slots.len() - 1);
            }
            slots[slot] = number;
            let bit = hash >> bit_shift;
            bitmap[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        let mut firsts = [(); 2].map(|()| Box::new([0u64; FIRSTS / 64]));
        for (.., literal) in &literals {
            // Of two bytes, the third may be any.
            let thirds = if literal.len == 2 { 256 } else { 1 };
            for third in 0..thirds {
                let (word, bit) = first(literal.low | third << 16);
                let sets = if literal.boundary {
                    &mut firsts[..1]
                } else {
                    &mut firsts[..]
                };
                sets.iter_mut().for_each(|set| set[word] |= bit);
            }
        }
        let numbers = |keep: &dyn Fn(&Literal) -> bool| {
            let kept = literals.iter().map(|(.., l)| l).filter(|l| keep(l));
            let mut numbers: Vec<u128> = kept.map(|l| ordered(l.low, l.high)).collect();
            numbers.sort_unstable();
            numbers.dedup();
            numbers
        };
        Literals {
            inside: numbers(&|literal| !literal.boundary),
            sorted: numbers(&|_| true),
            literals: literals.iter().map(|(.., literal)| *literal).collect(),
            groups,
            slots,
            bitmap,
            firsts,
        }
    }

    /// The class of a literal.
    pub(crate) fn class(literal: &[u8]) -> u8 {
        match literal.len() {
            0..4 => SHORT,
            4..8 => MIDDLE,
            _ => LONG,
        }
    }

    /// Whether a literal of one of `classes` may begin at `at`.
    #[inline]
    pub(crate) fn may_begin(&self, text: &[u8], at: usize, classes: u8, inside_word: bool) -> bool {
        let low = match text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(bytes) => lower(u64::from_le_bytes(*bytes)),
            None => Window::at(text, at).low,
        };
        let (word, bit) = first(low);
        if self.firsts[usize::from(inside_word)][word] & bit == 0 {
            return false;
        }
        let shift = shift(self.bitmap.len() * 64);
        KEYS.iter().any(|(class, mask)| {
            classes & class != 0 && {
                let bit = hash(low & mask, *class) >> shift;
                let word = self.bitmap.get((bit / 64) as usize);
                word.is_some_and(|word| word & (1 << (bit % 64)) != 0)
            }
        })
    }

    /// Calls `found` with the rule of each literal that begins the window.
    #[inline]
    pub(crate) fn each(&self, window: &Window, inside_word: bool, found: &mut impl FnMut(u32)) {
        let shift = shift(self.slots.len());
        for (class, mask) in KEYS {
            let key = window.low & mask;
            let mut slot = (hash(key, class) >> shift) as usize;
            while let Some(group) = self.slots[slot]
                .checked_sub(1)
                .and_then(|g| self.groups.get(g as usize))
            {
                if group.key == key && group.class == class {
                    for literal in &self.literals[group.from as usize..group.to as usize] {
                        if !(literal.boundary && inside_word) && literal.begins(window) {
                            found(literal.rule);
                        }
                    }
                    break;
                }
                slot = (slot + 1) & (self.slots.len() - 1);
            }
        }
    }

    /// Whether the window, which the end of the text has cut short, begins a literal longer than itself.
    pub(crate) fn begins(&self, window: &Window, inside_word: bool) -> bool {
        let numbers = if inside_word { &self.inside } else { &self.sorted };
        let from = ordered(window.low, window.high);
        let rest = (MAX_LEN + 4 - window.len) * 8;
        let first = numbers.partition_point(|number| *number <= from);
        window.len < MAX_LEN && numbers.get(first).is_some_and(|number| (number ^ from) >> rest == 0)
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.literals.len() * size_of::<Literal>()
            + self.groups.len() * size_of::<Group>()
            + self.slots.len() * 4
            + self.bitmap.len() * 8
            + FIRSTS / 4
            + (self.inside.len() + self.sorted.len()) * 16
    }
}

/// How far a hash is shifted to number one of `count` places, a power of two.
#[inline]
fn shift(count: usize) -> u32 {
    64 - count.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(literals: &Literals, text: &str, at: usize) -> Vec<u32> {
        let inside = at > 0 && text.as_bytes()[at - 1].is_ascii_alphanumeric();
        let mut rules = Vec::new();
        literals.each(&Window::at(text.as_bytes(), at), inside, &mut |rule| rules.push(rule));
        assert!(rules.is_empty() || literals.may_begin(text.as_bytes(), at, SHORT | MIDDLE | LONG, inside));
        rules
    }

    #[test]
    fn capitals_become_small_and_nothing_else_does() {
        for byte in 0..=255u8 {
            let all = u64::from_le_bytes([byte; 8]);
            assert_eq!(lower(all).to_le_bytes(), [byte.to_ascii_lowercase(); 8]);
        }
        assert_eq!(lower(u64::from_le_bytes(*b"@AZ[`az{")).to_le_bytes(), *b"@az[`az{");
    }

    #[test]
    fn finds_what_begins_here_in_any_case() {
        let texts = ["he", "hers", "her ", "she", "忽略", "hers and his", "hers and"];
        let all = texts
            .iter()
            .zip(0..)
            .map(|(text, rule)| (text.as_bytes(), rule, rule == 1));
        let literals = Literals::new(all.collect());
        assert_eq!(found(&literals, "HeRs", 0), [0, 1]);
        assert_eq!(found(&literals, "her x", 0), [0, 2]);
        assert_eq!(found(&literals, "shers", 0), [3]);
        assert_eq!(
            found(&literals, "shers", 1),
            [0],
            "this rule may not start inside a word"
        );
        assert_eq!(found(&literals, "hers AND his", 0), [0, 1, 6, 5]);
        assert_eq!(found(&literals, "忽略", 0), [4]);
        assert!(found(&literals, "xhe", 0).is_empty() && found(&literals, "h", 0).is_empty());
    }

    #[test]
    fn knows_what_has_begun() {
        let all = [
            ("sk-", true),
            ("ignore all p", false),
            ("ignore", false),
            ("忽略", false),
        ];
        let literals = Literals::new(all.iter().map(|(t, b)| (t.as_bytes(), 0, *b)).collect());
        let begun = |text: &str, inside| literals.begins(&Window::at(text.as_bytes(), 0), inside);
        assert!(begun("S", false) && begun("sk", false) && !begun("sk-", false) && !begun("s", true));
        assert!(begun("igno", true) && begun("ignore", false) && begun("ignore ALL ", false));
        assert!(!begun("ignore all p", false) && !begun("ignores", false) && !begun("x", false));
        assert!(begun("忽", false) && !begun("忽略", false));
    }

    #[test]
    fn thousands_are_found_and_seldom_mistaken() {
        let words: Vec<String> = (0..5000u32)
            .map(|i| format!("{:x}", i.wrapping_mul(0x9E37_79B1)))
            .collect();
        let all = words.iter().zip(0..).map(|(word, rule)| (word.as_bytes(), rule, false));
        let literals = Literals::new(all.collect());
        for (word, rule) in words.iter().zip(0..) {
            assert!(found(&literals, word, 0).contains(&rule));
        }
        let wrong = (0..10_000u32).filter(|i| literals.may_begin(format!("{i:08} -").as_bytes(), 0, LONG, false));
        assert!(wrong.count() < 1500);
    }
}
