//! What is kept of a call, and what is counted of it, where a guardrail or the configuration takes text away.

use serde_json::{Value, json};

use crate::harness::{Place, Upstream, Weir, config};
use crate::odd::{answer, ask, chunk, events, finish, provider};
use crate::policies::{CHAT, EMAIL};
use crate::raw::post;

/// Who and how is told under every setting; without what no rule lets through.
#[test]
fn parameters_are_kept_where_bodies_are_not() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, "[recording]\nrecord = \"metadata\"\n"));
    let body = json!({"model": "gpt-4o-mini", "stop": ["END", EMAIL], "metadata": {"ticket": "T-7", "of": EMAIL},
        "messages": [{"role": "user", "content": "hello"}]});
    let answer = post(&weir.addr, CHAT, &[], body.to_string().as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let call = answer.call_id();
    assert_eq!(place.call(&call)["request_body"], Value::Null);
    let query = format!("select body from events where call_id = '{call}' and type = 'call.started'");
    let started = place.sql(&query)[0]["body"].to_string();
    for kept in ["END", "T-7", "[EMAIL]"] {
        assert!(started.contains(kept), "{started}");
    }
    place.assert_absent(EMAIL);
    weir.stop();
    place.verify();
}

fn whole(content: &str) -> Vec<Vec<u8>> {
    let message = json!({"role": "assistant", "content": content});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let body = json!({"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
    answer("content-type: application/json\r\n", &body.to_string())
}

/// The model made the same tokens, whatever of them leaves, and however the answer came.
#[test]
fn tokens_are_counted_of_what_the_model_said() {
    let said = format!("write to {EMAIL}, or to bob.the.builder@example.org");
    let head = format!("data: {}\n\n", chunk(json!({"role": "assistant", "content": ""})));
    let pieces = said.as_bytes().chunks(7).map(|piece| {
        let piece = std::str::from_utf8(piece).unwrap();
        format!("data: {}\n\n", chunk(json!({"content": piece})))
    });
    let streamed = events(&(head + &pieces.collect::<String>() + &finish()));
    let counted = [(false, whole(&said)), (true, streamed)].map(|(stream, answer)| {
        let place = Place::new();
        let (url, _told) = provider(answer);
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let answer = post(&weir.addr, CHAT, &[], &ask(stream));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let row = place.call(&answer.call_id());
        assert_eq!(row["response_text"], "write to [EMAIL], or to [EMAIL]", "{row}");
        assert_eq!(row["usage_source"], "estimated", "{row}");
        weir.stop();
        row["output_tokens"].as_i64().unwrap()
    });
    assert_eq!(counted[0], counted[1]);
    assert!(counted[0] > 12, "{counted:?}");
}

/// An answer of another form is kept as other flagged text is; what is personal in it is not.
#[test]
fn an_answer_that_is_blocked_whole_is_kept() {
    let said = json!({"answer": 5, "more": format!("ask {EMAIL} why")}).to_string();
    for (record, on_block) in [
        ("full", "error"),
        ("redacted", "error"),
        ("metadata", "error"),
        ("full", "refusal"),
    ] {
        let place = Place::new();
        let (url, _told) = provider(whole(&said));
        let config = format!(
            "[recording]\nrecord = \"{record}\"\non_block = \"{on_block}\"\n[guard.policy.format]\naction = \"block\"\n\
             [[upstream]]\nname = \"only\"\nbase_url = \"{url}\"\n"
        );
        let weir = Weir::start_config(&place, &config);
        let schema = json!({"type": "object", "properties": {"answer": {"type": "string"}}});
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}});
        let answer = post(&weir.addr, CHAT, &[], body.to_string().as_bytes());
        let row = place.call(&answer.call_id());
        assert_eq!(row["status"], "blocked", "{row}");
        let text = row["response_text"].as_str();
        match (record, on_block) {
            ("full", "error") => {
                let text = text.unwrap_or_else(|| panic!("{row}"));
                assert!(text.contains("\"answer\":5") && text.contains("[EMAIL]"), "{text}");
            }
            ("redacted", "error") => assert!(text.is_some_and(|text| !text.contains(":5")), "{row}"),
            ("full", _) => assert!(text.is_some_and(|text| !text.contains("[EMAIL]")), "{row}"),
            _ => assert_eq!((text, &row["response_body"]), (None, &Value::Null)),
        }
        place.assert_absent(EMAIL);
        weir.stop();
        place.verify();
    }
}

