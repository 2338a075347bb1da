//! Several at once: readers, landers, compaction.

use std::time::Duration;

use lake::source::MemorySource;
use lake::{Lake, LandOptions, Lander, compact, rebuild, verify};

use crate::history::history;
use crate::lands::{lander, number, options};

async fn lake() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    (dir, lake)
}

/// Every row is seen once at every moment of landing.
#[tokio::test(flavor = "multi_thread")]
async fn readers_see_every_row_once() {
    let (_dir, lake) = lake().await;
    let h = history(400);
    let source = MemorySource::new("one");
    let small = LandOptions {
        max_bytes: 60_000,
        fetch_bytes: 20_000,
        pause: Duration::from_millis(1),
        ..LandOptions::default()
    };
    let (lander, handle) = Lander::open(lake.clone(), source.clone(), small).await.unwrap();
    tokio::spawn(lander.run());
    let feeder = {
        let (source, items) = (source.clone(), h.items.clone());
        tokio::spawn(async move {
            for items in items.chunks(20) {
                source.push(items.iter().cloned());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    let tail = handle.tail();
    let (mut last, mut looks) = (0, 0);
    while last < h.next() {
        let view = tail.view();
        let rows = number(&view, "select count(*) from events").await;
        let distinct = number(&view, "select count(distinct \"offset\") from events").await;
        let reach = number(&view, "select coalesce(max(\"offset\") + 1, 0) from events").await;
        assert_eq!((rows, distinct), (reach, reach), "no row twice, none missing");
        assert!(rows >= last, "what was visible stays visible");
        let ended = number(
            &view,
            "select count(*) from events where type in ('call.completed','call.failed','call.blocked','call.interrupted')",
        )
        .await;
        assert_eq!(number(&view, "select count(distinct call_id) from calls").await, ended);
        assert_eq!(number(&view, "select count(*) from calls").await, ended);
        last = rows;
        looks += 1;
    }
    assert!(looks > 3, "looked {looks} times only");
    feeder.await.unwrap();
    handle.flush().await.unwrap();
    assert!(handle.status().landings > 3);
    assert!(verify(&lake, None).await.unwrap().is_complete());
}

/// Two landers on one source: the slower one writes nothing, says so, and takes up from the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_stale_lander_fails_closed() {
    let (_dir, lake) = lake().await;
    let h = history(60);
    let source = MemorySource::new("one");
    let stale = lander(&lake, &source).await;
    source.push(h.items[..100].iter().cloned());
    let quick = lander(&lake, &source).await;
    assert_eq!(quick.flush().await.unwrap(), 100);
    let refused = stale.flush().await.unwrap_err().to_string();
    assert!(refused.contains("another writer committed first"), "{refused}");
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.journals[0].rows, 100);
    // It has reloaded, and can go on.
    source.push(h.items[100..].iter().cloned());
    assert_eq!(stale.flush().await.unwrap(), h.next());
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.journals[0].rows as i64, report.calls.rows), (h.next(), 60));
}

/// The rest of a long record is still to come, so reading begins again before what came after its first part:
/// what no journal sent does not land again for it.
#[tokio::test(flavor = "multi_thread")]
async fn strays_behind_an_incomplete_record_land_once() {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use lake::source::{Fetched, Part, Positions, Source, SourceError, Stray};

    /// Its position stays at 2 for ever; strays are at 3 and 5.
    struct Held(bool);

    impl Source for Held {
        fn name(&self) -> &str {
            "held"
        }
        fn partitions(&mut self) -> Vec<Arc<str>> {
            vec!["t/0".into()]
        }
        async fn begin(&mut self, landed: BTreeMap<Arc<str>, Option<i64>>) -> Result<Positions, SourceError> {
            self.0 = false;
            let begin = |(partition, position): (Arc<str>, Option<i64>)| (partition, position.unwrap_or(0));
            Ok(landed.into_iter().map(begin).collect())
        }
        async fn fetch(&mut self, _: usize) -> Result<Fetched, SourceError> {
            if std::mem::replace(&mut self.0, true) {
                return Ok(Fetched::default());
            }
            let stray = |position| Stray {
                position,
                raw: vec![b'?'; 3],
                why: "nobody's".to_owned(),
            };
            let part = Part {
                partition: "t/0".into(),
                strays: vec![stray(3), stray(5)],
                next: 2,
                ..Part::default()
            };
            Ok(Fetched {
                parts: vec![part],
                more: false,
            })
        }
        async fn wait(&mut self) {
            std::future::pending::<()>().await;
        }
        async fn landed(&mut self, _: &Positions) -> Result<(), SourceError> {
            Ok(())
        }
    }

    let (_dir, lake) = lake().await;
    for _ in 0..3 {
        let (lander, handle) = Lander::open(lake.clone(), Held(false), options()).await.unwrap();
        let running = tokio::spawn(lander.run());
        assert_eq!(handle.flush().await.unwrap(), 2);
        handle.stop().await;
        running.await.unwrap().unwrap();
    }
    let report = verify(&lake, None).await.unwrap();
    assert_eq!(report.journals[0].rows, 2, "{report}");
    assert!(report.is_complete(), "{report}");
}

