//! Parquet files: how rows are written, made durable, and described to Delta.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path as FsPath, PathBuf};

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{SortOptions, concat_batches, filter_record_batch, kernels::aggregate, sort_to_indices, take};
use arrow::datatypes::Date32Type;
use deltalake::kernel::Add;
use deltalake::logstore::LogStoreRef;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::LakeError;
use crate::commit::now_millis;
use crate::schema::{DAY, Kind, TableKind};
use crate::stats::Stats;

/// Rows in a row group.
const ROW_GROUP_ROWS: usize = 131_072;
/// A file ends a row group at so many bytes: until then all of it is in memory. Packed bytes, of what is packed.
const LANDED_GROUP_BYTES: usize = 8 << 20;
const PACKED_GROUP_BYTES: usize = 32 << 20;
/// Rows in a page.
const PAGE_ROWS: usize = 8_192;
/// Bytes of a page that lands, and of what is handed to the kernel at once: they are copied from one to the
/// other while they are still in the core's cache, and their memory is used again and not made anew.
const LANDED_PAGE_BYTES: usize = 64 << 10;
const WRITE_BYTES: usize = 128 << 10;

/// Who writes: it decides how hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Landing: fast.
    Land,
    /// Compaction and rebuilding: small.
    Compact,
}

/// How the file's name ends that landing wrote: compaction looks for these.
const LANDED: &str = ".landed.parquet";

/// Whether landing wrote the file, and nobody has packed it since.
pub(crate) fn is_landed(path: &str) -> bool {
    path.ends_with(LANDED)
}

/// How rows of this table are stored.
fn writer_properties(place: &Place, purpose: Purpose) -> Result<WriterProperties, LakeError> {
    let kind = place.kind;
    // Landing shares its cores with the calls, and what it writes is soon written anew: packing it would
    // be a third of the work. What has to go over a network is another matter.
    let compression = match purpose {
        Purpose::Land if place.local.is_some() => Compression::UNCOMPRESSED,
        Purpose::Land => Compression::LZ4_RAW,
        Purpose::Compact => Compression::ZSTD(ZstdLevel::try_new(3)?),
    };
    let mut props = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_created_by(format!("weir {}", env!("CARGO_PKG_VERSION")));
    if purpose == Purpose::Land {
        props = props.set_data_page_size_limit(LANDED_PAGE_BYTES);
    }
    for column in kind.columns() {
        let path = ColumnPath::from(column.name);
        match column.kind {
            Kind::Id | Kind::Key => {
                props = props.set_column_dictionary_enabled(path.clone(), false);
                if column.kind == Kind::Key {
                    props = props.set_column_bloom_filter_max_ndv(path, ROW_GROUP_ROWS as u64);
                }
            }
            Kind::Text | Kind::Bytes => {
                props = props
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            Kind::Int | Kind::Time => {
                props = props
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
            }
            Kind::Float => props = props.set_column_dictionary_enabled(path, false),
            Kind::Word | Kind::Bool | Kind::Day | Kind::Words => {}
        }
    }
    Ok(props.build())
}

/// Rows of one day, in the order in which they are stored.
pub(crate) struct DayRows {
    pub(crate) day: i32,
    pub(crate) rows: Vec<RecordBatch>,
}

/// Splits rows by their day, and sorts those of `calls` by their start.
pub(crate) fn by_day(kind: TableKind, batches: &[RecordBatch]) -> Result<Vec<DayRows>, LakeError> {
    let mut days: BTreeMap<i32, Vec<RecordBatch>> = BTreeMap::new();
    for batch in batches {
        let column = (batch.column_by_name(DAY))
            .ok_or_else(|| LakeError::Internal("rows without a day".to_owned()))?
            .as_primitive::<Date32Type>();
        let (Some(first), Some(last)) = (aggregate::min(column), aggregate::max(column)) else {
            continue;
        };
        if first == last {
            days.entry(first).or_default().push(batch.clone());
            continue;
        }
        let mut distinct: Vec<i32> = column.values().to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        for day in distinct {
            let mask: BooleanArray = column.values().iter().map(|value| Some(*value == day)).collect();
            let rows = filter_record_batch(batch, &mask)?;
            days.entry(day).or_default().push(rows);
        }
    }
    let mut out = Vec::with_capacity(days.len());
    for (day, rows) in days {
        let rows = match kind {
            TableKind::Events => rows,
            TableKind::Calls => vec![sorted(&rows, "started_at")?],
        };
        out.push(DayRows { day, rows });
    }
    Ok(out)
}

fn sorted(batches: &[RecordBatch], by: &str) -> Result<RecordBatch, LakeError> {
    let Some(first) = batches.first() else {
        return Err(LakeError::Internal("no rows to sort".to_owned()));
    };
    let all = concat_batches(&first.schema(), batches)?;
    let Some(key) = all.column_by_name(by) else {
        return Ok(all);
    };
    let order: UInt32Array = sort_to_indices(key, Some(SortOptions::default()), None)?;
    let columns = (all.columns().iter())
        .map(|column| take(column, &order, None))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(all.schema(), columns)?)
}

