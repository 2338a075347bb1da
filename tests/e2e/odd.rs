//! Providers that answer as few do: byte by byte what a test wants, over a plain socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Place, Weir};
use crate::raw::{self, post, streamed_text, try_send};

pub const CHAT: &str = "/v1/chat/completions";
pub const EMAIL: &str = "ana.keller@example.com";

/// A provider that answers every request with `answer`, in pieces with a pause between them, and tells what
/// it was asked.
pub fn provider(answer: Vec<Vec<u8>>) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell, told) = sync_channel(100);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut asked, mut length) = (String::new(), 0);
            while stream.read_line(&mut asked).unwrap_or(0) > 2 {
                let line = asked.lines().last().unwrap_or_default().to_ascii_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            if stream.read_exact(&mut body).is_err() {
                continue;
            }
            let _ = tell.send(asked + &String::from_utf8_lossy(&body));
            for piece in &answer {
                let _ = stream.get_mut().write_all(piece);
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    });
    (url, told)
}

/// An answer with these headers and this body, to its end.
pub fn answer(head: &str, body: &str) -> Vec<Vec<u8>> {
    vec![format!("HTTP/1.1 200 OK\r\nconnection: close\r\n{head}\r\n{body}").into_bytes()]
}

pub fn events(body: &str) -> Vec<Vec<u8>> {
    answer("content-type: text/event-stream\r\n", body)
}

pub fn chunk(delta: Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
    json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}).to_string()
}

pub fn finish() -> String {
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    let end = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]});
    format!("data: {end}\n\ndata: [DONE]\n\n")
}

pub fn ask(stream: bool) -> Vec<u8> {
    json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "hello"}]})
        .to_string()
        .into_bytes()
}

/// A file says how long it is, and nobody asks for more once all of it was given: the call has ended by then.
#[test]
fn answers_of_a_stated_length_are_completed() {
    for (method, status, length, body) in [
        ("GET", "200 OK", 5, "\x01\x02\x03\x04\x05"),
        ("GET", "200 OK", 0, ""),
        ("HEAD", "200 OK", 5, ""),
        ("GET", "304 Not Modified", 5, ""),
        ("POST", "204 No Content", 0, ""),
    ] {
        let head = format!("HTTP/1.1 {status}\r\ncontent-type: application/octet-stream\r\ncontent-length: {length}");
        let (url, _) = provider(vec![format!("{head}\r\nconnection: close\r\n\r\n{body}").into_bytes()]);
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let headers: &[(&str, &str)] = &[("content-type", "application/octet-stream")];
        let mut open = try_send(&weir.addr, method, "/v1/files/f1/content", headers, b"").unwrap();
        if !body.is_empty() {
            assert_eq!(open.next().as_deref(), Some(body.as_bytes()), "{method} {status}");
        }
        let row = place.call(&open.answer.call_id());
        assert_eq!(row["status"], "completed", "{method} {status}: {row}");
        weir.stop();
        place.verify();
    }
}

/// Whatever ends a line, only data and event names leave.
#[test]
fn what_stands_beside_the_data_of_a_frame_stays() {
    for end in ["\n", "\r\n", "\r"] {
        for aside in [format!(": {EMAIL}"), format!("id: {EMAIL}"), format!("note: {EMAIL}")] {
            let frame = |delta: Value| format!("data: {}{end}{aside}{end}{end}", chunk(delta));
            // The second text is held until the third shows that it is no address.
            let held = frame(json!({"content": "write to ana.keller"}));
            let body = [frame(json!({"role": "assistant", "content": ""})), held, finish()].concat();
            let (url, _) = provider(events(&body));
            let place = Place::new();
            let weir = Weir::start_with(&place, &["--upstream", &url]);
            let answer = post(&weir.addr, CHAT, &[], &ask(true));
            assert_eq!(streamed_text(&answer.body), "write to ana.keller", "{}", answer.text());
            assert!(!answer.text().contains(EMAIL), "{aside:?} {end:?}: {}", answer.text());
            weir.stop();
        }
    }
}

