//! Which words of a text may be one of a list, told by how they begin: a set of what the first letters
//! of the lists' words may look like.

use super::trie::Tree;

/// Letters that are looked at.
pub(super) const LETTERS: usize = 4;
/// What letters are, all lower case, the first one lowest; the end of a word is nothing.
type Key = u32;
const BITS: u32 = 17;

/// The set, hashed.
#[derive(Debug)]
pub(crate) struct Gate(Box<[u64; 1 << (BITS - 6)]>);

impl Gate {
    /// How the words of `tree` may begin, stretched letters included.
    pub(crate) fn new(tree: &Tree) -> Gate {
        let mut gate = Gate(Box::new([0; 1 << (BITS - 6)]));
        for (letter, node) in tree.letters(0) {
            gate.fill(tree, node, letter, 1, letter as Key);
        }
        gate
    }

    /// `key`: the `depth` letters so far, `last` the latest.
    fn fill(&mut self, tree: &Tree, node: u32, last: char, depth: usize, key: Key) {
        if depth == LETTERS {
            return self.insert(key);
        }
        let with = |letter: char| key | (letter as Key) << (8 * depth);
        let accepts = tree.accepts(node);
        if !accepts.is_empty() || tree.step(node, ' ').is_some() {
            self.insert(key);
        }
        if accepts.iter().any(|accept| accept.open) {
            self.fill_all(depth, key);
        }
        self.fill(tree, node, last, depth + 1, with(last));
        for (letter, child) in tree.letters(node) {
            self.fill(tree, child, letter, depth + 1, with(letter));
        }
    }

    /// Whatever follows.
    fn fill_all(&mut self, depth: usize, key: Key) {
        self.insert(key);
        if depth < LETTERS {
            ('a'..='z').for_each(|letter| self.fill_all(depth + 1, key | (letter as Key) << (8 * depth)));
        }
    }

    fn insert(&mut self, key: Key) {
        let (word, bit) = place(key);
        self.0[word] |= bit;
    }

    /// Whether the word that begins with the bytes `first` may be one of a list, if it is made of ASCII letters.
    #[inline(always)]
    pub(crate) fn may_begin(&self, first: [u8; LETTERS]) -> bool {
        const EACH: Key = 0x0101_0101;
        let key = Key::from_le_bytes(first) | (0x20 * EACH);
        let seven = key & (0x7F * EACH);
        // The highest bit of each byte: before `a`, after `z`, beyond ASCII.
        let before = !(seven + (0x80 - 0x61) * EACH);
        let other = (before | (seven + (0x80 - 0x7B) * EACH) | key) & (0x80 * EACH);
        // The bytes before the first that is no letter.
        let letters = ((other & other.wrapping_neg()) >> 7).wrapping_sub(1);
        let (word, bit) = place(key & letters);
        self.0[word] & bit != 0
    }
}

fn place(key: Key) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9E37_79B1) >> (32 - BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::super::trie::Accept;
    use super::*;
    use crate::bits::padded;

    #[test]
    fn every_spelling_of_a_word_may_begin() {
        let accept = |open| Accept {
            rule: 0,
            word: 0,
            exempt: false,
            open,
        };
        let words = [("ass", false), ("fuck", true), ("go to hell", false), ("ab", true)];
        let entries = words.map(|(word, open)| (word.chars().collect(), accept(open)));
        let gate = Gate::new(&Tree::new(entries.into_iter()));
        let may_begin = |text: &str| gate.may_begin(padded(text.as_bytes(), 0));
        for text in [
            "ass ", "ASS.", "aass ", "asss ", "fuuuuck", "ffuck", "Fucking", "fuck", "go to", "go, to", "goo to",
            "abx", "ab", "abxyz", "ab-", "ABß", "assß", "ab{",
        ] {
            assert!(may_begin(text), "{text}");
        }
        for text in [
            "the ", "assume", "gone ", "to hell", "fun ", "a b", "a@s ", "as[", "f", "1st",
        ] {
            assert!(!may_begin(text), "{text}");
        }
    }
}
