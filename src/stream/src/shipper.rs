//! From the journal to the topic: idempotent, in order, never dropping, never in a call's way.

mod home;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use journal::{Journal, ReadError, Reader};
use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, PurgeConfig};

use crate::client::{ClockWatch, base, own, unusable};
use crate::inflight::{Inflight, ticket};
use crate::progress::Progress;
use crate::topic::{self, TopicFacts};
use crate::wire::{Label, pieces};
use crate::{Settings, StreamError};
use home::{Home, partition_of};

/// Name under which the journal keeps how far its records are in Kafka.
pub const POSITION: &str = "kafka";

/// Bytes read from the journal at once.
const READ_BYTES: usize = 1 << 20;
/// How long an idle shipper waits before it looks into the journal again.
const IDLE: Duration = Duration::from_millis(50);
/// The same while records are on their way and their reports are awaited.
const PAUSE: Duration = Duration::from_millis(5);
/// How long a full client is left alone: long enough to send a good part of what it holds, short enough
/// not to run dry.
const FULL: Duration = Duration::from_millis(2);
/// Storing a position costs an `fsync`; a crash sends again what arrived since the last one.
const STORE_EVERY: Duration = Duration::from_secs(1);
/// Without an arrival for so long, what is on its way counts as stuck.
const STUCK: Duration = Duration::from_secs(10);
/// How long a stop waits for what is on its way.
const FLUSH: Duration = Duration::from_secs(5);

/// Ships one journal until it is stopped. Drop stops it too, without waiting for arrivals.
#[derive(Debug)]
pub struct Shipper {
    progress: Progress,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Shipper {
    /// Starts to ship `journal`, on a thread of its own. `home` is the file that remembers which
    /// partition is this journal's. That no broker answers is no error: it is tried for ever.
    pub fn start(journal: Journal, settings: Settings, home: PathBuf) -> Result<Shipper, StreamError> {
        // What cannot work at all is said at once.
        settings.check()?;
        // From here on the journal keeps what has not been shipped.
        let begin = match journal.positions().get(POSITION) {
            Some(position) => position,
            None => {
                let first = first_of(&journal)?;
                journal.positions().set(POSITION, first)?;
                first
            }
        };
        let progress = Progress::at(begin);
        let stop = Arc::new(Stop::default());
        let work = Work {
            home: Home::load(&home, &settings.topic, begin)?,
            path: home,
            settings,
            journal,
            progress: progress.clone(),
            stop: Arc::clone(&stop),
            advised: Vec::new(),
        };
        let thread = std::thread::Builder::new()
            .name("weir-shipper".to_owned())
            .spawn(move || work.run())
            .map_err(|source| StreamError::Io {
                path: "the shipper's thread".to_owned(),
                source,
            })?;
        Ok(Shipper {
            progress,
            stop,
            thread: Some(thread),
        })
    }

    /// How it stands.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    /// Ships what the journal has, for a few seconds at most, stores the position and ends. What has
    /// not arrived by then is sent by the next run.
    pub fn stop(mut self) {
        self.end(true);
    }

    fn end(&mut self, flush: bool) {
        self.stop.set(if flush { Wish::Flush } else { Wish::Leave });
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the shipper panicked");
        }
    }
}

impl Drop for Shipper {
    fn drop(&mut self) {
        self.end(false);
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    Go,
    Flush,
    Leave,
}

#[derive(Debug, Default)]
struct Stop {
    wish: Mutex<Wish>,
    changed: Condvar,
}

impl Stop {
    fn set(&self, wish: Wish) {
        let mut held = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == Wish::Go {
            *held = wish;
        }
        self.changed.notify_all();
    }

    fn wish(&self) -> Wish {
        *self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, time: Duration) {
        let held = self.wish.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether time is up or the wish changed: the caller looks.
        let _ = (self.changed).wait_timeout_while(held, time, |wish| *wish == Wish::Go);
    }
}

/// The first offset that the journal still has.
fn first_of(journal: &Journal) -> Result<i64, StreamError> {
    match journal.reader(0) {
        Ok(_) => Ok(0),
        Err(ReadError::Released { first, .. }) => Ok(first),
        Err(other) => Err(other.into()),
    }
}

struct Work {
    settings: Settings,
    journal: Journal,
    home: Home,
    path: PathBuf,
    progress: Progress,
    stop: Arc<Stop>,
    /// What was said of the topic.
    advised: Vec<String>,
}

/// One producer's life, and what is on its way with it.
struct Session {
    producer: BaseProducer<Inflight>,
    inflight: Inflight,
    partition: i32,
    topic: Arc<str>,
    key: Arc<str>,
    room: usize,
    stored: i64,
    stored_at: Instant,
    /// When something arrived last, and up to where.
    moved: (Instant, i64),
    /// How long it goes on without an arrival.
    patience: Duration,
    sent: i64,
    clock: ClockWatch,
}

impl Session {
    /// Whatever has not left stays here, and nobody waits for the answers any more.
    fn give_up(&self) {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        self.producer.poll(Duration::ZERO);
    }