/// Where a table's files go: a local directory, which we make durable ourselves, or an object store.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kind: TableKind,
    pub(crate) log_store: LogStoreRef,
    /// The table's directory if it is local.
    pub(crate) local: Option<PathBuf>,
}

/// A file that was written: its action for the log, and its place on disk if it is local. Until a commit
/// takes it, the file goes when this does.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) add: Add,
    file: Loose,
}

impl Written {
    /// For the commit that is to name it.
    pub(crate) fn into_parts(self) -> (Add, Loose) {
        (self.add, self.file)
    }
}

/// A local file that no log names, whole or not: it goes when nobody holds it any more. What a failed write
/// left would stay for a day, and try by try take whatever room somebody makes on a full disk.
#[derive(Debug, Default)]
pub(crate) struct Loose(Option<PathBuf>);

impl Loose {
    /// The file at this path.
    pub(crate) fn at(path: PathBuf) -> Loose {
        Loose(Some(path))
    }

    /// Lets the file be: a log may name it from now on.
    pub(crate) fn keep(mut self) -> Option<PathBuf> {
        self.0.take()
    }

    fn path(&self) -> &FsPath {
        self.0.as_deref().unwrap_or(FsPath::new("memory"))
    }

    /// What the system said when this file was written, and not that Parquet heard it.
    fn failed(&self, error: ParquetError) -> LakeError {
        match error {
            ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
                Ok(error) => LakeError::io(self.path(), *error),
                Err(inner) => ParquetError::External(inner).into(),
            },
            other => other.into(),
        }
    }
}

impl Drop for Loose {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a file that did not land stays for now: upkeep removes it after a day");
        }
    }
}

/// A Parquet file being written, one day's rows of one table.
pub(crate) struct FileWriter {
    place: Place,
    name: String,
    day: String,
    writer: ArrowWriter<Sink>,
    file: Loose,
    purpose: Purpose,
    stats: Stats,
}

enum Sink {
    Disk(BufWriter<File>, u64),
    Memory(Vec<u8>),
}

impl Write for Sink {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self {
            Sink::Disk(file, size) => {
                let n = file.write(buf)?;
                *size += n as u64;
                Ok(n)
            }
            Sink::Memory(bytes) => bytes.write(buf),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Sink::Disk(file, _) => file.flush(),
            Sink::Memory(_) => Ok(()),
        }
    }
}

