//! The literals that wake rules, ASCII case-insensitive: which of them begin at a position, asked of
//! a bitmap first, and which have begun at the end of the text so far.

mod places;

use std::collections::HashMap;

use crate::bits::BLOCK;
use crate::bytes::Bytes;
use crate::pattern::Prefix;
pub(crate) use places::MORE;
use places::Places;

/// The longest literal, bytes.
pub(crate) const MAX_LEN: usize = 12;

/// How many bytes behind a literal are looked at, where they are within [`MAX_LEN`].
pub(crate) const THEN: usize = 3;

/// Which bytes, in lower case, may follow a literal.
pub(crate) type Then = [Bytes; THEN];

/// Literals of two or three bytes, of four to seven, of eight or more: each class is looked up by as
/// many bytes as its shortest ones have.
const SHORT: u8 = 1;
const MIDDLE: u8 = 2;
const LONG: u8 = 4;
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
    /// Which of the sets of what may follow is its.
    then: u16,
}

impl Literal {
    /// Its bytes, the first one lowest.
    fn bytes(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }

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
    then: Vec<Then>,
    groups: Vec<Group>,
    /// Indices of groups by their hash, 1 for the first; 0 is free.
    slots: Vec<u32>,
    bitmap: Vec<u64>,
    /// Most positions are told apart by these alone.
    places: Places,
    /// All literals as numbers, the first byte highest, in order: those that may follow a word byte, and all.
    inside: Vec<u128>,
    sorted: Vec<u128>,
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
    pub(crate) fn new(all: &[(&Prefix, u32, bool)]) -> Literals {
        let mut literals: Vec<(u8, u64, Literal)> = Vec::with_capacity(all.len());
        // Anything may follow those for which there are too many sets.
        let mut then = vec![[Bytes::ALL; THEN]];
        let mut known: HashMap<Then, u16> = HashMap::new();
        let longer = all.iter().flat_map(|(prefix, rule, boundary)| {
            let all = lengthened(&prefix.literal, prefix.then);
            all.into_iter()
                .map(move |(literal, then)| (literal, then, *rule, *boundary))
        });
        for (bytes, follows, rule, boundary) in longer {
            let next = u16::try_from(then.len());
            let follows = match (known.get(&follows), next) {
                (Some(number), _) => *number,
                (None, Ok(number)) => {
                    then.push(follows);
                    known.insert(follows, number);
                    number
                }
                (None, Err(_)) => 0,
            };
            let window = Window::at(&bytes, 0);
            let class = Literals::class(&bytes);
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
                then: follows,
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
        groups.shrink_to_fit();
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
        let places = literals.iter().map(|(.., l)| (l, &then[usize::from(l.then)]));
        let places = Places::new(places);
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
            then,
            groups,
            slots,
            bitmap,
            places,
        }
    }

    /// The class of a literal.
    fn class(literal: &[u8]) -> u8 {
        match literal.len() {
            0..4 => SHORT,
            4..8 => MIDDLE,
            _ => LONG,
        }
    }

    /// A bit for each byte of a block, of those `within`, at which a literal may wake a rule; `inside` has one for
    /// each that follows a word byte. [`MORE`] bytes follow the block, or all there are and zeros.
    #[inline]
    pub(crate) fn places(&self, block: &[u8; BLOCK + MORE], inside: u64, within: u64) -> u64 {
        let mut places = self.places.of(block, inside, within);
        let mut kept = 0;
        while places != 0 {
            let at = places.trailing_zeros();
            places &= places - 1;
            let goes_on = self.places.goes_on(block, at as usize, inside >> at & 1 != 0);
            kept |= u64::from(goes_on) << at;
        }
        kept
    }

    /// Whether a literal may begin with the three bytes at `at`.
    #[inline]
    pub(crate) fn is_place(&self, text: &[u8], at: usize, inside_word: bool) -> bool {
        self.places.is_place(text, at, inside_word)
    }

    /// The classes of which a literal may begin the window.
    #[inline]
    pub(crate) fn may_begin(&self, window: &Window) -> u8 {
        let shift = shift(self.bitmap.len() * 64);
        let mut found = 0;
        for (class, mask) in KEYS {
            let bit = hash(window.low & mask, class) >> shift;
            let word = self.bitmap.get((bit / 64) as usize).copied().unwrap_or(0);
            found |= if word >> (bit % 64) & 1 != 0 { class } else { 0 };
        }
        found
    }

    /// The ones of the classes `may` of which a literal that begins the window wakes a rule.
    pub(crate) fn wake(&self, window: &Window, may: u8, inside_word: bool) -> u8 {
        let mut awake = 0;
        for (class, mask) in KEYS {
            if may & class != 0 {
                let mut here = self.of_class(window, class, mask, inside_word);
                awake |= if here.next().is_some() { class } else { 0 };
            }
        }
        awake
    }

    /// Calls `found` with the rule of each literal of `classes` that begins the window and is followed by
    /// what may follow it.
    #[inline]
    pub(crate) fn each(&self, window: &Window, classes: u8, inside_word: bool, mut found: impl FnMut(u32)) {
        for (class, mask) in KEYS {
            if classes & class != 0 {
                self.of_class(window, class, mask, inside_word)
                    .for_each(|literal| found(literal.rule));
            }
        }
    }

