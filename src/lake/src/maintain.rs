//! Upkeep in the background: compaction, checkpoints, removal of what nobody needs any more.

use std::time::{Duration, Instant};

use deltalake::DeltaTable;
use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake::operations::vacuum::VacuumMode;
use journal::clock;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tokio::sync::watch;

use crate::LakeError;
use crate::compact::{CompactReport, compact};
use crate::encode::day_of;
use crate::files::day_text;
use crate::retention::{Due, expire_due, is_doubtful, is_due};
use crate::store::{Lake, Table};

/// How often upkeep is done, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaintainOptions {
    /// Pause between two runs.
    pub every: Duration,
    /// A day's small files are made one when there are so many.
    pub min_files: usize,
    /// A checkpoint is written after so many versions.
    pub checkpoint_versions: u64,
    /// Pause between two removals of old files; the first is with the first run. A file goes a day after the
    /// table let go of it, or later, so that no reader loses it.
    pub vacuum_every: Duration,
    /// Days that are kept, today not among them; 0: all.
    pub keep_days: u32,
}

impl Default for MaintainOptions {
    fn default() -> MaintainOptions {
        MaintainOptions {
            every: Duration::from_secs(300),
            min_files: 16,
            checkpoint_versions: 50,
            vacuum_every: Duration::from_secs(6 * 3600),
            keep_days: 0,
        }
    }
}

/// Does upkeep until `stop` becomes true or its sender is gone. Faults are logged and tried again at
/// the next run: upkeep never holds up landing.
pub async fn maintain(lake: Lake, options: MaintainOptions, mut stop: watch::Receiver<bool>) {
    // The first run removes: of a process that is started anew every few hours no other may ever come.
    let mut vacuumed: Option<Instant> = None;
    let mut clock = Clock::default();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(options.every) => {}
        }
        let trusted = clock.is_trusted();
        let vacuum = trusted && vacuumed.is_none_or(|last| last.elapsed() >= options.vacuum_every);
        if vacuum {
            vacuumed = Some(Instant::now());
        }
        // The log, too, is cut by the clock.
        let options = match trusted {
            true => options,
            false => MaintainOptions {
                keep_days: 0,
                checkpoint_versions: u64::MAX / 2,
                ..options
            },
        };
        match run(&lake, &options, vacuum).await {
            Ok(report) => tracing::debug!(?report, "lake upkeep done"),
            Err(error) => tracing::warn!(%error, "lake upkeep failed: it is tried again"),
        }
    }
}

/// One run of upkeep, at once: `weir lake compact`.
pub async fn compact_now(lake: &Lake) -> Result<CompactReport, LakeError> {
    let options = MaintainOptions {
        min_files: 2,
        checkpoint_versions: 1,
        ..MaintainOptions::default()
    };
    run(lake, &options, true).await
}

/// A step that fails does not keep the others from being done, least of all removal, which makes room. The
/// first error is given back.
async fn run(lake: &Lake, options: &MaintainOptions, vacuum: bool) -> Result<CompactReport, LakeError> {
    let mut failed = None;
    let mut note = |step: &str, result: Result<(), LakeError>| {
        if let Err(error) = result {
            tracing::debug!(step, %error, "a step of upkeep failed");
            failed.get_or_insert(error);
        }
    };
    if options.keep_days > 0 {
        note("retention", retain(lake, options.keep_days, clock::unix_nano()).await);
    }
    if vacuum {
        for table in lake.tables() {
            note("removal", remove_old(table).await);
        }
    }
    let mut report = CompactReport::default();
    note(
        "compaction",
        compact(lake, options.min_files).await.map(|done| report = done),
    );
    for table in lake.tables() {
        note("checkpoint", checkpoint(table, options.checkpoint_versions).await);
    }
    failed.map_or(Ok(report), Err)
}

/// Takes away what is older than so many days at `now`, ns since 1970.
async fn retain(lake: &Lake, keep_days: u32, now: i64) -> Result<(), LakeError> {
    let due = Due::after(keep_days, now);
    if !is_due(lake, &due).await? {
        return Ok(());
    }
    if is_doubtful(lake, keep_days, now / 1_000_000).await? {
        tracing::error!(
            today = day_text(day_of(now)),
            keep_days,
            "by this machine's clock nothing landed for a very long time, so no old day is taken away: set the clock right, or run `weir lake expire --before DAY` if it is"
        );
        return Ok(());
    }
    let report = expire_due(lake, &due).await?;
    if !report.days.is_empty() {
        tracing::info!(?report, "days were taken away, as the retention says");
    }
    Ok(())
}

/// A clock that has jumped ahead makes everything look old: nothing is removed by it for a day.
#[derive(Default)]
struct Clock {
    watch: clock::Watch,
    /// Since when, and by how much, ns.
    ahead: Option<(Instant, i64)>,
}

/// How far ahead, ns.
const FAR: i64 = 3_600_000_000_000;
const DISTRUST: Duration = Duration::from_secs(24 * 3600);

impl Clock {
    fn is_trusted(&mut self) -> bool {
        let jumped = self.watch.jumped();
        self.judge(jumped)
    }

    fn judge(&mut self, jumped: Option<i64>) -> bool {
        let (mut since, before) = self.ahead.unwrap_or((Instant::now(), 0));
        let ahead = before.saturating_add(jumped.unwrap_or_default()).max(0);
        if ahead > FAR && (before <= FAR || jumped > Some(FAR)) {
            since = Instant::now();
            tracing::warn!(
                seconds = ahead / 1_000_000_000,
                "the clock has jumped ahead: old days and files are left alone for a day, or until it is set back"
            );
        }
        self.ahead = (ahead > 0 && since.elapsed() < DISTRUST).then_some((since, ahead));
        self.ahead.is_none_or(|(_, ahead)| ahead <= FAR)
    }
}

