//! What must hold when everything is healed: all has arrived, once, and says what the clients saw.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cast::{Cast, SIDECARS};
use super::load::{Call, End};

/// How long recovery may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// The sidecar whose journal has little room: it may drop texts when it is full.
const TIGHT: usize = SIDECARS - 1;

const ENDS: &str = "('call.completed', 'call.failed', 'call.blocked', 'call.cancelled', 'call.interrupted')";

/// Waits until all that the journals hold is in the lake; how long it took.
#[track_caller]
pub fn settled(cast: &mut Cast) -> Duration {
    let begun = Instant::now();
    loop {
        let full = cast.disk.was_full;
        for role in cast.roles() {
            match role.ended() {
                None => {}
                // Its disk was full a moment ago.
                Some(_) if full && role.name.starts_with("analytics") => role.start(None),
                Some(status) => panic!("{} ended by itself: {status}", role.name),
            }
        }
        let missing = missing(cast);
        if missing.is_empty() {
            return begun.elapsed();
        }
        if begun.elapsed() > PATIENCE {
            let said: Vec<String> = cast
                .roles()
                .map(|role| format!("{}: {}", role.name, role.readiness()))
                .collect();
            panic!(
                "after {PATIENCE:?} there is missing:\n{}\n{}",
                missing.join("\n"),
                said.join("\n")
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is not there yet. Rows too many are no matter of patience: that panics.
#[track_caller]
fn missing(cast: &Cast) -> Vec<String> {
    let away = cast
        .sidecars
        .iter()
        .chain(&cast.analytics)
        .filter(|role| !role.is_healthy());
    let mut missing: Vec<String> = away.map(|role| format!("{} does not answer", role.name)).collect();
    for role in &cast.sidecars {
        let waiting = role.metric("weir_shipper_waiting_records");
        if waiting != Some(0) {
            missing.push(format!("{}: {waiting:?} records wait to be shipped", role.name));
        }
    }
    // Asking the lake is not for free.
    if !missing.is_empty() {
        return missing;
    }
    let landed = cast.eye.sql(
        "select journal_id, count(*) as n, count(distinct \"offset\") as d, min(\"offset\") as first, \
         max(\"offset\") + 1 as next from events group by journal_id",
    );
    for role in &cast.sidecars {
        let (id, end) = journal(role);
        let row = landed.iter().find(|row| row["journal_id"] == id);
        let number = |name: &str| row.and_then(|row| row[name].as_i64()).unwrap_or(0);
        let (rows, distinct) = (number("n"), number("d"));
        assert_eq!(rows, distinct, "journal {id}: rows of an offset are there twice");
        assert!(
            number("next") <= end,
            "journal {id} has {end} records, the lake more: {row:?}"
        );
        if rows != end || number("first") != 0 {
            missing.push(format!("{}: {rows} of {end} events of journal {id}", role.name));
        }
    }
    if missing.is_empty() {
        let begun = cast
            .eye
            .sql_number("select count(distinct call_id) from events where type = 'call.started'");
        // The rows of calls are in the files, not only in what a reader would fold.
        let rows = landed_calls(cast);
        if rows != begun {
            missing.push(format!("{rows} rows of {begun} calls"));
        }
    }
    missing
}

/// Rows of `calls` in the table itself.
fn landed_calls(cast: &Cast) -> i64 {
    let output = cast.eye.tool(&["lake", "status", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let status: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let tables = status["tables"].as_array().into_iter().flatten();
    let calls = tables.into_iter().find(|table| table["name"] == "calls");
    calls
        .and_then(|table| table["rows"].as_i64())
        .unwrap_or_else(|| panic!("weir lake status: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The journal of a sidecar: its id, and how many records it has ever had.
fn journal(role: &super::cast::Role) -> (String, i64) {
    let output = role.place.tool(&["journal", "inspect", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let id = report["journal_id"].as_str().unwrap().to_owned();
    (id, report["end"].as_i64().unwrap())
}

/// Everything in the lake, by Weir's own SQL and proofs.
#[track_caller]
pub fn whole(cast: &Cast) {
    cast.eye.verify();
    for role in &cast.sidecars {
        let output = role.place.tool(&["journal", "verify"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "weir journal verify, {}: {said}", role.name);
    }
    let twice = cast
        .eye
        .sql("select call_id, count(*) as n from calls group by call_id having count(*) <> 1 limit 5");
    assert_eq!(twice, Vec::<Value>::new(), "calls that are there more than once");
    let ends = cast.eye.sql(&format!(
        "select call_id, count(*) as n from events where type in {ENDS} group by call_id having count(*) <> 1 limit 5"
    ));
    assert_eq!(ends, Vec::<Value>::new(), "calls with another number of ends than one");
    let endless = cast.eye.sql(&format!(
        "select call_id from events where type = 'call.started' and call_id not in \
         (select call_id from events where type in {ENDS}) limit 5"
    ));
    assert_eq!(endless, Vec::<Value>::new(), "calls without an end");
    let strange = cast
        .eye
        .sql_number("select count(*) from events where type = 'unreadable'");
    assert_eq!(strange, 0, "unreadable events");
}

/// Each call that a client saw begin is there once, and says what the client saw. How many texts a full
/// journal had no room for.
#[track_caller]
pub fn as_seen(cast: &Cast, app: &str, calls: &BTreeMap<String, Call>) -> usize {
    let mut dropped = 0;
    let rows = cast.eye.sql(&format!(
        "select call_id, status, response_text from calls where app = '{app}'"
    ));
    let mut by_id: BTreeMap<&str, &Value> = BTreeMap::new();
    for row in &rows {
        let id = row["call_id"].as_str().unwrap();
        assert!(by_id.insert(id, row).is_none(), "call {id} is there twice");
    }
    for (id, call) in calls {
        let Some(row) = by_id.get(id.as_str()) else {
            panic!(
                "a client saw call {id} of sidecar {} begin, it is not in calls: {call:?}",
                call.sidecar
            );
        };
        let (status, text) = (row["status"].as_str().unwrap(), row["response_text"].as_str());
        match &call.end {
            Some(End::Whole(wanted)) => {
                assert_eq!(status, "completed", "call {id}, whose whole answer a client saw");
                if call.sidecar == TIGHT && text.is_none() {
                    dropped += 1;
                } else {
                    assert_eq!(text, Some(wanted.as_str()), "call {id}");
                }
            }
            Some(End::Error) => assert_eq!(status, "failed", "call {id}, of which a client saw the error: {row}"),
            None => assert!(
                matches!(status, "completed" | "failed" | "cancelled" | "interrupted"),
                "call {id} is {status}"
            ),
        }
    }
    dropped
}

/// Other readers of the same tables find the same. Which they were.
#[track_caller]
pub fn judged(cast: &Cast) -> Vec<String> {
    let python = std::env::var("WEIR_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import duckdb, duckdb_extension_delta"])
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: no judge. `pip install duckdb==1.5.5 duckdb-extension-delta==1.5.5`, or set WEIR_PYTHON");
        assert!(std::env::var_os("WEIR_REQUIRE_JUDGE").is_none(), "a judge is required");
        return Vec::new();
    }
    let ours = cast.eye.sql(
        "select e.*, c.* from \
         (select count(*) as events, count(distinct journal_id || '/' || \"offset\") as distinct_events, \
          sum(\"offset\") as offsets from events) e, \
         (select count(*) as calls, count(distinct call_id) as distinct_calls, sum(input_tokens) as input_tokens, \
          sum(output_tokens) as output_tokens, sum(cost_nano_usd) as cost, \
          sum(length(response_text)) as text from calls) c",
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/kafka/chaos/judge.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(cast.disk.lake())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the judge: {errors}");
    let theirs: BTreeMap<String, Value> = serde_json::from_slice(&output.stdout).unwrap();
    // Not only the same as we find: what the journals have.
    let ends: Vec<i64> = cast.sidecars.iter().map(|role| journal(role).1).collect();
    let wanted = [
        ("events", ends.iter().sum::<i64>()),
        ("distinct_events", ends.iter().sum()),
        ("offsets", ends.iter().map(|end| end * (end - 1) / 2).sum()),
    ];
    for (reader, numbers) in &theirs {
        for (name, number) in wanted {
            assert_eq!(
                numbers[name].as_i64(),
                Some(number),
                "{reader}, {name} of journals that end at {ends:?}"
            );
        }
        assert_eq!(
            numbers["calls"], numbers["distinct_calls"],
            "{reader}: rows of calls and their ids"
        );
        for (name, number) in numbers.as_object().unwrap() {
            assert_eq!(ours[0][name].as_i64(), number.as_i64(), "{reader}, {name}: {}", ours[0]);
        }
    }
    theirs.into_keys().collect()
}
