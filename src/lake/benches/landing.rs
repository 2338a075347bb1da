//! From journal to committed Delta: events and megabytes a second per core, and the memory it takes.
//!
//! `cargo bench -p weir-lake --bench landing` writes two journals and lands each with the default
//! options, in a process of its own and with the allocator of the shipped binary: `gateway`, calls as
//! the gateway's own benchmark makes them (the same 2 KiB prompt and 500-byte answer, three events a
//! call, 5 KB of JSON), and `words`, where no two prompts are alike. CPU time is the whole process's,
//! journal reading included; its recording is not. Memory is the peak while landing, on top of what
//! the process held before it.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark speaks and may fail"
)]

use std::time::Instant;

use event::body::{AttemptStarted, CallEnded, CallStarted, ResponseStarted};
use event::{Body, CallId, Draft, Json, NanoUsd, Scope, Usage, UsageSource};
use journal::{Journal, Options};
use lake::{JournalSource, Lake, LandOptions, Lander};

#[path = "../../../benches/measure.rs"]
mod measure;

use measure::{cpu_seconds, kilobytes, reset_peak, words};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOADS: [(&str, usize); 2] = [("gateway", 115_000), ("words", 50_000)];

fn main() {
    let named = std::env::args().nth(1);
    let Some((load, calls)) = LOADS.into_iter().find(|(load, _)| named.as_deref() == Some(load)) else {
        let program = std::env::current_exe().unwrap();
        for (load, _) in LOADS {
            let status = std::process::Command::new(&program).arg(load).status().unwrap();
            assert!(status.success());
        }
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(run(load, calls));
}

async fn run(load: &str, calls: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(&dir.path().join("journal"), Options::default()).unwrap();
    let mut bytes = 0u64;
    let (prompt, answer) = (words(1, 400), words(2, 95));
    for n in 0..calls {
        let drafts = match load {
            "gateway" => call(n, &prompt, &answer, false),
            _ => call(n, &words(n, 650), &words(n + 1, 220), true),
        };
        bytes += drafts.iter().map(|draft| draft.bytes().len() as u64).sum::<u64>();
        journal.append(&drafts).unwrap();
    }
    journal.flush().unwrap();
    let events = journal.end();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let before = reset_peak();
    let (cpu, wall) = (cpu_seconds(), Instant::now());
    let (lander, handle) = Lander::open(lake.clone(), JournalSource::new(journal), LandOptions::default())
        .await
        .unwrap();
    let task = tokio::spawn(lander.run());
    assert_eq!(handle.flush().await.unwrap(), events);
    let (cpu, wall) = (cpu_seconds() - cpu, wall.elapsed().as_secs_f64());
    let peak = kilobytes("VmHWM");
    let landings = handle.status().landings;
    handle.stop().await;
    task.await.unwrap().unwrap();
    let megabytes = bytes as f64 / 1e6;
    let stored: u64 = lake::LakeStatus::read(&lake, None)
        .await
        .unwrap()
        .tables
        .iter()
        .map(|table| table.bytes)
        .sum();
    println!(
        "{load}: {calls} calls, {events} events, {megabytes:.0} MB of JSON, {landings} landings, {:.0} MB stored",
        stored as f64 / 1e6
    );
    println!(
        "CPU {:.1} µs a call; {cpu:.2} s of CPU in {wall:.2} s",
        cpu * 1e6 / calls as f64
    );
    println!(
        "per core: {:.0} events/s, {:.1} MB/s",
        events as f64 / cpu,
        megabytes / cpu
    );
    println!(
        "elapsed:  {:.0} events/s, {:.1} MB/s",
        events as f64 / wall,
        megabytes / wall
    );
    println!(
        "memory: {} MiB at the peak, {} MiB before it began\n",
        peak / 1024,
        before / 1024
    );
}

/// A call's events, with or without one for the first byte of its answer.
fn call(n: usize, prompt: &str, answer: &str, streamed: bool) -> Vec<Draft> {
    let id = CallId::new();
    let scope = Scope {
        tenant: Some("acme".to_owned()),
        app: Some(format!("app-{}", n % 7)),
        trace_id: Some(id.0.simple().to_string()),
        span_id: None,
    };
    let time = 1_769_903_990_000_000_000 + i64::try_from(n).unwrap() * 1_000_000;
    let prompt = format!(r#"{{"model":"large","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
    let answer = format!(r#"{{"choices":[{{"message":{{"content":"{answer}"}}}}]}}"#);
    let started = CallStarted {
        method: "POST".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        operation: Some("chat".to_owned()),
        request_model: Some("large".to_owned()),
        session_id: Some(format!("session-{}", n / 9)),
        request_body: Some(Json::parse(prompt).unwrap()),
        ..CallStarted::default()
    };
    let mut ended = CallEnded {
        http_status: Some(200),
        finish_reasons: vec!["stop".to_owned()],
        cost: Some(NanoUsd(12_500)),
        response_body: Some(Json::parse(answer).unwrap()),
        ..CallEnded::default()
    };
    let usage = Usage {
        input: Some(900),
        output: Some(300),
        ..Usage::default()
    };
    ended.set_usage(&usage, UsageSource::Provider);
    let mut bodies = vec![
        Body::CallStarted(Box::new(started)),
        Body::AttemptStarted(Box::<AttemptStarted>::default()),
        Body::ResponseStarted(Box::<ResponseStarted>::default()),
        Body::CallCompleted(Box::new(ended)),
    ];
    if !streamed {
        bodies.remove(2);
    }
    (bodies.iter().zip(0..))
        .map(|(body, seq)| Draft::new(&scope, Some(id), seq, time + i64::from(seq), body).unwrap())
        .collect()
}
