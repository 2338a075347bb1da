//! Step (a): the tables alone say where things stand. And what leads there: partitions that change
//! hands, faults, and partitions that stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use event::JournalId;

use super::{Lander, load};
use crate::LakeError;
use crate::TableKind;
use crate::batch::{Batch, sum, txn};
use crate::commit::make_loaded_durable;
use crate::failpoint;
use crate::scan::{chain_at, extents};
use crate::source::{Positions, Source, SourceError};

/// A next version that is not there may have been cleared away already: so often all is looked at.
const LOAD_EVERY: Duration = Duration::from_secs(60);

impl<S: Source> Lander<S> {
    /// What is no fault of ours and has a way on. Partitions that changed hands: what was read lands as
    /// far as it can, and reading begins anew. One partition whose records are missing: it stops, and
    /// the others go on. Everything else is given back.
    pub(super) async fn give_way(&mut self, error: LakeError) -> Result<Option<LakeError>, LakeError> {
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
        // Without any other partition there is nothing to go on with.
        let alone = partition.is_some() && self.all_stopped(self.open.next.keys());
        if let Some(partition) = partition.filter(|_| !alone) {
            tracing::error!(%error, source = self.name, partition = %partition, "a partition has stopped: somebody must look");
        }
        if let Err(error) = self.land_read().await {
            tracing::debug!(%error, source = self.name, "what was read is read again by whoever lands it now");
        }
        if alone {
            return Ok(Some(error));
        }
        match self.recover().await {
            Ok(()) => Ok(None),
            Err(error) => Ok(Some(error)),
        }
    }

    /// Step (a), at the start and after every fault: the tables alone say where things stand. A
    /// partition that cannot go on from there stops, and the others go on without it.
    pub(super) async fn recover(&mut self) -> Result<(), LakeError> {
        loop {
            let error = match self.try_recover().await {
                Err(LakeError::Source(error)) => error,
                done => return done,
            };
            let (SourceError::Cut { partition, .. } | SourceError::Damaged { partition, .. }) = &error else {
                return Err(error.into());
            };
            self.stopped.insert(Arc::clone(partition), error.to_string());
            let ours = self.source.partitions();
            if self.all_stopped(ours.iter()) {
                return Err(error.into());
            }
            tracing::error!(%error, source = self.name, partition = %partition, "a partition has stopped: somebody must look");
        }
    }

    /// Whether there are partitions, and none that goes on.
    fn all_stopped<'p>(&self, mut ours: impl Iterator<Item = &'p Arc<str>>) -> bool {
        match ours.next() {
            Some(first) => self.stopped.contains_key(first) && ours.all(|ours| self.stopped.contains_key(ours)),
            None => false,
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
        make_loaded_durable(self.lake.table(TableKind::Events), &self.at.events).await?;
        let mut landed = BTreeMap::new();
        let mut behind = false;
        for partition in partitions {
            let app = txn::source(&self.name, &partition);
            let next = self.at.events.txn(&app).await?;
            behind |= next.is_some() && self.at.calls.txn(&app).await? != next;
            landed.insert(partition, next);
        }
        failpoint::hit("a");
        let begin = self.source.begin(landed.clone()).await?;
        self.states.clear();
        self.strays.clear();
        self.open = Batch::at(begin);
        // Where a loss was accepted reading begins later: the batch still follows on what has landed.
        for (partition, from) in &mut self.open.from {
            if let Some(position) = landed.get(partition).copied().flatten() {
                *from = position;
            }
        }
        for journal in self.journals(behind).await? {
            self.meet(journal).await?;
        }
        self.say_what_leads_on().await?;
        // Step (g), if the last run did not come to it. The source also learns that it has a consumer,
        // before it forgets anything.
        let known = (landed.iter()).map(|(partition, next)| (Arc::clone(partition), next.unwrap_or(0)));
        let known: Positions = known.collect();
        if let Err(error) = self.source.landed(&known).await {
            tracing::warn!(%error, source = self.name, "the source did not take the landed positions");
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
            for (journal, landed) in self.landed_journals().await? {
                if self.at.calls.txn(&txn::calls(journal)).await? != landed {
                    lagging.push(journal);
                }
            }
        }
        Ok(lagging)
    }

    /// All journals in `events`, and how far each has landed: as the transactions say, and only where we could
    /// not read them, as the rows do.
    async fn landed_journals(&self) -> Result<Vec<(JournalId, Option<i64>)>, LakeError> {
        let events = &self.at.events;
        let txns = events.txns().await;
        // A name that nobody has: it is known to be missing where all are known.
        if txns.get(txn::OFFSET).is_ok() {
            let named = txns.named(txn::OFFSET);
            let landed = named.filter_map(|(id, next)| Some((id.parse().ok()?, Some(next))));
            return Ok(landed.collect());
        }
        let mut landed = Vec::new();
        for extent in extents(events).await? {
            let next = events.txn(&txn::offset(extent.journal)).await?;
            landed.push((extent.journal, next));
        }
        Ok(landed)
    }

    /// Tells the source what its records must lead on from.
    async fn say_what_leads_on(&mut self) -> Result<(), LakeError> {
        for journal in self.source.journals().unwrap_or_default() {
            let Some(next) = self.states.get(&journal).map(|state| state.next) else {
                continue;
            };
            let chain = match next {
                0 => None,
                next => chain_at(&self.at.events, journal, next - 1).await?,
            };
            self.source.follows(journal, next, chain);
        }
        Ok(())
    }

    /// Takes over other writers' versions (compaction, other landers) while nothing lands.
    pub(super) async fn refresh(&mut self) -> Result<(), LakeError> {
        self.refreshed = Instant::now();
        let anew = self.loaded.elapsed() >= LOAD_EVERY;
        if !anew && !self.at.events.has_successor().await? && !self.at.calls.has_successor().await? {
            return Ok(());
        }
        self.loaded = Instant::now();
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
        // Rows that a crash had left out of `calls` may have come meanwhile, from a lander that stood still
        // between its two commits or from a rebuild, while no position moved.
        self.open.still_lacks(&at.calls).await?;
        self.at = at;
        self.show();
        Ok(())
    }
}
