//! Every type of event against its golden file, and the files of every version against this code.
//!
//! `UPDATE_GOLDEN=1 cargo test -p weir-event` rewrites what this version writes; the diff is to be
//! reviewed. Files of older versions are never rewritten: they must stay readable for ever.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use event::body::*;
use event::{Body, Call, Chain, Draft, Envelope, EventId, EventType, JournalId, Json, NanoUsd, Record, UsageSource};
use uuid::Uuid;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn json(text: &str) -> Option<Json> {
    Some(Json::parse(text.to_owned()).unwrap())
}

/// One event of each type, every field set.
fn samples() -> Vec<Body> {
    let ended = || {
        Box::new(CallEnded {
            http_status: Some(200),
            error_code: Some("upstream_timeout".to_owned()),
            error_message: Some("upstream openai did not answer in time".to_owned()),
            response_model: Some("gpt-4o-mini-2024-07-18".to_owned()),
            response_id: Some("chatcmpl-1".to_owned()),
            finish_reasons: vec!["stop".to_owned()],
            input_tokens: Some(100),
            cache_read_tokens: Some(60),
            cache_write_tokens: Some(10),
            output_tokens: Some(50),
            reasoning_tokens: Some(20),
            usage_source: Some(UsageSource::Provider),
            cost: Some(NanoUsd(12_345)),
            price_version: Some("litellm-1.109.1".to_owned()),
            request_size: Some(321),
            request_blake3: Some("ab".repeat(32)),
            response_size: Some(456),
            response_blake3: Some("cd".repeat(32)),
            response_body: json(r#"{"choices":[{"message":{"content":"hi"}}]}"#),
            truncated: true,
            time_to_first_token_ns: Some(40_000_000),
            latency: Latency {
                total_ns: 5,
                guard_ns: 1,
                queue_ns: 1,
                upstream_ns: 2,
                self_ns: 1,
            },
            attempts: 1,
        })
    };
    vec![
        Body::CallStarted(Box::new(CallStarted {
            method: "POST".to_owned(),
            endpoint: "/v1/chat/completions".to_owned(),
            operation: Some("chat".to_owned()),
            dialect: Some("openai".to_owned()),
            request_model: Some("gpt-4o-mini".to_owned()),
            stream: true,
            max_tokens: Some(100),
            temperature: Some(0.7),
            top_p: Some(0.9),
            choice_count: Some(2),
            seed: Some(-7),
            frequency_penalty: Some(0.5),
            presence_penalty: Some(-0.5),
            stop_sequences: vec!["END".to_owned()],
            output_type: Some("json_schema".to_owned()),
            session_id: Some("s1".to_owned()),
            user_id: Some("u1".to_owned()),
            tags: vec!["a".to_owned(), "b".to_owned()],
            metadata: [("k".to_owned(), "v".to_owned())].into(),
            request_size: Some(123),
            request_content_type: Some("application/json".to_owned()),
            request_body: json(
                "{\"model\": \"gpt-4o-mini\",\n \"messages\":[{\"role\":\"user\",\"content\":\"zażółć\"}]}",
            ),
            guardrail_policy: Some("strict".to_owned()),
            replay_of: Some("01900000-0000-7000-8000-0000000000aa".parse().unwrap()),
            user_agent: Some("OpenAI/Python".to_owned()),
        })),
        Body::GuardrailEvaluated(Box::new(GuardrailEvaluated {
            phase: "input".to_owned(),
            action: Some("redact".to_owned()),
            verdicts: vec![GuardrailVerdict {
                rule: "pii.email".to_owned(),
                pack: "pii@1".to_owned(),
                kind: "pii".to_owned(),
                entity: "EMAIL".to_owned(),
                action: "redact".to_owned(),
                location: "messages[0].content".to_owned(),
                start: 3,
                end: 18,
                score: Some(0.5),
                would: Some("block".to_owned()),
                decided_by: Some("webhook".to_owned()),
            }],
            verdicts_omitted: 2,
            policy: Some("strict".to_owned()),
            policy_version: "a1b2".to_owned(),
            errors: 1,
            duration_ns: 9_000,
        })),
        Body::CacheAnswered(Box::new(CacheAnswered {
            kind: "semantic".to_owned(),
            similarity: Some(0.97),
            source_call_id: Some("01900000-0000-7000-8000-0000000000bb".parse().unwrap()),
        })),
        Body::AttemptStarted(Box::new(AttemptStarted {
            index: 0,
            provider: "openai".to_owned(),
            model: Some("gpt-4o-mini".to_owned()),
            server_address: "api.openai.com".to_owned(),
            server_port: 443,
            credential_id: Some("OPENAI_API_KEY".to_owned()),
            reason: "only".to_owned(),
        })),
        Body::AttemptFailed(Box::new(AttemptFailed {
            index: 0,
            provider: "openai".to_owned(),
            error_type: "http_429".to_owned(),
            message: Some("slow down".to_owned()),
            http_status: Some(429),
            retryable: true,
            duration_ns: 1_000,
        })),
        Body::ResponseStarted(Box::new(ResponseStarted {
            index: 0,
            http_status: 200,
            time_to_first_token_ns: 7,
        })),
        Body::CallCompleted(ended()),
        Body::CallFailed(ended()),
        Body::CallBlocked(ended()),
        Body::CallCancelled(ended()),
        Body::CallInterrupted(Box::new(CallInterrupted {
            reason: "crash".to_owned(),
            last_seen_unix_nano: Some(1_700_000_000_000_000_000),
        })),
        Body::ScoreRecorded(Box::new(ScoreRecorded {
            name: "thumbs".to_owned(),
            value: Some(1.0),
            label: Some("up".to_owned()),
            explanation: Some("correct".to_owned()),
            source: Some("user".to_owned()),
        })),
        Body::SidecarStarted(Box::new(SidecarStarted {
            version: "0.1.0".to_owned(),
            listen: "127.0.0.1:8080".to_owned(),
            providers: vec!["openai".to_owned()],
            policy_version: "a1b2".to_owned(),
            torn_bytes: 5,
            interrupted_calls: 2,
        })),
        Body::SidecarStopped(Box::new(SidecarStopped {
            reason: "signal".to_owned(),
            unfinished_calls: 1,
        })),
        Body::ConfigChanged(Box::new(ConfigChanged {
            accepted: false,
            blake3: "ef".repeat(32),
            error: Some("weir.toml:3:1: unknown field".to_owned()),
            policy_version: "a1b2".to_owned(),
        })),
        Body::BudgetExhausted(Box::new(BudgetExhausted {
            id: "team".to_owned(),
            limit: NanoUsd(5),
            spent: NanoUsd(6),
        })),
        Body::CircuitOpened(Box::new(CircuitChanged {
            provider: "openai".to_owned(),
            credential_id: Some("OPENAI_API_KEY".to_owned()),
            reason: "five failures".to_owned(),
        })),
        Body::CircuitClosed(Box::new(CircuitChanged {
            provider: "openai".to_owned(),
            credential_id: None,
            reason: "probe answered".to_owned(),
        })),
        Body::JournalShed(Box::new(JournalShed {
            count: 3,
            bytes: 900,
            reason: "quota".to_owned(),
        })),
    ]
}

/// The record of a body, with every id and time fixed.
fn record(offset: i64, body: &Body) -> Record {
    let draft = Draft::new(&event::Scope::default(), None, 0, 0, body).unwrap();
    let mut bytes = draft.bytes().to_vec();
    let journal = JournalId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001));
    Draft::seal_into(journal, offset, &Chain::START, &mut bytes);
    let parsed = Record::parse(&bytes).unwrap();
    let mut record = Record {
        envelope: Envelope {
            event_id: EventId(Uuid::from_u128(
                0x0190_0000_0000_7000_8000_0000_0000_0100 + offset as u128,
            )),
            call_id: Some("01900000-0000-7000-8000-000000000002".parse().unwrap()),
            seq: u32::try_from(offset).unwrap(),
            time_unix_nano: 1_700_000_000_000_000_000 + offset,
            tenant: Some("acme".to_owned()),
            app: Some("shop \"1\"".to_owned()),
            trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()),
            span_id: Some("00f067aa0ba902b7".to_owned()),
            ..parsed.envelope
        },
        body: parsed.body,
    };
    record.envelope.chain = record.expected_chain(&Chain::START).unwrap();
    record
}

