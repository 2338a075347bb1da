//! The open batch: what was read and has not landed.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use event::{CallId, JournalId};

use crate::LakeError;
use crate::arena::{Arena, Place};
use crate::encode::{Bodies, CallRows, CallsBuilder, EventsBuilder};
use crate::fold::Fold;
use crate::scan::Windows;
use crate::schema::{CALLS, EVENTS};
use crate::source::{Item, Positions};
use crate::spill::Spill;
use crate::store::Snapshot;

/// How far a journal has come: what must come next, and which of its calls are open.
#[derive(Debug)]
pub(crate) struct JournalState {
    /// The offset that must come next.
    pub(crate) next: i64,
    /// Its open calls at `next`.
    pub(crate) fold: Fold,
    /// Time of its last readable record.
    pub(crate) last_time: i64,
    /// The offset up to which every end had its row in `calls` when this was loaded.
    pub(crate) emitted: i64,
}

/// What a batch holds of one journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first offset in the batch.
    pub(crate) first: i64,
    /// The offset after the last.
    pub(crate) next: i64,
    /// Where a reader must begin to rebuild the open calls at `next`.
    pub(crate) low: i64,
}

/// Rows that were read and not landed, and where they came from.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Where its first records stood, for each partition.
    pub(crate) from: Positions,
    /// Where reading goes on after the last.
    pub(crate) next: Positions,
    /// The journals' parts.
    pub(crate) spans: BTreeMap<JournalId, Span>,
    /// Journals whose records begin here with that offset, and will never come from before.
    pub(crate) begins: BTreeMap<JournalId, i64>,
    /// Where strays of a partition are read on, if some are here: it may be beyond `next`.
    pub(crate) strays: Positions,
    /// `events` rows.
    pub(crate) events: Vec<RecordBatch>,
    /// `calls` rows.
    pub(crate) calls: Vec<RecordBatch>,
    /// Journals of which some of these rows catch up with landed events, and the offset from which on: if
    /// `calls` says another one by now, somebody else has brought them.
    pub(crate) emitted: BTreeMap<JournalId, i64>,
    /// Roughly the bytes of the records.
    pub(crate) bytes: usize,
    /// Roughly the memory that the rows take.
    pub(crate) held: usize,
    /// When the first record came.
    pub(crate) since: Option<Instant>,
}

impl Batch {
    /// An empty batch at the positions of a source.
    pub(crate) fn at(positions: Positions) -> Batch {
        Batch {
            from: positions.clone(),
            next: positions,
            ..Batch::default()
        }
    }

