//! Erasure: every record of some calls goes from both tables; a digest keeps each one's place.

mod rewrite;
mod waiting;

use std::collections::HashSet;
use std::path::Path as FsPath;

use arrow::array::Array as _;
use datafusion::prelude::{col, lit};
use event::{EventType, Record};
use futures::TryStreamExt as _;

use crate::batch::txn;
use crate::decode::{int, text};
use crate::failpoint;
use crate::scan::read;
use crate::store::{Lake, Snapshot};
use crate::{LakeError, TableKind};
use rewrite::rewrite;
use waiting::waiting;

/// Whose calls are erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// A user's, by `user_id`.
    User(String),
    /// A session's, by `session_id`.
    Session(String),
    /// One call.
    Call(String),
}

/// What [`erase`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EraseReport {
    /// Calls that were found.
    pub calls: u64,
    /// Rows of `calls` that went.
    pub call_rows: u64,
    /// Rows of `events` of which only place and digest are left.
    pub event_rows: u64,
    /// Files that were written anew.
    pub files: u64,
    /// Calls that were left alone, as they are still open, or something of them is still to land.
    pub open: u64,
}

/// Erases the calls of somebody from both tables. The files that had them go from the disk a day later or
/// after, as all replaced files do. What has not landed yet, and what journals and Kafka still hold, is not
/// touched. A call that is still open, or whose row is still to come, is left alone and counted: its end
/// would stand in the table later, without a beginning and nobody's. So are calls that wait in `journal`, a
/// journal's folder. Another writer that is faster makes it fail with [`LakeError::Conflict`]: do it again.
pub async fn erase(lake: &Lake, journal: Option<&FsPath>, whose: &Whose) -> Result<EraseReport, LakeError> {
    let (events, calls) = (lake.table(TableKind::Events), lake.table(TableKind::Calls));
    // The journal first: what lands from it meanwhile is found in the tables.
    let waiting = match journal {
        Some(dir) => waiting(events, dir, whose).await?,
        None => HashSet::new(),
    };
    // Calls before events: of a call that has its row there, every event up to its end is in `events`.
    let calls_now = calls.load().await?;
    let events_now = events.load().await?;
    let found = find(&events_now, &calls_now, whose).await?;
    let (ids, open) = settled(&events_now, &calls_now, found).await?;
    let still = waiting.iter().filter(|id| !ids.contains(*id) && !open.contains(*id));
    let mut report = EraseReport {
        calls: ids.len() as u64,
        open: (open.len() + still.count()) as u64,
        ..EraseReport::default()
    };
    if ids.is_empty() {
        return Ok(report);
    }
    // Events first: they leave a mark of each call, so that a row of `calls` that is still there is told to go
    // next. A crash in between leaves such rows; doing it again clears them.
    (report.event_rows, report.files) = rewrite(events, &events_now, &ids).await?;
    failpoint::hit("erase");
    let (rows, files) = rewrite(calls, &calls_now, &ids).await?;
    report.call_rows = rows;
    report.files += files;
    Ok(report)
}

/// The calls: those with a row, and those that are open or whose row is still to come.
async fn find(events: &Snapshot, calls: &Snapshot, whose: &Whose) -> Result<HashSet<String>, LakeError> {
    let (column, value) = match whose {
        Whose::Call(id) => return Ok(HashSet::from([id.clone()])),
        Whose::User(id) => ("user_id", id),
        Whose::Session(id) => ("session_id", id),
    };
    let theirs = Theirs::of(whose);
    let mut found = HashSet::new();
    let mut rows = read(calls, TableKind::Calls, &["call_id"], Some(col(column).eq(lit(value)))).await?;
    while let Some(batch) = rows.try_next().await? {
        found.extend(text(&batch, "call_id")?.iter().flatten().map(str::to_owned));
    }
    let begins = col("\"type\"").eq(lit("call.started"));
    let mut rows = read(events, TableKind::Events, &["call_id", "body"], Some(begins)).await?;
    while let Some(batch) = rows.try_next().await? {
        let (ids, bodies) = (text(&batch, "call_id")?, text(&batch, "body")?);
        for (id, body) in ids.iter().zip(bodies.iter()) {
            let (Some(id), Some(body)) = (id, body) else { continue };
            if theirs.begins(body) {
                found.insert(id.to_owned());
            }
        }
    }
    Ok(found)
}

