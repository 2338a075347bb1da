//! One commit against one snapshot: it lands as a whole, once, or not at all.

use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;

use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, TableReference, TransactionError};
use deltalake::kernel::{Action, Remove, Transaction, Version};
use deltalake::protocol::{DeltaOperation, SaveMode};

use crate::LakeError;
use crate::files::{Loose, Place, Written, make_version_durable};
use crate::schema::DAY;
use crate::store::{Snapshot, Table};

/// Names the commit in its `commitInfo`, so that it is known again if its outcome was not told.
const COMMIT_KEY: &str = "weirCommit";

/// What one commit does.
#[derive(Debug, Default)]
pub(crate) struct Commit {
    /// Files that it adds. They are gone afterwards if it did not come about.
    pub(crate) files: Vec<Written>,
    pub(crate) removes: Vec<Remove>,
    /// Transactions it moves on: two commits that share one cannot both come of the same snapshot.
    pub(crate) txns: Vec<(String, i64)>,
    /// Whether it only lays the same rows out anew.
    pub(crate) rearranges: bool,
}

impl Commit {
    /// Commits against `snapshot` and makes the log entry durable. A [`LakeError::Conflict`] means
    /// that nothing was written; any other error that the outcome was looked up and nothing of this
    /// commit was found. Either way the caller reloads and decides anew: nothing is retried blindly.
    pub(crate) async fn run(self, table: &Table, snapshot: &Snapshot) -> Result<Snapshot, LakeError> {
        let place = &table.place;
        let id = uuid::Uuid::now_v7().to_string();
        let operation = if self.rearranges {
            DeltaOperation::Optimize {
                predicate: None,
                target_size: crate::compact::TARGET_BYTES,
            }
        } else {
            let mode = if self.removes.is_empty() {
                SaveMode::Append
            } else {
                SaveMode::Overwrite
            };
            DeltaOperation::Write {
                mode,
                partition_by: Some(vec![DAY.to_owned()]),
                predicate: None,
            }
        };
        let mut actions: Vec<Action> = Vec::with_capacity(self.files.len() + self.removes.len() + self.txns.len());
        actions.extend(self.removes.into_iter().map(Action::Remove));
        // From here on the log may name the files, whatever becomes of this task.
        let mut paths = Vec::with_capacity(self.files.len());
        for (add, file) in self.files.into_iter().map(Written::into_parts) {
            actions.push(Action::Add(add));
            paths.extend(file.keep());
        }
        let now = now_millis();
        actions.extend(
            (self.txns.into_iter())
                .map(|(app, version)| Action::Txn(Transaction::new_with_last_update(app, version, Some(now)))),
        );
        // No post-commit hook: checkpoints and log clean-up are the maintenance task's, not landing's.
        let result = CommitBuilder::default()
            .with_actions(actions)
            .with_app_metadata(HashMap::from([(COMMIT_KEY.to_owned(), id.clone().into())]))
            .build(
                Some(&snapshot.state as &dyn TableReference),
                place.log_store.clone(),
                operation,
            )
            .await;
        let committed = match result {
            Ok(done) => Snapshot::new(done.snapshot, place.log_store.clone()),
            // The answer may have been lost on the way: look whether the commit is there. Where that cannot be
            // seen, its files stay, too.
            Err(error) => match find(table, snapshot, &id).await? {
                Some(now) => {
                    let (table, version) = (table.kind().name(), now.version());
                    tracing::warn!(table, version, %error, "a commit succeeded though its answer was an error");
                    now
                }
                None => {
                    paths.into_iter().map(Loose::at).for_each(drop);
                    return Err(refusal(table, error));
                }
            },
        };
        let committed = committed.following(snapshot).await;
        make_version_durable(place, committed.version()).await?;
        Ok(committed)
    }
}

/// Makes durable what `snapshot` was loaded from: its log entry, and the names of the folders that lead there.
/// Whoever committed it may have been killed, or may have failed, when the entry had its name and before that
/// was on the device; then a power cut takes it back. Until this returned, nothing may be forgotten on the
/// strength of that version.
pub(crate) async fn make_loaded_durable(table: &Table, snapshot: &Snapshot) -> Result<(), LakeError> {
    let Some(dir) = table.place.local.clone() else {
        return Ok(());
    };
    let version = snapshot.version();
    tokio::task::spawn_blocking(move || {
        let log = dir.join("_delta_log");
        let entry = log.join(format!("{version:020}.json"));
        // The table's folder, the lake's, and the one that has the lake's name.
        let folders = std::iter::once(log.as_path()).chain(dir.ancestors().take(3));
        for path in std::iter::once(entry.as_path()).chain(folders) {
            match File::open(path).and_then(|file| file.sync_all()) {
                // Upkeep has cleared it away: a checkpoint stands for it, which was durable before.
                Err(error) if error.kind() == ErrorKind::NotFound && path == entry => {}
                synced => synced.map_err(|error| LakeError::io(path, error))?,
            }
        }
        Ok(())
    })
    .await?
}

/// Why nothing was written.
fn refusal(table: &Table, error: DeltaTableError) -> LakeError {
    let conflict = matches!(
        error,
        DeltaTableError::Transaction {
            source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_)
        } | DeltaTableError::VersionAlreadyExists(_)
    );
    if conflict {
        return LakeError::Conflict {
            table: table.kind().name(),
            source: error,
        };
    }
    error.into()
}

/// The table, if a version after `before` is the commit of this id.
async fn find(table: &Table, before: &Snapshot, id: &str) -> Result<Option<Snapshot>, LakeError> {
    let now = table.load().await?;
    for version in before.version() + 1..=now.version() {
        if holds(&table.place, version, id).await? {
            return Ok(Some(now));
        }
    }
    Ok(None)
}

async fn holds(place: &Place, version: Version, id: &str) -> Result<bool, LakeError> {
    let entry = place.log_store.read_commit_entry(version).await?;
    let needle = format!("\"{COMMIT_KEY}\":\"{id}\"");
    Ok(entry.is_some_and(|bytes| bytes.windows(needle.len()).any(|window| window == needle.as_bytes())))
}

pub(crate) fn now_millis() -> i64 {
    journal::clock::unix_nano() / 1_000_000
}
