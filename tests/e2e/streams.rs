//! Streams as few providers send them and few apps read them: what leaves, what is kept, how they end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Weir, eventually};
use crate::odd::{CHAT, EMAIL, answer, ask, chunk, events, finish, provider};
use crate::raw::{self, post, streamed_text};

const CARD: &str = "4242 4242 4242 4242";
const NO_GUARD: &str = "[guard]\noff = true\n";

fn config(url: &str, more: &str) -> String {
    format!("{more}\n[[upstream]]\nname = \"u\"\nbase_url = \"{url}\"\n")
}

fn frame(data: impl std::fmt::Display) -> String {
    format!("data: {data}\n\n")
}

/// The JSON of each event.
fn chunks(text: &str) -> Vec<Value> {
    let frames = text.split("\n\n").filter(|frame| !frame.is_empty());
    let data = frames.filter_map(|frame| frame.lines().find_map(|line| line.strip_prefix("data: ")));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap_or_else(|e| panic!("{e}: {data}")))
        .collect()
}

fn event(kind: &str, more: Value) -> String {
    let mut event = json!({"type": kind, "sequence_number": 1, "output_index": 0, "item_id": "i"});
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("event: {kind}\n{}", frame(event))
}

/// The events that repeat a text as a whole are looked at as its deltas were, with the escapes of JSON undone.
#[test]
fn what_repeats_json_is_read_as_json() {
    let said = r#"{"note":"card:\n4242 4242 4242 4242","to":"\nana.keller\u0040example.com","path":"a\/b"}"#;
    let list = r#"["card:\n4242 4242 4242 4242","\nana.keller@example.com"]"#;
    let call = |arguments: &str| {
        json!({"type": "function_call", "id": "i", "call_id": "c", "name": "run", "status": "completed",
            "arguments": arguments})
    };
    let message = json!({"type": "message", "id": "m", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": said, "annotations": []}]});
    let response = json!({"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m",
        "output": [call(said), call(list), message],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
    let mut body = String::new();
    for (start, part) in [&said[..40], &said[40..]].iter().enumerate() {
        assert!(start < 2);
        body += &event("response.function_call_arguments.delta", json!({"delta": part}));
    }
    body += &event("response.function_call_arguments.done", json!({"arguments": said}));
    body += &event("response.function_call_arguments.done", json!({"arguments": list}));
    body += &event("response.output_item.done", json!({"item": call(said)}));
    body += &event("response.output_item.done", json!({"item": call(list)}));
    body += &event("response.output_text.done", json!({"text": said, "content_index": 0}));
    body += &event("response.completed", json!({"response": response}));
    let whole = answer(
        &format!(
            "content-type: application/json\r\ncontent-length: {}\r\n",
            response.to_string().len()
        ),
        &response.to_string(),
    );
    for (stream, answer) in [(true, events(&body)), (false, whole)] {
        let (url, _) = provider(answer);
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let asked = json!({"model": "m", "stream": stream, "input": "hello"}).to_string();
        let answer = post(&weir.addr, "/v1/responses", &[], asked.as_bytes());
        let text = answer.text();
        assert!(!text.contains(CARD) && !text.contains("example.com"), "{text}");
        let told = if stream { chunks(&text) } else { vec![answer.json()] };
        let deltas: String = told.iter().filter_map(|event| event["delta"].as_str()).collect();
        let mut texts: Vec<String> = Vec::from_iter(stream.then_some(deltas));
        for event in &told {
            let output = event["response"]["output"].as_array().or(event["output"].as_array());
            let items = [event, &event["item"]].into_iter().chain(output.into_iter().flatten());
            for item in items {
                for text in [&item["arguments"], &item["text"], &item["content"][0]["text"]] {
                    texts.extend(text.as_str().map(str::to_owned));
                }
            }
        }
        assert_eq!(texts.len(), if stream { 9 } else { 3 }, "{texts:#?}");
        for text in texts {
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
            let wanted = match value.is_array() {
                true => json!(["card:\n[CREDIT_CARD]", "\n[EMAIL]"]),
                false => json!({"note": "card:\n[CREDIT_CARD]", "to": "\n[EMAIL]", "path": "a/b"}),
            };
            assert_eq!(value, wanted);
        }
        place.call(&answer.call_id());
        place.assert_absent(CARD);
        place.assert_absent("ana.keller");
        weir.stop();
    }
}

fn tokens(tokens: &[&str]) -> Value {
    let token = |token: &&str| json!({"token": token, "logprob": -0.5, "bytes": null, "top_logprobs": []});
    json!({"content": tokens.iter().map(token).collect::<Vec<_>>(), "refusal": null})
}

fn spelled(delta: Value, logprobs: Value) -> String {
    let mut chunk: Value = serde_json::from_str(&chunk(delta)).unwrap();
    chunk["choices"][0]["logprobs"] = logprobs;
    frame(chunk)
}

/// Tokens that do not spell the text of their choice stay here, whatever else they spell.
#[test]
fn log_probabilities_spell_what_left_or_nothing() {
    let card = ["card ", "4242", " 4242", " 4242", " 4242"];
    let aside = [
        spelled(json!({"reasoning_content": card.concat()}), tokens(&card)),
        spelled(json!({"content": "fine"}), tokens(&["fine"])),
    ];
    let shifted = [
        spelled(
            json!({"content": "mail "}),
            tokens(&["mail ", "of nobody in particular, and of no meaning"]),
        ),
        spelled(json!({"content": EMAIL}), tokens(&[EMAIL])),
    ];
    let last = [
        spelled(json!({"content": "fine"}), tokens(&["fine"])),
        spelled(json!({"content": "."}), tokens(&[EMAIL]))
            .replace("\"finish_reason\":null", "\"finish_reason\":\"stop\""),
    ];
    let beside = [spelled(
        json!({"content": "fine"}),
        json!({"content": tokens(&["fine"])["content"], "reasoning_content": tokens(&[EMAIL])["content"]}),
    )];
    let good = [
        spelled(json!({"role": "assistant", "content": ""}), tokens(&[])),
        spelled(json!({"content": "fine, "}), tokens(&["fine", ", "])),
        spelled(json!({"content": "ana.keller"}), tokens(&["ana", ".keller"])),
        spelled(json!({"content": "."}), tokens(&["."]))
            .replace("\"finish_reason\":null", "\"finish_reason\":\"stop\""),
    ];
    for (name, body, wanted) in [
        ("aside", aside.concat(), ""),
        ("shifted", shifted.concat(), "mail "),
        ("beside", beside.concat(), ""),
        ("last", last.concat(), "fine"),
        ("good", good.concat(), "fine, ana.keller."),
    ] {
        let (url, _) = provider(events(&(body + &finish())));
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let answer = post(&weir.addr, CHAT, &[], &ask(true));
        let text = answer.text();
        assert!(!text.contains(EMAIL) && !text.contains("4242"), "{name}: {text}");
        let mut shown = String::new();
        for chunk in chunks(&text) {
            for token in chunk["choices"][0]["logprobs"]["content"]
                .as_array()
                .into_iter()
                .flatten()
            {
                shown += token["token"].as_str().unwrap();
            }
        }
        assert!(wanted.starts_with(&shown), "{name}: {shown:?}");
        assert!(name != "good" || shown == wanted, "{name}: {shown:?}");
        place.call(&answer.call_id());
        place.assert_absent(EMAIL);
        weir.stop();
    }
}

/// Behind a block nothing leaves, and nothing spells it either.
#[test]
fn log_probabilities_stop_at_a_block() {
    // The number is held until it is known that no word behind it makes it one of an identity.
    let said = ["536904399", " ", "a.k@example.com", " tail"];
    let text = spelled(json!({"content": said.concat()}), tokens(&said));
    let (url, _) = provider(events(&(text + &finish())));
    let place = Place::new();
    let rule = "[guard.policy.rules.\"pii.email\"]\naction = \"block\"\n";
    let weir = Weir::start_config(&place, &format!("{}{rule}", config(&url, "")));
    let answer = post(&weir.addr, CHAT, &[], &ask(true));
    let text = answer.text();
    assert_eq!(streamed_text(&answer.body), "536904399 ", "{text}");
    assert!(!text.contains("tail") && !text.contains("example.com"), "{text}");
    assert_eq!(place.call(&answer.call_id())["status"], "blocked");
    weir.stop();
}

/// The same for whole answers.
#[test]
fn log_probabilities_of_whole_answers_spell_them_or_are_left_out() {
    let legacy = |tokens: &[&str]| {
        let offsets: Vec<usize> = (0..tokens.len()).collect();
        json!({"tokens": tokens, "token_logprobs": [-0.5], "top_logprobs": null, "text_offset": offsets})
    };
    let mut beside = tokens(&["ok"]);
    beside["note"] = json!(EMAIL);
    for (text, logprobs, passes) in [
        ("ok", tokens(&["o", "k"]), true),
        ("ok", legacy(&["ok"]), true),
        ("ok", legacy(&[EMAIL]), false),
        ("ok", tokens(&[EMAIL]), false),
        ("some words as long as it", tokens(&[EMAIL, "42"]), false),
        ("ok", json!([EMAIL]), false),
        ("ok", beside, false),
    ] {
        let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop",
            "logprobs": logprobs});
        let whole = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]});
        let whole = whole.to_string();
        let head = format!("content-type: application/json\r\ncontent-length: {}\r\n", whole.len());
        let (url, _) = provider(answer(&head, &whole));
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let answer = post(&weir.addr, CHAT, &[], &ask(false));
        let found = &answer.json()["choices"][0]["logprobs"];
        assert_eq!(*found, if passes { logprobs } else { Value::Null });
        place.call(&answer.call_id());
        place.assert_absent(EMAIL);
        weir.stop();
    }
}

