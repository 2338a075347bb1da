//! The transactions of a table's version, all at once.
//!
//! Delta's own look-up reads the log back for each name. A lander asks for every journal, of which
//! there may be hundreds, at each landing: here the log is read once, and then followed commit by
//! commit. Whatever cannot be understood leaves the answer to Delta.

use std::collections::HashMap;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use deltalake::logstore::LogStoreRef;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Deserialize;

/// Commits that are read one by one; behind more of them there should have been a checkpoint.
const MAX_COMMITS: u64 = 1000;

/// Names and numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Txns {
    known: HashMap<String, i64>,
    /// Whether what is not known is not there.
    complete: bool,
}

#[derive(Deserialize)]
struct Line {
    txn: Option<Txn>,
}

#[derive(Deserialize)]
struct Txn {
    #[serde(rename = "appId")]
    app: String,
    version: i64,
}

#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
    parts: Option<u64>,
}

impl Txns {
    /// Reads the log up to `version`.
    pub(crate) async fn load(log: &LogStoreRef, version: u64) -> Txns {
        let checkpoint = checkpoint(log, version).await;
        let (from, start) = match checkpoint {
            Checkpoint::None => (0, Txns::empty()),
            Checkpoint::At(at, known) => (at + 1, Txns { known, complete: true }),
            Checkpoint::Unknown => return Txns::default(),
        };
        start.follow(log, from, version).await
    }

    /// The transactions at `to`, these being those at `after`.
    pub(crate) async fn after(&self, log: &LogStoreRef, after: u64, to: u64) -> Txns {
        self.clone().follow(log, after + 1, to).await
    }

    /// The number of a name; `Err` if only Delta can tell.
    pub(crate) fn get(&self, app: &str) -> Result<Option<i64>, ()> {
        match self.known.get(app) {
            Some(version) => Ok(Some(*version)),
            None if self.complete => Ok(None),
            None => Err(()),
        }
    }

    /// Names that begin like this, without the beginning, and their numbers.
    pub(crate) fn named<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, i64)> {
        (self.known.iter()).filter_map(move |(app, version)| Some((app.strip_prefix(prefix)?, *version)))
    }

    fn empty() -> Txns {
        Txns {
            known: HashMap::new(),
            complete: true,
        }
    }

    async fn follow(mut self, log: &LogStoreRef, from: u64, to: u64) -> Txns {
        if to + 1 < from || to + 1 - from > MAX_COMMITS {
            return Txns::default();
        }
        for version in from..=to {
            let Ok(Some(commit)) = log.read_commit_entry(version).await else {
                return Txns::default();
            };
            if !self.apply(&commit) {
                return Txns::default();
            }
        }
        self
    }

    /// Takes in a commit; `false` if it cannot be understood.
    fn apply(&mut self, commit: &[u8]) -> bool {
        for line in commit.split(|byte| *byte == b'\n') {
            // Most lines are files, with their statistics.
            if !line.trim_ascii_start().starts_with(br#"{"txn""#) {
                continue;
            }
            match serde_json::from_slice::<Line>(line) {
                Ok(Line { txn: Some(txn) }) => self.known.insert(txn.app, txn.version),
                _ => return false,
            };
        }
        true
    }
}

enum Checkpoint {
    None,
    At(u64, HashMap<String, i64>),
    Unknown,
}

async fn checkpoint(log: &LogStoreRef, version: u64) -> Checkpoint {
    let store = log.object_store(None);
    let get = async |path: String| -> Result<Bytes, object_store::Error> {
        store.get(&Path::from(path)).await?.bytes().await
    };
    let hint = match get("_delta_log/_last_checkpoint".to_owned()).await {
        Ok(bytes) => bytes,
        Err(object_store::Error::NotFound { .. }) => return Checkpoint::None,
        Err(_) => return Checkpoint::Unknown,
    };
    let Ok(hint) = serde_json::from_slice::<LastCheckpoint>(&hint) else {
        return Checkpoint::Unknown;
    };
    if hint.parts.is_some() || hint.version > version {
        return Checkpoint::Unknown;
    }
    let Ok(bytes) = get(format!("_delta_log/{:020}.checkpoint.parquet", hint.version)).await else {
        return Checkpoint::Unknown;
    };
    match tokio::task::spawn_blocking(move || of_checkpoint(bytes)).await {
        Ok(Some(known)) => Checkpoint::At(hint.version, known),
        _ => Checkpoint::Unknown,
    }
}

/// The column `txn` of a checkpoint. Blocking.
fn of_checkpoint(bytes: Bytes) -> Option<HashMap<String, i64>> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).ok()?;
    let at = builder.schema().index_of("txn").ok()?;
    let mask = ProjectionMask::roots(builder.parquet_schema(), [at]);
    let mut known = HashMap::new();
    for batch in builder.with_projection(mask).build().ok()? {
        let batch = batch.ok()?;
        let txns = batch.column(0).as_struct_opt()?;
        let apps = txns.column_by_name("appId")?.as_string_opt::<i32>()?;
        let versions = txns.column_by_name("version")?.as_primitive_opt::<Int64Type>()?;
        for row in 0..txns.len() {
            if !txns.is_null(row) && !apps.is_null(row) {
                known.insert(apps.value(row).to_owned(), versions.value(row));
            }
        }
    }
    Some(known)
}

#[cfg(test)]
mod tests {
    use crate::commit::Commit;
    use crate::store::{Lake, Snapshot};
    use crate::{TableKind, compact_now};

    /// What we say is what Delta says, and Delta need not be asked.
    async fn agrees(snapshot: &Snapshot, names: &[&str]) {
        for name in names {
            let delta = snapshot.transaction_of_delta(name).await.unwrap();
            assert_eq!(snapshot.txn(name).await.unwrap(), delta, "{name}");
        }
        assert!(snapshot.txns().await.complete);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn they_are_those_of_delta() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        let table = lake.table(TableKind::Events);
        let names = ["a", "n0", "n1", "n4", "n5", "n9", "nobody"];
        let mut snapshot = table.load().await.unwrap();
        agrees(&snapshot, &names).await;
        for round in 0..10 {
            let commit = Commit {
                txns: vec![("a".to_owned(), round), (format!("n{round}"), round)],
                ..Commit::default()
            };
            // Every other time from a stale handle: another commit came in between.
            let stale = table.load().await.unwrap();
            snapshot = commit.run(table, &snapshot).await.unwrap();
            agrees(&snapshot, &names).await;
            if round % 2 == 0 {
                let commit = Commit {
                    txns: vec![(format!("b{round}"), round)],
                    ..Commit::default()
                };
                snapshot = commit.run(table, &stale).await.unwrap();
                agrees(&snapshot, &names).await;
            }
            if round == 5 {
                // A checkpoint, and the commits before it are no longer needed.
                compact_now(&lake).await.unwrap();
            }
        }
        let fresh = table.load().await.unwrap();
        agrees(&fresh, &names).await;
        assert_eq!(fresh.txn("a").await.unwrap(), Some(9));
        let log = std::fs::read_dir(dir.path().join("events/_delta_log")).unwrap();
        let checkpoints = log.filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains("checkpoint")
        });
        assert!(checkpoints.count() >= 2, "a checkpoint and the hint to it");
    }
}
