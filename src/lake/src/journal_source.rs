//! The local journal as a source: the embedded mode, without Kafka.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use event::{Chain, JournalId, Record};
use journal::{Journal, ReadError, Reader};
use tokio::sync::watch;

use crate::source::{Fetched, Item, Part, Positions, Source, SourceError};

/// Name under which the journal keeps how far its records are in the lake.
pub const POSITION: &str = "lake";

/// Unreadable offsets that one read gives at most.
const MAX_HOLE: i64 = 4096;

/// Reads a journal that this process has open. Only what is on the device is given: a record that a
/// power cut could take back must not be in the lake, where its offset would be used again.
#[derive(Debug)]
pub struct JournalSource {
    journal: Journal,
    partition: Arc<str>,
    synced: watch::Receiver<i64>,
    position: i64,
    reading: Option<Reading>,
    /// What the lake has, until we know that the journal leads on from there.
    landed: Option<End>,
    accept_loss: bool,
}

/// Where the lake stands with a journal.
#[derive(Clone, Copy, Debug)]
struct End {
    next: i64,
    /// The hash chain's value at the record before.
    chain: Option<Chain>,
}

impl JournalSource {
    /// A source over `journal`.
    #[must_use]
    pub fn new(journal: Journal) -> JournalSource {
        JournalSource {
            partition: journal.id().to_string().into(),
            synced: journal.watch_synced(),
            journal,
            position: 0,
            reading: None,
            landed: None,
            accept_loss: false,
        }
    }

    /// Whether to go on with what the journal has where it no longer has what should land next.
    #[must_use]
    pub fn accepting_loss(mut self, accept_loss: bool) -> JournalSource {
        self.accept_loss = accept_loss;
        self
    }

    fn unavailable(&self, error: impl std::fmt::Display) -> SourceError {
        SourceError::Unavailable {
            source_name: self.partition.to_string(),
            what: error.to_string(),
        }
    }
}

impl Source for JournalSource {
    fn name(&self) -> &str {
        "journal"
    }

    fn partitions(&mut self) -> Vec<Arc<str>> {
        vec![Arc::clone(&self.partition)]
    }

    fn journals(&self) -> Option<Vec<JournalId>> {
        Some(vec![self.journal.id()])
    }

    async fn begin(&mut self, landed: BTreeMap<Arc<str>, Option<i64>>) -> Result<Positions, SourceError> {
        self.reading = None;
        let next = landed.get(&self.partition).copied().flatten().unwrap_or(0);
        self.landed = Some(End { next, chain: None });
        self.position = next;
        if self.accept_loss {
            let journal = self.journal.clone();
            let found = tokio::task::spawn_blocking(move || journal.durable_reader(next).err()).await;
            if let Some(ReadError::Released { first, .. }) = found.map_err(|e| self.unavailable(e))? {
                tracing::error!(journal = %self.partition, from = next, to = first - 1, "records are gone from the journal: their loss was accepted");
                self.position = first;
            }
        }
        Ok(Positions::from([(Arc::clone(&self.partition), self.position)]))
    }

    fn follows(&mut self, journal: JournalId, next: i64, chain: Option<Chain>) {
        if journal == self.journal.id() {
            self.landed = Some(End { next, chain });
        }
    }

    async fn fetch(&mut self, max_bytes: usize) -> Result<Fetched, SourceError> {
        let (journal, kept, from) = (self.journal.clone(), self.reading.take(), self.position);
        let (landed, end) = (self.landed, *self.synced.borrow());
        let task = tokio::task::spawn_blocking(move || {
            landed.map_or(Ok(()), |landed| leads_on(&journal, landed))?;
            let mut reading = match kept.filter(|reading| reading.position == from) {
                Some(reading) => reading,
                None => Reading::new(journal.id(), journal.durable_reader(from), from)?,
            };
            let items = reading.next(max_bytes)?;
            Ok((reading, items))
        });
        let (reading, items) = task.await.map_err(|e| self.unavailable(e))??;
        self.landed = None;
        self.position = reading.position;
        self.reading = Some(reading);
        let part = Part {
            partition: Arc::clone(&self.partition),
            items,
            next: self.position,
            ..Part::default()
        };
        Ok(Fetched {
            parts: vec![part],
            more: self.position < end,
        })
    }

