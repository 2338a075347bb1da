//! Texts and log probabilities outside of the choices.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

/// Every text that a view gives to be scanned, and the data without its log probabilities.
fn guarded(data: &str) -> (Vec<String>, String) {
    let view = parse(data).unwrap();
    let spans = view.pieces.iter().map(|piece| &piece.span).chain(&view.others);
    let texts = spans.map(|span| span.text.to_string()).collect();
    let ranges = view.event_logprobs.iter();
    let mut edits: Vec<_> = ranges.map(|range| (range.clone(), b"[]".to_vec())).collect();
    let left = crate::json::splice(data.as_bytes(), &mut edits);
    (texts, String::from_utf8(left).unwrap())
}

fn token() -> Value {
    json!({"token": "gehe", "logprob": -0.1, "bytes": [103, 101], "top_logprobs": [{"token": "gehe", "bytes": [103]}]})
}

#[test]
fn log_probabilities_of_events_are_apart() {
    let part = json!({"type": "output_text", "text": "said", "logprobs": [token()], "annotations": []});
    let item = json!({"type": "message", "id": "m", "content": [part]});
    for event in [
        json!({"type": "response.output_text.delta", "item_id": "m", "delta": "said", "logprobs": [token()]}),
        // Before the type is known.
        json!({"a": 1, "delta": "said", "logprobs": [token()], "type": "response.output_text.delta"}),
        json!({"type": "response.output_text.done", "text": "said", "logprobs": [token()]}),
        json!({"type": "response.content_part.done", "part": part}),
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"id": "r", "output": [item]}}),
        json!({"type": "response.incomplete", "response": {"output": [item], "logprobs": [token()]}}),
        json!({"type": "response.novel", "deep": [{"er": {"logprobs": {"content": [token()]}}}], "text": "said"}),
        json!({"type": "response.novel", "logprobs": {"tokens": ["gehe"], "token_logprobs": [-1]}, "text": "said"}),
    ] {
        let data = event.to_string();
        let (texts, left) = guarded(&data);
        assert_eq!(texts, ["said"], "{data}");
        assert!(data.contains("gehe") && !left.contains("gehe"), "{left}");
        assert!(left.contains(r#""logprobs":[]"#), "{left}");
        serde_json::from_str::<Value>(&left).unwrap();
    }
}

#[test]
fn log_probabilities_that_say_nothing_stay() {
    for value in ["[]", "[ ]", "{}", "null", "true", "3"] {
        let data = format!(r#"{{"type":"response.output_text.delta","delta":"x","logprobs":{value}}}"#);
        assert!(parse(&data).unwrap().event_logprobs.is_empty(), "{data}");
    }
    let twice = parse(r#"{"type":"response.output_text.delta","delta":"some words","delta":"x"}"#).unwrap();
    assert_eq!(twice.others[0].text, "some words");
    // A string there is a text like any other.
    let view = parse(r#"{"type":"response.output_text.delta","delta":"x","logprobs":"some words"}"#).unwrap();
    assert_eq!(view.others[0].text, "some words");
    // Those of a choice are told with their choice.
    let chat = parse(r#"{"choices":[{"index":1,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a"}]}}]}"#);
    let chat = chat.unwrap();
    assert_eq!((chat.logprobs.len(), chat.event_logprobs.len()), (1, 0));
}

#[test]
fn a_made_frame_says_nothing_of_its_template_but_the_text() {
    let mut event = json!({"type": "response.output_text.delta", "item_id": "m", "output_index": 2, "content_index": 0,
        "delta": "gehe", "logprobs": [token()], "note": "gehe im", "error": {"message": "gehe im"}});
    let made: Value = serde_json::from_str(&text_frame(&event.to_string(), 2, &Channel::Content, "held")).unwrap();
    event["delta"] = json!("held");
    event["logprobs"] = json!([]);
    event["note"] = json!("");
    event["error"]["message"] = json!("");
    assert_eq!(made, event);

    let long = "Ab+/".repeat(40);
    let event = json!({"type": "response.output_text.delta", "item_id": long, "delta": "x"}).to_string();
    assert!(text_frame(&event, 0, &Channel::Content, "held").contains(&long));

    let mut chunk = json!({"model": "m", "created_at": "2026-01-02T03:04:05.678901Z", "response": "gehe", "content": "gehe",
        "choices": [{"index": 0, "delta": {"content": "gehe"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}});
    let channel = Channel::Other("//response".into());
    let data = text_frame(&chunk.to_string(), 0, &channel, "held");
    chunk["response"] = json!("held");
    chunk["content"] = json!("");
    chunk["choices"] = json!([]);
    chunk["usage"] = json!(null);
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap(), chunk);
}

#[test]
fn texts_of_unknown_events_do_not_mix() {
    let channel = |data: &str| {
        let view = parse(data).unwrap();
        assert!(view.others.is_empty(), "{data}");
        (view.pieces[0].choice, view.pieces[0].channel.name().to_owned())
    };
    let data = r#"{"type":"response.novel.delta","item_id":"a","output_index":1,"content_index":0,"sequence_number":4,"delta":"some words"}"#;
    assert_eq!(
        channel(data),
        (0, "response.novel.delta/output_index=1/content_index=0".to_owned())
    );
    // With an index, an id that is another in each event does no harm; without one, it tells texts apart.
    assert_eq!(channel(data), channel(&data.replace(r#""a""#, r#""b""#)));
    let without = data.replace(r#""output_index":1,"#, "");
    assert_ne!(channel(&without), channel(&without.replace(r#""a""#, r#""b""#)));
    for (from, to) in [
        ("novel", "other"),
        ("output_index\":1", "output_index\":2"),
        ("content_index\":0", "content_index\":1"),
    ] {
        assert_ne!(channel(data), channel(&data.replace(from, to)), "{to}");
    }
    assert_eq!(channel(r#"{"delta":"some words"}"#), (0, "//delta".to_owned()));
    assert_eq!(
        channel(r#"{"type":"transcript.text.delta","delta":"some words"}"#).1,
        "transcript.text.delta"
    );
    assert!(Channel::Other("response.reasoning_novel.delta".into()).is_reasoning());

    let done = data
        .replace("novel.delta", "novel.done")
        .replace("\"delta\"", "\"text\"");
    let done = parse(&done).unwrap();
    assert_eq!(done.ends, [(0, parse(data).unwrap().pieces[0].channel.clone())]);
    assert_eq!((done.pieces.len(), done.others[0].text.as_ref()), (0, "some words"));
}

#[test]
fn what_each_chunk_says_anew_is_no_text_in_parts() {
    let data = r#"{"id":"c","object":"x.y","model":"m","created":"today, now","system_fingerprint":"fp a","service_tier":"a b",
        "provider":"Some One","obfuscation":"a b","created_at":"2026-01-02T03:04:05.6Z","request_id":"20260102030405","done_reason":"length","status":"busy",
        "choices":[{"index":0,"delta":{"content":"x"}}]}"#;
    assert_eq!(pieces(data), [(0, Channel::Content, "x".to_owned())]);
    let others: Vec<_> = parse(data)
        .unwrap()
        .others
        .iter()
        .map(|span| span.text.to_string())
        .collect();
    for text in [
        "today, now",
        "fp a",
        "a b",
        "Some One",
        "2026-01-02T03:04:05.6Z",
        "20260102030405",
        "length",
    ] {
        assert!(others.iter().any(|other| other == text), "{text}: {others:?}");
    }
    // The same shape under a name of texts continues.
    assert_eq!(pieces(r#"{"content":"2026-01-02"}"#).len(), 1);
    for error in [
        r#"{"type":"error","message":"no such thing"}"#,
        r#"{"object":"error","message":"no such thing"}"#,
        r#"{"message":"no such thing","code":500}"#,
        r#"{"error":{"message":"no such thing"}}"#,
        r#"{"error":"no such thing"}"#,
    ] {
        let view = parse(error).unwrap();
        assert_eq!(
            (view.pieces.len(), view.others[0].text.as_ref()),
            (0, "no such thing"),
            "{error}"
        );
    }
    // No error: a text.
    assert_eq!(
        pieces(r#"{"message":"no such thing"}"#)[0].1,
        Channel::Other("//message".into())
    );
    // The chunk of usage is still that.
    let view = parse(r#"{"choices":[],"usage":{"prompt_tokens":1},"p":"abcd"}"#).unwrap();
    assert!(view.usage_only && view.pieces.len() == 1);
}

/// One frame of a stream whose texts have `part` in the place that `shape` is.
fn carried(shape: usize, part: &str) -> Value {
    match shape {
        0 => json!({"type": "response.novel.delta", "output_index": 0, "item_id": "a", "delta": part}),
        1 => json!({"type": "response.novel.delta", "output_index": 1, "item_id": "a", "delta": part}),
        2 => json!({"type": "response.output_text.delta", "output_index": 1, "delta": part}),
        3 => json!({"content": part, "stop": false, "index": 0}),
        4 => json!({"model": "m", "created_at": "2026-01-02T03:04:05Z", "response": part, "done": false}),
        5 => json!({"type": "transcript.text.delta", "delta": part}),
        6 => json!({"choices": [{"index": 0, "delta": {"content": part}}]}),
        7 => json!({"choices": [], "message": part}),
        _ => json!({"delta": part}),
    }
}

#[test]
fn names_and_frames_of_channels_tell_no_key_that_is_a_text() {
    for (delta, name, made) in [
        (r#""odd":{"ana@x.example":"hello there"}"#, "odd", r#""odd":{"":"t"}"#),
        (r#""ana@x.example":"hello there""#, "other", r#""":"t""#),
        (
            r#""odd":[{"b":{"4242/4242/4242/4242":"hello there"}}]"#,
            "odd/0/b",
            r#""odd":[{"index":0,"b":{"":"t"}}]"#,
        ),
        (r#""a/b":{"c~d.e":"hello there"}"#, "other", r#""a/b":{"":"t"}"#),
        (r#""a.b":{"c/~1d":"hello there"}"#, "a.b", r#""a.b":{"":"t"}"#),
        (
            r#""list":[{"x/y":"hello there"}]"#,
            "list/0",
            r#""list":[{"index":0,"x/y":"t"}]"#,
        ),
    ] {
        let data = format!(r#"{{"choices":[{{"delta":{{{delta}}}}}]}}"#);
        let view = parse(&data).unwrap();
        assert_eq!(view.pieces[0].channel.name(), name, "{data}");
        let frame = text_frame(&data, 0, &view.pieces[0].channel, "t");
        assert!(frame.contains(made), "{frame}");
    }
    for (data, name) in [
        (r#"{"choices":[{"delta":{},"note me":{"a":"hello there"}}]}"#, "/"),
        (r#"{"choices":[{"delta":{},"note":{"a b":"hello there"}}]}"#, "/note"),
        (r#"{"ana@x.example":"hello there"}"#, "//"),
        (r#"{"note":"hello there"}"#, "//note"),
        (r#"{"type":"call ana@x.example","delta":"hello there"}"#, "other"),
        (
            r#"{"type":"response.novel.delta","item_id":"4242-4242-4242-4242","content_index":1,"delta":"hello there"}"#,
            "response.novel.delta",
        ),
    ] {
        assert_eq!(parse(data).unwrap().pieces[0].channel.name(), name, "{data}");
    }
    // Of another choice or not, the text under a name of several words stays one text.
    let beside = r#"{"ana@x.example":"hello there","choices":[]}"#;
    let channel = parse(beside).unwrap().pieces[0].channel.clone();
    assert_eq!(
        parse(r#"{"a":1,"ana@x.example":" you"}"#).unwrap().pieces[0].channel,
        channel
    );
}

proptest! {
    /// However texts are cut and interleaved, each is read as one; and what a frame of our own
    /// making says instead is read as the same text.
    #[test]
    fn the_cut_does_not_matter(texts in prop::collection::vec("[a-zé0-9 @.\"\\\\-]{1,40}", 9), cuts in prop::collection::vec((0usize..9, 1usize..6), 0..80)) {
        let mut left: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut found: BTreeMap<(u32, Channel), String> = BTreeMap::new();
        let mut assembler = Assembler::new();
        let rest = (0..9).map(|shape| (shape, usize::MAX));
        for (shape, length) in cuts.into_iter().chain(rest) {
            let cut = left[shape].char_indices().nth(length).map_or(left[shape].len(), |(at, _)| at);
            let (part, after) = left[shape].split_at(cut);
            left[shape] = after;
            let data = carried(shape, part).to_string();
            let view = parse(&data).unwrap();
            if !part.is_empty() {
                prop_assert_eq!(view.pieces.len(), 1);
                prop_assert!(!view.others.iter().any(|span| span.text == part));
            }
            for piece in &view.pieces {
                found.entry((piece.choice, piece.channel.clone())).or_default().push_str(&piece.span.text);
                let made = text_frame(&data, piece.choice, &piece.channel, "held \"back\"");
                prop_assert_eq!(pieces(&made), [(piece.choice, piece.channel.clone(), "held \"back\"".to_owned())]);
            }
            assembler.push(&data, &view);
        }
        let mut expected = texts.clone();
        let mut read: Vec<String> = found.into_values().collect();
        expected.sort();
        read.sort();
        prop_assert_eq!(&read, &expected);
        let mut assembled: Vec<String> = assembler.finish().texts.into_iter().map(|(_, _, text)| text).collect();
        assembled.sort();
        prop_assert_eq!(assembled, expected);
    }
}
