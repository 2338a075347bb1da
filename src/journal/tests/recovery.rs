//! What a crash, a bad disk and a curious hand may leave behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::*;
use journal::{Journal, OpenError, Options, ReadError, Reader, tool};
use proptest::prelude::*;

/// A journal of `count` records in one segment that keeps its preallocated room, as a killed
/// process leaves it. Returns where each record begins, and the end.
fn killed(dir: &Path, count: u64, filler: usize) -> Vec<u64> {
    let live = dir.join("live");
    let (journal, _) = Journal::open(
        &live,
        Options {
            segment_bytes: 64 << 10,
            ..Options::default()
        },
    )
    .unwrap();
    let mut starts = Vec::new();
    for n in 0..count {
        starts.push(journal.stats().disk_bytes);
        journal.append(&[draft(n, filler)]).unwrap();
    }
    starts.push(journal.stats().disk_bytes);
    copy_dir(&live, &dir.join("dead"));
    starts
}

fn reopened(dir: &Path) -> (Journal, journal::Recovery) {
    Journal::open(
        dir,
        Options {
            segment_bytes: 64 << 10,
            ..Options::default()
        },
    )
    .unwrap()
}

/// The one segment of `from`, changed by `change`, alone in the folder `to`.
fn damaged(from: &Path, to: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    let segment = &segments(from)[0];
    let mut bytes = std::fs::read(segment).unwrap();
    change(&mut bytes);
    std::fs::write(to.join(segment.file_name().unwrap()), bytes).unwrap();
}

#[test]
fn a_write_torn_at_any_byte_of_the_last_record_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let starts = killed(dir.path(), 4, 20);
    let (last, end) = (starts[3] as usize, starts[4] as usize);
    let copy = dir.path().join("copy");
    for keep in last..=end {
        for shorten in [false, true] {
            damaged(&dir.path().join("dead"), &copy, |bytes| {
                if shorten {
                    bytes.truncate(keep);
                } else {
                    bytes[keep..].fill(0);
                }
            });
            let (journal, recovery) = reopened(&copy);
            let whole = if keep == end { 4 } else { 3 };
            assert_eq!(recovery.next_offset, whole, "torn at {keep}");
            assert_eq!(recovery.corrupt, []);
            let torn = recovery.torn.map(|t| (t.offset, t.bytes));
            match torn {
                // Where the kept bytes happen to end in zeros, fewer are seen.
                Some((offset, bytes)) => assert!(offset == 3 && bytes <= (keep - last) as u64 && keep < end),
                None => assert!(keep == last || keep == end || keep < last + 4, "torn at {keep} unseen"),
            }
            journal.append(&[draft(77, 20)]).unwrap();
            drop(journal);
            let report = tool::verify(&copy).unwrap();
            assert!(report.is_whole(), "torn at {keep}: {:?}", report.faults);
            assert_eq!(report.records, whole as u64 + 1);
            let numbers: Vec<u64> = read_all(&mut Reader::open(&copy, 0).unwrap())
                .iter()
                .map(number)
                .collect();
            assert_eq!(numbers.last(), Some(&77));
        }
    }
}

