//! The broker under test, and the roles around it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{PATIENCE, Place, Upstream, Weir, eventually};
use crate::raw;

/// A real Kafka of one node. It ends with the test process, however that ends.
pub struct Broker {
    dir: tempfile::TempDir,
    options: Vec<String>,
    pub env: BTreeMap<String, String>,
}

impl Broker {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    pub fn start_with(options: &[&str]) -> Self {
        let mut broker = Self {
            dir: tempfile::Builder::new().prefix("weir-kafka-").tempdir().unwrap(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            env: BTreeMap::new(),
        };
        broker.up();
        let text = std::fs::read_to_string(broker.dir.path().join("env")).unwrap();
        broker.env = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect();
        broker
    }

    /// Starts it again with the data it had.
    pub fn up(&self) {
        let parent = std::process::id().to_string();
        let mut args = vec!["--port", "0", "--parent", &parent];
        args.extend(self.options.iter().map(String::as_str));
        self.run("up", &args);
    }

    /// `kafka.sh COMMAND ARGS…`; its output if it succeeds.
    #[track_caller]
    pub fn run(&self, command: &str, args: &[&str]) -> String {
        let output = self.try_run(command, args, b"");
        assert!(
            output.status.success(),
            "kafka.sh {command}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn try_run(&self, command: &str, args: &[&str], input: &[u8]) -> Output {
        use std::io::Write as _;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/kafka/kafka.sh");
        let mut child = Command::new("bash")
            .arg(script)
            .args([command, "--dir"])
            .arg(self.dir.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    pub fn bootstrap(&self) -> &str {
        &self.env["KAFKA_BOOTSTRAP"]
    }

    /// Where the records of a partition of the topic lie, as long as they are few.
    pub fn log(&self, partition: u32) -> PathBuf {
        let folder = format!("data/weir.events.v1-{partition}");
        self.dir.path().join(folder).join("00000000000000000000.log")
    }

    /// `[kafka]` with this broker, and keys of its own.
    pub fn section(&self, more: &str) -> String {
        format!("[kafka]\nbrokers = [\"{}\"]\n{more}\n", self.bootstrap())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Ends also one that is stopped.
        self.try_run("kill", &[], b"");
    }
}

/// `weir sidecar` before the demo upstream.
pub fn sidecar<'a>(place: &'a Place, upstream: &Upstream, kafka: &str) -> Weir<'a> {
    sidecar_env(place, upstream, kafka, &[])
}

pub fn sidecar_env<'a>(place: &'a Place, upstream: &Upstream, kafka: &str, env: &[(&str, &str)]) -> Weir<'a> {
    place.write_config(&crate::harness::config(
        upstream,
        &format!("{kafka}[journal]\nsegment_mib = 1\n"),
    ));
    let path = place.config();
    Weir::start_role("sidecar", place, &["--config", path.to_str().unwrap()], env)
}

/// `weir analytics` that commits every second.
pub fn analytics<'a>(place: &'a Place, kafka: &str, more: &[&str]) -> Weir<'a> {
    analytics_env(place, kafka, more, &[])
}

pub fn analytics_env<'a>(place: &'a Place, kafka: &str, more: &[&str], env: &[(&str, &str)]) -> Weir<'a> {
    place.write_config(&format!("{kafka}[lake]\ncommit_seconds = 1\nmaintenance_seconds = 2\n"));
    let path = place.config();
    let mut args = vec!["--config", path.to_str().unwrap()];
    args.extend(more);
    Weir::start_role("analytics", place, &args, env)
}

/// One call; its id.
#[track_caller]
pub fn call(sidecar: &Weir<'_>, app: &str, prompt: &str) -> String {
    let (status, id, body) = try_call(sidecar, app, prompt);
    assert_eq!(status, 200, "{body}");
    id
}

/// One call that may be refused: status, id and what was said.
#[track_caller]
pub fn try_call(sidecar: &Weir<'_>, app: &str, prompt: &str) -> (u16, String, String) {
    let body = serde_json::json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": prompt}]});
    let headers = [("x-demo", "delay_ms=0"), ("x-weir-app", app)];
    let mut open = raw::try_send(
        &sidecar.addr,
        "POST",
        "/v1/chat/completions",
        &headers,
        body.to_string().as_bytes(),
    )
    .unwrap();
    while open.next().is_some() {}
    let id = open.answer.header("x-weir-call-id").unwrap_or_default().to_owned();
    let said = String::from_utf8_lossy(&open.answer.body).into_owned();
    (open.answer.status, id, said)
}

/// One of the numbers at `/metrics`.
pub fn metric(weir: &Weir<'_>, name: &str) -> i64 {
    let page = raw::get(&weir.addr, "/metrics");
    let text = String::from_utf8_lossy(&page.body).into_owned();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no metric {name} in\n{text}"))
        .trim()
        .parse()
        .unwrap()
}

/// What `/readyz` says, status first.
pub fn ready(weir: &Weir<'_>) -> (u16, String) {
    let page = raw::get(&weir.addr, "/readyz");
    (page.status, String::from_utf8_lossy(&page.body).into_owned())
}

/// How many records the journal of a data folder has ever had.
pub fn journal_end(place: &Place) -> i64 {
    let output = place.tool(&["journal", "inspect", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["end"].as_i64().unwrap()
}

/// Waits until all that the sidecar's journal holds is in Kafka.
#[track_caller]
pub fn all_shipped(sidecar: &Weir<'_>) {
    eventually("all has arrived in Kafka", PATIENCE * 2, || {
        (metric(sidecar, "weir_shipper_waiting_records") == 0).then_some(())
    });
}

/// Waits until all records of these sidecars' journals are in the lake, then proves that they are there
/// once and unaltered.
#[track_caller]
pub fn all_landed(lake: &Place, sidecars: &[&Place]) {
    let expected: i64 = sidecars.iter().map(|place| journal_end(place)).sum();
    let mut seen = 0;
    let patience = PATIENCE * 2;
    let start = std::time::Instant::now();
    while seen < expected {
        seen = lake.sql_number("select count(*) from events where type <> 'unreadable'");
        assert!(
            start.elapsed() < patience,
            "{seen} of {expected} events after {patience:?}"
        );
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(seen, expected, "events are in the lake more than once");
    lake.verify();
    let calls = lake.sql_number("select count(*) from calls");
    let distinct = lake.sql_number("select count(distinct call_id) from events where type = 'call.started'");
    eventually("each call has its row", PATIENCE, || {
        (lake.sql_number("select count(distinct call_id) from calls") == distinct).then_some(())
    });
    assert!(calls <= distinct, "{calls} rows of {distinct} calls");
}
