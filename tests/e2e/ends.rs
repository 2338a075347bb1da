//! What the history says of calls that did not go well, and what their apps see of it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Place, Upstream, Weir, config};
use crate::odd::{ask, provider};
use crate::raw::{self, get, post};

const CHAT: &str = "/v1/chat/completions";

fn plain(status: &str, kind: &str, body: &str) -> Vec<Vec<u8>> {
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {kind}\r\n");
    vec![format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()]
}

/// What Weir cannot carry it does not pretend to.
#[test]
fn other_protocols_are_refused() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, ""));
    let ask = |protocol: &str| {
        let headers = [("upgrade", protocol), ("connection", "upgrade")];
        let open = raw::try_send(&weir.addr, "GET", "/v1/models", &headers, b"").unwrap();
        open.read_all().unwrap()
    };
    let refused = ask("websocket");
    assert_eq!(refused.status, 501, "{}", refused.text());
    assert_eq!(refused.json()["error"]["code"], "upgrade_unsupported");
    assert_eq!(place.call(&refused.call_id())["error_code"], "upgrade_unsupported");
    // An offer.
    assert_eq!(ask("h2c").status, 200);
    weir.stop();
}

/// Where the operator would rather have answers than a history, calls are served without one, and what is
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

/// A call that Weir cuts as it stops did not end by its app's wish, and its app is told.
#[test]
fn what_a_stop_cuts_is_told_and_recorded() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let mut weir = Weir::start_config(&place, &config(&upstream, "[server]\nshutdown_seconds = 1\n"));
    let body = json!({"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "Why?"}]});
    let mut streamed = raw::open(
        &weir.addr,
        CHAT,
        &[("x-demo", "hang_after=2")],
        body.to_string().as_bytes(),
    );
    assert!(streamed.next().is_some());
    let addr = weir.addr.clone();
    let whole = std::thread::spawn(move || post(&addr, CHAT, &[("x-demo", "hang=1")], &ask(false)));
    let curl = Command::new("curl")
        .args([
            "-sN",
            "--http2-prior-knowledge",
            "--max-time",
            "20",
            "-H",
            "x-demo: hang_after=2",
        ])
        .args(["-H", "content-type: application/json", "-d", &body.to_string()])
        .arg(format!("http://{}{CHAT}", weir.addr))
        .stdout(Stdio::piped())
        .spawn()
        .expect("curl is missing: install it to run this test");
    std::thread::sleep(Duration::from_millis(500));
    weir.signal("TERM");
    let stream_id = streamed.answer.call_id();
    let told = streamed.read_all().unwrap();
    assert!(
        told.complete && told.text().contains("\"code\":\"shutting_down\""),
        "{}",
        told.text()
    );
    let whole = whole.join().unwrap();
    assert_eq!(
        (whole.status, &whole.json()["error"]["code"]),
        (503, &json!("shutting_down"))
    );
    let over_http2 = curl.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&over_http2.stdout);
    assert!(
        over_http2.status.success() && said.contains("\"code\":\"shutting_down\""),
        "{said}"
    );
    assert!(weir.wait().success());
    for id in [stream_id, whole.call_id()] {
        let row = place.call(&id);
        let said = (&row["status"], &row["error_code"]);
        assert_eq!(said, (&json!("failed"), &json!("shutting_down")), "{row}");
    }
    place.verify();
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

/// An app that sends its next request on a connection that Weir is about to close sees it break.
#[test]
fn an_answer_before_the_body_closes_the_connection() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let key = format!("[[client_key]]\nname = \"k\"\nhash = \"sha256:{}\"\n", "0".repeat(64));
    let keyed = Weir::start_config(&place, &config(&upstream, &key));
    assert_eq!(early(&keyed.addr, CHAT, 10_000), (401, true));
    assert_eq!(early(&keyed.addr, "/chat/completions", 10_000), (404, true));
    assert_eq!(early(&keyed.addr, "/v1/Chat/completions", 10_000), (400, true));
    // What has no body ends no connection.
    assert_eq!(early(&keyed.addr, CHAT, 0), (401, false));
    keyed.stop();
    let place = Place::new();
    let weir = Weir::start_config(&place, &config(&upstream, "[server]\nmax_request_bytes = 1000\n"));
    assert_eq!(early(&weir.addr, CHAT, 10_000), (413, true));
    // One that was read to its end neither.
    assert_eq!(early(&weir.addr, CHAT, 5), (400, false));
    weir.stop();
}

/// Sends a request and up to 5 bytes of its body; the answer's status, and whether it closes the connection.
fn early(addr: &str, path: &str, length: usize) -> (u16, bool) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let part = &"{\"a\":"[..length.min(5)];
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{part}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let (mut said, mut piece) = (String::new(), [0; 4096]);
    if length > 1000 && path == CHAT {
        // Over the limit, but not all of it.
        let _ = stream.write_all(&vec![b' '; 2000]);
    }
    while !said.contains("\r\n\r\n") {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "closed after {said:?}");
        said.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    let status = said.split(' ').nth(1).unwrap().parse().unwrap();
    (status, said.to_ascii_lowercase().contains("\r\nconnection: close\r\n"))
}

/// What is wrong with a path is said of it.
#[test]
fn capitals_are_called_capitals() {
    let place = Place::new();
    let weir = Weir::start_with(&place, &[]);
    for (path, said) in [
        ("/v1/Chat/completions", "capitals"),
        ("/v1/../v1/models", "dots or escapes"),
    ] {
        let answer = post(&weir.addr, path, &[], b"{}");
        let error: &Value = &answer.json()["error"];
        assert_eq!(error["code"], "bad_path");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    weir.stop();
}
