//! Reading `events` back: records in the order of their journal, within bounded memory.

use datafusion::prelude::{Expr, SessionConfig, SessionContext, col, lit};
use event::{Chain, JournalId};
use futures::TryStreamExt as _;

use arrow::array::{Array as _, RecordBatch};

use crate::LakeError;
use crate::decode::{EventRows, RECORD_COLUMNS, int, text};
use crate::schema::TableKind;
use crate::source::Item;
use crate::store::Snapshot;

/// Offsets that are read and put in order at once, at most.
const WINDOW: i64 = 16_384;
/// How many at first, while nothing is known of their length.
const FIRST_WINDOW: i64 = 64;
/// Bytes that a window has at most, unless a single record has more.
const WINDOW_BYTES: usize = 64 << 20;
/// Rows of it that are decoded at once: only then is seen how long they are.
const WINDOW_ROWS: usize = 64;

/// A session for reading the lake internally: predicates go into the files.
pub(crate) fn session() -> SessionContext {
    SessionContext::new_with_config(reading())
}

fn reading() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(1);
    let parquet = &mut config.options_mut().execution.parquet;
    parquet.pushdown_filters = true;
    parquet.reorder_filters = true;
    config
}

/// Rows of a snapshot that meet `filter`, in no order, some columns only.
pub(crate) async fn read(
    snapshot: &Snapshot,
    kind: TableKind,
    columns: &[&str],
    filter: Option<Expr>,
) -> Result<datafusion::execution::SendableRecordBatchStream, LakeError> {
    read_in(&session(), snapshot, kind, columns, filter).await
}

async fn read_in(
    context: &SessionContext,
    snapshot: &Snapshot,
    kind: TableKind,
    columns: &[&str],
    filter: Option<Expr>,
) -> Result<datafusion::execution::SendableRecordBatchStream, LakeError> {
    snapshot.register_store(&context.state())?;
    let mut frame = context.read_table(snapshot.provider(kind)?)?;
    if let Some(filter) = filter {
        frame = frame.filter(filter)?;
    }
    let frame = frame.select(
        columns
            .iter()
            .map(|name| col(format!("\"{name}\"")))
            .collect::<Vec<_>>(),
    )?;
    Ok(frame.execute_stream().await?)
}

/// `journal_id = … AND offset >= from AND offset < to`.
pub(crate) fn range(journal: JournalId, from: i64, to: i64) -> Expr {
    (col("journal_id").eq(lit(journal.to_string())))
        .and(col("\"offset\"").gt_eq(lit(from)))
        .and(col("\"offset\"").lt(lit(to)))
}

/// The records of one journal in order, as many at once as fit into memory.
pub(crate) struct Windows<'a> {
    events: &'a Snapshot,
    journal: JournalId,
    at: i64,
    end: i64,
    size: i64,
    max_bytes: usize,
}

impl<'a> Windows<'a> {
    /// From `from` up to `end`.
    pub(crate) fn new(events: &'a Snapshot, journal: JournalId, from: i64, end: i64) -> Windows<'a> {
        Windows {
            events,
            journal,
            at: from,
            end,
            size: FIRST_WINDOW,
            max_bytes: WINDOW_BYTES,
        }
    }

    /// The next ones; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Item>>, LakeError> {
        while self.at < self.end {
            let to = (self.at + self.size).min(self.end);
            let (items, bytes) = match self.window(to).await? {
                Window::Whole(items, bytes) => (items, bytes),
                // Longer ones than those before them.
                Window::TooLong(fit) => {
                    self.size = fit.clamp(1, ((to - self.at) / 2).max(1));
                    continue;
                }
            };
            self.at = to;
            // The next are about as long as these.
            let each = (bytes / items.len().max(1)).max(1);
            let fit = i64::try_from(self.max_bytes / each).unwrap_or(WINDOW);
            self.size = fit.clamp(1, WINDOW.min(self.size * 8));
            return Ok(Some(items));
        }
        Ok(None)
    }

    /// The records up to `to` (exclusive), in order.
    async fn window(&self, to: i64) -> Result<Window, LakeError> {
        let filter = range(self.journal, self.at, to);
        let context = SessionContext::new_with_config(reading().with_batch_size(WINDOW_ROWS));
        let mut rows = read_in(&context, self.events, TableKind::Events, RECORD_COLUMNS, Some(filter)).await?;
        let (mut items, mut bytes) = (Vec::new(), 0);
        while let Some(batch) = rows.try_next().await? {
            let decoded = EventRows::of(&batch)?;
            for row in 0..batch.num_rows() {
                let item = decoded.item(row)?;
                bytes += item.size();
                items.push(item);
            }
            if bytes > self.max_bytes && to - self.at > 1 {
                return Ok(Window::TooLong(i64::try_from(items.len()).unwrap_or(WINDOW)));
            }
        }
        items.sort_by_key(Item::offset);
        Ok(Window::Whole(items, bytes))
    }
}

