//! What the history says, and how soon: columns, `weir sql`, `weir tail`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Upstream, Weir, eventually, weir as weir_command};
use crate::raw::post;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn chat(model: &str, more: Value) -> Vec<u8> {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Why is the sky blue?"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body.to_string().into_bytes()
}

#[test]
fn headers_user_and_metadata_are_columns() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let headers = [
        ("traceparent", &*format!("00-{TRACE}-00f067aa0ba902b7-01")),
        ("x-weir-session", "s-1"),
        ("x-weir-app", "shop"),
        ("x-weir-tags", "prod, eu"),
    ];
    let more = json!({"user": "ana", "metadata": {"ticket": "T-7"}, "temperature": 0.5, "max_tokens": 9});
    let answer = post(&weir.addr, "/v1/chat/completions", &headers, &chat("gpt-4o-mini", more));
    let row = place.call(&answer.call_id());
    assert_eq!(
        (&row["session_id"], &row["app"], &row["user_id"]),
        (&json!("s-1"), &json!("shop"), &json!("ana")),
        "{row}"
    );
    assert_eq!(row["trace_id"], TRACE);
    let tags = row["tags"].to_string();
    assert!(tags.contains("prod") && tags.contains("eu"), "{tags}");
    assert!(row["finish_reasons"].to_string().contains("length"), "{row}");
    assert_eq!(
        (&row["request_model"], &row["provider"]),
        (&json!("gpt-4o-mini"), &row["provider"])
    );
    for column in ["started_at", "ended_at", "journal_id", "provider"] {
        assert!(row[column].is_string(), "{column}: {row}");
    }
    let body = place.sql(&format!(
        "select body from events where type = 'call.started' and call_id = '{}'",
        answer.call_id()
    ));
    assert!(body[0]["body"].to_string().contains("T-7"), "{body:?}");

    // The header wins over the body's field.
    let headers = [("x-weir-user", "ben")];
    let answer = post(
        &weir.addr,
        "/v1/chat/completions",
        &headers,
        &chat("gpt-4o-mini", json!({"user": "ana"})),
    );
    assert_eq!(place.call(&answer.call_id())["user_id"], "ben");

    // Each call's events: gapless, one end.
    let events = place.sql(&format!(
        "select seq, type from events where call_id = '{}' order by seq",
        answer.call_id()
    ));
    let types: Vec<&str> = events.iter().filter_map(|e| e["type"].as_str()).collect();
    assert_eq!(
        (types.first(), types.last()),
        (Some(&"call.started"), Some(&"call.completed")),
        "{types:?}"
    );
    assert!(events.iter().enumerate().all(|(i, e)| e["seq"] == i), "{events:?}");
    weir.stop();
}

#[test]
fn a_call_is_in_sql_within_a_second_and_after_a_restart() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    place.sql("select count(*) as n from calls");
    for round in 0..5 {
        let answer = post(
            &weir.addr,
            "/v1/chat/completions",
            &[],
            &chat("gpt-4o-mini", json!({"stream": round % 2 == 0})),
        );
        let ended = Instant::now();
        let call_id = answer.call_id();
        // The tool's own start counts in a test, so it gets what a query without news takes besides.
        let query = format!("select count(*) as n from calls where call_id = '{call_id}'");
        let before = Instant::now();
        place.sql_number("select count(*) as n from calls where call_id = 'nobody'");
        let tool = before.elapsed();
        eventually("the call is in calls", Duration::from_secs(1) + 2 * tool, || {
            (place.sql_number(&query) == 1).then_some(())
        });
        assert!(
            ended.elapsed() < Duration::from_secs(1) + 4 * tool,
            "{:?}",
            ended.elapsed()
        );
    }
    assert_eq!(place.sql_number("select count(*) as n from calls"), 5);
    weir.stop();
    // Nothing runs: the tool opens the lake itself.
    assert_eq!(
        place.sql_number("select count(*) as n from calls where status = 'completed'"),
        5
    );
    let weir = Weir::start(&place, &upstream);
    assert_eq!(
        place.sql_number("select count(*) as n from calls where status = 'completed'"),
        5
    );
    post(&weir.addr, "/v1/chat/completions", &[], &chat("gpt-4o-mini", json!({})));
    eventually("the sixth call is in calls", PATIENCE, || {
        (place.sql_number("select count(*) as n from calls") == 6).then_some(())
    });
    weir.stop();
    place.verify();
}

