//! What characters beyond ASCII are to the features: letters, words by themselves, marks.

use super::{CLASSES, Class, FOLDED, mix};

/// What a character beyond ASCII is to the pass.
#[derive(PartialEq, Eq)]
pub(super) enum Wide {
    /// Part of a word.
    Letter(u8),
    /// A word by itself.
    Sign(u32),
    Mark(u32),
    Space,
    Nothing,
}

/// The plain letters of U+00C0–U+017F, `*` where there is none.
const PLAIN: &[u8; 192] = b"aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty\
aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkkllllllllllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";

/// A letter of a script whose letters differ in their last bits.
fn letter(c: u32) -> Wide {
    Wide::Letter(c as u8 | 0x80)
}

#[inline]
pub(super) fn wide(c: char) -> Wide {
    match c {
        // Most of what is written in these scripts.
        '\u{4E00}'..='\u{9FFF}' | '\u{3040}'..='\u{30FF}' | '\u{AC00}'..='\u{D7AF}' => Wide::Sign(c as u32),
        '\u{430}'..='\u{44F}' => letter(c as u32),
        _ => rarer(c),
    }
}

fn rarer(c: char) -> Wide {
    match c {
        '\u{C0}'..='\u{17F}' => match PLAIN[c as usize - 0xC0] {
            b'*' => Wide::Mark(mix(c as u32)),
            letter => Wide::Letter(letter),
        },
        '\u{80}'..='\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{3000}' => Wide::Space,
        '\u{AD}'
        | '\u{300}'..='\u{36F}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2060}'..='\u{2064}'
        | '\u{FE00}'..='\u{FE0F}' => Wide::Nothing,
        '\u{A1}'..='\u{BF}' | '\u{2010}'..='\u{2BFF}' | '\u{3001}'..='\u{3004}' | '\u{3008}'..='\u{3030}' => {
            Wide::Mark(mix(c as u32))
        }
        '\u{410}'..='\u{42F}' => letter(c as u32 + 0x20),
        '\u{400}'..='\u{40F}' => letter(c as u32 + 0x50),
        '\u{391}'..='\u{3A9}' => letter(c as u32 + 0x20),
        '\u{E00}'..='\u{EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}' => Wide::Sign(c as u32),
        '\u{2E80}'..='\u{2FFF}' | '\u{3400}'..='\u{4DFF}' => Wide::Sign(c as u32),
        '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}' => Wide::Sign(c as u32),
        '\u{FF01}'..='\u{FF5E}' => {
            let ascii = c as usize - 0xFF01 + 0x21;
            match CLASSES[ascii] {
                Class::Word => Wide::Letter(FOLDED[ascii]),
                _ => Wide::Mark(mix(u32::from(FOLDED[ascii]))),
            }
        }
        '\u{FF61}'..='\u{FF65}' => Wide::Mark(mix(c as u32)),
        '\u{1F000}'..='\u{1FAFF}' => Wide::Mark(mix(0x1F600)),
        _ => letter(c as u32),
    }
}
