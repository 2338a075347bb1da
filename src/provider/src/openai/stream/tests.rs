use proptest::prelude::*;

mod outside;

use super::*;
use crate::openai::Channel;

fn pieces(data: &str) -> Vec<(u32, Channel, String)> {
    let view = parse(data).unwrap();
    view.pieces
        .iter()
        .map(|p| (p.choice, p.channel.clone(), p.span.text.to_string()))
        .collect()
}

#[test]
fn deltas() {
    let data = r#"{"id":"c","model":"m","choices":[{"delta":{"role":"assistant","content":"a","refusal":null},"finish_reason":null,"index":3},
        {"index":1,"delta":{"tool_calls":[{"function":{"arguments":"{"},"index":2}]},"finish_reason":"tool_calls"},
        {"index":0,"delta":{"reasoning":"r","reasoning_content":"r","reasoning_details":[{"type":"reasoning.text","text":"r","index":0}]}}],"usage":null}"#;
    let expected = [
        (3, Channel::Content, "a".to_owned()),
        (1, Channel::ToolArguments(2), "{".to_owned()),
        (0, Channel::Reasoning, "r".to_owned()),
        (0, Channel::ReasoningContent, "r".to_owned()),
        (0, Channel::Other("reasoning_details/0/text".into()), "r".to_owned()),
    ];
    assert_eq!(pieces(data), expected);
    let view = parse(data).unwrap();
    assert_eq!(
        (view.finishes.as_slice(), view.usage, view.usage_only),
        (&[(1, "tool_calls".into())][..], None, false)
    );
}

