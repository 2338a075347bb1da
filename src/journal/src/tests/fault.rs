use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use event::{Body, Draft, Json, Record, Scope};
use proptest::prelude::*;

use super::memory::Memory;
use crate::{AppendError, Durability, FullReason, Journal, OpenError, Options, Quota, Reader, WhenFull, tool};

pub fn draft(n: u64) -> Draft {
    let text = Json::of(&format!("{n} {}", "z".repeat(400))).unwrap();
    let body = Body::Unknown {
        event_type: "test.noted".to_owned(),
        body: text,
    };
    Draft::new(&Scope::default(), None, 0, n as i64, &body).unwrap()
}

fn numbers(dir: &Path) -> Vec<i64> {
    let mut reader = Reader::open(dir, 0).unwrap();
    let mut all: Vec<i64> = Vec::new();
    loop {
        let batch: Vec<Record> = reader.next_batch(1 << 20).unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch.iter().map(|r| r.envelope.time_unix_nano));
    }
}

/// Nothing is synced but on demand.
pub fn options(durability: Durability) -> Options {
    Options {
        durability,
        segment_bytes: 32 << 10,
        sync_interval: Duration::from_secs(3600),
        quota: None,
    }
}

fn whole(dir: &Path) {
    let report = tool::verify(dir).unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
}

#[test]
fn a_failed_write_goes_to_a_new_segment_and_nobody_notices() {
    for half in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Memory::default();
        let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
        let mut live = journal.reader(0).unwrap();
        journal.append(&[draft(0), draft(1)]).unwrap();
        disk.plan.half_writes.store(half, SeqCst);
        disk.plan.fail_write.store(1, SeqCst);
        let appended = journal.append(&[draft(2), draft(3), draft(4)]).unwrap();
        assert_eq!((appended.first, appended.last), (2, 4));
        assert_eq!(journal.stats().poisoned, 1);
        journal.append(&[draft(5)]).unwrap();
        assert_eq!(live.next_batch(1 << 20).unwrap().len(), 6);
        drop(journal);
        assert_eq!(numbers(dir.path()), [0, 1, 2, 3, 4, 5]);
        whole(dir.path());
    }
}

#[test]
fn a_write_that_fails_twice_is_refused_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Memory::default();
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
    journal.append(&[draft(0), draft(1)]).unwrap();
    disk.plan.half_writes.store(true, SeqCst);
    disk.plan.for_good.store(true, SeqCst);
    disk.plan.fail_write.store(1, SeqCst);
    for _ in 0..3 {
        let refused = journal.append(&[draft(98), draft(99)]).unwrap_err();
        assert!(matches!(refused, AppendError::Io { .. }), "{refused}");
    }
    assert_eq!(journal.end(), 2);
    disk.plan.fail_write.store(0, SeqCst);
    assert_eq!(journal.append(&[draft(2)]).unwrap().first, 2);
    drop(journal);
    assert_eq!(numbers(dir.path()), [0, 1, 2]);
    whole(dir.path());
}

#[test]
fn short_writes_are_completed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Memory::default();
    disk.plan.short_writes.store(true, SeqCst);
    let (journal, _) = Journal::open_on(Box::new(disk), dir.path(), options(Durability::Os)).unwrap();
    for n in 0..200 {
        journal.append(&[draft(n)]).unwrap();
    }
    drop(journal);
    assert_eq!(numbers(dir.path()), (0..200).collect::<Vec<_>>());
    whole(dir.path());
}

#[test]
fn what_a_failed_fdatasync_dropped_is_saved_to_a_new_segment() {
    // The failing call: first sync of data in the first segment, or of one of several segments.
    for (before, unsynced, nth) in [
        (0, 5, 1),
        (10, 5, 1),
        (10, 200, 1),
        (10, 200, 2),
        (10, 200, 3),
        (0, 200, 2),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Memory::default();
        let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
        let mut live = journal.reader(0).unwrap();
        for n in 0..before {
            journal.append(&[draft(n)]).unwrap();
        }
        journal.flush().unwrap();
        for n in before..before + unsynced {
            journal.append(&[draft(n)]).unwrap();
        }
        assert_eq!(live.next_raw_batch(700).unwrap().len(), 1);
        disk.plan.fail_sync.store(nth, SeqCst);
        journal.flush().unwrap();
        assert_eq!(disk.plan.fail_sync.load(SeqCst), 0, "the fault was met");
        assert_eq!(journal.stats().poisoned, 1);
        assert_eq!(journal.synced(), (before + unsynced) as i64);
        // The device has all of it, although the old file's pages were dropped.
        let cut = tempfile::tempdir().unwrap();
        disk.power_cut(cut.path());
        let (survivor, recovery) = Journal::open(cut.path(), options(Durability::Os)).unwrap();
        assert_eq!(
            recovery.next_offset,
            (before + unsynced) as i64,
            "{before} {unsynced} {nth}: {recovery:?}"
        );
        drop(survivor);
        whole(cut.path());
        // And the journal goes on.
        journal.append(&[draft(before + unsynced)]).unwrap();
        let mut seen = 1;
        loop {
            match live.next_raw_batch(1 << 20).unwrap().len() {
                0 => break,
                n => seen += n as u64,
            }
        }
        assert_eq!(seen, before + unsynced + 1, "a reader goes on over the change of files");
        drop(journal);
        assert_eq!(
            numbers(dir.path()),
            (0..=(before + unsynced) as i64).collect::<Vec<_>>()
        );
        whole(dir.path());
    }
}

