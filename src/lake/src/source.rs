//! Where events come from: a journal here, a Kafka partition elsewhere.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use event::{Chain, JournalId, Record};
use tokio::sync::watch;

/// One record as a source hands it over.
#[derive(Clone, Debug)]
pub enum Item {
    /// A sealed event.
    Record(Record),
    /// A sealed event with its bytes, which its fields do not rebuild: a newer version put more into the
    /// envelope. The hash chain is over the bytes.
    Verbatim {
        /// What this version reads of it.
        record: Record,
        /// All of it.
        raw: Vec<u8>,
    },
    /// Bytes that are not a sealed event. They are kept as they are, under their offset.
    Unreadable {
        /// The journal whose offset this is.
        journal_id: JournalId,
        /// Its offset there.
        offset: i64,
        /// The record's bytes.
        raw: Vec<u8>,
        /// Why they could not be read.
        why: String,
    },
}

impl Item {
    /// The record that these bytes are, or the bytes under their offset if they are none.
    #[must_use]
    pub fn read(journal_id: JournalId, offset: i64, payload: Vec<u8>) -> Item {
        let why = match Record::parse(&payload) {
            Ok(record) if record.envelope.journal_id == journal_id && record.envelope.offset == offset => {
                return match record.rebuilds(&payload) {
                    true => Item::Record(record),
                    false => Item::Verbatim { record, raw: payload },
                };
            }
            Ok(_) => "it names another journal or offset".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::error!(journal = %journal_id, offset, why, "a record is no event: it lands as unreadable");
        Item::Unreadable {
            journal_id,
            offset,
            raw: payload,
            why,
        }
    }

    /// The event, unless it could not be read.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        match self {
            Item::Record(record) | Item::Verbatim { record, .. } => Some(record),
            Item::Unreadable { .. } => None,
        }
    }

    /// The journal that recorded it.
    #[must_use]
    pub fn journal_id(&self) -> JournalId {
        match self {
            Item::Record(record) | Item::Verbatim { record, .. } => record.envelope.journal_id,
            Item::Unreadable { journal_id, .. } => *journal_id,
        }
    }

    /// Its place in that journal.
    #[must_use]
    pub fn offset(&self) -> i64 {
        match self {
            Item::Record(record) | Item::Verbatim { record, .. } => record.envelope.offset,
            Item::Unreadable { offset, .. } => *offset,
        }
    }

    /// Roughly the bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Item::Record(record) => record.body.get().len() + 512,
            Item::Verbatim { record, raw } => record.body.get().len() + raw.len() + 512,
            Item::Unreadable { raw, .. } => raw.len() + 512,
        }
    }
}

/// Where reading stands, for each partition of a source.
pub type Positions = BTreeMap<Arc<str>, i64>;

/// What a source had to give.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Parts of the partitions that had something; a partition is there once.
    pub parts: Vec<Part>,
    /// Whether more was there when this was read: it is read on at once. However few bytes these parts have,
    /// that does not tell: the next record may be a long one.
    pub more: bool,
}

/// What one partition had to give. A journal's records come from one partition only.
#[derive(Debug, Default)]
pub struct Part {
    /// Which partition.
    pub partition: Arc<str>,
    /// Records in the partition's order; empty if there are none yet.
    pub items: Vec<Item>,
    /// Journals of which nothing before these offsets will ever come: they began elsewhere.
    pub begins: Vec<(JournalId, i64)>,
    /// What is in the partition and comes from no journal.
    pub strays: Vec<Stray>,
    /// The position from which to read on once all this has landed.
    pub next: i64,
}

/// Bytes that no journal recorded. They are kept too, as records of a journal that stands for the
/// partition ([`Stray::journal`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Where it stands. The part's position may stay before it, and then it comes again.
    pub position: i64,
    /// The bytes.
    pub raw: Vec<u8>,
    /// Why they are no record.
    pub why: String,
}

impl Stray {
    /// The journal under which a partition's strays are kept: always the same for the same name.
    #[must_use]
    pub fn journal(app: &str) -> JournalId {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&blake3::hash(app.as_bytes()).as_bytes()[..16]);
        // Version 8: made by a rule of our own.
        JournalId(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// Why a source could not give records.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source no longer holds what must land next.
    #[error(
        "source {source_name}: position {wanted} is gone, the oldest is {oldest}: records were removed before they landed here. Where no backup of the lake or of the source has them, start with `--accept-loss`: landing goes on behind them, and `weir lake verify` shows them as missing for ever"
    )]
    Cut {
        /// The source.
        source_name: String,
        /// The partition.
        partition: Arc<str>,
        /// The position that must land next.
        wanted: i64,
        /// The oldest position still there.
        oldest: i64,
    },
    /// Records in the middle cannot be read at all, not even their offsets.
    #[error("source {source_name} is damaged at position {at}: {what}")]
    Damaged {
        /// The source.
        source_name: String,
        /// The partition.
        partition: Arc<str>,
        /// Where.
        at: i64,
        /// What was found.
        what: String,
    },
    /// The partitions are no longer the same: what was read should land, and reading begin anew.
    #[error("the partitions of source {source_name} have changed hands")]
    Moved {
        /// The source.
        source_name: String,
    },
    /// A fault that may pass.
    #[error("source {source_name}: {what}")]
    Unavailable {
        /// The source.
        source_name: String,
        /// What was found.
        what: String,
    },
}

