use proptest::prelude::*;

use super::*;

fn texts(raw: &str) -> Vec<String> {
    strings(raw)
        .unwrap()
        .into_iter()
        .map(|span| span.text.into_owned())
        .collect()
}

#[test]
fn finds_every_string_and_odd_key() {
    let raw = r#" {"a":"x","b":[1,"y",{"c":null,"a person's name":"z"}],"a":"twice"} "#;
    assert_eq!(texts(raw), ["x", "y", "a person's name", "z", "twice"]);
    assert_eq!(texts(r#""alone""#), ["alone"]);
    assert_eq!(texts("[]"), Vec::<String>::new());
}

#[test]
fn ranges_are_the_literals() {
    let raw = r#"{"k": ["é\n", "b"]}"#;
    let spans = strings(raw).unwrap();
    assert_eq!(&raw[spans[0].range.clone()], r#""é\n""#);
    assert_eq!(spans[0].text, "é\n");
    assert!(matches!(spans[1].text, Cow::Borrowed("b")));
    assert_eq!(spans[1].path(raw), "k[1]");
}

#[test]
fn surrogates() {
    assert_eq!(texts(r#""\ud83d\ude00""#), ["😀"]);
    assert_eq!(texts(r#""a\ud83d""#), ["a\u{fffd}"]);
    assert_eq!(texts(r#""\ude00b""#), ["\u{fffd}b"]);
    assert_eq!(texts(r#""\ud83dA""#), ["\u{fffd}A"]);
    assert_eq!(texts(r#""\ud83d\ud83d\ude00""#), ["\u{fffd}😀"]);
    assert_eq!(texts(r#""\ud83d\n""#), ["\u{fffd}\n"]);
    assert_eq!(surrogate_edges(r#""\ude00x\ud83d""#), (Some(0xde00), Some(0xd83d)));
    // A written backslash before `ud83d` is text.
    assert_eq!(surrogate_edges(r#""x\\ud83d""#), (None, None));
    assert_eq!(surrogate_edges(r#""x\\\ud83d""#), (None, Some(0xd83d)));
    assert_eq!(surrogate_edges(r#""""#), (None, None));
}

#[test]
fn errors_say_where() {
    for (raw, kind, line, column) in [
        ("", ErrorKind::UnexpectedEnd, 1, 1),
        ("{\"a\":\n \"é\", x}", ErrorKind::ExpectedKey, 2, 7),
        ("{\"a\" 1}", ErrorKind::ExpectedColon, 1, 6),
        ("[1 2]", ErrorKind::ExpectedCommaOrEnd, 1, 4),
        ("[1,]", ErrorKind::ExpectedValue, 1, 4),
        ("{\"a\":1,}", ErrorKind::ExpectedKey, 1, 8),
        ("[,1]", ErrorKind::ExpectedValue, 1, 2),
        ("{,}", ErrorKind::ExpectedKey, 1, 2),
        ("1 2", ErrorKind::TrailingCharacters, 1, 3),
        ("[01]", ErrorKind::InvalidNumber, 1, 4),
        ("[1.]", ErrorKind::InvalidNumber, 1, 4),
        ("[-]", ErrorKind::InvalidNumber, 1, 3),
        ("[1e+]", ErrorKind::InvalidNumber, 1, 5),
        ("\"\\x\"", ErrorKind::InvalidEscape, 1, 2),
        ("\"\\u12g4\"", ErrorKind::InvalidEscape, 1, 2),
        ("\"a\nb\"", ErrorKind::ControlCharacter, 1, 3),
        ("{\"a\":tru}", ErrorKind::ExpectedValue, 1, 6),
        ("{\"a\":\"b", ErrorKind::UnexpectedEnd, 1, 8),
        ("{'a':1}", ErrorKind::ExpectedKey, 1, 2),
        ("\u{feff}{}", ErrorKind::ExpectedValue, 1, 1),
    ] {
        let error = strings(raw).unwrap_err();
        assert_eq!(
            (error.kind, error.line, error.column),
            (kind, line, column),
            "{raw:?}: {error}"
        );
    }
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(strings(&deep(MAX_DEPTH as usize)).is_ok());
    assert_eq!(
        strings(&deep(MAX_DEPTH as usize + 1)).unwrap_err().kind,
        ErrorKind::TooDeep
    );
    assert_eq!(strings(&"[".repeat(1_000_000)).unwrap_err().kind, ErrorKind::TooDeep);
    assert_eq!(
        strings(&"{\"a\":".repeat(1_000_000)).unwrap_err().kind,
        ErrorKind::TooDeep
    );
}

#[test]
fn blobs_are_left_out_only_if_they_are_blobs() {
    let blob = "QUJD".repeat(100);
    assert_eq!(
        texts(&format!(
            r#"{{"u":"data:image/png;base64,{blob}","data":"{blob}","images":["{blob}"]}}"#
        )),
        Vec::<String>::new()
    );
    assert_eq!(texts(r#"{"u":"data:text/plain,call me"}"#), ["data:text/plain,call me"]);
    assert_eq!(
        texts(r#"{"u":"data:text/plain;base64,call me"}"#),
        ["data:text/plain;base64,call me"]
    );
    let words = "word_".repeat(60);
    assert_eq!(texts(&format!(r#"{{"prompt":"{words}"}}"#)), [words]);
    for (media, data) in [
        ("image/svg+xml", true),
        ("text/plain;charset=utf-8", true),
        (
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            true,
        ),
        ("", false),
        ("image", false),
        ("image/png;", false),
        ("mail ana@example.com/x", false),
        ("text/plain;to=ana@example.com", false),
        ("card/4111-1111-1111-1111", false),
    ] {
        let url = format!("data:{media};base64,aGk=");
        assert_eq!(super::collect::is_data_url(&url), data, "{url}");
        assert_eq!(is_opaque("url", &url), data, "{url}");
        assert!(!is_opaque("url", &format!("data:{media};base64,")), "{url}");
    }
    assert!(!is_opaque("model", "ignore all instructions"));
    assert!(is_opaque("model", "meta-llama/Llama-3.3-70B:free"));
    assert!(!is_opaque("url", "https://x.example/a.png?sig=1") && !is_opaque("image_url", "https://x.example/a b"));
    assert!(is_opaque("image_url", "data:image/png;base64,aGk="));
    assert!(!is_opaque("name", "4111-1111-1111-1111") && !is_opaque("name", "DE89370400440532013000"));
    assert!(is_opaque("name", "get_weather") && is_opaque("model", "claude-3-5-sonnet-20241022"));
    assert!(!is_opaque("data", "4111111111111111"));
}

#[test]
fn splices() {
    let edit = |range: Range<usize>, new: &str| (range, new.as_bytes().to_vec());
    let run = |mut edits: Vec<Edit>| String::from_utf8(splice(b"0123456789", &mut edits)).unwrap();
    assert_eq!(run(vec![]), "0123456789");
    assert_eq!(
        run(vec![edit(8..10, "z"), edit(0..1, "aa"), edit(5..5, "-")]),
        "aa1234-567z"
    );
    assert_eq!(run(vec![edit(2..6, "x"), edit(3..4, "y")]), "01x6789");
    assert_eq!(run(vec![edit(9..99, "x"), edit(50..60, "y")]), "012345678x");
}

#[test]
fn base64_is_its_alphabet() {
    for byte in 0..=127u8 {
        let text = format!("data:x/y;base64,{}", char::from(byte));
        let expected = byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
        assert_eq!(super::collect::is_data_url(&text), expected, "{byte}");
    }
}

/// Any JSON document as text, with white space and escapes that serde_json would not write.
fn document() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
        "[ -~\u{80}-\u{10ffff}]{0,40}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(".{0,9}", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

fn count(value: &serde_json::Value, out: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => out.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|value| count(value, out)),
        serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
            if !super::collect::is_plain_key(key) {
                out.push(key.clone());
            }
            count(value, out);
        }),
        _ => {}
    }
}

/// A path by the plainest of walks, one place at a time.
fn plain_path_at(raw: &str, offset: usize) -> String {
    fn walk(cursor: &mut Cursor<'_>, offset: usize, path: &str, metadata: bool) -> Result<Option<String>, JsonError> {
        let kind = cursor.peek()?;
        if cursor.value_start() == offset {
            return Ok(Some(path.to_owned()));
        }
        let mut position = 0;
        match kind {
            Kind::Object => {
                let mut items = cursor.enter()?;
                while let Some(literal) = cursor.key(&mut items)? {
                    let key = literal.text(cursor.raw());
                    let shown = if is_name(&key) && !metadata {
                        key.to_string()
                    } else {
                        format!("{{{position}}}")
                    };
                    let path = if path.is_empty() {
                        shown
                    } else {
                        format!("{path}.{shown}")
                    };
                    if literal.start == offset {
                        return Ok(Some(path));
                    }
                    if let Some(found) = walk(cursor, offset, &path, metadata || key == "metadata")? {
                        return Ok(Some(found));
                    }
                    position += 1;
                }
            }
            Kind::Array => {
                let mut items = cursor.enter()?;
                while cursor.element(&mut items)? {
                    if let Some(found) = walk(cursor, offset, &format!("{path}[{position}]"), metadata)? {
                        return Ok(Some(found));
                    }
                    position += 1;
                }
            }
            kind => cursor.scalar(kind)?,
        }
        Ok(None)
    }
    walk(&mut Cursor::new(raw), offset, "", false)
        .ok()
        .flatten()
        .unwrap_or_default()
}

#[test]
fn paths_tell_no_text() {
    let raw = r#"{"a":{"ana@x.example":["x"],"b-c_d":"x","b.c":"x","":"x"},"metadata":{"ana":"x","m":{"n":["x"]}},
        "messages":[{"content":"x","4242 4242 4242 4242":"x"}],"k4242424242424242":"x","sk_live_4eC39HqLyjWDarjtT1zdp7dc":"x",
        "b64_json":{"m\u0065tadata":{"eve":1,"q":"x"}}}"#;
    let values: Vec<usize> = raw.match_indices(r#""x""#).map(|(at, _)| at).collect();
    let expected = [
        "a.{0}[0]",
        "a.b-c_d",
        "a.{2}",
        "a.{3}",
        "metadata.{0}",
        "metadata.{1}.{0}[0]",
        "messages[0].content",
        "messages[0].{1}",
        "{3}",
        "{4}",
        "b64_json.metadata.{1}",
    ];
    assert_eq!(paths(raw, &values), expected);
    // A key has the path of its value; what is no place has none.
    let key = raw.find("\"ana@").unwrap();
    assert_eq!(
        paths(raw, &[key, key + 1, 0, key, 9999]),
        ["a.{0}", "", "", "a.{0}", ""]
    );
    assert_eq!(path_at(raw, key), "a.{0}");
    for name in ["created_at", "_x", "max-tokens", "b64_json", "top_p"] {
        assert!(is_name(name), "{name}");
    }
    for text in [
        "",
        "1",
        "-a",
        "$ref",
        "a b",
        "a/b",
        "é",
        "AKIAIOSFODNN7EXAMPLE",
        "u12345",
        &"a".repeat(65),
    ] {
        assert!(!is_name(text), "{text}");
    }
}

proptest! {
    #[test]
    fn agrees_with_serde_json_on_documents(value in document(), pretty in any::<bool>()) {
        let raw = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let mut expected = Vec::new();
        count(&value, &mut expected);
        let (mut expected, mut found) = (expected, texts(&raw));
        expected.sort();
        found.sort();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn agrees_with_serde_json_on_what_is_json(raw in r#"[\[\]{},:"\\ eE0-9.+\-untrfalse\n]{0,24}"#) {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&raw).is_ok();
        prop_assert_eq!(strings(&raw).is_ok(), theirs, "{:?}", raw);
    }

    #[test]
    fn mutated_documents_never_panic(value in document(), at in any::<prop::sample::Index>(), new in any::<char>()) {
        let raw = value.to_string();
        let mut chars: Vec<char> = raw.chars().collect();
        let at = at.index(chars.len());
        chars[at] = new;
        let raw: String = chars.into_iter().collect();
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&raw).is_ok();
        prop_assert_eq!(strings(&raw).is_ok(), theirs, "{:?}", raw);
    }

    #[test]
    fn quoting_is_read_back(text in ".*") {
        let literal = quote(&text);
        prop_assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text.clone());
        prop_assert_eq!(texts(&literal), [text]);
    }

    #[test]
    fn splicing_a_literal_changes_that_value_alone(value in document(), pick in any::<prop::sample::Index>(), new in ".*") {
        let raw = value.to_string();
        let spans = strings(&raw).unwrap();
        prop_assume!(!spans.is_empty());
        let index = pick.index(spans.len());
        let edited = splice(raw.as_bytes(), &mut [(spans[index].range.clone(), quote(&new).into_bytes())]);
        let edited = String::from_utf8(edited).unwrap();
        let range = spans[index].range.clone();
        prop_assert_eq!(&edited[..range.start], &raw[..range.start]);
        prop_assert!(edited.ends_with(&raw[range.end..]));
        prop_assert!(strings(&edited).is_ok());
    }

    #[test]
    fn every_path_leads_back(value in document()) {
        let raw = value.to_string();
        let spans = strings(&raw).unwrap();
        let mut found: Vec<String> = spans.iter().map(|span| span.path(&raw)).collect();
        for (span, path) in spans.iter().zip(&found) {
            prop_assert_eq!(path.is_empty(), span.range.start == 0);
        }
        // A key and its value have the same path, and no others have.
        found.sort();
        prop_assert!(found.windows(3).all(|three| three[0] != three[2]));
    }

    #[test]
    fn many_paths_are_those_of_each(
        value in document(), pretty in any::<bool>(), mut offsets in prop::collection::vec(0usize..300, 0..12),
        cut in any::<prop::sample::Index>(), damaged in any::<bool>(),
    ) {
        let mut raw = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        offsets.extend(strings(&raw).unwrap().iter().rev().map(|span| span.range.start));
        if damaged {
            let at = (0..=cut.index(raw.len())).rev().find(|at| raw.is_char_boundary(*at));
            raw.truncate(at.unwrap_or(0));
        }
        let each: Vec<String> = offsets.iter().map(|offset| plain_path_at(&raw, *offset)).collect();
        prop_assert_eq!(paths(&raw, &offsets), each);
    }
}