#[test]
fn a_device_that_never_syncs_again_is_said_to_be_so() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Memory::default();
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Strict)).unwrap();
    let first = journal.append(&[draft(0)]).unwrap().last;
    wait(journal.durable(first)).unwrap();
    disk.plan.for_good.store(true, SeqCst);
    disk.plan.fail_sync.store(1, SeqCst);
    let second = journal.append(&[draft(1)]).unwrap().last;
    assert!(matches!(
        wait(journal.durable(second)),
        Err(AppendError::Poisoned { .. })
    ));
    assert!(matches!(journal.append(&[draft(2)]), Err(AppendError::Poisoned { .. })));
    // It comes back: what was in doubt is saved, and appends are taken again.
    disk.plan.fail_sync.store(0, SeqCst);
    wait(journal.durable(second)).unwrap();
    journal.append(&[draft(2)]).unwrap();
    drop(journal);
    assert_eq!(numbers(dir.path()), [0, 1, 2]);
    whole(dir.path());
}

#[test]
fn a_full_disk_blocks_or_sheds_as_the_policy_says() {
    for when_full in [WhenFull::Block, WhenFull::Shed] {
        let dir = tempfile::tempdir().unwrap();
        let disk = Memory::default();
        let quota = Some(Quota {
            bytes: 1 << 30,
            when_full,
        });
        let options = Options {
            quota,
            ..options(Durability::Os)
        };
        let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options).unwrap();
        disk.plan.full.store(true, SeqCst);
        disk.plan.for_good.store(true, SeqCst);
        disk.plan.fail_create.store(1, SeqCst);
        let mut taken = 0;
        let refused = loop {
            match journal.append(&[draft(taken)]) {
                Ok(_) => taken += 1,
                Err(e) => break e,
            }
        };
        assert!(taken > 10);
        assert!(!journal.has_room());
        match when_full {
            WhenFull::Block => {
                assert!(
                    matches!(
                        refused,
                        AppendError::Full {
                            reason: FullReason::Disk,
                            ..
                        }
                    ),
                    "{refused}"
                );
            }
            WhenFull::Shed => {
                assert!(
                    matches!(
                        refused,
                        AppendError::Shed {
                            events: 1,
                            reason: FullReason::Disk
                        }
                    ),
                    "{refused}"
                );
            }
        }
        disk.plan.fail_create.store(0, SeqCst);
        let appended = journal.append(&[draft(taken)]).unwrap();
        assert!(journal.has_room());
        let told = u64::from(when_full == WhenFull::Shed);
        assert_eq!(appended.first, (taken + told) as i64, "what was shed is told of first");
        drop(journal);
        whole(dir.path());
    }
}

#[test]
fn errors_of_the_system_are_told_apart() {
    let path = Path::new("/data/journal");
    let of = |code| OpenError::of("open", path, std::io::Error::from_raw_os_error(code));
    assert!(matches!(of(30), OpenError::NotWritable { .. })); // EROFS
    assert!(matches!(of(13), OpenError::NotWritable { .. })); // EACCES
    assert!(matches!(of(28), OpenError::NoSpace { .. })); // ENOSPC
    assert!(matches!(of(122), OpenError::NoSpace { .. })); // EDQUOT
    assert!(matches!(of(5), OpenError::Io { .. }));
    assert!(of(30).to_string().contains("/data/journal cannot be written"));
}