#[test]
fn a_flipped_bit_at_any_byte_of_a_middle_record_is_reported_and_kept() {
    let dir = tempfile::tempdir().unwrap();
    let starts = killed(dir.path(), 5, 20);
    let copy = dir.path().join("copy");
    for at in starts[2]..starts[3] {
        damaged(&dir.path().join("dead"), &copy, |bytes| {
            bytes[at as usize] ^= 1 << (at % 8)
        });
        let before = std::fs::read(&segments(&copy)[0]).unwrap();
        let (journal, recovery) = reopened(&copy);
        assert_eq!(recovery.next_offset, 5, "flip at {at}");
        assert_eq!(recovery.torn, None);
        assert_eq!(recovery.corrupt.len(), 1);
        let hole = &recovery.corrupt[0];
        assert_eq!(
            (hole.first, hole.next, hole.at, hole.bytes),
            (2, 3, starts[2], starts[3] - starts[2])
        );
        assert_eq!(
            std::fs::read(&segments(&copy)[0]).unwrap(),
            before[..starts[5] as usize],
            "kept as it is"
        );
        journal.append(&[draft(5, 20)]).unwrap();

        for mut reader in [journal.reader(0).unwrap(), Reader::open(&copy, 0).unwrap()] {
            assert_eq!(reader.next_batch(1 << 20).unwrap().len(), 2);
            let Err(ReadError::Corrupt(seen)) = reader.next_batch(1 << 20) else {
                unreachable!("the hole is reported");
            };
            assert_eq!(&seen, hole);
            assert_eq!(read_all(&mut reader).iter().map(number).collect::<Vec<_>>(), [3, 4, 5]);
        }
        assert_eq!(read_all(&mut journal.reader(3).unwrap()).len(), 3);
        let mut inside = journal.reader(2).unwrap();
        assert!(matches!(inside.next_batch(1 << 20), Err(ReadError::Corrupt(_))));
        drop(journal);

        let report = tool::verify(&copy).unwrap();
        assert_eq!(report.faults, [tool::Fault::Hole(hole.clone())]);
        assert_eq!(report.records, 5);
        let mut lines = Vec::new();
        let exported = tool::export(&copy, Some(0), None, &mut lines).unwrap();
        assert_eq!((exported.records, exported.holes), (5, vec![hole.clone()]));
    }
}

#[test]
fn a_page_that_was_lost_under_later_records_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let starts = killed(dir.path(), 20, 500);
    let copy = dir.path().join("copy");
    damaged(&dir.path().join("dead"), &copy, |bytes| bytes[4096..8192].fill(0));
    let (_journal, recovery) = reopened(&copy);
    assert_eq!((recovery.next_offset, recovery.torn), (20, None));
    let first = starts.iter().rposition(|s| *s <= 4096).unwrap() as i64;
    let next = starts.iter().position(|s| *s >= 8192).unwrap() as i64;
    assert_eq!(recovery.corrupt.len(), 1);
    assert_eq!((recovery.corrupt[0].first, recovery.corrupt[0].next), (first, next));
}

#[test]
fn damage_where_recovery_need_not_look_is_found_by_readers_and_verify() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = reopened(dir.path());
    for n in 0..200 {
        journal.append(&[draft(n, 1000)]).unwrap();
        journal.flush().unwrap();
    }
    drop(journal);
    let first = &segments(dir.path())[0];
    let mut bytes = std::fs::read(first).unwrap();
    let cut = bytes.len() - 1500; // within the last but one record
    bytes.truncate(cut);
    std::fs::write(first, &bytes).unwrap();
    let (journal, recovery) = reopened(dir.path());
    assert_eq!(recovery.corrupt, [], "what was synced is not read again at each start");
    let mut reader = journal.reader(0).unwrap();
    let mut seen = 0;
    let mut holes = Vec::new();
    loop {
        match reader.next_batch(1 << 20) {
            Ok(batch) if batch.is_empty() => break,
            Ok(batch) => seen += batch.len() as i64,
            Err(ReadError::Corrupt(hole)) => holes.push(hole),
            Err(e) => unreachable!("{e}"),
        }
    }
    assert_eq!(holes.len(), 1);
    assert_eq!(seen + holes[0].next - holes[0].first, 200);
    assert_eq!(holes[0].next - holes[0].first, 2);
    drop(journal);
    let report = tool::verify(dir.path()).unwrap();
    assert_eq!(report.faults, [tool::Fault::Hole(holes[0].clone())]);
    // A whole segment gone: one hole, to where the next one begins.
    let third = segments(dir.path())[2].clone();
    std::fs::remove_file(&segments(dir.path())[1]).unwrap();
    let report = tool::verify(dir.path()).unwrap();
    let next: i64 = third.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let [tool::Fault::Hole(hole)] = &report.faults[..] else {
        unreachable!("{:?}", report.faults)
    };
    assert_eq!((hole.first, hole.next), (holes[0].first, next));
}

