//! The journal against a plain list: any sequence of appends, reads, releases, clean restarts and
//! crashes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::*;
use journal::{Journal, Options, Reader, tool};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Append {
        count: usize,
        filler: usize,
    },
    Read {
        max_bytes: usize,
    },
    Consume {
        part: f64,
    },
    Release,
    Reopen,
    /// The machine stops with the last write at a part of its bytes.
    Crash {
        part: f64,
        zeros: bool,
    },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (1usize..12, 0usize..3000).prop_map(|(count, filler)| Op::Append { count, filler }),
        3 => (1usize..20_000).prop_map(|max_bytes| Op::Read { max_bytes }),
        2 => (0.0..=1.0).prop_map(|part| Op::Consume { part }),
        1 => Just(Op::Release),
        1 => Just(Op::Reopen),
        2 => (0.0..=1.0, any::<bool>()).prop_map(|(part, zeros)| Op::Crash { part, zeros }),
    ]
}

fn options() -> Options {
    Options {
        segment_bytes: 16 << 10,
        ..Options::default()
    }
}

/// First offset, and where each record ends: read by the specification, not by the crate's code.
fn layout(segment: &Path) -> (i64, Vec<usize>) {
    let bytes = std::fs::read(segment).unwrap();
    let first = i64::from_le_bytes(bytes[48..56].try_into().unwrap());
    let (mut at, mut ends) = (1024, Vec::new());
    while at + 16 <= bytes.len() {
        let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let offset = i64::from_le_bytes(bytes[at + 8..at + 16].try_into().unwrap());
        if len == 0 || offset != first + ends.len() as i64 {
            break;
        }
        at += 16 + len;
        ends.push(at);
    }
    (first, ends)
}

struct World {
    root: tempfile::TempDir,
    generation: usize,
    journal: Option<Journal>,
    reader: Option<Reader>,
    /// The model: the number of the event at each offset.
    model: Vec<u64>,
    serial: u64,
    consumed: i64,
}

impl World {
    fn dir(&self) -> PathBuf {
        self.root.path().join(self.generation.to_string())
    }

    fn open(&mut self) -> journal::Recovery {
        let (journal, recovery) = Journal::open(&self.dir(), options()).unwrap();
        let from = self
            .reader
            .as_ref()
            .map_or(0, Reader::position)
            .min(recovery.next_offset);
        self.reader = Some(journal.reader(from.max(self.consumed)).unwrap());
        self.journal = Some(journal);
        recovery
    }

    fn journal(&self) -> &Journal {
        self.journal.as_ref().unwrap()
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Append { count, filler } => {
                let batch: Vec<_> = (0..*count as u64).map(|i| draft(self.serial + i, *filler)).collect();
                let appended = self.journal().append(&batch).unwrap();
                assert_eq!(appended.first, self.model.len() as i64);
                self.model.extend(self.serial..self.serial + *count as u64);
                assert_eq!(appended.last, self.model.len() as i64 - 1);
                self.serial += *count as u64;
            }
            Op::Read { max_bytes } => {
                let reader = self.reader.as_mut().unwrap();
                let from = reader.position() as usize;
                let batch = reader.next_batch(*max_bytes).unwrap();
                assert_eq!(batch.is_empty(), from == self.model.len());
                let numbers: Vec<u64> = batch.iter().map(number).collect();
                assert_eq!(numbers, self.model[from..from + batch.len()]);
                assert_eq!(reader.position() as usize, from + batch.len());
            }
            Op::Consume { part } => {
                let target = (self.model.len() as f64 * part) as i64;
                if target > self.consumed {
                    self.journal().positions().set("model", target).unwrap();
                    self.consumed = target;
                }
                let reader = self.reader.as_mut().unwrap();
                if reader.position() < self.consumed {
                    reader.seek(self.consumed);
                }
            }
            Op::Release => {
                let released = self.journal().release().unwrap();
                assert!(released.first <= self.consumed.max(0));
                assert_eq!(self.journal().end(), self.model.len() as i64);
            }
            Op::Reopen => {
                self.journal = None;
                let recovery = self.open();
                assert_eq!(
                    (recovery.torn, recovery.corrupt, recovery.skipped),
                    (None, vec![], None)
                );
                assert_eq!(recovery.next_offset as usize, self.model.len());
            }
            Op::Crash { part, zeros } => self.crash(*part, *zeros),
        }
    }

    fn crash(&mut self, part: f64, zeros: bool) {
        let from = self.dir();
        self.generation += 1;
        copy_dir(&from, &self.dir());
        self.journal = None;
        let newest = segments(&self.dir()).pop().unwrap();
        let (first, ends) = layout(&newest);
        assert_eq!(first as usize + ends.len(), self.model.len());
        // What a stored position covers is on the device and cannot be torn.
        let covered = usize::try_from(self.consumed - first).unwrap_or(0);
        let from = if covered == 0 { 1024 } else { ends[covered - 1] };
        let end = ends.last().copied().unwrap_or(1024);
        let at = from + ((end - from) as f64 * part) as usize;
        let mut bytes = std::fs::read(&newest).unwrap();
        if zeros {
            bytes[at..].fill(0);
        } else {
            bytes.truncate(at);
        }
        std::fs::write(&newest, bytes).unwrap();
        self.model
            .truncate(first as usize + ends.iter().filter(|e| **e <= at).count());
        let recovery = self.open();
        assert_eq!(recovery.next_offset as usize, self.model.len());
        assert_eq!((recovery.corrupt, recovery.skipped), (vec![], None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_journal_is_a_list(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World {
            root: tempfile::tempdir().unwrap(),
            generation: 0,
            journal: None,
            reader: None,
            model: Vec::new(),
            serial: 0,
            consumed: 0,
        };
        world.open();
        for op in &ops {
            world.apply(op);
        }
        let first = tool::inspect(&world.dir()).unwrap().first;
        let rest = read_all(&mut Reader::open(&world.dir(), first).unwrap());
        let numbers: Vec<u64> = rest.iter().map(number).collect();
        prop_assert_eq!(&numbers[..], &world.model[first as usize..]);
        world.journal = None;
        let report = tool::verify(&world.dir()).unwrap();
        prop_assert!(report.is_whole(), "{:?}", report.faults);
        prop_assert_eq!(report.end as usize, world.model.len());
    }
}
