use super::*;
use crate::openai::Channel;

#[test]
fn a_chat_answer() {
    let raw = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"gpt-4o-2024-08-06","service_tier":"default",
        "choices":[
        {"message":{"role":"assistant","content":"hello","refusal":null,"reasoning_content":"hm"},"logprobs":{"content":[{"token":"hello"}]},
            "finish_reason":"stop","index":0},
        {"index":1,"message":{"role":"assistant","content":null,"tool_calls":[
            {"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
            {"id":"b","type":"function","function":{"name":"not a name","arguments":"{}"}}]},"finish_reason":"tool_calls"}],
        "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11},"citations":["see this"]}"#;
    let view = parse(Endpoint::ChatCompletions, raw).unwrap();
    assert_eq!(
        (view.id.as_deref(), view.model.as_deref()),
        (Some("chatcmpl-1"), Some("gpt-4o-2024-08-06"))
    );
    assert_eq!(
        (view.service_tier.as_deref(), view.finish_reasons.as_slice()),
        (Some("default"), &["stop".into(), "tool_calls".into()][..])
    );
    assert_eq!((view.usage.input, view.usage.output), (Some(9), Some(2)));
    let texts: Vec<_> = view
        .texts
        .iter()
        .map(|p| (p.choice, p.channel.clone(), p.span.text.as_ref()))
        .collect();
    let expected = [
        (0, Channel::Content, "hello"),
        (0, Channel::ReasoningContent, "hm"),
        (1, Channel::ToolArguments(0), r#"{"x":1}"#),
        (1, Channel::ToolName(1), "not a name"),
        (1, Channel::ToolArguments(1), "{}"),
    ];
    assert_eq!(texts, expected);
    assert_eq!(view.others[0].text, "see this");
    assert_eq!(view.logprobs.len(), 1);
    assert!(raw[view.logprobs[0].1.clone()].starts_with("{\"content\""));
}

#[test]
fn other_answers() {
    let completion = r#"{"object":"text_completion","choices":[{"text":"abc","index":0,"finish_reason":"length"}]}"#;
    let view = parse(Endpoint::Completions, completion).unwrap();
    assert_eq!(
        (view.texts[0].span.text.as_ref(), view.finish_reasons[0].as_str()),
        ("abc", "length")
    );
    assert!(view.usage.is_unknown());

    let blob = "AAAA".repeat(99);
    let embeddings = format!(
        r#"{{"object":"list","data":[{{"embedding":"{blob}"}},{{"embedding":[0.1,-2e-3]}}],"usage":{{"prompt_tokens":3}}}}"#
    );
    let view = parse(Endpoint::Embeddings, &embeddings).unwrap();
    assert_eq!((view.usage.input, view.others.len()), (Some(3), 0));

    let responses = r#"{"id":"resp_1","status":"completed","output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]},
        {"type":"message","content":[{"type":"output_text","text":"hello there"}]},
        {"type":"function_call","name":"f","arguments":"{\"a\":1}","call_id":"c"}],
        "usage":{"input_tokens":1,"output_tokens":2}}"#;
    let view = parse(Endpoint::Responses, responses).unwrap();
    let texts: Vec<_> = view
        .texts
        .iter()
        .map(|p| (p.choice, p.channel.clone(), p.span.text.as_ref()))
        .collect();
    let expected = [
        (0, Channel::Content, "s"),
        (1, Channel::Content, "hello there"),
        (2, Channel::ToolArguments(0), "{\"a\":1}"),
    ];
    assert_eq!(texts, expected);
    assert_eq!(
        (view.finish_reasons.as_slice(), view.usage.output),
        (&["completed".into()][..], Some(2))
    );
}

#[test]
fn errors_in_their_shapes() {
    let read = |raw| parse(Endpoint::ChatCompletions, raw).unwrap().error.unwrap();
    let openai = read(
        r#"{"error":{"message":"no such model","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
    );
    assert_eq!(
        (openai.message.as_str(), openai.code.as_deref()),
        ("no such model", Some("model_not_found"))
    );
    let vllm = read(r#"{"object":"error","message":"bad","type":"BadRequestError","param":null,"code":400}"#);
    assert_eq!(
        (vllm.message.as_str(), vllm.kind.as_deref(), vllm.code.as_deref()),
        ("bad", Some("BadRequestError"), Some("400"))
    );
    assert_eq!(read(r#"{"error":"just words"}"#).message, "just words");
    let listed = read(r#"[{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}]"#);
    assert_eq!(
        (listed.code.as_deref(), &*listed.message),
        (Some("429"), "Quota exceeded")
    );
    assert_eq!(
        parse(Endpoint::ChatCompletions, r#"{"error":null}"#).unwrap().error,
        None
    );
}

#[test]
fn log_probabilities_of_a_response_are_no_texts() {
    let raw = r#"{"id":"resp_1","status":"completed","output":[{"type":"message","content":[
        {"type":"output_text","text":"hello","logprobs":[{"token":"gehe","bytes":[1],"top_logprobs":[{"token":"im"}]}]},
        {"type":"output_text","text":"there","logprobs":[]}]}],"logprobs":{"tokens":["gehe"],"token_logprobs":[-1.0]}}"#;
    let view = parse(Endpoint::Responses, raw).unwrap();
    let texts: Vec<_> = view.texts.iter().map(|piece| piece.span.text.as_ref()).collect();
    assert_eq!((texts.as_slice(), view.others.len()), (&["hello", "there"][..], 0));
    let found: Vec<_> = view.event_logprobs.iter().map(|range| &raw[range.clone()]).collect();
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("[{\"token\"") && found[0].ends_with("}]"));
    assert!(found[1].starts_with("{\"tokens\"") && found[1].ends_with('}'));
}

