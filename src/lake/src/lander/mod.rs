//! The lander: one task that brings a source's records into the lake, exactly once, and shows those
//! that have not landed yet.

mod handle;
mod reading;
mod recovery;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::JournalId;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};

use crate::batch::{Batch, JournalState, sum};
use crate::failpoint;
use crate::landing::{Landed, land};
use crate::source::{Positions, Source};
use crate::spill::Spill;
use crate::store::{Lake, Snapshot};
use crate::tail::{TableView, Tail, View};
use crate::{LakeError, TableKind};

use handle::{Command, MAX_DEFERRED, MAX_LAST_TRIES};
pub use handle::{LandOptions, LanderHandle, LanderStatus};

/// Brings one source into the lake. Run it once, on a task of its own.
pub struct Lander<S> {
    lake: Lake,
    source: S,
    options: LandOptions,
    /// The source's name, for transactions and messages.
    name: String,
    /// Partitions that stay away until somebody has looked.
    stopped: BTreeMap<Arc<str>, String>,
    at: Landed,
    /// Where requests of open calls are kept.
    room: Spill,
    states: BTreeMap<JournalId, JournalState>,
    /// Positions up to which the strays of a partition were read.
    strays: Positions,
    open: Batch,
    landing: Option<Landing>,
    /// Positions up to which readers have seen records: the view never goes back behind them.
    shown: Positions,
    tail: Tail,
    commands: mpsc::Receiver<Command>,
    /// When other writers' commits were last looked for.
    refreshed: Instant,
    /// When they were last loaded without knowing of any.
    loaded: Instant,
    /// Land what was read, or all there is ([`Source::ends_with_us`]), and end.
    stopping: bool,
    /// Flushes asked for while nothing worked.
    deferred: Vec<oneshot::Sender<Result<i64, String>>>,
    status: watch::Sender<LanderStatus>,
}

struct Landing {
    batch: Arc<Batch>,
    task: JoinHandle<Result<Landed, LakeError>>,
}

impl<S: Source> Lander<S> {
    /// Reads from the lake where this source stands. Nothing lands before [`Lander::run`].
    pub async fn open(lake: Lake, source: S, options: LandOptions) -> Result<(Lander<S>, LanderHandle), LakeError> {
        let name = source.name().to_owned();
        let at = load(&lake, None).await?;
        let room = lake.room();
        let tail = Tail::new(view(&at, None, &Batch::default()));
        let (commands_tx, commands) = mpsc::channel(16);
        let (status, status_rx) = watch::channel(LanderStatus::default());
        let mut lander = Lander {
            lake,
            source,
            options,
            name,
            stopped: BTreeMap::new(),
            at,
            room,
            states: BTreeMap::new(),
            strays: Positions::new(),
            open: Batch::default(),
            landing: None,
            shown: Positions::new(),
            tail: tail.clone(),
            commands,
            refreshed: Instant::now(),
            loaded: Instant::now(),
            stopping: false,
            deferred: Vec::new(),
            status,
        };
        lander.recover().await?;
        let handle = LanderHandle {
            tail,
            commands: commands_tx,
            status: status_rx,
        };
        Ok((lander, handle))
    }

    /// Lands until told to stop. Faults that may pass are retried from the table's own state, with
    /// growing pauses; an alarm ([`LakeError::is_alarm`]) ends it.
    pub async fn run(mut self) -> Result<(), LakeError> {
        let ended = self.work().await;
        if let Err(error) = &ended {
            self.status.send_modify(|status| status.error = Some(error.to_string()));
            // What must not be read here another one would read, who would get it from us.
            while error.is_alarm() && self.source.must_stay() {
                match self.commands.recv().await {
                    // Dropped, which is an answer.
                    Some(Command::Flush(_)) => {}
                    Some(Command::Stop) | None => break,
                }
            }
        }
        ended
    }

