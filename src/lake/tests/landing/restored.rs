//! What was put back from an older copy, or lost: a journal that does not lead on from what has landed, a lake that
//! does not have what its journal has let go.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use journal::{Journal, Options};
use lake::journal_source::POSITION;
use lake::source::SourceError;
use lake::{JournalSource, Lake, LakeError, LakeStatus, LandOptions, Lander, verify};

use crate::history::history;
use crate::lands::options;

fn small() -> Options {
    Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    }
}

fn open(data: &Path) -> Journal {
    Journal::open(&data.join("journal"), small()).unwrap().0
}

/// Records calls; returns where the journal ends.
fn record(data: &Path, calls: usize) -> i64 {
    let journal = open(data);
    let mut h = history(0);
    h.calls(calls);
    for drafts in h.drafts.chunks(16) {
        journal.append(drafts).unwrap();
    }
    journal.flush().unwrap();
    journal.end()
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
    assert!(copied.success());
}

async fn lake(data: &Path) -> Lake {
    Lake::create(data.join("lake").to_str().unwrap()).await.unwrap()
}

/// Lands all there is; where landing has come to.
async fn land(data: &Path) -> i64 {
    let journal = open(data);
    let source = JournalSource::new(journal.clone());
    let (lander, handle) = Lander::open(lake(data).await, source, options()).await.unwrap();
    let lander = tokio::spawn(lander.run());
    assert_eq!(handle.flush().await.unwrap(), journal.end());
    handle.stop().await;
    lander.await.unwrap().unwrap();
    journal.end()
}

/// Why landing stops by itself, though nobody asks for anything.
async fn stops(data: &Path) -> LakeError {
    let journal = open(data);
    let source = JournalSource::new(journal.clone());
    // It opens: calls go on, and the journal keeps what they say.
    let (lander, _handle) = Lander::open(lake(data).await, source, options()).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), lander.run()).await;
    let error = ended.unwrap().unwrap_err();
    assert!(error.is_alarm(), "{error}");
    // Upkeep finds a consumer that holds all of it.
    journal.release().unwrap();
    assert!(journal.reader(0).is_ok(), "nothing is forgotten");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_journal_that_does_not_lead_on_stops_landing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let old = record(data, 20);
    copy(&data.join("journal"), &data.join("copy"));
    record(data, 10);
    let landed = land(data).await;
    assert!(landed > old);
    // How far it has grown on: not yet to where landing stands, just there, and beyond.
    for calls in [1, 10, 60] {
        copy(&data.join("copy"), &data.join("journal"));
        let end = record(data, calls);
        for _ in 0..2 {
            let error = stops(data).await;
            let LakeError::Source(SourceError::Damaged { at, .. }) = &error else {
                panic!("{end}: {error}");
            };
            assert_eq!(*at, landed);
            assert!(error.to_string().contains("older copy"), "{error}");
            assert_eq!(open(data).positions().get(POSITION), Some(0));
        }
        let status = LakeStatus::read(&lake(data).await, None).await.unwrap();
        assert_eq!(status.journals[0].events_next, landed);
    }
    let report = verify(&lake(data).await, None).await.unwrap();
    assert!(report.journals[0].is_complete(), "{report}");
}

/// A device that lost what it had acknowledged, and had landed: the journal goes on behind it, and so does landing.
#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_goes_on_behind_what_it_lost_lands() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    record(data, 20);
    copy(&data.join("journal"), &data.join("copy"));
    record(data, 10);
    let landed = land(data).await;
    copy(&data.join("journal/positions"), &data.join("copy/positions"));
    copy(&data.join("copy"), &data.join("journal"));
    assert!(record(data, 5) > landed);
    land(data).await;
}

/// A lake that is gone, or that is older than what the journal still has: landing stops, until somebody
/// accepts the loss. What is lost stays on record.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_lake_is_landed_into_again_where_that_was_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path();
    let older = record(data, 30);
    land(data).await;
    copy(&data.join("lake"), &data.join("copy"));
    record(data, 150);
    land(data).await;
    for next in [0, older] {
        std::fs::remove_dir_all(data.join("lake")).unwrap();
        if next > 0 {
            copy(&data.join("copy"), &data.join("lake"));
        }
        let first = {
            let journal = open(data);
            let source = JournalSource::new(journal.clone());
            let (lander, _handle) = Lander::open(lake(data).await, source, options()).await.unwrap();
            // Upkeep: nothing more is forgotten meanwhile.
            let first = journal.release().unwrap().first;
            let error = lander.run().await.unwrap_err();
            let said = format!("position {next} is gone, the oldest is {first}");
            assert!(error.to_string().contains(&said), "{error}");
            assert!(error.to_string().contains("--accept-loss"), "{error}");
            assert_eq!(journal.release().unwrap().first, first);
            first
        };
        assert!(first > next);
        // Whoever goes on accepting it loses nothing more by that.
        for calls in [0, 5] {
            record(data, calls);
            let journal = open(data);
            let source = JournalSource::new(journal.clone()).accepting_loss(true);
            let accepting = LandOptions {
                accept_loss: true,
                ..options()
            };
            let (lander, handle) = Lander::open(lake(data).await, source, accepting).await.unwrap();
            let lander = tokio::spawn(lander.run());
            assert_eq!(handle.flush().await.unwrap(), journal.end());
            let lost = u64::try_from(first - next).unwrap();
            assert_eq!(handle.status().lost, if calls == 0 { lost } else { 0 });
            handle.stop().await;
            lander.await.unwrap().unwrap();
        }
        // And then it lands as ever.
        record(data, 5);
        land(data).await;
        let found = verify(&lake(data).await, Some(&data.join("journal"))).await.unwrap();
        let missing: Vec<(i64, i64)> = found.journals[0].missing.iter().map(|r| (r.first, r.last)).collect();
        assert_eq!(missing, [(next, first - 1)], "{found}");
    }
}
