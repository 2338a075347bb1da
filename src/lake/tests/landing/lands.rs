//! What is landed is what was recorded, once.

use std::time::Duration;

use datafusion::prelude::SessionContext;
use lake::source::MemorySource;
use lake::{Lake, LandOptions, Lander, LanderHandle, TableKind, View};

use crate::history::history;

pub fn options() -> LandOptions {
    LandOptions {
        max_age: Duration::from_secs(3600),
        pause: Duration::from_millis(1),
        ..LandOptions::default()
    }
}

pub async fn lander(lake: &Lake, source: &MemorySource) -> LanderHandle {
    let (lander, handle) = Lander::open(lake.clone(), source.clone(), options()).await.unwrap();
    tokio::spawn(lander.run());
    handle
}

/// One number from SQL over what a view shows.
pub async fn number(view: &View, sql: &str) -> i64 {
    use arrow::array::AsArray;
    let context = SessionContext::new();
    for kind in TableKind::ALL {
        let table = view.table(kind);
        table.snapshot.register_store(&context.state()).unwrap();
        let landed = context.read_table(table.snapshot.provider(kind).unwrap()).unwrap();
        let tail = context.read_batches(table.tail.clone()).unwrap();
        let all = if table.tail.is_empty() {
            landed
        } else {
            landed.union(tail).unwrap()
        };
        context.register_table(kind.name(), all.into_view()).unwrap();
    }
    let rows = context.sql(sql).await.unwrap().collect().await.unwrap();
    rows[0].column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_lands_and_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let h = history(200);
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    let handle = lander(&lake, &source).await;
    assert_eq!(handle.flush().await.unwrap(), h.next());
    let view = handle.tail().view();
    assert!(view.events.tail.is_empty() && view.calls.tail.is_empty());
    assert_eq!(number(&view, "select count(*) from events").await, h.next());
    assert_eq!(number(&view, "select count(distinct call_id) from calls").await, 200);
    assert_eq!(number(&view, "select count(*) from calls").await, 200);
    assert_eq!(
        number(
            &view,
            "select count(*) from calls where status = 'interrupted' and duration_ms is null and overhead_ms is null \
             and http_status = 200"
        )
        .await,
        20
    );
    assert_eq!(number(&view, "select sum(input_tokens) from calls").await, 180 * 10);
    assert_eq!(
        number(
            &view,
            "select count(*) from calls where array_has(guardrail_rules, 'pii.email')"
        )
        .await,
        200
    );
    assert_eq!(
        number(
            &view,
            "select count(*) from calls where request_text = 'user: how deep is the weir?'"
        )
        .await,
        200
    );
    assert_eq!(
        number(&view, "select count(distinct day) from events").await,
        2,
        "the history crosses midnight"
    );
    handle.stop().await;
}

/// From the journal to SQL in less than a second, without anybody asking to land.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_visible_within_a_second() {
    use lake::{JournalSource, Tail};
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let path = dir.path().join("journal");
    let (journal, _) = journal::Journal::open(&path, journal::Options::default()).unwrap();
    let (lander, handle) = Lander::open(
        lake.clone(),
        JournalSource::new(journal.clone()),
        LandOptions::default(),
    )
    .await
    .unwrap();
    tokio::spawn(lander.run());
    let mut h = history(0);
    let mut slowest = Duration::ZERO;
    for round in 1..=10 {
        h.calls(1);
        journal.append(&std::mem::take(&mut h.drafts)).unwrap();
        let begun = std::time::Instant::now();
        while number(&handle.tail().view(), "select count(*) from calls").await < round {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert_eq!(handle.status().landings, 0, "the batch is still open");
    // Another process sees the same, reading the journal beside the one that writes it.
    journal.flush().unwrap();
    let offline = Tail::offline(&lake, Some(&path)).await.unwrap().view();
    assert_eq!(number(&offline, "select count(*) from calls").await, 10);
    let report = lake::verify(&lake, Some(&path)).await.unwrap();
    assert!(report.is_complete(), "{report}");
    let tail = report.journals[0].tail.as_ref().unwrap();
    assert_eq!(tail.records as i64, h.next());
    let status = lake::LakeStatus::read(&lake, Some(&path)).await.unwrap();
    assert_eq!(status.journals[0].lag, Some(h.next()), "{status}");
    handle.stop().await;
}

/// What is read again at a start has been counted already.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_finds_nothing_late_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let mut h = history(3);
    let first = h.begin("large");
    h.begin("large");
    h.end(first, 1, event::Body::CallCompleted);
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    let handle = lander(&lake, &source).await;
    handle.flush().await.unwrap();
    assert_eq!(handle.status().late, 0);
    handle.stop().await;
    let handle = lander(&lake, &source).await;
    source.push({
        let known = h.items.len();
        h.calls(1);
        h.items[known..].iter().cloned()
    });
    handle.flush().await.unwrap();
    let status = handle.status();
    assert_eq!((status.open_calls, status.late), (1, 0), "{status:?}");
    handle.stop().await;
}

/// Upkeep: few files, a checkpoint, and nothing lost.
#[tokio::test(flavor = "multi_thread")]
async fn upkeep_leaves_few_files_and_every_row() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let h = history(90);
    let source = MemorySource::new("one");
    let handle = lander(&lake, &source).await;
    for items in h.items.chunks(20) {
        source.push(items.iter().cloned());
        handle.flush().await.unwrap();
    }
    let before = lake.table(TableKind::Events).load().await.unwrap().size();
    let done = lake::compact_now(&lake).await.unwrap();
    let after = lake.table(TableKind::Events).load().await.unwrap().size();
    assert_eq!(
        (after.0, after.2),
        (1, before.2),
        "one day, one file, every row: {done:?}"
    );
    assert!(done.files_removed >= before.0);
    let checkpoints = std::fs::read_dir(dir.path().join("lake/events/_delta_log"))
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .file_name()
                .to_string_lossy()
                .contains("checkpoint")
        })
        .count();
    assert!(checkpoints >= 2, "{checkpoints}");
    // Old views still have their files: they go a day later.
    let view = handle.tail().view();
    assert_eq!(number(&view, "select count(*) from events").await, h.next());
    let report = lake::verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
    // The transactions survived the checkpoint: landing goes on where it was.
    let mut h = h;
    h.calls(3);
    source.push(h.items[usize::try_from(before.2).unwrap()..].iter().cloned());
    assert_eq!(handle.flush().await.unwrap(), h.next());
    let report = lake::verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
}

/// Whatever waits, the rows that the lander holds stay within their bound and one read.
#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let h = history(1500);
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    let options = LandOptions {
        max_bytes: 256 << 10,
        fetch_bytes: 32 << 10,
        ..options()
    };
    let (lander, handle) = Lander::open(lake, source, options).await.unwrap();
    let mut most = 0;
    let running = tokio::spawn(lander.run());
    let flush = handle.flush();
    tokio::pin!(flush);
    let landed = loop {
        tokio::select! {
            landed = &mut flush => break landed.unwrap(),
            () = tokio::time::sleep(Duration::from_micros(200)) => most = most.max(handle.status().held_bytes),
        }
    };
    assert_eq!(landed, h.next());
    assert!(handle.status().landings > 2, "one batch would prove nothing");
    // The rows of a read take at most four times its bytes here: both tables, and their views.
    let bound = (options.max_held() + 4 * options.fetch_bytes) as u64;
    assert!(most > 0 && most <= bound, "{most} bytes held, {bound} allowed");
    assert_eq!(handle.status().held_bytes, 0);
    handle.stop().await;
    running.await.unwrap().unwrap();
}
