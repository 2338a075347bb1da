//! The lander dies at every lettered step, and nothing is lost or doubled.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use journal::{Journal, Options};
use lake::{JournalSource, Lake, LandOptions, Lander, TableKind, Tail, Whose, erase, expire, rebuild, verify};

use crate::history::{History, history};
use crate::lands::{number, options};

const CHILD: &str = "WEIR_TEST_CHILD";
/// A day before which the child takes everything away when it has landed.
const EXPIRE: &str = "WEIR_TEST_EXPIRE";
/// A session whose calls the child erases when it has landed.
const ERASE: &str = "WEIR_TEST_ERASE";

/// Not a test of its own: the process that is killed. It lands what the journal in `CHILD` holds, in
/// several small landings.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Some(data) = std::env::var_os(CHILD) else { return };
    land_all(Path::new(&data)).await;
    let place = Path::new(&data).join("lake");
    let lake = Lake::open(place.to_str().unwrap()).await.unwrap();
    if let Ok(day) = std::env::var(EXPIRE) {
        expire(&lake, &day).await.unwrap();
    }
    if let Ok(session) = std::env::var(ERASE) {
        erase(&lake, None, &Whose::Session(session)).await.unwrap();
    }
}

async fn land_all(data: &Path) {
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    journal.flush().unwrap();
    let lake = Lake::create(data.join("lake").to_str().unwrap()).await.unwrap();
    let options = LandOptions {
        max_bytes: 200_000,
        fetch_bytes: 50_000,
        ..options()
    };
    let (lander, handle) = Lander::open(lake, JournalSource::new(journal.clone()), options)
        .await
        .unwrap();
    let task = tokio::spawn(lander.run());
    let landed = handle.flush().await.unwrap();
    assert_eq!(landed, journal.end());
    assert_eq!(journal.positions().get(lake::journal_source::POSITION), Some(landed));
    handle.stop().await;
    task.await.unwrap().unwrap();
}

fn run_child(data: &Path, failpoint: Option<&str>) -> bool {
    run_child_with(data, failpoint, None)
}

fn run_child_with(data: &Path, failpoint: Option<&str>, then: Option<(&str, &str)>) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "kills::child", "--nocapture"])
        .env(CHILD, data);
    if let Some(failpoint) = failpoint {
        command.env("WEIR_FAILPOINT", failpoint);
    }
    if let Some((what, of)) = then {
        command.env(what, of);
    }
    command.output().unwrap().status.success()
}

fn record(data: &Path, history: &mut History, calls: usize) -> i64 {
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    history.calls(calls);
    for drafts in history.drafts.drain(..).collect::<Vec<_>>().chunks(64) {
        journal.append(drafts).unwrap();
    }
    journal.flush().unwrap();
    journal.end()
}

async fn dies_at(failpoint: &str) {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let mut history = history(0);
    // A call that stays open over everything: calls that end meanwhile are folded again at each
    // restart, and must not have a row again.
    let long = history.begin("large");
    // Something has landed already, so that the fold is rebuilt from the tables too.
    record(data, &mut history, 50);
    assert!(run_child(data, None), "the first landing");
    record(data, &mut history, 250);
    assert!(
        !run_child(data, Some(failpoint)),
        "{failpoint}: the child should have died"
    );
    // While it is dead, SQL sees every event and every call once all the same.
    let lake = Lake::open(data.join("lake").to_str().unwrap()).await.unwrap();
    let tail = Tail::offline(&lake, Some(&data.join("journal"))).await.unwrap();
    let view = tail.view();
    assert_eq!(
        number(&view, "select count(*) from events").await,
        history.next(),
        "{failpoint}"
    );
    assert_eq!(
        number(&view, "select count(distinct \"offset\") from events").await,
        history.next(),
        "{failpoint}"
    );
    assert_eq!(number(&view, "select count(*) from calls").await, 300, "{failpoint}");
    assert_eq!(
        number(&view, "select count(distinct call_id) from calls").await,
        300,
        "{failpoint}"
    );
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "{failpoint}, dead:\n{report}");
    // It comes back, and more comes in.
    history.end(long, 1, event::Body::CallCompleted);
    let end = record(data, &mut history, 20);
    assert!(run_child(data, None), "{failpoint}: the child should have recovered");
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "{failpoint}:\n{report}");
    assert_eq!(report.journals[0].rows as i64, end, "{failpoint}");
    assert_eq!(report.journals[0].links as i64, end, "{failpoint}");
    assert_eq!((report.calls.ended, report.calls.rows), (321, 321), "{failpoint}");
    assert_eq!(report.calls.pending, 0, "{failpoint}");
    let calls = lake.table(TableKind::Calls).load().await.unwrap();
    assert_eq!(calls.size().2, 321, "{failpoint}");
}

