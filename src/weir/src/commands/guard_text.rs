//! Places in a text, for people: line and column, and the line with the place marked.

/// Characters of a long line that are shown on each side of a place.
const AROUND: usize = 60;

/// Line and column of byte `at`, from 1, in characters.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

/// A line of text around a span, in three parts, and how many columns stand before the span.
#[derive(Debug, PartialEq)]
pub struct Excerpt {
    /// What stands before the span on its line.
    pub before: String,
    /// The span, as far as it lies on that line.
    pub span: String,
    /// What stands after it on that line.
    pub after: String,
}

impl Excerpt {
    /// The line that `start..end` begins on; a long one is cut.
    pub fn new(text: &str, start: usize, end: usize) -> Excerpt {
        let start = text.floor_char_boundary(start.min(text.len()));
        let end = text.ceil_char_boundary(end.min(text.len())).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let (head, tail) = (&text[line_start..start], &text[end.min(line_end)..line_end]);
        let cut = head.char_indices().rev().nth(AROUND).map(|(at, c)| at + c.len_utf8());
        let before = match cut {
            Some(at) => format!("…{}", printable(&head[at..])),
            None => printable(head),
        };
        let after = match tail.char_indices().nth(AROUND) {
            Some((at, _)) => format!("{}…", printable(&tail[..at])),
            None => printable(tail),
        };
        let mut span = printable(&text[start..end.min(line_end)]);
        if end > line_end {
            span.push('…');
        }
        Excerpt { before, span, after }
    }

    /// A line of marks that stands under the span.
    pub fn marks(&self) -> String {
        let marks = columns(&self.span).max(1);
        format!("{}{}", " ".repeat(columns(&self.before)), "^".repeat(marks))
    }
}

/// `text` so that a terminal shows it and obeys none of it: controls and what is invisible are named.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push(' '),
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('?')),
            '\x7f' => out.push('\u{2421}'),
            _ if c.is_control() || is_invisible(c) => out.push_str(&format!("<U+{:04X}>", c as u32)),
            _ => out.push(c),
        }
    }
    out
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Columns that a terminal needs for `text`, near enough.
fn columns(text: &str) -> usize {
    let wide = |c: char| {
        matches!(c as u32, 0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F300..=0x1FAFF | 0x20000..=0x3FFFD)
    };
    let none = |c: char| matches!(c as u32, 0x300..=0x36F | 0xFE00..=0xFE0F);
    let width = |c: char| 1 + usize::from(wide(c)) - usize::from(none(c));
    text.chars().map(width).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_under_the_span() {
        let text = "first\nto 日本 <jane> now\nlast";
        let start = text.find('<').unwrap();
        let excerpt = Excerpt::new(text, start, start + 6);
        assert_eq!((excerpt.before.as_str(), excerpt.span.as_str()), ("to 日本 ", "<jane>"));
        assert_eq!(excerpt.after, " now");
        assert_eq!(excerpt.marks(), format!("{}^^^^^^", " ".repeat(8)));
        assert_eq!(line_and_column(text, start), (2, 7));
    }

    #[test]
    fn a_terminal_obeys_none_of_it() {
        assert_eq!(printable("\x1b[31m\u{200b}é\u{9b}"), "␛[31m<U+200B>é<U+009B>");
        let long = format!("{}\x1b{}", "a".repeat(500), "b".repeat(500));
        let excerpt = Excerpt::new(&long, 500, 501);
        assert!(excerpt.before.chars().count() == AROUND + 1 && excerpt.before.starts_with('…'));
        assert_eq!(excerpt.span, "␛");
    }

    #[test]
    fn odd_bounds_are_no_trouble() {
        for (start, end) in [(0, 0), (1, 2), (5, 99), (99, 5), (2, 6)] {
            let excerpt = Excerpt::new("é\nü\nx", start, end);
            assert!(!excerpt.marks().is_empty());
        }
    }
}
