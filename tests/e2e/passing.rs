//! Calls of endpoints that Weir does not know: which provider gets them, and how much of them.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::json;

use crate::harness::{Place, Upstream, Weir};
use crate::odd::{answer, provider};
use crate::policies::EMAIL;
use crate::raw::{self, get, post};

/// Two providers, of which only the second serves `llama-*`.
fn two(first: &str, second: &str) -> String {
    format!(
        r#"
        [[upstream]]
        name = "openai"
        base_url = "{first}"
        api_key_env = "FIRST_KEY"
        [[upstream]]
        name = "local"
        base_url = "{second}"
        models = ["llama-*"]
        [guard.policies.strict.actions]
        pii = "block"
        [[guard.apply]]
        policy = "strict"
        models = ["llama-w*"]
        "#
    )
}

/// What is meant for one provider does not go to another one, whatever the endpoint.
#[test]
fn the_model_of_any_json_body_chooses_its_provider() {
    let place = Place::new();
    let json = |body: &str| answer("content-type: application/json\r\n", body);
    let (first, first_told) = provider(json("{\"from\":\"openai\"}"));
    let (second, second_told) = provider(json("{\"from\":\"local\"}"));
    place.write_config(&two(&first, &second));
    let path = place.config();
    let args = ["--config", path.to_str().unwrap()];
    let weir = Weir::start_env(&place, &args, &[("FIRST_KEY", "sk-first")]);
    for path in ["/v1/audio/speech", "/v1/images/generations", "/v1/rerank", "/v1/echo"] {
        for model in ["local/llama-x", "llama-x"] {
            let body = json!({"model": model, "input": "hi", "n": 1}).to_string();
            let answer = post(&weir.addr, path, &[], body.as_bytes());
            assert_eq!(answer.json()["from"], "local", "{path} {model}");
            let told = second_told.recv().unwrap();
            assert!(told.starts_with(&format!("POST {path} ")), "{told}");
            assert!(told.ends_with(&body.replace("local/", "")), "{told}");
            assert!(!told.contains("sk-first"), "{told}");
            let row = place.call(&answer.call_id());
            assert_eq!(
                (&row["request_model"], &row["provider"]),
                (&json!(model), &json!("local"))
            );
        }
    }
    for body in [
        json!({"input": "hi"}),
        json!({"model": 7}),
        json!(["llama-x"]),
        json!({"model": "gpt-4o"}),
    ] {
        let answer = post(&weir.addr, "/v1/echo", &[], body.to_string().as_bytes());
        assert_eq!(answer.json()["from"], "openai", "{body}");
        assert!(first_told.recv().unwrap().contains("sk-first"));
    }
    // Nobody serves it.
    let answer = post(&weir.addr, "/v1/echo", &[], br#"{"model": "nobody-s"}"#);
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (404, &json!("model_not_found"))
    );
    // Its model chooses the policy, too.
    let said = |model: &str| json!({"model": model, "input": format!("I am {EMAIL}")}).to_string();
    let answer = post(&weir.addr, "/v1/echo", &[], said("llama-w1").as_bytes());
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(place.call(&answer.call_id())["status"], "blocked");
    let answer = post(&weir.addr, "/v1/echo", &[], said("llama-x").as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(second_told.recv().unwrap().contains("[EMAIL]"));
    for (path, asked) in [
        ("/v1/models/llama-3", "/v1/models/llama-3"),
        ("/v1/models/local/llama-3?x=1", "/v1/models/llama-3?x=1"),
        ("/v1/models/local%2Fllama-3", "/v1/models/llama-3"),
    ] {
        let answer = get(&weir.addr, path);
        assert_eq!(answer.json()["from"], "local", "{path}");
        assert!(
            second_told.recv().unwrap().starts_with(&format!("GET {asked} ")),
            "{path}"
        );
    }
    for path in ["/v1/models", "/v1/models/gpt-4o"] {
        assert_eq!(get(&weir.addr, path).json()["from"], "openai", "{path}");
        assert!(first_told.recv().unwrap().starts_with(&format!("GET {path} ")));
    }
    assert_eq!(get(&weir.addr, "/v1/models/nobody-s").status, 404);
    assert!(first_told.try_recv().is_err() && second_told.try_recv().is_err());
    weir.stop();
    place.verify();
}

/// A model's name that is personal is masked in the history, and asked for as it is.
#[test]
fn a_model_in_an_address_is_masked_like_any_other() {
    let place = Place::new();
    let (url, told) = provider(answer("content-type: application/json\r\n", "{}"));
    let config = format!("[[upstream]]\nname = \"only\"\nbase_url = \"{url}\"\nmodels = [\"llama-*\"]\n");
    let weir = Weir::start_config(&place, &config);
    // An only provider gets all of these.
    let path = format!("/v1/models/{EMAIL}");
    let answer = get(&weir.addr, &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(told.recv().unwrap().starts_with(&format!("GET {path} ")));
    assert_eq!(place.call(&answer.call_id())["request_model"], "[EMAIL]");
    let answer = post(&weir.addr, "/v1/audio/speech", &[], br#"{"model":"tts-1"}"#);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(told.recv().unwrap().ends_with(r#"{"model":"tts-1"}"#));
    assert_eq!(place.call(&answer.call_id())["request_model"], "tts-1");
    place.assert_absent(EMAIL);
    weir.stop();
}

/// A limit is one for every body: also for those that nobody reads, and for what a small one unfolds into.
#[test]
fn no_body_is_larger_than_the_limit() {
    let place = Place::new();
    let (url, told) = provider(answer("content-type: application/json\r\n", "{}"));
    let limit = "[server]\nmax_request_bytes = 100000\n";
    let config = format!("{limit}[[upstream]]\nname = \"only\"\nbase_url = \"{url}\"\n");
    let weir = Weir::start_config(&place, &config);
    let refused = |answer: raw::Answer| {
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert_eq!(answer.json()["error"]["code"], "request_too_large");
        let row = place.call(&answer.call_id());
        assert_eq!(
            (&row["status"], &row["error_code"]),
            (&json!("failed"), &json!("request_too_large"))
        );
    };
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "x".repeat(200_000)}]}).to_string();
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    coder.write_all(chat.as_bytes()).unwrap();
    let small = coder.finish().unwrap();
    assert!(small.len() < 10_000);
    refused(post(
        &weir.addr,
        "/v1/chat/completions",
        &[("content-encoding", "gzip")],
        &small,
    ));
    let form = [("content-type", "multipart/form-data; boundary=b")];
    refused(post(&weir.addr, "/v1/audio/transcriptions", &form, &[b'x'; 200_000]));
    assert!(told.try_recv().is_err(), "nothing of this is the provider's business");
    refused(chunked(&weir.addr, 4, 50_000));
    let asked = told.recv_timeout(std::time::Duration::from_secs(5));
    assert!(asked.is_ok_and(|asked| asked.contains("transfer-encoding: chunked")));
    weir.stop();
    place.verify();
    // From one that waits for all of it before it answers.
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &crate::harness::config(&upstream, limit));
    let answer = chunked(&weir.addr, 4, 50_000);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(place.call(&answer.call_id())["error_code"], "request_too_large");
    let query = format!(
        "select body from events where call_id = '{}' and type = 'attempt.failed'",
        answer.call_id()
    );
    assert!(place.sql(&query)[0]["body"].to_string().contains("client_body"));
    assert_eq!(upstream.count("finished"), 0);
    // What is not beyond the limit is the provider's to refuse.
    assert_eq!(chunked(&weir.addr, 2, 50_000).status, 404);
    assert_eq!(upstream.count("finished"), 1);
    weir.stop();
}

/// A body whose length nobody announced, in pieces.
fn chunked(addr: &str, pieces: usize, size: usize) -> raw::Answer {
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = "POST /v1/files HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\
        content-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    for _ in 0..pieces {
        let piece = format!("{size:x}\r\n{}\r\n", "x".repeat(size));
        // Whoever refuses the rest does not read it.
        if stream.write_all(piece.as_bytes()).is_err() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let _ = stream.write_all(b"0\r\n\r\n");
    raw::read(stream).unwrap()
}