#[test]
fn the_usage_chunk() {
    let view = parse(r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#).unwrap();
    assert!(view.usage_only && view.usage.is_some());
    // Azure's first chunk has no choices either, but must not be hidden.
    assert!(
        !parse(r#"{"choices":[],"prompt_filter_results":[{"x":1}]}"#)
            .unwrap()
            .usage_only
    );
    // Some send usage along with the last choice.
    let view =
        parse(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#).unwrap();
    assert!(!view.usage_only && view.usage.is_some());
    let groq = parse(r#"{"choices":[{"delta":{}}],"x_groq":{"id":"r","usage":{"prompt_tokens":7}}}"#).unwrap();
    assert_eq!(groq.usage.unwrap().input, Some(7));
}

#[test]
fn content_in_parts() {
    let data = r#"{"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"yes"}]}}]}"#;
    let expected = [
        (0, Channel::Other("content/0/thinking/0/text".into()), "hm".to_owned()),
        (0, Channel::Content, "yes".to_owned()),
    ];
    assert_eq!(pieces(data), expected);
}

#[test]
fn events_of_the_responses_api() {
    let data = r#"{"delta":"a b","output_index":2,"type":"response.output_text.delta","content_index":0}"#;
    assert_eq!(pieces(data), [(2, Channel::Content, "a b".to_owned())]);
    assert_eq!(
        text_frame(data, 9, &Channel::Content, "c"),
        r#"{"delta":"c","output_index":2,"type":"response.output_text.delta","content_index":0}"#
    );
    let data = r#"{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{"}"#;
    assert_eq!(pieces(data), [(1, Channel::ToolArguments(0), "{".to_owned())]);
    let done = parse(r#"{"type":"response.output_text.done","output_index":2,"text":"a b c"}"#).unwrap();
    assert_eq!(done.ends, [(2, Channel::Content)]);
    assert_eq!((done.others[0].text.as_ref(), done.pieces.len()), ("a b c", 0));
    let data = r#"{"type":"response.completed","response":{"id":"r","status":"completed","model":"m","output":[{"content":[{"text":"a b c"}]}],
        "usage":{"input_tokens":5,"output_tokens":1}}}"#;
    let view = parse(data).unwrap();
    assert_eq!((view.id.as_deref(), view.model.as_deref()), (Some("r"), Some("m")));
    assert_eq!(
        (view.usage.unwrap().input, view.finishes.as_slice()),
        (Some(5), &[(0, "completed".to_owned())][..])
    );
    assert_eq!((view.others[0].text.as_ref(), view.pieces.len()), ("a b c", 0));
    let error = parse(r#"{"type":"error","code":"server_error","message":"sorry, no","param":null}"#)
        .unwrap()
        .error
        .unwrap();
    assert_eq!(
        (error.message.as_str(), error.code.as_deref()),
        ("sorry, no", Some("server_error"))
    );
}

const TEMPLATE: &str = r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m","service_tier":"default","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}],"usage":null,"obfuscation":"abc"}"#;

#[test]
fn arguments_are_those_of_a_call_wherever_they_are_repeated() {
    let call = r#"{"type":"function_call","arguments":"{}","input":"x","name":"a b"}"#;
    for data in [
        r#"{"type":"response.function_call_arguments.done","arguments":"{}","input":"x","name":"a b"}"#.to_owned(),
        format!(r#"{{"type":"response.output_item.done","item":{call}}}"#),
        format!(r#"{{"type":"response.completed","response":{{"output":[{call}]}}}}"#),
    ] {
        let view = parse(&data).unwrap();
        let said = |span: &TextSpan<'_>| (span.text.to_string(), span.role == crate::json::Role::ToolCall);
        let roles: Vec<(String, bool)> = view.others.iter().map(said).collect();
        let wanted = [("{}", true), ("x", true), ("a b", false)].map(|(text, call)| (text.to_owned(), call));
        assert_eq!(roles, wanted, "{data}");
    }
}

fn channels() -> Vec<Channel> {
    vec![
        Channel::Content,
        Channel::Refusal,
        Channel::Reasoning,
        Channel::ReasoningContent,
        Channel::Transcript,
        Channel::ToolArguments(2),
        Channel::FunctionArguments,
        Channel::Other("reasoning_details/0/text".into()),
        Channel::Other("content/0/thinking/0/text".into()),
        Channel::Other("odd/field".into()),
        Channel::Other("list/0".into()),
        Channel::Other("/stop_note".into()),
        Channel::Other("//response".into()),
        Channel::Other("//odd/key".into()),
    ]
}

#[test]
fn a_text_frame_carries_that_text_alone() {
    for template in [TEMPLATE, "", "[DONE]", "{}", r#"{"choices":[]}"#] {
        for channel in channels() {
            let data = text_frame(template, 5, &channel, "held \"back\"\n");
            let value: serde_json::Value = serde_json::from_str(&data).unwrap();
            assert_eq!(value["object"], "chat.completion.chunk", "{data}");
            let choice = if channel.outermost().is_some() { 0 } else { 5 };
            assert_eq!(
                pieces(&data),
                [(choice, channel, "held \"back\"\n".to_owned())],
                "{data}"
            );
            let view = parse(&data).unwrap();
            assert!(view.finishes.is_empty() && view.usage.is_none());
        }
    }
    let data = text_frame(TEMPLATE, 0, &Channel::Content, "t");
    assert_eq!(
        data,
        r#"{"id":"c1","object":"chat.completion.chunk","created":7,"model":"m","service_tier":"default","choices":[{"index":0,"delta":{"content":"t"},"logprobs":null,"finish_reason":null}],"usage":null}"#
    );
}

#[test]
fn completions_have_their_own_shape() {
    let template = r#"{"id":"c","object":"text_completion","choices":[{"text":"a","index":0}],"model":"m"}"#;
    assert_eq!(
        text_frame(template, 1, &Channel::Content, "t"),
        r#"{"id":"c","object":"text_completion","choices":[{"index":1,"text":"t","logprobs":null,"finish_reason":null}],"model":"m"}"#
    );
    assert_eq!(
        finish_frame(template, 1, "content_filter"),
        r#"{"id":"c","object":"text_completion","choices":[{"index":1,"text":"","logprobs":null,"finish_reason":"content_filter"}],"model":"m"}"#
    );
}

#[test]
fn a_finish_frame_ends_one_choice() {
    let view_data = finish_frame(TEMPLATE, 2, "content_filter");
    let view = parse(&view_data).unwrap();
    assert_eq!(view.finishes, [(2, "content_filter".to_owned())]);
    assert!(view.pieces.is_empty());
}

proptest! {
    #[test]
    fn frames_carry_any_text(text in ".*", choice in any::<u32>(), index in 0usize..14) {
        prop_assume!(!text.is_empty());
        let channel = channels()[index].clone();
        let data = text_frame(TEMPLATE, choice, &channel, &text);
        let found = pieces(&data);
        let choice = if channel.outermost().is_some() { 0 } else { choice };
        prop_assert_eq!(found, [(choice, channel, text)]);
    }

    #[test]
    fn cut_and_mutated_chunks_never_panic(at in any::<prop::sample::Index>(), new in any::<char>()) {
        let mut chars: Vec<char> = TEMPLATE.chars().collect();
        let at = at.index(chars.len());
        let cut: String = chars[..at].iter().collect();
        prop_assert!(parse(&cut).is_err());
        chars[at] = new;
        let data: String = chars.into_iter().collect();
        if let Ok(view) = parse(&data) {
            let mut assembler = Assembler::new();
            assembler.push(&data, &view);
            let body = assembler.finish().body;
            prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        }
        let _ = text_frame(&data, 0, &Channel::Content, "x");
    }
}
