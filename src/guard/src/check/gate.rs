//! Which words of a text may be one of a list, told by how they begin: a set of what the first letters
//! of the lists' words may look like.

use super::trie::Tree;

/// Letters that are looked at.
const LETTERS: usize = 4;
/// A letter of this number is the end of the word.
const EDGE: u32 = 26;
/// What may stand for a letter, or is none of ASCII's: no beginning with it is told apart.
const ODD: u8 = 27;
const BITS: u32 = 17;

/// What each byte is.
const CLASSES: [u8; 256] = {
    let mut table = [ODD; 256];
    let mut byte = 0;
    while byte < 128 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' => byte as u8 - b'a',
            b'A'..=b'Z' => byte as u8 - b'A',
            b'0'..=b'9' | b'!' | b'@' | b'$' | b'*' | b'_' => ODD,
            _ => EDGE as u8,
        };
        byte += 1;
    }
    table
};

/// The set, hashed.
#[derive(Debug)]
pub(crate) struct Gate(Box<[u64; 1 << (BITS - 6)]>);

impl Gate {
    /// How the words of `tree` may begin, stretched letters included.
    pub(crate) fn new(tree: &Tree) -> Gate {
        let mut gate = Gate(Box::new([0; 1 << (BITS - 6)]));
        for (letter, node) in tree.letters(0) {
            gate.fill(tree, node, letter, 1, letter as u32 - 'a' as u32);
        }
        gate
    }

    /// `key`: the `depth` letters so far, `last` the latest.
    fn fill(&mut self, tree: &Tree, node: u32, last: char, depth: usize, key: u32) {
        if depth == LETTERS {
            return self.insert(key);
        }
        let accepts = tree.accepts(node);
        if !accepts.is_empty() || tree.step(node, ' ').is_some() {
            self.insert(key << 5 | EDGE);
        }
        if accepts.iter().any(|accept| accept.open) {
            self.fill_all(depth, key);
        }
        self.fill(tree, node, last, depth + 1, key << 5 | (last as u32 - 'a' as u32));
        for (letter, child) in tree.letters(node) {
            self.fill(tree, child, letter, depth + 1, key << 5 | (letter as u32 - 'a' as u32));
        }
    }

    /// Whatever follows.
    fn fill_all(&mut self, depth: usize, key: u32) {
        if depth == LETTERS {
            return self.insert(key);
        }
        self.insert(key << 5 | EDGE);
        (0..EDGE).for_each(|letter| self.fill_all(depth + 1, key << 5 | letter));
    }

    fn insert(&mut self, key: u32) {
        let (word, bit) = place(key);
        self.0[word] |= bit;
    }

    /// Whether the word that begins `text` may be one of a list. Where too little of the text is there, it may.
    #[inline]
    pub(crate) fn may_begin(&self, text: &[u8]) -> bool {
        let mut key = 0;
        for at in 0..LETTERS {
            let Some(byte) = text.get(at) else { return true };
            let class = CLASSES[usize::from(*byte)];
            if class == ODD {
                return true;
            }
            key = key << 5 | u32::from(class);
            if u32::from(class) == EDGE {
                break;
            }
        }
        let (word, bit) = place(key);
        self.0[word] & bit != 0
    }
}

fn place(key: u32) -> (usize, u64) {
    let hash = key.wrapping_mul(0x9E37_79B1) >> (32 - BITS);
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::super::trie::Accept;
    use super::*;

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
        for text in [
            "ass ", "ASS.", "aass ", "asss ", "fuuuuck", "ffuck", "Fucking", "fuck", "go to", "go, to", "goo to",
            "abx", "ab", "abxyz", "f", "1st", "f*ck", "a$s ", "aß",
        ] {
            assert!(gate.may_begin(text.as_bytes()), "{text}");
        }
        for text in ["the ", "assume", "gone ", "to hell", "fun ", "a b"] {
            assert!(!gate.may_begin(text.as_bytes()), "{text}");
        }
    }
}
