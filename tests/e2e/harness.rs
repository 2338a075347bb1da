//! Starts and stops the processes under test.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::raw;

/// How long anything may take that should take no time. Debug builds on a busy machine are slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The binary under test, without the variables of whoever runs the tests.
pub fn weir() -> Command {
    // WEIR_TEST_BIN: the same tests for a binary that was built elsewhere.
    let built = std::env::var_os("WEIR_TEST_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_weir").into());
    let mut command = Command::new(built);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("RUST_BACKTRACE", "1");
    command.stdin(Stdio::null());
    command
}

/// Calls `check` until it gives something.
#[track_caller]
pub fn eventually<T>(what: &str, patience: Duration, mut check: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = check() {
            return found;
        }
        assert!(start.elapsed() < patience, "not within {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A demo upstream of its own process.
pub struct Upstream {
    child: Child,
    pub addr: String,
}

impl Upstream {
    pub fn start() -> Self {
        Self::start_on("127.0.0.1:0")
    }

    /// On this address, after another one there ended.
    pub fn start_on(addr: &str) -> Self {
        let mut command = weir();
        command
            .args(["demo", "--upstream-only", "--listen", addr])
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("start the demo upstream");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let addr = line.trim().rsplit("http://").next().unwrap_or_default().to_owned();
        assert!(addr.contains(':'), "the demo upstream printed {line:?}");
        Self { child, addr }
    }

    /// Base URL, with the version path.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// One of the counters at `/stats`.
    pub fn count(&self, name: &str) -> u64 {
        let stats: Value = serde_json::from_slice(&raw::get(&self.addr, "/stats").body).unwrap();
        stats[name].as_u64().unwrap()
    }

    /// The request that was sent with `x-demo: keep=NAME`, as it came.
    pub fn kept(&self, name: &str) -> Value {
        let answer = raw::get(&self.addr, &format!("/kept/{name}"));
        assert_eq!(answer.status, 200, "the upstream has seen no request {name}");
        serde_json::from_slice(&answer.body).unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A configuration with one upstream, `more` before it.
pub fn config(upstream: &Upstream, more: &str) -> String {
    format!(
        "{more}\n[[upstream]]\nname = \"demo\"\nbase_url = \"{}\"\nprices = \"openai\"\n",
        upstream.url()
    )
}

/// A folder for data, configuration and log of one test.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self {
            dir: tempfile::Builder::new().prefix("weir-e2e-").tempdir().unwrap(),
        }
    }

    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.path().join("weir.toml")
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("weir.log")
    }

    pub fn write_config(&self, text: &str) {
        // As editors and orchestrators do it: whole, by a rename.
        let new = self.dir.path().join("weir.toml.new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.config()).unwrap();
    }

    /// Runs `weir ARGS… --data DIR`.
    pub fn tool(&self, args: &[&str]) -> Output {
        let (first, rest) = args.split_first().unwrap();
        let mut command = weir();
        // `weir lake verify --data DIR`, but `weir sql --data DIR QUERY`.
        match *first {
            "lake" | "journal" => command.arg(first).args(rest).arg("--data").arg(self.data()),
            _ => command.arg(first).arg("--data").arg(self.data()).args(rest),
        };
        command.output().unwrap()
    }

    /// The rows of a query, as JSON objects.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Vec<Value> {
        let output = self.tool(&["sql", "--format", "ndjson", query]);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{query}\n{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text.lines()
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The only value of the only row.
    #[track_caller]
    pub fn sql_number(&self, query: &str) -> i64 {
        let rows = self.sql(query);
        let row = rows
            .first()
            .and_then(Value::as_object)
            .unwrap_or_else(|| panic!("no row: {query}"));
        row.values()
            .next()
            .and_then(Value::as_i64)
            .unwrap_or_else(|| panic!("no number: {query}: {row:?}"))
    }

    /// The row of a call, once it has ended.
    #[track_caller]
    pub fn call(&self, call_id: &str) -> Value {
        let query = format!("select * from calls where call_id = '{call_id}'");
        let rows = eventually(&format!("call {call_id} is in calls"), PATIENCE, || {
            Some(self.sql(&query)).filter(|rows| !rows.is_empty())
        });
        assert_eq!(rows.len(), 1, "call {call_id} is there more than once");
        rows.into_iter().next().unwrap()
    }

    #[track_caller]
    pub fn verify(&self) {
        let output = self.tool(&["lake", "verify"]);
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "weir lake verify: {said}");
    }

    /// Fails if these bytes stand anywhere in the data folder, or anywhere in the lake's text.
    #[track_caller]
    pub fn assert_absent(&self, secret: &str) {
        for file in files(&self.data()) {
            // The socket of the running process, if that is how it is asked, is no file.
            let Ok(bytes) = fs::read(&file) else { continue };
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds what was redacted", file.display());
        }
        let quoted = secret.replace('\'', "''");
        // Files of the lake are compressed: every text column, through SQL.
        for (table, columns) in [
            ("events", &["body"][..]),
            (
                "calls",
                &[
                    "request_text",
                    "response_text",
                    "request_body",
                    "response_body",
                    "user_id",
                ][..],
            ),
        ] {
            for column in columns {
                let query = format!("select count(*) as n from {table} where strpos({column}, '{quoted}') > 0");
                assert_eq!(self.sql_number(&query), 0, "{table}.{column} holds what was redacted");
            }
        }
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// A running `weir up`, `weir sidecar` or `weir analytics`.
pub struct Weir<'a> {
    child: Child,
    pub place: &'a Place,
    pub addr: String,
}

impl<'a> Weir<'a> {
    /// In front of `upstream`, with the shipped configuration.
    pub fn start(place: &'a Place, upstream: &Upstream) -> Self {
        Self::start_with(place, &["--upstream", &upstream.url()])
    }

    /// With this configuration file.
    pub fn start_config(place: &'a Place, config: &str) -> Self {
        place.write_config(config);
        let path = place.config();
        Self::start_with(place, &["--config", path.to_str().unwrap()])
    }

    /// Starts it and kills it after so long, ready or not.
    pub fn start_and_kill(place: &Place, config: &str, after: Duration) {
        place.write_config(config);
        let mut command = weir();
        command
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(place.data());
        command
            .arg("--config")
            .arg(place.config())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn start_with(place: &'a Place, args: &[&str]) -> Self {
        Self::start_env(place, args, &[])
    }

    /// With these environment variables.
    pub fn start_env(place: &'a Place, args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::start_role("up", place, args, env)
    }

    /// In another role.
    pub fn start_role(role: &str, place: &'a Place, args: &[&str], env: &[(&str, &str)]) -> Self {
        let _ = fs::remove_file(place.data().join("listen"));
        let log = File::options().create(true).append(true).open(place.log()).unwrap();
        let mut command = weir();
        command
            .args([role, "--listen", "127.0.0.1:0", "--data"])
            .arg(place.data())
            .args(args)
            .envs(env.iter().copied());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let mut weir = Self {
            child: command.spawn().unwrap(),
            place,
            addr: String::new(),
        };
        let listen = place.data().join("listen");
        weir.addr = eventually("weir up tells its address", PATIENCE, || {
            if let Some(status) = weir.child.try_wait().unwrap() {
                panic!(
                    "weir up ended at once with {status}: {}",
                    fs::read_to_string(place.log()).unwrap()
                );
            }
            fs::read_to_string(&listen)
                .ok()
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        });
        let addr = weir.addr.clone();
        eventually("weir up is ready", PATIENCE, || {
            raw::try_get(&addr, "/healthz")
                .ok()
                .filter(|answer| answer.status == 200)
        });
        weir
    }

    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    /// kill -9.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the process's own end.
    pub fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("weir up leaves", PATIENCE, || child.try_wait().unwrap())
    }

    /// SIGTERM, and an orderly end.
    pub fn stop(mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "weir up left with {status}");
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.place.log()).unwrap_or_default()
    }
}

impl Drop for Weir<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("--- the end of Weir's log ---");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