    #[inline]
    fn of_class(&self, window: &Window, class: u8, mask: u64, inside: bool) -> impl Iterator<Item = &Literal> {
        let key = window.low & mask;
        let mut slot = (hash(key, class) >> shift(self.slots.len())) as usize;
        let group = loop {
            let group = self.slots[slot]
                .checked_sub(1)
                .and_then(|g| self.groups.get(g as usize));
            match group {
                Some(other) if other.key != key || other.class != class => slot = (slot + 1) & (self.slots.len() - 1),
                found => break found,
            }
        };
        let literals = group.map_or(&[][..], |group| &self.literals[group.from as usize..group.to as usize]);
        literals
            .iter()
            .filter(move |l| !(l.boundary && inside) && l.begins(window) && self.goes_on(l, window))
    }

    /// Whether what follows a literal may follow it. Of what lies beyond the window, nobody knows.
    fn goes_on(&self, literal: &Literal, window: &Window) -> bool {
        let bytes = u128::from(window.high) << 64 | u128::from(window.low);
        let next = (usize::from(literal.len)..window.len).map(|at| (bytes >> (8 * at)) as u8);
        let then = self.then.get(usize::from(literal.then)).into_iter().flatten();
        next.zip(then).all(|(byte, allowed)| allowed.has(byte))
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
            + self.then.len() * size_of::<Then>()
            + self.groups.len() * size_of::<Group>()
            + self.slots.len() * 4
            + self.bitmap.len() * 8
            + self.places.memory()
            + (self.inside.len() + self.sorted.len()) * 16
    }
}

/// The most literals that are made of one.
const MOST_LENGTHENED: usize = 128;

/// Short literals with what may follow them, where that is one of a few bytes: `the` wakes at any word
/// that begins so, `the` and a gap at hardly one in twenty.
fn lengthened(literal: &[u8], then: Then) -> Vec<(Vec<u8>, Then)> {
    let mut all = vec![(literal.to_vec(), then)];
    while let Some((short, [next, ..])) = all.first()
        && short.len() < 4
    {
        let bytes: Vec<u8> = (0..=255).filter(|byte| next.has(*byte)).collect();
        if bytes.len() * all.len() > MOST_LENGTHENED {
            break;
        }
        let with = |(literal, [_, then, last]): &(Vec<u8>, Then), byte: u8| {
            let literal = literal.iter().copied().chain([byte]).collect();
            (literal, [*then, *last, Bytes::ALL])
        };
        all = all
            .iter()
            .flat_map(|short| bytes.iter().map(|byte| with(short, *byte)))
            .collect();
    }
    all
}

/// How far a hash is shifted to number one of `count` places, a power of two.
#[inline]
fn shift(count: usize) -> u32 {
    64 - count.trailing_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Literals that anything may follow.
    fn made<'t>(all: impl Iterator<Item = (&'t [u8], u32, bool)>) -> Literals {
        let prefix = |literal: &[u8]| Prefix {
            literal: literal.into(),
            then: [Bytes::ALL; THEN],
        };
        let all: Vec<_> = all
            .map(|(literal, rule, boundary)| (prefix(literal), rule, boundary))
            .collect();
        let all: Vec<_> = all
            .iter()
            .map(|(prefix, rule, boundary)| (prefix, *rule, *boundary))
            .collect();
        Literals::new(&all)
    }

    fn found(literals: &Literals, text: &str, at: usize) -> Vec<u32> {
        let inside = at > 0 && text.as_bytes()[at - 1].is_ascii_alphanumeric();
        let window = Window::at(text.as_bytes(), at);
        let awake = literals.wake(&window, literals.may_begin(&window), inside);
        assert!(awake == 0 || literals.is_place(text.as_bytes(), at, inside));
        let mut rules = Vec::new();
        literals.each(&window, awake, inside, |rule| rules.push(rule));
        assert_eq!(rules.is_empty(), awake == 0);
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
        let literals = made(all);
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
    fn what_follows_is_looked_at_as_far_as_it_is_there() {
        let space = Bytes::of(|byte| b" \n".contains(&byte));
        let a = Bytes::of(|byte| byte == b'a');
        for literal in ["as", "asas", "asasasasasa"] {
            let prefix = Prefix {
                literal: literal.as_bytes().into(),
                then: [space, a, Bytes::ALL],
            };
            let literals = Literals::new(&[(&prefix, 7, true)]);
            let wakes = |then: &str| found(&literals, &format!("{literal}{then}"), 0) == [7];
            assert!(wakes(" a") && wakes("\nAx"), "{literal}");
            assert!(!wakes("k a"), "{literal}");
            // Beyond twelve bytes nobody looks.
            assert_eq!(wakes(" b"), literal.len() > 10, "{literal}");
        }
    }

    #[test]
    fn knows_what_has_begun() {
        let all = [
            ("sk-", true),
            ("ignore all p", false),
            ("ignore", false),
            ("忽略", false),
        ];
        let literals = made(all.iter().map(|(t, b)| (t.as_bytes(), 0, *b)));
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
        let literals = made(all);
        for (word, rule) in words.iter().zip(0..) {
            assert!(found(&literals, word, 0).contains(&rule));
        }
        let wrong =
            (0..10_000u32).filter(|i| literals.may_begin(&Window::at(format!("{i:08} -").as_bytes(), 0)) & LONG != 0);
        assert!(wrong.count() < 1500);
    }
}
