use super::*;

fn pattern(regex: &str) -> Pattern {
    Pattern::new(regex, regex, false, None, false).unwrap()
}

#[test]
fn prefixes_are_case_folded_and_minimal() {
    let folded = Pattern::new(
        "(?i)ignore (?:all|previous)",
        "ignore (?:all|previous)",
        false,
        None,
        false,
    )
    .unwrap();
    let literals = |pattern: &Pattern| -> Vec<String> {
        let all = pattern.prefixes.iter().flatten();
        all.map(|prefix| String::from_utf8_lossy(&prefix.literal).into_owned())
            .collect()
    };
    assert_eq!(literals(&folded), ["ignore all", "ignore previ"]);
    assert_eq!(literals(&pattern(r"\bsk-(?:proj-)?[A-Z]{20}")), ["sk-"]);
    assert_eq!(literals(&pattern(r"xox[ab]-\d{10}")), ["xoxa-", "xoxb-"]);
    assert!(pattern(r"\b\d{3}-\d{2}").prefixes.is_none());
}

#[test]
fn what_follows_a_literal_is_part_of_what_wakes() {
    let wakes = |text: &str| {
        let regex = r"\bas[ \n\t,;:.!?-]{1,4}an? ai\b";
        let rule = Pattern::new(regex, regex, true, None, false).unwrap();
        rule.literal_at(text.as_bytes(), 0).is_some()
    };
    assert!(wakes("As an AI") && wakes("as\na ai") && wakes("as  an") && wakes("as a") && wakes("as"));
    assert!(!wakes("ask an") && !wakes("as the") && !wakes("as abc") && !wakes("as  the"));
    // Where a match may have ended, anything may follow.
    assert!(pattern("ab(?:c|)").literal_at(b"abxyz", 0).is_some());
    assert!(
        pattern(r"ab\b(?:c|)").literal_at(b"abxyz", 0).is_some(),
        "it may end with the text"
    );
}

#[test]
fn boundary_is_seen_through_alternations() {
    assert!(pattern(r"\b(?:ab|\d)x").boundary);
    assert!(pattern(r"(?:\bab|\bcd)x").boundary);
    assert!(!pattern(r"(?:\bab|cd)x").boundary);
    assert!(!pattern(r"\b-abc").boundary, "a dash after a letter is at a boundary");
}

#[test]
fn lengths_are_derived_or_refused() {
    assert_eq!(pattern(r"ab\d{3,9}é?").max_len, 13);
    assert!(matches!(
        Pattern::new("ab+", "ab+", false, None, false),
        Err(PatternError::Unbounded)
    ));
    assert_eq!(Pattern::new("ab+", "ab+", false, Some(10), false).unwrap().max_len, 10);
    assert!(matches!(
        Pattern::new("ab*", "ab*", false, Some(0), false),
        Err(PatternError::MaxLen(0))
    ));
    assert!(matches!(
        Pattern::new("abc", "abc", false, Some(2), false),
        Err(PatternError::MaxLenTooShort(2, 3))
    ));
    assert!(matches!(
        Pattern::new("(?:ab)?", "(?:ab)?", false, None, false),
        Err(PatternError::Empty)
    ));
    assert!(matches!(
        Pattern::new("a{9000}", "a{9000}", false, None, false),
        Err(PatternError::TooLong(9000))
    ));
    assert!(matches!(
        Pattern::new("[a-z]{9}", "[a-z]{9}", false, None, false),
        Err(PatternError::WeakStart)
    ));
    assert!(matches!(
        Pattern::new(r"\b[\W]x", r"\b[\W]x", false, None, false),
        Err(PatternError::NegatedPerl)
    ));
}

#[test]
fn perl_classes_are_ascii() {
    let p = pattern(r"ab[\w.]\d\b");
    assert_eq!(p.max_len, 4);
}

#[test]
fn runs_as_a_regex_engine_does() {
    let regexes = [
        r"\b(?:ab|a|abc)\b",
        r"\bab{1,3}?c?\b",
        r"ab(?:c|cd)(?:d|$)",
        r"(?m)^a(?s:.){1,3}?$",
        r"(?Rm)^a\s?b$",
        r"(?i)\bstra(?:ss|ß)e(?:n)?",
        r"ab(?:[ _]+c){0,2}\b",
        r"(?:\ba|\bab|b\b)c?",
        r"[aé]{1,2}b\b{end}",
    ];
    let texts = [
        "ab abc abbbbc ab",
        "abcd abcd",
        "a\nb\r\na b\n",
        "Strassen STRAßE",
        "ab_c c ab c",
        "éab aéb.",
        "abc",
    ];
    for regex in regexes {
        let pattern = Pattern::new(regex, regex, false, Some(20), false).unwrap();
        let tree = parse(regex, false).unwrap();
        let peer = PikeVM::new_from_nfa(nfa(&tree, WhichCaptures::All).unwrap()).unwrap();
        let mut cache = peer.create_cache();
        for text in texts {
            for (start, _) in text.char_indices() {
                let input = Input::new(text).range(start..).anchored(Anchored::Yes);
                let expected = peer.find(&mut cache, input).map_or(0, |m| m.end());
                let before = before_class(start.checked_sub(1).map(|i| text.as_bytes()[i]));
                let found = pattern.run(text.as_bytes(), start, start, pattern.start(before)).end;
                assert_eq!(found, expected, "{regex} at {start} of {text:?}");
            }
        }
    }
}