    /// Why a record was not delivered: the client's first fault says more than those that follow from it.
    fn undelivered(&self, offset: i64, why: String) -> StreamError {
        let mut why = self.producer.client().fatal_error().map_or(why, |(_, first)| first);
        if why.contains("Invalid timestamp") {
            why += ": this machine's clock is further ahead of the broker's than the topic allows: set it right, or give the topic message.timestamp.type=LogAppendTime";
        }
        StreamError::Delivery { offset, why }
    }
}

impl Work {
    fn run(mut self) {
        let mut failures = 0u32;
        loop {
            match self.session(&mut failures) {
                Ok(()) => return,
                Err(error) => {
                    let pause = Duration::from_millis(500 << failures.min(5)).min(Duration::from_secs(10));
                    failures += 1;
                    self.progress.restarted();
                    if self.progress.set_trouble(Some(error.to_string())) {
                        if error.needs_somebody() {
                            tracing::error!(%error, "events are not shipped; they wait in the journal");
                        } else {
                            tracing::warn!(%error, "events are not shipped for now; they wait in the journal");
                        }
                    }
                    self.stop.wait(pause);
                }
            }
            if self.stop.wish() != Wish::Go {
                return;
            }
        }
    }

    /// Ships with one producer, until it fails or is told to stop.
    fn session(&mut self, failures: &mut u32) -> Result<(), StreamError> {
        let facts = topic::ensure(&self.settings)?;
        facts.tell(&mut self.advised);
        let from = self.journal.positions().get(POSITION).unwrap_or(0);
        let mut session = self.open(&facts, from)?;
        if self.progress.set_trouble(None) {
            tracing::info!(topic = self.settings.topic, from, "events are shipped again");
        }
        let mut reader = self.journal.durable_reader(from)?;
        loop {
            let wish = self.stop.wish();
            if wish != Wish::Go {
                return self.close(session, &mut reader, wish);
            }
            let idle = !self.read(&mut session, &mut reader)?;
            session.producer.poll(Duration::ZERO);
            self.look(&mut session, failures)?;
            if idle {
                // Not in the client: see `ClockWatch`.
                let arrived = session.inflight.arrived() == session.sent;
                self.stop.wait(if arrived { IDLE } else { PAUSE });
            }
        }
    }

    fn open(&mut self, facts: &TopicFacts, from: i64) -> Result<Session, StreamError> {
        let partition = match self.home.partition {
            Some(partition) if partition < facts.partitions => partition,
            _ => {
                let partition = partition_of(&self.journal.id().to_string(), facts.partitions);
                self.home.partition = Some(partition);
                self.home.store(&self.path)?;
                partition
            }
        };
        let most = facts.max_message_bytes.clamp(1_000, 1_000_000_000);
        let mut config = base(&self.settings)?;
        config
            .set("enable.idempotence", "true")
            // A message that fails must take all that follow it with it: a gap would read as a loss.
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            .set("compression.type", self.settings.compression.librdkafka())
            .set("linger.ms", "20")
            .set("message.max.bytes", most.to_string())
            .set("batch.size", most.min(1_000_000).to_string())
            .set(
                "queue.buffering.max.kbytes",
                (u64::from(self.settings.buffer_mib.max(1)) << 10).to_string(),
            )
            .set("queue.buffering.max.messages", "1000000")
            // The client itself gives nothing up: of those that it gives up for their age it sends what is
            // younger all the same, as soon as it can, whatever is set above.
            .set("message.timeout.ms", "0");
        own(&mut config, &self.settings);
        let inflight = Inflight::at(from);
        let producer = BaseProducer::from_config_and_context(&config, inflight.clone()).map_err(unusable)?;
        self.progress.begins(from, partition);
        Ok(Session {
            producer,
            inflight,
            partition,
            topic: self.settings.topic.as_str().into(),
            key: self.journal.id().to_string().into(),
            room: facts.room(&self.settings),
            stored: from,
            stored_at: Instant::now(),
            moved: (Instant::now(), from),
            patience: self.settings.patience(),
            sent: from,
            clock: ClockWatch::default(),
        })
    }

