//! Which rewritings a text may need: a few wide comparisons a byte, so that plain text pays for no more.

use super::escapes::may_escape;
use super::flip;

/// Bytes that are looked at in one go.
const BLOCK: usize = 64;
/// Bytes after a block that its last patterns reach into.
const AHEAD: usize = 16;

/// What a text may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Triggers {
    pub(super) escapes: bool,
    pub(super) runs: bool,
    pub(super) joined: bool,
    pub(super) leet: bool,
    pub(super) rot13: bool,
    pub(super) reversed: bool,
}

/// Whether characters beyond ASCII may hide ASCII letters: look-alikes and marks beside letters,
/// tags, runs of variation selectors.
pub(super) fn may_hide(text: &str) -> bool {
    let bytes = text.as_bytes();
    let alpha = |b: u8| (b | 0x20).wrapping_sub(b'a') < 26;
    // Leads of accented Latin, marks, Greek, Cyrillic, Armenian; U+1xxx; U+Axxx.
    let lead = |b: u8| b.wrapping_sub(0xC3) < 0x14 || b == 0xE1 || b == 0xEA;
    bytes.chunks(BLOCK).enumerate().any(|(index, block)| {
        let from = index * BLOCK;
        if block.is_ascii() {
            return bytes
                .get(from + BLOCK)
                .is_some_and(|b| lead(*b) && alpha(bytes[from + BLOCK - 1]));
        }
        // The neighbours of both ends belong to the block.
        let seen = &bytes[from.saturating_sub(2)..bytes.len().min(from + BLOCK + 1)];
        let mut found = 0u8;
        for pair in seen.windows(2) {
            found |= u8::from(alpha(pair[0]) & lead(pair[1]));
        }
        for three in seen.windows(3) {
            found |= u8::from(alpha(three[2]) & lead(three[0]) & (three[1] & 0xC0 == 0x80));
        }
        // Tags and the further variation selectors; enclosed letters of the emoji blocks.
        found != 0 || seen.contains(&0xF3) || smuggles(seen)
    })
}

/// Two variation selectors in a row, or letters that are symbols.
fn smuggles(bytes: &[u8]) -> bool {
    let selectors = |w: &[u8]| w[0] == 0xEF && w[1] == 0xB8 && w[2] & 0xF0 == 0x80 && w[3] == 0xEF && w[4] == 0xB8;
    bytes.windows(5).any(selectors)
        || bytes
            .windows(3)
            .any(|w| w[0] == 0xF0 && w[1] == 0x9F && (w[2] == 0x84 || w[2] == 0x85))
}

/// What `text`, folded already, may hold.
pub(super) fn triggers(text: &str) -> Triggers {
    let bytes = text.as_bytes();
    let mut found = Triggers {
        rot13: flip::may_be_rot13(bytes),
        reversed: flip::may_be_reversed(text),
        escapes: memchr::memchr3_iter(b'&', b'%', b'\\', bytes).any(|at| may_escape(&bytes[at..])),
        ..Triggers::default()
    };
    let mut at = 0;
    while at < bytes.len() && !(found.runs && found.joined && found.leet) {
        match bytes.get(at..at + BLOCK + AHEAD).and_then(|b| b.try_into().ok()) {
            Some(block) => look(block, &mut found),
            None => {
                let mut block = [b'\n'; BLOCK + AHEAD];
                let rest = &bytes[at..];
                let len = rest.len().min(BLOCK + AHEAD);
                block[..len].copy_from_slice(&rest[..len]);
                look(&block, &mut found);
            }
        }
        at += BLOCK;
    }
    found
}