fn wait(durable: crate::Durable) -> Result<(), AppendError> {
    use std::task::{Context, Poll, Waker};
    let mut durable = std::pin::pin!(durable);
    loop {
        match durable.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => return result,
            Poll::Pending => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Threads meet failing writes: each batch is either recorded as acknowledged, or not at all.
/// (In unit tests a leader hands over after one round, so that is met too.)
#[test]
fn many_threads_and_failing_writes_keep_acknowledged_and_refused_apart() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Memory::default();
    disk.plan.half_writes.store(true, SeqCst);
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
    let outcomes: Vec<(u64, Option<i64>)> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..16u64)
            .map(|t| {
                let (journal, disk) = (&journal, &disk);
                scope.spawn(move || {
                    let mut outcomes = Vec::new();
                    for n in 0..60 {
                        if n % 20 == t {
                            // Some fail once, some twice in a row: those are refused.
                            disk.plan.for_good.store(t % 2 == 0, SeqCst);
                            disk.plan.fail_write.store(1, SeqCst);
                        }
                        let serial = t * 1000 + n * 2;
                        let appended = journal.append(&[draft(serial), draft(serial + 1)]);
                        if appended.is_err() {
                            disk.plan.fail_write.store(0, SeqCst);
                        }
                        outcomes.push((serial, appended.ok().map(|a| a.first)));
                    }
                    outcomes
                })
            })
            .collect();
        writers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    disk.plan.fail_write.store(0, SeqCst);
    let taken: Vec<_> = outcomes
        .iter()
        .filter_map(|(serial, first)| Some((*serial, (*first)?)))
        .collect();
    assert!(
        taken.len() < outcomes.len() && journal.stats().poisoned > 0,
        "faults were met"
    );
    drop(journal);
    let numbers = numbers(dir.path());
    assert_eq!(numbers.len(), taken.len() * 2);
    for (serial, first) in taken {
        assert_eq!(
            numbers[first as usize..first as usize + 2],
            [serial as i64, serial as i64 + 1]
        );
    }
    whole(dir.path());
}

/// Writes are slow, so that many wait for each: one of them at a time is told to lead.
#[test]
fn one_leads_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Memory::default();
    disk.plan.slow.store(50, SeqCst);
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
    std::thread::scope(|scope| {
        for t in 0..16u64 {
            let journal = &journal;
            scope.spawn(move || {
                let mut reader = None;
                for n in 0..100 {
                    let appended = journal.append(&[draft(t * 1000 + n)]).unwrap();
                    // What is acknowledged can be read.
                    let reader = reader.get_or_insert_with(|| journal.reader(appended.first).unwrap());
                    reader.seek(appended.first);
                    let read = reader.next_batch(1).unwrap();
                    assert_eq!(read[0].envelope.time_unix_nano, (t * 1000 + n) as i64);
                }
            });
        }
    });
    drop(journal);
    assert_eq!(numbers(dir.path()).len(), 1600);
    whole(dir.path());
}

#[derive(Clone, Debug)]
enum Op {
    Append(u8),
    Flush,
    FailWrite { half: bool, nth: u64 },
    FailSync { nth: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1u8..30).prop_map(Op::Append),
        3 => Just(Op::Flush),
        1 => (any::<bool>(), 1u64..4).prop_map(|(half, nth)| Op::FailWrite { half, nth }),
        1 => (1u64..6).prop_map(|nth| Op::FailSync { nth }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever fails in between: what a flush acknowledged survives a power cut, and what an
    /// append acknowledged survives the process.
    #[test]
    fn acknowledged_records_survive_any_faults(ops in prop::collection::vec(op(), 1..40)) {
        let dir = tempfile::tempdir().unwrap();
        let disk = Memory::default();
        let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
        let mut acknowledged: Vec<i64> = Vec::new();
        let mut durable = 0;
        let mut serial = 0;
        for op in ops {
            match op {
                Op::Append(count) => {
                    let batch: Vec<Draft> = (0..u64::from(count)).map(|i| draft(serial + i)).collect();
                    if let Ok(appended) = journal.append(&batch) {
                        prop_assert_eq!(appended.first, acknowledged.len() as i64);
                        acknowledged.extend((serial as i64)..(serial as i64 + i64::from(count)));
                    }
                    serial += u64::from(count);
                }
                Op::Flush => if journal.flush().is_ok() {
                    durable = acknowledged.len();
                },
                Op::FailWrite { half, nth } => {
                    disk.plan.half_writes.store(half, SeqCst);
                    disk.plan.fail_write.store(nth, SeqCst);
                }
                Op::FailSync { nth } => disk.plan.fail_sync.store(nth, SeqCst),
            }
            prop_assert_eq!(journal.end() as usize, acknowledged.len());
        }
        let cut = tempfile::tempdir().unwrap();
        disk.power_cut(cut.path());
        let (survivor, recovery) = Journal::open(cut.path(), options(Durability::Os)).unwrap();
        prop_assert!(recovery.next_offset as usize >= durable, "{:?}, durable {}", recovery, durable);
        prop_assert_eq!(&recovery.corrupt, &vec![]);
        drop(survivor);
        let survived = numbers(cut.path());
        prop_assert_eq!(&survived[..], &acknowledged[..survived.len()]);
        disk.plan.fail_sync.store(0, SeqCst);
        disk.plan.fail_write.store(0, SeqCst);
        drop(journal);
        prop_assert_eq!(numbers(dir.path()), acknowledged);
    }
}