#[test]
fn damage_in_any_segment_that_may_not_have_been_synced_is_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let lazy = Options {
        segment_bytes: 64 << 10,
        sync_interval: Duration::from_secs(3600),
        ..Options::default()
    };
    let (journal, _) = Journal::open(&live, lazy).unwrap();
    for n in 0..200 {
        journal.append(&[draft(n, 1000)]).unwrap();
    }
    let dead = dir.path().join("dead");
    copy_dir(&live, &dead);
    let second = &segments(&dead)[1];
    let mut bytes = std::fs::read(second).unwrap();
    bytes[2000] ^= 1;
    std::fs::write(second, bytes).unwrap();
    let (_journal, recovery) = reopened(&dead);
    assert_eq!(recovery.next_offset, 200);
    assert!(segments(&dead).len() > 4);
    assert_eq!(recovery.corrupt.len(), 1);
    assert_eq!(&recovery.corrupt[0].segment, second);
}

#[test]
fn stale_bytes_in_preallocated_room_are_never_records() {
    let dir = tempfile::tempdir().unwrap();
    let starts = killed(&dir.path().join("old"), 8, 100);
    let old = std::fs::read(&segments(&dir.path().join("old/dead"))[0]).unwrap();
    let fresh = killed(&dir.path().join("new"), 2, 100);
    assert_eq!(starts[2], fresh[2], "the same layout: the old records fit seamlessly");
    let copy = dir.path().join("copy");
    // The room after two new records is full of six old valid ones, at their right places.
    damaged(&dir.path().join("new/dead"), &copy, |bytes| {
        let from = fresh[2] as usize;
        bytes[from..].copy_from_slice(&old[from..]);
    });
    let external = read_all(&mut Reader::open(&copy, 0).unwrap());
    assert_eq!(external.len(), 2);
    let (journal, recovery) = reopened(&copy);
    assert_eq!(recovery.next_offset, 2);
    assert_eq!(recovery.corrupt, []);
    assert_eq!(recovery.torn.unwrap().bytes, starts[8] - starts[2]);
    journal.append(&[draft(2, 100)]).unwrap();
    assert_eq!(read_all(&mut journal.reader(0).unwrap()).len(), 3);
}

#[test]
fn an_altered_record_with_a_right_checksum_breaks_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let starts = killed(dir.path(), 3, 20);
    let copy = dir.path().join("copy");
    damaged(&dir.path().join("dead"), &copy, |bytes| {
        let (from, to) = (starts[1] as usize, starts[2] as usize);
        let at = (from..to).find(|i| &bytes[*i..*i + 3] == b"xxx").unwrap();
        bytes[at] = b'y';
        // Whoever alters history can compute a checksum too.
        let segment: [u8; 16] = bytes[32..48].try_into().unwrap();
        let mut sum = crc32c::crc32c(&bytes[from + 16..to]);
        sum = crc32c::crc32c_append(sum, &segment);
        sum = crc32c::crc32c_append(sum, &bytes[from..from + 4]);
        sum = crc32c::crc32c_append(sum, &bytes[from + 8..from + 16]);
        bytes[from + 4..from + 8].copy_from_slice(&sum.to_le_bytes());
    });
    assert!(
        tool::inspect(&copy).unwrap().is_whole(),
        "checksums alone do not show it"
    );
    let report = tool::verify(&copy).unwrap();
    assert!(
        matches!(report.faults[..], [tool::Fault::Chain { offset: 1, .. }]),
        "{:?}",
        report.faults
    );
}

#[test]
fn one_copy_of_a_header_is_enough_and_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path(), 3, 20);
    let copy = dir.path().join("copy");
    for (start, end) in [(0, 512), (512, 1024)] {
        damaged(&dir.path().join("dead"), &copy, |bytes| bytes[start..end].fill(0xAA));
        assert_eq!(reopened(&copy).1.next_offset, 3);
    }
    damaged(&dir.path().join("dead"), &copy, |bytes| bytes[..1024].fill(0xAA));
    let refused = Journal::open(&copy, Options::default()).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert!(matches!(
        tool::verify(&copy).unwrap().faults[..],
        [tool::Fault::Header { .. }]
    ));
    // A header that never reached the device: nothing in this file was synced.
    damaged(&dir.path().join("dead"), &copy, |bytes| bytes[..4096].fill(0));
    let (journal, recovery) = reopened(&copy);
    assert_eq!((recovery.next_offset, recovery.created), (0, true));
    assert_eq!(recovery.torn.unwrap().offset, 0);
    drop(journal);
    assert!(copy.join("00000000000000000000.lost").exists());
}

