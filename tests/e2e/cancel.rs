//! When the app goes, the upstream's work ends, and what came is recorded.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Upstream, Weir, config, eventually};
use crate::raw;
use crate::sdk::BOTH;

#[test]
fn sdks_that_leave_midway() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, ""));
    for (index, sdk) in BOTH.into_iter().enumerate() {
        let report = sdk.run("cancel", &weir.base_url(), &Value::Null);
        let expected = index as u64 + 1;
        eventually("the upstream sees the cancellation", Duration::from_secs(3), || {
            (upstream.count("cancelled") == expected).then_some(())
        });
        let row = place.call(report.call("cancelled"));
        assert_eq!(row["status"], "cancelled", "{sdk:?}: {row}");
        let seen = report.facts["text"].as_str().unwrap();
        let kept = row["response_text"].as_str().unwrap();
        assert!(kept.starts_with(seen), "{sdk:?}: {seen:?} was seen, {kept:?} kept");
        assert!(kept.len() < 120, "{sdk:?}: not the partial answer but {kept:?}");
        assert_eq!(row["usage_source"], "estimated", "{sdk:?}: {row}");
        assert!(row["output_tokens"].as_i64().unwrap() >= 3, "{sdk:?}: {row}");
        assert!(row["input_tokens"].as_i64().unwrap() >= 4, "{sdk:?}: {row}");
        assert!(row["cost_nano_usd"].as_i64().unwrap() > 0, "{sdk:?}: {row}");
    }
    weir.stop();
    place.verify();
}

/// Before the answer's head too: the upstream thinks, the app goes.
#[test]
fn leaving_before_the_answer() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, ""));
    let body = json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}]}).to_string();
    let stream = std::net::TcpStream::connect(&weir.addr).unwrap();
    {
        use std::io::Write;
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nx-demo: hang=1\r\nx-weir-session: gone\r\n\
            content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        (&stream).write_all(head.as_bytes()).unwrap();
    }
    eventually("the upstream has the call", PATIENCE, || {
        (upstream.count("in_flight") == 1).then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    drop(stream);
    eventually("the upstream sees the cancellation", Duration::from_secs(3), || {
        (upstream.count("cancelled") == 1).then_some(())
    });
    let rows = eventually("the call has ended", PATIENCE, || {
        Some(place.sql("select * from calls where session_id = 'gone'")).filter(|rows| !rows.is_empty())
    });
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row["status"], "cancelled", "{row}");
    // The provider's silence is not Weir's time, and of an answer that never began nothing is known.
    assert!(row["duration_ms"].as_f64().unwrap() >= 500.0, "{row}");
    assert!(row["overhead_ms"].as_f64().unwrap() < 250.0, "{row}");
    assert!(
        row["input_tokens"].as_i64().unwrap() > 0 && row["output_tokens"].is_null(),
        "{row}"
    );
    weir.stop();
    place.verify();
}

/// A connection that a client keeps open is no reason to keep the upstream busy.
#[test]
fn a_hanging_stream_is_cancelled_with_its_app() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, ""));
    let body = json!({"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "Why is the sky blue?"}]});
    let mut open = raw::open(
        &weir.addr,
        "/v1/chat/completions",
        &[("x-demo", "hang_after=5")],
        body.to_string().as_bytes(),
    );
    let call_id = open.answer.call_id();
    assert!(open.next().is_some());
    drop(open);
    eventually("the upstream sees the cancellation", Duration::from_secs(3), || {
        (upstream.count("cancelled") == 1).then_some(())
    });
    assert_eq!(place.call(&call_id)["status"], "cancelled");
}

/// In HTTP/2 an app goes by resetting its stream.
#[test]
fn leaving_an_http2_stream() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let body = json!({"model": "gpt-4o-mini", "stream": true, "messages": [{"role": "user", "content": "Why is the sky blue?"}]});
    std::process::Command::new("curl")
        .args(["-sN", "--http2-prior-knowledge", "--max-time", "1", "-o", "/dev/null"])
        .args([
            "-H",
            "x-demo: delay_ms=200",
            "-H",
            "x-weir-session: h2",
            "-H",
            "content-type: application/json",
        ])
        .args([
            "-d",
            &body.to_string(),
            &format!("http://{}/v1/chat/completions", weir.addr),
        ])
        .status()
        .expect("curl is missing: install it to run this test");
    eventually("the upstream sees the cancellation", Duration::from_secs(3), || {
        (upstream.count("cancelled") == 1).then_some(())
    });
    let rows = eventually("the call has ended", PATIENCE, || {
        Some(place.sql("select * from calls where session_id = 'h2'")).filter(|rows| !rows.is_empty())
    });
    assert_eq!(rows[0]["status"], "cancelled", "{rows:?}");
    weir.stop();
}

#[test]
fn an_app_that_leaves_in_the_middle_of_its_request_is_in_the_history() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let cut = |target: &str, content_type: &str, body: &[u8]| {
        let mut stream = TcpStream::connect(&weir.addr).unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\nhost: weir\r\nx-weir-tags: cut,jane@example.com\r\ncontent-type: {content_type}\r\ncontent-length: 5000\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        // Long enough for the sidecar to be in the middle of it.
        std::thread::sleep(Duration::from_millis(300));
    };
    cut(
        "/v1/chat/completions",
        "application/json",
        b"{\"model\":\"gpt-4o-mini\",\"mess",
    );
    cut("/v1/files", "multipart/form-data; boundary=x", b"--x\r\n");
    let rows = eventually("both calls are there", PATIENCE, || {
        let rows = place.sql("select endpoint, status, error_code, tags from calls order by started_at");
        (rows.len() == 2).then_some(rows)
    });
    for row in &rows {
        let (status, code) = (row["status"].as_str().unwrap(), &row["error_code"]);
        assert!(status == "cancelled" || code == "incomplete_body", "{row}");
        assert_eq!(row["tags"].to_string(), r#"["cut","[EMAIL]"]"#, "{row}");
    }
    let blamed = place.sql("select body from events where type = 'attempt.failed'");
    assert!(
        blamed
            .iter()
            .all(|row| row["body"].as_str().unwrap().contains("client_body")),
        "{blamed:?}"
    );
    weir.stop();
    place.verify();
}

#[test]
fn an_app_that_stops_uploading_is_told_so() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, "[timeouts]\nidle = 0.5\nfirst_byte = 0.2\n"));
    let mut stream = TcpStream::connect(&weir.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = "POST /v1/files HTTP/1.1\r\nhost: weir\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 5000\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // As slow as it may be: all in all much longer than the provider has for its first byte.
    for _ in 0..4 {
        stream.write_all(b"--x\r\n").unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&answer).contains("body_timeout") {
        let read = stream.read(&mut piece).unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..read]);
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 408"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    weir.stop();
    place.verify();
}

#[test]
fn a_connection_without_a_request_is_closed() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start_config(&place, &config(&upstream, "[timeouts]\nrequest_head = 0.3\n"));
    for first in ["", "P", "POST /v1/models HTTP/1.1\r\n"] {
        let mut stream = TcpStream::connect(&weir.addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(first.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // Closed, whether with an answer, an end or a reset: not left open.
        let closed = stream.read_to_end(&mut answer);
        let waits = closed.is_err_and(|e| matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
        assert!(!waits, "{first:?} is still open");
    }
    weir.stop();
}