/// A server that leaves out the last blank line has said what it said all the same.
#[test]
fn a_last_frame_without_its_blank_line_is_read() {
    let text = frame(chunk(json!({"content": "hello"})));
    let ended = finish().replace("data: [DONE]\n\n", "");
    let usage = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
        "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}});
    let cut = |body: String, line_end: &str| format!("{}{line_end}", body.trim_end());
    for guard in ["", NO_GUARD] {
        for end in ["", "\n"] {
            for (body, complete, source) in [
                (cut(format!("{text}{ended}"), end), true, "estimated"),
                (cut(format!("{text}{ended}{}", frame(&usage)), end), true, "provider"),
                (cut(format!("{text}{}", finish()), end), true, "estimated"),
                (cut(format!("{text}{ended}: the end"), end), true, "estimated"),
                (
                    cut(format!("{text}data: {{\"id\":\"c1\",\"choi"), end),
                    false,
                    "estimated",
                ),
            ] {
                let (url, _) = provider(events(&body));
                let place = Place::new();
                let weir = Weir::start_config(&place, &config(&url, guard));
                let answer = post(&weir.addr, CHAT, &[], &ask(true));
                let said = answer.text();
                assert_eq!(streamed_text(&answer.body), "hello", "{guard} {body:?}");
                let error = chunks(&said).iter().any(|chunk| chunk["error"].is_object());
                assert_eq!(error, !complete, "{guard} {body:?}: {said}");
                assert!(!said.contains("prompt_tokens"), "{guard} {body:?}: {said}");
                let row = place.call(&answer.call_id());
                let status = if complete { "completed" } else { "failed" };
                assert_eq!(
                    (&row["status"], &row["usage_source"]),
                    (&json!(status), &json!(source)),
                    "{guard} {body:?}: {row}"
                );
                weir.stop();
            }
        }
    }
}

