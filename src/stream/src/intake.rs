//! From the topic to the lander: the messages of some partitions, from positions that the table knows.

mod ask;
mod damage;
mod pump;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use event::JournalId;
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use tokio::sync::Notify;

use crate::client::{ClockWatch, Complaints, base, own, unusable};
use crate::parts::Room;
use crate::topic::{self, ASK};
use crate::{Settings, StreamError};
use pump::Pump;

/// One record that came whole, or something that is none.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The partition.
    pub partition: i32,
    /// Where reading must begin again once this has landed. It may stay behind this message, where
    /// parts of a long record wait for the rest.
    pub next: i64,
    /// What came.
    pub what: What,
}

/// What came.
#[derive(Clone, Debug)]
pub enum What {
    /// A journal's record.
    Record {
        /// The journal.
        journal_id: JournalId,
        /// The record's offset there.
        offset: i64,
        /// Its bytes.
        payload: Vec<u8>,
        /// It is the first of its journal that was ever shipped.
        begins: bool,
    },
    /// A record that its journal could not read any more.
    Unreadable {
        /// The journal.
        journal_id: JournalId,
        /// Its offset there.
        offset: i64,
        /// What is left of it.
        raw: Vec<u8>,
        /// Why.
        why: String,
        /// It is the first of its journal that was ever shipped.
        begins: bool,
    },
    /// A message that no journal sent.
    Stray {
        /// Where it stands.
        position: i64,
        /// Its bytes.
        raw: Vec<u8>,
        /// What is wrong with it.
        why: String,
    },
    /// Only the position moved on: duplicates of parts.
    Nothing,
}

impl Arrival {
    fn size(&self) -> usize {
        let bytes = match &self.what {
            What::Record { payload, .. } => payload.len(),
            What::Unreadable { raw, .. } | What::Stray { raw, .. } => raw.len(),
            What::Nothing => 0,
        };
        bytes + 256
    }
}

/// Reads partitions of the topic from given positions, on a thread of its own.
#[derive(Debug)]
pub struct Intake {
    shared: Arc<Shared>,
    settings: Settings,
    complaints: Complaints,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// For the thread: there is room, or an order.
    room: Condvar,
    /// For the lander: there is something.
    ready: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Arrival>,
    bytes: usize,
    order: Option<BTreeMap<i32, i64>>,
    failed: Option<Broken>,
    stop: bool,
}

