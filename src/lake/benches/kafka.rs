//! From a Kafka topic to committed Delta: megabytes of JSON a second per core, and the memory it takes,
//! against the method of `kafka-delta-ingest` written plainly.
//!
//! `KAFKA_BOOTSTRAP=host:port cargo bench -p weir-lake --bench kafka` (or `benches/run.sh kafka`, which
//! brings a broker) fills a topic through shippers of four journals and lands it, each time in a
//! process of its own with the allocator of the shipped binary. `weir`: the lander, both tables, offsets
//! and hash chains kept. `plain`: each message to a `serde_json::Value`, batches of 5,000 through
//! `deltalake`'s JSON writer (which comes from kafka-delta-ingest), one commit a batch with the offset as
//! its transaction; `events` alone. `both`: the same method for the lander's job, a second table with each
//! call put together from its events. Then what asks for memory, through `weir` alone: calls of 10 MB, and
//! 100,000 calls that are open at once. `KAFKA_BENCH_LOADS=usual,large,open` chooses among them.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark speaks and may fail"
)]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use deltalake::DeltaTable;
use deltalake::kernel::transaction::CommitBuilder;
use deltalake::kernel::{Action, DataType, PrimitiveType, StructField, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter as _, JsonWriter};
use event::body::{AttemptStarted, CallEnded, CallStarted};
use event::{Body, CallId, Draft, Json, NanoUsd, Scope, Usage, UsageSource};
use journal::{Journal, Options};
use lake::{KafkaSource, Lake, LandOptions, Lander, TableKind};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Message as _};
use serde_json::{Value, json};
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
        Some(method @ ("plain" | "both")) => {
            let (settings, filled) = (settings(&bootstrap, &args[2]), Filled::from_args(&args[3..]));
            runtime.block_on(plain(&settings, &filled, method == "both"));
        }
        _ => {
            let wanted = std::env::var("KAFKA_BENCH_LOADS").unwrap_or_else(|_| "usual,large,open".to_owned());
            for (name, load, methods) in [
                (
                    "usual",
                    Load::Usual,
                    &["weir", "plain", "both", "weir", "plain", "both"][..],
                ),
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

/// A table as `kafka-delta-ingest` writes one: JSON values to Arrow, one commit a batch.
struct PlainTable {
    table: DeltaTable,
    writer: JsonWriter,
    batch: Vec<Value>,
    commits: u64,
}

impl PlainTable {
    async fn create(dir: &std::path::Path, kind: TableKind) -> PlainTable {
        let path = dir.join(kind.name());
        std::fs::create_dir(&path).unwrap();
        let fields = kind.columns().iter().map(|column| {
            let primitive = match column.kind {
                lake::schema::Kind::Int | lake::schema::Kind::Time => PrimitiveType::Long,
                lake::schema::Kind::Float => PrimitiveType::Double,
                lake::schema::Kind::Bool => PrimitiveType::Boolean,
                _ => PrimitiveType::String,
            };
            StructField::new(column.name, DataType::Primitive(primitive), true)
        });
        let url = deltalake::ensure_table_uri(path.to_str().unwrap()).unwrap();
        let table: DeltaTable = DeltaTable::try_from_url(url)
            .await
            .unwrap()
            .create()
            .with_columns(fields)
            .with_partition_columns(["day"])
            .await
            .unwrap();
        PlainTable {
            writer: JsonWriter::for_table(&table).unwrap(),
            table,
            batch: Vec::with_capacity(BATCH),
            commits: 0,
        }
    }

    async fn commit(&mut self, topic: &str, offsets: &BTreeMap<i32, i64>) {
        self.writer.write(std::mem::take(&mut self.batch)).await.unwrap();
        let adds = self.writer.flush().await.unwrap();
        let txns = (offsets.iter())
            .map(|(partition, offset)| Action::Txn(Transaction::new(format!("{topic}-{partition}"), *offset)));
        let actions = adds.into_iter().map(Action::Add).chain(txns).collect();
        CommitBuilder::default()
            .with_actions(actions)
            .build(
                Some(self.table.snapshot().unwrap()),
                self.table.log_store(),
                DeltaOperation::Write {
                    mode: SaveMode::Append,
                    partition_by: Some(vec!["day".to_owned()]),
                    predicate: None,
                },
            )
            .await
            .unwrap();
        self.table.update_state().await.unwrap();
        self.commits += 1;
    }
}

/// With `both`, the job that the lander has: calls put together from their events, in a second table.
async fn plain(settings: &Settings, filled: &Filled, both: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut events = PlainTable::create(dir.path(), TableKind::Events).await;
    let mut calls = PlainTable::create(dir.path(), TableKind::Calls).await;
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
    let mut count = 0;
    let mut offsets = BTreeMap::new();
    let mut open: HashMap<String, Value> = HashMap::new();
    while count < all {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        begun.get_or_insert_with(|| (cpu_seconds(), Instant::now()));
        let message = message.unwrap();
        let mut value: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        value["day"] = Value::String("2026-02-01".to_owned());
        if both {
            calls.batch.extend(plain_fold(&mut open, &value));
        }
        // The change that the table's column asks for.
        let body = value["body"].to_string();
        value["body"] = Value::String(body);
        offsets.insert(message.partition(), message.offset());
        events.batch.push(value);
        count += 1;
        if events.batch.len() == BATCH || count == all {
            events.commit(&settings.topic, &offsets).await;
            if both {
                calls.commit(&settings.topic, &offsets).await;
            }
        }
    }
    let (cpu, begun) = begun.unwrap();
    let (cpu, wall) = (cpu_seconds() - cpu, begun.elapsed().as_secs_f64());
    let method = if both { "both " } else { "plain" };
    report(method, filled, cpu, wall, events.commits + calls.commits, before);
}

/// An event's part in the row of its call; the row, once that has ended.
fn plain_fold(open: &mut HashMap<String, Value>, event: &Value) -> Option<Value> {
    let call = event["call_id"].as_str()?;
    let row = open.entry(call.to_owned()).or_insert_with(|| json!({ "attempts": 0 }));
    let body = &event["body"];
    let mut set = |column: &str, value: Value| drop(row.as_object_mut().unwrap().insert(column.to_owned(), value));
    match event["type"].as_str()? {
        "call.started" => {
            for column in ["call_id", "tenant", "app", "trace_id", "day", "journal_id"] {
                set(column, event[column].clone());
            }
            for (column, key) in [
                ("operation", "gen_ai.operation.name"),
                ("request_model", "gen_ai.request.model"),
                ("session_id", "session.id"),
                ("endpoint", "weir.endpoint"),
            ] {
                set(column, body[key].clone());
            }
            let request = &body["weir.request.body"];
            assert!(request.is_object());
            set("request_text", request["messages"][0]["content"].clone());
            set("request_body", request.to_string().into());
            set("started_at", (event["time_unix_nano"].as_i64()? / 1000).into());
            None
        }
        "call.completed" => {
            let response = &body["weir.response.body"];
            assert!(response.is_object());
            set("response_text", response["choices"][0]["message"]["content"].clone());
            set("response_body", response.to_string().into());
            set("status", "completed".into());
            set("http_status", body["http.response.status_code"].clone());
            set("input_tokens", body["gen_ai.usage.input_tokens"].clone());
            set("output_tokens", body["gen_ai.usage.output_tokens"].clone());
            set("ended_at", (event["time_unix_nano"].as_i64()? / 1000).into());
            open.remove(call)
        }
        _ => None,
    }
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
