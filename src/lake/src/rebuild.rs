//! `calls` anew from `events`: what was folded once can be folded again.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use crate::batch::txn;
use crate::commit::{Commit, now_millis};
use crate::compact::{COMPACTION, TARGET_BYTES};
use crate::encode::CallRows;
use crate::files::{FileWriter, Place, Purpose, Written, by_day, make_durable, upload};
use crate::fold::Fold;
use crate::scan::{Windows, extents};
use crate::store::Lake;
use crate::{LakeError, TableKind};

/// What a rebuild did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct RebuildReport {
    /// Events read.
    pub events: u64,
    /// Calls written.
    pub calls: u64,
    /// Calls still open.
    pub open: u64,
    /// Files replaced.
    pub files_removed: u64,
    /// Files written.
    pub files_added: u64,
    /// Version of `calls` that has the new rows.
    pub version: u64,
}

/// Rows that are gathered before they are written, or fewer where their texts have so many bytes.
const FLUSH_ROWS: usize = 32_768;
const FLUSH_BYTES: usize = 64 << 20;
/// Days that are written at once; a further one closes the one least recently written to.
const MAX_OPEN_DAYS: usize = 8;

/// Replaces every row of `calls` by folding `events` again. A landing meanwhile makes it fail with
/// [`LakeError::Conflict`], and nothing has changed.
pub async fn rebuild(lake: &Lake) -> Result<RebuildReport, LakeError> {
    // Calls first: whatever lands after this makes the commit fail.
    let table = lake.table(TableKind::Calls);
    let calls = table.load().await?;
    let events = lake.table(TableKind::Events).load().await?;
    let room = lake.room();
    let mut report = RebuildReport::default();
    let mut out = Output::new(table.place.clone());
    let mut txns = vec![(COMPACTION.to_owned(), now_millis())];
    for extent in extents(&events).await? {
        let next = events
            .txn(&txn::offset(extent.journal))
            .await?
            .unwrap_or(extent.max + 1);
        let mut fold = Fold::within(&room);
        let mut rows = CallRows::new();
        let mut windows = Windows::new(&events, extent.journal, extent.min, next);
        while let Some(items) = windows.next().await? {
            report.events += items.len() as u64;
            for item in &items {
                fold.apply(item, &mut |call| rows.append(call))?;
                // Looked at after each: a small end may bring a large request with it.
                if is_full(&rows) {
                    report.calls += rows.len() as u64;
                    let full = std::mem::replace(&mut rows, CallRows::new());
                    out = out.write(full.finish()?).await?;
                }
            }
            fold.rest();
        }
        report.calls += rows.len() as u64;
        if rows.len() > 0 {
            out = out.write(rows.finish()?).await?;
        }
        report.open += fold.open() as u64;
        txns.push((txn::calls(extent.journal), next));
        txns.push((txn::low(extent.journal), fold.low(next)));
    }
    let files = out.finish().await?;
    make_durable(&table.place, &files).await?;
    let removes: Vec<_> = calls
        .state
        .log_data()
        .iter()
        .map(|file| file.remove_action(true))
        .collect();
    report.files_removed = removes.len() as u64;
    report.files_added = files.len() as u64;
    let commit = Commit {
        files,
        removes,
        txns,
        rearranges: false,
    };
    report.version = commit.run(table, &calls).await?.version();
    Ok(report)
}

fn is_full(rows: &CallRows) -> bool {
    rows.len() >= FLUSH_ROWS || rows.bytes() >= FLUSH_BYTES
}

/// Files being written, one a day.
struct Output {
    place: Place,
    open: BTreeMap<i32, FileWriter>,
    done: Vec<(Written, Option<Vec<u8>>)>,
}

impl Output {
    fn new(place: Place) -> Output {
        Output {
            place,
            open: BTreeMap::new(),
            done: Vec::new(),
        }
    }

    async fn write(mut self, rows: RecordBatch) -> Result<Output, LakeError> {
        tokio::task::spawn_blocking(move || {
            for day in by_day(self.place.kind, &[rows])? {
                if !self.open.contains_key(&day.day) {
                    self.make_room()?;
                    let file = FileWriter::create(&self.place, day.day, Purpose::Compact)?;
                    self.open.insert(day.day, file);
                }
                let Some(file) = self.open.get_mut(&day.day) else {
                    continue;
                };
                for batch in &day.rows {
                    file.write(batch)?;
                }
                if file.size() >= usize::try_from(TARGET_BYTES).unwrap_or(usize::MAX)
                    && let Some(file) = self.open.remove(&day.day)
                {
                    self.done.push(file.finish(true)?);
                }
            }
            Ok(self)
        })
        .await?
    }

    /// Closes the earliest day's file: history moves forward.
    fn make_room(&mut self) -> Result<(), LakeError> {
        if self.open.len() >= MAX_OPEN_DAYS
            && let Some((_, file)) = self.open.pop_first()
        {
            self.done.push(file.finish(true)?);
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Vec<Written>, LakeError> {
        let place = self.place.clone();
        let done = tokio::task::spawn_blocking(move || {
            while let Some((_, file)) = self.open.pop_first() {
                self.done.push(file.finish(true)?);
            }
            Ok::<_, LakeError>(self.done)
        })
        .await??;
        let mut files = Vec::with_capacity(done.len());
        for (file, bytes) in done {
            upload(&place, &file, bytes).await?;
            files.push(file);
        }
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{Call, CallId, JournalId, Json};

    fn call(body: &str) -> Call {
        Call {
            call_id: Some(CallId::new()),
            journal_id: Some(JournalId::new()),
            started: event::body::CallStarted {
                request_body: Some(Json::parse(format!("\"{body}\"")).unwrap()),
                ..event::body::CallStarted::default()
            },
            ..Call::default()
        }
    }

    #[test]
    fn what_is_gathered_has_a_bound_whatever_the_size_of_a_call() {
        let mut rows = CallRows::new();
        for n in 0.. {
            if is_full(&rows) {
                break;
            }
            rows.append(&call(&format!("{n}{}", "x".repeat(1_000_000))));
            assert!(n < 70, "calls of a megabyte");
        }
    }

    /// A writer has a row group in memory until it is full, by rows or by bytes.
    #[tokio::test]
    async fn a_file_of_large_calls_has_row_groups_of_a_bounded_size() {
        use parquet::file::reader::{FileReader as _, SerializedFileReader};

        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        let place = &lake.table(TableKind::Calls).place;
        let mut file = FileWriter::create(place, 0, Purpose::Compact).unwrap();
        // What cannot be packed to less than half.
        let mut noise = vec![0; 2 << 20];
        for n in 0u8..20 {
            blake3::Hasher::new().update(&[n]).finalize_xof().fill(&mut noise);
            let mut rows = CallRows::new();
            rows.append(&call(&hex::encode(&noise)));
            file.write(&rows.finish().unwrap()).unwrap();
        }
        let (written, _) = file.finish(true).unwrap();
        let path = dir.path().join("calls").join(&written.add.path);
        let read = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
        let groups: Vec<i64> = (read.metadata().row_groups().iter())
            .map(|group| group.compressed_size() >> 20)
            .collect();
        assert!(groups.len() == 2 && groups[0] < 40, "MiB: {groups:?}");
    }
}
