//! What all workers of a sidecar share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use event::{Body, Draft, Scope};
use guard::{Vault, VaultLimits};
use journal::{AppendError, Journal, clock};
use tokio::sync::Notify;

use crate::metrics::Metrics;
use crate::open_calls::OpenCalls;
use crate::snapshot::Snapshot;

/// What runs beside the proxy in the same process, and is spoken of where the proxy is asked.
pub trait Companion: Send + Sync {
    /// Its metrics, in OpenMetrics text without the end mark; [`crate::metrics::extra::written`] helps.
    fn metrics(&self) -> String;

    /// What it is in trouble with: a line for `/readyz`. The proxy serves all the same.
    fn trouble(&self) -> Option<String>;
}

/// Shared by all workers; everything in it may be used from any thread.
pub struct Shared {
    /// The configuration in force.
    pub snapshot: ArcSwap<Snapshot>,
    /// Where events go.
    pub journal: Journal,
    /// What is counted.
    pub metrics: Metrics,
    /// Values that models do not get to see, and the tokens that stand for them.
    pub vault: Vault,
    /// Which calls are open.
    pub open_calls: OpenCalls,
    companions: ArcSwap<Vec<Arc<dyn Companion>>>,
    draining: AtomicBool,
    cut: AtomicBool,
    cutting: Notify,
}

impl Shared {
    /// A sidecar's shared state.
    #[must_use]
    pub fn new(snapshot: Snapshot, journal: Journal) -> Arc<Shared> {
        Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            journal,
            metrics: Metrics::new(),
            vault: Vault::new(VaultLimits::default()),
            open_calls: OpenCalls::default(),
            companions: ArcSwap::default(),
            draining: AtomicBool::new(false),
            cut: AtomicBool::new(false),
            cutting: Notify::new(),
        })
    }

    /// From now on `/metrics` and `/readyz` speak of this one too.
    pub fn accompany(&self, companion: Arc<dyn Companion>) {
        self.companions.rcu(|known| {
            let mut all = Vec::clone(known);
            all.push(Arc::clone(&companion));
            all
        });
    }

    /// What runs beside the proxy.
    #[must_use]
    pub fn companions(&self) -> Arc<Vec<Arc<dyn Companion>>> {
        self.companions.load_full()
    }

    /// From now on `/readyz` says no.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the sidecar is on its way out.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// There is no more time: calls end now, as failed, and their apps are told.
    pub fn cut_off(&self) {
        self.cut.store(true, Ordering::Release);
        self.cutting.notify_waiters();
    }

    /// Whether calls are to end now.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// Resolves when calls are to end.
    pub(crate) async fn until_cut_off(&self) {
        // Made before the look: it hears of what comes after it.
        let told = self.cutting.notified();
        if !self.is_cut_off() {
            told.await;
        }
    }

    /// Records an event of the sidecar's own life.
    pub fn record(&self, body: &Body) -> Result<(), RecordError> {
        let draft = Draft::new(&Scope::default(), None, 0, clock::unix_nano(), body)?;
        self.journal.append(&[draft])?;
        Ok(())
    }
}

/// Why an event could not be recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It could not be written as JSON.
    #[error("an event cannot be encoded: {0}")]
    Encode(#[from] serde_json::Error),
    /// The journal refused it.
    #[error(transparent)]
    Append(#[from] AppendError),
}
