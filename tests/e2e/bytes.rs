//! What nobody changed arrives byte for byte.

use std::io::Write;

use base64::Engine;
use serde_json::Value;

use crate::harness::{Place, Upstream, Weir, config};
use crate::raw::{self, post, streamed_text};

/// JSON that no serialiser would write again: spaces, escapes, numbers beyond 64 bits, a name twice.
const ODD: &str = "{ \"model\" :\"gpt-4o-mini\",\r\n\t\"x_new\":{\"big\":123456789012345678901234567890,\"f\":1.50E+2,\
    \"twice\":1,\"twice\":2,\"e\":\"\\u00e9\\/\u{e9}\u{1F600}\"} , \"messages\":[{\"role\":\"user\",\
    \"content\":\"Why is the sky \\u0062lue?\",\"x_of_message\":[ ]}],\"temperature\":0.70 }";

fn body_of(kept: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .decode(kept["body_base64"].as_str().unwrap())
        .unwrap()
}

fn header_of<'a>(kept: &'a Value, name: &str) -> Option<&'a str> {
    let headers = kept["headers"].as_array().unwrap();
    headers
        .iter()
        .find(|pair| pair[0] == name)
        .and_then(|pair| pair[1].as_str())
}

#[test]
fn requests_and_answers() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let chat = "/v1/chat/completions";

    let odd = post(&weir.addr, chat, &[("x-demo", "keep=odd,extra=1")], ODD.as_bytes());
    assert_eq!(
        body_of(&upstream.kept("odd")),
        ODD.as_bytes(),
        "the request changed on its way"
    );
    let direct = post(&upstream.addr, chat, &[("x-demo", "extra=1")], ODD.as_bytes());
    assert!(
        direct.text().contains("1.50E+2"),
        "the demo has no unknown fields: {}",
        direct.text()
    );
    assert_eq!(odd.text(), direct.text(), "the answer changed on its way");
    assert_eq!(odd.header("content-type"), direct.header("content-type"));
    assert_eq!(odd.header("x-ratelimit-remaining-requests"), Some("9999"));

    // A guardrail that cannot read an answer lets none of it through.
    let demo = format!("body={}", encode("not JSON at all"));
    let answer = post(&weir.addr, chat, &[("x-demo", &demo)], ODD.as_bytes());
    assert_eq!(
        (answer.status, &answer.json()["error"]["code"]),
        (502, &Value::from("upstream_answer_unreadable"))
    );
    weir.stop();
    place.verify();
}

/// Guardrails hold text back, and so cut a stream anew; without them not a byte moves.
#[test]
fn streams_without_guardrails() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, "[guard]\noff = true\n"));
    let chat = "/v1/chat/completions";

    // A stream that shows its usage because the app asked for it.
    let options = "\"stream\":true,\"stream_options\":{\"include_usage\":true},\"temperature\"";
    let asked = ODD.replace("\"temperature\"", options);
    let through = post(&weir.addr, chat, &[("x-demo", "keep=asked,extra=1")], asked.as_bytes());
    assert_eq!(body_of(&upstream.kept("asked")), asked.as_bytes());
    let direct = post(&upstream.addr, chat, &[("x-demo", "extra=1")], asked.as_bytes());
    assert_eq!(through.text(), direct.text());
    assert!(through.complete);

    // An exact body, whatever it is.
    for body in ["{\"a\" : 1.0e400}", "[ ]", "  {}\n", "not JSON at all", ""] {
        let demo = format!("body={}", encode(body));
        let answer = post(&weir.addr, chat, &[("x-demo", &demo)], ODD.as_bytes());
        assert_eq!((answer.status, answer.text().as_str()), (200, body));
    }

    // One that does not: Weir asks, and takes what it asked for out again.
    let unasked = ODD.replace("\"temperature\"", "\"stream\":true,\"temperature\"");
    for demo in [
        "keep=unasked,extra=1",
        "extra=1,crlf=1",
        "extra=1,cut=3",
        "extra=1,no_done=1",
    ] {
        let through = post(&weir.addr, chat, &[("x-demo", demo)], unasked.as_bytes());
        let alone = demo.replace("keep=unasked,", "");
        let direct = post(&upstream.addr, chat, &[("x-demo", &alone)], unasked.as_bytes());
        // A field that is null where it was not may stay: it says nothing.
        assert_eq!(through.text().replace("\"usage\":null,", ""), direct.text(), "{demo}");
        let row = place.call(&through.call_id());
        assert_eq!(row["usage_source"], "provider", "{demo}: {row}");
        assert_eq!(row["response_text"], streamed_text(&direct.body), "{demo}");
    }
    let kept: Value = serde_json::from_slice(&body_of(&upstream.kept("unasked"))).unwrap();
    assert_eq!(kept["stream_options"]["include_usage"], true);
    weir.stop();
    place.verify();
}