    async fn wait(&mut self) {
        if self.landed.is_some() {
            // To be told of at once, not when there is something to read.
            return;
        }
        let from = self.position;
        if self.synced.wait_for(|end| *end > from).await.is_err() {
            // The journal was closed: nothing will come.
            std::future::pending::<()>().await;
        }
    }

    async fn landed(&mut self, next: &Positions) -> Result<(), SourceError> {
        let Some(&next) = next.get(&self.partition) else {
            return Ok(());
        };
        let (journal, landed) = (self.journal.clone(), self.landed);
        let task = tokio::task::spawn_blocking(move || {
            let positions = journal.positions();
            if let Some(Err(error)) = landed.map(|landed| leads_on(&journal, landed)) {
                // Nothing of it may go before somebody has looked.
                let held = match positions.get(POSITION) {
                    None => positions.set(POSITION, 0),
                    Some(_) => Ok(()),
                };
                return held.map(|()| Err(error));
            }
            positions.set(POSITION, next)?;
            journal.release().map(|_| Ok(()))
        });
        let stored = task.await.map_err(|e| self.unavailable(e))?;
        stored.map_err(|e| self.unavailable(e))??;
        self.landed = None;
        Ok(())
    }
}

/// Whether the journal has the records that have landed from it, and goes on behind them: an older copy of it
/// may have grown on, and has others under the same offsets. What it no longer has, or cannot read, it cannot
/// have grown anew. Blocking.
fn leads_on(journal: &Journal, landed: End) -> Result<(), SourceError> {
    let (id, end) = (journal.id(), journal.end());
    if landed.next > end {
        let (from, end) = (landed.next, end);
        return Err(source_error(id, from, ReadError::Beyond { from, end }));
    }
    let Some(chain) = landed.chain else { return Ok(()) };
    let last = landed.next - 1;
    let ours = match journal.reader(last).and_then(|mut reader| reader.next_raw_batch(1)) {
        Ok(raws) => raws.into_iter().find(|raw| raw.offset == last),
        Err(ReadError::Released { .. } | ReadError::Corrupt(_)) => None,
        Err(other) => return Err(source_error(id, last, other)),
    };
    match ours.and_then(|raw| Record::parse(&raw.payload).ok()) {
        Some(record) if record.envelope.chain != chain => Err(SourceError::Damaged {
            source_name: format!("journal {id}"),
            partition: id.to_string().into(),
            at: landed.next,
            what: format!("its record {last} is not the one that has landed. {REPLACED}"),
        }),
        _ => Ok(()),
    }
}

/// What happened where a journal does not lead on from what has landed, and what to do.
const REPLACED: &str = "The folder was replaced by an older copy, and what it has recorded since then would not follow on what has landed: nothing of it lands, and nothing of it is let go. Stop Weir, and put the newer folder back. Where that is lost, move this one away (and keep it: `weir journal export` reads what is in it alone); a new journal begins with the next start";

/// Reads a journal's records as items, damaged ones included.
#[derive(Debug)]
pub(crate) struct Reading {
    journal: JournalId,
    reader: Reader,
    position: i64,
    hole: Option<Unread>,
}

/// A stretch of offsets that cannot be read.
#[derive(Debug)]
struct Unread {
    next: i64,
    raw: Vec<u8>,
    why: String,
}

impl Reading {
    pub(crate) fn new(
        journal: JournalId,
        reader: Result<Reader, ReadError>,
        from: i64,
    ) -> Result<Reading, SourceError> {
        Ok(Reading {
            journal,
            reader: reader.map_err(|e| source_error(journal, from, e))?,
            position: from,
            hole: None,
        })
    }

