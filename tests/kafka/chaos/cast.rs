//! Who is on the stage: sidecars, analytics, the broker behind its proxy, and the lake's disk.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::broker::Broker;
use crate::disk::Disk;
use crate::harness::{Place, Upstream, config, weir};
use crate::proxy::{Mode, Proxy, free_port};

/// The last of them has a journal with little room.
pub const SIDECARS: usize = 3;
pub const ANALYTICS: usize = 2;

/// A process that is started again at the same address, and stays itself over that.
pub struct Role {
    pub name: String,
    pub place: Arc<Place>,
    role: &'static str,
    pub addr: String,
    child: Option<Child>,
    pub frozen: bool,
    /// The step of a landing at which it will die.
    pub armed: Option<&'static str>,
    /// Duplicates of its runs before this one, as far as they could be asked, and of this one.
    duplicates: (i64, i64),
}

impl Role {
    fn new(role: &'static str, index: usize, settings: &str) -> Self {
        let place = Place::new();
        place.write_config(settings);
        Self {
            name: format!("{role} {index}"),
            place: Arc::new(place),
            role,
            addr: format!("127.0.0.1:{}", free_port()),
            child: None,
            frozen: false,
            armed: None,
            duplicates: (0, 0),
        }
    }

    /// Starts it unless it runs. `failpoint`: where and at which time it dies.
    pub fn start(&mut self, failpoint: Option<(&'static str, u64)>) {
        if self.child.is_some() {
            return;
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.place.log())
            .unwrap();
        let mut command = weir();
        command
            .args([self.role, "--listen", &self.addr, "--data"])
            .arg(self.place.data())
            .arg("--config")
            .arg(self.place.config())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.armed = failpoint.map(|(name, _)| name);
        if let Some((name, nth)) = failpoint {
            command.env("WEIR_FAILPOINT", format!("{name}:{nth}"));
        }
        self.child = Some(command.spawn().unwrap());
        self.frozen = false;
    }

    /// Whether it ended by itself, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().unwrap()?;
        self.gone();
        Some(status)
    }

    fn gone(&mut self) {
        self.child = None;
        self.frozen = false;
        self.duplicates = (self.duplicates.0 + self.duplicates.1, 0);
    }

    pub fn signal(&mut self, name: &str) {
        if let Some(child) = &self.child {
            let pid = child.id().to_string();
            // Not there any more: `ended` will tell.
            let _ = Command::new("kill").args([&format!("-{name}"), &pid]).status();
            self.frozen = match name {
                "STOP" => true,
                "CONT" => false,
                _ => self.frozen,
            };
        }
    }

