//! From journal to Kafka: events a second on one core, against a bare producer with the same settings.
//!
//! `KAFKA_BOOTSTRAP=host:port cargo bench -p weir-stream --bench shipping` (or `benches/run.sh kafka`,
//! which brings a broker) writes a journal of 3 KB events and ships it, then sends the same bytes with
//! `rdkafka` alone from memory: no journal, no checksums, no headers, no positions. The two take turns;
//! the clock of each starts with the first arrival, when topic and broker are known.
//! Run it under `taskset -c 0`, with the broker elsewhere, for figures of one core.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark speaks and may fail"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use event::body::CallStarted;
use event::{Body, CallId, Draft, Json, Scope};
use journal::{Journal, Options};
use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext as _};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use stream::{Settings, Shipper};

#[path = "../../../benches/measure.rs"]
#[expect(dead_code, reason = "shared with the other benchmarks")]
mod measure;

use measure::cpu_seconds;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const EVENTS: i64 = 100_000;
const ROUNDS: usize = 5;

fn main() {
    let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP") else {
        println!("skipped: KAFKA_BOOTSTRAP names no broker; benches/run.sh kafka brings one");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(&dir.path().join("journal"), Options::default()).unwrap();
    for n in 0..EVENTS {
        journal.append(&[event(n)]).unwrap();
    }
    journal.flush().unwrap();
    let mut records = Vec::new();
    let mut reader = journal.reader(0).unwrap();
    loop {
        let batch = reader.next_raw_batch(4 << 20).unwrap();
        if batch.is_empty() {
            break;
        }
        records.extend(batch.into_iter().map(|record| record.payload));
    }
    let bytes: usize = records.iter().map(Vec::len).sum();
    println!(
        "{EVENTS} events of {} bytes, {:.0} MB of JSON a round",
        bytes / records.len(),
        bytes as f64 / 1e6
    );
    let (mut shipped, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let settings = Settings {
            brokers: vec![bootstrap.clone()],
            topic: format!("bench-{}-{round}", std::process::id()),
            partitions: 1,
            ..Settings::default()
        };
        shipped.push(ship(
            &journal,
            settings.clone(),
            dir.path().join(format!("home-{round}")),
        ));
        bare.push(send(&records, &settings));
        let (s, b) = (shipped.last().unwrap(), bare.last().unwrap());
        println!(
            "round {round}: shipper {:.0} events/s, {:.2} µs of CPU each; bare {:.0} events/s, {:.2} µs",
            s.0, s.1, b.0, b.1
        );
    }
    let median = |mut all: Vec<f64>| {
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let speed = |all: &[(f64, f64)]| median(all.iter().map(|one| one.0).collect());
    let cpu = |all: &[(f64, f64)]| median(all.iter().map(|one| one.1).collect());
    println!(
        "median: shipper {:.0} events/s, {:.0} MB/s, {:.2} µs of CPU an event; {:.0} % of the bare producer's speed, {:.0} % of its CPU",
        speed(&shipped),
        speed(&shipped) * bytes as f64 / records.len() as f64 / 1e6,
        cpu(&shipped),
        100.0 * speed(&shipped) / speed(&bare),
        100.0 * cpu(&shipped) / cpu(&bare),
    );
}

/// What had arrived when the clock started, the CPU time then, and when that was.
struct Start(i64, f64, Instant);

impl Start {
    fn at(arrived: i64) -> Start {
        Start(arrived, cpu_seconds(), Instant::now())
    }

    /// Events a second, and microseconds of CPU an event.
    fn figures(&self) -> (f64, f64) {
        let events = (EVENTS - self.0) as f64;
        (
            events / self.2.elapsed().as_secs_f64(),
            (cpu_seconds() - self.1) * 1e6 / events,
        )
    }
}

fn ship(journal: &Journal, settings: Settings, home: std::path::PathBuf) -> (f64, f64) {
    journal.positions().set(stream::POSITION, 0).unwrap();
    let shipper = Shipper::start(journal.clone(), settings, home).unwrap();
    let progress = shipper.progress();
    while progress.status().arrived == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let start = Start::at(progress.status().arrived);
    while progress.status().arrived < EVENTS {
        std::thread::sleep(Duration::from_millis(5));
    }
    let figures = start.figures();
    shipper.stop();
    figures
}

struct Counted(Arc<AtomicU64>);

impl ClientContext for Counted {}

impl ProducerContext for Counted {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        assert!(result.is_ok());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn send(records: &[Vec<u8>], settings: &Settings) -> (f64, f64) {
    let arrived = Arc::new(AtomicU64::new(0));
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", settings.brokers.join(","))
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .set("batch.size", "1000000")
        .set("queue.buffering.max.kbytes", (settings.buffer_mib << 10).to_string())
        .set("queue.buffering.max.messages", "1000000");
    let producer = BaseProducer::from_config_and_context(&config, Counted(Arc::clone(&arrived))).unwrap();
    producer
        .client()
        .fetch_metadata(Some(&settings.topic), Duration::from_secs(10))
        .unwrap();
    let mut start = None;
    for record in records {
        let mut next = BaseRecord::<[u8], [u8]>::to(&settings.topic)
            .partition(0)
            .key(b"0192f0c0-0000-7000-8000-000000000001")
            .payload(record);
        while let Err((_, back)) = producer.send(next) {
            next = back;
            producer.poll(Duration::from_millis(5));
        }
        let some = arrived.load(Ordering::Relaxed);
        if some > 0 && start.is_none() {
            start = Some(Start::at(i64::try_from(some).unwrap()));
        }
    }
    while arrived.load(Ordering::Relaxed) < records.len() as u64 {
        producer.poll(Duration::from_millis(5));
    }
    start.unwrap().figures()
}

/// 3 KB, no two alike.
fn event(n: i64) -> Draft {
    let mut state = n.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let mut text = String::with_capacity(2600);
    const WORDS: [&str; 16] = [
        "water", "flows", "over", "the", "weir", "and", "below", "it", "a", "pool", "forms", "where", "fish", "rest",
        "spring", "keeper",
    ];
    while text.len() < 2500 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[usize::try_from(state >> 60).unwrap()]);
        text.push(' ');
    }
    let body = CallStarted {
        method: "POST".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        request_model: Some("large".to_owned()),
        request_body: Some(
            Json::parse(format!(
                r#"{{"model":"large","messages":[{{"role":"user","content":"{text}"}}]}}"#
            ))
            .unwrap(),
        ),
        ..CallStarted::default()
    };
    Draft::new(
        &Scope::default(),
        Some(CallId::new()),
        0,
        n,
        &Body::CallStarted(Box::new(body)),
    )
    .unwrap()
}
