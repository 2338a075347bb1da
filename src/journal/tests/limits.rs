//! Full disks, quotas, folders that cannot be written.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::*;
use event::{Body, EventType};
use journal::{AppendError, FullReason, Journal, OpenError, Options, Quota, WhenFull, tool};

fn quota(bytes: u64, when_full: WhenFull) -> Options {
    Options {
        segment_bytes: 64 << 10,
        quota: Some(Quota { bytes, when_full }),
        ..Options::default()
    }
}

#[test]
fn a_full_quota_refuses_new_calls_first_and_gives_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), quota(512 << 10, WhenFull::Block)).unwrap();
    let mut calls = 0;
    let refused = loop {
        assert!(calls < 1000, "never full");
        match journal.append(&[started(2000)]) {
            Ok(_) => calls += 1,
            Err(e) => break e,
        }
    };
    assert!(
        matches!(
            refused,
            AppendError::Full {
                reason: FullReason::Quota,
                ..
            }
        ),
        "{refused}"
    );
    assert!(!journal.has_room());
    assert!(journal.stats().disk_bytes <= 512 << 10);
    // Calls in flight still write their ends, from the reserve, which ends too.
    let mut ends = 0;
    while journal.append(&[draft(ends, 1000)]).is_ok() {
        ends += 1;
        assert!(ends < 1000, "the reserve is finite");
    }
    assert!(ends >= 40, "{ends}");
    assert_eq!(journal.stats().refused, 2);
    let end = journal.end();
    assert_eq!(end as u64, calls + ends);
    journal.positions().set("lander", end).unwrap();
    assert!(journal.release().unwrap().bytes > 400 << 10);
    assert!(journal.has_room());
    assert_eq!(journal.append(&[started(10)]).unwrap().first, end);
    drop(journal);
    assert!(tool::verify(dir.path()).unwrap().is_whole());
}

#[test]
fn shed_events_are_counted_and_told_of_once_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), quota(512 << 10, WhenFull::Shed)).unwrap();
    let mut taken = 0;
    let mut dropped = 0;
    while dropped < 7 {
        match journal.append(&[started(3000), draft(1, 10)]) {
            Ok(_) => taken += 2,
            Err(AppendError::Shed {
                events: 2,
                reason: FullReason::Quota,
            }) => dropped += 1,
            Err(e) => unreachable!("{e}"),
        }
    }
    let stats = journal.stats();
    assert_eq!((stats.shed_events, stats.refused, stats.end), (14, 0, taken));
    journal.positions().set("lander", taken).unwrap();
    journal.release().unwrap();
    // Told at once, without waiting for the next append.
    assert_eq!(journal.end(), taken + 1);
    journal.append(&[draft(5, 5)]).unwrap();
    let records = read_all(&mut journal.reader(taken).unwrap());
    let told = records[0].clone().decode().unwrap();
    assert_eq!(
        EventType::from(told.envelope.event_type.as_str()),
        EventType::JournalShed
    );
    let Body::JournalShed(shed) = told.body else {
        unreachable!()
    };
    assert_eq!(
        (shed.count, shed.bytes, shed.reason.as_str()),
        (14, stats.shed_bytes, "quota")
    );
    assert_eq!(records.len(), 2);
    drop(journal);
    assert!(tool::verify(dir.path()).unwrap().is_whole());
}

