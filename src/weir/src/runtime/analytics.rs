//! The part of a running Weir that lands events and answers SQL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lake::source::Source;
use lake::{Lake, LandOptions, Lander, LanderHandle, MaintainOptions, maintain};
use query::output::{self, Format};
use query::{Engine, EngineOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::LanderCompanion;
use crate::config::Config;
use crate::control::{self, Control};
use crate::error::Failure;

/// A running lander, query engine and control socket.
pub struct Analytics {
    lander: LanderHandle,
    landing: JoinHandle<()>,
    engine: Arc<Engine>,
    stop_upkeep: watch::Sender<bool>,
    upkeep: Option<JoinHandle<()>>,
    control: Option<Control>,
}

/// How long a stop waits for upkeep that is under way.
const UPKEEP_PATIENCE: Duration = Duration::from_secs(10);
/// How long it waits for the threads of queries: one that is being planned does not look up.
const QUERY_PATIENCE: Duration = Duration::from_secs(2);

/// As good as no limit, and still a time that can be added to now: some 130 years.
const NO_LIMIT: Duration = Duration::from_secs(u32::MAX as u64);

/// Limits of queries, from the configuration.
pub fn engine_options(config: &Config) -> EngineOptions {
    EngineOptions {
        memory_bytes: usize::try_from(config.lake.query_memory_mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX),
        timeout: match config.lake.query_timeout_seconds {
            0 => NO_LIMIT,
            seconds => Duration::from_secs(seconds).min(NO_LIMIT),
        },
        ..EngineOptions::default()
    }
}

impl Analytics {
    /// Opens the lake, creating it if need be, and begins to land what `source` gives. `accept_loss`:
    /// goes on where records are missing.
    pub async fn start(config: &Config, source: impl Source, accept_loss: bool) -> Result<Analytics, Failure> {
        let location = Lake::location_of(&config.data);
        let lake = Lake::create(&location.to_string_lossy())
            .await
            .map_err(Failure::other)?;
        let options = LandOptions {
            max_bytes: usize::try_from(config.lake.commit_mib.max(1).saturating_mul(1 << 20)).unwrap_or(usize::MAX),
            max_age: Duration::from_secs(config.lake.commit_seconds.max(1)),
            accept_loss,
            ..LandOptions::default()
        };
        let (lander, handle) = Lander::open(lake.clone(), source, options)
            .await
            .map_err(Failure::other)?;
        let landing = tokio::spawn(async move {
            if let Err(error) = lander.run().await {
                // Calls go on and the journal keeps everything; nothing lands until this is seen to.
                tracing::error!(%error, "landing stopped");
            }
        });
        let engine = Arc::new(Engine::open(handle.tail(), engine_options(config)).map_err(Failure::other)?);
        let (stop_upkeep, stopping) = watch::channel(false);
        let mut upkeep = None;
        if config.lake.maintenance_seconds > 0 {
            let every = Duration::from_secs(config.lake.maintenance_seconds);
            upkeep = Some(tokio::spawn(maintain(
                lake,
                MaintainOptions {
                    every,
                    keep_days: config.lake.retention_days,
                    ..MaintainOptions::default()
                },
                stopping,
            )));
        }
        let control = control::serve(&config.data, Arc::clone(&engine))
            .inspect_err(|error| tracing::warn!(%error, "no control socket: `weir sql` reads the lake by itself"))
            .ok();
        Ok(Analytics {
            lander: handle,
            landing,
            engine,
            stop_upkeep,
            upkeep,
            control,
        })
    }

    /// What `/metrics` and `/readyz` say of it.
    pub fn companion(&self) -> Arc<LanderCompanion> {
        Arc::new(LanderCompanion(self.lander.clone()))
    }

    /// The rows of a query as an aligned table.
    pub async fn table(&self, sql: &str) -> Result<String, Failure> {
        let rows = self.engine.sql(sql).await.map_err(Failure::other)?;
        let mut text = Vec::new();
        output::write(rows, Format::Table, Some(120), &mut text)
            .await
            .map_err(Failure::other)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Waits until SQL sees `calls` calls, for a few seconds at most.
    pub async fn wait_for_calls(&self, calls: u64) -> Result<(), Failure> {
        let until = Instant::now() + Duration::from_secs(10);
        while Instant::now() < until {
            let mut csv = Vec::new();
            let rows = self
                .engine
                .sql("select count(*) from calls")
                .await
                .map_err(Failure::other)?;
            output::write(rows, Format::Csv, None, &mut csv)
                .await
                .map_err(Failure::other)?;
            let seen = String::from_utf8_lossy(&csv)
                .lines()
                .last()
                .and_then(|n| n.trim().parse::<u64>().ok());
            if seen.is_some_and(|seen| seen >= calls) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Ends all queries, so that none of them holds up the end; landing goes on.
    pub fn stop_queries(&self) {
        self.engine.stop();
    }

    /// Lands what there is and ends.
    pub async fn stop(self) {
        self.engine.stop();
        if let Some(control) = self.control {
            control.close().await;
        }
        let engine = self.engine;
        let closed = tokio::task::spawn_blocking(move || engine.close(QUERY_PATIENCE));
        // Upkeep may have ended already.
        let _ = self.stop_upkeep.send(true);
        self.lander.stop().await;
        if let Err(error) = self.landing.await {
            tracing::error!(%error, "landing");
        }
        // What upkeep has begun it may end: its libraries do not take it well when the runtime goes away
        // under them. Whatever it leaves undone the next run does.
        if let Some(upkeep) = self.upkeep
            && tokio::time::timeout(UPKEEP_PATIENCE, upkeep).await.is_err()
        {
            tracing::debug!("upkeep is left in the middle");
        }
        if let Err(error) = closed.await {
            tracing::debug!(%error, "queries");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_limit_is_a_time_that_can_be_waited_for() {
        let mut config = Config::default();
        for (seconds, timeout) in [(0, NO_LIMIT), (u64::MAX, NO_LIMIT), (7, Duration::from_secs(7))] {
            config.lake.query_timeout_seconds = seconds;
            assert_eq!(engine_options(&config).timeout, timeout);
            let until = tokio::time::Instant::now() + timeout;
            let waited = tokio::time::timeout_at(until, std::future::ready(1)).await;
            assert_eq!(waited, Ok(1));
        }
    }
}