/// Code and formulas are no JSON, whatever they look like: what no rule matched leaves as it came.
#[test]
fn clean_text_with_backslashes_leaves_as_it_came() {
    let formula = r"{\rm x} = \frac{a}{b} \u0041 \/ \b";
    let code = r#"print('a\n') # /^\/api\b/ "\u00e9" {"#;
    let call = |input: &str| {
        let custom = json!({"name": "run", "input": input});
        json!({"tool_calls": [{"index": 0, "id": "t1", "type": "custom", "custom": custom}]})
    };
    let arguments = r#"{"path":"a\/b\u002fc","text":"x\ny\u00e9"}"#;
    let function = |arguments: &str| {
        let function = json!({"name": "run", "arguments": arguments});
        json!({"tool_calls": [{"index": 1, "id": "t2", "type": "function", "function": function}]})
    };
    let mut body = String::new();
    for at in 0..formula.len().max(code.len()).max(arguments.len()) {
        let letter = |text: &str| text.get(at..=at).map(str::to_owned);
        let deltas = [
            letter(formula).map(|c| json!({"content": c})),
            letter(code).map(|c| call(&c)),
            letter(arguments).map(|c| function(&c)),
        ];
        for delta in deltas.into_iter().flatten() {
            body.push_str(&format!("data: {}\n\n", chunk(delta)));
        }
    }
    let (url, _) = provider(events(&(body + &finish())));
    let place = Place::new();
    let weir = Weir::start_with(&place, &["--upstream", &url]);
    let answer = post(&weir.addr, CHAT, &[], &ask(true));
    assert_eq!(streamed_text(&answer.body), formula);
    let text = answer.text();
    let said = |member: &str, field: &str| -> String {
        let frames = text.lines().filter_map(|line| line.strip_prefix("data: "));
        let chunks = frames.filter_map(|data| serde_json::from_str::<Value>(data).ok());
        chunks
            .filter_map(|chunk| {
                let call = &chunk["choices"][0]["delta"]["tool_calls"][0];
                call[member][field].as_str().map(str::to_owned)
            })
            .collect()
    };
    assert_eq!(said("custom", "input"), code);
    assert_eq!(said("function", "arguments"), arguments);
    weir.stop();
}

/// An answer that calls itself something else is not waved through.
#[test]
fn a_stream_without_its_content_type_does_not_leave_unseen() {
    let frames = ["ana.kel", "ler@example.com"].map(|text| format!("data: {}\n\n", chunk(json!({"content": text}))));
    let body = frames.concat() + &finish();
    for kind in [
        "",
        "content-type: text/plain\r\n",
        "content-type: application/x-ndjson\r\n",
    ] {
        let (url, _) = provider(answer(kind, &body));
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let answer = post(&weir.addr, CHAT, &[], &ask(true));
        assert!(
            !streamed_text(&answer.body).contains(EMAIL),
            "{kind:?}: {}",
            answer.text()
        );
        assert_eq!(answer.json()["error"]["code"], "upstream_answer_unreadable", "{kind:?}");
        weir.stop();
    }
}

/// A path that some servers read as another one is refused: nobody would look at its stream.
#[test]
fn paths_that_hide_an_endpoint_are_refused() {
    let body = format!("data: {}\n\n", chunk(json!({"content": EMAIL}))) + &finish();
    let (url, _) = provider(events(&body));
    let place = Place::new();
    let weir = Weir::start_with(&place, &["--upstream", &url]);
    for path in [
        "/v1/chat%2Fcompletions",
        "/v1/chat%2fcompletions",
        "/v1/chat%5Ccompletions",
        "/v1/chat/completions;a=b",
        "/v1/models/..%2fchat%2fcompletions",
        "/v1/models/..\\chat\\completions",
        "/v1/Chat/Completions",
    ] {
        let answer = post(&weir.addr, path, &[], &ask(true));
        assert_eq!(
            (answer.status, &answer.json()["error"]["code"]),
            (400, &json!("bad_path")),
            "{path}"
        );
    }
    for path in [
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/v1/chat//completions",
    ] {
        let answer = post(&weir.addr, path, &[], &ask(true));
        assert_eq!(streamed_text(&answer.body), "[EMAIL]", "{path}");
    }
    assert_ne!(raw::get(&weir.addr, "/v1/models/a%2Fb").status, 400);
    weir.stop();
}