    /// Whether there is nothing to land: no rows, and no position that moved on without any, over duplicates.
    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty() && self.calls.is_empty() && self.from == self.next
    }

    /// Adds rows of records of about `bytes`.
    pub(crate) fn add(&mut self, rows: Rows, bytes: usize) {
        self.events.push(rows.events);
        self.calls.extend(rows.calls);
        self.bytes += bytes;
        self.held += rows.held;
        self.since.get_or_insert_with(Instant::now);
    }

    /// Adds a journal whose calls may have to catch up with its events.
    pub(crate) fn join(&mut self, journal: JournalId, state: &JournalState, calls: Option<RecordBatch>) {
        self.spans.entry(journal).or_insert(Span {
            first: state.next,
            next: state.next,
            low: state.fold.low(state.next),
        });
        if let Some(calls) = calls {
            self.held += calls.get_array_memory_size();
            self.calls.push(calls);
            self.emitted.insert(journal, state.emitted);
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// Takes over the marks of journals of another batch, which landed without them.
    pub(crate) fn keep_marks(&mut self, landed: &Batch) {
        for (journal, Span { next, low, .. }) in &landed.spans {
            let (first, next, low) = (*next, *next, *low);
            self.spans.entry(*journal).or_insert(Span { first, next, low });
        }
    }

    /// Refuses rows that catch up with what `calls` has by now.
    pub(crate) async fn still_lacks(&self, calls: &Snapshot) -> Result<(), LakeError> {
        for (journal, ours) in &self.emitted {
            let theirs = calls.txn(&txn::calls(*journal)).await?.unwrap_or(0);
            if theirs != *ours {
                return Err(LakeError::Overtaken {
                    partition: format!("of calls of journal {journal}"),
                    ours: *ours,
                    theirs,
                });
            }
        }
        Ok(())
    }
}

/// All positions in one number, which grows as they do: for people, and for comparing.
pub(crate) fn sum(positions: &Positions) -> i64 {
    positions.values().sum()
}

/// Names of the transactions that remember how far landing has come.
pub(crate) mod txn {
    use event::JournalId;

    /// In `events`: the next position of a source's partition. In `calls`: the same, once the rows of
    /// the calls that ended before it are there.
    pub(crate) fn source(name: &str, partition: &str) -> String {
        format!("weir:{name}:{partition}")
    }

    /// In `events`: the position up to which the strays of a source's partition are there.
    pub(crate) fn strays(name: &str, partition: &str) -> String {
        format!("weir:strays:{name}:{partition}")
    }

    /// In `events`: the next offset of a journal, whichever source brings it.
    pub(crate) fn offset(journal: JournalId) -> String {
        format!("{OFFSET}{journal}")
    }

    /// How those of all journals begin.
    pub(crate) const OFFSET: &str = "weir:offset:";

    /// In `events`: the first offset of a journal that began elsewhere; 0 without it.
    pub(crate) fn first(journal: JournalId) -> String {
        format!("weir:first:{journal}")
    }

    /// In `calls`: the offset up to which every end has its row.
    pub(crate) fn calls(journal: JournalId) -> String {
        format!("weir:calls:{journal}")
    }

    /// In `calls`: where a reader must begin to rebuild the open calls at that offset.
    pub(crate) fn low(journal: JournalId) -> String {
        format!("weir:low:{journal}")
    }
}

impl JournalState {
    /// Rebuilds the state from the tables. Rows of calls whose end is in `events` and whose row is not
    /// in `calls` come with it: a crash between the two commits left them out.
    pub(crate) async fn load(
        journal: JournalId,
        events: &Snapshot,
        calls: &Snapshot,
        room: &Spill,
    ) -> Result<(JournalState, Option<RecordBatch>), LakeError> {
        let next = events.txn(&txn::offset(journal)).await?.unwrap_or(0);
        let emitted = calls.txn(&txn::calls(journal)).await?.unwrap_or(0);
        let low = calls.txn(&txn::low(journal)).await?.unwrap_or(0);
        if emitted > next {
            return Err(LakeError::Assertion {
                what: "calls may not be ahead of events",
                expected: next,
                found: emitted,
            });
        }
        let mut state = JournalState {
            next,
            fold: Fold::within(room),
            last_time: journal::clock::unix_nano(),
            emitted,
        };
        let mut rows = CallRows::new();
        let mut windows = Windows::new(events, journal, low.min(emitted), next);
        while let Some(items) = windows.next().await? {
            for item in &items {
                if let Some(record) = item.record() {
                    state.last_time = record.envelope.time_unix_nano;
                }
            }
            state.fold.apply_all(&items, emitted, &mut rows)?;
        }
        // What was odd was counted when it landed; and reading began too late for some of the ends.
        state.fold.take_counts();
        let rows = if rows.len() == 0 { None } else { Some(rows.finish()?) };
        Ok((state, rows))
    }

    /// Drops what came before, refuses what comes too late: `true` for the record that is due.
    pub(crate) fn admit(&mut self, item: &Item) -> Result<bool, LakeError> {
        let found = item.offset();
        if found < self.next {
            return Ok(false);
        }
        if found > self.next {
            return Err(LakeError::Gap {
                journal: item.journal_id(),
                expected: self.next,
                found,
            });
        }
        self.next += 1;
        Ok(true)
    }
}

/// Rows of some records.
pub(crate) struct Rows {
    /// Their `events` rows.
    pub(crate) events: RecordBatch,
    /// `calls` rows of the calls that they ended.
    pub(crate) calls: Option<RecordBatch>,
    /// Roughly the memory that all these rows take together.
    pub(crate) held: usize,
}

/// Memory of a row beside its texts: a view each, numbers, and a share of what all rows have.
const EVENT_ROW_BYTES: usize = EVENTS.len() * size_of::<u128>();
const CALL_ROW_BYTES: usize = CALLS.len() * size_of::<u128>();

/// Turns admitted records into rows, folding calls on the way. CPU-bound.
///
/// Both tables' texts share one arena, and a call's bodies are not copied out of its events.
pub(crate) fn encode(items: &[Item], states: &mut BTreeMap<JournalId, JournalState>) -> Result<Rows, LakeError> {
    let last_time = (items.first())
        .and_then(|item| states.get(&item.journal_id()))
        .map_or(0, |state| state.last_time);
    let mut arena = Arena::new();
    let mut events = EventsBuilder::new(last_time);
    let mut calls = CallsBuilder::new();
    // Where the requests lie of calls that began here.
    let mut begun: HashMap<CallId, (&str, Place)> = HashMap::new();
    for item in items {
        let place = events.append(&mut arena, item);
        let Some(state) = states.get_mut(&item.journal_id()) else {
            continue;
        };
        state.last_time = events.last_time();
        let record = item.record().map(|record| (record, record.body.get()));
        if let Some((record, body)) = record
            && let (Some(call), Some(place), 0) = (record.envelope.call_id, place, record.envelope.seq)
        {
            begun.insert(call, (body, place));
        }
        state.fold.apply(item, &mut |call| {
            let request = call.started.request_body.as_ref();
            let response = call.ended.response_body.as_ref();
            let start = call.call_id.and_then(|id| begun.remove(&id));
            let bodies = Bodies {
                request: start.and_then(|(body, place)| Bodies::find(body, place, REQUEST_KEY, request)),
                response: (record.zip(place))
                    .and_then(|((_, body), place)| Bodies::find(body, place, RESPONSE_KEY, response)),
            };
            calls.append(&mut arena, call, bodies);
        })?;
    }
    states.values_mut().for_each(|state| state.fold.rest());
    let rows = items.len() * EVENT_ROW_BYTES + calls.len() * CALL_ROW_BYTES;
    let texts = arena.finish();
    let held = rows + texts.iter().map(Buffer::capacity).sum::<usize>();
    let calls = if calls.len() == 0 {
        None
    } else {
        Some(calls.finish(&texts)?)
    };
    Ok(Rows {
        events: events.finish(&texts)?,
        calls,
        held,
    })
}

const REQUEST_KEY: &str = r#""weir.request.body":"#;
const RESPONSE_KEY: &str = r#""weir.response.body":"#;
