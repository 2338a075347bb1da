//! Reading the lake while nobody lands: the tail is what the journal holds beyond it, in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::batch::{Batch, JournalState, encode, txn};
use crate::journal_source::JournalDir;
use crate::landing::Landed;
use crate::spill::Spill;
use crate::store::Lake;
use crate::tail::{TableView, Tail, View};
use crate::{LakeError, TableKind};

/// Bytes of unlanded records that are held in memory at most.
const MAX_TAIL_BYTES: usize = 1 << 30;
const READ_BYTES: usize = 4 << 20;

impl Tail {
    /// What SQL sees without a running lander: the lake, and the records that the journal in
    /// `journal` (if there is one) holds beyond it. Writes nothing.
    pub async fn offline(lake: &Lake, journal: Option<&Path>) -> Result<Tail, LakeError> {
        let calls = Arc::new(lake.table(TableKind::Calls).load().await?);
        let events = Arc::new(lake.table(TableKind::Events).load().await?);
        let at = Landed { events, calls };
        let mut batch = Batch::default();
        if let Some(dir) = journal {
            let dir = dir.to_owned();
            let found = tokio::task::spawn_blocking(move || JournalDir::open(&dir)).await??;
            if let Some(journal) = found {
                batch = unlanded(&at, journal).await?;
            }
        }
        Ok(Tail::new(View {
            events: TableView {
                snapshot: at.events,
                tail: batch.events,
            },
            calls: TableView {
                snapshot: at.calls,
                tail: batch.calls,
            },
        }))
    }
}

async fn unlanded(at: &Landed, journal: JournalDir) -> Result<Batch, LakeError> {
    let next = at.events.txn(&txn::source("journal", &journal.id.to_string())).await?;
    let from = next.unwrap_or(0);
    let mut batch = Batch::default();
    let (state, calls) = JournalState::load(journal.id, &at.events, &at.calls, &Spill::default()).await?;
    batch.join(journal.id, &state, calls);
    let mut states = BTreeMap::from([(journal.id, state)]);
    tokio::task::spawn_blocking(move || {
        let mut reading = journal.read(from)?;
        loop {
            let items = reading.next(READ_BYTES)?;
            if items.is_empty() {
                return Ok(batch);
            }
            let bytes = items.iter().map(crate::source::Item::size).sum::<usize>();
            if batch.bytes + bytes > MAX_TAIL_BYTES {
                return Err(LakeError::Internal(format!(
                    "more than {MAX_TAIL_BYTES} bytes of records have not landed: start `weir up`, which lands them, and ask again"
                )));
            }
            batch.add(encode(&items, &mut states)?, bytes);
        }
    })
    .await?
}