/// The event that ends a response leaves when the call's end is written, as `[DONE]` does elsewhere.
#[test]
fn a_response_is_over_when_its_last_event_leaves() {
    let output = json!([{"type": "message", "id": "i", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "hello", "annotations": []}]}]);
    for kind in ["completed", "incomplete", "failed"] {
        let response = json!({"id": "r", "object": "response", "status": kind, "model": "m", "output": output,
            "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
        let mut body = event("response.output_text.delta", json!({"delta": "hello"}));
        let last = event(&format!("response.{kind}"), json!({"response": response}));
        body += &last;
        for guard in ["", NO_GUARD] {
            let mut answer = events(&body);
            // The provider is in no hurry to close.
            answer.extend((0..50).map(|_| b": still there\n\n".to_vec()));
            let (url, _) = provider(answer);
            let place = Place::new();
            let weir = Weir::start_config(&place, &config(&url, guard));
            let asked = json!({"model": "m", "stream": true, "input": "hello"}).to_string();
            let mut open = raw::open(&weir.addr, "/v1/responses", &[], asked.as_bytes());
            while !String::from_utf8_lossy(&open.answer.body).contains(&last) {
                assert!(open.next().is_some(), "{kind}: {}", open.answer.text());
            }
            let (call_id, size) = (open.answer.call_id(), open.answer.body.len());
            drop(open);
            let row = place.call(&call_id);
            let status = if kind == "failed" { "failed" } else { "completed" };
            assert_eq!(
                (&row["status"], &row["output_tokens"]),
                (&json!(status), &json!(2)),
                "{guard} {kind}: {row}"
            );
            let query = format!("select body from events where call_id = '{call_id}' and type = 'call.{status}'");
            let body = place.sql(&query)[0]["body"].as_str().unwrap().to_owned();
            assert!(
                body.contains(&format!(":{size}")) && !body.contains("truncated"),
                "{size}: {body}"
            );
            weir.stop();
            place.verify();
        }
    }
}

/// The usage that Weir asked for stays here, and what comes with it is looked at before it is kept.
#[test]
fn what_comes_with_the_usage_is_looked_at() {
    let usage = |more: Value| {
        let mut chunk = json!({"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
            "usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}});
        chunk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        frame(chunk)
    };
    let email = format!("from {EMAIL}");
    for (more, kept) in [
        (json!({"note": email}), "from [EMAIL]"),
        (json!({"notes": {"deep": [email]}}), "from [EMAIL]"),
        (
            json!({"provider": "X", "timings": {"predicted_ms": 1.5}}),
            "predicted_ms",
        ),
    ] {
        let end = finish();
        let (ended, done) = end.split_at(end.find("data: [DONE]").unwrap());
        let text = frame(chunk(json!({"content": "hello"})));
        let (url, _) = provider(events(&format!("{text}{ended}{}{done}", usage(more))));
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let answer = post(&weir.addr, CHAT, &[], &ask(true));
        let said = answer.text();
        assert_eq!(streamed_text(&answer.body), "hello");
        assert!(!said.contains("prompt_tokens") && !said.contains("from"), "{said}");
        let row = place.call(&answer.call_id());
        assert_eq!(
            (&row["status"], &row["output_tokens"]),
            (&json!("completed"), &json!(5)),
            "{row}"
        );
        let body = row["response_body"].to_string();
        assert!(kept == "predicted_ms" || body.contains(kept), "{row}");
        place.assert_absent(EMAIL);
        weir.stop();
    }
}

/// What names a provider's error may quote the prompt like its message.
#[test]
fn the_code_of_a_streamed_error_is_masked() {
    for error in [
        json!({"message": "x", "type": format!("user {EMAIL} unknown")}),
        json!({"message": "x", "type": "invalid", "code": format!("no-{EMAIL}")}),
    ] {
        let text = frame(chunk(json!({"content": "hello"})));
        let (url, _) = provider(events(&format!("{text}{}", frame(json!({"error": error})))));
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let answer = post(&weir.addr, CHAT, &[], &ask(true));
        assert!(!answer.text().contains(EMAIL), "{}", answer.text());
        let row = place.call(&answer.call_id());
        assert_eq!(row["status"], "failed", "{row}");
        assert!(row["error_code"].as_str().unwrap().contains("[EMAIL]"), "{row}");
        place.assert_absent(EMAIL);
        weir.stop();
    }
}

/// SDKs hang up on an error; the provider may go on all the same. It was the provider that failed.
#[test]
fn a_streamed_error_fails_the_call_whoever_hangs_up() {
    let text = frame(chunk(json!({"content": "hello"})));
    let error = frame(json!({"error": {"message": "too much", "type": "server_error", "code": "overloaded"}}));
    let mut pieces = events(&format!("{text}{error}"));
    pieces.extend(std::iter::repeat_n(b": wait\n\n".to_vec(), 30));
    let (url, _) = provider(pieces);
    let place = Place::new();
    let weir = Weir::start_with(&place, &["--upstream", &url]);
    let mut open = crate::raw::open(&weir.addr, CHAT, &[], &ask(true));
    while !open.answer.text().contains("overloaded") {
        assert!(open.next().is_some(), "{}", open.answer.text());
    }
    let id = open.answer.call_id();
    drop(open);
    let row = place.call(&id);
    assert_eq!(
        (&row["status"], &row["error_code"]),
        (&json!("failed"), &json!("overloaded")),
        "{row}"
    );
    weir.stop();
    place.verify();
}

/// Some servers keep a connection alive with events that say nothing.
#[test]
fn an_event_without_data_says_nothing() {
    let text = frame(chunk(json!({"content": "hello"})));
    for beat in [
        "event: ping\ndata:\n\n",
        "data: \n\n",
        "data\ndata\n\n",
        "data:\r\n\r\n",
    ] {
        let (url, _) = provider(events(&format!("{beat}{text}{beat}{}", finish())));
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let answer = post(&weir.addr, CHAT, &[], &ask(true));
        assert_eq!(streamed_text(&answer.body), "hello", "{beat:?}: {}", answer.text());
        assert_eq!(place.call(&answer.call_id())["status"], "completed", "{beat:?}");
        weir.stop();
    }
}

/// To an endpoint that Weir does not know, only what can be nothing else is a picture.
#[test]
fn prose_is_no_picture() {
    let (url, told) = provider(answer("content-length: 2\r\ncontent-type: application/json\r\n", "{}"));
    let place = Place::new();
    let weir = Weir::start_with(&place, &["--upstream", &url]);
    let words = format!("{}4242424242424242+{}", "word+".repeat(40), "word+".repeat(20));
    let picture = format!("data:image/png;base64,{}", "QUJDREVG".repeat(50));
    for (prompt, seen) in [
        (format!("data:mail {EMAIL};base64,"), "[EMAIL]"),
        (format!("data:mail {EMAIL};base64,aGVsbG8="), "[EMAIL]"),
        (words, "[CREDIT_CARD]"),
        (picture.clone(), &*picture),
    ] {
        let body = json!({"model": "m", "prompt": prompt}).to_string();
        let answer = post(&weir.addr, "/v1/images/generations", &[], body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
        let asked = told.recv_timeout(PATIENCE).unwrap();
        assert!(asked.contains(seen) && !asked.contains(EMAIL), "{asked}");
        assert!(!asked.contains("4242424242424242"), "{asked}");
        place.call(&answer.call_id());
    }
    place.assert_absent(EMAIL);
    weir.stop();
}

/// An app that never takes its answer holds its call no longer than a call may last.
#[test]
fn an_http2_window_that_never_opens() {
    let mut answer = events(&frame(chunk(json!({"content": "hello"}))));
    answer.push(finish().into_bytes());
    let (url, _) = provider(answer);
    let place = Place::new();
    let weir = Weir::start_config(&place, &config(&url, "[timeouts]\ntotal = 1.0\n"));
    let mut client = TcpStream::connect(&weir.addr).unwrap();
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    };
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // :method POST, :scheme http, :path, :authority, content-type, x-weir-session
    let head = [
        vec![0x83, 0x86, 0x04],
        text(CHAT),
        vec![0x01],
        text("localhost"),
        vec![0x0f, 0x10],
        text("application/json"),
        vec![0x00],
        text("x-weir-session"),
        text("window"),
    ];
    let sent = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        // Flow-control windows begin with 0 bytes.
        frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]),
        frame(1, 4, 1, &head.concat()),
        frame(0, 1, 1, &ask(true)),
    ];
    client.write_all(&sent.concat()).unwrap();
    let mut first = [0; 9];
    client.read_exact(&mut first).unwrap();
    let rows = eventually("the call has ended", PATIENCE, || {
        Some(place.sql("select * from calls where session_id = 'window'")).filter(|rows| !rows.is_empty())
    });
    assert_eq!(rows[0]["status"], "cancelled", "{rows:?}");
    drop(client);
    weir.stop();
    place.verify();
}

/// Nor does an app that takes it slowly, however much of it is there.
#[test]
fn an_answer_that_is_taken_slowly() {
    let text = frame(chunk(json!({"content": "hello ".repeat(10_000)})));
    for kind in ["text/event-stream", "application/octet-stream"] {
        let (url, _) = provider(answer(&format!("content-type: {kind}\r\n"), &text.repeat(600)));
        let place = Place::new();
        let weir = Weir::start_config(&place, &config(&url, &format!("{NO_GUARD}[timeouts]\ntotal = 1.0\n")));
        let mut open = raw::open(&weir.addr, CHAT, &[], &ask(true));
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(1500) {
            assert!(open.next().is_some());
            std::thread::sleep(Duration::from_millis(10));
        }
        let call_id = open.answer.call_id();
        let answer = open.read_all().unwrap();
        assert!(answer.body.len() < 600 * text.len(), "{kind}: all of it came");
        let row = place.call(&call_id);
        assert_eq!(
            (&row["status"], &row["error_code"]),
            (&json!("failed"), &json!("upstream_timeout")),
            "{kind}"
        );
        weir.stop();
        place.verify();
    }
}
