//! Whatever fails reaches the app as an error that its SDK knows, and is in the history.

use serde_json::{Value, json};

use crate::harness::{Place, Upstream, Weir, config};
use crate::raw::{self, post};
use crate::sdk::BOTH;

#[test]
fn official_sdks_raise_their_own_exceptions() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let config = format!(
        r#"
        [timeouts]
        connect = 2.0
        first_byte = 1.0
        [[upstream]]
        name = "demo"
        base_url = "{}"
        models = ["gpt-4o*", "gpt-4.1"]
        [[upstream]]
        name = "dead"
        base_url = "http://127.0.0.1:9/v1"
        models = ["dead-model"]
        "#,
        upstream.url()
    );
    let weir = Weir::start_config(&place, &config);
    // name, exception, status, code, model, what the upstream is told
    let cases = json!([
        ["not_found", "NotFoundError", 404, "model_not_found", "gpt-4.1-mimi", ""],
        [
            "refused",
            "InternalServerError",
            502,
            "upstream_unreachable",
            "dead-model",
            ""
        ],
        [
            "reset",
            "InternalServerError",
            502,
            "upstream_reset",
            "gpt-4o-mini",
            "drop=1"
        ],
        [
            "timeout",
            "InternalServerError",
            504,
            "upstream_timeout",
            "gpt-4o-mini",
            "hang=1"
        ],
        // The upstream's own errors, unchanged.
        [
            "own_429",
            "RateLimitError",
            429,
            "rate_limit_exceeded",
            "gpt-4o-mini",
            "status=429,retry_after=7"
        ],
        [
            "own_401",
            "AuthenticationError",
            401,
            "invalid_api_key",
            "gpt-4o-mini",
            "status=401"
        ],
        ["own_500", "InternalServerError", 500, null, "gpt-4o-mini", "status=500"],
        ["own_404", "NotFoundError", 404, "model_not_found", "gpt-4o-missing", ""],
    ]);
    for sdk in BOTH {
        let report = sdk.run("errors", &weir.base_url(), &cases);
        for case in cases.as_array().unwrap() {
            let name = case[0].as_str().unwrap();
            let row = place.call(report.call(name));
            assert_eq!(row["status"], "failed", "{sdk:?} {name}: {row}");
            assert_eq!(row["http_status"], case[2], "{sdk:?} {name}");
            assert_eq!(row["request_model"], case[4], "{sdk:?} {name}");
            if !case[3].is_null() {
                assert_eq!(row["error_code"], case[3], "{sdk:?} {name}");
            }
        }
        let hint = report.facts["not_found"].as_str().unwrap();
        assert!(hint.contains("gpt-4.1"), "no nearest name in {hint:?}");
        assert_eq!(report.facts["own_429"], "Rate limit reached for requests.");
    }
    let answer = post(
        &weir.addr,
        "/v1/chat/completions",
        &[("x-demo", "status=429,retry_after=7")],
        &chat("gpt-4o-mini"),
    );
    assert_eq!(answer.header("retry-after"), Some("7"));
    let direct = post(
        &upstream.addr,
        "/v1/chat/completions",
        &[("x-demo", "status=429")],
        &chat("gpt-4o-mini"),
    );
    assert_eq!(answer.body, direct.body);
    weir.stop();
    place.verify();
}

fn chat(model: &str) -> Vec<u8> {
    json!({"model": model, "messages": [{"role": "user", "content": "Why is the sky blue?"}]})
        .to_string()
        .into_bytes()
}

#[test]
fn no_upstream_says_how_to_configure_one() {
    let place = Place::new();
    let weir = Weir::start_with(&place, &[]);
    let cases = json!([[
        "none",
        "InternalServerError",
        503,
        "no_upstream_configured",
        "gpt-4o-mini",
        ""
    ]]);
    for sdk in BOTH {
        let report = sdk.run("errors", &weir.base_url(), &cases);
        let said = report.facts["none"].as_str().unwrap();
        assert!(said.contains("OPENAI_API_KEY") && said.contains("--upstream"), "{said}");
        assert_eq!(place.call(report.call("none"))["status"], "failed");
    }
}