    /// Sends the next records; `false` if there are none yet.
    fn read(&mut self, session: &mut Session, reader: &mut Reader) -> Result<bool, StreamError> {
        match reader.next_raw_batch(READ_BYTES) {
            Ok(records) => {
                for record in &records {
                    if !self.send(session, record.offset, &record.payload, None)? {
                        reader.seek(record.offset);
                        break;
                    }
                }
                Ok(!records.is_empty())
            }
            Err(ReadError::Corrupt(hole)) => {
                let why = hole.to_string();
                tracing::error!(%hole, "the journal is damaged: these offsets are shipped as unreadable");
                // The bytes go with the first offset: where the others begin is not known.
                let mut raw = hole.raw();
                for offset in hole.first..hole.next {
                    if !self.send(session, offset, &std::mem::take(&mut raw), Some(&why))? {
                        reader.seek(offset);
                        break;
                    }
                }
                Ok(true)
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Hands one record to the client, waiting for room; `false` if it is time to stop instead.
    fn send(
        &mut self,
        session: &mut Session,
        offset: i64,
        payload: &[u8],
        unreadable: Option<&str>,
    ) -> Result<bool, StreamError> {
        let mut count = 0;
        for (last, part, range) in pieces(payload.len(), session.room) {
            let payload = payload.get(range).unwrap_or_default();
            let label = Label {
                journal_id: self.journal.id(),
                offset,
                part,
                begins: offset == self.home.begins && offset > 0,
                unreadable: unreadable.map(str::to_owned),
            };
            let (topic, key) = (Arc::clone(&session.topic), Arc::clone(&session.key));
            let mut record = BaseRecord::with_opaque_to(&topic, ticket(offset, last))
                .partition(session.partition)
                .key(key.as_bytes())
                .payload(payload)
                .headers(label.headers(payload));
            loop {
                match session.producer.send(record) {
                    Ok(()) => break,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                        record = back;
                        session.producer.poll(Duration::ZERO);
                        self.look(session, &mut 0)?;
                        self.stop.wait(FULL);
                        if self.stop.wish() != Wish::Go {
                            return Ok(false);
                        }
                    }
                    Err((error, _)) => return Err(session.undelivered(offset, error.to_string())),
                }
            }
            count += 1;
        }
        session.sent = offset + 1;
        self.progress.sent(offset + 1, payload.len(), count > 1);
        Ok(true)
    }

    /// Takes in what has arrived, and stores the position now and then.
    fn look(&mut self, session: &mut Session, failures: &mut u32) -> Result<(), StreamError> {
        session.clock.check()?;
        if let Some(why) = session.inflight.failed() {
            // Nothing that follows what failed may still leave.
            session.give_up();
            let arrived = session.inflight.arrived();
            self.progress.arrived(arrived);
            self.store(session, arrived);
            return Err(session.undelivered(arrived, why));
        }
        let arrived = session.inflight.arrived();
        self.progress.arrived(arrived);
        if arrived > session.moved.1 {
            session.moved = (Instant::now(), arrived);
            *failures = 0;
            if self.progress.set_trouble(None) {
                tracing::info!(topic = self.settings.topic, "Kafka takes events again");
            }
        } else if arrived == session.sent {
            session.moved.0 = Instant::now();
        } else if session.moved.0.elapsed() >= STUCK.min(session.patience) {
            let why = session.inflight.complaints.last().unwrap_or("no answer".to_owned());
            let error = StreamError::Unreachable {
                brokers: self.settings.brokers.join(","),
                why,
            };
            if session.moved.0.elapsed() >= session.patience {
                session.give_up();
                return Err(error);
            }
            if self.progress.set_trouble(Some(error.to_string())) {
                tracing::warn!(%error, "events wait in the journal");
            }
        }
        let pause = if arrived == session.sent {
            STORE_EVERY / 5
        } else {
            STORE_EVERY
        };
        if arrived > session.stored && session.stored_at.elapsed() >= pause {
            self.store(session, arrived);
        }
        Ok(())
    }

    fn store(&self, session: &mut Session, arrived: i64) {
        session.stored_at = Instant::now();
        if arrived <= session.stored {
            return;
        }
        match self.journal.positions().set(POSITION, arrived) {
            Ok(()) => {
                session.stored = arrived;
                self.progress.stored(arrived);
            }
            // They have arrived all the same; a restart sends them again.
            Err(error) => tracing::warn!(%error, "the position of what was shipped is not stored"),
        }
    }

    fn close(&mut self, mut session: Session, reader: &mut Reader, wish: Wish) -> Result<(), StreamError> {
        let until = Instant::now() + FLUSH;
        if wish == Wish::Flush {
            // What the sidecar said last is in the journal by now.
            self.journal.flush().map_err(|error| StreamError::Io {
                path: "the journal".to_owned(),
                source: std::io::Error::other(error),
            })?;
            // What the client has no room for waits for the next run.
            self.read(&mut session, reader)?;
        }
        while wish == Wish::Flush && session.inflight.arrived() < session.sent && Instant::now() < until {
            session.producer.poll(Duration::ZERO);
            std::thread::sleep(PAUSE);
            if session.inflight.failed().is_some() {
                break;
            }
        }
        let arrived = session.inflight.arrived();
        self.progress.arrived(arrived);
        self.store(&mut session, arrived);
        Ok(())
    }
}
