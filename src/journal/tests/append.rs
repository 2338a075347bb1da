//! Appending and reading, by one and by many.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::{Duration, Instant};

use common::*;
use journal::{Durability, Journal, Options, ReadError, Reader, tool};

fn small() -> Options {
    Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    }
}

#[test]
fn what_is_appended_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, recovery) = Journal::open(dir.path(), Options::default()).unwrap();
    assert!(recovery.created);
    let drafts: Vec<_> = (0..3).map(|n| draft(n, 100)).collect();
    let appended = journal.append(&drafts).unwrap();
    assert_eq!((appended.first, appended.last), (0, 2));
    let mut reader = journal.reader(0).unwrap();
    let records = reader.next_batch(1 << 20).unwrap();
    for (n, record) in records.iter().enumerate() {
        assert_eq!(record.envelope.offset, n as i64);
        assert_eq!(record.envelope.journal_id, journal.id());
        assert_eq!(record.canonical().unwrap(), drafts[n].bytes());
    }
    assert_eq!(records.len(), 3);
    assert_eq!(reader.position(), 3);
    assert!(reader.next_batch(1 << 20).unwrap().is_empty());
    let mut raw = journal.reader(1).unwrap();
    let raw = raw.next_raw_batch(1).unwrap();
    assert_eq!(raw.len(), 1, "at least one, however small the room");
    assert_eq!(raw[0].payload, records[1].to_bytes().unwrap());
}

#[test]
fn offsets_and_chain_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut id = None;
    for round in 0..4u64 {
        let (journal, recovery) = Journal::open(dir.path(), small()).unwrap();
        assert_eq!(recovery.next_offset, round as i64 * 100);
        assert_eq!((recovery.torn, recovery.corrupt), (None, vec![]));
        assert_eq!(*id.get_or_insert(journal.id()), journal.id());
        for n in 0..100 {
            journal.append(&[draft(round * 100 + n, 2000)]).unwrap();
        }
    }
    let report = tool::verify(dir.path()).unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
    assert_eq!((report.first, report.end, report.records), (0, 400, 400));
    assert!(report.segments.len() > 10);
    let mut reader = Reader::open(dir.path(), 150).unwrap();
    let numbers: Vec<u64> = read_all(&mut reader).iter().map(number).collect();
    assert_eq!(numbers, (150..400).collect::<Vec<_>>());
    let mut lines = Vec::new();
    let exported = tool::export(dir.path(), Some(10), Some(20), &mut lines).unwrap();
    assert_eq!(exported.records, 10);
    assert_eq!(String::from_utf8(lines).unwrap().lines().count(), 10);
}

#[test]
fn a_clean_end_leaves_no_preallocated_room_and_no_temporary_file() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    for n in 0..100 {
        journal.append(&[draft(n, 1000)]).unwrap();
    }
    drop(journal);
    let report = tool::inspect(dir.path()).unwrap();
    assert!(report.segments.iter().all(|s| s.bytes == s.file_bytes));
    let temporary = std::fs::read_dir(dir.path())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "tmp"));
    assert_eq!(temporary.count(), 0);
}

#[test]
fn a_record_larger_than_a_segment_gets_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    journal.append(&[draft(0, 10)]).unwrap();
    journal.append(&[draft(1, 300 << 10)]).unwrap();
    journal.append(&[draft(2, 10)]).unwrap();
    let mut reader = journal.reader(0).unwrap();
    let records = read_all(&mut reader);
    assert_eq!(records.iter().map(number).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(body_text(&records[1]).len(), 2 + (300 << 10));
}

#[test]
fn many_threads_get_contiguous_offsets_and_keep_their_own_order() {
    const THREADS: u64 = 64;
    const EACH: u64 = 60;
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    std::thread::scope(|scope| {
        for t in 0..THREADS {
            let journal = journal.clone();
            scope.spawn(move || {
                let mut last = -1;
                for n in 0..EACH {
                    let batch: Vec<_> = (0..3)
                        .map(|i| draft(t * 1_000_000 + n * 3 + i, 50 * t as usize))
                        .collect();
                    let appended = journal.append(&batch).unwrap();
                    assert_eq!(appended.last - appended.first, 2);
                    assert!(appended.first > last);
                    assert!(journal.end() > appended.last);
                    last = appended.last;
                }
            });
        }
        let mut reader = journal.reader(0).unwrap();
        let mut next = [0u64; THREADS as usize];
        let mut seen = 0;
        while seen < THREADS * EACH * 3 {
            for record in reader.next_batch(1 << 20).unwrap() {
                assert_eq!(record.envelope.offset, seen as i64);
                let (t, n) = (number(&record) / 1_000_000, number(&record) % 1_000_000);
                assert_eq!(n, next[t as usize], "thread {t} out of order");
                next[t as usize] += 1;
                seen += 1;
            }
        }
    });
    let stats = journal.stats();
    assert_eq!(stats.appended_events, THREADS * EACH * 3);
    drop(journal);
    let report = tool::verify(dir.path()).unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
    assert_eq!(report.records, THREADS * EACH * 3);
}