/// Those of the calls of which nothing more will land, and the others. A call is settled once
/// its row is there; one that has ended and has none, and gets none any more, lost it with a day that expired
/// or when it was erased before.
async fn settled(
    events: &Snapshot,
    calls: &Snapshot,
    found: HashSet<String>,
) -> Result<(HashSet<String>, HashSet<String>), LakeError> {
    let mut settled = HashSet::new();
    let mut rows = read(calls, TableKind::Calls, &["call_id"], None).await?;
    while let Some(batch) = rows.try_next().await? {
        let ids = text(&batch, "call_id")?.iter().flatten();
        settled.extend(ids.filter(|id| found.contains(*id)).map(str::to_owned));
    }
    if settled.len() == found.len() {
        return Ok((settled, HashSet::new()));
    }
    let (mut open, mut rest) = (HashSet::new(), HashSet::new());
    let columns = ["journal_id", "offset", "call_id", "type"];
    let mut rows = read(events, TableKind::Events, &columns, None).await?;
    while let Some(batch) = rows.try_next().await? {
        let (journals, offsets) = (text(&batch, "journal_id")?, int(&batch, "offset")?);
        let (ids, types) = (text(&batch, "call_id")?, text(&batch, "type")?);
        for row in 0..batch.num_rows() {
            if ids.is_null(row) || !found.contains(ids.value(row)) {
                continue;
            }
            let id = ids.value(row).to_owned();
            let event = EventType::from(types.value(row));
            if event.is_terminal() {
                let Ok(journal) = journals.value(row).parse() else {
                    continue;
                };
                let emitted = calls.txn(&txn::calls(journal)).await?.unwrap_or(0);
                let place = if offsets.value(row) < emitted {
                    &mut settled
                } else {
                    &mut open
                };
                place.insert(id);
            } else if event == EventType::CallStarted {
                open.insert(id);
            } else {
                rest.insert(id);
            }
        }
    }
    // What came after the end of a call that was erased before.
    settled.extend(rest.difference(&open).cloned());
    open.retain(|id| !settled.contains(id));
    Ok((settled, open))
}

/// What tells from a `call.started` whose call begins.
struct Theirs<'a> {
    attribute: &'static str,
    value: &'a str,
    /// The value as it stands in JSON.
    quoted: String,
}

impl<'a> Theirs<'a> {
    fn of(whose: &'a Whose) -> Theirs<'a> {
        let (attribute, value) = match whose {
            Whose::User(id) => ("user.id", id),
            Whose::Session(id) => ("session.id", id),
            // No attribute: the envelope has it.
            Whose::Call(id) => ("", id),
        };
        let quoted = serde_json::Value::from(value.as_str()).to_string();
        Theirs {
            attribute,
            value,
            quoted,
        }
    }

    /// Whether it is theirs, by the body.
    fn begins(&self, body: &str) -> bool {
        // Few bodies have the value at all: only those are read.
        if !body.contains(&self.quoted) {
            return false;
        }
        let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        body.get(self.attribute).and_then(serde_json::Value::as_str) == Some(self.value)
    }

    /// Whether a record says that it is of theirs.
    fn has(&self, whose: &Whose, record: &Record) -> bool {
        match whose {
            Whose::Call(id) => (record.envelope.call_id).is_some_and(|call| call.to_string() == *id),
            _ => record.envelope.event_type == "call.started" && self.begins(record.body.get()),
        }
    }
}