/// What reading a window gave.
enum Window {
    /// Its records, and their bytes.
    Whole(Vec<Item>, usize),
    /// More bytes than a window may have, and how many records those were.
    TooLong(i64),
}

/// The hash chain's value at a journal's record; `None` if the row does not say it, or is not there.
pub(crate) async fn chain_at(events: &Snapshot, journal: JournalId, at: i64) -> Result<Option<Chain>, LakeError> {
    let filter = range(journal, at, at + 1);
    let mut rows = read(events, TableKind::Events, &["chain"], Some(filter)).await?;
    let mut found = None;
    while let Some(batch) = rows.try_next().await? {
        let chains = text(&batch, "chain")?;
        found = found.or_else(|| chains.iter().flatten().find_map(|chain| chain.parse().ok()));
    }
    Ok(found)
}

/// A journal's landed offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) journal: JournalId,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) rows: u64,
}

/// The journals in a snapshot of `events`.
pub(crate) async fn extents(snapshot: &Snapshot) -> Result<Vec<Extent>, LakeError> {
    extents_where(snapshot, None).await
}

/// The journals in those rows of `events` that meet `filter`.
pub(crate) async fn extents_where(snapshot: &Snapshot, filter: Option<Expr>) -> Result<Vec<Extent>, LakeError> {
    let mut found: std::collections::BTreeMap<String, (i64, i64, u64)> = std::collections::BTreeMap::new();
    let mut add = |batch: &RecordBatch| -> Result<(), LakeError> {
        let (journals, offsets) = (text(batch, "journal_id")?, int(batch, "offset")?);
        let mut last: Option<(&str, (i64, i64, u64))> = None;
        for row in 0..journals.len() {
            let (journal, offset) = (journals.value(row), offsets.value(row));
            match &mut last {
                Some((name, (min, max, rows))) if *name == journal => {
                    *min = offset.min(*min);
                    *max = offset.max(*max);
                    *rows += 1;
                }
                _ => {
                    if let Some((name, extent)) = last.take() {
                        merge(&mut found, name, extent);
                    }
                    last = Some((journal, (offset, offset, 1)));
                }
            }
        }
        if let Some((name, extent)) = last {
            merge(&mut found, name, extent);
        }
        Ok(())
    };
    let mut rows = read(snapshot, TableKind::Events, &["journal_id", "offset"], filter).await?;
    while let Some(batch) = rows.try_next().await? {
        add(&batch)?;
    }
    (found.into_iter())
        .map(|(name, (min, max, rows))| {
            let journal = (name.parse()).map_err(|_| LakeError::Internal(format!("journal id {name} is no UUID")))?;
            Ok(Extent {
                journal,
                min,
                max,
                rows,
            })
        })
        .collect()
}

fn merge(found: &mut std::collections::BTreeMap<String, (i64, i64, u64)>, name: &str, extent: (i64, i64, u64)) {
    let (min, max, rows) = extent;
    match found.get_mut(name) {
        Some(all) => *all = (all.0.min(min), all.1.max(max), all.2 + rows),
        None => {
            found.insert(name.to_owned(), extent);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{JournalState, encode};
    use crate::commit::Commit;
    use crate::files::write_days;
    use crate::spill::Spill;
    use crate::store::Lake;

    /// Many short records, and then long ones: a window as wide as the short ones allow would have all of them.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_window_has_so_many_bytes_whatever_came_before() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        let table = lake.table(TableKind::Events);
        let journal_id = JournalId::new();
        let snapshot = table.load().await.unwrap();
        let (state, _) = JournalState::load(journal_id, &snapshot, &snapshot, &Spill::default())
            .await
            .unwrap();
        let item = |offset| Item::Unreadable {
            journal_id,
            offset,
            raw: vec![b'?'; if offset < 600 { 10 } else { 40_000 }],
            why: "torn".to_owned(),
        };
        let items: Vec<Item> = (0..700).map(item).collect();
        let rows = encode(&items, &mut [(journal_id, state)].into()).unwrap();
        let commit = Commit {
            files: write_days(&table.place, vec![rows.events]).await.unwrap(),
            ..Commit::default()
        };
        let snapshot = commit.run(table, &snapshot).await.unwrap();
        let mut windows = Windows {
            max_bytes: 500_000,
            ..Windows::new(&snapshot, journal_id, 0, 700)
        };
        let (mut next, mut most) = (0, 0);
        while let Some(items) = windows.next().await.unwrap() {
            for item in &items {
                assert_eq!(item.offset(), next);
                next += 1;
            }
            most = most.max(items.iter().map(Item::size).sum());
        }
        assert_eq!(next, 700);
        assert!(most <= 500_000, "{most}");
    }
}
