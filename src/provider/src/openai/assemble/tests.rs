use serde_json::Value;

use super::*;
use crate::openai::stream::parse;

fn assemble(chunks: &[&str]) -> Assembled {
    let mut assembler = Assembler::new();
    for chunk in chunks {
        assembler.push(chunk, &parse(chunk).unwrap());
    }
    assembler.finish()
}

#[test]
fn a_character_cut_between_its_surrogates_is_whole_again() {
    let done = assemble(&[
        r#"{"choices":[{"index":0,"delta":{"content":"a\ud83d"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":""}}]}"#,
        r#"{"choices":[{"index":1,"delta":{"content":"other choice"}}]}"#,
        r#"{"choices":[{"index":0,"delta":{"content":"\ude00b"}}]}"#,
    ]);
    assert_eq!(done.text(0, &Channel::Content), Some("a😀b"));
    let done = assemble(&[
        r#"{"choices":[{"delta":{"content":"a\ud83d"}}]}"#,
        r#"{"choices":[{"delta":{"content":"b"}}]}"#,
    ]);
    assert_eq!(done.text(0, &Channel::Content), Some("a\u{fffd}b"));
    // In arguments the escape is text, and stays text.
    let done = assemble(&[
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":"{\"x\":\"\\ud83d"}}]}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\\ude00\"}"}}]}}]}"#,
    ]);
    assert_eq!(
        done.text(0, &Channel::ToolArguments(0)),
        Some(r#"{"x":"\ud83d\ude00"}"#)
    );
}

#[test]
fn tool_calls_without_an_index() {
    let call = |id: &str, arguments: &str| {
        format!(
            r#"{{"choices":[{{"delta":{{"tool_calls":[{{"id":"{id}","type":"function","function":{{"name":"f{id}","arguments":"{arguments}"}}}}]}}}}]}}"#
        )
    };
    let (one, two) = (call("a", "1"), call("b", "2"));
    let done = assemble(&[&one, &two]);
    let body: Value = serde_json::from_str(&done.body).unwrap();
    let calls = body["choices"][0]["message"]["tool_calls"].as_array().unwrap();
    assert_eq!(calls.len(), 2);
    assert_eq!(
        (&calls[0]["id"], &calls[0]["function"]["arguments"]),
        (&json!("a"), &json!("1"))
    );
    assert_eq!(
        (&calls[1]["id"], &calls[1]["function"]["arguments"]),
        (&json!("b"), &json!("2"))
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let mut assembler = Assembler::with_limit(1000);
    let chunk = format!(r#"{{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(100));
    for _ in 0..100 {
        assembler.push(&chunk, &parse(&chunk).unwrap());
    }
    let done = assembler.finish();
    assert!(done.truncated && done.body.len() < 1500, "{}", done.body.len());
}

#[test]
fn nothing_came() {
    let done = assemble(&[]);
    assert!(!done.complete && done.usage.is_unknown());
    assert_eq!(serde_json::from_str::<Value>(&done.body).unwrap()["choices"], json!([]));
}

#[test]
fn every_event_that_ends_a_response_is_an_end() {
    let delta = r#"{"type":"response.output_text.delta","output_index":0,"delta":"a"}"#;
    let end = |kind: &str, response: &str| {
        let end = format!(r#"{{"type":"response.{kind}","response":{response}}}"#);
        let done = assemble(&[delta, &end]);
        (done.complete, done.finish_reasons.concat(), done.error)
    };
    for kind in ["completed", "incomplete", "cancelled"] {
        let told = (true, kind.to_owned(), None);
        assert_eq!(end(kind, &format!(r#"{{"status":"{kind}"}}"#)), told);
        assert_eq!(end(kind, "{}"), told);
    }
    // It failed: an error is told, also where the provider gives no reason.
    let (complete, reason, error) = end("failed", r#"{"status":"failed","error":{"code":"x","message":"no"}}"#);
    assert_eq!(
        (complete, &*reason, error.unwrap().message.as_str()),
        (false, "failed", "no")
    );
    let (complete, reason, error) = end("failed", r#"{"status":"failed","error":null}"#);
    assert_eq!((complete, &*reason), (false, "failed"));
    assert_eq!(error.unwrap().code.as_deref(), Some("response_failed"));
    assert!(!assemble(&[delta]).complete);
    let progress = r#"{"type":"response.in_progress","response":{"status":"in_progress"}}"#;
    assert!(!assemble(&[delta, progress]).complete);
}
