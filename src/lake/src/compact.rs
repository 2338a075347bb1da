//! Compaction: many small files of a day become few large ones. Landing goes on meanwhile.

use std::collections::BTreeMap;
use std::fs::File;

use arrow::array::RecordBatch;
use bytes::Bytes;
use deltalake::kernel::Remove;
use journal::clock;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde_json::Value;

use crate::commit::{Commit, now_millis};
use crate::encode::day_of;
use crate::files::{FileWriter, Place, Purpose, Written, is_landed, make_durable, room, upload};
use crate::schema::DAY;
use crate::store::{Lake, Snapshot, Table};
use crate::{LakeError, TableKind};

/// Size that compaction aims at, bytes.
pub(crate) const TARGET_BYTES: i64 = 256 << 20;
/// A file of this size is left alone.
const LARGE_BYTES: i64 = TARGET_BYTES / 4 * 3;
/// What compaction leaves to landing on a local disk, or a sixteenth of it where that is less: a few batches.
const LEFT_TO_LANDING: u64 = 128 << 20;

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct CompactReport {
    /// Files that were replaced.
    pub files_removed: u64,
    /// Files that replace them.
    pub files_added: u64,
    /// Bytes that were replaced.
    pub bytes_removed: u64,
    /// Bytes that replace them.
    pub bytes_added: u64,
    /// Groups that were given up because another writer was faster; the next run takes them up.
    pub conflicts: u64,
    /// Groups that wait for room on the disk: the files that they replace stay for a day beside the new ones.
    pub no_room: u64,
}

impl CompactReport {
    pub(crate) fn add(&mut self, other: &CompactReport) {
        self.files_removed += other.files_removed;
        self.files_added += other.files_added;
        self.bytes_removed += other.bytes_removed;
        self.bytes_added += other.bytes_added;
        self.conflicts += other.conflicts;
        self.no_room += other.no_room;
    }
}

/// Files to be made one.
struct Group {
    day: String,
    files: Vec<Small>,
}

/// A file worth merging.
struct Small {
    /// Its place in the order of rows: the least journal and offset in it, or the earliest start.
    order: (String, i64),
    path: String,
    bytes: i64,
    rows: usize,
    /// When its rows landed, the last of them; ms since 1970.
    landed: i64,
    remove: Remove,
}

/// Rewrites every day's small files where at least `min_files` of them make up a group. A file that
/// outweighs the rest of its group waits until that has grown, so that a row is rewritten a few times
/// and not at each run; with `min_files` of 2 or less nothing waits. Of a day before yesterday, where little
/// more will come, all is rewritten that is as landing wrote it, which is large.
pub async fn compact(lake: &Lake, min_files: usize) -> Result<CompactReport, LakeError> {
    let mut report = CompactReport::default();
    for table in lake.tables() {
        let mut snapshot = table.load().await?;
        let today = day_of(clock::unix_nano());
        for group in plan(table.kind(), &snapshot, min_files.max(2), today) {
            if !has_room(&table.place, group.bytes()).await? {
                report.no_room += 1;
                continue;
            }
            match rewrite(table, &snapshot, &group).await {
                Ok((next, done)) => {
                    snapshot = next;
                    report.add(&done);
                }
                Err(LakeError::Conflict { source, .. }) => {
                    tracing::debug!(table = table.kind().name(), %source, "compaction gave way to another writer");
                    report.conflicts += 1;
                    // The plan was made of files that may be gone.
                    break;
                }
                Err(other) => return Err(other),
            }
        }
    }
    Ok(report)
}

fn plan(kind: TableKind, snapshot: &Snapshot, min_files: usize, today: i32) -> Vec<Group> {
    let mut days: BTreeMap<String, Vec<Small>> = BTreeMap::new();
    for file in snapshot.state.log_data().iter() {
        let deleted_rows = file.deletion_vector_descriptor().is_some();
        let day = file.partition_values_map().remove(DAY).flatten();
        if let Some(day) = day.filter(|_| !deleted_rows && file.size() < LARGE_BYTES) {
            days.entry(day).or_default().push(Small {
                order: order(kind, file.stats().as_deref()),
                path: file.object_store_path().to_string(),
                bytes: file.size(),
                rows: file.num_records().unwrap_or_default(),
                landed: file.modification_time(),
                remove: file.remove_action(false),
            });
        }
    }
    let mut groups = Vec::new();
    for (day, mut files) in days {
        files.sort_by(|a, b| (&a.order, &a.path).cmp(&(&b.order, &b.path)));
        let mut group: Vec<Small> = Vec::new();
        let mut bytes = 0;
        for file in files {
            if bytes + file.bytes > TARGET_BYTES && !group.is_empty() {
                groups.push(Group {
                    day: day.clone(),
                    files: std::mem::take(&mut group),
                });
                bytes = 0;
            }
            bytes += file.bytes;
            group.push(file);
        }
        groups.push(Group { day, files: group });
    }
    groups.retain_mut(|group| group.is_worth_it(min_files, today));
    groups
}

