use std::collections::BTreeMap;

use super::fault::{draft, options};
use crate::tool::{self, Fault};
use crate::{Durability, Journal, Reader};

/// A journal of which the lake has read 150 of 200 records, and the first segments are gone.
fn released() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), options(Durability::Os)).unwrap();
    for n in 0..200 {
        journal.append(&[draft(n)]).unwrap();
    }
    journal.flush().unwrap();
    journal.positions().set("lake", 150).unwrap();
    journal.release().unwrap();
    dir
}

#[test]
fn an_export_begins_with_the_first_record_there_is() {
    let dir = released();
    let first = tool::first(dir.path()).unwrap();
    assert!(first > 0, "nothing was released: this test says nothing");
    assert_eq!(tool::from_first(dir.path()).unwrap().position(), first);
    let lines = |from, to| {
        let mut lines = Vec::new();
        tool::export(dir.path(), from, to, &mut lines).map(|exported| (exported.records, lines))
    };
    let (records, text) = lines(None, None).unwrap();
    assert_eq!(records as i64, 200 - first);
    assert_eq!(String::from_utf8(text).unwrap().lines().count() as u64, records);
    assert_eq!(lines(None, Some(first + 3)).unwrap().0, 3);
    let error = lines(Some(0), None).unwrap_err().to_string();
    assert_eq!(error, format!("offset 0 was released: the journal begins at {first}"));
    assert!(Reader::open(dir.path(), first).is_ok());
}

#[test]
fn consumers_are_shown_and_a_damaged_position_is_a_fault() {
    let dir = released();
    let report = tool::inspect(dir.path()).unwrap();
    assert_eq!(report.consumers, BTreeMap::from([("lake".to_owned(), 150)]));
    assert!(report.is_whole());
    let stored = dir.path().join("positions/lake");
    std::fs::write(&stored, "151 00000000\n").unwrap();
    let report = tool::verify(dir.path()).unwrap();
    assert!(report.consumers.is_empty());
    let fault = report.faults.first().unwrap();
    assert!(
        matches!(fault, Fault::Position { path, .. } if *path == stored),
        "{fault}"
    );
    // Who only looks makes nothing.
    std::fs::remove_dir_all(dir.path().join("positions")).unwrap();
    assert!(tool::inspect(dir.path()).unwrap().consumers.is_empty());
    assert!(!dir.path().join("positions").exists());
}

/// Whoever asks only where a journal ends does not read all of it.
#[test]
fn the_end_is_told_by_the_newest_segment() {
    let dir = released();
    let report = tool::inspect(dir.path()).unwrap();
    let id = report.journal_id.unwrap();
    assert_eq!(report.end, 200);
    assert!(report.segments.len() > 1, "this test says nothing");
    assert_eq!(tool::end(dir.path()).unwrap(), Some((id, 200)));
    let (newest, older) = report.segments.split_last().unwrap();
    for segment in older {
        std::fs::write(&segment.path, "damaged").unwrap();
    }
    assert_eq!(tool::end(dir.path()).unwrap(), Some((id, 200)));
    // One that says nothing begins where its name says.
    let nothing = tempfile::tempdir().unwrap();
    assert!(tool::end(nothing.path()).is_err());
    std::fs::copy(&newest.path, nothing.path().join(newest.path.file_name().unwrap())).unwrap();
    std::fs::write(nothing.path().join(format!("{:020}.seg", 200)), "torn").unwrap();
    assert_eq!(tool::end(nothing.path()).unwrap(), Some((id, 200)));
    std::fs::remove_file(nothing.path().join(newest.path.file_name().unwrap())).unwrap();
    assert_eq!(tool::end(nothing.path()).unwrap(), None);
}
