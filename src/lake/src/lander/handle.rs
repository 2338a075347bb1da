//! How much lands at once, how the lander stands, and how it is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::LakeError;
use crate::tail::Tail;

/// How much lands at once, and how soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LandOptions {
    /// Land when about so many bytes of records wait. Rows of a batch that lands and of one that fills
    /// take [`LandOptions::max_held`] of memory at most.
    pub max_bytes: usize,
    /// Land when the oldest waiting record has waited so long.
    pub max_age: Duration,
    /// Bytes read from the source at once.
    pub fetch_bytes: usize,
    /// Pause after a read that has caught up with its source, so that the tail is not many tiny
    /// pieces. With it ends the time until a record is visible.
    pub pause: Duration,
    /// Look for other writers' commits (compaction, other landers) so often: with it, and with `max_age`,
    /// ends the time until a record that another process lands is visible here.
    pub refresh: Duration,
    /// Go on where records are missing, and where the source was cut before they landed: their loss is
    /// counted and logged, and `verify` shows it for ever. Otherwise that partition stops.
    pub accept_loss: bool,
}

impl LandOptions {
    /// Memory that rows may take which wait or are landing; one more read may come on top.
    #[must_use]
    pub fn max_held(&self) -> usize {
        self.max_bytes.saturating_mul(5) / 2
    }
}

impl Default for LandOptions {
    fn default() -> LandOptions {
        LandOptions {
            max_bytes: 24 << 20,
            max_age: Duration::from_secs(10),
            fetch_bytes: 1 << 20,
            pause: Duration::from_millis(100),
            refresh: Duration::from_secs(2),
            accept_loss: false,
        }
    }
}

/// How the lander stands. Positions are added up over the partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct LanderStatus {
    /// Partitions that are landed here.
    pub partitions: u64,
    /// Partitions that have stopped until somebody looks, and why.
    pub stopped: BTreeMap<String, String>,
    /// Source position up to which all has landed.
    pub landed: i64,
    /// Source position up to which SQL sees all.
    pub visible: i64,
    /// Records that wait.
    pub waiting: i64,
    /// Bytes of memory that the rows take which wait or are landing, roughly.
    pub held_bytes: u64,
    /// Calls that are open.
    pub open_calls: u64,
    /// Landings since the start.
    pub landings: u64,
    /// Redelivered records that were dropped since the start.
    pub duplicates: u64,
    /// Records kept as `unreadable` since the start.
    pub unreadable: u64,
    /// Records since the start that are missing for ever, which was accepted.
    pub lost: u64,
    /// Events since the start of calls that had ended, or whose beginning was never seen: in `events`
    /// alone. (Scores that come after the end are among them.)
    pub late: u64,
    /// Bodies since the start that do not fit their type.
    pub bad_bodies: u64,
    /// Failed landings since the last good one.
    pub failures: u64,
    /// The last failure, until a landing succeeds.
    pub error: Option<String>,
}

/// Flushes that wait for a lander in trouble; more than that are told at once that it has failed.
pub(super) const MAX_DEFERRED: usize = 64;
/// Failed landings after which a lander that shall end does so.
pub(super) const MAX_LAST_TRIES: u32 = 3;

pub(super) enum Command {
    Flush(oneshot::Sender<Result<i64, String>>),
    Stop,
}

/// Controls a [`Lander`]. When every handle is gone the lander lands what it has and ends.
#[derive(Clone, Debug)]
pub struct LanderHandle {
    pub(super) tail: Tail,
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) status: watch::Receiver<LanderStatus>,
}

impl LanderHandle {
    /// What SQL sees.
    #[must_use]
    pub fn tail(&self) -> Tail {
        self.tail.clone()
    }

    /// How the lander stands now.
    #[must_use]
    pub fn status(&self) -> LanderStatus {
        self.status.borrow().clone()
    }

    /// Whether it has ended: nothing lands any more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.commands.is_closed()
    }

    /// Lands all that the source has by now; returns the source position up to which all has landed.
    pub async fn flush(&self) -> Result<i64, LakeError> {
        let (tx, rx) = oneshot::channel();
        let gone = || LakeError::Stopped("it ended before it could land".to_owned());
        self.commands.send(Command::Flush(tx)).await.map_err(|_| gone())?;
        rx.await.map_err(|_| gone())?.map_err(LakeError::Stopped)
    }

    /// Asks the lander to land what was read, of a source that ends with it all there is, and to end.
    pub async fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.commands.send(Command::Stop).await;
    }
}
