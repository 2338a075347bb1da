//! Files anew without the records of some calls.

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use arrow::array::{Array as _, BooleanArray, RecordBatch};
use arrow::compute::{filter_record_batch, interleave, not};
use arrow::error::ArrowError;
use bytes::Bytes;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use crate::arena::Arena;
use crate::commit::{Commit, now_millis};
use crate::compact::{COMPACTION, day_number};
use crate::decode::{EventRows, text};
use crate::encode::EventsBuilder;
use crate::files::{FileWriter, Place, Purpose, Written, make_durable, upload};
use crate::schema::DAY;
use crate::store::{Snapshot, Table};
use crate::tombstone::erased;
use crate::{LakeError, TableKind};

const CALL_ID: &str = "call_id";
/// With more calls than this a Bloom filter hardly rules a row group out.
const FEW: usize = 64;
/// Bytes of rows that are decoded at once, roughly, and how many rows they are at most.
const BATCH_BYTES: usize = 16 << 20;
const BATCH_ROWS: usize = 1024;

/// Writes every file anew that has rows of these calls. Returns the rows, and the files.
pub(super) async fn rewrite(
    table: &Table,
    snapshot: &Snapshot,
    ids: &HashSet<String>,
) -> Result<(u64, u64), LakeError> {
    let place = &table.place;
    let mut sorted: Vec<String> = ids.iter().cloned().collect();
    sorted.sort_unstable();
    let ids = Arc::new(Ids {
        all: ids.clone(),
        sorted,
    });
    let mut commit = Commit {
        txns: vec![(COMPACTION.to_owned(), now_millis())],
        ..Commit::default()
    };
    let (mut rows, mut written) = (0, Vec::new());
    for file in snapshot.state.log_data().iter() {
        let Some(day) = file.partition_values_map().remove(DAY).flatten() else {
            continue;
        };
        let path = file.object_store_path().to_string();
        let Some(cleared) = without(place, &path, day_number(&day)?, &ids).await? else {
            continue;
        };
        if let Some((mut anew, bytes)) = cleared.file {
            upload(place, &anew, bytes).await?;
            // Retention asks when rows landed, not when they were moved.
            anew.add.modification_time = file.modification_time();
            written.push(anew);
        }
        rows += cleared.erased;
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

/// The calls.
struct Ids {
    all: HashSet<String>,
    sorted: Vec<String>,
}

/// Whether a file has rows of these calls: by what it says of its row groups, then by the one column. Blocking.
fn has_any<R: ChunkReader + 'static>(place: &Place, file: R, ids: &Ids) -> Result<bool, LakeError> {
    let options = ArrowReaderOptions::new().with_schema(place.kind.file_schema());
    let file = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let Some(column) = (file.parquet_schema().columns().iter()).position(|column| column.name() == CALL_ID) else {
        return Ok(false);
    };
    let mut groups = Vec::new();
    for group in candidates(file.metadata(), column, &ids.sorted) {
        if ids.sorted.len() <= FEW
            && let Some(filter) = file.get_row_group_column_bloom_filter(group, column)?
            && !ids.sorted.iter().any(|id| filter.check(id.as_str()))
        {
            continue;
        }
        groups.push(group);
    }
    if groups.is_empty() {
        return Ok(false);
    }
    let mask = ProjectionMask::leaves(file.parquet_schema(), [column]);
    for batch in file.with_row_groups(groups).with_projection(mask).build()? {
        if theirs(&batch?, ids)?.true_count() > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Row groups whose least and greatest call have one of these between them.
fn candidates(file: &ParquetMetaData, column: usize, sorted: &[String]) -> Vec<usize> {
    let may = |group: usize| {
        let stats = file.row_group(group).column(column).statistics();
        let Some((min, max)) = stats.and_then(|stats| stats.min_bytes_opt().zip(stats.max_bytes_opt())) else {
            return true;
        };
        let at = sorted.partition_point(|id| id.as_bytes() < min);
        sorted.get(at).is_some_and(|id| id.as_bytes() <= max)
    };
    (0..file.num_row_groups()).filter(|group| may(*group)).collect()
}

/// Which rows are of these calls.
fn theirs(batch: &RecordBatch, ids: &Ids) -> Result<BooleanArray, LakeError> {
    let column = text(batch, CALL_ID)?;
    Ok((0..column.len())
        .map(|row| Some(!column.is_null(row) && ids.all.contains(column.value(row))))
        .collect())
}

struct Cleared {
    /// `None` if nothing is left.
    file: Option<(Written, Option<Vec<u8>>)>,
    erased: u64,
}

/// The file without these calls; `None` if it has none of them.
async fn without(place: &Place, path: &str, day: i32, ids: &Arc<Ids>) -> Result<Option<Cleared>, LakeError> {
    let (place, ids) = (place.clone(), Arc::clone(ids));
    match place.local.as_ref().map(|dir| dir.join(path)) {
        Some(path) => {
            let open = move || File::open(&path).map_err(|e| LakeError::io(&path, e));
            tokio::task::spawn_blocking(move || cleared(&place, open, day, &ids)).await?
        }
        None => {
            let store = place.log_store.object_store(None);
            let bytes: Bytes = store.get(&Path::from(path)).await?.bytes().await?;
            tokio::task::spawn_blocking(move || cleared(&place, || Ok(bytes.clone()), day, &ids)).await?
        }
    }
}

/// Blocking.
fn cleared<R: ChunkReader + 'static>(
    place: &Place,
    open: impl Fn() -> Result<R, LakeError>,
    day: i32,
    ids: &Ids,
) -> Result<Option<Cleared>, LakeError> {
    if !has_any(place, open()?, ids)? {
        return Ok(None);
    }
    let options = ArrowReaderOptions::new().with_schema(place.kind.file_schema());
    let file = open()?;
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let size = batch_size(reader.metadata());
    let mut writer = FileWriter::create(place, day, Purpose::Compact)?;
    let (mut erased, mut left) = (0, 0);
    for batch in reader.with_batch_size(size).build()? {
        let batch = batch?;
        let theirs = theirs(&batch, ids)?;
        erased += theirs.true_count() as u64;
        let rows = match place.kind {
            _ if theirs.true_count() == 0 => batch,
            TableKind::Events => in_place(&batch, &theirs)?,
            TableKind::Calls => filter_record_batch(&batch, &not(&theirs)?)?,
        };
        left += rows.num_rows();
        if rows.num_rows() > 0 {
            writer.write(&rows)?;
        }
    }
    let file = (left > 0).then(|| writer.finish(true)).transpose()?;
    Ok(Some(Cleared { file, erased }))
}

/// How many of a file's rows are decoded at once.
fn batch_size(file: &ParquetMetaData) -> usize {
    let bytes: i64 = file.row_groups().iter().map(|group| group.total_byte_size()).sum();
    let each = bytes / file.file_metadata().num_rows().max(1);
    (BATCH_BYTES / usize::try_from(each).unwrap_or_default().max(1)).clamp(1, BATCH_ROWS)
}

/// The rows of `events`, and in the place of each of theirs what stands for it: their order stays.
fn in_place(batch: &RecordBatch, theirs: &BooleanArray) -> Result<RecordBatch, LakeError> {
    let stones = tombstones(&filter_record_batch(batch, theirs)?)?;
    let mut next = 0..;
    let places: Vec<(usize, usize)> = (theirs.values().iter().enumerate())
        .map(|(row, theirs)| match theirs {
            true => (1, next.next().unwrap_or_default()),
            false => (0, row),
        })
        .collect();
    let columns = (batch.schema().fields().iter().zip(batch.columns()))
        .map(|(field, column)| {
            let stones = (stones.column_by_name(field.name()))
                .ok_or_else(|| ArrowError::SchemaError(format!("rows without column {}", field.name())))?;
            interleave(&[column.as_ref(), stones.as_ref()], &places)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
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
