//! One running Weir: sidecar, lander, query engine and the threads that look after them.

#[cfg(feature = "analytics")]
mod analytics;
mod companions;
mod restart;
#[cfg(feature = "analytics")]
mod status_page;
pub mod ticker;
mod upkeep;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use event::Body;
use event::body::{ConfigChanged, SidecarStarted, SidecarStopped};
use journal::{Journal, Recovery};
use sidecar::{Running, Shared, Snapshot};
use stream::Shipper;

use crate::config::{Compiled, Config, ConfigError, compile, load, placed, placed_start, variables};
use crate::error::Failure;

#[cfg(feature = "analytics")]
pub use analytics::{Analytics, engine_options};
#[cfg(feature = "analytics")]
pub use companions::LanderCompanion;
#[cfg(feature = "analytics")]
pub use status_page::StatusPage;

/// The journal of a data folder.
pub fn journal_folder(data: &Path) -> PathBuf {
    data.join("journal")
}

/// File in the data folder that names the topic's partition which is the journal's.
fn kafka_file(data: &Path) -> PathBuf {
    data.join("kafka.json")
}

/// File in the data folder that names the address of the running process.
pub fn listen_file(data: &Path) -> PathBuf {
    data.join("listen")
}

/// What to run.
pub struct Plan {
    /// The configuration, command-line options included.
    pub config: Config,
    /// The file it came from.
    pub file: Option<PathBuf>,
    /// What the command line says goes before the file, after a reload too.
    pub given: Given,
    /// Whether to land and to answer SQL as well.
    pub analytics: bool,
    /// Whether to land on behind records that are gone.
    #[cfg(feature = "analytics")]
    pub accept_loss: bool,
}