#[test]
fn strict_resolves_after_the_sync_that_covers_it() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        durability: Durability::Strict,
        sync_interval: Duration::from_secs(3600),
        ..small()
    };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    std::thread::scope(|scope| {
        for t in 0..16 {
            let journal = journal.clone();
            scope.spawn(move || {
                for n in 0..20 {
                    let last = journal.append(&[draft(t * 100 + n, 500)]).unwrap().last;
                    block_on(journal.durable(last)).unwrap();
                    assert!(journal.synced() > last);
                }
            });
        }
    });
    let stats = journal.stats();
    assert!(stats.syncs < 320, "syncs are shared: {}", stats.syncs);
}

#[test]
fn os_syncs_by_itself_and_flush_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    let last = journal.append(&[draft(0, 10)]).unwrap().last;
    block_on(journal.durable(last)).unwrap();
    let began = Instant::now();
    while journal.synced() <= last {
        assert!(began.elapsed() < Duration::from_secs(10), "never synced");
        std::thread::sleep(Duration::from_millis(1));
    }
    let idle = journal.stats().syncs;
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(journal.stats().syncs, idle, "nothing new, nothing to sync");

    let lazy = Options {
        sync_interval: Duration::from_secs(3600),
        ..small()
    };
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), lazy).unwrap();
    journal.append(&[draft(0, 10)]).unwrap();
    assert_eq!(journal.synced(), 0);
    assert!(journal.durable_reader(0).unwrap().next_batch(1000).unwrap().is_empty());
    journal.flush().unwrap();
    assert_eq!(journal.synced(), 1);
    assert_eq!(journal.durable_reader(0).unwrap().next_batch(1000).unwrap().len(), 1);
}

#[test]
fn the_end_is_told_to_those_who_watch() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    journal.append(&[draft(0, 10)]).unwrap();
    let mut end = journal.watch_end();
    assert_eq!(*end.borrow_and_update(), 1);
    for n in 1..20 {
        journal.append(&[draft(n, 10)]).unwrap();
        block_on(async {
            while *end.borrow_and_update() <= n as i64 {
                end.changed().await.unwrap();
            }
        });
    }
}

#[test]
fn positions_hold_segments_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), small()).unwrap();
    for n in 0..200 {
        journal.append(&[draft(n, 2000)]).unwrap();
    }
    journal.flush().unwrap();
    assert_eq!(journal.release().unwrap().segments, 0, "without consumers nothing goes");
    journal.positions().set("lander", 150).unwrap();
    journal.positions().set("shipper", 90).unwrap();
    assert!(journal.positions().set("lander", 201).is_err());
    assert!(journal.positions().set("../lander", 1).is_err());
    let released = journal.release().unwrap();
    assert!(
        released.segments > 1 && released.first <= 90 && released.first > 50,
        "{released:?}"
    );
    assert!(matches!(journal.reader(0), Err(ReadError::Released { first, .. }) if first == released.first));
    assert_eq!(read_all(&mut journal.reader(90).unwrap()).len(), 110);
    journal.positions().set("shipper", 200).unwrap();
    journal.positions().set("lander", 200).unwrap();
    journal.release().unwrap();
    assert_eq!(segments(dir.path()).len(), 1, "the active one stays");
    drop(journal);
    let (journal, recovery) = Journal::open(dir.path(), small()).unwrap();
    assert_eq!(recovery.next_offset, 200);
    assert_eq!(journal.positions().get("lander"), Some(200));
    assert_eq!(journal.positions().get("nobody"), None);
    journal.append(&[draft(200, 10)]).unwrap();
    drop(journal);
    assert!(tool::verify(dir.path()).unwrap().is_whole());
}
