//! From a Kafka topic to committed Delta: megabytes of JSON a second per core, and the memory it takes,
//! against the method of `kafka-delta-ingest` written plainly.
//!
//! `KAFKA_BOOTSTRAP=host:port cargo bench -p weir-lake --bench kafka` (or `benches/run.sh kafka`, which
//! brings a broker) fills a topic through shippers of four journals and lands it twice, each time in a
//! process of its own with the allocator of the shipped binary. `weir`: the lander, both tables, offsets
//! and hash chains kept. `plain`: each message to a `serde_json::Value`, batches of 5,000 through
//! `deltalake`'s JSON writer (which comes from kafka-delta-ingest), one commit a batch with the offset as
//! its transaction; `events` alone. Then what asks for memory, through `weir` alone: calls of 10 MB, and
//! 100,000 calls that are open at once. `KAFKA_BENCH_LOADS=usual,large,open` chooses among them.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark speaks and may fail"
)]

use std::time::{Duration, Instant};

use deltalake::DeltaTable;
use deltalake::kernel::transaction::CommitBuilder;
use deltalake::kernel::{Action, DataType, PrimitiveType, StructField, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter as _, JsonWriter};
use event::body::{AttemptStarted, CallEnded, CallStarted};
use event::{Body, CallId, Draft, Json, NanoUsd, Scope, Usage, UsageSource};
use journal::{Journal, Options};
use lake::{KafkaSource, Lake, LandOptions, Lander};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _};
use serde_json::Value;
use stream::{Settings, Shipper};

#[path = "../../../benches/measure.rs"]
mod measure;

use measure::{cpu_seconds, kilobytes, reset_peak, words};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const JOURNALS: usize = 4;
const PARTITIONS: u16 = 4;
const BATCH: usize = 5_000;

fn main() {
    let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP") else {
        println!("skipped: KAFKA_BOOTSTRAP names no broker; benches/run.sh kafka brings one");
        return;
    };
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match args.get(1).map(String::as_str) {
        Some("weir") => runtime.block_on(weir(&settings(&bootstrap, &args[2]), &Filled::from_args(&args[3..]))),
        Some("plain") => runtime.block_on(plain(&settings(&bootstrap, &args[2]), &Filled::from_args(&args[3..]))),
        _ => {
            let wanted = std::env::var("KAFKA_BENCH_LOADS").unwrap_or_else(|_| "usual,large,open".to_owned());
            for (name, load, methods) in [
                ("usual", Load::Usual, &["weir", "plain", "weir", "plain"][..]),
                ("large", Load::Large, &["weir"]),
                ("open", Load::Open, &["weir"]),
            ] {
                if !wanted.split(',').any(|wanted| wanted == name) {
                    continue;
                }
                let topic = format!("bench-landing-{name}-{}", std::process::id());
                let filled = fill(&settings(&bootstrap, &topic), name, load);
                for method in methods {
                    // As `weir analytics` has it.
                    let delay = if *method == "weir" { "50" } else { "1000" };
                    let status = std::process::Command::new(&args[0])
                        .env("MIMALLOC_PURGE_DELAY", delay)
                        .args([method, topic.as_str()])
                        .args([filled.events, filled.messages, filled.bytes].map(|n| n.to_string()))
                        .status()
                        .unwrap();
                    assert!(status.success());
                }
                println!();
            }
        }
    }
}

/// What a topic is filled with.
#[derive(Clone, Copy)]
enum Load {
    /// 80,000 calls of some 5 KB, each ended at once.
    Usual,
    /// 60 calls of 10 MB.
    Large,
    /// 100,000 calls of some 5 KB that all begin before the first ends.
    Open,
}

struct Filled {
    events: u64,
    /// In the topic: more than events where some travel in parts.
    messages: u64,
    bytes: u64,
}

