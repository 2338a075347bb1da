//! Erasure: every record of some calls goes from both tables; a digest keeps each one's place.

use std::collections::HashSet;
use std::fs::File;

use arrow::array::{Array as _, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use bytes::Bytes;
use datafusion::prelude::{col, lit};
use event::EventType;
use futures::TryStreamExt as _;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use crate::arena::Arena;
use crate::batch::txn;
use crate::commit::{Commit, now_millis};
use crate::compact::{COMPACTION, day_number};
use crate::decode::{EventRows, int, text};
use crate::encode::EventsBuilder;
use crate::files::{FileWriter, Place, Purpose, Written, make_durable, upload};
use crate::scan::read;
use crate::schema::DAY;
use crate::store::{Lake, Snapshot, Table};
use crate::tombstone::erased;
use crate::{LakeError, TableKind};

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
    /// Calls that were left alone, as they are still open, or their row is still to come.
    pub open: u64,
}

/// Erases the calls of somebody from both tables. The files that had them go from the disk a day later,
/// as all replaced files do. What has not landed yet, and what journals and Kafka still hold, is not
/// touched. A call that is still open, or whose row is still to come, is left alone and counted: its end
/// would stand in the table later, without a beginning and nobody's. Another writer that is faster makes it fail with [`LakeError::Conflict`]: do it again.
pub async fn erase(lake: &Lake, whose: &Whose) -> Result<EraseReport, LakeError> {
    let (events, calls) = (lake.table(TableKind::Events), lake.table(TableKind::Calls));
    // Calls first: of a call that has its row there, every event up to its end is in `events`.
    let calls_now = calls.load().await?;
    let events_now = events.load().await?;
    let found = find(&events_now, &calls_now, whose).await?;
    let (ids, open) = settled(&events_now, &calls_now, found).await?;
    let mut report = EraseReport {
        calls: ids.len() as u64,
        open,
        ..EraseReport::default()
    };
    if ids.is_empty() {
        return Ok(report);
    }
    // Events first: a crash in between leaves rows of calls whose events are erased, which doing it
    // again clears.
    (report.event_rows, report.files) = rewrite(events, &events_now, &ids).await?;
    let (rows, files) = rewrite(calls, &calls_now, &ids).await?;
    report.call_rows = rows;
    report.files += files;
    Ok(report)
}

/// The calls: those with a row, and those that are open or whose row is still to come.
async fn find(events: &Snapshot, calls: &Snapshot, whose: &Whose) -> Result<HashSet<String>, LakeError> {
    let (column, attribute, value) = match whose {
        Whose::Call(id) => return Ok(HashSet::from([id.clone()])),
        Whose::User(id) => ("user_id", "user.id", id),
        Whose::Session(id) => ("session_id", "session.id", id),
    };
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
            // Few bodies have the value at all: only those are read.
            if body.contains(value.as_str()) && says(body, attribute, value) {
                found.insert(id.to_owned());
            }
        }
    }
    Ok(found)
}