/// A tmpfs of its own, unmounted at the end; `None`, said loudly, where mounting is not permitted.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Option<Tmpfs> {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at)
            .output();
        match mounted {
            Ok(out) if out.status.success() => Some(Tmpfs(at.to_owned())),
            Ok(out) => {
                eprintln!(
                    "SKIPPED: mounting a tmpfs is not permitted here: {}",
                    String::from_utf8_lossy(&out.stderr)
                );
                None
            }
            Err(e) => {
                eprintln!("SKIPPED: no mount command here: {e}");
                None
            }
        }
    }

    fn read_only(&self, on: bool) {
        let flag = if on { "remount,ro" } else { "remount,rw" };
        assert!(
            Command::new("mount")
                .args(["-o", flag])
                .arg(&self.0)
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a test beside this one may just be forking, and hold its files for that moment.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_file_system_is_said_and_survived() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(&root.path().join("disk"), "1m") else {
        return;
    };
    let dir = disk.0.join("journal");
    let (journal, _) = Journal::open(
        &dir,
        Options {
            segment_bytes: 256 << 10,
            ..Options::default()
        },
    )
    .unwrap();
    let mut taken = 0;
    let refused = loop {
        assert!(taken < 2000, "never full");
        match journal.append(&[draft(taken, 2000)]) {
            Ok(_) => taken += 1,
            Err(e) => break e,
        }
    };
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
    assert!(refused.to_string().contains("full"));
    assert!(taken as usize * 2000 > 700 << 10, "most of the disk was used: {taken}");
    assert!(!journal.has_room());
    assert!(journal.append(&[draft(taken, 2000)]).is_err());
    drop(journal);
    // A restart on the full disk: what is there can be consumed, and room made.
    let (journal, recovery) = Journal::open(
        &dir,
        Options {
            segment_bytes: 256 << 10,
            ..Options::default()
        },
    )
    .unwrap();
    assert_eq!((recovery.next_offset, recovery.torn), (taken as i64, None));
    assert!(matches!(
        journal.append(&[draft(taken, 2000)]),
        Err(AppendError::Full { .. })
    ));
    assert_eq!(read_all(&mut journal.reader(0).unwrap()).len() as u64, taken);
    journal.positions().set("lander", taken as i64).unwrap();
    assert!(journal.release().unwrap().segments > 1);
    assert!(journal.has_room());
    assert_eq!(journal.append(&[draft(taken, 2000)]).unwrap().first, taken as i64);
    drop(journal);
    let report = tool::verify(&dir).unwrap();
    assert!(report.is_whole(), "{:?}", report.faults);
}

#[test]
fn a_read_only_folder_is_refused_clearly_and_still_read() {
    let root = tempfile::tempdir().unwrap();
    let Some(disk) = Tmpfs::mount(&root.path().join("disk"), "4m") else {
        return;
    };
    let dir = disk.0.join("journal");
    let options = Options {
        segment_bytes: 256 << 10,
        ..Options::default()
    };
    let (journal, _) = Journal::open(&dir, options).unwrap();
    journal.append(&[draft(0, 10)]).unwrap();
    drop(journal);
    disk.read_only(true);
    let refused = Journal::open(&dir, options).unwrap_err();
    assert!(matches!(refused, OpenError::NotWritable { .. }), "{refused}");
    let message = refused.to_string();
    assert!(
        message.contains("cannot be written") && message.contains(dir.to_str().unwrap()),
        "{message}"
    );
    let absent = Journal::open(&disk.0.join("other"), options).unwrap_err();
    assert!(matches!(absent, OpenError::NotWritable { .. }), "{absent}");
    assert_eq!(read_all(&mut journal::Reader::open(&dir, 0).unwrap()).len(), 1);
    assert!(tool::verify(&dir).unwrap().is_whole());
    disk.read_only(false);
    assert_eq!(Journal::open(&dir, options).unwrap().1.next_offset, 1);
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let refused = Journal::open(&file.join("journal"), Options::default()).unwrap_err();
    let message = refused.to_string();
    assert!(
        message.contains("cannot create") && message.contains(file.to_str().unwrap()),
        "{message}"
    );
    let missing = journal::Reader::open(root.path(), 0).unwrap_err().to_string();
    assert!(missing.contains("no journal in"), "{missing}");
}

/// The tools look at a journal that somebody writes and whose segments go meanwhile.
#[test]
fn segments_may_go_while_one_looks() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 64 << 10,
        ..Options::default()
    };
    let (journal, _) = Journal::open(dir.path(), options).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let appended = journal.append(&[started(20_000), started(20_000)]).unwrap();
                journal.positions().set("one", appended.first).unwrap();
                journal.release().unwrap();
            }
        });
        let mut looks = 0;
        let mut failed = None;
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(3) && failed.is_none() {
            failed = tool::inspect(dir.path()).err();
            looks += 1;
        }
        stop.store(true, Ordering::Relaxed);
        assert!(failed.is_none(), "after {looks} looks: {}", failed.unwrap());
    });
}