/// Whether a local disk takes so many bytes more and leaves enough to landing, which comes first.
async fn has_room(place: &Place, bytes: u64) -> Result<bool, LakeError> {
    let Some(dir) = place.local.clone() else {
        return Ok(true);
    };
    let path = dir.display().to_string();
    let (free, all) = tokio::task::spawn_blocking(move || room(&dir)).await??;
    let fits = is_enough(free, all, bytes);
    if !fits {
        tracing::warn!(
            path,
            free,
            needed = bytes.saturating_add(left_to_landing(all)),
            "files wait to be made one: there is too little room on the disk for both old and new. Make room there"
        );
    }
    Ok(fits)
}

fn is_enough(free: u64, all: u64, bytes: u64) -> bool {
    free >= bytes.saturating_add(left_to_landing(all))
}

fn left_to_landing(all: u64) -> u64 {
    LEFT_TO_LANDING.min(all / 16)
}

impl Group {
    /// What it takes until the old files go: the new one is hardly larger than all of them.
    fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes.unsigned_abs()).sum()
    }

    /// Leaves out what need not be rewritten now; whether something is left.
    fn is_worth_it(&mut self, min_files: usize, today: i32) -> bool {
        let past = day_number(&self.day).is_ok_and(|day| day < today - 1);
        if past && self.files.len() < min_files {
            self.files.retain(|file| is_landed(&file.path));
            return !self.files.is_empty();
        }
        if min_files > 2 {
            leave_heavy(self);
        }
        self.files.len() >= min_files
    }
}

/// Leaves out what outweighs all else in the group.
fn leave_heavy(group: &mut Group) {
    let mut total: i64 = group.files.iter().map(|file| file.bytes).sum();
    while let Some((at, heaviest)) =
        (group.files.iter().map(|file| file.bytes).enumerate()).max_by_key(|(_, bytes)| *bytes)
        && heaviest > total - heaviest
    {
        total -= heaviest;
        group.files.remove(at);
    }
}

fn order(kind: TableKind, stats: Option<&str>) -> (String, i64) {
    let stats: Value = stats
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let least = |column: &str| stats.get("minValues").and_then(|values| values.get(column));
    let (text, number) = match kind {
        TableKind::Events => ("journal_id", "offset"),
        TableKind::Calls => ("started_at", ""),
    };
    (
        least(text).and_then(Value::as_str).unwrap_or_default().to_owned(),
        least(number).and_then(Value::as_i64).unwrap_or_default(),
    )
}

async fn rewrite(table: &Table, snapshot: &Snapshot, group: &Group) -> Result<(Snapshot, CompactReport), LakeError> {
    let place = &table.place;
    let inputs = open_inputs(place, group).await?;
    let day = day_number(&group.day)?;
    let task_place = place.clone();
    let (mut written, rows_in, bytes) = tokio::task::spawn_blocking(move || merge(&task_place, day, inputs)).await??;
    upload(place, &written, bytes).await?;
    let rows: usize = group.files.iter().map(|file| file.rows).sum();
    if rows != rows_in {
        return Err(LakeError::Assertion {
            what: "compaction keeps every row",
            expected: i64::try_from(rows).unwrap_or(i64::MAX),
            found: i64::try_from(rows_in).unwrap_or(i64::MAX),
        });
    }
    // Retention asks when rows landed, not when they were moved.
    written.add.modification_time = group.files.iter().map(|file| file.landed).max().unwrap_or_default();
    make_durable(place, std::slice::from_ref(&written)).await?;
    let report = CompactReport {
        files_removed: group.files.len() as u64,
        files_added: 1,
        bytes_removed: group.bytes(),
        bytes_added: written.add.size.unsigned_abs(),
        ..CompactReport::default()
    };
    let commit = Commit {
        files: vec![written],
        removes: group.files.iter().map(|file| file.remove.clone()).collect(),
        // Delta lets two rewrites of the same files pass, each adding their rows: this does not.
        txns: vec![(COMPACTION.to_owned(), now_millis())],
        rearranges: true,
    };
    let next = commit.run(table, snapshot).await?;
    Ok((next, report))
}