impl FileWriter {
    /// Begins a file for rows of `day` (days since 1970). Blocking.
    pub(crate) fn create(place: &Place, day: i32, purpose: Purpose) -> Result<FileWriter, LakeError> {
        let day = day_text(day);
        let end = if purpose == Purpose::Land { LANDED } else { ".parquet" };
        let name = format!("{DAY}={day}/{}{end}", uuid::Uuid::now_v7());
        let mut loose = Loose::default();
        let sink = match place.local.as_ref().map(|dir| dir.join(&name)) {
            Some(path) => {
                if let Some(dir) = path.parent() {
                    std::fs::create_dir_all(dir).map_err(|e| LakeError::io(dir, e))?;
                }
                let file = File::create_new(&path).map_err(|e| LakeError::io(&path, e))?;
                loose = Loose::at(path);
                Sink::Disk(BufWriter::with_capacity(WRITE_BYTES, file), 0)
            }
            None => Sink::Memory(Vec::new()),
        };
        let props = writer_properties(place, purpose)?;
        let writer = ArrowWriter::try_new(sink, place.kind.file_schema(), Some(props)).map_err(|e| loose.failed(e))?;
        Ok(FileWriter {
            place: place.clone(),
            name,
            day,
            writer,
            file: loose,
            purpose,
            stats: Stats::new(place.kind),
        })
    }

    /// Adds rows; the day column, if they have it, is left out. Blocking.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), LakeError> {
        let schema = self.place.kind.file_schema();
        let columns = (schema.fields().iter())
            .map(|field| {
                rows.column_by_name(field.name())
                    .cloned()
                    .ok_or_else(|| LakeError::Internal(format!("rows without column {}", field.name())))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new(schema, columns)?;
        self.stats.add(&rows);
        self.writer.write(&rows).map_err(|e| self.file.failed(e))?;
        let most = match self.purpose {
            Purpose::Land => LANDED_GROUP_BYTES,
            Purpose::Compact => PACKED_GROUP_BYTES,
        };
        if self.writer.in_progress_size() >= most {
            self.writer.flush().map_err(|e| self.file.failed(e))?;
        }
        Ok(())
    }

    /// Bytes written so far, the open row group's estimate included.
    pub(crate) fn size(&self) -> usize {
        self.writer.bytes_written() + self.writer.in_progress_size()
    }

    /// Ends the file. It is not durable yet. Blocking.
    pub(crate) fn finish(self, data_change: bool) -> Result<(Written, Option<Vec<u8>>), LakeError> {
        let mut sink = self.writer.into_inner().map_err(|e| self.file.failed(e))?;
        let (size, bytes) = match &mut sink {
            Sink::Disk(file, size) => {
                file.flush().map_err(|e| LakeError::io(self.file.path(), e))?;
                (*size, None)
            }
            Sink::Memory(bytes) => (bytes.len() as u64, Some(std::mem::take(bytes))),
        };
        let add = Add {
            path: self.name,
            partition_values: HashMap::from([(DAY.to_owned(), Some(self.day))]),
            size: i64::try_from(size).unwrap_or(i64::MAX),
            modification_time: now_millis(),
            data_change,
            stats: Some(self.stats.finish().to_string()),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        };
        let file = self.file;
        Ok((Written { add, file }, bytes))
    }
}

/// Writes rows, one file a day. Local files are not durable yet.
pub(crate) async fn write_days(place: &Place, batches: Vec<RecordBatch>) -> Result<Vec<Written>, LakeError> {
    let task_place = place.clone();
    let files = tokio::task::spawn_blocking(move || {
        let mut files = Vec::new();
        for rows in by_day(task_place.kind, &batches)? {
            let mut file = FileWriter::create(&task_place, rows.day, Purpose::Land)?;
            for batch in &rows.rows {
                file.write(batch)?;
            }
            files.push(file.finish(true)?);
        }
        Ok::<_, LakeError>(files)
    })
    .await??;
    let mut written = Vec::with_capacity(files.len());
    for (file, bytes) in files {
        upload(place, &file, bytes).await?;
        written.push(file);
    }
    Ok(written)
}

/// Sends a file that was built in memory to its object store.
pub(crate) async fn upload(place: &Place, file: &Written, bytes: Option<Vec<u8>>) -> Result<(), LakeError> {
    if let Some(bytes) = bytes {
        let store = place.log_store.object_store(None);
        store.put(&Path::from(file.add.path.as_str()), bytes.into()).await?;
    }
    Ok(())
}

/// Makes local files durable: their bytes, and their names in their directories. An object store
/// has done so when it acknowledged them; `object_store` does not do it for local files.
pub(crate) async fn make_durable(place: &Place, files: &[Written]) -> Result<(), LakeError> {
    let Some(table) = place.local.clone() else {
        return Ok(());
    };
    let paths: Vec<PathBuf> = files.iter().filter_map(|file| file.file.0.clone()).collect();
    tokio::task::spawn_blocking(move || {
        let mut dirs: Vec<PathBuf> = vec![table];
        for path in &paths {
            sync(path)?;
            if let Some(dir) = path.parent() {
                dirs.push(dir.to_owned());
            }
        }
        dirs.sort();
        dirs.dedup();
        // Children before parents.
        dirs.iter().rev().try_for_each(|dir| sync(dir))
    })
    .await?
}

/// Bytes that a local table may still take, and how many its file system has in all. Blocking.
pub(crate) fn room(dir: &FsPath) -> Result<(u64, u64), LakeError> {
    let found = rustix::fs::statvfs(dir).map_err(|e| LakeError::io(dir, e.into()))?;
    Ok((
        found.f_bavail.saturating_mul(found.f_frsize),
        found.f_blocks.saturating_mul(found.f_frsize),
    ))
}

/// Makes the log entry of a version durable. Until this returned, nothing may be forgotten on the
/// strength of that version.
pub(crate) async fn make_version_durable(place: &Place, version: u64) -> Result<(), LakeError> {
    let Some(table) = place.local.clone() else {
        return Ok(());
    };
    tokio::task::spawn_blocking(move || {
        let log = table.join("_delta_log");
        sync(&log.join(format!("{version:020}.json")))?;
        sync(&log)?;
        sync(&table)
    })
    .await?
}

fn sync(path: &FsPath) -> Result<(), LakeError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|e| LakeError::io(path, e))
}