impl Filled {
    fn from_args(args: &[String]) -> Filled {
        let numbers: Vec<u64> = args.iter().map(|arg| arg.parse().unwrap()).collect();
        Filled {
            events: numbers[0],
            messages: numbers[1],
            bytes: numbers[2],
        }
    }
}

fn settings(bootstrap: &str, topic: &str) -> Settings {
    Settings {
        brokers: vec![bootstrap.to_owned()],
        topic: topic.to_owned(),
        group: format!("bench-{}", std::process::id()),
        partitions: PARTITIONS,
        ..Settings::default()
    }
}

/// Ships all journals.
fn fill(settings: &Settings, name: &str, load: Load) -> Filled {
    let mut filled = Filled {
        events: 0,
        messages: 0,
        bytes: 0,
    };
    for index in 0..JOURNALS {
        let dir = tempfile::tempdir().unwrap();
        let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
        let mut append = |drafts: &[Draft]| {
            filled.events += drafts.len() as u64;
            filled.bytes += drafts.iter().map(|draft| draft.bytes().len() as u64).sum::<u64>();
            journal.append(drafts).unwrap();
        };
        match load {
            Load::Usual => (0..20_000).for_each(|n| append(&call(index * 20_000 + n, 900))),
            Load::Large => (0..15).for_each(|n| append(&call(index * 15 + n, 1_800_000))),
            Load::Open => {
                // In pieces, so that the benchmark itself needs little memory.
                let mut ends = Vec::with_capacity(25_000);
                for n in 0..25_000 {
                    let mut drafts = call(index * 25_000 + n, 900);
                    ends.push(drafts.split_off(1));
                    append(&drafts);
                }
                ends.iter().for_each(|drafts| append(drafts));
            }
        }
        journal.flush().unwrap();
        let shipper = Shipper::start(journal.clone(), settings.clone(), dir.path().join("kafka.json")).unwrap();
        let progress = shipper.progress();
        while progress.status().arrived < journal.end() {
            std::thread::sleep(Duration::from_millis(20));
        }
        shipper.stop();
    }
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", settings.brokers.join(","))
        .create()
        .unwrap();
    for partition in 0..i32::from(PARTITIONS) {
        let marks = consumer.fetch_watermarks(&settings.topic, partition, Duration::from_secs(10));
        filled.messages += marks.unwrap().1.unsigned_abs();
    }
    println!(
        "{name}: {} events, {:.0} MB of JSON, {PARTITIONS} partitions\n",
        filled.events,
        filled.bytes as f64 / 1e6
    );
    filled
}

fn report(method: &str, filled: &Filled, cpu: f64, wall: f64, commits: u64, before: u64) {
    let (events, megabytes) = (filled.events as f64, filled.bytes as f64 / 1e6);
    println!(
        "{method}: {commits} commits; per core {:.0} events/s, {:.1} MB/s; elapsed {:.0} events/s, {:.1} MB/s; memory {} MiB at the peak, {} MiB before",
        events / cpu,
        megabytes / cpu,
        events / wall,
        megabytes / wall,
        kilobytes("VmHWM") / 1024,
        before / 1024
    );
}

async fn weir(settings: &Settings, filled: &Filled) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = KafkaSource::new(settings, dir.path(), false).unwrap();
    let (lander, handle) = Lander::open(lake.clone(), source, LandOptions::default())
        .await
        .unwrap();
    let before = reset_peak();
    let task = tokio::spawn(lander.run());
    // Joining the group is not landing.
    while handle.status().visible == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let (cpu, begun) = (cpu_seconds(), Instant::now());
    let all = i64::try_from(filled.messages).unwrap();
    while handle.status().visible < all {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(handle.flush().await.unwrap(), all);
    let (cpu, wall) = (cpu_seconds() - cpu, begun.elapsed().as_secs_f64());
    report("weir ", filled, cpu, wall, handle.status().landings, before);
    handle.stop().await;
    task.await.unwrap().unwrap();
}