/// The transaction that every rewrite of landed files moves on, so that no two go on at once.
pub(crate) const COMPACTION: &str = "weir:compaction";

enum Input {
    Disk(File),
    Memory(Bytes),
}

async fn open_inputs(place: &Place, group: &Group) -> Result<Vec<Input>, LakeError> {
    let mut inputs = Vec::with_capacity(group.files.len());
    for file in &group.files {
        inputs.push(match &place.local {
            Some(dir) => {
                let path = dir.join(&file.path);
                Input::Disk(File::open(&path).map_err(|e| LakeError::io(&path, e))?)
            }
            None => {
                let store = place.log_store.object_store(None);
                Input::Memory(store.get(&Path::from(file.path.as_str())).await?.bytes().await?)
            }
        });
    }
    Ok(inputs)
}

/// Reads files one after the other into a new one. Blocking.
fn merge(place: &Place, day: i32, inputs: Vec<Input>) -> Result<(Written, usize, Option<Vec<u8>>), LakeError> {
    let mut writer = FileWriter::create(place, day, Purpose::Compact)?;
    let mut rows = 0;
    let options = || ArrowReaderOptions::new().with_schema(place.kind.file_schema());
    let mut copy = |batches: &mut dyn Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>| {
        for batch in batches {
            let batch = batch?;
            rows += batch.num_rows();
            writer.write(&batch)?;
        }
        Ok::<(), LakeError>(())
    };
    for input in inputs {
        match input {
            Input::Disk(file) => {
                copy(&mut ParquetRecordBatchReaderBuilder::try_new_with_options(file, options())?.build()?)?;
            }
            Input::Memory(bytes) => {
                copy(&mut ParquetRecordBatchReaderBuilder::try_new_with_options(bytes, options())?.build()?)?;
            }
        }
    }
    let (written, bytes) = writer.finish(false)?;
    Ok((written, rows, bytes))
}

/// The day of a partition, in days since 1970.
pub(crate) fn day_number(day: &str) -> Result<i32, LakeError> {
    use arrow::compute::kernels::cast_utils::Parser as _;
    arrow::datatypes::Date32Type::parse(day)
        .ok_or_else(|| LakeError::Internal(format!("partition {DAY}={day} is no date, such as 2026-01-31")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heavy_file_waits_for_the_light_ones() {
        let small = |bytes| Small {
            order: (String::new(), 0),
            path: String::new(),
            bytes,
            rows: 1,
            landed: 0,
            remove: Remove::default(),
        };
        let mut group = Group {
            day: "2026-01-31".to_owned(),
            files: [100, 3, 3, 3].map(small).into(),
        };
        leave_heavy(&mut group);
        assert_eq!(group.files.iter().map(|file| file.bytes).collect::<Vec<_>>(), [3, 3, 3]);
        let mut group = Group {
            day: "2026-01-31".to_owned(),
            files: [100, 60, 50].map(small).into(),
        };
        leave_heavy(&mut group);
        assert_eq!(group.files.len(), 3);
    }

    #[test]
    fn compaction_leaves_room_to_landing() {
        let (mib, disk) = (1 << 20, 1 << 40);
        assert!(!is_enough(200 * mib, disk, 100 * mib));
        assert!(is_enough(228 * mib, disk, 100 * mib));
        // Of a small disk not all of it.
        assert!(is_enough(5 * mib, 64 * mib, mib));
        assert!(!is_enough(5 * mib - 1, 64 * mib, mib));
    }

    #[test]
    fn what_landed_on_a_past_day_is_packed_even_alone() {
        let group = |paths: &[&str]| Group {
            day: "2026-01-31".to_owned(),
            files: (paths.iter())
                .map(|path| Small {
                    order: (String::new(), 0),
                    path: (*path).to_owned(),
                    bytes: 1,
                    rows: 1,
                    landed: 0,
                    remove: Remove::default(),
                })
                .collect(),
        };
        let day = day_number("2026-01-31").unwrap();
        let mut one = group(&["a.landed.parquet", "b.parquet"]);
        assert!(!one.is_worth_it(16, day + 1), "more may come");
        assert!(one.is_worth_it(16, day + 2));
        assert_eq!(one.files.len(), 1, "what is packed stays");
        assert!(!group(&["b.parquet"]).is_worth_it(16, day + 2));
    }
}