/// `2026-01-31`, as Delta writes a partition value.
pub(crate) fn day_text(day: i32) -> String {
    Date32Type::to_naive_date_opt(day)
        .map(|date| date.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commit::Commit;
    use crate::encode::CallRows;
    use crate::store::Lake;
    use event::{Call, CallId, JournalId};

    fn rows() -> RecordBatch {
        let mut rows = CallRows::new();
        rows.append(&Call {
            call_id: Some(CallId::new()),
            journal_id: Some(JournalId::new()),
            started_unix_nano: Some(0),
            ..Call::default()
        });
        rows.finish().unwrap()
    }

    fn count(dir: &FsPath) -> usize {
        std::fs::read_dir(dir.join("calls/day=1970-01-01")).unwrap().count()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_no_log_names_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        let table = lake.table(TableKind::Calls);
        // A file that was begun.
        let mut file = FileWriter::create(&table.place, 0, Purpose::Land).unwrap();
        file.write(&rows()).unwrap();
        assert_eq!(count(dir.path()), 1);
        drop(file);
        assert_eq!(count(dir.path()), 0);
        // One that is whole, and that nobody commits.
        let written = write_days(&table.place, vec![rows()]).await.unwrap();
        assert_eq!((written.len(), count(dir.path())), (1, 1));
        drop(written);
        assert_eq!(count(dir.path()), 0);
        // Of two commits of the same snapshot only the first comes about.
        let snapshot = table.load().await.unwrap();
        for (outcome, files) in [(true, 1), (false, 1)] {
            let commit = Commit {
                files: write_days(&table.place, vec![rows()]).await.unwrap(),
                txns: vec![("one".to_owned(), 1)],
                ..Commit::default()
            };
            let done = commit.run(table, &snapshot).await;
            assert_eq!(done.is_ok(), outcome, "{:?}", done.err());
            assert_eq!(count(dir.path()), files);
        }
        assert_eq!(table.load().await.unwrap().size().0, 1);
    }

    #[test]
    fn what_the_system_says_is_told_with_the_path() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let file = Loose::at("/no/such/lake/day=1970-01-01/a.parquet".into());
        let error = file.failed(ParquetError::from(full()));
        drop(file.keep());
        let text = error.to_string();
        assert!(text.starts_with("/no/such/lake/day=1970-01-01/a.parquet: "), "{text}");
        assert!(text.contains("make room there"), "{text}");
    }
}