/// Those of the calls of which nothing more will land, and how many others there are. A call is settled once
/// its row is there; one that has ended and has none, and gets none any more, lost it with a day that expired
/// or when it was erased before.
async fn settled(
    events: &Snapshot,
    calls: &Snapshot,
    found: HashSet<String>,
) -> Result<(HashSet<String>, u64), LakeError> {
    let mut settled = HashSet::new();
    let mut rows = read(calls, TableKind::Calls, &["call_id"], None).await?;
    while let Some(batch) = rows.try_next().await? {
        let ids = text(&batch, "call_id")?.iter().flatten();
        settled.extend(ids.filter(|id| found.contains(*id)).map(str::to_owned));
    }
    if settled.len() == found.len() {
        return Ok((settled, 0));
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
    let open = open.difference(&settled).count() as u64;
    Ok((settled, open))
}

fn says(body: &str, attribute: &str, value: &str) -> bool {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    body.get(attribute).and_then(serde_json::Value::as_str) == Some(value)
}

/// Writes every file anew that has rows of these calls. Returns the rows, and the files.
async fn rewrite(table: &Table, snapshot: &Snapshot, ids: &HashSet<String>) -> Result<(u64, u64), LakeError> {
    let place = &table.place;
    let mut commit = Commit {
        txns: vec![(COMPACTION.to_owned(), now_millis())],
        ..Commit::default()
    };
    let (mut rows, mut written) = (0, Vec::new());
    for file in snapshot.state.log_data().iter() {
        let Some(day) = file.partition_values_map().remove(DAY).flatten() else {
            continue;
        };
        let (path, landed) = (file.object_store_path().to_string(), file.modification_time());
        let bytes = match &place.local {
            Some(_) => None,
            None => {
                let store = place.log_store.object_store(None);
                Some(store.get(&Path::from(path.as_str())).await?.bytes().await?)
            }
        };
        let (task_place, day, ids) = (place.clone(), day_number(&day)?, ids.clone());
        let done = tokio::task::spawn_blocking(move || without(&task_place, &path, bytes, day, &ids)).await??;
        let Some(Cleared { files, erased }) = done else {
            continue;
        };
        for (mut file, bytes) in files {
            upload(place, &file, bytes).await?;
            // Retention asks when rows landed, not when they were moved.
            file.add.modification_time = landed;
            written.push(file);
        }
        rows += erased;
        commit.removes.push(file.remove_action(true));
    }
    if commit.removes.is_empty() {
        return Ok((0, 0));
    }
    let files = commit.removes.len() as u64;
    make_durable(place, &written).await?;
    commit.files = written;
    commit.run(table, snapshot).await?;
    Ok((rows, files))
}

struct Cleared {
    files: Vec<(Written, Option<Vec<u8>>)>,
    erased: u64,
}

/// The file without these calls; `None` if it has none of them. Blocking.
fn without(
    place: &Place,
    path: &str,
    bytes: Option<Bytes>,
    day: i32,
    ids: &HashSet<String>,
) -> Result<Option<Cleared>, LakeError> {
    let open = || -> Result<Box<dyn Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>>, LakeError> {
        let options = ArrowReaderOptions::new().with_schema(place.kind.file_schema());
        Ok(match (&place.local, &bytes) {
            (Some(dir), _) => {
                let path = dir.join(path);
                let file = File::open(&path).map_err(|e| LakeError::io(&path, e))?;
                Box::new(ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?.build()?)
            }
            (None, bytes) => {
                let bytes = bytes.clone().unwrap_or_default();
                Box::new(ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options)?.build()?)
            }
        })
    };
    let is_theirs = |batch: &RecordBatch| -> Result<BooleanArray, LakeError> {
        let column = text(batch, "call_id")?;
        Ok((0..column.len())
            .map(|row| Some(!column.is_null(row) && ids.contains(column.value(row))))
            .collect())
    };
    let mut any = false;
    for batch in open()? {
        any = is_theirs(&batch?)?.true_count() > 0;
        if any {
            break;
        }
    }
    if !any {
        return Ok(None);
    }
    let mut writer = FileWriter::create(place, day, Purpose::Compact)?;
    let (mut erased, mut left) = (0, 0);
    for batch in open()? {
        let batch = batch?;
        let theirs = is_theirs(&batch)?;
        let keep: BooleanArray = theirs.iter().map(|theirs| theirs.map(|theirs| !theirs)).collect();
        let kept = filter_record_batch(&batch, &keep)?;
        left += kept.num_rows();
        writer.write(&kept)?;
        if theirs.true_count() > 0 {
            erased += theirs.true_count() as u64;
            if place.kind == TableKind::Events {
                let stones = tombstones(&filter_record_batch(&batch, &theirs)?)?;
                left += stones.num_rows();
                writer.write(&stones)?;
            }
        }
    }
    let mut files = Vec::new();
    if left > 0 {
        files.push(writer.finish(true)?);
    }
    Ok(Some(Cleared { files, erased }))
}

fn tombstones(rows: &RecordBatch) -> Result<RecordBatch, LakeError> {
    let decoded = EventRows::of(rows)?;
    let mut arena = Arena::new();
    let mut builder = EventsBuilder::new(0);
    for row in 0..rows.num_rows() {
        builder.append(&mut arena, &erased(&decoded.item(row)?)?);
    }
    Ok(builder.finish(&arena.finish())?)
}
