//! How landing ends: by order, or because it must not go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lake::source::{Fetched, MemorySource, Positions, Source, SourceError};
use lake::{Lake, LakeError, LandOptions, Lander, verify};

use crate::history::history;
use crate::lands::options;

/// A topic of one partition: it does not end with its lander, and may be damaged at a position.
struct Topic {
    log: MemorySource,
    damaged: Option<i64>,
    next: i64,
    stays: bool,
}

impl Topic {
    fn new(log: &MemorySource, damaged: Option<i64>) -> Topic {
        Topic {
            log: log.clone(),
            damaged,
            next: 0,
            stays: false,
        }
    }
}

impl Source for Topic {
    fn name(&self) -> &str {
        "topic"
    }

    fn partitions(&mut self) -> Vec<Arc<str>> {
        self.log.partitions()
    }

    fn ends_with_us(&self) -> bool {
        false
    }

    fn must_stay(&self) -> bool {
        self.stays
    }

    async fn begin(&mut self, landed: BTreeMap<Arc<str>, Option<i64>>) -> Result<Positions, SourceError> {
        let begin = self.log.begin(landed).await?;
        self.next = begin.values().sum();
        Ok(begin)
    }

    async fn fetch(&mut self, max_bytes: usize) -> Result<Fetched, SourceError> {
        if self.damaged.is_some_and(|at| self.next >= at) {
            return Err(SourceError::Damaged {
                source_name: "topic".to_owned(),
                partition: self.log.partitions().remove(0),
                at: self.next,
                what: "a batch does not match its checksum".to_owned(),
            });
        }
        let fetched = self.log.fetch(max_bytes).await?;
        self.next = fetched.parts.iter().map(|part| part.next).sum();
        Ok(fetched)
    }

    async fn wait(&mut self) {
        if self.damaged.is_none() {
            self.log.wait().await;
        }
    }

    async fn landed(&mut self, next: &Positions) -> Result<(), SourceError> {
        self.log.landed(next).await
    }
}

async fn lake() -> (tempfile::TempDir, Lake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = Lake::create(dir.path().join("lake").to_str().unwrap()).await.unwrap();
    (dir, lake)
}

/// Nobody waits for a backlog of hours: what was read lands, the rest is the topic's.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_to_end_leaves_a_backlog_where_it_is() {
    let (_dir, lake) = lake().await;
    let h = history(400);
    let log = MemorySource::new("one");
    log.push(h.items.clone());
    // Each read takes its time, as there is always more.
    let slow = LandOptions {
        fetch_bytes: 20_000,
        max_bytes: 1 << 30,
        ..options()
    };
    let (lander, handle) = Lander::open(lake.clone(), Topic::new(&log, None), slow).await.unwrap();
    let mut status = handle.status();
    let lander = tokio::spawn(lander.run());
    while status.visible == 0 {
        tokio::task::yield_now().await;
        status = handle.status();
    }
    handle.stop().await;
    lander.await.unwrap().unwrap();
    let landed = log.landed_position();
    assert!(landed >= status.visible, "what was read landed: {landed} of {status:?}");
    assert!(landed < h.next(), "and no more: {landed} of {}", h.next());
    // The next one goes on there.
    let (lander, handle) = Lander::open(lake.clone(), Topic::new(&log, None), options())
        .await
        .unwrap();
    let lander = tokio::spawn(lander.run());
    assert_eq!(handle.flush().await.unwrap(), h.next());
    handle.stop().await;
    lander.await.unwrap().unwrap();
    assert!(verify(&lake, None).await.unwrap().is_complete());
}

/// What stands before damage is good, and lands before anybody is alarmed, even where nothing else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_stands_before_damage_lands() {
    let (_dir, lake) = lake().await;
    let h = history(20);
    let log = MemorySource::new("one");
    log.push(h.items.clone());
    let topic = Topic::new(&log, Some(h.next()));
    let (lander, _handle) = Lander::open(lake.clone(), topic, options()).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), lander.run())
        .await
        .unwrap();
    assert!(
        matches!(ended, Err(LakeError::Source(SourceError::Damaged { .. }))),
        "{ended:?}"
    );
    assert_eq!(log.landed_position(), h.next());
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
    assert_eq!(report.journals[0].rows, u64::try_from(h.next()).unwrap());
}

/// Whoever shares the topic with one that must not go on would get its partitions: it keeps them until it is told to
/// end.
#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_read_goes_to_nobody_else() {
    let (_dir, lake) = lake().await;
    let log = MemorySource::new("one");
    log.push(history(5).items);
    let topic = Topic {
        stays: true,
        ..Topic::new(&log, Some(0))
    };
    let (lander, handle) = Lander::open(lake, topic, options()).await.unwrap();
    let mut lander = tokio::spawn(lander.run());
    while handle.status().error.is_none() {
        tokio::task::yield_now().await;
    }
    let ended = tokio::time::timeout(Duration::from_millis(300), &mut lander).await;
    assert!(ended.is_err(), "{ended:?}");
    assert!(handle.flush().await.is_err());
    handle.stop().await;
    assert!(lander.await.unwrap().is_err());
}

/// The last messages of a topic came twice, and nothing follows: the position moves on all the same, before the topic
/// lets go of them.
#[tokio::test(flavor = "multi_thread")]
async fn positions_move_on_over_duplicates() {
    let (_dir, lake) = lake().await;
    let h = history(5);
    let log = MemorySource::new("one");
    log.push(h.items.clone());
    let soon = LandOptions {
        max_age: Duration::from_millis(50),
        ..options()
    };
    let topic = Topic::new(&log, None);
    let (lander, handle) = Lander::open(lake.clone(), topic, soon).await.unwrap();
    let lander = tokio::spawn(lander.run());
    let landed = async |next: i64| {
        let all = async {
            while log.landed_position() < next {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), all).await.is_ok()
    };
    assert!(landed(h.next()).await);
    log.push(h.items.clone());
    assert!(
        landed(2 * h.next()).await,
        "{} of {}",
        log.landed_position(),
        2 * h.next()
    );
    assert_eq!(handle.status().duplicates, u64::try_from(h.next()).unwrap());
    handle.stop().await;
    lander.await.unwrap().unwrap();
    let report = verify(&lake, None).await.unwrap();
    assert!(report.is_complete(), "{report}");
}
