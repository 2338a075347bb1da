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