    /// kill -9.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
            self.gone();
        }
    }

    /// SIGTERM, and kill -9 if it takes longer than that.
    pub fn stop_within(&mut self, patience: Duration) {
        self.signal("TERM");
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.child.is_none() || self.ended().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    pub fn is_healthy(&self) -> bool {
        self.ask("/healthz")
            .is_some_and(|page| page.starts_with("HTTP/1.1 200"))
    }

    /// One of its metrics, if it answers soon.
    pub fn metric(&self, name: &str) -> Option<i64> {
        let page = self.ask("/metrics")?;
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    /// Duplicates that were dropped in all its runs: at least so many, as some die before they are asked.
    pub fn duplicates(&mut self) -> i64 {
        if !self.frozen
            && let Some(now) = self.metric("weir_lander_duplicate_records_total")
        {
            self.duplicates.1 = now;
        }
        self.duplicates.0 + self.duplicates.1
    }

    /// What `/readyz` says.
    pub fn readiness(&self) -> String {
        self.ask("/readyz").unwrap_or_default()
    }

    fn ask(&self, target: &str) -> Option<String> {
        let patience = Some(Duration::from_millis(500));
        let mut stream = TcpStream::connect(&self.addr).ok()?;
        stream.set_read_timeout(patience).ok()?;
        let request = format!("GET {target} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut page = String::new();
        stream.read_to_string(&mut page).ok()?;
        Some(page)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.place.log()).unwrap_or_default();
            eprintln!("--- the end of the log of {} ---", self.name);
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// The lake's folder: on a disk of its own whose size can be changed, where the machine allows that.
pub struct LakeDisk {
    // Goes before its folder.
    disk: Option<Disk>,
    dir: tempfile::TempDir,
    /// In this round.
    pub was_full: bool,
}

impl LakeDisk {
    fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("weir-lake-").tempdir().unwrap();
        let disk = Disk::over(&dir.path().join("lake"), "4g");
        Self {
            disk,
            dir,
            was_full: false,
        }
    }

    pub fn can_fill(&self) -> bool {
        self.disk.is_some()
    }

    pub fn lake(&self) -> PathBuf {
        self.dir.path().join("lake")
    }

    /// Takes away all room but `left` KiB.
    pub fn fill(&mut self, left: u64) {
        if let Some(disk) = &self.disk {
            self.was_full = true;
            disk.fill(left);
        }
    }

    pub fn free(&self) {
        if let Some(disk) = &self.disk {
            disk.free();
        }
    }
}

/// Everybody.
pub struct Cast {
    pub sidecars: Vec<Role>,
    pub analytics: Vec<Role>,
    /// A data folder with the lake alone: what is read through it no process has in memory.
    pub eye: Place,
    pub disk: LakeDisk,
    pub broker: Broker,
    pub broker_down: bool,
    pub broker_frozen: bool,
    pub proxy: Proxy,
    _upstream: Upstream,
}

impl Cast {
    pub fn new() -> Self {
        let proxy = Proxy::start();
        let broker = Broker::start_with(&["--advertise", &proxy.port.to_string()]);
        proxy.to(broker.bootstrap());
        let upstream = Upstream::start();
        let disk = LakeDisk::new();
        // Messages so short that long records travel in parts; the shortest session that Kafka allows; and a
        // lost answer is waited for for a quarter of a minute.
        let kafka = format!(
            "[kafka]\nbrokers = [\"127.0.0.1:{}\"]\npartitions = 4\nmax_message_kib = 64\nbuffer_mib = 1\n\
             [kafka.properties]\n\"session.timeout.ms\" = \"6000\"\n\"message.timeout.ms\" = \"15000\"\n",
            proxy.port
        );
        let sidecars = (0..SIDECARS).map(|index| {
            let journal = match index {
                1 => "[journal]\nsegment_mib = 1\ndurability = \"strict\"\n",
                2 => "[journal]\nsegment_mib = 1\nquota_mib = 4\nwhen_full = \"block\"\n",
                _ => "[journal]\nsegment_mib = 1\n",
            };
            Role::new("sidecar", index, &config(&upstream, &format!("{kafka}{journal}")))
        });
        let sidecars = sidecars.collect();
        let lake = "[lake]\ncommit_seconds = 1\nmaintenance_seconds = 2\n";
        let analytics = (0..ANALYTICS).map(|index| {
            let role = Role::new("analytics", index, &format!("{kafka}{lake}"));
            link(&role.place, &disk.lake());
            role
        });
        let analytics = analytics.collect();
        let eye = Place::new();
        link(&eye, &disk.lake());
        Self {
            sidecars,
            analytics,
            eye,
            disk,
            broker,
            broker_down: false,
            broker_frozen: false,
            proxy,
            _upstream: upstream,
        }
    }

    pub fn roles(&mut self) -> impl Iterator<Item = &mut Role> {
        self.sidecars.iter_mut().chain(&mut self.analytics)
    }

    /// Network, disk and broker as they should be.
    pub fn heal(&mut self) {
        self.proxy.set(Mode::Pass);
        self.disk.free();
        if std::mem::take(&mut self.broker_frozen) {
            self.broker.run("cont", &[]);
        }
        if std::mem::take(&mut self.broker_down) {
            self.broker.up();
        }
    }

    /// Keeps what there is to look at after a failure; where.
    pub fn keep(&self, name: &str) -> PathBuf {
        let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&to);
        fs::create_dir_all(&to).unwrap();
        let copy = |from: &Path, to: &Path| {
            let _ = Command::new("cp").arg("-r").arg(from).arg(to).status();
        };
        for role in self.sidecars.iter().chain(&self.analytics) {
            let name = role.name.replace(' ', "-");
            copy(&role.place.log(), &to.join(format!("{name}.log")));
            copy(&role.place.data().join("journal"), &to.join(format!("{name}.journal")));
        }
        copy(&self.disk.lake(), &to.join("lake"));
        to
    }
}

fn link(place: &Place, lake: &Path) {
    fs::create_dir_all(place.data()).unwrap();
    std::os::unix::fs::symlink(lake, place.data().join("lake")).unwrap();
}

/// Whether it was `abort` that ended a process: what failpoints do.
pub fn aborted(status: ExitStatus) -> bool {
    status.signal() == Some(6)
}