/// What the command line may say of the configuration.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// `--listen`.
    pub listen: Option<SocketAddr>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--upstream`: in the place of all upstreams of the file.
    pub upstream: Option<sidecar::config::Upstream>,
}

impl Given {
    /// Puts it into a configuration that was read. Of the upstream only compiling makes use, so that the
    /// names of the file's own stay known.
    pub fn apply(&self, config: &mut Config) {
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        if let Some(data) = &self.data {
            config.data.clone_from(data);
        }
    }
}

/// A running Weir.
pub struct Weir {
    plan: Plan,
    /// How much of the file waits for a restart.
    reloads: Arc<restart::Reloads>,
    /// What the sidecar's workers share.
    pub shared: Arc<Shared>,
    running: Running,
    upkeep: upkeep::Upkeep,
    /// What the journal found at start.
    pub recovery: Recovery,
    /// Calls that the last run left open.
    pub interrupted: u64,
    shipper: Option<Shipper>,
    #[cfg(feature = "analytics")]
    analytics: Option<Analytics>,
}

impl Weir {
    /// Whether calls land in tables of this process.
    pub fn has_tables(&self) -> bool {
        #[cfg(feature = "analytics")]
        return self.analytics.is_some();
        #[cfg(not(feature = "analytics"))]
        false
    }

    /// Opens the journal, ends what a crash left open, and begins to serve.
    pub async fn start(plan: Plan) -> Result<Weir, Failure> {
        let config = &plan.config;
        journal::make_dir(&config.data).map_err(|error| {
            Failure::Other(format!(
                "cannot make the data folder {}: {error}",
                config.data.display()
            ))
        })?;
        let Compiled {
            parts,
            journal: options,
            kafka,
        } = compiled(config, &plan)?;
        let snapshot =
            Snapshot::new(&parts, environment).map_err(|error| placed_start(error, config, plan.file.as_deref()))?;
        let (journal, recovery) = Journal::open(&journal_folder(&config.data), options)?;
        let shared = Shared::new(snapshot, journal.clone());
        shared.accompany(ticker::start());
        let reloads = Arc::new(restart::Reloads::default());
        shared.accompany(reloads.clone());
        #[cfg(feature = "analytics")]
        let analytics = match plan.analytics {
            true => {
                let source = lake::JournalSource::new(journal.clone()).accepting_loss(plan.accept_loss);
                Some(Analytics::start(config, source, plan.accept_loss).await?)
            }
            false => None,
        };
        #[cfg(feature = "analytics")]
        if let Some(analytics) = &analytics {
            shared.accompany(analytics.companion());
        }
        #[cfg(not(feature = "analytics"))]
        let _ = plan.analytics;
        let shipper = match &kafka {
            Some(settings) => {
                let shipper = Shipper::start(journal.clone(), settings.clone(), kafka_file(&config.data))
                    .map_err(|error| Failure::Usage(error.to_string()))?;
                shared.accompany(Arc::new(companions::ShipperCompanion {
                    progress: shipper.progress(),
                    journal: journal.clone(),
                }));
                Some(shipper)
            }
            None => None,
        };
        warn_of_absent_consumers(&journal, plan.analytics, kafka.is_some());
        let interrupted = recover(&journal).await?;
        let running = sidecar::start(Arc::clone(&shared), config.server.listen, config.server.threads)?;
        let snapshot = shared.snapshot.load();
        let recorded = shared.record(&Body::SidecarStarted(Box::new(SidecarStarted {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            listen: running.listen.to_string(),
            providers: snapshot
                .routes
                .targets()
                .iter()
                .map(|target| target.name.to_string())
                .collect(),
            policy_version: snapshot.policies.fallback().version().to_owned(),
            torn_bytes: recovery.torn.as_ref().map_or(0, |torn| torn.bytes),
            interrupted_calls: interrupted,
        })));
        warn_unrecorded(recorded);
        shared.metrics.interrupted(interrupted);
        drop(snapshot);
        // Scripts that start Weir on port 0 find the address here.
        std::fs::write(listen_file(&config.data), running.listen.to_string())?;
        let upkeep = upkeep::start(Arc::clone(&shared), plan.analytics || shipper.is_some());
        Ok(Weir {
            plan,
            reloads,
            shared,
            running,
            upkeep,
            recovery,
            interrupted,
            shipper,
            #[cfg(feature = "analytics")]
            analytics,
        })
    }

    /// The address it listens on.
    pub fn listen(&self) -> SocketAddr {
        self.running.listen
    }

    /// The configuration in force at start.
    pub fn config(&self) -> &Config {
        &self.plan.config
    }

    /// The part that lands and answers SQL.
    #[cfg(feature = "analytics")]
    pub fn analytics(&self) -> Option<&Analytics> {
        self.analytics.as_ref()
    }

    /// Takes over the configuration file as it is now; a bad one changes nothing. Either way it is
    /// an event. Address, data folder, journal, Kafka and lake keep what they were started with: the keys
    /// of theirs that the file has changed since the start are returned.
    pub fn reload(&self) -> Result<Vec<String>, Failure> {
        let reloaded = self.reloaded();
        let error = reloaded.as_ref().err().map(ToString::to_string);
        let mut waiting = Vec::new();
        if let Ok((snapshot, keys)) = reloaded {
            self.shared.snapshot.store(Arc::new(snapshot));
            waiting = keys;
        }
        self.reloads.note(&waiting, error.as_deref());
        let text = self
            .plan
            .file
            .as_deref()
            .and_then(|file| std::fs::read(file).ok())
            .unwrap_or_default();
        let body = Body::ConfigChanged(Box::new(ConfigChanged {
            accepted: error.is_none(),
            blake3: blake3::hash(&text).to_hex().to_string(),
            error: error.clone(),
            policy_version: self.shared.snapshot.load().policies.fallback().version().to_owned(),
        }));
        warn_unrecorded(self.shared.record(&body));
        error.map_or(Ok(waiting), |error| Err(Failure::Other(error)))
    }

    /// The file as it is now, and which of its keys wait for a restart.
    fn reloaded(&self) -> Result<(Snapshot, Vec<String>), Failure> {
        let started = &self.plan.config;
        let mut config = load(self.plan.file.as_deref(), variables())?;
        self.plan.given.apply(&mut config);
        let waiting = restart::keys(started, &config, self.plan.analytics);
        // Whether the address needs client keys is asked of the one that is listened on.
        config.server.listen = started.server.listen;
        let compiled = compiled(&config, &self.plan)?;
        let snapshot = Snapshot::new(&compiled.parts, environment)
            .map_err(|error| placed_start(error, &config, self.plan.file.as_deref()))?;
        Ok((snapshot, waiting))
    }

    /// Stops in order: no more calls, open ones finish within the configured time, everything
    /// lands and is on the device.
    pub async fn stop(self) -> Result<(), Failure> {
        #[cfg(feature = "analytics")]
        if let Some(analytics) = &self.analytics {
            analytics.stop_queries();
        }
        let grace = Duration::from_secs(self.plan.config.server.shutdown_seconds);
        let running = self.running;
        let unfinished = tokio::task::spawn_blocking(move || running.stop(grace))
            .await
            .map_err(Failure::other)?;
        let stopped = SidecarStopped {
            reason: "signal".to_owned(),
            unfinished_calls: unfinished,
        };
        warn_unrecorded(self.shared.record(&Body::SidecarStopped(Box::new(stopped))));
        let flushed = self.shared.journal.flush();
        if let Some(shipper) = self.shipper {
            tokio::task::spawn_blocking(move || shipper.stop())
                .await
                .map_err(Failure::other)?;
        }
        #[cfg(feature = "analytics")]
        if let Some(analytics) = self.analytics {
            analytics.stop().await;
        }
        self.upkeep.stop();
        // Nobody is there any more; that the file stays behind does no harm.
        let _ = std::fs::remove_file(listen_file(&self.plan.config.data));
        flushed.map_err(Failure::other)
    }
}

/// Ends what the last run left open. A journal that is full gets some time: the lander that runs
/// by now makes room.
async fn recover(journal: &Journal) -> Result<u64, Failure> {
    let until = tokio::time::Instant::now() + RECOVERY_PATIENCE;
    loop {
        let tried = journal.clone();
        match tokio::task::spawn_blocking(move || sidecar::recover(&tried))
            .await
            .map_err(Failure::other)?
        {
            Ok(interrupted) => return Ok(interrupted),
            Err(error) if journal.has_room() || tokio::time::Instant::now() >= until => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "recovery waits for room in the journal"),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        if let Err(error) = journal.release() {
            tracing::warn!(%error, "cannot free journal segments");
        }
    }
}

/// A consumer of an earlier way of running keeps the journal from letting go of anything.
fn warn_of_absent_consumers(journal: &Journal, lands: bool, ships: bool) {
    let absent = |name: &str| (name == "lake" && !lands) || (name == stream::POSITION && !ships);
    for (name, position) in journal.positions().all() {
        if absent(&name) {
            tracing::warn!(
                consumer = name,
                position,
                "the journal keeps everything for a consumer that does not run: if it will not come back, stop and run `weir journal forget {name}`"
            );
        }
    }
}

/// How long a start waits for room in a full journal.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(60);

/// An event of the sidecar's own life that cannot be written holds nothing up: calls are refused
/// anyway while the journal takes none.
fn warn_unrecorded(recorded: Result<(), sidecar::RecordError>) {
    if let Err(error) = recorded {
        tracing::warn!(%error, "an event of the sidecar's own life is not recorded");
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn compiled(config: &Config, plan: &Plan) -> Result<Compiled, ConfigError> {
    let base = plan.file.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
    let compiled = compile(config, plan.given.upstream.as_ref(), base, environment);
    compiled.map_err(|error| placed(error, plan.file.as_deref()))
}
