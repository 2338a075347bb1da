use proptest::prelude::*;

use super::*;
use crate::json::splice;

fn chat(raw: &str) -> View<'_> {
    parse(Endpoint::ChatCompletions, raw).unwrap()
}

fn texts(view: &View<'_>) -> Vec<(Role, String)> {
    view.texts
        .iter()
        .map(|span| (span.role, span.text.to_string()))
        .collect()
}

fn owned(list: &[(Role, &str)]) -> Vec<(Role, String)> {
    list.iter().map(|(role, text)| (*role, (*text).to_owned())).collect()
}

#[test]
fn parameters() {
    let view = chat(
        r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":false},"n":2,"max_completion_tokens":64,
        "temperature":0.5,"top_p":1,"seed":-7,"stop":["END","STOP"],"frequency_penalty":0.1,"presence_penalty":-0.2,
        "user":"u-1","metadata":{"team":"a","note":"b"},"response_format":{"type":"json_schema","json_schema":{"name":"x"}},
        "service_tier":"flex","reasoning_effort":"low","tools":[{"type":"function","function":{"name":"f"}}],"messages":[]}"#,
    );
    assert_eq!(
        (view.model.as_deref(), view.stream, view.include_usage),
        (Some("gpt-4o"), true, Some(false))
    );
    assert_eq!((view.n, view.max_tokens, view.seed), (Some(2), Some(64), Some(-7)));
    assert_eq!((view.temperature, view.top_p), (Some(0.5), Some(1.0)));
    assert_eq!((view.frequency_penalty, view.presence_penalty), (Some(0.1), Some(-0.2)));
    assert_eq!(
        (view.stop.as_slice(), view.user.as_deref()),
        (&["END".into(), "STOP".into()][..], Some("u-1"))
    );
    assert_eq!(
        view.metadata,
        [("team".into(), "a".into()), ("note".into(), "b".into())]
    );
    assert_eq!((view.response_format.as_deref(), view.tools), (Some("json_schema"), 1));
    assert_eq!(
        (view.service_tier.as_deref(), view.reasoning_effort.as_deref()),
        (Some("flex"), Some("low"))
    );
}

#[test]
fn wrong_types_are_the_providers_to_refuse_and_their_texts_are_seen() {
    let view =
        chat(r#"{"model":["my secret"],"n":"one","temperature":"hot","stream":"yes","messages":"hello","tools":"t"}"#);
    assert_eq!(
        (view.model.as_deref(), view.n, view.temperature, view.stream),
        (None, None, None, false)
    );
    let seen: Vec<_> = view.texts.iter().map(|span| span.text.as_ref()).collect();
    assert_eq!(seen, ["my secret", "one", "hot", "yes", "hello", "t"]);
}

#[test]
fn every_text_of_a_chat_with_its_role() {
    let blob = "QUJD".repeat(90);
    let raw = format!(
        r#"{{"model":"m","messages":[
        {{"role":"system","content":"be kind"}},
        {{"role":"developer","content":"be brief"}},
        {{"content":"role comes later","name":"Ann Smith","role":"user"}},
        {{"role":"user","content":[{{"type":"text","text":"look"}},
            {{"type":"image_url","image_url":{{"url":"data:image/png;base64,{blob}","detail":"high"}}}},
            {{"type":"image_url","image_url":{{"url":"https://x.example/cat.png"}}}},
            {{"type":"input_audio","input_audio":{{"data":"{blob}","format":"wav"}}}},
            {{"type":"file","file":{{"filename":"my taxes.pdf","file_data":"data:application/pdf;base64,{blob}"}}}}]}},
        {{"role":"assistant","content":null,"refusal":"no","reasoning_content":"hm","tool_calls":[
            {{"id":"call_1","type":"function","function":{{"name":"get","arguments":"{{\"q\":\"x\"}}"}}}}]}},
        {{"role":"tool","tool_call_id":"call_1","content":"22 degrees"}},
        {{"role":"narrator","content":"odd"}}],
        "tools":[{{"type":"function","function":{{"name":"get","description":"gets it","parameters":{{"type":"object",
            "properties":{{"the thing":{{"type":"string","enum":["a b"]}}}},"required":["q"]}}}}}}],
        "prediction":{{"type":"content","content":"guess"}},"x_unknown":{{"deep":["extra"]}}}}"#
    );
    let view = chat(&raw);
    use Role::{Assistant, Other, System, Tool, ToolCall, User};
    let expected = owned(&[
        (System, "be kind"),
        (System, "be brief"),
        (User, "role comes later"),
        (User, "Ann Smith"),
        (User, "look"),
        (User, "https://x.example/cat.png"),
        (User, "my taxes.pdf"),
        (Assistant, "no"),
        (Assistant, "hm"),
        (ToolCall, r#"{"q":"x"}"#),
        (Tool, "22 degrees"),
        (Other, "odd"),
        (Other, "gets it"),
        (Other, "a b"),
        (Other, "the thing"),
        (Assistant, "guess"),
        (Other, "extra"),
    ]);
    assert_eq!(texts(&view), expected);
    assert_eq!((view.images, view.messages), (2, 7));
    assert_eq!(view.texts[4].path(&raw), "messages[3].content[0].text");
}