#[test]
fn bad_requests_are_refused_and_recorded() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let config = config(&upstream, "[server]\nmax_request_bytes = 100000\n");
    let weir = Weir::start_config(&place, &config);
    let large = chat(&"x".repeat(200_000));
    let truncated = &chat("gpt-4o-mini")[..40];
    for (body, status, code) in [
        (truncated, 400, "malformed_json"),
        (b"".as_slice(), 400, "malformed_json"),
        (b"{\"model\":\"\xff\xfe\"}", 400, "malformed_json"),
        (b"{\"model\":1,}", 400, "malformed_json"),
        (&large, 413, "request_too_large"),
    ] {
        let answer = post(&weir.addr, "/v1/chat/completions", &[], body);
        assert_eq!(answer.status, status, "{}", answer.text());
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], code, "{error}");
        assert!(
            error["message"].as_str().unwrap().len() > 10 && error["type"].is_string(),
            "{error}"
        );
        assert!(error.as_object().unwrap().contains_key("param"), "{error}");
        let row = place.call(&answer.call_id());
        assert_eq!(
            (&row["status"], &row["error_code"]),
            (&json!("failed"), &json!(code)),
            "{row}"
        );
    }
    // The same limit for a body whose length nobody announced.
    let chunked = format!("{:x}\r\n{}\r\n0\r\n\r\n", large.len(), String::from_utf8_lossy(&large));
    let answer = raw_chunked(&weir.addr, chunked.as_bytes());
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(
        upstream.count("started"),
        0,
        "nothing of this is the upstream's business"
    );
    weir.stop();
    place.verify();
}

fn raw_chunked(addr: &str, body: &[u8]) -> raw::Answer {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(addr).unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let _ = stream.write_all(body);
    raw::read(stream).unwrap()
}

#[test]
fn streams_that_break_are_told_and_recorded() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let config = config(&upstream, "[timeouts]\nidle = 1.0\n");
    let weir = Weir::start_config(&place, &config);
    let body = json!({"model": "gpt-4o-mini", "stream": true,
        "messages": [{"role": "user", "content": "Why is the sky blue?"}]})
    .to_string();
    for demo in ["die_after=6", "hang_after=6", "end_after=6", "status=500,after=6"] {
        let answer = post(&weir.addr, "/v1/chat/completions", &[("x-demo", demo)], body.as_bytes());
        assert_eq!(answer.status, 200);
        let row = place.call(&answer.call_id());
        assert_eq!(row["status"], "failed", "{demo}: {row}");
        // What did arrive is kept, and counted as well as it can be.
        let said = row["response_text"].as_str().unwrap_or_default();
        assert!(said.starts_with("Short"), "{demo}: {row}");
        assert_ne!(row["usage_source"], "provider", "{demo}: {row}");
        assert!(row["output_tokens"].as_i64().unwrap_or(0) > 0, "{demo}: {row}");
        let shown = raw::streamed_text(&answer.body);
        assert!(
            said.starts_with(&shown),
            "{demo}: {shown:?} was shown, {said:?} recorded"
        );
        assert!(
            !answer.text().contains("[DONE]"),
            "{demo}: a broken stream does not end as a whole one"
        );
    }
    // Not streamed: an answer that is cut short is none.
    let body = String::from_utf8(chat("gpt-4o-mini")).unwrap();
    let answer = post(
        &weir.addr,
        "/v1/chat/completions",
        &[("x-demo", "cut=100,die_after=2")],
        body.as_bytes(),
    );
    assert_eq!(answer.status, 502, "{}", answer.text());
    let row = place.call(&answer.call_id());
    assert_eq!(row["status"], "failed", "{row}");
    assert_ne!(row["error_code"], Value::Null);
    weir.stop();
    place.verify();
}

/// Connections that were kept and are dead by now are not the app's trouble.
#[test]
fn an_upstream_that_was_restarted_is_no_error() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let ask = || post(&weir.addr, "/v1/chat/completions", &[], &chat("gpt-4o-mini")).status;
    let addr = upstream.addr.clone();
    assert_eq!([ask(), ask(), ask(), ask()], [200; 4]);
    drop(upstream);
    let upstream = Upstream::start_on(&addr);
    assert_eq!([ask(), ask(), ask(), ask()], [200; 4]);
    assert_eq!(upstream.count("finished"), 4);
    weir.stop();
}