/// With guardrails, the text is the same however the transport cut it.
#[test]
fn streams_with_guardrails() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let unasked = ODD.replace("\"temperature\"", "\"stream\":true,\"temperature\"");
    let direct = post(&upstream.addr, "/v1/chat/completions", &[], unasked.as_bytes());
    for demo in [
        "extra=1",
        "crlf=1,comments=1",
        "cut=1,delay_ms=0",
        "cut=7,delay_ms=0",
        "chunk=1",
        "gzip=1",
        "no_done=1",
    ] {
        let through = post(
            &weir.addr,
            "/v1/chat/completions",
            &[("x-demo", demo)],
            unasked.as_bytes(),
        );
        assert_eq!(streamed_text(&through.body), streamed_text(&direct.body), "{demo}");
        assert_eq!(through.text().contains("[DONE]"), demo != "no_done=1", "{demo}");
        assert!(
            !demo.starts_with("extra") || through.text().contains("1.50E+2"),
            "{}",
            through.text()
        );
        let row = place.call(&through.call_id());
        assert_eq!(row["response_text"], streamed_text(&direct.body), "{demo}");
    }
    weir.stop();
    place.verify();
}

#[test]
fn headers_and_unknown_paths() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let headers = [
        ("x-demo", "keep=head"),
        ("authorization", "Bearer sk-of-the-app"),
        ("x-mine", "kept as it is"),
        ("x-weir-app", "shop"),
        ("openai-organization", "org-1"),
        ("te", "trailers"),
    ];
    post(&weir.addr, "/v1/chat/completions", &headers, ODD.as_bytes());
    let kept = upstream.kept("head");
    assert_eq!(header_of(&kept, "authorization"), Some("Bearer sk-of-the-app"));
    assert_eq!(header_of(&kept, "x-mine"), Some("kept as it is"));
    assert_eq!(header_of(&kept, "openai-organization"), Some("org-1"));
    assert_eq!(header_of(&kept, "host"), Some(upstream.addr.as_str()));
    assert_eq!(
        header_of(&kept, "x-weir-app"),
        None,
        "Weir's own headers are not the provider's business"
    );
    assert_eq!(header_of(&kept, "te"), None, "hop-by-hop");

    // A path that Weir does not know, with a body that is no text.
    let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let headers = [("x-demo", "keep=other"), ("content-type", "application/octet-stream")];
    let answer = post(
        &weir.addr,
        "/v1/audio/transcriptions?language=de&x=%20",
        &headers,
        &binary,
    );
    let kept = upstream.kept("other");
    assert_eq!(kept["target"], "/v1/audio/transcriptions?language=de&x=%20");
    assert_eq!(body_of(&kept), binary);
    assert_eq!(answer.status, 404, "the demo does not know this path either");
    let row = place.call(&answer.call_id());
    assert_eq!(row["endpoint"], "/v1/audio/transcriptions");
    assert_eq!(
        (row["status"].as_str(), row["http_status"].as_i64()),
        (Some("failed"), Some(404)),
        "{row}"
    );

    let spoken = post(
        &weir.addr,
        "/v1/audio/speech",
        &[("x-demo", "bytes=200000")],
        b"{\"input\":\"Hello\"}",
    );
    let direct = post(
        &upstream.addr,
        "/v1/audio/speech",
        &[("x-demo", "bytes=200000")],
        b"{\"input\":\"Hello\"}",
    );
    assert_eq!(spoken.body, direct.body);
    assert_eq!(place.call(&spoken.call_id())["status"], "completed");
    weir.stop();
    place.verify();
}