/// Text is looked at, whatever endpoint it goes to; what is neither JSON nor text passes.
#[test]
fn text_to_other_endpoints_is_looked_at() {
    let (url, told) = provider(answer("content-length: 2\r\ncontent-type: application/json\r\n", "{}"));
    let place = Place::new();
    let weir = Weir::start_with(&place, &["--upstream", &url]);
    let secret = json!({"note": EMAIL}).to_string();
    for (kind, sent, seen) in [
        ("text/plain", secret.as_str(), r#"{"note":"[EMAIL]"}"#),
        ("application/x-www-form-urlencoded", &secret, r#"{"note":"[EMAIL]"}"#),
        ("text/plain", EMAIL, "[EMAIL]"),
        (
            "text/csv; charset=utf-8",
            "a,b\nana.keller@example.com,1\n",
            "a,b\n[EMAIL],1\n",
        ),
    ] {
        let answer = post(&weir.addr, "/v1/other", &[("content-type", kind)], sent.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let asked = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(asked.ends_with(&format!("\r\n\r\n{seen}")), "{kind}: {asked}");
        place.call(&answer.call_id());
    }
    place.assert_absent(EMAIL);
    weir.stop();
    place.verify();
}

/// A comment that only keeps the connection alive is no token, and still comes after `response.started`.
#[test]
fn a_comment_first_is_no_first_token() {
    let mut answer = events(": keep-alive\n\n");
    answer.extend((0..6).map(|_| b": still there\n\n".to_vec()));
    answer.push((format!("data: {}\n\n", chunk(json!({"content": "hello"}))) + &finish()).into_bytes());
    let (url, _) = provider(answer);
    let place = Place::new();
    let weir = Weir::start_with(&place, &["--upstream", &url]);
    let answer = post(&weir.addr, CHAT, &[], &ask(true));
    assert_eq!(streamed_text(&answer.body), "hello");
    let row = place.call(&answer.call_id());
    let events = format!(
        "select type from events where call_id = '{}' order by seq",
        answer.call_id()
    );
    let types: Vec<Value> = place.sql(&events).into_iter().map(|row| row["type"].clone()).collect();
    assert_eq!(
        types,
        ["call.started", "attempt.started", "response.started", "call.completed"]
    );
    let ttft = row["ttft_ms"].as_f64().unwrap();
    assert!((500.0..row["duration_ms"].as_f64().unwrap()).contains(&ttft), "{row}");
    weir.stop();
}

/// What a rule takes out of a body is not kept by way of an attribute.
#[test]
fn attributes_are_masked_like_bodies() {
    let whole = json!({
        "id": EMAIL, "object": "chat.completion", "created": 1, "model": EMAIL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": EMAIL}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
    .to_string();
    let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", whole.len());
    let (url, _) = provider(answer(&head, &whole));
    let place = Place::new();
    // The policy without rules is chosen first; the one that counts is known when the body is read.
    let config = format!(
        "[[upstream]]\nname = \"u\"\nbase_url = \"{url}\"\n\
         [guard.policy]\npacks = [\"secrets\"]\n[guard.policies.strict]\npacks = [\"pii\"]\n\
         [[guard.apply]]\npolicy = \"strict\"\nmodels = [\"gpt-*\"]\n"
    );
    let weir = Weir::start_config(&place, &config);
    let headers = [
        ("x-weir-session", EMAIL),
        ("x-weir-user", EMAIL),
        ("x-weir-tags", EMAIL),
        ("x-weir-app", EMAIL),
        ("user-agent", EMAIL),
    ];
    let messages = json!([{"role": "user", "content": "hello"}]);
    let body = json!({"model": "gpt-x", "messages": messages, "response_format": {"type": EMAIL}}).to_string();
    let answer = post(&weir.addr, CHAT, &headers, body.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    place.call(&answer.call_id());
    place.assert_absent(EMAIL);
    weir.stop();
}

/// An answer that ran into its limit is an answer, and a stored one is looked at like a fresh one, and costs
/// nothing.
#[test]
fn responses_end_in_their_own_ways() {
    let response = json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": "incomplete", "model": "m",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "message", "id": "i", "role": "assistant", "status": "incomplete",
            "content": [{"type": "output_text", "text": EMAIL, "annotations": []}]}],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    });
    let delta = json!({"type": "response.output_text.delta", "item_id": "i", "output_index": 0,
        "content_index": 0, "sequence_number": 1, "delta": EMAIL});
    let end = json!({"type": "response.incomplete", "sequence_number": 2, "response": response});
    let body =
        format!("event: response.output_text.delta\ndata: {delta}\n\nevent: response.incomplete\ndata: {end}\n\n");
    let (url, _) = provider(events(&body));
    let place = Place::new();
    let config = format!(
        "[recording]\non_block = \"refusal\"\n[[upstream]]\nname = \"u\"\nbase_url = \"{url}\"\n\
         [guard.policy.rules.\"pii.iban\"]\naction = \"block\"\n"
    );
    let weir = Weir::start_config(&place, &config);
    let ask = |input: &str| json!({"model": "m", "stream": true, "input": input}).to_string();
    let fresh = post(&weir.addr, "/v1/responses", &[], ask("hello").as_bytes());
    let stored = raw::get(&weir.addr, "/v1/responses/resp_1?stream=true");
    for (answer, tokens) in [(&fresh, json!(2)), (&stored, Value::Null)] {
        let text = answer.text();
        assert!(
            text.contains("[EMAIL]") && !text.contains(EMAIL) && !text.contains("\"error\":{"),
            "{text}"
        );
        let row = place.call(&answer.call_id());
        assert_eq!(
            (&row["status"], &row["output_tokens"]),
            (&json!("completed"), &tokens),
            "{row}"
        );
    }
    // A refusal has the shape of a chat: an app that asked for a response gets an error it knows.
    let blocked = post(
        &weir.addr,
        "/v1/responses",
        &[],
        ask("pay to DE89 3704 0044 0532 0130 00").as_bytes(),
    );
    assert_eq!(
        blocked.json()["error"]["code"],
        "guardrail_blocked",
        "{}",
        blocked.text()
    );
    weir.stop();
    place.verify();
}

/// Names are texts, too: at every level, and where a verdict says what it was about.
#[test]
fn names_are_looked_at_and_told_to_nobody() {
    let (url, told) = provider(answer("content-length: 2\r\ncontent-type: application/json\r\n", "{}"));
    let place = Place::new();
    let weir = Weir::start_with(&place, &["--upstream", &url]);
    let text = "hello";
    for body in [
        json!({"model": "m", "messages": [{"role": "user", "content": text}], "metadata": {EMAIL: "vip"}}),
        json!({"model": "m", "messages": [{"role": "user", "content": text, EMAIL: ""}]}),
        json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": text, EMAIL: 1}]}]}),
        json!({"model": "m", "messages": [{"role": "user", "content": text}], EMAIL: {}}),
    ] {
        let answer = post(&weir.addr, CHAT, &[], body.to_string().as_bytes());
        let asked = told.recv_timeout(Duration::from_secs(10)).unwrap();
        assert!(!asked.contains(EMAIL) && asked.contains("[EMAIL]"), "{asked}");
        let row = place.call(&answer.call_id());
        assert_eq!(row["guardrail_rules"], json!(["pii.email"]), "{row}");
    }
    place.assert_absent(EMAIL);
    weir.stop();
}

/// A text for which the journal has no room is left out of the history; what was done about it is not, and a
/// call that cannot be recorded at all is not taken.
#[test]
fn a_journal_without_room_keeps_the_facts() {
    let long = format!("{EMAIL} {}", "lorem ipsum ".repeat(300_000));
    let message = json!({"role": "assistant", "content": long});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let whole = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
    let head = format!(
        "content-type: application/json\r\ncontent-length: {}\r\n",
        whole.to_string().len()
    );
    let (url, _) = provider(answer(&head, &whole.to_string()));
    for when_full in ["block", "shed"] {
        without_room(when_full, &url, &long);
    }
}

fn without_room(when_full: &str, url: &str, long: &str) {
    let place = Place::new();
    let config = format!(
        "[journal]\nquota_mib = 1\nwhen_full = \"{when_full}\"\n[recording]\non_block = \"refusal\"\n[[upstream]]\n\
         name = \"u\"\nbase_url = \"{url}\"\n[guard.policy.rules.\"pii.iban\"]\naction = \"block\"\n"
    );
    let weir = Weir::start_config(&place, &config);
    let given = post(&weir.addr, CHAT, &[], &ask(false));
    assert_eq!(given.status, 200, "{}", &given.text()[..200]);
    assert!(given.text().contains("[EMAIL] lorem"));
    let row = place.call(&given.call_id());
    assert_eq!(
        (&row["status"], &row["response_body"]),
        (&json!("completed"), &Value::Null)
    );
    assert_eq!(row["guardrail_rules"], json!(["pii.email"]), "{row}");

    let prompt = format!("pay to DE89 3704 0044 0532 0130 00 {long}");
    let body = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]}).to_string();
    let refused = post(&weir.addr, CHAT, &[], body.as_bytes());
    if when_full == "block" {
        assert_eq!(
            (refused.status, &refused.json()["error"]["code"]),
            (503, &json!("journal_full"))
        );
    }
    weir.stop();
    place.verify();
}
