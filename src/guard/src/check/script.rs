//! What checks need to know about characters.

/// Whether a character is not seen: Unicode's Default_Ignorable_Code_Point, and annotation marks.
pub(crate) fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}'
        | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Whether words of this script stand without spaces between them, or take endings at will: they are
/// looked for anywhere.
#[inline]
pub(crate) fn is_unspaced(c: char) -> bool {
    c >= '\u{E00}'
        && matches!(c as u32,
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3105..=0x312F
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF | 0x20000..=0x323AF)
}

/// Letters, digits, and the marks that belong to a letter before them.
pub(crate) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    // Letters, all of them, without a look into Unicode's tables.
    let letter = matches!(c as u32, 0x400..=0x481 | 0x48A..=0x52F | 0x3041..=0x3096 | 0x30A1..=0x30FA
        | 0x4E00..=0x9FFF | 0xAC00..=0xD7A3);
    letter
        || c.is_alphanumeric()
        || matches!(c as u32, 0x300..=0x36F | 0x591..=0x5C7 | 0x610..=0x61A | 0x64B..=0x65F | 0x900..=0xDFF)
            && !matches!(c, '\u{964}' | '\u{965}')
}

/// Whether `c` is a letter that is looked for as it is, and seen: all of the commonest scripts without case.
#[inline]
pub(crate) fn is_plain_letter(c: char) -> bool {
    matches!(c, '\u{4E00}'..='\u{9FFF}' | '\u{3041}'..='\u{3096}' | '\u{30A1}'..='\u{30FA}' | '\u{AC00}'..='\u{D7A3}')
        || matches!(c, '\u{430}'..='\u{44F}')
}

/// Full-width forms as ASCII, everything in lower case.
#[inline]
pub(crate) fn fold(c: char) -> char {
    match c {
        '\0'..='\x7F' => c.to_ascii_lowercase(),
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).map_or(c, |c| c.to_ascii_lowercase()),
        // Scripts without case.
        '\u{2E80}'..='\u{A63F}' | '\u{AC00}'..='\u{D7A3}' => c,
        _ => c.to_lowercase().next().unwrap_or(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_cuts_say_what_unicode_says() {
        for c in '\0'..=char::MAX {
            let marks = matches!(c as u32, 0x300..=0x36F | 0x591..=0x5C7 | 0x610..=0x61A | 0x64B..=0x65F | 0x900..=0xDFF)
                && !matches!(c, '\u{964}' | '\u{965}');
            assert_eq!(is_word(c), c.is_alphanumeric() || marks, "{c:?}");
            assert!(
                !is_plain_letter(c) || (fold(c), is_word(c), is_ignorable(c)) == (c, true, false),
                "{c:?}"
            );
            if matches!(c as u32, 0x2E80..=0xA63F | 0xAC00..=0xD7A3) {
                assert_eq!(fold(c), c.to_lowercase().next().unwrap_or(c), "{c:?}");
            }
        }
    }
}