#[test]
fn compressed_bodies() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let chat = "/v1/chat/completions";
    let streamed = ODD.replace("\"temperature\"", "\"stream\":true,\"temperature\"");
    let plain = post(&upstream.addr, chat, &[], ODD.as_bytes());
    let said = plain.json()["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned();

    for coding in ["gzip", "br", "zstd"] {
        let headers = [("x-demo", &*format!("{coding}=1")), ("accept-encoding", coding)];
        let direct = post(&upstream.addr, chat, &headers, ODD.as_bytes());
        assert_eq!(direct.header("content-encoding"), Some(coding));
        let answer = post(&weir.addr, chat, &headers, ODD.as_bytes());
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert!(
            answer.body == direct.body,
            "{coding}: what nobody changed was coded again"
        );
        assert_eq!(
            place.call(&answer.call_id())["response_text"],
            said.as_str(),
            "{coding}"
        );

        // A stream may be coded anew, if it says so: what it holds counts.
        let answer = post(&weir.addr, chat, &headers, streamed.as_bytes());
        let text = decode(answer.header("content-encoding"), &answer.body);
        assert_eq!(streamed_text(text.as_bytes()), said, "{coding}, streamed");
        let row = place.call(&answer.call_id());
        assert_eq!(row["response_text"], said.as_str(), "{coding}, streamed");
        assert_eq!(row["usage_source"], "provider", "{coding}, streamed");
    }

    // A compressed request that nobody changes stays as it is; one that is redacted does not leak.
    for (coding, text) in [
        ("gzip", ODD.to_owned()),
        ("zstd", ODD.replace("lue?", "lue? ana.keller@example.com")),
    ] {
        let packed = encode_body(coding, text.as_bytes());
        let headers = [("x-demo", &*format!("keep={coding}")), ("content-encoding", coding)];
        let answer = post(&weir.addr, chat, &headers, &packed);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let kept = upstream.kept(coding);
        let seen = decode(header_of(&kept, "content-encoding"), &body_of(&kept));
        if coding == "gzip" {
            assert_eq!(body_of(&kept), packed);
        }
        assert!(!seen.contains("ana.keller"), "{seen}");
        assert!(seen.contains("x_of_message"), "{seen}");
    }
    weir.stop();
    place.verify();
}

#[test]
fn http2_without_tls() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    // curl speaks HTTP/2 with prior knowledge; where it cannot, there is nothing to speak it with.
    let output = std::process::Command::new("curl")
        .args([
            "-s",
            "--http2-prior-knowledge",
            "-w",
            "\n%{http_version}",
            "-H",
            "content-type: application/json",
            "-d",
            ODD,
        ])
        .arg(format!("http://{}/v1/chat/completions", weir.addr))
        .output()
        .expect("curl is missing: install it to run this test");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.ends_with("\n2"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("blue"), "{text}");
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn encode_body(coding: &str, body: &[u8]) -> Vec<u8> {
    if coding == "zstd" {
        return zstd::encode_all(body, 1).unwrap();
    }
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    coder.write_all(body).unwrap();
    coder.finish().unwrap()
}

fn decode(coding: Option<&str>, body: &[u8]) -> String {
    let mut out = Vec::new();
    match coding {
        Some("gzip") => std::io::copy(&mut flate2::read::MultiGzDecoder::new(body), &mut out).unwrap(),
        Some("zstd") => std::io::copy(&mut zstd::stream::read::Decoder::new(body).unwrap(), &mut out).unwrap(),
        Some("br") => std::io::copy(&mut brotli::Decompressor::new(body, 4096), &mut out).unwrap(),
        _ => std::io::copy(&mut &body[..], &mut out).unwrap(),
    };
    String::from_utf8(out).unwrap()
}

#[test]
fn a_slow_reader_holds_the_upstream_back() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    // 32 MiB that nobody reads must not gather in memory.
    let demo = [("x-demo", "bytes=33554432")];
    let mut open = raw::open(&weir.addr, "/v1/audio/speech", &demo, b"{\"input\":\"Hello\"}");
    assert!(open.next().is_some());
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(upstream.count("in_flight"), 1, "the upstream could send everything");
    let answer = open.read_all().unwrap();
    assert_eq!((answer.complete, answer.body.len()), (true, 33_554_432));
}