/// Writes a checkpoint if the last one is `versions` behind, and makes it durable before any log
/// entry goes that it stands for.
async fn checkpoint(table: &Table, versions: u64) -> Result<(), LakeError> {
    let mut delta = DeltaTable::new(table.place.log_store.clone());
    delta.load().await?;
    let now = delta.version().unwrap_or_default();
    if now < last_checkpoint(table).await + versions {
        return Ok(());
    }
    create_checkpoint(&delta, None).await?;
    sync_checkpoints(table).await?;
    let removed = cleanup_metadata(&delta, None).await?;
    tracing::debug!(table = table.kind().name(), version = now, removed, "checkpoint");
    Ok(())
}

async fn last_checkpoint(table: &Table) -> u64 {
    let store = table.place.log_store.object_store(None);
    let Ok(found) = store.get(&Path::from("_delta_log/_last_checkpoint")).await else {
        return 0;
    };
    let Ok(bytes) = found.bytes().await else { return 0 };
    serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|hint| hint.get("version")?.as_u64())
        .unwrap_or_default()
}

async fn sync_checkpoints(table: &Table) -> Result<(), LakeError> {
    let Some(dir) = table.place.local.as_ref().map(|dir| dir.join("_delta_log")) else {
        return Ok(());
    };
    tokio::task::spawn_blocking(move || {
        let failed = |e| LakeError::io(&dir, e);
        for entry in std::fs::read_dir(&dir).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.contains("checkpoint") {
                let synced = std::fs::File::open(&path).and_then(|file| file.sync_all());
                synced.map_err(|e| LakeError::io(&path, e))?;
            }
        }
        std::fs::File::open(&dir)
            .and_then(|file| file.sync_all())
            .map_err(failed)
    })
    .await?
}

async fn remove_old(table: &Table) -> Result<(), LakeError> {
    let mut delta = DeltaTable::new(table.place.log_store.clone());
    delta.load().await?;
    // Files of landings that were cut short are in no log: only a full look finds them. What is
    // younger than the table's retention, a landing under way included, is left alone.
    let (_, metrics) = delta.vacuum().with_mode(VacuumMode::Full).await?;
    tracing::debug!(
        table = table.kind().name(),
        files = metrics.files_deleted.len(),
        "old files removed"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_compaction_that_fails_keeps_nothing_from_being_removed() {
        use crate::TableKind;
        use crate::commit::Commit;
        use crate::encode::CallRows;
        use crate::files::write_days;

        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        let table = lake.table(TableKind::Calls);
        let mut snapshot = table.load().await.unwrap();
        for _ in 0..2 {
            let mut rows = CallRows::new();
            rows.append(&event::Call {
                call_id: Some(event::CallId::new()),
                journal_id: Some(event::JournalId::new()),
                ..event::Call::default()
            });
            let rows = rows.finish().unwrap();
            let commit = Commit {
                files: write_days(&table.place, vec![rows]).await.unwrap(),
                ..Commit::default()
            };
            snapshot = commit.run(table, &snapshot).await.unwrap();
        }
        let days = dir.path().join("calls/day=1970-01-01");
        let lost = std::fs::read_dir(&days).unwrap().next().unwrap().unwrap().path();
        std::fs::rename(&lost, dir.path().join("elsewhere")).unwrap();
        let orphan = orphan(&days);
        let failed = compact_now(&lake).await.unwrap_err();
        assert!(failed.to_string().contains(lost.to_str().unwrap()), "{failed}");
        assert!(!orphan.exists());
    }

    /// A file in no log, of three days ago.
    fn orphan(dir: &std::path::Path) -> std::path::PathBuf {
        let path = dir.join("orphan.parquet");
        std::fs::write(&path, "torn").unwrap();
        let old = std::time::SystemTime::now() - 3 * DISTRUST;
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(old).unwrap();
        path
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_old_goes_with_the_first_run() {
        let dir = tempfile::tempdir().unwrap();
        let lake = Lake::create(dir.path().to_str().unwrap()).await.unwrap();
        let orphan = orphan(&dir.path().join("calls"));
        let options = MaintainOptions {
            every: Duration::from_millis(1),
            ..MaintainOptions::default()
        };
        let (stop, stopped) = watch::channel(false);
        let upkeep = tokio::spawn(maintain(lake, options, stopped));
        let began = Instant::now();
        while orphan.exists() && began.elapsed() < Duration::from_secs(20) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stop.send(true).unwrap();
        upkeep.await.unwrap();
        assert!(!orphan.exists());
    }

    #[test]
    fn a_clock_that_jumped_ahead_is_not_trusted_until_it_is_back() {
        let mut clock = Clock::default();
        assert!(
            clock.judge(None) && clock.judge(Some(FAR / 2)),
            "a little is a correction"
        );
        assert!(!clock.judge(Some(FAR)));
        assert!(!clock.judge(None), "it is still ahead");
        assert!(clock.judge(Some(-FAR)));
        assert!(clock.judge(Some(-5 * FAR)), "back does no harm");
        let a_day_passes = |clock: &mut Clock| {
            if let Some((since, _)) = &mut clock.ahead {
                *since = since.checked_sub(DISTRUST).unwrap();
            }
        };
        assert!(clock.judge(Some(FAR / 4)));
        if Instant::now().checked_sub(DISTRUST).is_some() {
            a_day_passes(&mut clock);
            assert!(!clock.judge(Some(2 * FAR)), "however long ago the last correction was");
            assert!(!clock.judge(None));
            a_day_passes(&mut clock);
            assert!(clock.judge(None), "a day later it counts as right");
        }
    }
}