/// Why reading cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The log no longer has what must come next.
    Cut {
        /// The partition.
        partition: i32,
        /// The position that must come next.
        wanted: i64,
        /// The oldest there is.
        oldest: i64,
    },
    /// The log ends before what has landed from it.
    Short {
        /// The partition.
        partition: i32,
        /// The position that must come next.
        wanted: i64,
        /// Where the log ends.
        end: i64,
    },
    /// A batch does not match its checksum: its broker's disk has damaged it.
    Damaged {
        /// The partition.
        partition: i32,
        /// The position that must come next.
        position: i64,
        /// What Kafka's client says of it.
        why: String,
    },
    /// A position of one of these partitions was refused, and is there now: what stands there is not what
    /// followed on what has landed.
    Doubtful(BTreeMap<i32, i64>),
    /// The client must be made anew: the wall clock went back.
    Stale(String),
    /// Something else.
    Other(String),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Intake {
    /// Looks at the topic, making it if need be. Nothing is read before [`Intake::begin`]. In the folder
    /// `room` the parts of long records wait for the rest, where they are too many for memory. `accept_loss`:
    /// go on behind a batch that is damaged.
    pub async fn open(settings: &Settings, room: &Path, accept_loss: bool) -> Result<Intake, StreamError> {
        let asked = settings.clone();
        let facts = tokio::task::spawn_blocking(move || topic::ensure(&asked)).await;
        facts
            .map_err(|error| asking_failed(std::io::Error::other(error)))??
            .tell(&mut Vec::new());
        let mut config = base(settings)?;
        config
            // Never joined: positions are the table's, partitions the other consumer's affair.
            .set("group.id", &settings.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A position that is not there is an alarm, never a reason to begin elsewhere.
            .set("auto.offset.reset", "error")
            .set("enable.partition.eof", "false")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.message.max.bytes", "1048576")
            .set("fetch.max.bytes", "4194304")
            .set("queued.max.messages.kbytes", "4096")
            .set("queued.min.messages", "20000")
            // A full queue is soon empty: its second of rest would be most of the time.
            .set("fetch.queue.backoff.ms", "5");
        own(&mut config, settings);
        let complaints = Complaints::default();
        let consumer = BaseConsumer::from_config_and_context(&config, complaints.clone()).map_err(unusable)?;
        let shared = Arc::new(Shared::default());
        let pump = Pump {
            consumer,
            config,
            accept_loss,
            shared: Arc::clone(&shared),
            topic: settings.topic.clone(),
            room: Room::within(room),
            assemblers: BTreeMap::new(),
            positions: BTreeMap::new(),
            expired: Instant::now(),
            clock: ClockWatch::default(),
        };
        let thread = std::thread::Builder::new()
            .name("weir-intake".to_owned())
            .spawn(move || pump.run())
            .map_err(|source| StreamError::Io {
                path: "the intake's thread".to_owned(),
                source,
            })?;
        Ok(Intake {
            shared,
            settings: settings.clone(),
            complaints,
            thread: Some(thread),
        })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.settings.topic
    }

    /// Reads from these positions on, and forgets what was read before.
    pub fn begin(&self, positions: BTreeMap<i32, i64>) {
        let mut state = self.shared.lock();
        state.queue.clear();
        state.bytes = 0;
        // A client that must be made anew gets no better by another order.
        if !matches!(state.failed, Some(Broken::Stale(_))) {
            state.failed = None;
        }
        state.order = Some(positions);
        drop(state);
        self.shared.room.notify_all();
    }

    /// What has come, up to about `max_bytes`; empty if there is nothing yet.
    pub fn take(&self, max_bytes: usize) -> Result<Vec<Arrival>, Broken> {
        let mut state = self.shared.lock();
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes
            && let Some(arrival) = state.queue.pop_front()
        {
            bytes += arrival.size();
            taken.push(arrival);
        }
        state.bytes = state.bytes.saturating_sub(bytes);
        if taken.is_empty()
            && let Some(broken) = &state.failed
        {
            return Err(broken.clone());
        }
        drop(state);
        self.shared.room.notify_all();
        Ok(taken)
    }

    /// Returns when there is something to take.
    pub async fn wait(&self) {
        loop {
            let ready = self.shared.ready.notified();
            tokio::pin!(ready);
            ready.as_mut().enable();
            {
                let state = self.shared.lock();
                if !state.queue.is_empty() || state.failed.is_some() {
                    return;
                }
            }
            ready.await;
        }
    }

    /// What the client complained of last.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.complaints.last()
    }

    /// The oldest position of a partition. Blocking, for seconds if no broker answers.
    pub async fn oldest(&self, partition: i32) -> Result<i64, StreamError> {
        let (settings, complaints) = (self.settings.clone(), self.complaints.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let mut config = base(&settings)?;
            own(&mut config, &settings);
            let consumer: BaseConsumer<Complaints> =
                BaseConsumer::from_config_and_context(&config, complaints.clone()).map_err(unusable)?;
            consumer
                .fetch_watermarks(&settings.topic, partition, ASK)
                .map(|(oldest, _)| oldest)
                .map_err(|error| StreamError::of(&settings.brokers.join(","), error, complaints.last()))
        });
        // By a clock that nobody sets, as the client's own limit is not.
        match tokio::time::timeout(2 * ASK, asked).await {
            Ok(answer) => answer.map_err(|error| asking_failed(std::io::Error::other(error)))?,
            Err(late) => Err(asking_failed(late.into())),
        }
    }
}

fn asking_failed(source: std::io::Error) -> StreamError {
    StreamError::Io {
        path: "asking Kafka".to_owned(),
        source,
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.room.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the intake's thread panicked");
        }
    }
}

impl ConsumerContext for Complaints {}