/// Looks at one block. Every loop has a fixed length, so that it becomes a few vector instructions.
fn look(block: &[u8; BLOCK + AHEAD], found: &mut Triggers) {
    const ALL: usize = BLOCK + AHEAD;
    let (mut alpha, mut digit, mut other) = ([0u8; ALL], [0u8; ALL], [0u8; ALL]);
    for i in 0..ALL {
        alpha[i] = u8::from((block[i] | 0x20).wrapping_sub(b'a') < 26);
        digit[i] = u8::from(block[i].wrapping_sub(b'0') < 10);
        other[i] = u8::from(block[i] < 0x80) & !(alpha[i] | digit[i]) & 1;
    }
    let (mut single, mut pairs, mut mixed, mut split, mut marks) = (0u8, 0u8, 0u8, 0u8, 0u8);
    for i in 0..BLOCK {
        // Letters one by one, with gaps of one, two or three.
        let letter = (alpha[i] | digit[i]) & other[i + 1];
        let fourth = (alpha[i + 6] | digit[i + 6]) & (alpha[i] | alpha[i + 2] | alpha[i + 4]);
        single |= letter
            & (alpha[i + 2] | digit[i + 2])
            & other[i + 3]
            & (alpha[i + 4] | digit[i + 4])
            & other[i + 5]
            & fourth;
        let two = letter & other[i + 2] & alpha[i + 3] & other[i + 4] & other[i + 5] & alpha[i + 6];
        let three = letter
            & other[i + 2]
            & other[i + 3]
            & alpha[i + 4]
            & other[i + 5]
            & other[i + 6]
            & other[i + 7]
            & alpha[i + 8];
        single |= (two & other[i + 7]) | (three & other[i + 9]);
        // Numbers in a list.
        let list = digit[i] & (digit[i + 1] | alpha[i + 1]) & (digit[i + 2] | other[i + 2]);
        let gap = other[i + 2] | other[i + 3];
        pairs += list & gap & (digit[i + 3] | digit[i + 4] | other[i + 3]) & (digit[i + 5] | digit[i + 4]);
        // Digits and symbols beside letters.
        mixed += (alpha[i] & digit[i + 1]) | (digit[i] & alpha[i + 1]);
        mixed += alpha[i + 1] & u8::from(matches!(block[i], b'@' | b'$' | b'!'));
        let hyphen = u8::from(matches!(
            block[i + 1],
            b'-' | b'_' | b'.' | b'*' | b'|' | b'~' | b'+' | b'/' | b'^' | b'='
        ));
        split += alpha[i] & hyphen & alpha[i + 2];
        marks += u8::from(matches!(block[i], b'-' | b'.'));
    }
    // Sixteen digits of base64 in a row.
    let mut row = [0u8; ALL];
    for i in 0..ALL {
        row[i] = alpha[i] | digit[i] | u8::from(matches!(block[i], b'+' | b'/' | b'-' | b'_'));
    }
    for step in [1, 2, 4, 8] {
        for i in 0..ALL - step {
            row[i] &= row[i + step];
        }
    }
    // Two words taken apart may stand in two blocks.
    found.joined |= single != 0 || split >= 2;
    found.leet |= mixed >= 2;
    found.runs |= pairs >= 3 || mixed >= 4 || marks >= 10 || row[..BLOCK].contains(&1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_wakes_nothing() {
        let text = "The quick brown fox jumps over the lazy dog, and then writes a report about it (in 2019). \
            What is your name? I'd like 3 of them, at $5 each; e.g. on Monday. Tom & Jerry were 100% sure.\n\n- a list\n- of things\n";
        assert_eq!(triggers(text), Triggers::default());
    }

    #[test]
    fn other_scripts_hide_nothing() {
        for text in [
            "Переведи на английский: доброе утро",
            "हिन्दी में एक कविता लिखो",
            "日本語で自己紹介文を書いてください",
            "می\u{200C}خواهم 👩\u{200D}👩\u{200D}👧 🇩🇪 ❤\u{FE0F}",
            "Γειά σου κόσμε",
        ] {
            assert!(!may_hide(text), "{text}");
        }
        for text in ["Yоu", "оld", "e\u{301}", "x\u{E0041}", "ｅ\u{FE00}\u{FE01}"] {
            assert!(may_hide(text), "{text}");
        }
    }
}
