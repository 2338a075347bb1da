//! A device that does not take the log: what has its name there is not landed yet.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use journal::{Journal, Options};
use lake::journal_source::POSITION;
use lake::{JournalSource, Lake, LakeStatus, Lander, verify};

use crate::history::{History, history};
use crate::lands::options;

const CHILD: &str = "WEIR_TEST_DEVICE";

/// Not a test of its own: the process whose device fails. It lands for a while what the journal in `CHILD`
/// holds, as far as it comes.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(data) = std::env::var_os(CHILD) else { return };
    let data = Path::new(&data);
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    let lake = Lake::create(data.join("lake").to_str().unwrap()).await.unwrap();
    let Ok((lander, handle)) = Lander::open(lake, JournalSource::new(journal), options()).await else {
        return;
    };
    tokio::spawn(lander.run());
    let landed = handle.flush().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(landed.is_err(), "{landed:?}");
}

/// Runs it; no sync of this file or folder succeeds. `false` where faults cannot be injected.
fn run_child(data: &Path, path: &Path) -> bool {
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync"])
        .args(["-e", "inject=fsync:error=EIO", "-P"])
        .arg(path)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "devices::child", "--nocapture"])
        .env(CHILD, data);
    match command.output() {
        Ok(output) if output.status.success() => true,
        output => {
            let errors = String::from_utf8_lossy(&output.map(|output| output.stderr).unwrap_or_default()).into_owned();
            assert!(errors.is_empty() || errors.starts_with("strace: "), "{errors}");
            eprintln!("SKIPPED: a device that fails: `strace` is not here, or not allowed");
            assert!(std::env::var_os("WEIR_REQUIRE_STRACE").is_none(), "strace is required");
            false
        }
    }
}

fn record(data: &Path, history: &mut History, calls: usize) -> i64 {
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    history.calls(calls);
    journal.append(&std::mem::take(&mut history.drafts)).unwrap();
    journal.flush().unwrap();
    journal.end()
}

async fn land(data: &Path) {
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    let lake = Lake::create(data.join("lake").to_str().unwrap()).await.unwrap();
    let (lander, handle) = Lander::open(lake, JournalSource::new(journal.clone()), options())
        .await
        .unwrap();
    let lander = tokio::spawn(lander.run());
    assert_eq!(handle.flush().await.unwrap(), journal.end());
    handle.stop().await;
    lander.await.unwrap().unwrap();
}

fn position(data: &Path) -> Option<i64> {
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    journal.positions().get(POSITION)
}

/// A commit has its name, and the name is not on the device: a power cut takes it back. Neither the lander
/// that made it nor the next one may let the journal forget what it holds.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_on_the_device_is_not_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let mut history = history(0);
    let before = record(data, &mut history, 20);
    land(data).await;
    assert_eq!(position(data), Some(before));
    let end = record(data, &mut history, 20);
    let log = data.join("lake/events/_delta_log");
    let entry = log.join("00000000000000000002.json");
    for round in ["the lander that committed", "the next one"] {
        if !run_child(data, &entry) {
            return;
        }
        let lake = Lake::open(data.join("lake").to_str().unwrap()).await.unwrap();
        let status = LakeStatus::read(&lake, None).await.unwrap();
        assert_eq!(status.journals[0].events_next, end, "{round}: the version has its name");
        assert_eq!(position(data), Some(before), "{round}");
    }
    // Neither where a name is not there that leads to it.
    for folder in [&*log, &data.join("lake/events"), &data.join("lake")] {
        assert!(run_child(data, folder));
        assert_eq!(position(data), Some(before), "{}", folder.display());
    }
    land(data).await;
    assert_eq!(position(data), Some(end));
    let lake = Lake::open(data.join("lake").to_str().unwrap()).await.unwrap();
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "{report}");
}
