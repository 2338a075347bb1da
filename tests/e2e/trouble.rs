//! Providers that answer in ways that would lead a call past Weir, or what is said of it astray.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Place, Upstream, Weir, config};
use crate::odd::{answer, ask, provider};
use crate::raw::{self, post, try_send};

const CHAT: &str = "/v1/chat/completions";
const EMAIL: &str = "ana.keller@example.com";

fn plain(status: &str, head: &str, body: &str) -> Vec<Vec<u8>> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\n{head}content-length: {length}\r\n\r\n{body}");
    vec![head.into_bytes()]
}

/// The types of a call's events, in their order.
fn types(place: &Place, call: &str) -> Vec<Value> {
    let events = format!("select type from events where call_id = '{call}' order by seq");
    place.sql(&events).into_iter().map(|row| row["type"].clone()).collect()
}

/// An SDK would follow it by itself, with the prompt.
#[test]
fn redirects_end_at_weir() {
    for (method, status, location) in [
        ("POST", "307 Temporary Redirect", "http://127.0.0.1:9/v1/chat?key=1"),
        ("POST", "308 Permanent Redirect", "/v1/chat/completions"),
        ("GET", "302 Found", "https://elsewhere.example/ana.keller@example.com"),
    ] {
        let (url, _) = provider(plain(status, &format!("location: {location}\r\n"), ""));
        let place = Place::new();
        let weir = Weir::start_with(&place, &["--upstream", &url]);
        let body = if method == "POST" { ask(false) } else { Vec::new() };
        let open = try_send(&weir.addr, method, CHAT, &[], &body).unwrap();
        let answer = open.read_all().unwrap();
        assert_eq!((answer.status, answer.header("location")), (502, None), "{status}");
        let error = answer.json()["error"].clone();
        assert_eq!(error["code"], "upstream_redirect", "{error}");
        let said = error["message"].as_str().unwrap();
        let named = location.split('?').next().unwrap().replace(EMAIL, "[EMAIL]");
        assert!(said.contains(&named) && !said.contains("key=1"), "{said}");
        let row = place.call(&answer.call_id());
        assert_eq!(
            (&row["status"], &row["error_code"]),
            (&json!("failed"), &json!("upstream_redirect"))
        );
        let ended = ["call.started", "attempt.started", "attempt.failed", "call.failed"];
        assert_eq!(types(&place, &answer.call_id()), ended);
        weir.stop();
        place.verify();
    }
}

/// Told in HTTP/1.0, the end of the connection would be the end of the answer.
#[test]
fn a_cut_answer_of_an_old_provider_is_no_whole_one() {
    let mut pieces = vec![b"HTTP/1.0 200 OK\r\ncontent-type: audio/mpeg\r\n\r\n\x01\x02".to_vec()];
    pieces.extend(vec![Vec::new(); 40]);
    let (url, _) = provider(pieces);
    let place = Place::new();
    let config = format!("[timeouts]\nidle = 1.0\n[[upstream]]\nname = \"u\"\nbase_url = \"{url}\"\n");
    let weir = Weir::start_config(&place, &config);
    let answer = post(&weir.addr, "/v1/audio/speech", &[], b"{\"input\":\"hello\"}");
    assert_eq!((answer.body.as_slice(), answer.complete), (&b"\x01\x02"[..], false));
    assert_eq!(place.call(&answer.call_id())["error_code"], "upstream_timeout");
    weir.stop();
}
