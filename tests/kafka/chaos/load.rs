//! The load: calls with known answers, and what the clients saw of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::Random;
use crate::harness::Place;
use crate::raw;
use crate::sdk::Sdk;

/// What a client saw of a call that began.
#[derive(Clone, Debug)]
pub struct Call {
    pub sidecar: usize,
    /// How it ended, if the client saw that.
    pub end: Option<End>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A whole answer: its text.
    Whole(String),
    /// An error, whole too.
    Error,
}

/// What all clients of a round saw.
#[derive(Default)]
pub struct Seen {
    calls: Mutex<BTreeMap<String, Call>>,
    /// Calls that a full journal refused.
    pub refused: AtomicU64,
    pub stop: AtomicBool,
    /// Whether the last sidecar gets all that its clients can send.
    pub flood: AtomicBool,
}

impl Seen {
    fn note(&self, id: &str, call: Call) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.insert(id.to_owned(), call);
    }

    pub fn into_calls(self) -> BTreeMap<String, Call> {
        self.calls.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client of one sidecar: one call after the other until told to stop.
pub fn client(addr: &str, sidecar: usize, floods: bool, app: &str, mut random: Random, seen: &Seen) {
    let mut count = 0u64;
    let filler = "Where the river bends there is an old mill. ".repeat(2_300);
    while !seen.stop.load(Ordering::Relaxed) {
        count += 1;
        let flooding = floods && seen.flood.load(Ordering::Relaxed);
        let say = format!("{app} says {count}");
        let kind = if flooding { 99 } else { random.below(14) };
        let stream = matches!(kind, 5..=9);
        let demo = match kind {
            5..=7 => "delay_ms=1".to_owned(),
            8 => "delay_ms=0,status=500,after=3".to_owned(),
            9 => "delay_ms=20".to_owned(),
            10 => "status=500".to_owned(),
            _ => format!("delay_ms=0,say={}", say.replace(' ', "%20")),
        };
        let prompt = match kind {
            11 | 99 => filler.as_str(),
            _ => "Why is the sky blue?",
        };
        let body = json!({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": prompt}]});
        let headers = [("x-demo", demo.as_str()), ("x-weir-app", app)];
        let body = body.to_string();
        let sent = raw::try_send(addr, "POST", "/v1/chat/completions", &headers, body.as_bytes());
        if let Ok(open) = sent {
            follow(open, sidecar, kind, &say, seen);
        } else {
            std::thread::sleep(Duration::from_millis(20));
        }
        if !flooding {
            std::thread::sleep(Duration::from_millis(random.below(40)));
        }
    }
}

/// Reads an answer to its end, or leaves in the midst.
fn follow(mut open: raw::Open, sidecar: usize, kind: u64, say: &str, seen: &Seen) {
    if open.answer.status == 503 {
        while open.next().is_some() {}
        let said = open.answer.text();
        assert!(said.contains("journal_full"), "{said}");
        seen.refused.fetch_add(1, Ordering::Relaxed);
        return std::thread::sleep(Duration::from_millis(50));
    }
    let Some(id) = open.answer.header("x-weir-call-id").map(str::to_owned) else {
        return;
    };
    seen.note(&id, Call { sidecar, end: None });
    if kind == 9 {
        open.next();
        return;
    }
    while open.next().is_some() {}
    if !open.answer.complete {
        return;
    }
    let end = match kind {
        8 | 10 => End::Error,
        5..=7 => {
            let text = open.answer.text();
            // A stream that Weir had to end itself is whole, and says that it is an error.
            if text.contains("[DONE]") {
                End::Whole(raw::streamed_text(&open.answer.body))
            } else {
                End::Error
            }
        }
        _ if open.answer.status != 200 => End::Error,
        _ => {
            let answer: Value = open.answer.json();
            let text = answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
            assert_eq!(text, say, "the answer of call {id}");
            End::Whole(text)
        }
    };
    seen.note(
        &id,
        Call {
            sidecar,
            end: Some(end),
        },
    );
}

/// Asks the analytics, whatever happens to them, what there is: what is seen has no row twice and no gap, at
/// any moment. How often there was an answer.
pub fn reader(place: &Place, seen: &Seen) -> u64 {
    let mut answers = 0;
    while !seen.stop.load(Ordering::Relaxed) {
        let query = "select journal_id, count(*) as n, count(distinct \"offset\") as d, max(\"offset\") + 1 as next \
                     from events group by journal_id";
        let output = place.tool(&["sql", "--format", "ndjson", query]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Who answers may be killed while it does.
        if output.status.success() {
            for row in text.lines().filter(|line| !line.is_empty()) {
                let row: Value = serde_json::from_str(row).unwrap();
                let whole = row["n"] == row["d"] && row["n"] == row["next"];
                assert!(whole, "a reader saw rows twice, or not all of them: {row}");
            }
            answers += 1;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    answers
}

/// The official Python SDK as a client, for some seconds of the round.
pub fn sdk(addr: &str, sidecar: usize, app: &str, seen: &Seen) {
    let cases = json!({"seconds": 4, "app": app});
    let report = Sdk::Python.run("chaos", &format!("http://{addr}/v1"), &cases);
    for id in report.calls.values().flatten() {
        let end = report.facts.get(id).and_then(Value::as_str);
        let end = end.map(|text| End::Whole(text.to_owned()));
        seen.note(id, Call { sidecar, end });
    }
}