#[test]
fn each_type_is_written_as_its_golden_file_says() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let samples = samples();
    let names: Vec<String> = samples
        .iter()
        .map(|body| body.event_type().as_str().to_owned())
        .collect();
    assert_eq!(
        names,
        EventType::KNOWN,
        "one sample for each type, in the order of the types"
    );
    for (offset, body) in (0..).zip(&samples) {
        let record = record(offset, body);
        let text = format!("{}\n", String::from_utf8(record.to_bytes().unwrap()).unwrap());
        let path = folder().join("v1").join(format!("{}.json", body.event_type().as_str()));
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(text, golden, "{}: UPDATE_GOLDEN=1 rewrites it", path.display());
        let read = Record::parse(golden.trim_end().as_bytes()).unwrap();
        assert_eq!(
            read.to_bytes().unwrap(),
            golden.trim_end().as_bytes(),
            "decode and encode give the same bytes"
        );
        assert_eq!(&read.decode().unwrap().body, body);
    }
}

#[test]
fn files_of_every_version_are_still_read() {
    let mut count = 0;
    for version in std::fs::read_dir(folder()).unwrap() {
        for file in std::fs::read_dir(version.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let text = std::fs::read(&path).unwrap();
            let record = Record::parse(text.trim_ascii_end()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let known = record.envelope.chain;
            assert_eq!(
                record.expected_chain(&Chain::START).unwrap(),
                known,
                "{}",
                path.display()
            );
            let event = record.decode().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            Call::default().apply(&event);
            count += 1;
        }
    }
    assert!(count >= EventType::KNOWN.len());
}

#[test]
fn the_schema_is_checked_in() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/events.json");
    let text = format!("{:#}\n", event::schema::events());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        text == checked_in,
        "docs/schema/events.json is out of date: UPDATE_GOLDEN=1 rewrites it"
    );
}

#[test]
fn a_type_of_the_future_is_kept() {
    let text = r#"{"v":1,"event_id":"01900000-0000-7000-8000-000000000100","type":"moon.landed","call_id":null,"seq":0,"time_unix_nano":1,"tenant":null,"app":null,"trace_id":null,"span_id":null,"body":{"x": [1, 2]},"journal_id":"01900000-0000-7000-8000-000000000001","offset":0,"chain":"0000000000000000000000000000000000000000000000000000000000000000"}"#;
    let record = Record::parse(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(record.to_bytes().unwrap()).unwrap(), text);
    let event = record.decode().unwrap();
    assert_eq!(event.body.event_type(), EventType::Unknown("moon.landed".to_owned()));
}