/// A gap of one partition comes up in the very read in which another gives strays, while something waits to
/// land: they are read again, and must not be taken for landed.
#[tokio::test(flavor = "multi_thread")]
async fn strays_beside_a_gap_are_not_lost() {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use lake::source::{Fetched, Item, Part, Positions, Source, SourceError, Stray};

    struct Two {
        good: Vec<Item>,
        /// Of another journal, whose first records are missing.
        gap: Item,
        at: i64,
        both: bool,
    }

    impl Source for Two {
        fn name(&self) -> &str {
            "two"
        }
        fn partitions(&mut self) -> Vec<Arc<str>> {
            vec!["t/0".into(), "t/1".into()]
        }
        async fn begin(&mut self, landed: BTreeMap<Arc<str>, Option<i64>>) -> Result<Positions, SourceError> {
            self.both = landed.contains_key("t/1");
            self.at = landed.get("t/0").copied().flatten().unwrap_or(0);
            let begin = |(partition, position): (Arc<str>, Option<i64>)| (partition, position.unwrap_or(0));
            Ok(landed.into_iter().map(begin).collect())
        }
        async fn fetch(&mut self, _: usize) -> Result<Fetched, SourceError> {
            let end = self.good.len() as i64;
            let mut part = Part {
                partition: "t/0".into(),
                next: self.at,
                ..Part::default()
            };
            let mut parts = Vec::new();
            if self.at < end {
                part.items = self.good[self.at as usize..].to_vec();
                part.next = end;
            } else if self.at == end {
                part.strays.push(Stray {
                    position: end,
                    raw: b"nobody's".to_vec(),
                    why: "no journal sent it".to_owned(),
                });
                part.next = end + 1;
                parts.extend(self.both.then(|| Part {
                    partition: "t/1".into(),
                    items: vec![self.gap.clone()],
                    next: 1,
                    ..Part::default()
                }));
            }
            self.at = part.next;
            parts.insert(0, part);
            Ok(Fetched { parts, more: false })
        }
        async fn wait(&mut self) {
            if self.at > self.good.len() as i64 {
                std::future::pending::<()>().await;
            }
        }
        async fn landed(&mut self, _: &Positions) -> Result<(), SourceError> {
            Ok(())
        }
    }

    let (_dir, lake) = lake().await;
    let (h, other) = (history(10), history(2));
    let source = Two {
        good: h.items.clone(),
        gap: other.items[5].clone(),
        at: 0,
        both: true,
    };
    let (lander, handle) = Lander::open(lake.clone(), source, options()).await.unwrap();
    tokio::spawn(lander.run());
    for _ in 0..500 {
        if !handle.status().stopped.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(handle.status().stopped.contains_key("t/1"));
    assert_eq!(handle.flush().await.unwrap(), h.next() + 1);
    let report = verify(&lake, None).await.unwrap();
    let strays: u64 = (report.journals.iter().filter(|journal| journal.is_strays()))
        .map(|journal| journal.rows)
        .sum();
    assert_eq!(strays, 1, "{report}");
    assert!(report.is_complete(), "{report}");
}

/// A journal that ended with events of no call is done with as soon as any other's calls land: nobody looks for
/// rows of it at each start.
#[tokio::test(flavor = "multi_thread")]
async fn the_marks_of_calls_are_brought_up_with_the_next_rows() {
    let (_dir, lake) = lake().await;
    let (quiet, busy) = (history(0), history(5));
    let source = MemorySource::new("one");
    let handle = lander(&lake, &source).await;
    source.push(quiet.items.clone());
    handle.flush().await.unwrap();
    let marks = async || {
        let status = lake::LakeStatus::read(&lake, None).await.unwrap();
        let of = |journal: event::JournalId| {
            let found = (status.journals.iter()).find(|found| found.journal_id == journal.to_string());
            found.map(|found| (found.events_next, found.calls_next))
        };
        (of(quiet.journal), of(busy.journal))
    };
    assert_eq!(marks().await, (Some((quiet.next(), 0)), None));
    source.push(busy.items.clone());
    handle.flush().await.unwrap();
    let done = |next| Some((next, next));
    assert_eq!(marks().await, (done(quiet.next()), done(busy.next())));
    handle.stop().await;
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
}

/// Compaction under a landing lander, and against another compaction.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_and_landing_go_together() {
    let (_dir, lake) = lake().await;
    let h = history(200);
    let source = MemorySource::new("one");
    let handle = lander(&lake, &source).await;
    let compactor = {
        let lake = lake.clone();
        tokio::spawn(async move {
            let mut done = lake::CompactReport::default();
            for _ in 0..10 {
                let (a, b) = tokio::join!(compact(&lake, 2), compact(&lake, 2));
                for report in [a.unwrap(), b.unwrap()] {
                    done.files_removed += report.files_removed;
                    done.conflicts += report.conflicts;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            done
        })
    };
    for items in h.items.chunks(25) {
        source.push(items.iter().cloned());
        handle.flush().await.unwrap();
    }
    let done = compactor.await.unwrap();
    assert!(done.files_removed > 0);
    assert!(done.conflicts > 0, "two compactions met");
    let last = compact(&lake, 2).await.unwrap();
    assert_eq!(last.conflicts, 0);
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!((report.journals[0].rows as i64, report.calls.rows), (h.next(), 200));
    assert_eq!(report.journals[0].links as i64, h.next());
}

/// A rebuild gives the same rows; a landing afterwards goes on from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_gives_the_same_calls() {
    let (_dir, lake) = lake().await;
    let h = history(100);
    let source = MemorySource::new("one");
    let handle = lander(&lake, &source).await;
    source.push(h.items[..301].iter().cloned());
    handle.flush().await.unwrap();
    let sums = "select sum(cost_nano_usd) + sum(output_tokens) + sum(attempts) + count(*) from calls";
    let before = number(&handle.tail().view(), sums).await;
    let report = rebuild(&lake).await.unwrap();
    assert_eq!(report.events, 301);
    source.push(h.items[301..].iter().cloned());
    // The lander's handle on `calls` is stale now: it is refused once, and goes on.
    let _refused = handle.flush().await;
    assert_eq!(handle.flush().await.unwrap(), h.next());
    let report = rebuild(&lake).await.unwrap();
    assert_eq!((report.calls, report.open), (100, 0));
    let after = verify(&lake, None).await.unwrap();
    assert!(after.is_complete(), "{after}");
    assert_eq!(after.calls.rows, 100);
    assert!(before > 0);
    let view = lake::Tail::offline(&lake, None).await.unwrap().view();
    assert_eq!(number(&view, "select count(distinct call_id) from calls").await, 100);
    let _ = options();
}

/// A source whose partitions change hands at the worst moment: while the lander is told to end.
#[tokio::test(flavor = "multi_thread")]
async fn a_lander_ends_even_where_partitions_change_hands() {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use lake::source::{Fetched, Positions, Source, SourceError};

    struct Restless(MemorySource, u32);

    impl Source for Restless {
        fn name(&self) -> &str {
            self.0.name()
        }
        fn partitions(&mut self) -> Vec<Arc<str>> {
            self.0.partitions()
        }
        async fn begin(&mut self, landed: BTreeMap<Arc<str>, Option<i64>>) -> Result<Positions, SourceError> {
            self.0.begin(landed).await
        }
        async fn fetch(&mut self, max_bytes: usize) -> Result<Fetched, SourceError> {
            self.1 += 1;
            if !self.1.is_multiple_of(2) {
                let source_name = "restless".to_owned();
                return Err(SourceError::Moved { source_name });
            }
            self.0.fetch(max_bytes).await
        }
        async fn wait(&mut self) {
            self.0.wait().await;
        }
        async fn landed(&mut self, next: &Positions) -> Result<(), SourceError> {
            self.0.landed(next).await
        }
    }

    let (_dir, lake) = lake().await;
    let h = history(100);
    let source = MemorySource::new("one");
    source.push(h.items.clone());
    let (lander, handle) = Lander::open(lake.clone(), Restless(source, 0), options())
        .await
        .unwrap();
    let running = tokio::spawn(lander.run());
    handle.stop().await;
    let ended = tokio::time::timeout(Duration::from_secs(20), running).await;
    ended.unwrap().unwrap().unwrap();
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.journals[0].rows as i64, h.next());
}