#[test]
fn sql_prints_and_refuses() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let answer = post(
        &weir.addr,
        "/v1/chat/completions",
        &[("x-weir-app", "a,\"b\"")],
        &chat("gpt-4o-mini", json!({})),
    );
    place.call(&answer.call_id());
    let said = |format: &str| {
        let query = "select request_model, app, input_tokens from calls";
        let output = place.tool(&["sql", "--format", format, query]);
        assert!(
            output.status.success(),
            "{format}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let csv = text(said("csv"));
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("request_model,app,input_tokens"));
    assert!(
        lines.next().unwrap().starts_with("gpt-4o-mini,\"a,\"\"b\"\"\","),
        "{csv}"
    );
    let json: Value = serde_json::from_slice(&said("json")).unwrap();
    assert_eq!(json[0]["app"], "a,\"b\"");
    assert_eq!(serde_json::from_slice::<Value>(&said("ndjson")).unwrap(), json[0]);
    assert!(said("parquet").starts_with(b"PAR1"));
    assert!(text(place.tool(&["sql", "select request_model from calls"]).stdout).contains("gpt-4o-mini"));
    for query in [
        "delete from calls",
        "drop table calls",
        "create table t as select 1",
        "select nothing from nowhere",
        "selec",
    ] {
        let output = place.tool(&["sql", query]);
        assert!(!output.status.success(), "{query} was carried out");
        assert!(!output.stderr.is_empty(), "{query}: refused without a word");
    }
    assert_eq!(place.sql_number("select count(*) as n from calls"), 1);
    weir.stop();
}

/// Rows have been written when the query fails: whoever takes them for all of them must be told.
#[test]
fn a_query_that_fails_midway_is_a_failure() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let query = "select arrow_cast(case when value = 20000 then 'größer' else '1' end, 'Int64') as n \
         from generate_series(1, 20000)";
    let asked = |where_from: &str| {
        let output = place.tool(&["sql", "--format", "csv", query]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{where_from}: {said}");
        assert!(said.contains("größer"), "{where_from}: {said}");
    };
    asked("over the socket");
    weir.stop();
    asked("read here");
}

/// A folder that is no lake's, or whose sidecar ships its events elsewhere: nothing is made in it.
#[test]
fn a_folder_without_a_lake_stays_as_it_is() {
    let place = Place::new();
    std::fs::create_dir(place.data()).unwrap();
    for command in [
        &["verify"][..],
        &["status"],
        &["rebuild"],
        &["compact"],
        &["erase", "--user", "ana"],
    ] {
        let output = place.tool(&[&["lake"], command].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{command:?}: {said}");
        assert!(said.contains("no lake"), "{command:?}: {said}");
    }
    assert_eq!(place.sql_number("select count(*) as n from calls"), 0);
    assert_eq!(
        std::fs::read_dir(place.data()).unwrap().count(),
        0,
        "something was made"
    );
}

/// The lines that `weir tail ARGS` prints, as they come.
struct Tail {
    child: std::process::Child,
    lines: mpsc::Receiver<String>,
}

impl Tail {
    fn follow(place: &Place, args: &[&str]) -> Self {
        let mut command = weir_command();
        command
            .arg("tail")
            .arg("--data")
            .arg(place.data())
            .args(args)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::sync_channel(1000);
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines }
    }

    #[track_caller]
    fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("weir tail shows a line")
    }

    fn is_quiet(&self, time: Duration) -> bool {
        self.lines.recv_timeout(time).is_err()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn tail_follows_live_calls() {
    let (place, upstream) = (Place::new(), Upstream::start());
    let weir = Weir::start(&place, &upstream);
    let (people, machines) = (Tail::follow(&place, &[]), Tail::follow(&place, &["--json"]));
    let failed = Tail::follow(&place, &["--json", "--status", "failed"]);
    let shop = Tail::follow(&place, &["--json", "--app", "shop", "--model", "gpt-4o-mini"]);
    std::thread::sleep(Duration::from_secs(1));

    let ask = |app: &str, model: &str, demo: &str| {
        let headers = [("x-weir-app", app), ("x-demo", demo)];
        post(&weir.addr, "/v1/chat/completions", &headers, &chat(model, json!({}))).call_id()
    };
    let one = ask("shop", "gpt-4o-mini", "");
    let line = people.next();
    assert!(line.contains("gpt-4o-mini") && line.contains("completed"), "{line}");
    let seen: Value = serde_json::from_str(&machines.next()).unwrap();
    assert_eq!(
        (&seen["call_id"], &seen["status"]),
        (&json!(one), &json!("completed")),
        "{seen}"
    );

    let two = ask("desk", "gpt-4o-mini", "status=500");
    let three = ask("shop", "gpt-4.1", "");
    let four = ask("shop", "gpt-4o-mini", "");
    let ids = |tail: &Tail, count| -> Vec<String> {
        (0..count)
            .map(|_| {
                serde_json::from_str::<Value>(&tail.next()).unwrap()["call_id"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(ids(&machines, 3), [two.as_str(), &three, &four]);
    assert_eq!(ids(&failed, 1), [two.as_str()]);
    assert_eq!(ids(&shop, 2), [one.as_str(), &four]);
    assert!(failed.is_quiet(Duration::from_millis(500)) && shop.is_quiet(Duration::from_millis(500)));
    weir.stop();
}
