//! Proof that nothing is missing, doubled or altered.
//!
//! The proof does not use what the lander remembers: rows are counted and hashed again. Memory is
//! bounded whatever the lake's size: offsets are checked a stretch at a time, calls a share at a time. Of
//! `calls` it is proved which rows there are, not what they say: that is a fold of the events.

mod calls;
mod offsets;
mod report;

use std::collections::BTreeMap;
use std::path::Path;

use event::JournalId;

use crate::batch::txn;
use crate::journal_source::JournalDir;
use crate::retention::expired_runs;
use crate::scan::extents;
use crate::store::{Lake, Snapshot};
use crate::tombstone::Run;
use crate::{LakeError, TableKind};

pub use report::{CallsReport, JournalReport, Problem, Range, Report, TailReport};

/// Checks the lake and, if `journal` is a journal's folder, the records there that have not landed.
pub async fn verify(lake: &Lake, journal: Option<&Path>) -> Result<Report, LakeError> {
    // Calls first: what lands in between is in `events` and not yet expected in `calls`.
    let calls = lake.table(TableKind::Calls).load().await?;
    let events = lake.table(TableKind::Events).load().await?;
    let here = match journal.map(Path::to_owned) {
        Some(dir) => tokio::task::spawn_blocking(move || JournalDir::open(&dir)).await??,
        None => None,
    };
    let mut journals: BTreeMap<JournalId, JournalReport> = BTreeMap::new();
    let mut ends: BTreeMap<JournalId, offsets::End> = BTreeMap::new();
    let mut runs: BTreeMap<JournalId, Vec<Run>> = BTreeMap::new();
    for run in expired_runs(&events).await? {
        runs.entry(run.journal).or_default().push(run);
    }
    for extent in extents(&events).await? {
        let of_journal = runs.get(&extent.journal).map_or(&[][..], Vec::as_slice);
        let (report, end) = offsets::check(&events, extent, of_journal).await?;
        journals.insert(extent.journal, report);
        ends.insert(extent.journal, end);
    }
    // A journal whose every row is gone is in no extent, but its transaction is still there.
    for id in crate::status::journals(&events).await {
        if let Ok(id) = id.parse() {
            journals.entry(id).or_insert_with(|| JournalReport::empty(id));
        }
    }
    if let Some(here) = &here {
        journals.entry(here.id).or_insert_with(|| JournalReport::empty(here.id));
    }
    for (id, report) in &mut journals {
        report.begins = events.txn(&txn::first(*id)).await?.unwrap_or(0);
        let next = events.txn(&txn::offset(*id)).await?.unwrap_or(0);
        report.check_end(next);
    }
    let mut emitted = BTreeMap::new();
    for id in journals.keys() {
        emitted.insert(*id, calls.txn(&txn::calls(*id)).await?.unwrap_or(0));
    }
    let calls_report = calls::check(&events, &calls, &emitted, &calls::Expired::of(&runs)).await?;
    let mut report = Report {
        journals: journals.into_values().collect(),
        calls: calls_report,
        events_version: events.version(),
        calls_version: calls.version(),
    };
    if let Some(here) = here {
        let end = ends.remove(&here.id).unwrap_or_default();
        if let Some(journal) = report.journals.iter_mut().find(|journal| journal.journal_id == here.id) {
            tail(lake, events, &here, journal, end).await?;
        }
    }
    Ok(report)
}

/// Checks the records of the journal here that have not landed. What lands meanwhile may go from the journal:
/// it is in the table then, and is checked there.
async fn tail(
    lake: &Lake,
    mut events: Snapshot,
    here: &JournalDir,
    journal: &mut JournalReport,
    mut end: offsets::End,
) -> Result<(), LakeError> {
    let mut next = next_of(&events, here).await?;
    loop {
        let dir = here.clone();
        let found = tokio::task::spawn_blocking(move || offsets::check_tail(&dir, next, end)).await?;
        if !found.problems.is_empty() {
            // Perhaps only that it was released under the reader's hands.
            events = lake.table(TableKind::Events).load().await?.following(&events).await;
            let landed = next_of(&events, here).await?;
            if landed > next {
                offsets::check_more(&events, next, landed, journal, &mut end).await?;
                next = landed;
                continue;
            }
        }
        journal.tail = Some(found);
        return Ok(());
    }
}

async fn next_of(events: &Snapshot, journal: &JournalDir) -> Result<i64, LakeError> {
    let app = txn::source("journal", &journal.id.to_string());
    Ok(events.txn(&app).await?.unwrap_or(0))
}
