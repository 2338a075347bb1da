//! What the lake holds, from its log alone; how far the journal has come, from its newest segment.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::batch::txn;
use crate::store::{Lake, Snapshot};
use crate::{LakeError, TableKind};

/// The lake at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LakeStatus {
    /// Where it lies.
    pub location: String,
    /// Its tables.
    pub tables: Vec<TableStatus>,
    /// The journals that have landed in it, and the one of this data folder.
    pub journals: Vec<JournalStatus>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TableStatus {
    /// Its name.
    pub name: &'static str,
    /// Its Delta version.
    pub version: u64,
    /// Data files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows.
    pub rows: u64,
}

/// How far one journal has landed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JournalStatus {
    /// The journal.
    pub journal_id: String,
    /// Every event before this offset is in `events`.
    pub events_next: i64,
    /// Every call that ended before this offset is in `calls`.
    pub calls_next: i64,
    /// Where the journal itself ends; `None` if its folder is not here.
    pub journal_end: Option<i64>,
    /// Records that have not landed yet; `None` if the journal is not here.
    pub lag: Option<i64>,
}

impl LakeStatus {
    /// Reads it; `journal` is the data folder's journal, if there is one.
    pub async fn read(lake: &Lake, journal: Option<&Path>) -> Result<LakeStatus, LakeError> {
        let mut tables = Vec::new();
        let mut snapshots = Vec::new();
        for kind in TableKind::ALL {
            let snapshot = lake.table(kind).load().await?;
            let (files, bytes, rows) = snapshot.size();
            tables.push(TableStatus {
                name: kind.name(),
                version: snapshot.version(),
                files,
                bytes,
                rows,
            });
            snapshots.push(snapshot);
        }
        let [events, calls] = snapshots.as_slice() else {
            return Err(LakeError::Internal("a lake has two tables".to_owned()));
        };
        let mut ids = journals(events).await;
        let here = match journal.map(Path::to_owned) {
            Some(dir) => tokio::task::spawn_blocking(move || journal::tool::end(&dir).ok().flatten()).await?,
            None => None,
        };
        let here = here.map(|(id, end)| (id.to_string(), end));
        ids.extend(here.iter().map(|(id, _)| id.clone()));
        let mut journals = Vec::new();
        for id in ids {
            let Ok(journal) = id.parse() else { continue };
            let events_next = events.txn(&txn::offset(journal)).await?.unwrap_or(0);
            let journal_end = here.as_ref().filter(|(here, _)| *here == id).map(|(_, end)| *end);
            journals.push(JournalStatus {
                journal_id: id,
                events_next,
                calls_next: calls.txn(&txn::calls(journal)).await?.unwrap_or(0),
                journal_end,
                lag: journal_end.map(|end| (end - events_next).max(0)),
            });
        }
        Ok(LakeStatus {
            location: lake.location().to_owned(),
            tables,
            journals,
        })
    }
}

/// The journals of which something has landed: those that the transactions name, whether or not a row of
/// them is left, and those that the files' statistics name. (A file has those of one source: its smallest
/// and its largest are nearly always all.)
pub(crate) async fn journals(events: &Snapshot) -> BTreeSet<String> {
    let landed = events.txns().await.named(txn::OFFSET).filter(|(_, next)| *next > 0);
    let mut found: BTreeSet<String> = landed.map(|(id, _)| id.to_owned()).collect();
    for file in events.state.log_data().iter() {
        let Some(stats) = file.stats().and_then(|text| serde_json::from_str::<Value>(&text).ok()) else {
            continue;
        };
        for end in ["minValues", "maxValues"] {
            if let Some(id) = stats.get(end).and_then(|values| values.get("journal_id")?.as_str()) {
                found.insert(id.to_owned());
            }
        }
    }
    found
}

impl std::fmt::Display for LakeStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "lake {}", self.location)?;
        for table in &self.tables {
            writeln!(
                f,
                "  {:<7} version {}, {} rows in {} files, {:.1} MB",
                table.name,
                table.version,
                table.rows,
                table.files,
                bytes_mb(table.bytes)
            )?;
        }
        for journal in &self.journals {
            write!(
                f,
                "  journal {}: events landed to {}, calls to {}",
                journal.journal_id, journal.events_next, journal.calls_next
            )?;
            match journal.lag {
                Some(0) => writeln!(f, ", nothing waits")?,
                Some(lag) => writeln!(f, ", {lag} records wait in the journal")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn bytes_mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