/// Ordered streams of records, each with positions of its own, which can be read again from any
/// position that was not yet released.
pub trait Source: Send + Sync + 'static {
    /// The kind of source: `journal`, `kafka`. With a partition's name it names the transaction
    /// that remembers how far that partition has landed.
    fn name(&self) -> &str;

    /// The partitions that are ours now. Nothing of others is given until the next
    /// [`SourceError::Moved`].
    fn partitions(&mut self) -> Vec<Arc<str>>;

    /// The journals that this source is known to carry, so that their open calls are taken up at once
    /// and not at their next record; `None` if only the records tell.
    fn journals(&self) -> Option<Vec<JournalId>> {
        None
    }

    /// Whether nothing more comes when we end, so that all there is lands first. A topic goes on, and what
    /// waits there may be hours of work: of it only what was read lands.
    fn ends_with_us(&self) -> bool {
        true
    }

    /// Whether its partitions must not go to another one, who would read what must not be read.
    fn must_stay(&self) -> bool {
        false
    }

    /// Reads from here on: from where each partition has landed, or from its begin where nothing has.
    /// Gives the positions at which it begins.
    fn begin(
        &mut self,
        landed: BTreeMap<Arc<str>, Option<i64>>,
    ) -> impl Future<Output = Result<Positions, SourceError>> + Send;

    /// After [`Source::begin`]: the lake has this journal's records up to `next` (exclusive), and `chain` is the
    /// hash chain's value at the last of them, where that is known. A source that can tell MUST neither give
    /// nor let go of records that do not lead on from there.
    fn follows(&mut self, journal: JournalId, next: i64, chain: Option<Chain>) {
        let _ = (journal, next, chain);
    }

    /// The next records: at least one if there is one, and then up to about `max_bytes`.
    fn fetch(&mut self, max_bytes: usize) -> impl Future<Output = Result<Fetched, SourceError>> + Send;

    /// Returns when there may be another record, or something else to say. May be cancelled at any
    /// time.
    fn wait(&mut self) -> impl Future<Output = ()> + Send;

    /// All before these positions is durably in the lake: the source may forget it.
    fn landed(&mut self, next: &Positions) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// A source in memory with one partition, for tests and benchmarks.
#[derive(Clone, Debug)]
pub struct MemorySource {
    shared: Arc<Shared>,
    partition: Arc<str>,
    end: watch::Receiver<i64>,
    position: i64,
}

#[derive(Debug)]
struct Shared {
    log: Mutex<Log>,
    end: watch::Sender<i64>,
}

#[derive(Debug, Default)]
struct Log {
    first: i64,
    items: VecDeque<Item>,
    landed: i64,
    repeat: i64,
}

impl MemorySource {
    /// An empty source whose partition has this name.
    #[must_use]
    pub fn new(partition: &str) -> MemorySource {
        let (tx, rx) = watch::channel(0);
        MemorySource {
            shared: Arc::new(Shared {
                log: Mutex::default(),
                end: tx,
            }),
            partition: partition.into(),
            end: rx,
            position: 0,
        }
    }

    /// Appends records; their position is their place in this source.
    pub fn push(&self, items: impl IntoIterator<Item = Item>) {
        let end = {
            let mut log = self.log();
            log.items.extend(items);
            log.end()
        };
        self.shared.end.send_replace(end);
    }

    /// Forgets all before position `first`.
    pub fn cut(&self, first: i64) {
        let mut log = self.log();
        while log.first < first && log.items.pop_front().is_some() {
            log.first += 1;
        }
    }

    /// From now on each fetch begins up to `count` positions too early, as a broker's redelivery
    /// does.
    pub fn redeliver(&self, count: i64) {
        self.log().repeat = count;
    }

    /// What the lander said has landed.
    #[must_use]
    pub fn landed_position(&self) -> i64 {
        self.log().landed
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Log> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn end(&self) -> i64 {
        self.first + i64::try_from(self.items.len()).unwrap_or(i64::MAX)
    }
}

impl Source for MemorySource {
    fn name(&self) -> &str {
        "memory"
    }

    fn partitions(&mut self) -> Vec<Arc<str>> {
        vec![Arc::clone(&self.partition)]
    }

    fn journals(&self) -> Option<Vec<JournalId>> {
        let mut found: Vec<JournalId> = self.log().items.iter().map(Item::journal_id).collect();
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    async fn begin(&mut self, landed: BTreeMap<Arc<str>, Option<i64>>) -> Result<Positions, SourceError> {
        self.position = landed.get(&self.partition).copied().flatten().unwrap_or(0);
        Ok(Positions::from([(Arc::clone(&self.partition), self.position)]))
    }

    async fn fetch(&mut self, max_bytes: usize) -> Result<Fetched, SourceError> {
        let from = self.position;
        let (part, end) = {
            let log = self.log();
            if from < log.first {
                return Err(SourceError::Cut {
                    source_name: self.partition.to_string(),
                    partition: Arc::clone(&self.partition),
                    wanted: from,
                    oldest: log.first,
                });
            }
            let start = (from - log.repeat).max(log.first);
            let mut part = Part {
                partition: Arc::clone(&self.partition),
                next: start,
                ..Part::default()
            };
            let mut bytes = 0;
            let skip = usize::try_from(start - log.first).unwrap_or(usize::MAX);
            for item in log.items.iter().skip(skip) {
                if bytes >= max_bytes && part.next > from {
                    break;
                }
                bytes += item.size();
                part.items.push(item.clone());
                part.next += 1;
            }
            part.next = part.next.max(from);
            (part, log.end())
        };
        self.position = part.next;
        let more = part.next < end;
        let parts = vec![part];
        Ok(Fetched { parts, more })
    }

    async fn wait(&mut self) {
        let from = self.position;
        // The sender lives in `self`: this cannot fail.
        let _ = self.end.wait_for(|end| *end > from).await;
    }

    async fn landed(&mut self, next: &Positions) -> Result<(), SourceError> {
        if let Some(next) = next.get(&self.partition) {
            self.log().landed = *next;
        }
        Ok(())
    }
}