    async fn work(&mut self) -> Result<(), LakeError> {
        let mut failures = 0u32;
        loop {
            let error = match self.step().await {
                Ok(true) => {
                    if failures > 0 {
                        failures = 0;
                        self.status.send_modify(|status| {
                            status.failures = 0;
                            status.error = None;
                        });
                    }
                    continue;
                }
                Ok(false) => return Ok(()),
                Err(error) => error,
            };
            let Some(error) = self.give_way(error).await? else {
                continue;
            };
            failures += 1;
            self.status.send_modify(|status| {
                status.failures = u64::from(failures);
                status.error = Some(error.to_string());
            });
            if error.is_alarm() {
                tracing::error!(%error, source = self.name, "landing stopped: somebody must look");
                return Err(error);
            }
            if self.stopping && failures >= MAX_LAST_TRIES {
                // The source still has it.
                return Err(LakeError::Stopped(error.to_string()));
            }
            tracing::warn!(%error, source = self.name, failures, "landing failed, beginning again from what has landed");
            // Whatever was under way: what the tables say now decides what comes next.
            while let Err(error) = self.begin_again(failures).await? {
                failures += 1;
                tracing::warn!(%error, source = self.name, failures, "the lake cannot be read");
            }
        }
    }

    /// Waits a little, longer after each failure, and starts at (a). An outer error ends the lander: an
    /// alarm, or the wish to end it while nothing works.
    async fn begin_again(&mut self, failures: u32) -> Result<Result<(), LakeError>, LakeError> {
        let pause = sleep(Duration::from_millis(100 << failures.min(7)));
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                command = self.commands.recv() => match command {
                    // Answered once things work again, or dropped, which is an answer too.
                    Some(Command::Flush(reply)) if self.deferred.len() < MAX_DEFERRED => self.deferred.push(reply),
                    Some(Command::Flush(_)) => {}
                    Some(Command::Stop) | None => {
                        let last = self.status.borrow().error.clone().unwrap_or_default();
                        return Err(LakeError::Stopped(last));
                    }
                },
            }
        }
        match self.recover().await {
            Err(error) if error.is_alarm() => Err(error),
            result => Ok(result),
        }
    }

    /// One turn: whatever happens first. `false`: it is time to end.
    async fn step(&mut self) -> Result<bool, LakeError> {
        enum Event {
            Landed(Result<(Landed, Arc<Batch>), LakeError>),
            Command(Option<Command>),
            Readable,
            Due,
            Look,
        }
        if !self.deferred.is_empty() {
            let result = self.flush().await;
            for reply in self.deferred.drain(..) {
                // Nobody waits for the answer any more: nothing is lost.
                let _ = reply.send(result.as_ref().map_err(ToString::to_string).copied());
            }
            result?;
        }
        if self.stopping {
            match self.source.ends_with_us() {
                true => drop(self.flush().await?),
                false => self.land_read().await?,
            }
            return Ok(false);
        }
        if self.landing.is_none() && self.full() {
            self.begin_landing();
        }
        let full = self.full();
        let due = (self.open.since).map(|since| since + self.options.max_age);
        let can_land = self.landing.is_none() && !self.open.is_empty();
        let event = tokio::select! {
            landed = joined(&mut self.landing) => Event::Landed(landed),
            command = self.commands.recv() => Event::Command(command),
            () = self.source.wait(), if !full => Event::Readable,
            () = sleep_until(due.unwrap_or_else(Instant::now).into()), if can_land => Event::Due,
            () = sleep_until((self.refreshed + self.options.refresh).into()), if self.landing.is_none() => Event::Look,
        };
        match event {
            Event::Landed(landed) => self.landed(landed?).await?,
            Event::Command(Some(Command::Flush(reply))) => {
                let result = self.flush().await;
                let answer = result.as_ref().map_err(ToString::to_string).copied();
                // Nobody waits for the answer any more: nothing is lost.
                let _ = reply.send(answer);
                result?;
            }
            Event::Command(Some(Command::Stop) | None) => self.stopping = true,
            Event::Readable => {
                let more = self.read().await?;
                self.show();
                if !more {
                    self.pause().await?;
                }
            }
            Event::Due => self.begin_landing(),
            Event::Look => self.refresh().await?,
        }
        Ok(true)
    }

    /// Lets a slow source gather a little, unless something else wants doing.
    async fn pause(&mut self) -> Result<(), LakeError> {
        tokio::select! {
            landed = joined(&mut self.landing) => self.landed(landed?).await,
            () = sleep(self.options.pause) => Ok(()),
        }
    }

    /// Steps (c) to (f) begin, on a task of their own; reading goes on meanwhile.
    fn begin_landing(&mut self) {
        let next = Batch::at(self.open.next.clone());
        let batch = Arc::new(std::mem::replace(&mut self.open, next));
        let (lake, name, at, job) = (self.lake.clone(), self.name.clone(), self.at.clone(), batch.clone());
        let task = tokio::spawn(async move { land(&lake, &name, &at, &job).await });
        self.landing = Some(Landing { batch, task });
    }

    async fn landed(&mut self, (at, batch): (Landed, Arc<Batch>)) -> Result<(), LakeError> {
        if Arc::ptr_eq(&at.calls, &self.at.calls) {
            // It had no rows of calls, and its journals' marks stayed behind: they go with the next that has.
            self.open.keep_marks(&batch);
        }
        self.at = at;
        self.show();
        let landed = sum(&batch.next);
        let waiting = sum(&self.open.next) - landed;
        let held = self.held() as u64;
        self.status.send_modify(|status| {
            status.landed = landed;
            status.waiting = waiting;
            status.held_bytes = held;
            status.landings += 1;
            status.failures = 0;
            status.error = None;
        });
        // Step (g): only now may the source forget.
        self.source.landed(&batch.next).await?;
        failpoint::hit("g");
        Ok(())
    }

    async fn flush(&mut self) -> Result<i64, LakeError> {
        loop {
            let more = self.read().await?;
            self.show();
            if self.full() {
                self.finish_landing().await?;
                if !self.open.is_empty() {
                    self.begin_landing();
                }
            }
            if !more {
                break;
            }
        }
        self.land_read().await?;
        Ok(self.landed_position())
    }

    /// Lands what was read, and reads no more.
    async fn land_read(&mut self) -> Result<(), LakeError> {
        self.finish_landing().await?;
        if !self.open.is_empty() {
            self.begin_landing();
            self.finish_landing().await?;
        }
        Ok(())
    }

    async fn finish_landing(&mut self) -> Result<(), LakeError> {
        if self.landing.is_some() {
            let landed = joined(&mut self.landing).await?;
            self.landed(landed).await?;
        }
        Ok(())
    }

    fn show(&mut self) {
        // After a fault the same records are read again: until then the old view is the better one.
        // Partitions that are another's now do not count.
        let next = &self.open.next;
        if (self.shown.iter()).any(|(partition, shown)| next.get(partition).is_some_and(|next| next < shown)) {
            return;
        }
        self.shown.clone_from(next);
        let landing = self.landing.as_ref().map(|landing| landing.batch.as_ref());
        self.tail.set(view(&self.at, landing, &self.open));
        let visible = sum(&self.shown);
        self.status.send_modify(|status| status.visible = visible);
    }

    /// Memory that the rows take which wait or are landing.
    fn held(&self) -> usize {
        self.open.held + self.landing.as_ref().map_or(0, |landing| landing.batch.held)
    }

    /// Whether no more may be read before something has landed.
    fn full(&self) -> bool {
        self.open.bytes >= self.options.max_bytes || self.held() >= self.options.max_held()
    }

    fn landed_position(&self) -> i64 {
        sum(self
            .landing
            .as_ref()
            .map_or(&self.open.from, |landing| &landing.batch.from))
    }

    fn open_calls(&self) -> u64 {
        self.states.values().map(|state| state.fold.open() as u64).sum()
    }
}

