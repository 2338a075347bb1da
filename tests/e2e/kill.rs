//! kill -9 at any moment, under load: nothing that a client saw begin is lost, nothing is twice.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, Upstream, Weir, config, eventually};
use crate::raw;

const ROUNDS: u64 = 6;
const CLIENTS: u64 = 6;

/// SplitMix64: the seed of a failed run repeats its moments.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)) % n
    }
}

#[derive(Default)]
struct Seen {
    /// Calls whose answer's head a client saw.
    begun: Mutex<BTreeSet<String>>,
    /// Of these, those that it saw end in order.
    ended: Mutex<BTreeSet<String>>,
}

fn note(set: &Mutex<BTreeSet<String>>, id: &str) {
    set.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
}

/// Sends calls of all sorts, one after the other, until told to stop or the process is gone.
fn client(addr: &str, seed: u64, stop: &AtomicBool, seen: &Seen) {
    let mut random = Random(seed);
    while !stop.load(Ordering::Relaxed) {
        let stream = random.below(2) == 0;
        let prompt =
            ["Why is the sky blue?", "Is ana.keller@example.com right?"][usize::try_from(random.below(2)).unwrap()];
        let body = json!({"model": "gpt-4o-mini", "stream": stream, "messages": [{"role": "user", "content": prompt}]});
        let demo = ["delay_ms=0", "delay_ms=5", "", "status=500"][usize::try_from(random.below(4)).unwrap()];
        let headers = [("x-demo", demo), ("x-weir-app", "kill")];
        let Ok(mut open) = raw::try_send(
            addr,
            "POST",
            "/v1/chat/completions",
            &headers,
            body.to_string().as_bytes(),
        ) else {
            continue;
        };
        let Some(id) = open.answer.header("x-weir-call-id").map(str::to_owned) else {
            continue;
        };
        note(&seen.begun, &id);
        while open.next().is_some() {}
        if open.answer.complete {
            note(&seen.ended, &id);
        }
    }
}

#[test]
fn kill_9_under_load() {
    let seed = std::env::var("WEIR_TEST_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| {
            std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap()
                .as_micros() as u64
        });
    eprintln!("WEIR_TEST_SEED={seed} repeats the moments of this run");
    let mut random = Random(seed);
    let (place, upstream) = (Place::new(), Upstream::start());
    let seen = Seen::default();
    // Small batches and segments: more steps of landing and rolling for a kill to hit.
    for round in 0..ROUNDS {
        let settings = settings(&upstream, round);
        let weir = Weir::start_config(&place, &settings);
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for index in 0..CLIENTS {
                let (addr, stop, seen) = (weir.addr.clone(), &stop, &seen);
                scope.spawn(move || client(&addr, seed ^ (round << 32) ^ index, stop, seen));
            }
            std::thread::sleep(Duration::from_millis(100 + random.below(1500)));
            weir.kill();
            stop.store(true, Ordering::Relaxed);
        });
        // Once in a while recovery itself is what the next kill hits.
        if random.below(2) == 0 {
            Weir::start_and_kill(&place, &settings, Duration::from_millis(random.below(1500)));
        }
    }
    let begun = seen.begun.into_inner().unwrap();
    let ended = seen.ended.into_inner().unwrap();
    eprintln!("{} calls begun, {} seen to their end", begun.len(), ended.len());
    assert!(begun.len() > 100, "too little load: {} calls", begun.len());

    // Once with the process that recovers, once without any.
    let weir = Weir::start_config(&place, &settings(&upstream, 0));
    check(&place, &begun, &ended, seed);
    weir.stop();
    check(&place, &begun, &ended, seed);
    place.verify();
    let journal = place.tool(&["journal", "verify"]);
    assert!(
        journal.status.success(),
        "seed {seed}: {}",
        String::from_utf8_lossy(&journal.stderr)
    );
}

fn settings(upstream: &Upstream, round: u64) -> String {
    let durability = if round % 3 == 2 { "strict" } else { "os" };
    let journal = format!("[journal]\nsegment_mib = 1\ndurability = \"{durability}\"\n");
    config(
        upstream,
        &format!("{journal}[lake]\ncommit_seconds = 1\nmaintenance_seconds = 2\n"),
    )
}

fn check(place: &Place, begun: &BTreeSet<String>, ended: &BTreeSet<String>, seed: u64) {
    let rows = eventually("all calls are in calls", PATIENCE, || {
        let rows = place.sql("select call_id, status from calls where app = 'kill'");
        let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["call_id"].as_str()).collect();
        begun.iter().all(|id| ids.contains(id.as_str())).then_some(rows)
    });
    let ids: BTreeSet<&str> = rows.iter().filter_map(|row| row["call_id"].as_str()).collect();
    assert_eq!(ids.len(), rows.len(), "seed {seed}: a call is in calls twice");
    for row in &rows {
        let status = row["status"].as_str().unwrap();
        if ended.contains(row["call_id"].as_str().unwrap()) {
            assert!(
                matches!(status, "completed" | "failed"),
                "seed {seed}: a client saw the end of {row}"
            );
        } else {
            assert!(status != "open", "seed {seed}: {row} never ended");
        }
    }
    let ends = place.sql(
        "select call_id, count(*) as n from events where type in \
         ('call.completed', 'call.failed', 'call.blocked', 'call.cancelled', 'call.interrupted') \
         group by call_id having count(*) <> 1",
    );
    assert_eq!(
        ends,
        Vec::<Value>::new(),
        "seed {seed}: calls with another number of ends than one"
    );
    let started = place.sql_number("select count(distinct call_id) as n from events");
    assert_eq!(
        started,
        i64::try_from(rows.len()).unwrap(),
        "seed {seed}: calls in events and in calls differ"
    );
    let gaps = place.sql_number(
        "select coalesce(sum(max_o - min_o + 1 - n), 0) as n from \
         (select journal_id, max(\"offset\") as max_o, min(\"offset\") as min_o, count(*) as n from events group by journal_id)",
    );
    assert_eq!(gaps, 0, "seed {seed}: offsets are missing or twice");
}
