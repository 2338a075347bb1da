//! Upkeep in the background: compaction, checkpoints, removal of what nobody needs any more.

use std::time::{Duration, Instant};

use deltalake::DeltaTable;
use deltalake::checkpoints::{cleanup_metadata, create_checkpoint};
use deltalake::operations::vacuum::VacuumMode;
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use tokio::sync::watch;

use crate::LakeError;
use crate::batch::now_nanos;
use crate::compact::{CompactReport, compact};
use crate::encode::day_of;
use crate::files::day_text;
use crate::retention::expire;
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
    /// Pause between two removals of old files. A file goes a day after the table let go of it, so
    /// that no reader loses it.
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
    let mut vacuumed = Instant::now();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(options.every) => {}
        }
        let vacuum = vacuumed.elapsed() >= options.vacuum_every;
        if vacuum {
            vacuumed = Instant::now();
        }
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

async fn run(lake: &Lake, options: &MaintainOptions, vacuum: bool) -> Result<CompactReport, LakeError> {
    if options.keep_days > 0 {
        let before = day_of(now_nanos()).saturating_sub_unsigned(options.keep_days);
        let report = expire(lake, &day_text(before)).await?;
        if !report.days.is_empty() {
            tracing::info!(?report, "days were taken away, as the retention says");
        }
    }
    let report = compact(lake, options.min_files).await?;
    for table in lake.tables() {
        checkpoint(table, options.checkpoint_versions).await?;
        if vacuum {
            remove_old(table).await?;
        }
    }
    Ok(report)
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