/// One escape that is half a character does not hide a call from whoever searches its text.
#[test]
fn half_a_character_leaves_the_rest_to_be_found() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let body = br#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"\ud800 hi"}]}"#;
    let row = place.call(&post(&weir.addr, CHAT, &[], body).call_id());
    assert_eq!(row["request_text"], "user: \u{fffd} hi", "{row}");
    let kept = row["request_body"].as_str().unwrap();
    assert!(kept.contains(r"\ud800 hi"), "{kept}");
    weir.stop();
}

/// A chunk of which all is held back does not leave empty.
#[test]
fn what_is_held_leaves_no_empty_chunks() {
    let pieces = ["mail ana.", "keller", "@exam", "ple.", "com now", " ok"];
    let call = |more: Value| {
        let mut call = json!({"index": 0, "function": more});
        if call["function"]["name"].is_string() {
            call["id"] = json!("call_1");
            call["type"] = json!("function");
        }
        json!({"tool_calls": [call]})
    };
    let arguments = [r#"{"to":"ana."#, "keller", "@exam", "ple.", "com\"", "}"];
    let tools = std::iter::once(chunk(call(json!({"name": "f", "arguments": ""}))))
        .chain(arguments.map(|piece| chunk(call(json!({"arguments": piece})))));
    let spelled = pieces.iter().enumerate().map(|(at, piece)| {
        let token = json!({"token": piece, "logprob": -0.5, "bytes": null, "top_logprobs": []});
        let role = if at == 0 { json!("assistant") } else { Value::Null };
        let mut chunk: Value = serde_json::from_str(&chunk(json!({"role": role, "content": piece}))).unwrap();
        chunk["choices"][0]["logprobs"] = json!({"content": [token], "refusal": null});
        chunk.to_string()
    });
    let deltas = pieces.iter().enumerate().map(|(at, piece)| {
        json!({"type": "response.output_text.delta", "item_id": "msg_0123456789abcdef0123456789abcdef", "output_index": 0,
            "content_index": 0, "delta": piece, "sequence_number": at + 4, "logprobs": [],
            "obfuscation": "a8Zk3LmQp0"})
        .to_string()
    });
    let completed = json!({"type": "response.completed", "sequence_number": 90, "response": {"id": "resp_1",
        "object": "response", "status": "completed", "model": "m", "output": []}});
    let frames =
        |data: &mut dyn Iterator<Item = String>| data.map(|data| format!("data: {data}\n\n")).collect::<String>();
    for (path, body, empty) in [
        (CHAT, frames(&mut tools.clone()) + &finish(), r#""arguments":"""#),
        (CHAT, frames(&mut spelled.clone()) + &finish(), r#""content":"""#),
        (
            "/v1/responses",
            frames(&mut deltas.clone()) + &frames(&mut std::iter::once(completed.to_string())),
            r#""delta":"""#,
        ),
    ] {
        let place = Place::new();
        let (url, _told) = provider(events(&body));
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let asked = match path {
            CHAT => ask(true),
            _ => json!({"model": "m", "stream": true, "input": "hello"})
                .to_string()
                .into_bytes(),
        };
        let answer = post(&weir.addr, path, &[], &asked);
        let text = answer.text();
        assert!(text.contains("[EMAIL]") && !text.contains("keller"), "{text}");
        // The first chunk of a tool call says its name.
        let begin = usize::from(empty.contains("arguments"));
        assert_eq!(text.matches(empty).count(), begin, "{text}");
        let row = place.call(&answer.call_id());
        assert_eq!(row["status"], "completed", "{row}");
        weir.stop();
    }
}