macro_rules! kill_at {
    ($($name:ident = $point:literal,)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            dies_at($point).await;
        })*
    };
}

kill_at! {
    a_loaded = "a",
    b_read = "b:3",
    c_files_written = "c",
    c_files_written_later = "c:2",
    d_files_durable = "d",
    e_events_committed = "e",
    e_events_committed_later = "e:2",
    f_calls_written = "f-written",
    f_calls_committed = "f",
    g_position_stored = "g",
}

/// Rows of `calls` that a lander holds because a crash left them out, and that somebody else brings before
/// it lands: here a rebuild, or the other lander itself, that was not dead but stood still.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_another_brought_meanwhile_come_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let mut history = history(0);
    record(data, &mut history, 50);
    assert!(!run_child(data, Some("e")), "the child should have died");
    let (journal, _) = Journal::open(&data.join("journal"), Options::default()).unwrap();
    let lake = Lake::open(data.join("lake").to_str().unwrap()).await.unwrap();
    let options = LandOptions {
        refresh: Duration::from_millis(20),
        ..options()
    };
    let (lander, handle) = Lander::open(lake.clone(), JournalSource::new(journal), options)
        .await
        .unwrap();
    let task = tokio::spawn(lander.run());
    rebuild(&lake).await.unwrap();
    // It sees the versions of others now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    handle.flush().await.unwrap();
    let view = handle.tail().view();
    handle.stop().await;
    task.await.unwrap().unwrap();
    assert_eq!(number(&view, "select count(*) from calls").await, 50);
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.calls.rows, 50);
}

/// Whether or not something has expired, rows that come with the next landing are no fault; and neither are
/// those of an expiry that was cut short between its two commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_beside_expired_days_is_no_fault() {
    // The second day of the history.
    const DAY: &str = "2026-02-01";
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let mut history = history(0);
    record(data, &mut history, 150);
    assert!(
        !run_child_with(data, Some("expire"), Some((EXPIRE, DAY))),
        "the child should have died"
    );
    let lake = Lake::open(data.join("lake").to_str().unwrap()).await.unwrap();
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "between the two commits:\n{report}");
    assert!(!report.journals[0].expired.is_empty(), "{report}");
    assert_eq!(report.calls.rows, 150, "{report}");
    let done = expire(&lake, DAY).await.unwrap();
    assert!(done.events == 0 && done.calls > 0, "{done:?}");
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "{report}");
    record(data, &mut history, 20);
    assert!(!run_child(data, Some("e")), "the child should have died");
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "between events and calls:\n{report}");
    assert_eq!(report.calls.pending, 20, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_beside_erased_calls_is_no_fault() {
    const THEIRS: &str = "session-3";
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let mut history = history(0);
    record(data, &mut history, 150);
    assert!(
        !run_child_with(data, Some("erase"), Some((ERASE, THEIRS))),
        "the child should have died"
    );
    let lake = Lake::open(data.join("lake").to_str().unwrap()).await.unwrap();
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete(), "between the two commits:\n{report}");
    assert!(report.calls.erased > 0 && report.calls.rows == 150, "{report}");
    assert!(report.to_string().contains("erase them again"), "{report}");
    let done = erase(&lake, None, &Whose::Session(THEIRS.to_owned())).await.unwrap();
    assert_eq!((done.event_rows, done.call_rows), (0, report.calls.erased), "{done:?}");
    let report = verify(&lake, Some(&data.join("journal"))).await.unwrap();
    assert!(report.is_complete() && report.calls.erased == 0, "{report}");
}
