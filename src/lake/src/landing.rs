//! One landing: a batch becomes files, and the files become part of both tables.
//!
//! The steps carry the letters of `docs/specs/landing.md`; at each of them a test kills the process.

use std::sync::Arc;

use crate::LakeError;
use crate::batch::{Batch, sum, txn};
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

/// Lands a batch that was read from the source named `source`, against the snapshots that were current
/// when its reading began.
pub(crate) async fn land(lake: &Lake, source: &str, at: &Landed, batch: &Batch) -> Result<Landed, LakeError> {
    let events = land_events(lake, source, &at.events, batch).await?;
    failpoint::hit("e");
    let calls = land_calls(lake, source, &at.calls, batch).await?;
    failpoint::hit("f");
    Ok(Landed { events, calls })
}

async fn land_events(
    lake: &Lake,
    source: &str,
    snapshot: &Arc<Snapshot>,
    batch: &Batch,
) -> Result<Arc<Snapshot>, LakeError> {
    if batch.events.is_empty() && batch.from == batch.next {
        return Ok(snapshot.clone());
    }
    assert_order(source, snapshot, batch).await?;
    let table = lake.table(crate::TableKind::Events);
    let files = write_days(&table.place, batch.events.clone()).await?;
    failpoint::hit("c");
    make_durable(&table.place, &files).await?;
    failpoint::hit("d");
    // Every partition is named, also where its position stands still: whoever lands one of them
    // meanwhile makes this commit fail.
    let mut txns: Vec<(String, i64)> = (batch.next.iter())
        .map(|(partition, next)| (txn::source(source, partition), *next))
        .collect();
    txns.extend((batch.spans.iter()).map(|(journal, span)| (txn::offset(*journal), span.next)));
    txns.extend((batch.strays.iter()).map(|(partition, next)| (txn::strays(source, partition), *next)));
    txns.extend((batch.begins.iter()).map(|(journal, first)| (txn::first(*journal), *first)));
    let commit = Commit {
        files,
        txns,
        ..Commit::default()
    };
    Ok(Arc::new(commit.run(table, snapshot).await?))
}

/// What must hold of the very snapshot that the commit is made against: the batch begins where the
/// table ends, and moves it on. A stale or foreign handle fails here or in the commit, never later.
async fn assert_order(source: &str, snapshot: &Snapshot, batch: &Batch) -> Result<(), LakeError> {
    let mut moves = (batch.spans.values()).any(|span| span.next > span.first);
    for (partition, from) in &batch.from {
        let next = batch.next.get(partition).copied().unwrap_or(*from);
        // Where nothing has landed yet, reading begins where the partition does.
        let landed = snapshot.txn(&txn::source(source, partition)).await?.unwrap_or(*from);
        if *from != landed {
            return Err(LakeError::Assertion {
                what: "a batch begins at the source position after the last landed one",
                expected: landed,
                found: *from,
            });
        }
        if next < landed {
            return Err(LakeError::Assertion {
                what: "a batch moves the source position on",
                expected: landed,
                found: next,
            });
        }
        moves |= next > landed;
    }
    if !moves {
        let at = sum(&batch.from);
        return Err(LakeError::Assertion {
            what: "a batch moves something on",
            expected: at + 1,
            found: at,
        });
    }
    for (journal, span) in &batch.spans {
        let landed = snapshot.txn(&txn::offset(*journal)).await?.unwrap_or(0);
        if span.first != landed {
            // Two that landed one partition while its position stood still.
            return Err(LakeError::Overtaken {
                partition: format!("of journal {journal}"),
                ours: span.first,
                theirs: landed,
            });
        }
    }
    Ok(())
}

async fn land_calls(
    lake: &Lake,
    source: &str,
    snapshot: &Arc<Snapshot>,
    batch: &Batch,
) -> Result<Arc<Snapshot>, LakeError> {
    // Without a row the marks may stay behind: a restart folds a little more. But not without bound.
    let behind = !batch.calls.is_empty() || moved_far(snapshot, batch).await?;
    if !behind {
        return Ok(snapshot.clone());
    }
    // No events speak for these rows: a landing or a rebuild that brought them leaves `events` as it is.
    batch.still_lacks(snapshot).await?;
    let table = lake.table(crate::TableKind::Calls);
    let files = write_days(&table.place, batch.calls.clone()).await?;
    failpoint::hit("f-written");
    make_durable(&table.place, &files).await?;
    let mut txns: Vec<(String, i64)> = (batch.next.iter())
        .map(|(partition, next)| (txn::source(source, partition), *next))
        .collect();
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
        files,
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
