//! Several processes, and processes killed: this binary starts itself again as the child.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking; the child speaks through its output"
)]

mod common;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::*;
use journal::{Durability, Journal, OpenError, Options, Reader, tool};

const FOLDER: &str = "WEIR_JOURNAL_TEST_FOLDER";
const STRICT: &str = "WEIR_JOURNAL_TEST_STRICT";

fn options(strict: bool) -> Options {
    Options {
        segment_bytes: 256 << 10,
        durability: if strict { Durability::Strict } else { Durability::Os },
        ..Options::default()
    }
}

fn child(role: &str, dir: &Path, strict: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([role, "--exact", "--nocapture", "--test-threads", "1"])
        .env(FOLDER, dir);
    if strict {
        command.env(STRICT, "1");
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// The child of the tests below; on its own it does nothing.
#[test]
fn holds_the_journal() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let (journal, _) = Journal::open(Path::new(&dir), options(false)).unwrap();
    journal.append(&[draft(1, 1)]).unwrap();
    println!("\nopen");
    let _ = std::io::stdin().read(&mut [0]);
}

/// The child of the tests below: appends until killed, and says what was acknowledged.
#[test]
fn appends_until_killed() {
    let Some(dir) = std::env::var_os(FOLDER) else { return };
    let strict = std::env::var_os(STRICT).is_some();
    let (journal, _) = Journal::open(Path::new(&dir), options(strict)).unwrap();
    std::thread::scope(|scope| {
        for t in 0..4u64 {
            let journal = journal.clone();
            scope.spawn(move || {
                for n in 0.. {
                    let number = t * 1_000_000_000 + n * 2;
                    let batch = [draft(number, (n * 37 % 3000) as usize), draft(number + 1, 10)];
                    let appended = journal.append(&batch).unwrap();
                    if strict {
                        block_on(journal.durable(appended.last)).unwrap();
                    }
                    // One write: a line is whole in the pipe, or not there.
                    let line = format!("ack {} {number}\n", appended.first);
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            });
        }
    });
}

#[test]
fn a_second_process_is_refused_with_the_first_ones_pid() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = child("holds_the_journal", dir.path(), false);
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "open"), "the child opened it");
    let refused = Journal::open(dir.path(), options(false)).unwrap_err();
    assert!(
        matches!(&refused, OpenError::InUse { pid: Some(pid), .. } if *pid == holder.id()),
        "{refused}"
    );
    let message = refused.to_string();
    assert!(
        message.contains(&format!("pid {}", holder.id())) && message.contains("in use"),
        "{message}"
    );
    // Reading needs no lock.
    assert_eq!(read_all(&mut Reader::open(dir.path(), 0).unwrap()).len(), 1);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let (_journal, recovery) = Journal::open(dir.path(), options(false)).unwrap();
    assert_eq!((recovery.next_offset, recovery.torn), (1, None));
    // The same process is refused as well.
    assert!(matches!(
        Journal::open(dir.path(), options(false)),
        Err(OpenError::InUse { .. })
    ));
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    for round in 0..6u64 {
        let dir = tempfile::tempdir().unwrap();
        let strict = round % 3 == 2;
        let mut expected_next = 0;
        // Twice on one folder: what a recovery left is recovered again.
        for _ in 0..2 {
            let mut child = child("appends_until_killed", dir.path(), strict);
            let stdout = child.stdout.take().unwrap();
            let reading = std::thread::spawn(move || {
                let mut acknowledged = Vec::new();
                for line in BufReader::new(stdout).lines() {
                    let line = line.unwrap();
                    if let Some((first, number)) = line.strip_prefix("ack ").and_then(|l| l.split_once(' ')) {
                        acknowledged.push((first.parse::<i64>().unwrap(), number.parse::<u64>().unwrap()));
                    }
                }
                acknowledged
            });
            // While it writes, another process reads whole records only, in order.
            let began = std::time::Instant::now();
            let mut reader = None;
            let mut next = expected_next;
            while began.elapsed() < Duration::from_millis(150 + round * 40) {
                if reader.is_none() {
                    reader = Reader::open(dir.path(), expected_next).ok();
                }
                let Some(reader) = &mut reader else { continue };
                if let Ok(batch) = reader.next_batch(1 << 20) {
                    for record in batch {
                        assert_eq!(record.envelope.offset, next);
                        next += 1;
                    }
                }
            }
            child.kill().unwrap();
            child.wait().unwrap();
            let acknowledged = reading.join().unwrap();
            assert!(!acknowledged.is_empty(), "the child was killed under load");

            let (journal, recovery) = Journal::open(dir.path(), options(false)).unwrap();
            assert_eq!((&recovery.corrupt, recovery.skipped), (&vec![], None));
            assert!(recovery.next_offset >= next, "what was read stays");
            let records = read_all(&mut journal.reader(0).unwrap());
            assert_eq!(records.len() as i64, recovery.next_offset);
            for (first, number_) in acknowledged {
                for i in 0..2 {
                    let record = &records[(first + i) as usize];
                    assert_eq!(
                        number(record),
                        number_ + i as u64,
                        "offset {} was acknowledged",
                        first + i
                    );
                }
            }
            expected_next = recovery.next_offset;
            drop(journal);
            let report = tool::verify(dir.path()).unwrap();
            assert!(report.is_whole(), "{:?}", report.faults);
            assert_eq!(report.records as i64, expected_next);
        }
    }
}
