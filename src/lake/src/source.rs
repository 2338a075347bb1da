//! Where events come from: a journal here, a Kafka partition elsewhere.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use event::{JournalId, Record};
use tokio::sync::watch;

/// One record as a source hands it over.
#[derive(Clone, Debug)]
pub enum Item {
    /// A sealed event.
    Record(Record),
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
    /// The journal that recorded it.
    #[must_use]
    pub fn journal_id(&self) -> JournalId {
        match self {
            Item::Record(record) => record.envelope.journal_id,
            Item::Unreadable { journal_id, .. } => *journal_id,
        }
    }

    /// Its place in that journal.
    #[must_use]
    pub fn offset(&self) -> i64 {
        match self {
            Item::Record(record) => record.envelope.offset,
            Item::Unreadable { offset, .. } => *offset,
        }
    }

    /// Roughly the bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Item::Record(record) => record.body.get().len() + 512,
            Item::Unreadable { raw, .. } => raw.len() + 512,
        }
    }
}

/// What a source had to give.
#[derive(Debug, Default)]
pub struct Fetched {
    /// Records in the source's order; empty if there are none yet.
    pub items: Vec<Item>,
    /// The position after the last of them.
    pub next: i64,
}

/// Why a source could not give records.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source no longer holds what must land next.
    #[error(
        "source {source_name}: position {wanted} is gone, the oldest is {oldest}: records were removed before they landed"
    )]
    Cut {
        /// The source.
        source_name: String,
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
        /// Where.
        at: i64,
        /// What was found.
        what: String,
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

/// One ordered stream of records with positions of its own, which can be read again from any
/// position that was not yet released.
pub trait Source: Send + 'static {
    /// The kind of source: `journal`, `kafka`. With [`Source::partition`] it names the transaction
    /// that remembers how far this source has landed.
    fn name(&self) -> &str;

    /// Which one of its kind: the journal's id, or topic and partition.
    fn partition(&self) -> &str;

    /// The journals that this source is known to carry, so that their open calls are taken up at once
    /// and not at their next record.
    fn journals(&self) -> Vec<JournalId> {
        Vec::new()
    }

    /// Records from position `from` on: at least one if there is one, and then up to about
    /// `max_bytes`.
    fn fetch(&mut self, from: i64, max_bytes: usize) -> impl Future<Output = Result<Fetched, SourceError>> + Send;

    /// Returns when there may be a record at `from`. May be cancelled at any time.
    fn wait(&mut self, from: i64) -> impl Future<Output = ()> + Send;

    /// All before `next` is durably in the lake: the source may forget it.
    fn landed(&mut self, next: i64) -> impl Future<Output = Result<(), SourceError>> + Send;
}

/// A source in memory, for tests and benchmarks.
#[derive(Clone, Debug)]
pub struct MemorySource {
    shared: Arc<Shared>,
    partition: String,
    end: watch::Receiver<i64>,
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
            partition: partition.to_owned(),
            end: rx,
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

    fn partition(&self) -> &str {
        &self.partition
    }

    fn journals(&self) -> Vec<JournalId> {
        let mut found: Vec<JournalId> = self.log().items.iter().map(Item::journal_id).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    async fn fetch(&mut self, from: i64, max_bytes: usize) -> Result<Fetched, SourceError> {
        let log = self.log();
        if from < log.first {
            return Err(SourceError::Cut {
                source_name: self.partition.clone(),
                wanted: from,
                oldest: log.first,
            });
        }
        let start = (from - log.repeat).max(log.first);
        let mut fetched = Fetched {
            items: Vec::new(),
            next: start,
        };
        let mut bytes = 0;
        let skip = usize::try_from(start - log.first).unwrap_or(usize::MAX);
        for item in log.items.iter().skip(skip) {
            if bytes >= max_bytes && fetched.next > from {
                break;
            }
            bytes += item.size();
            fetched.items.push(item.clone());
            fetched.next += 1;
        }
        fetched.next = fetched.next.max(from);
        Ok(fetched)
    }

    async fn wait(&mut self, from: i64) {
        // The sender lives in `self`: this cannot fail.
        let _ = self.end.wait_for(|end| *end > from).await;
    }

    async fn landed(&mut self, next: i64) -> Result<(), SourceError> {
        self.log().landed = next;
        Ok(())
    }
}