/// Waits for the landing under way, and takes it out once it is done; without one, for ever.
async fn joined(landing: &mut Option<Landing>) -> Result<(Landed, Arc<Batch>), LakeError> {
    let Some(running) = landing else {
        return std::future::pending().await;
    };
    let result = (&mut running.task).await;
    let batch = running.batch.clone();
    *landing = None;
    Ok((result??, batch))
}

/// The newest versions; `before` is what was known until now.
async fn load(lake: &Lake, before: Option<&Landed>) -> Result<Landed, LakeError> {
    // Calls first: a landing in between then shows as calls behind events, which is allowed.
    let mut calls = lake.table(TableKind::Calls).load().await?;
    let mut events = lake.table(TableKind::Events).load().await?;
    if let Some(before) = before {
        calls = calls.following(&before.calls).await;
        events = events.following(&before.events).await;
    }
    Ok(Landed {
        events: Arc::new(events),
        calls: Arc::new(calls),
    })
}

fn view(at: &Landed, landing: Option<&Batch>, open: &Batch) -> View {
    let table = |snapshot: &Arc<Snapshot>, rows: fn(&Batch) -> &Vec<arrow::array::RecordBatch>| TableView {
        snapshot: snapshot.clone(),
        tail: landing.into_iter().chain([open]).flat_map(rows).cloned().collect(),
    };
    View {
        events: table(&at.events, |batch| &batch.events),
        calls: table(&at.calls, |batch| &batch.calls),
    }
}
