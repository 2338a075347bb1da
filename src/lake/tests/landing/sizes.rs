//! Records of very different lengths, of which a read takes few: what is there lands, and is seen soon.

use std::path::Path;
use std::time::{Duration, Instant};

use event::Body;
use journal::{Journal, Options};
use lake::source::MemorySource;
use lake::{JournalSource, Lake, LandOptions, Lander, LanderHandle};

use crate::history::history;
use crate::lands::options;

/// Longer than a read may be.
const LONG: usize = 60_000;

fn small_reads(pause: Duration) -> LandOptions {
    LandOptions {
        fetch_bytes: 50_000,
        pause,
        ..options()
    }
}

/// Calls whose first record is long and whose others are short: most reads end before they are full.
fn record(dir: &Path, calls: usize) -> Journal {
    let (journal, _) = Journal::open(&dir.join("journal"), Options::default()).unwrap();
    let mut h = history(0);
    for _ in 0..calls {
        let call = h.begin(&"m".repeat(LONG));
        h.end(call, 1, Body::CallCompleted);
    }
    journal.append(&h.drafts).unwrap();
    journal.flush().unwrap();
    journal
}

async fn lander(dir: &Path, journal: &Journal, options: LandOptions) -> LanderHandle {
    let lake = Lake::create(dir.join("lake").to_str().unwrap()).await.unwrap();
    let (lander, handle) = Lander::open(lake, JournalSource::new(journal.clone()), options)
        .await
        .unwrap();
    tokio::spawn(lander.run());
    handle
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_lands_all_there_is_whatever_its_lengths() {
    let dir = tempfile::tempdir().unwrap();
    let journal = record(dir.path(), 20);
    // It pauses before the flush comes, or the flush is not alone with the records.
    let handle = lander(dir.path(), &journal, small_reads(Duration::from_millis(1))).await;
    assert_eq!(handle.flush().await.unwrap(), journal.end());
    handle.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_records_are_seen_as_soon_as_short_ones() {
    let dir = tempfile::tempdir().unwrap();
    let journal = record(dir.path(), 30);
    let handle = lander(dir.path(), &journal, small_reads(Duration::from_secs(1))).await;
    let begun = Instant::now();
    while handle.status().visible < journal.end() && begun.elapsed() < Duration::from_secs(5) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let visible = handle.status().visible;
    assert_eq!(visible, journal.end(), "after {:?}", begun.elapsed());
    handle.stop().await;
}

/// A read that brings nothing new is not the end of what is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_goes_on_behind_duplicates() {
    let dir = tempfile::tempdir().unwrap();
    let mut h = history(40);
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    source.push(h.items.clone());
    let known = h.items.len();
    h.calls(5);
    source.push(h.items[known..].iter().cloned());
    let all = i64::try_from(known + h.items.len()).unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let (lander, handle) = Lander::open(lake, source, small_reads(Duration::from_millis(1)))
        .await
        .unwrap();
    tokio::spawn(lander.run());
    assert_eq!(handle.flush().await.unwrap(), all);
    handle.stop().await;
}