#[test]
fn texts_of_a_whole_answer_do_not_continue() {
    let view = parse(
        Endpoint::ChatCompletions,
        r#"{"response":"some words","message":"and more","delta":"x y"}"#,
    )
    .unwrap();
    assert_eq!((view.texts.len(), view.others.len()), (0, 3));
}

#[test]
fn no_key_and_no_odd_value_escapes() {
    let mut missed = Vec::new();
    for member in [
        r#""usage":{"note":"NEEDLE 1"}"#,
        r#""usage":{"prompt_tokens":"NEEDLE 1","completion_tokens":3}"#,
        r#""usage":{"prompt_tokens":1,"prompt_tokens_details":{"x":["NEEDLE 1"]}}"#,
        r#""usage":{"prompt_tokens":1,"prompt_tokens_details":["NEEDLE 1"]}"#,
        r#""usage":{"NEEDLE 1":3}"#,
        r#""usage":{"prompt_tokens_details":{"cached_tokens":"NEEDLE 1"}}"#,
        r#""usage":["NEEDLE 1"]"#,
        r#""x_groq":"NEEDLE 1""#,
        r#""x_groq":{"NEEDLE 1":null}"#,
        r#""x_groq":{"usage":"NEEDLE 1"}"#,
        r#""error":{"NEEDLE 1":null}"#,
        r#""NEEDLE 1":null"#,
        r#""response":{"NEEDLE 1":null}"#,
        r#""choices":["NEEDLE 1"]"#,
        r#""choices":[{"index":"NEEDLE 1"}]"#,
        r#""choices":[{"index":{"a":["NEEDLE 1"]}}]"#,
        r#""choices":[{"NEEDLE 1":3}]"#,
        r#""choices":[{"a":[{"NEEDLE 1":3}]}]"#,
        r#""choices":[{"logprobs":"NEEDLE 1"}]"#,
        r#""choices":[{"MESSAGE":{"NEEDLE 1":3}}]"#,
        r#""choices":[{"MESSAGE":{"content":[{"NEEDLE 1":3}]}}]"#,
        r#""choices":[{"MESSAGE":{"content":{"NEEDLE 1":3}}}]"#,
        r#""choices":[{"MESSAGE":{"audio":{"NEEDLE 1":3}}}]"#,
        r#""choices":[{"MESSAGE":{"function_call":{"NEEDLE 1":3}}}]"#,
        r#""choices":[{"MESSAGE":{"tool_calls":[{"NEEDLE 1":3}]}}]"#,
        r#""choices":[{"MESSAGE":{"tool_calls":[{"index":"NEEDLE 1"}]}}]"#,
        r#""choices":[{"MESSAGE":{"tool_calls":[{"function":{"NEEDLE 1":3}}]}}]"#,
    ] {
        let whole = format!("{{{}}}", member.replace("MESSAGE", "message"));
        let view = parse(Endpoint::ChatCompletions, &whole).unwrap();
        let mut spans = view.texts.iter().map(|piece| &piece.span).chain(&view.others);
        if !spans.any(|span| span.text == "NEEDLE 1") {
            missed.push(whole.clone());
        }
        let chunk = format!("{{{}}}", member.replace("MESSAGE", "delta"));
        let view = crate::openai::stream::parse(&chunk).unwrap();
        let mut spans = view.pieces.iter().map(|piece| &piece.span).chain(&view.others);
        if !spans.any(|span| span.text == "NEEDLE 1") {
            missed.push(chunk.clone());
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
    // Names alone are no texts, and counts are read as before.
    let raw = r#"{"usage":{"prompt_tokens":1,"prompt_tokens_details":{"cached_tokens":1},"cost_details":{"a":null}},
        "x_groq":{"id":"req_1"},"choices":[{"index":0,"message":{"content":null,"x_field":{"deep":[]}}}]}"#;
    let view = parse(Endpoint::ChatCompletions, raw).unwrap();
    assert_eq!(
        (view.texts.len(), view.others.len(), view.usage.cache_read),
        (0, 0, Some(1))
    );
}

#[test]
fn a_stored_answer_is_read_and_its_tokens_are_not_counted_again() {
    let response = r#"{"id":"resp_1","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"hello there"}]}],
        "usage":{"input_tokens":1,"output_tokens":2}}"#;
    let chat = r#"{"id":"c","choices":[{"index":0,"message":{"content":"hello there"},"finish_reason":"completed"}],"usage":{"prompt_tokens":1}}"#;
    for (stored, made, raw) in [
        (Endpoint::StoredResponse, Endpoint::Responses, response),
        (Endpoint::StoredChat, Endpoint::ChatCompletions, chat),
    ] {
        let (again, first) = (parse(stored, raw).unwrap(), parse(made, raw).unwrap());
        assert_eq!(again.texts, first.texts);
        assert_eq!(
            (again.texts[0].channel.clone(), &*again.finish_reasons[0]),
            (Channel::Content, "completed")
        );
        assert!(again.usage.is_unknown() && again.reported.is_none() && !first.usage.is_unknown());
        assert!(stored.is_retrieval() && stored.streams_chunks() && stored.operation().is_none());
        assert!(!made.is_retrieval() && stored.answers_responses() == made.answers_responses());
    }
}
