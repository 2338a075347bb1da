//! Faults of the source are alarms, and `verify` finds what was taken away, doubled or altered.

use deltalake::DeltaTableBuilder;
use lake::source::{Item, MemorySource};
use lake::{Lake, LakeError, LandOptions, Lander, Report, verify};

use crate::history::{History, history};
use crate::lands::{lander, number, options};

async fn landed(h: &History) -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    let handle = lander(&lake, &source).await;
    handle.flush().await.unwrap();
    handle.stop().await;
    (dir, lake)
}

pub async fn table(lake: &Lake, name: &str) -> deltalake::DeltaTable {
    let url = deltalake::ensure_table_uri(format!("{}/{name}", lake.location())).unwrap();
    DeltaTableBuilder::from_url(url).unwrap().load().await.unwrap()
}

async fn report(lake: &Lake) -> Report {
    verify(lake, None).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_row_is_named() {
    let h = history(30);
    let (_dir, lake) = landed(&h).await;
    assert!(report(&lake).await.is_complete());
    table(&lake, "events")
        .await
        .delete()
        .with_predicate("\"offset\" in (7, 8, 20)")
        .await
        .unwrap();
    let found = report(&lake).await;
    assert!(!found.is_complete());
    let missing: Vec<(i64, i64)> = found.journals[0].missing.iter().map(|r| (r.first, r.last)).collect();
    assert_eq!(missing, [(7, 8), (20, 20)], "{found}");
    assert!(found.to_string().contains("7–8, 20"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_end_and_a_cut_beginning_show() {
    let h = history(30);
    let (_dir, lake) = landed(&h).await;
    let last = h.next() - 1;
    let predicate = format!("\"offset\" < 3 or \"offset\" > {}", last - 4);
    table(&lake, "events")
        .await
        .delete()
        .with_predicate(predicate)
        .await
        .unwrap();
    let found = report(&lake).await;
    let missing: Vec<(i64, i64)> = found.journals[0].missing.iter().map(|r| (r.first, r.last)).collect();
    assert_eq!(missing, [(0, 2), (last - 3, last)], "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_row_shows() {
    let h = history(30);
    let (_dir, lake) = landed(&h).await;
    let altered = table(&lake, "events").await.update();
    altered
        .with_predicate("\"offset\" = 11")
        .with_update("app", "'somebody-else'")
        .await
        .unwrap();
    let found = report(&lake).await;
    assert!(!found.is_complete());
    assert_eq!(found.journals[0].altered[0].offset, 11, "{found}");
    assert!(found.journals[0].missing.is_empty() && found.journals[0].doubled.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doubled_row_and_doubled_calls_show() {
    let h = history(30);
    let (_dir, lake) = landed(&h).await;
    for name in ["events", "calls"] {
        let delta = table(&lake, name).await;
        let context = datafusion::prelude::SessionContext::new();
        let provider = delta.table_provider().await.unwrap();
        let rows = context
            .read_table(provider)
            .unwrap()
            .limit(0, Some(2))
            .unwrap()
            .collect()
            .await
            .unwrap();
        delta.write(rows).await.unwrap();
    }
    let found = report(&lake).await;
    let doubled: i64 = found.journals[0].doubled.iter().map(|r| r.last - r.first + 1).sum();
    assert_eq!(doubled, 2, "{found}");
    assert!(found.calls.problem_count >= 2, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_call_shows() {
    let h = history(30);
    let (_dir, lake) = landed(&h).await;
    let predicate = format!("call_id = '{}'", h.ended[4]);
    table(&lake, "calls")
        .await
        .delete()
        .with_predicate(predicate)
        .await
        .unwrap();
    let found = report(&lake).await;
    assert_eq!(found.calls.problem_count, 1, "{found}");
    assert!(found.calls.problems[0].contains(&h.ended[4].to_string()), "{found}");
    lake::rebuild(&lake).await.unwrap();
    assert!(report(&lake).await.is_complete());
}

/// What a row of `calls` says is no part of the proof: the events are, and the row is made anew from them.
#[tokio::test(flavor = "multi_thread")]
async fn an_altered_call_is_made_anew() {
    let h = history(30);
    let (_dir, lake) = landed(&h).await;
    let cost = async || {
        let view = lake::Tail::offline(&lake, None).await.unwrap().view();
        number(&view, "select sum(cost_nano_usd) from calls").await
    };
    let before = cost().await;
    let altered = table(&lake, "calls").await.update();
    let altered = altered.with_predicate(format!("call_id = '{}'", h.ended[4]));
    altered.with_update("cost_nano_usd", "1").await.unwrap();
    assert!(cost().await < before);
    let found = report(&lake).await;
    let says = found.to_string();
    assert!(
        found.is_complete() && says.contains("every ended call has its one row"),
        "{says}"
    );
    lake::rebuild(&lake).await.unwrap();
    assert_eq!(cost().await, before);
}

/// Redelivery is dropped; a second end of a call and a late score leave its row alone.
#[tokio::test(flavor = "multi_thread")]
async fn redelivered_and_late_events_do_no_harm() {
    let mut h = history(40);
    let late = h.ended[3];
    h.end(late, 5, event::Body::CallFailed);
    h.ended.pop();
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    source.redeliver(13);
    let handle = lander(&lake, &source).await;
    for items in h.items.chunks(30) {
        source.push(items.iter().cloned());
        handle.flush().await.unwrap();
    }
    assert!(handle.status().duplicates > 0);
    let view = handle.tail().view();
    assert_eq!(number(&view, "select count(*) from events").await, h.next());
    assert_eq!(number(&view, "select count(*) from calls").await, 40);
    assert!(handle.status().late >= 1);
    // The double end itself is the producer's fault, and `verify` says so.
    let found = report(&lake).await;
    assert_eq!(found.calls.problems, [format!("call {late} ended 2 times")], "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_stops_landing() {
    let h = history(20);
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    let mut items = h.items.clone();
    items.remove(50);
    source.push(items);
    let (lander, _handle) = Lander::open(lake.clone(), source, options()).await.unwrap();
    let error = lander.run().await.unwrap_err();
    assert!(
        matches!(
            error,
            LakeError::Gap {
                expected: 50,
                found: 51,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.is_alarm());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_was_cut_stops_landing() {
    let h = history(20);
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    source.cut(3);
    let (lander, _handle) = Lander::open(lake, source, options()).await.unwrap();
    let error = lander.run().await.unwrap_err();
    assert!(
        error.is_alarm() && error.to_string().contains("position 0 is gone, the oldest is 3"),
        "{error}"
    );
}

/// Bytes that are no event keep their place; with a seal on them even the chain goes on.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_records_are_kept() {
    let h = history(20);
    let mut items = h.items.clone();
    for (at, spoil) in [(9, true), (30, false)] {
        let Item::Record(record) = &items[at] else {
            panic!("a record")
        };
        let raw = if spoil {
            b"\xff\x00 not an event".to_vec()
        } else {
            record.to_bytes().unwrap()
        };
        items[at] = Item::Unreadable {
            journal_id: h.journal,
            offset: at as i64,
            raw,
            why: "spoilt".to_owned(),
        };
    }
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let source = MemorySource::new("one");
    source.push(items);
    let handle = lander(&lake, &source).await;
    handle.flush().await.unwrap();
    assert_eq!(handle.status().unreadable, 2);
    let view = handle.tail().view();
    assert_eq!(
        number(
            &view,
            "select count(*) from events where type = 'unreadable' and raw is not null"
        )
        .await,
        2
    );
    let found = report(&lake).await;
    assert!(
        found.journals[0].missing.is_empty() && found.journals[0].altered.is_empty(),
        "{found}"
    );
    assert_eq!(found.journals[0].unreadable.len(), 2);
    // Offset 9 and the link after it cannot be checked; 30 can, by its seal.
    assert_eq!(found.journals[0].links as i64, h.next() - 2);
    assert!(!found.is_complete(), "damage is never passed over");
}

/// A newer sidecar may put more into an envelope than we know: the bytes are kept, and the chain is over them.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_a_newer_version_is_no_altered_one() {
    let mut h = history(10);
    let call = h.begin("large");
    let at = h.next();
    h.newer(call, 1, &event::Body::CallCompleted(Box::default()));
    h.calls(5);
    let (_dir, lake) = landed(&h).await;
    let found = report(&lake).await;
    assert!(found.is_complete(), "{found}");
    assert_eq!(found.journals[0].links as i64, h.next(), "{found}");
    assert_eq!(found.calls.ended, 16, "its envelope was read all the same");
    let view = lake::Tail::offline(&lake, None).await.unwrap().view();
    let kept = format!("select count(*) from events where raw is not null and \"offset\" = {at}");
    assert_eq!(number(&view, &kept).await, 1);
    // What the columns say has to be what the bytes say.
    let alter = async |column: &str, value: &str| {
        let altered = table(&lake, "events").await.update();
        let altered = altered.with_predicate(format!("\"offset\" = {at}"));
        altered.with_update(column, value).await.unwrap();
    };
    alter("app", "'somebody-else'").await;
    let found = report(&lake).await;
    assert!(found.to_string().contains(&format!("ALTERED: {at}")), "{found}");
    alter("app", "null").await;
    assert!(report(&lake).await.is_complete());
    // Erasing it leaves the digest of all of it, and nothing else.
    lake::erase(&lake, None, &lake::Whose::Call(call.to_string()))
        .await
        .unwrap();
    let found = report(&lake).await;
    assert!(found.is_complete(), "{found}");
    assert_eq!(found.journals[0].links as i64, h.next(), "{found}");
    let view = lake::Tail::offline(&lake, None).await.unwrap().view();
    assert_eq!(number(&view, &kept).await, 0);
}

/// Where a loss was accepted, landing goes on behind it at once, and the loss stays on record.
#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_loss_is_counted_once_and_shows() {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let h = history(60);
    let source = MemorySource::new("one");
    let accepting = LandOptions {
        accept_loss: true,
        ..options()
    };
    let (lander, handle) = Lander::open(lake.clone(), source.clone(), accepting).await.unwrap();
    tokio::spawn(lander.run());
    source.push(h.items[..100].iter().cloned());
    handle.flush().await.unwrap();
    source.push(h.items[120..].iter().cloned());
    handle.flush().await.unwrap();
    assert_eq!(handle.status().lost, 20);
    let found = report(&lake).await;
    assert!(found.to_string().contains("MISSING: 100–119"), "{found}");
    assert_eq!(found.journals[0].rows as i64, h.next() - 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_without_a_row_shows() {
    let h = history(30);
    let (_dir, lake) = landed(&h).await;
    for name in ["events", "calls"] {
        let (_, gone) = table(&lake, name)
            .await
            .delete()
            .with_predicate("call_id is not null or call_id is null")
            .await
            .unwrap();
        assert!(gone.num_deleted_rows > Some(0));
    }
    let found = report(&lake).await;
    assert!(!found.is_complete(), "{found}");
    let missing: Vec<(i64, i64)> = found.journals[0].missing.iter().map(|r| (r.first, r.last)).collect();
    assert_eq!(missing, [(0, h.next() - 1)], "{found}");
    let status = lake::LakeStatus::read(&lake, None).await.unwrap();
    assert_eq!(status.journals[0].events_next, h.next());
}

/// What lands while it is verified goes from the journal meanwhile: that is no loss.
#[tokio::test(flavor = "multi_thread")]
async fn verification_beside_a_landing_journal_is_complete() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("journal");
    let small = journal::Options {
        segment_bytes: 64 << 10,
        ..journal::Options::default()
    };
    let (journal, _) = journal::Journal::open(&folder, small).unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    let (lander, handle) = Lander::open(lake.clone(), lake::JournalSource::new(journal.clone()), options())
        .await
        .unwrap();
    tokio::spawn(lander.run());
    let landing = {
        let (journal, handle) = (journal.clone(), handle.clone());
        tokio::spawn(async move {
            for _ in 0..40 {
                let h = history(30);
                let (journal, drafts) = (journal.clone(), h.drafts);
                tokio::task::spawn_blocking(move || {
                    drafts
                        .chunks(16)
                        .for_each(|drafts| assert!(journal.append(drafts).unwrap().last >= 0));
                    journal.flush().unwrap();
                })
                .await
                .unwrap();
                handle.flush().await.unwrap();
            }
        })
    };
    let mut looks = 0;
    while !landing.is_finished() {
        let found = verify(&lake, Some(&folder)).await.unwrap();
        let journal = found.journals.first();
        assert!(journal.is_none_or(lake::JournalReport::is_complete), "{found}");
        looks += 1;
    }
    landing.await.unwrap();
    assert!(looks > 1 && journal.end() > 0);
    let found = verify(&lake, Some(&folder)).await.unwrap();
    assert_eq!(found.journals[0].rows as i64, journal.end(), "{found}");
}