#[test]
fn duplicates_smuggle_nothing() {
    let view = chat(
        r#"{"messages":[{"role":"user","content":"first","content":"second"}],"model":"my card","model":"m","messages":[],
        "m\u006fdel":"gpt-4o","stream":true,"stream":false}"#,
    );
    let seen: Vec<_> = view.texts.iter().map(|span| span.text.as_ref()).collect();
    assert_eq!(seen, ["first", "second", "my card"]);
    assert_eq!((view.model.as_deref(), view.stream), (Some("gpt-4o"), false));
}

#[test]
fn odd_keys_are_texts_at_every_level() {
    for (role, member) in [
        (Role::Other, r#""my card":"""#),
        (
            Role::User,
            r#""messages":[{"role":"user","content":"hi","my card":""}]"#,
        ),
        (
            Role::User,
            r#""messages":[{"content":[{"type":"text","my card":null}],"role":"user"}]"#,
        ),
        (Role::User, r#""messages":[{"content":{"my card":null},"role":"user"}]"#),
        (Role::Other, r#""response_format":{"type":"json_object","my card":1}"#),
        (Role::Other, r#""stream_options":{"my card":true}"#),
        (Role::Other, r#""tools":[{"my card":true}]"#),
    ] {
        let raw = format!("{{{member}}}");
        let view = chat(&raw);
        assert!(texts(&view).contains(&(role, "my card".to_owned())), "{raw}");
    }
    let raw = r#"{"instructions":"i","input":[{"role":"user","my card":1}],"text":{"my note":1}}"#;
    let view = parse(Endpoint::Responses, raw).unwrap();
    assert_eq!(
        texts(&view),
        owned(&[(Role::System, "i"), (Role::User, "my card"), (Role::Other, "my note")])
    );
}

#[test]
fn long_numbers_are_texts() {
    let raw = r#"{"model":"m","seed":4242424242424242,"input":{"card":4242424242424242,"n":[12345678,-123456789,1.1234567890]}}"#;
    let view = parse(Endpoint::Responses, raw).unwrap();
    let found: Vec<&str> = view.texts.iter().map(|span| &raw[span.range.clone()]).collect();
    assert_eq!(found, ["4242424242424242", "-123456789"]);
    assert_eq!(view.texts[0].path(raw), "input.card");
    let raw = r#"[4242424242424242,1]"#;
    assert_eq!(
        crate::json::strings_and_numbers(raw).unwrap()[0].text,
        "4242424242424242"
    );
    assert!(crate::json::strings(raw).unwrap().is_empty());
}

#[test]
fn token_ids_are_told() {
    let told = |endpoint, raw: &str| {
        let view = parse(endpoint, raw).unwrap();
        (view.token_ids > 0, view.texts.len())
    };
    for (raw, expected) in [
        (r#"{"prompt":5}"#, (true, 0)),
        (r#"{"prompt":[1,2]}"#, (true, 0)),
        (r#"{"prompt":["a",[[1]],{"b":"c"}]}"#, (true, 2)),
        (r#"{"prompt":"a","suffix":3}"#, (false, 1)),
        (
            r#"{"prompt":["a","b"],"seed":3,"stop":[1],"prompt_details":[1]}"#,
            (false, 2),
        ),
        (r#"{"prompt":[{"id":1}]}"#, (false, 0)),
        (r#"{"prompt":[]}"#, (false, 0)),
        (r#"{"prompt":null,"prompt":[1],"prompt":"a"}"#, (true, 1)),
    ] {
        assert_eq!(told(Endpoint::Completions, raw), expected, "{raw}");
        assert_eq!(told(Endpoint::ChatCompletions, raw), expected, "{raw}");
    }
    assert_eq!(told(Endpoint::Embeddings, r#"{"input":[[1,2],[3]]}"#), (true, 0));
    assert_eq!(told(Endpoint::Responses, r#"{"input":[1,2]}"#), (true, 0));
    assert_eq!(told(Endpoint::Responses, r#"{"input":[[1],"a"]}"#), (true, 1));
    let item = r#"{"input":[{"role":"user","content":"a","n":[1]}]}"#;
    assert_eq!(told(Endpoint::Responses, item), (false, 1));
}

#[test]
fn other_endpoints() {
    use Role::{System, Tool, ToolCall, User};
    let read = |endpoint, raw: &'static str| texts(&parse(endpoint, raw).unwrap());
    assert_eq!(read(Endpoint::Completions, r#"{"prompt":"a"}"#), owned(&[(User, "a")]));
    assert_eq!(
        read(Endpoint::Completions, r#"{"prompt":["a",[1,2]],"suffix":"z"}"#),
        owned(&[(User, "a"), (User, "z")])
    );
    assert_eq!(
        read(Endpoint::Embeddings, r#"{"input":["a","b"],"encoding_format":"float"}"#),
        owned(&[(User, "a"), (User, "b")])
    );
    assert_eq!(read(Endpoint::Embeddings, r#"{"input":[[1,2],[3]]}"#), []);
    assert_eq!(
        read(
            Endpoint::Responses,
            r#"{"instructions":"i","input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},
            {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
            {"type":"function_call_output","call_id":"c","output":"o"},{"content":"bare"}]}"#
        ),
        owned(&[
            (System, "i"),
            (User, "a"),
            (ToolCall, "f"),
            (ToolCall, "{}"),
            (Tool, "o"),
            (User, "bare")
        ])
    );
    assert_eq!(
        read(Endpoint::Other, r#"["x", {"query":"y"}]"#),
        owned(&[(Role::Other, "x"), (Role::Other, "y")])
    );
}

#[test]
fn a_body_that_is_no_object_is_refused() {
    for raw in ["[]", "\"x\"", "null", " 3"] {
        assert_eq!(
            parse(Endpoint::ChatCompletions, raw).unwrap_err().kind,
            ErrorKind::NotAnObject,
            "{raw}"
        );
    }
    assert!(parse(Endpoint::ChatCompletions, "").is_err());
    assert!(parse(Endpoint::ChatCompletions, "{} {}").is_err());
}

fn injected(raw: &str) -> Option<String> {
    let edit = inject_include_usage(raw, &chat(raw))?;
    Some(String::from_utf8(splice(raw.as_bytes(), &mut [edit])).unwrap())
}

#[test]
fn include_usage_is_injected_and_all_else_is_exact() {
    for (raw, expected) in [
        (
            r#"{"stream":true}"#,
            Some(r#"{"stream_options":{"include_usage":true},"stream":true}"#),
        ),
        (
            "\n { \"stream\" : true , \"x\":1 }\n",
            Some("\n {\"stream_options\":{\"include_usage\":true}, \"stream\" : true , \"x\":1 }\n"),
        ),
        (
            r#"{"stream":true,"stream_options":{}}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ),
        (
            r#"{"stream":true,"stream_options":{ }}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true }}"#),
        ),
        (
            r#"{"stream":true,"stream_options": {"x" : 1}}"#,
            Some(r#"{"stream":true,"stream_options": {"include_usage":true,"x" : 1}}"#),
        ),
        (
            r#"{"stream_options":{"include_usage" : false, "x":1},"stream":true}"#,
            Some(r#"{"stream_options":{"include_usage" : true, "x":1},"stream":true}"#),
        ),
        (
            r#"{"stream":true,"stream_options":{"include_usage":null}}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ),
        (
            r#"{"stream":true,"stream_options":null}"#,
            Some(r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        ),
        (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, None),
        (r#"{"stream":false}"#, None),
        (r#"{}"#, None),
    ] {
        assert_eq!(injected(raw).as_deref(), expected, "{raw}");
    }
}

#[test]
fn the_model_is_set_everywhere() {
    let set = |raw: &str| {
        let mut edits = set_model(raw, &chat(raw), "a\"b");
        String::from_utf8(splice(raw.as_bytes(), &mut edits)).unwrap()
    };
    assert_eq!(
        set(r#"{"model": "x", "n":1,"model":"y"}"#),
        r#"{"model": "a\"b", "n":1,"model":"a\"b"}"#
    );
    assert_eq!(set(r#"{"n":1}"#), r#"{"model":"a\"b","n":1}"#);
    assert_eq!(set(r#"{ }"#), r#"{"model":"a\"b" }"#);
}

/// Requests with members in any order, some of odd types.
fn request() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("1.5e3".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
        Just(r#"{"include_usage": false}"#.to_owned()),
        Just(r#"[{"role":"user","content":"hi"},{"content":[{"type":"text","text":"x"}]},3,"s"]"#.to_owned()),
        ".{0,8}".prop_map(|text| crate::json::quote(&text)),
    ];
    let key = prop_oneof![
        Just("model"),
        Just("stream"),
        Just("stream_options"),
        Just("messages"),
        Just("tools"),
        Just("metadata"),
        Just("stop"),
        Just("n"),
        Just("user"),
        Just("response_format"),
        Just("input"),
        Just("prompt"),
        Just("other"),
        Just("odd key"),
    ];
    prop::collection::vec((key, value), 0..8).prop_map(|members| {
        let members: Vec<String> = members
            .iter()
            .map(|(key, value)| format!(" \"{key}\" :{value}"))
            .collect();
        format!("{{{} }}", members.join(" ,"))
    })
}

proptest! {
    #[test]
    fn no_text_escapes(raw in request()) {
        // Everything that any reader of JSON would see as a text is in the view, or has the shape
        // of an identifier.
        let view = chat(&raw);
        let seen: Vec<_> = view.texts.iter().map(|span| span.range.clone()).collect();
        for span in crate::json::strings(&raw).unwrap() {
            let identifier = span.text.bytes().all(|byte| byte.is_ascii_graphic());
            prop_assert!(identifier || seen.contains(&span.range), "{} in {raw}", span.text);
        }
    }

    #[test]
    fn edits_leave_json_that_says_what_was_asked(raw in request()) {
        let view = chat(&raw);
        let mut edits = set_model(&raw, &view, "new");
        edits.extend(inject_include_usage(&raw, &view));
        let edited = String::from_utf8(splice(raw.as_bytes(), &mut edits)).unwrap();
        let again = chat(&edited);
        prop_assert_eq!(again.model.as_deref(), Some("new"), "{}", edited);
        prop_assert_eq!(again.stream, view.stream);
        prop_assert!(!again.stream || again.include_usage == Some(true), "{}", edited);
        // And serde_json reads it the same way.
        let value: serde_json::Value = serde_json::from_str(&edited).unwrap();
        prop_assert_eq!(value["model"].as_str(), Some("new"));
        prop_assert!(!view.stream || value["stream_options"]["include_usage"] == true);
    }

    #[test]
    fn any_text_never_panics(raw in ".{0,60}", at in 0usize..60, request in request()) {
        let _ = parse(Endpoint::ChatCompletions, &raw);
        let cut: String = request.chars().take(at).collect();
        if let Ok(view) = parse(Endpoint::Responses, &cut) {
            let _ = inject_include_usage(&cut, &view);
        }
    }
}

#[test]
fn the_schema_of_the_answer() {
    let schema = r#"{"type": "object"}"#;
    let chat = format!(
        r#"{{"response_format": {{"type": "json_schema", "json_schema": {{"name": "a", "schema": {schema}}}}}, "messages": []}}"#
    );
    assert_eq!(
        parse(Endpoint::ChatCompletions, &chat).unwrap().response_schema(),
        Some(schema)
    );
    let responses = format!(r#"{{"text": {{"format": {{"type": "json_schema", "schema": {schema}}}}}, "input": "x"}}"#);
    assert_eq!(
        parse(Endpoint::Responses, &responses).unwrap().response_schema(),
        Some(schema)
    );
    let none = r#"{"response_format": {"type": "json_object"}, "messages": []}"#;
    assert_eq!(parse(Endpoint::ChatCompletions, none).unwrap().response_schema(), None);
}
