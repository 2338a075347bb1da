//! Step (b): what the source gives becomes rows, without what came before or comes too early.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use event::JournalId;
use futures::future::try_join_all;

use super::Lander;
use crate::LakeError;
use crate::batch::{JournalState, Rows, Span, encode, sum, txn};
use crate::failpoint;
use crate::fold::FoldCounts;
use crate::source::{Item, Part, Positions, Source, Stray};

impl<S: Source> Lander<S> {
    /// Step (b): reads on, and turns what came into rows. Returns whether there was more to read.
    pub(super) async fn read(&mut self) -> Result<bool, LakeError> {
        let fetched = self.source.fetch(self.options.fetch_bytes).await?;
        let mut counts = Counts::default();
        let mut admitted = Vec::with_capacity(fetched.parts.len());
        let mut reached = Reached::default();
        for part in fetched.parts {
            reached.next.insert(Arc::clone(&part.partition), part.next);
            admitted.push(self.admit(part, &mut counts, &mut reached).await?);
        }
        self.encode(admitted).await?;
        // Only now: what lands may never say that it holds what it has not. (Where a gap comes up in this read,
        // what was read before lands, and this is read again.)
        for (partition, next) in reached.next {
            let held = self.open.next.entry(partition).or_insert(next);
            if next > *held {
                *held = next;
                self.open.since.get_or_insert_with(Instant::now);
            }
        }
        self.open.begins.extend(reached.begins);
        self.strays.extend(reached.strays.clone());
        self.open.strays.extend(reached.strays);
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
        Ok(fetched.more)
    }

    /// Keeps what is due of a part: no duplicates, and nothing that comes too early.
    async fn admit(&mut self, part: Part, counts: &mut Counts, reached: &mut Reached) -> Result<Vec<Item>, LakeError> {
        let mut items = Vec::with_capacity(part.items.len());
        for (journal, offset) in part.begins {
            self.meet(journal).await?;
            if let Some(state) = self.states.get_mut(&journal)
                && state.next == 0
            {
                state.next = offset;
                reached.begins.insert(journal, offset);
            }
        }
        let strays = self.named(&part.partition, part.strays, counts, reached).await?;
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
                    // Its part of the batch begins where it stood, or the commit would take it for another's.
                    let low = state.fold.low(expected);
                    let (first, next) = (expected, expected);
                    self.open.spans.entry(journal).or_insert(Span { first, next, low });
                    state.next = found + 1;
                }
                Err(error) => {
                    self.stopped.insert(part.partition, error.to_string());
                    return Err(error);
                }
            }
            counts.unreadable += u64::from(matches!(item, Item::Unreadable { .. }));
            items.push(item);
        }
        Ok(items)
    }

    /// Gives strays the next places in the journal that stands for their partition. They bring no offset of
    /// their own, and come again where a partition is read again from before them: their positions tell.
    async fn named(
        &mut self,
        partition: &Arc<str>,
        mut strays: Vec<Stray>,
        counts: &mut Counts,
        reached: &mut Reached,
    ) -> Result<Vec<Item>, LakeError> {
        let Some(last) = strays.last().map(|stray| stray.position) else {
            return Ok(Vec::new());
        };
        let known = match self.strays.get(partition) {
            Some(known) => Some(*known),
            None => self.at.events.txn(&txn::strays(&self.name, partition)).await?,
        };
        let came = strays.len();
        strays.retain(|stray| known.is_none_or(|known| stray.position >= known));
        counts.duplicates += (came - strays.len()) as u64;
        if strays.is_empty() {
            return Ok(Vec::new());
        }
        reached.strays.insert(Arc::clone(partition), last + 1);
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
    pub(super) async fn meet(&mut self, journal: JournalId) -> Result<(), LakeError> {
        if self.states.contains_key(&journal) {
            return Ok(());
        }
        let (state, calls) = JournalState::load(journal, &self.at.events, &self.at.calls, &self.room).await?;
        self.open.join(journal, &state, calls);
        self.states.insert(journal, state);
        Ok(())
    }
}

/// What a read came across.
#[derive(Debug, Default)]
struct Counts {
    duplicates: u64,
    unreadable: u64,
    lost: u64,
}

/// Where a read has come to, once its rows are there.
#[derive(Debug, Default)]
struct Reached {
    next: Positions,
    strays: Positions,
    begins: BTreeMap<JournalId, i64>,
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
