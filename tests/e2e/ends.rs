//! What the history says of calls that did not go well, and what their apps see of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Place, Upstream, Weir, config};
use crate::odd::{ask, provider};
use crate::raw::{self, get, post};

const CHAT: &str = "/v1/chat/completions";

fn plain(status: &str, kind: &str, body: &str) -> Vec<Vec<u8>> {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\n");
    vec![format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()]
}

/// given up is counted.
#[test]
fn a_full_journal_that_sheds_serves_on() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let settings = "[journal]\nquota_mib = 1\nsegment_mib = 1\nwhen_full = \"shed\"\n";
    place.write_config(&config(&upstream, settings));
    let path = place.config();
    let weir = Weir::start_role("sidecar", &place, &["--config", path.to_str().unwrap()], &[]);
    let long = "lorem ipsum ".repeat(10_000);
    let body = |stream: bool| {
        json!({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": long}]})
            .to_string()
            .into_bytes()
    };
    for n in 0..20 {
        let answer = post(&weir.addr, CHAT, &[], &body(n % 2 == 1));
        assert_eq!(answer.status, 200, "call {n}: {}", answer.text());
        assert!(answer.complete, "call {n}");
    }
    let ready = get(&weir.addr, "/readyz");
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(ready.text().contains("given up"), "{}", ready.text());
    let shed = || -> u64 {
        let metrics = get(&weir.addr, "/metrics").text();
        let lines = metrics.lines();
        lines
            .filter_map(|line| {
                line.strip_prefix("weir_journal_shed_events_total ")?
                    .parse::<u64>()
                    .ok()
            })
            .sum()
    };
    let before = shed();
    assert!(before > 0);
    post(&weir.addr, CHAT, &[], &body(false));
    assert_eq!(shed() - before, 3, "start, attempt and end of the call");
    weir.stop();
}

/// The time in which a request arrives is time of its call.
#[test]
fn a_call_starts_when_it_arrives() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Why?"}]}).to_string();
    let mut stream = TcpStream::connect(&weir.addr).unwrap();
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-weir-call-id: "))
        .unwrap();
    place.call(id);
    let row = place.sql(&format!(
        "select cast(ended_at as bigint) - cast(started_at as bigint) as took, duration_ms from calls where call_id = '{id}'"
    ));
    let (took, duration) = (
        row[0]["took"].as_f64().unwrap(),
        row[0]["duration_ms"].as_f64().unwrap(),
    );
    assert!(duration >= 1000.0 && took / 1000.0 >= duration - 0.01, "{row:?}");
    weir.stop();
    place.verify();
}

/// A failed call has a code, whatever the provider made of its error.
#[test]
fn every_failure_has_a_code() {
    let missing =
        json!({"error": {"message": "No such file", "type": "invalid_request_error", "code": "no_such_file"}});
    let untyped = json!({"error": {"message": "No such file", "type": "invalid_request_error", "code": null}});
    for (method, path, answer, code) in [
        (
            "DELETE",
            "/v1/files/abc",
            plain("404 Not Found", "application/json", &missing.to_string()),
            "no_such_file",
        ),
        (
            "DELETE",
            "/v1/files/abc",
            plain("404 Not Found", "application/json", &untyped.to_string()),
            "invalid_request_error",
        ),
        (
            "DELETE",
            "/v1/files/abc",
            plain("404 Not Found", "application/json", "[]"),
            "upstream_http_404",
        ),
        (
            "GET",
            "/v1/files/abc/content",
            plain("500 Oh", "application/octet-stream", "x"),
            "upstream_http_500",
        ),
        (
            "POST",
            CHAT,
            plain("503 Service Unavailable", "text/html", "<h1>busy</h1>"),
            "upstream_http_503",
        ),
        (
            "POST",
            CHAT,
            plain("401 Unauthorized", "application/json", "{\"detail\":\"who?\"}"),
            "upstream_http_401",
        ),
        (
            "POST",
            CHAT,
            plain(
                "200 OK",
                "text/event-stream",
                "data: {\"error\":{\"message\":\"oh\"}}\n\n",
            ),
            "upstream_error",
        ),
    ] {
        let (url, _) = provider(answer);
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let body = if method == "POST" { ask(false) } else { Vec::new() };
        let answer = raw::try_send(&weir.addr, method, path, &[], &body)
            .unwrap()
            .read_all()
            .unwrap();
        let row = place.call(&answer.call_id());
        assert_eq!(
            (&row["status"], &row["error_code"]),
            (&json!("failed"), &json!(code)),
            "{method} {path}"
        );
        weir.stop();
        place.verify();
    }
}