#[test]
fn an_offset_that_a_consumer_has_is_never_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let live = dir.path().join("live");
    let (journal, _) = reopened(&live);
    for n in 0..10 {
        journal.append(&[draft(n, 20)]).unwrap();
    }
    journal.positions().set("lander", 8).unwrap();
    drop(journal);
    // A device that lied about its cache: the records are gone, the position is not.
    let segment = &segments(&live)[0];
    let bytes = std::fs::read(segment).unwrap();
    std::fs::write(segment, &bytes[..1024 + 700]).unwrap();
    let (journal, recovery) = reopened(&live);
    let (from, to) = recovery.skipped.unwrap();
    assert!(from < 8);
    assert_eq!((to, recovery.next_offset), (8, 8));
    assert_eq!(journal.append(&[draft(10, 20)]).unwrap().first, 8);
    assert_eq!(read_all(&mut journal.reader(8).unwrap()).len(), 1);
    let mut reader = journal.reader(0).unwrap();
    assert_eq!(reader.next_batch(1 << 20).unwrap().len() as i64, from);
    assert!(matches!(reader.next_batch(1 << 20), Err(ReadError::Corrupt(h)) if (h.first, h.next) == (from, 8)));
    assert_eq!(read_all(&mut reader).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever is overwritten: nothing panics, nothing hangs, and each offset is either read, right,
    /// or within a reported hole.
    #[test]
    fn any_damage_is_accounted_for(
        writes in prop::collection::vec((0.0..1.0f64, prop::collection::vec(any::<u8>(), 1..200)), 1..6),
        fill in prop::option::of((0.0..1.0f64, 1usize..9000)),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let starts = killed(dir.path(), 40, 300);
        let end = starts[40] as usize;
        let copy = dir.path().join("copy");
        damaged(&dir.path().join("dead"), &copy, |bytes| {
            let place = |part: f64| 1024 + ((end - 1024) as f64 * part) as usize;
            for (part, garbage) in &writes {
                let at = place(*part);
                bytes[at..at + garbage.len()].copy_from_slice(garbage);
            }
            if let Some((part, len)) = fill {
                bytes[place(part)..place(part) + len].fill(0);
            }
        });
        let (journal, recovery) = reopened(&copy);
        journal.append(&[draft(1000, 10)]).unwrap();
        prop_assert!(recovery.next_offset <= 40);
        let mut reader = journal.reader(0).unwrap();
        let mut holes = Vec::new();
        let mut next = 0;
        loop {
            match reader.next_batch(3000) {
                Ok(batch) if batch.is_empty() => break,
                Ok(batch) => for record in batch {
                    prop_assert_eq!(record.envelope.offset, next);
                    let expected = if next == recovery.next_offset { 1000 } else { next as u64 };
                    prop_assert_eq!(number(&record), expected);
                    next += 1;
                },
                Err(ReadError::Corrupt(hole)) => {
                    prop_assert_eq!(hole.first, next);
                    next = hole.next;
                    holes.push(hole);
                }
                Err(e) => return Err(TestCaseError::fail(e.to_string())),
            }
        }
        prop_assert_eq!(next, recovery.next_offset + 1);
        prop_assert_eq!(&holes, &recovery.corrupt);
        drop(journal);
        let faults: Vec<_> = holes.into_iter().map(tool::Fault::Hole).collect();
        prop_assert_eq!(tool::verify(&copy).unwrap().faults, faults);
    }
}

/// Its consumers' positions say nothing of the journal that follows it.
#[test]
fn a_journal_that_is_gone_takes_its_positions_along() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
    let id = journal.id();
    journal.append(&[draft(0, 9), draft(1, 9), draft(2, 9)]).unwrap();
    journal.positions().set("lake", 2).unwrap();
    drop(journal);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "seg") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let (journal, recovery) = Journal::open(dir.path(), Options::default()).unwrap();
    assert_eq!(
        (recovery.created, recovery.next_offset, recovery.skipped),
        (true, 0, None)
    );
    assert_ne!(journal.id(), id);
    assert_eq!(journal.positions().get("lake"), None);
    drop(journal);
    assert_eq!(
        Journal::open(dir.path(), Options::default())
            .unwrap()
            .0
            .positions()
            .get("lake"),
        None
    );
}
