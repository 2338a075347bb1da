//! One landing: a batch becomes files, and the files become part of both tables.
//!
//! The steps carry the letters of `docs/specs/landing.md`; at each of them a test kills the process.

use std::sync::Arc;

use crate::LakeError;
use crate::batch::{Batch, txn};
use crate::commit::Commit;
use crate::failpoint;
use crate::files::{make_durable, write_days};
use crate::store::{Lake, Snapshot};

/// The versions after a landing.
#[derive(Clone, Debug)]
pub(crate) struct Landed {
    pub(crate) events: Arc<Snapshot>,
    pub(crate) calls: Arc<Snapshot>,
}

/// Lands a batch that was read from `app`'s source, against the snapshots that were current when its
/// reading began.
pub(crate) async fn land(lake: &Lake, app: &str, at: &Landed, batch: &Batch) -> Result<Landed, LakeError> {
    let events = land_events(lake, app, &at.events, batch).await?;
    failpoint::hit("e");
    let calls = land_calls(lake, &at.calls, batch).await?;
    failpoint::hit("f");
    Ok(Landed { events, calls })
}

async fn land_events(
    lake: &Lake,
    app: &str,
    snapshot: &Arc<Snapshot>,
    batch: &Batch,
) -> Result<Arc<Snapshot>, LakeError> {
    if batch.events.is_empty() {
        return Ok(snapshot.clone());
    }
    assert_order(app, snapshot, batch).await?;
    let table = lake.table(crate::TableKind::Events);
    let files = write_days(&table.place, batch.events.clone()).await?;
    failpoint::hit("c");
    make_durable(&table.place, &files).await?;
    failpoint::hit("d");
    let mut txns = vec![(app.to_owned(), batch.next)];
    txns.extend((batch.spans.iter()).map(|(journal, span)| (txn::offset(*journal), span.next)));
    let commit = Commit {
        adds: files.into_iter().map(|file| file.add).collect(),
        txns,
        ..Commit::default()
    };
    Ok(Arc::new(commit.run(table, snapshot).await?))
}

/// What must hold of the very snapshot that the commit is made against: the batch begins where the
/// table ends, and moves it on. A stale or foreign handle fails here or in the commit, never later.
async fn assert_order(app: &str, snapshot: &Snapshot, batch: &Batch) -> Result<(), LakeError> {
    let landed = snapshot.txn(app).await?.unwrap_or(0);
    if batch.from != landed {
        return Err(LakeError::Assertion {
            what: "a batch begins at the source position after the last landed one",
            expected: landed,
            found: batch.from,
        });
    }
    if batch.next <= landed {
        return Err(LakeError::Assertion {
            what: "a batch moves the source position on",
            expected: landed + 1,
            found: batch.next,
        });
    }
    for (journal, span) in &batch.spans {
        let landed = snapshot.txn(&txn::offset(*journal)).await?.unwrap_or(0);
        if span.first != landed {
            return Err(LakeError::Assertion {
                what: "a journal's part begins at the offset after the last landed one",
                expected: landed,
                found: span.first,
            });
        }
    }
    Ok(())
}

async fn land_calls(lake: &Lake, snapshot: &Arc<Snapshot>, batch: &Batch) -> Result<Arc<Snapshot>, LakeError> {
    // Without a row the marks may stay behind: a restart folds a little more. But not without bound.
    let behind = !batch.calls.is_empty() || moved_far(snapshot, batch).await?;
    if !behind {
        return Ok(snapshot.clone());
    }
    let table = lake.table(crate::TableKind::Calls);
    let files = write_days(&table.place, batch.calls.clone()).await?;
    failpoint::hit("f-written");
    make_durable(&table.place, &files).await?;
    let mut txns = Vec::with_capacity(batch.spans.len() * 2);
    for (journal, span) in &batch.spans {
        let emitted = snapshot.txn(&txn::calls(*journal)).await?.unwrap_or(0);
        if span.next < emitted {
            return Err(LakeError::Assertion {
                what: "calls move on with their journal",
                expected: emitted,
                found: span.next,
            });
        }
        txns.push((txn::calls(*journal), span.next));
        txns.push((txn::low(*journal), span.low));
    }
    let commit = Commit {
        adds: files.into_iter().map(|file| file.add).collect(),
        txns,
        ..Commit::default()
    };
    Ok(Arc::new(commit.run(table, snapshot).await?))
}

/// Offsets that `calls` may lag behind without a row to write.
const MAX_LAG: i64 = 100_000;

async fn moved_far(snapshot: &Snapshot, batch: &Batch) -> Result<bool, LakeError> {
    for (journal, span) in &batch.spans {
        let emitted = snapshot.txn(&txn::calls(*journal)).await?.unwrap_or(0);
        if span.next - emitted > MAX_LAG {
            return Ok(true);
        }
    }
    Ok(false)
}
