//! Go's regular expressions in the words of this crate's parser.

/// What was rewritten, and what had to be given up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    pub(super) regex: String,
    /// `\B` is not looked at.
    pub(super) lost_boundary: bool,
}

/// Rewrites what Go's RE2 syntax and this crate's parser read differently: a brace that counts nothing,
/// brackets and doubled signs in classes, negated classes in classes, `\B`, `\<`.
pub(super) fn translate(regex: &str) -> Translated {
    let mut out = String::with_capacity(regex.len() + 16);
    let mut lost_boundary = false;
    let mut in_class = false;
    let mut rest = regex;
    // Whether there is something before that a count may repeat.
    let mut atom = false;
    while let Some(c) = rest.chars().next() {
        let mut taken = c.len_utf8();
        match c {
            '\\' => {
                let escaped = rest[1..].chars().next();
                taken += escaped.map_or(0, char::len_utf8);
                match (escaped, in_class) {
                    (Some('S'), true) => out.push_str(r"\x00-\x08\x0E-\x1F!-\x{10FFFF}"),
                    (Some('D'), true) => out.push_str(r"\x00-/:-\x{10FFFF}"),
                    (Some('W'), true) => out.push_str(r"\x00-/:-@\[-\^`{-\x{10FFFF}"),
                    (Some('B'), false) => lost_boundary = true,
                    (Some(angle @ ('<' | '>')), _) => out.push(angle),
                    _ => out.push_str(&rest[..taken]),
                }
                atom = true;
            }
            '[' if in_class => {
                if rest.starts_with("[:")
                    && let Some(end) = rest.find(":]")
                {
                    taken = end + 2;
                    out.push_str(&rest[..taken]);
                } else {
                    out.push_str(r"\[");
                }
            }
            '[' => {
                in_class = true;
                out.push('[');
                if let Some(negated) = rest[1..].strip_prefix('^') {
                    out.push('^');
                    taken += 1;
                    taken += first_bracket(negated, &mut out);
                } else {
                    taken += first_bracket(&rest[1..], &mut out);
                }
            }
            ']' if in_class => {
                in_class = false;
                atom = true;
                out.push(']');
            }
            '&' | '~' | '-' if in_class && rest[1..].starts_with(c) => {
                out.push('\\');
                out.push(c);
            }
            '{' if !(in_class || atom && is_count(rest)) => {
                out.push_str(r"\{");
                atom = true;
            }
            _ => {
                out.push(c);
                if !in_class {
                    atom = !matches!(c, '(' | '|');
                }
            }
        }
        rest = &rest[taken..];
    }
    Translated {
        regex: out,
        lost_boundary,
    }
}

/// A `]` right at the start of a class stands for itself.
fn first_bracket(rest: &str, out: &mut String) -> usize {
    if rest.starts_with(']') {
        out.push_str(r"\]");
        1
    } else {
        0
    }
}

fn is_count(rest: &str) -> bool {
    let Some((counts, _)) = rest[1..].split_once('}') else {
        return false;
    };
    let (least, most) = counts.split_once(',').unwrap_or((counts, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !least.is_empty() && digits(least) && digits(most)
}

/// Leaves out the repetition of a class that a match may begin with or not: a match with it holds one
/// without it, and what the rule calls the secret is the same. Nearly every rule of gitleaks begins so,
/// and would be tried at every letter.
pub(super) fn without_optional_start(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex;
    loop {
        if let Some(flags) = rest.strip_prefix("(?") {
            let end = flags
                .bytes()
                .take_while(|b| b.is_ascii_alphabetic() || *b == b'-')
                .count();
            if matches!(flags.as_bytes().get(end), Some(b')' | b':')) && !flags.starts_with('P') {
                out.push_str(&rest[..end + 3]);
                rest = &rest[end + 3..];
                continue;
            }
        }
        match optional_class(rest) {
            Some(length) => rest = &rest[length..],
            None => return out + rest,
        }
    }
}

/// The length of a class with `*` or `{0,n}`, lazy or not, at the start of `rest`.
fn optional_class(rest: &str) -> Option<usize> {
    let mut escaped = false;
    let close = rest.strip_prefix('[')?.bytes().position(|b| {
        let closes = b == b']' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    })? + 2;
    let tail = &rest[close..];
    let count = if tail.starts_with('*') {
        1
    } else if tail.starts_with("{0,") && is_count(tail) {
        tail.find('}')? + 1
    } else {
        return None;
    };
    Some(close + count + usize::from(tail[count..].starts_with('?')))
}

/// Great counts, and the counts of groups, as loops: for an expression whose automaton is too big as
/// it is.
pub(super) fn loosen(regex: &str) -> String {
    let mut out = String::with_capacity(regex.len());
    let mut rest = regex;
    while let Some(at) = rest.find('{') {
        let (before, counted) = rest.split_at(at);
        out.push_str(before);
        let counts = counted[1..]
            .split_once('}')
            .and_then(|(counts, tail)| Some((counts.split_once(',')?, tail)));
        match counts {
            Some(((least, most), tail)) if is_count(counted) && !before.ends_with('\\') => {
                let number = |text: &str| text.parse::<u32>().unwrap_or(0);
                let great = number(most) >= 50 || (most.is_empty() && number(least) >= 20);
                if great || (before.ends_with(')') && !most.is_empty()) {
                    out.push_str(if number(least) == 0 { "*" } else { "+" });
                    rest = tail;
                    continue;
                }
                out.push('{');
                rest = &counted[1..];
            }
            _ => {
                out.push('{');
                rest = &counted[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_syntax_is_read_as_go_reads_it() {
        for (go, ours) in [
            (r"^\$(?:\d+|{\d+})$", r"^\$(?:\d+|\{\d+})$"),
            (r"a{2,3}b{x}", r"a{2,3}b\{x}"),
            (r"[[a]x", r"[\[a]x"),
            (r"[]a]", r"[\]a]"),
            (r"[[:alnum:]]{14}", r"[[:alnum:]]{14}"),
            (r"[\s\S-]{64,}?", r"[\s\x00-\x08\x0E-\x1F!-\x{10FFFF}-]{64,}?"),
            (r"a(?:\B|\s)", r"a(?:|\s)"),
            (r"[a&&b]", r"[a\&&b]"),
        ] {
            assert_eq!(translate(go).regex, ours, "{go}");
            assert!(regex_syntax::parse(ours).is_ok(), "{ours}");
        }
        assert!(translate(r"a\B").lost_boundary);
    }

    #[test]
    fn optional_starts_are_left_out() {
        for (all, kept) in [
            (r"(?i)[\w.-]{0,50}?(?:acme)x", r"(?i)(?:acme)x"),
            (r"[\w.-]{0,50}?(?i:[\w.-]{0,50}?(?:acme)y)x", r"(?i:(?:acme)y)x"),
            (r"[a\]]*b", "b"),
            (r"[ab]{1,2}c", r"[ab]{1,2}c"),
            (r"\b[ab]*c", r"\b[ab]*c"),
        ] {
            assert_eq!(without_optional_start(all), kept);
        }
    }

    #[test]
    fn great_counts_become_loops() {
        assert_eq!(
            loosen(r"a{0,200}b{3}\{1,90}c{2,9}(?:d{30,}?){1,5}"),
            r"a*b{3}\{1,90}c{2,9}(?:d+?)+"
        );
    }
}
