//! The lander: one task that brings a source's records into the lake, exactly once, and shows those
//! that have not landed yet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::JournalId;
use futures::future::try_join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{sleep, sleep_until};

use crate::batch::{Batch, JournalState, Rows, Span, encode, sum, txn};
use crate::failpoint;
use crate::fold::FoldCounts;
use crate::landing::{Landed, land};
use crate::scan::extents;
use crate::source::{Item, Part, Positions, Source, SourceError, Stray};
use crate::spill::Spill;
use crate::store::{Lake, Snapshot};
use crate::tail::{TableView, Tail, View};
use crate::{LakeError, TableKind};

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
    /// Pause between two reads of a source that has little to give, so that the tail is not many
    /// tiny pieces. With it ends the time until a record is visible.
    pub pause: Duration,
    /// Without anything to land, look for other writers' commits (compaction, other landers) so often.
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
            max_bytes: 32 << 20,
            max_age: Duration::from_secs(10),
            fetch_bytes: 1 << 20,
            pause: Duration::from_millis(100),
            refresh: Duration::from_secs(30),
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
const MAX_DEFERRED: usize = 64;

enum Command {
    Flush(oneshot::Sender<Result<i64, String>>),
    Stop,
}

/// Controls a [`Lander`]. When every handle is gone the lander lands what it has and ends.
#[derive(Clone, Debug)]
pub struct LanderHandle {
    tail: Tail,
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<LanderStatus>,
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

