//! What has to be done now and then: remembering where open calls begin, freeing journal segments.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sidecar::{OPEN_CALLS_POSITION, Shared};

/// How often.
const EVERY: Duration = Duration::from_secs(5);

/// The thread that does it.
pub struct Upkeep {
    stop: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

/// Starts it. `landing`: whether a lander reads the journal, so that read segments may go; without
/// one every segment stays for whoever lands later.
pub fn start(shared: Arc<Shared>, landing: bool) -> Upkeep {
    let (stop, stopped) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("weir-upkeep".to_owned())
        .spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                round(&shared, landing);
            }
            round(&shared, landing);
        });
    let thread = thread
        .inspect_err(|error| tracing::error!(%error, "no upkeep: journal segments will not be freed"))
        .ok();
    Upkeep { stop, thread }
}

impl Upkeep {
    /// Does it once more and ends.
    pub fn stop(mut self) {
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("upkeep panicked");
        }
    }
}

fn round(shared: &Shared, landing: bool) {
    // The end first: a call that begins after this line begins at or behind it.
    let end = shared.journal.end();
    let low_water = shared.open_calls.low_water(end);
    let positions = shared.journal.positions();
    if positions.get(OPEN_CALLS_POSITION) != Some(low_water)
        && let Err(error) = positions.set(OPEN_CALLS_POSITION, low_water)
    {
        tracing::warn!(%error, "cannot store the position of open calls");
    }
    if landing && let Err(error) = shared.journal.release() {
        tracing::warn!(%error, "cannot free journal segments");
    }
}
