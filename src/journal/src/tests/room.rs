//! Disks that are full and have room again, and folders whose names must last.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use event::Draft;

use super::fault::{draft, options, whole};
use super::memory::Memory;
use crate::{AppendError, Durability, Journal};

/// A call whose records fit the active segment never looks for a new one: somebody else must.
#[test]
fn room_on_a_full_disk_is_found_again_without_an_append() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Memory::default();
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
    disk.plan.full.store(true, SeqCst);
    disk.plan.for_good.store(true, SeqCst);
    disk.plan.fail_create.store(1, SeqCst);
    let mut taken = 0;
    while journal.append(&[draft(taken)]).is_ok() {
        taken += 1;
    }
    assert!(!journal.has_room());
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!journal.has_room(), "the disk is full as ever");
    disk.plan.fail_create.store(0, SeqCst);
    let begun = std::time::Instant::now();
    while !journal.has_room() {
        assert!(begun.elapsed() < Duration::from_secs(30), "nobody looked");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(journal.append(&[draft(taken)]).unwrap().first, taken as i64);
    drop(journal);
    whole(dir.path());
}

#[test]
fn a_batch_too_long_for_a_full_disk_stops_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Memory::default();
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), dir.path(), options(Durability::Os)).unwrap();
    disk.plan.full.store(true, SeqCst);
    disk.plan.for_good.store(true, SeqCst);
    disk.plan.fail_create.store(1, SeqCst);
    let long: Vec<Draft> = (0..200).map(draft).collect();
    let refused = journal.append(&long).unwrap_err();
    assert!(matches!(refused, AppendError::Full { .. }), "{refused}");
    assert!(journal.has_room(), "the active segment is as good as empty");
    assert_eq!(journal.append(&[draft(0)]).unwrap().first, 0);
    // Nor does it take the segment that is reserved for them.
    disk.plan.fail_create.store(0, SeqCst);
    let spare = dir.path().join("spare.tmp");
    let mut taken = 1;
    while !spare.exists() {
        assert!(taken < 1000, "no segment is reserved");
        journal.append(&[draft(taken)]).unwrap();
        journal.flush().unwrap();
        taken += 1;
    }
    disk.plan.fail_create.store(1, SeqCst);
    assert!(journal.append(&long).is_err());
    assert!(spare.exists() && journal.has_room());
    for n in taken..taken + 30 {
        journal.append(&[draft(n)]).unwrap();
    }
    drop(journal);
    whole(dir.path());
}

#[test]
fn a_new_folder_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |dir: &std::path::Path| std::fs::metadata(dir).unwrap().permissions().mode() & 0o777;
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    crate::make_dir(&data).unwrap();
    assert_eq!(mode(&data), 0o700);
    // Whoever wants to share it may.
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    crate::make_dir(&data).unwrap();
    assert_eq!(mode(&data), 0o755);
    drop(Journal::open(&data.join("journal"), options(Durability::Os)).unwrap());
    assert_eq!((mode(&data), mode(&data.join("journal"))), (0o755, 0o700));
}

#[test]
fn the_folders_names_are_durable() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("srv/data/journal");
    let disk = Memory::default();
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), &dir, options(Durability::Strict)).unwrap();
    let synced = disk.synced_dirs.lock().unwrap().clone();
    for above in [
        root.path(),
        &root.path().join("srv"),
        &root.path().join("srv/data"),
        &dir,
    ] {
        assert!(synced.iter().any(|synced| synced == above), "{above:?}: {synced:?}");
    }
    journal.append(&[draft(0)]).unwrap();
    drop(journal);
    // Again on a full disk, by somebody who does not know whether the last one came to it.
    let disk = Memory::default();
    disk.plan.full.store(true, SeqCst);
    disk.plan.for_good.store(true, SeqCst);
    disk.plan.fail_create.store(1, SeqCst);
    let (journal, _) = Journal::open_on(Box::new(disk.clone()), &dir, options(Durability::Strict)).unwrap();
    assert!(!journal.has_room());
    let synced = disk.synced_dirs.lock().unwrap().clone();
    for above in [&root.path().join("srv"), &root.path().join("srv/data"), &dir] {
        assert!(synced.contains(above), "{above:?}: {synced:?}");
    }
}