    /// Asks the lander to land what there is and to end.
    pub async fn stop(&self) {
        // An error means that it has ended already.
        let _ = self.commands.send(Command::Stop).await;
    }
}

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
    open: Batch,
    landing: Option<Landing>,
    /// Positions up to which readers have seen records: the view never goes back behind them.
    shown: Positions,
    tail: Tail,
    commands: mpsc::Receiver<Command>,
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
            open: Batch::default(),
            landing: None,
            shown: Positions::new(),
            tail: tail.clone(),
            commands,
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
            Idle,
        }
        if !self.deferred.is_empty() {
            let result = self.flush().await;
            for reply in self.deferred.drain(..) {
                // Nobody waits for the answer any more: nothing is lost.
                let _ = reply.send(result.as_ref().map_err(ToString::to_string).copied());
            }
            result?;
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
            () = sleep(self.options.refresh), if self.landing.is_none() => Event::Idle,
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
            Event::Command(Some(Command::Stop) | None) => {
                self.flush().await?;
                return Ok(false);
            }
            Event::Readable => {
                let bytes = self.read().await?;
                self.show();
                if bytes < self.options.fetch_bytes / 2 {
                    self.pause().await?;
                }
            }
            Event::Due => self.begin_landing(),
            Event::Idle => self.refresh().await?,
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

    /// Step (b): reads on, and turns what came into rows. Returns the bytes of new records.
    async fn read(&mut self) -> Result<usize, LakeError> {
        let fetched = self.source.fetch(self.options.fetch_bytes).await?;
        let mut counts = Counts::default();
        let mut admitted = Vec::with_capacity(fetched.parts.len());
        let mut reached = Positions::new();
        for part in fetched.parts {
            reached.insert(Arc::clone(&part.partition), part.next);
            admitted.push(self.admit(part, &mut counts).await?);
        }
        self.encode(admitted).await?;
        // Only now: what lands may never say that it holds what it has not.
        for (partition, next) in reached {
            let held = self.open.next.entry(partition).or_insert(next);
            *held = (*held).max(next);
        }
        failpoint::hit("b");
        let (landed, next, open) = (self.landed_position(), sum(&self.open.next), self.open_calls());
        let held = self.held() as u64;
        let odd =
            (self.states.values_mut()).fold(FoldCounts::default(), |sum, state| sum.plus(state.fold.take_counts()));
        self.status.send_modify(|status| {
            status.duplicates += counts.duplicates;
            status.unreadable += counts.unreadable;
            status.lost += counts.lost;
            status.late += odd.late;
            status.bad_bodies += odd.bad_bodies;
            status.waiting = next - landed;
            status.held_bytes = held;
            status.open_calls = open;
        });
        Ok(counts.bytes)
    }

    /// Keeps what is due of a part: no duplicates, and nothing that comes too early.
    async fn admit(&mut self, part: Part, counts: &mut Counts) -> Result<Vec<Item>, LakeError> {
        let mut items = Vec::with_capacity(part.items.len());
        for (journal, offset) in part.begins {
            self.meet(journal).await?;
            if let Some(state) = self.states.get_mut(&journal)
                && state.next == 0
            {
                state.next = offset;
                self.open.begins.insert(journal, offset);
            }
        }
        let strays = self.named(&part.partition, part.strays).await?;
        for item in part.items.into_iter().chain(strays) {
            let journal = item.journal_id();
            self.meet(journal).await?;
            let Some(state) = self.states.get_mut(&journal) else {
                continue;
            };
            match state.admit(&item) {
                Ok(true) => {}
                Ok(false) => {
                    counts.duplicates += 1;
                    continue;
                }
                Err(LakeError::Gap { expected, found, .. }) if self.options.accept_loss => {
                    tracing::error!(%journal, from = expected, to = found - 1, "records are missing: their loss was accepted");
                    counts.lost += u64::try_from(found - expected).unwrap_or_default();
                    state.next = found + 1;
                }
                Err(error) => {
                    self.stopped.insert(part.partition, error.to_string());
                    return Err(error);
                }
            }
            counts.unreadable += u64::from(matches!(item, Item::Unreadable { .. }));
            counts.bytes += item.size();
            items.push(item);
        }
        Ok(items)
    }

    /// Gives strays the next places in the journal that stands for their partition. A position is read
    /// once, so they never come twice.
    async fn named(&mut self, partition: &str, strays: Vec<Stray>) -> Result<Vec<Item>, LakeError> {
        if strays.is_empty() {
            return Ok(Vec::new());
        }
        let app = txn::source(&self.name, partition);
        let journal_id = Stray::journal(&app);
        self.meet(journal_id).await?;
        let first = self.states.get(&journal_id).map_or(0, |state| state.next);
        tracing::error!(
            source = app,
            count = strays.len(),
            why = strays[0].why,
            "messages that no journal sent land as unreadable"
        );
        let items = (first..).zip(strays).map(|(offset, stray)| Item::Unreadable {
            journal_id,
            offset,
            raw: stray.raw,
            why: stray.why,
        });
        Ok(items.collect())
    }

    /// Turns what was admitted into rows, the partitions side by side.
    async fn encode(&mut self, admitted: Vec<Vec<Item>>) -> Result<(), LakeError> {
        let jobs = admitted.into_iter().filter(|items| !items.is_empty()).map(|items| {
            let journals: BTreeSet<JournalId> = items.iter().map(Item::journal_id).collect();
            let mut states: BTreeMap<JournalId, JournalState> = (journals.iter())
                .filter_map(|journal| self.states.remove_entry(journal))
                .collect();
            let (spans, bytes) = (spans_of(&items), items.iter().map(Item::size).sum());
            let job = tokio::task::spawn_blocking(move || {
                let rows = encode(&items, &mut states);
                // Freed where they were made into rows, not while the next are read.
                drop(items);
                (states, rows)
            });
            async move {
                job.await.map(|(states, rows)| Encoded {
                    states,
                    rows,
                    spans,
                    bytes,
                })
            }
        });
        let jobs: Vec<_> = jobs.collect();
        for encoded in try_join_all(jobs).await? {
            self.states.extend(encoded.states);
            self.open.add(encoded.rows?, encoded.bytes);
            for (journal, (first, next)) in encoded.spans {
                let low = self.states.get(&journal).map_or(next, |state| state.fold.low(next));
                let span = self.open.spans.entry(journal).or_insert(Span { first, next, low });
                (span.next, span.low) = (next, low);
            }
        }
        Ok(())
    }

    /// A journal's first record in this run: what the tables know of it.
    async fn meet(&mut self, journal: JournalId) -> Result<(), LakeError> {
        if self.states.contains_key(&journal) {
            return Ok(());
        }
        let (state, calls) = JournalState::load(journal, &self.at.events, &self.at.calls, &self.room).await?;
        self.open.join(journal, &state, calls);
        self.states.insert(journal, state);
        Ok(())
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
            let bytes = self.read().await?;
            self.show();
            if self.full() {
                self.finish_landing().await?;
                if !self.open.is_empty() {
                    self.begin_landing();
                }
            }
            if bytes < self.options.fetch_bytes / 2 {
                break;
            }
        }
        self.finish_landing().await?;
        if !self.open.is_empty() {
            self.begin_landing();
            self.finish_landing().await?;
        }
        Ok(self.landed_position())
    }

    async fn finish_landing(&mut self) -> Result<(), LakeError> {
        if self.landing.is_some() {
            let landed = joined(&mut self.landing).await?;
            self.landed(landed).await?;
        }
        Ok(())
    }

    /// What is no fault of ours and has a way on. Partitions that changed hands: what was read lands as
    /// far as it can, and reading begins anew. One partition whose records are missing: it stops, and
    /// the others go on. Everything else is given back.
    async fn give_way(&mut self, error: LakeError) -> Result<Option<LakeError>, LakeError> {
        let partition = match &error {
            LakeError::Source(SourceError::Moved { .. }) => None,
            LakeError::Source(SourceError::Cut { partition, .. } | SourceError::Damaged { partition, .. }) => {
                self.stopped.insert(Arc::clone(partition), error.to_string());
                Some(Arc::clone(partition))
            }
            LakeError::Gap { .. } => (self.stopped.keys())
                .find(|partition| self.open.next.contains_key(*partition))
                .cloned(),
            _ => return Ok(Some(error)),
        };
        if let Some(partition) = &partition {
            // Without any other partition there is nothing to go on with.
            if self.open.next.keys().all(|ours| self.stopped.contains_key(ours)) {
                return Ok(Some(error));
            }
            tracing::error!(%error, source = self.name, partition = %partition, "a partition has stopped: somebody must look");
        }
        let landing = async {
            self.finish_landing().await?;
            if !self.open.is_empty() {
                self.begin_landing();
                self.finish_landing().await?;
            }
            Ok::<(), LakeError>(())
        };
        if let Err(error) = landing.await {
            tracing::debug!(%error, source = self.name, "what was read is read again by whoever lands it now");
        }
        match self.recover().await {
            Ok(()) => Ok(None),
            Err(error) => Ok(Some(error)),
        }
    }

    /// Step (a), at the start and after every fault: the tables alone say where things stand. A
    /// partition that cannot go on from there stops, and the others go on without it.
    async fn recover(&mut self) -> Result<(), LakeError> {
        loop {
            let error = match self.try_recover().await {
                Err(LakeError::Source(error)) => error,
                done => return done,
            };
            let (SourceError::Cut { partition, .. } | SourceError::Damaged { partition, .. }) = &error else {
                return Err(error.into());
            };
            self.stopped.insert(Arc::clone(partition), error.to_string());
            if self
                .source
                .partitions()
                .iter()
                .all(|ours| self.stopped.contains_key(ours))
            {
                return Err(error.into());
            }
            tracing::error!(%error, source = self.name, partition = %partition, "a partition has stopped: somebody must look");
        }
    }

    async fn try_recover(&mut self) -> Result<(), LakeError> {
        if let Some(landing) = self.landing.take() {
            // Its outcome is in the tables, or will be refused there; but let it not write beside us.
            let _ = landing.task.await;
        }
        let mut partitions = self.source.partitions();
        partitions.retain(|partition| !self.stopped.contains_key(partition));
        // After the partitions: what their last owner landed until now is seen.
        self.at = load(&self.lake, Some(&self.at)).await?;
        let mut landed = BTreeMap::new();
        let mut behind = false;
        for partition in partitions {
            let app = txn::source(&self.name, &partition);
            let next = self.at.events.txn(&app).await?;
            behind |= next.is_some() && self.at.calls.txn(&app).await? != next;
            landed.insert(partition, next);
        }
        failpoint::hit("a");
        // Step (g), if the last run did not come to it. The source also learns that it has a consumer,
        // before it forgets anything.
        let known = (landed.iter()).map(|(partition, next)| (Arc::clone(partition), next.unwrap_or(0)));
        let known: Positions = known.collect();
        if let Err(error) = self.source.landed(&known).await {
            tracing::warn!(%error, source = self.name, "the source did not take the landed positions");
        }
        let at = self.source.begin(landed).await?;
        self.states.clear();
        self.open = Batch::at(at);
        for journal in self.journals(behind).await? {
            self.meet(journal).await?;
        }
        let (open, held, next) = (self.open_calls(), self.held() as u64, sum(&self.open.next));
        let stopped = self.stopped.iter();
        let stopped: BTreeMap<String, String> = stopped.map(|(name, why)| (name.to_string(), why.clone())).collect();
        self.status.send_modify(|status| {
            status.partitions = self.open.next.len() as u64;
            status.stopped = stopped;
            status.landed = next;
            status.waiting = 0;
            status.held_bytes = held;
            status.open_calls = open;
        });
        self.show();
        Ok(())
    }

    /// The journals to take up at once. Where only the records tell, those whose calls lag behind their
    /// events: a crash between the two commits left them so, and they may never send again.
    async fn journals(&self, behind: bool) -> Result<Vec<JournalId>, LakeError> {
        if let Some(known) = self.source.journals() {
            return Ok(known);
        }
        let mut lagging = Vec::new();
        if behind {
            for extent in extents(&self.at.events).await? {
                let landed = self.at.events.txn(&txn::offset(extent.journal)).await?;
                if self.at.calls.txn(&txn::calls(extent.journal)).await? != landed {
                    lagging.push(extent.journal);
                }
            }
        }
        Ok(lagging)
    }

    /// Takes over other writers' versions (compaction, other landers) while nothing lands.
    async fn refresh(&mut self) -> Result<(), LakeError> {
        let at = load(&self.lake, Some(&self.at)).await?;
        for (partition, from) in &self.open.from {
            let landed = at
                .events
                .txn(&txn::source(&self.name, partition))
                .await?
                .unwrap_or(*from);
            if landed != *from {
                return Err(LakeError::Overtaken {
                    partition: partition.to_string(),
                    ours: *from,
                    theirs: landed,
                });
            }
        }
        self.at = at;
        self.show();
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

/// What a read came across.
#[derive(Debug, Default)]
struct Counts {
    bytes: usize,
    duplicates: u64,
    unreadable: u64,
    lost: u64,
}

/// One partition's part, as rows.
struct Encoded {
    states: BTreeMap<JournalId, JournalState>,
    rows: Result<Rows, LakeError>,
    spans: BTreeMap<JournalId, (i64, i64)>,
    bytes: usize,
}

fn spans_of(items: &[Item]) -> BTreeMap<JournalId, (i64, i64)> {
    let mut spans = BTreeMap::new();
    for item in items {
        let span = spans.entry(item.journal_id()).or_insert((item.offset(), item.offset()));
        span.1 = item.offset() + 1;
    }
    spans
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