    /// The records from the position on; empty if there are none yet.
    pub(crate) fn next(&mut self, max_bytes: usize) -> Result<Vec<Item>, SourceError> {
        let mut items = Vec::new();
        if self.hole.is_none() {
            match self.reader.next_raw_batch(max_bytes) {
                Ok(raws) => {
                    items.reserve(raws.len());
                    for raw in raws {
                        self.position = raw.offset + 1;
                        items.push(Item::read(self.journal, raw.offset, raw.payload));
                    }
                }
                Err(ReadError::Corrupt(hole)) => {
                    tracing::error!(journal = %self.journal, %hole, "the journal is damaged: these offsets land as unreadable");
                    self.hole = Some(Unread {
                        next: hole.next,
                        raw: hole.raw(),
                        why: hole.to_string(),
                    });
                }
                Err(other) => return Err(source_error(self.journal, self.position, other)),
            }
        }
        if let Some(hole) = &mut self.hole {
            let to = hole.next.min(self.position + MAX_HOLE);
            for offset in self.position..to {
                items.push(Item::Unreadable {
                    journal_id: self.journal,
                    offset,
                    // The bytes go with the first offset: where the others begin is not known.
                    raw: std::mem::take(&mut hole.raw),
                    why: hole.why.clone(),
                });
            }
            self.position = to;
            if to == hole.next {
                self.hole = None;
            }
        }
        Ok(items)
    }
}

fn source_error(journal: JournalId, at: i64, error: ReadError) -> SourceError {
    let source_name = format!("journal {journal}");
    match error {
        ReadError::Released { from, first } => SourceError::Cut {
            source_name,
            partition: journal.to_string().into(),
            wanted: from,
            oldest: first,
        },
        ReadError::Beyond { from, end } => SourceError::Damaged {
            source_name,
            partition: journal.to_string().into(),
            at: from,
            what: format!("it ends at {end}, before what has landed from it. {REPLACED}"),
        },
        other => SourceError::Unavailable {
            source_name,
            what: format!("at {at}: {other}"),
        },
    }
}

/// A journal folder seen from outside, whether or not its process runs.
#[derive(Clone, Debug)]
pub(crate) struct JournalDir {
    dir: PathBuf,
    pub(crate) id: JournalId,
}

impl JournalDir {
    /// Looks into a journal folder; `None` if there is no journal, or nothing in it. Blocking.
    pub(crate) fn open(dir: &Path) -> Result<Option<JournalDir>, SourceError> {
        let mut found = JournalDir::look(dir);
        // The first segment may be released between being listed and being read.
        for _ in 0..4 {
            if matches!(found, Ok(Some(_))) {
                break;
            }
            found = JournalDir::look(dir);
        }
        found
    }

    fn look(dir: &Path) -> Result<Option<JournalDir>, SourceError> {
        let failed = |error: ReadError| SourceError::Unavailable {
            source_name: dir.display().to_string(),
            what: error.to_string(),
        };
        let mut reader = match Reader::open(dir, 0) {
            Ok(reader) => reader,
            Err(ReadError::Released { first, .. }) => Reader::open(dir, first).map_err(failed)?,
            Err(ReadError::Missing { .. }) => return Ok(None),
            Err(ReadError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(other) => return Err(failed(other)),
        };
        loop {
            match reader.next_batch(1) {
                Ok(records) => {
                    return Ok(records.first().map(|record| JournalDir {
                        dir: dir.to_owned(),
                        id: record.envelope.journal_id,
                    }));
                }
                Err(ReadError::Record { .. } | ReadError::Corrupt(_)) => {}
                Err(other) => return Err(failed(other)),
            }
        }
    }

    /// Reads on from an offset. Blocking.
    pub(crate) fn read(&self, from: i64) -> Result<Reading, SourceError> {
        Reading::new(self.id, Reader::open(&self.dir, from), from)
    }
}
