//! Text as a model would cut it: tokens of a few characters.

/// Cuts text into tokens: a word with the space before it, long words in parts, signs alone.
pub fn tokens(text: &str) -> Vec<&str> {
    const LONGEST: usize = 7;
    let mut cuts = Vec::new();
    let (mut start, mut length) = (0, 0);
    let mut before = None;
    for (at, ch) in text.char_indices() {
        let word = ch.is_ascii_alphanumeric();
        let joins =
            word && (before == Some(' ') || before.is_some_and(|c| c.is_ascii_alphanumeric() && length < LONGEST));
        if !joins && at > start {
            cuts.push(&text[start..at]);
            (start, length) = (at, 0);
        }
        length += 1;
        before = Some(ch);
    }
    if start < text.len() {
        cuts.push(&text[start..]);
    }
    cuts
}

/// Cuts text into pieces of `size` characters.
pub fn pieces(text: &str, size: usize) -> Vec<&str> {
    let mut starts: Vec<usize> = text.char_indices().map(|(at, _)| at).step_by(size.max(1)).collect();
    starts.push(text.len());
    starts
        .windows(2)
        .filter_map(|pair| text.get(*pair.first()?..*pair.last()?))
        .collect()
}

/// How many tokens a text has.
pub fn count(text: &str) -> u64 {
    tokens(text).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text() {
        for text in [
            "",
            " ",
            "Hello, world!",
            "  two  spaces ",
            "internationalisation",
            "数字と\u{1F600}e\u{301}",
            "a\n\nb",
        ] {
            assert_eq!(tokens(text).concat(), text);
            for size in 1..9 {
                assert_eq!(pieces(text, size).concat(), text);
            }
        }
        assert_eq!(tokens("Hello, world!"), ["Hello", ",", " world", "!"]);
        assert_eq!(tokens("internationalisation").len(), 3);
    }
}