async fn plain(settings: &Settings, filled: &Filled) {
    let dir = tempfile::tempdir().unwrap();
    let text = |name: &str| StructField::new(name, DataType::Primitive(PrimitiveType::String), true);
    let long = |name: &str| StructField::new(name, DataType::Primitive(PrimitiveType::Long), true);
    let names = [
        "event_id",
        "type",
        "call_id",
        "tenant",
        "app",
        "trace_id",
        "span_id",
        "journal_id",
        "chain",
        "body",
        "day",
    ];
    let columns = (names.into_iter().map(text)).chain(["v", "seq", "time_unix_nano", "offset"].map(long));
    let url = deltalake::ensure_table_uri(dir.path().to_str().unwrap()).unwrap();
    let mut table: DeltaTable = DeltaTable::try_from_url(url)
        .await
        .unwrap()
        .create()
        .with_columns(columns)
        .with_partition_columns(["day"])
        .await
        .unwrap();
    let mut writer = JsonWriter::for_table(&table).unwrap();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", settings.brokers.join(","))
        .set("group.id", &settings.group)
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    let before = reset_peak();
    consumer.subscribe(&[&settings.topic]).unwrap();
    let all = usize::try_from(filled.events).unwrap();
    let mut begun: Option<(f64, Instant)> = None;
    let (mut batch, mut count, mut commits) = (Vec::with_capacity(BATCH), 0, 0);
    let mut offsets = std::collections::BTreeMap::new();
    while count < all {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        begun.get_or_insert_with(|| (cpu_seconds(), Instant::now()));
        let message = message.unwrap();
        let mut value: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        // The two changes that the table's columns ask for.
        let body = value["body"].to_string();
        value["body"] = Value::String(body);
        value["day"] = Value::String("2026-02-01".to_owned());
        offsets.insert(message.partition(), message.offset());
        batch.push(value);
        count += 1;
        if batch.len() == BATCH || count == all {
            writer.write(std::mem::take(&mut batch)).await.unwrap();
            let adds = writer.flush().await.unwrap();
            let txns = (offsets.iter()).map(|(partition, offset)| {
                Action::Txn(Transaction::new(format!("{}-{partition}", settings.topic), *offset))
            });
            let actions = adds.into_iter().map(Action::Add).chain(txns).collect();
            CommitBuilder::default()
                .with_actions(actions)
                .build(
                    Some(table.snapshot().unwrap()),
                    table.log_store(),
                    DeltaOperation::Write {
                        mode: SaveMode::Append,
                        partition_by: Some(vec!["day".to_owned()]),
                        predicate: None,
                    },
                )
                .await
                .unwrap();
            table.update_state().await.unwrap();
            commits += 1;
        }
    }
    let (cpu, begun) = begun.unwrap();
    let (cpu, wall) = (cpu_seconds() - cpu, begun.elapsed().as_secs_f64());
    report("plain", filled, cpu, wall, commits, before);
}

/// A call's three events: so many words of prompt and 1 KB of answer.
fn call(n: usize, prompt_words: usize) -> Vec<Draft> {
    let id = CallId::new();
    let scope = Scope {
        tenant: Some("acme".to_owned()),
        app: Some(format!("app-{}", n % 7)),
        trace_id: Some(id.0.simple().to_string()),
        span_id: None,
    };
    let time = 1_769_903_990_000_000_000 + i64::try_from(n).unwrap() * 1_000_000;
    let (prompt, answer) = (words(n, prompt_words), words(n + 1, 220));
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
    let bodies = [
        Body::CallStarted(Box::new(started)),
        Body::AttemptStarted(Box::<AttemptStarted>::default()),
        Body::CallCompleted(Box::new(ended)),
    ];
    (bodies.iter().zip(0..))
        .map(|(body, seq)| Draft::new(&scope, Some(id), seq, time + i64::from(seq), body).unwrap())
        .collect()
}
