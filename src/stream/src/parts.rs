//! Joins the parts of long records, however two runs of one sidecar mixed them in the topic.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use event::JournalId;

use crate::wire::Label;

/// How long parts wait for the rest, by the log's own time: one who reads what is days old, or stood still,
/// has not seen the rest yet. A shipper gives a message up long before and sends the whole record again
/// (after ten minutes at most, `settings.rs`), so what is older will never be complete.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3600);
/// Parts that a record may have: two runs of a sidecar that cut it into the shortest messages take half.
const MAX_PARTS: usize = 1 << 17;
/// Bytes of parts that wait in memory, of all partitions together; the rest waits in files.
const IN_MEMORY: usize = 16 << 20;

/// Where parts wait.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    limit: usize,
    in_memory: AtomicUsize,
}

impl Room {
    /// Files are made in `dir`, which vanish with their last use.
    pub(crate) fn within(dir: &Path) -> Room {
        Room::new(dir, IN_MEMORY)
    }

    fn new(dir: &Path, limit: usize) -> Room {
        Room(Arc::new(Shared {
            dir: dir.to_owned(),
            limit,
            in_memory: AtomicUsize::new(0),
        }))
    }

    /// Bytes of parts that wait in memory.
    fn in_memory(&self) -> usize {
        self.0.in_memory.load(Ordering::Relaxed)
    }
}

/// When a message came into the log, and to us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// Milliseconds since 1970.
    pub(crate) log: i64,
    /// Whether the broker's clock says so. Each sidecar's own may be years off: then what is old must have
    /// waited here, too.
    pub(crate) by_broker: bool,
    /// By the clock of this process.
    pub(crate) read: Instant,
}

/// The incomplete records of one partition.
///
/// A sidecar that was killed in the middle of a record sends it again, perhaps cut elsewhere, and the
/// parts of both runs may come mixed. They are parts of the same bytes, so whatever covers them all
/// completes the record. Complete is complete: later parts of it are dropped.
#[derive(Debug)]
pub(crate) struct Assembler {
    waiting: BTreeMap<(JournalId, i64), Waiting>,
    /// The last offset that came whole, of each journal.
    done: HashMap<JournalId, i64>,
    /// The latest time in the log that was seen.
    latest: i64,
    room: Room,
}

#[derive(Debug)]
struct Waiting {
    /// Where in the partition its first part stood.
    position: i64,
    since: Time,
    begins: bool,
    /// Up to which byte its parts cover it from the first.
    covered: u32,
    /// Parts by the byte at which they start.
    parts: BTreeMap<u32, Part>,
    /// The record as far as its parts are not in memory.
    file: Option<File>,
    room: Room,
}

#[derive(Debug)]
struct Part {
    length: usize,
    /// `None`: it is in the file, at its place in the record.
    bytes: Option<Vec<u8>>,
}

impl Waiting {
    fn add(&mut self, start: u32, payload: &[u8]) {
        if (self.parts.get(&start)).is_some_and(|known| known.length >= payload.len()) {
            return;
        }
        if self.parts.len() >= MAX_PARTS && !self.parts.contains_key(&start) {
            tracing::error!(
                start,
                "a record has more parts than any sidecar sends: this one is dropped"
            );
            return;
        }
        let shared = &self.room.0;
        let fits = self.room.in_memory() + payload.len() <= shared.limit;
        let in_file = !fits
            && match keep(&mut self.file, &shared.dir, start, payload) {
                Ok(()) => true,
                Err(error) => {
                    // Memory can be bought, a part that is gone cannot.
                    tracing::warn!(dir = %shared.dir.display(), %error, "no file for the parts of long records: they wait in memory");
                    false
                }
            };
        if !in_file {
            shared.in_memory.fetch_add(payload.len(), Ordering::Relaxed);
        }
        let part = Part {
            length: payload.len(),
            bytes: (!in_file).then(|| payload.to_vec()),
        };
        if let Some(old) = self.parts.insert(start, part) {
            self.gone(&old);
        }
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if start > self.covered {
            return;
        }
        // What this part closes up to may close more: each part is looked at once for that.
        let mut fresh = self.covered + 1;
        self.covered = self.covered.max(start.saturating_add(length));
        while fresh <= self.covered {
            let parts = self.parts.range(fresh..=self.covered);
            let reach = parts.fold(self.covered, |reach, (start, part)| {
                reach.max(start.saturating_add(u32::try_from(part.length).unwrap_or(u32::MAX)))
            });
            fresh = self.covered + 1;
            self.covered = reach;
        }
    }

    fn gone(&self, part: &Part) {
        let bytes = part.bytes.as_ref().map_or(0, Vec::len);
        self.room.0.in_memory.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The record, of which the parts cover all.
    fn joined(mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut whole = Vec::with_capacity(length);
        // Each part goes as it is taken in: together they are as long as the record.
        while let Some((start, part)) = self.parts.pop_first() {
            self.gone(&part);
            let known = whole.len().saturating_sub(start as usize);
            match (part.bytes, &self.file) {
                (Some(bytes), _) => whole.extend_from_slice(bytes.get(known..).unwrap_or_default()),
                (None, Some(file)) if known < part.length => {
                    let at = whole.len();
                    whole.resize(at + part.length - known, 0);
                    file.read_exact_at(&mut whole[at..], at as u64)?;
                }
                (None, _) => {}
            }
        }
        Ok(whole)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.parts.values().for_each(|part| self.gone(part));
    }
}

fn keep(file: &mut Option<File>, dir: &Path, start: u32, payload: &[u8]) -> io::Result<()> {
    let file = match file {
        Some(file) => file,
        None => file.insert(tempfile::tempfile_in(dir)?),
    };
    file.write_all_at(payload, u64::from(start))
}

impl Assembler {
    /// Nothing waits.
    pub(crate) fn within(room: &Room) -> Assembler {
        Assembler {
            waiting: BTreeMap::new(),
            done: HashMap::new(),
            latest: i64::MIN,
            room: room.clone(),
        }
    }

    /// Takes the next message of the partition; returns the record that it is or completes. Fails if what
    /// waited in a file cannot be read back: then reading must begin again at [`Assembler::low`].
    pub(crate) fn take(
        &mut self,
        label: Label,
        position: i64,
        payload: &[u8],
        time: Time,
    ) -> io::Result<Option<(Label, Vec<u8>)>> {
        self.latest = self.latest.max(time.log);
        let Some(part) = label.part else {
            self.finish(label.journal_id, label.offset);
            return Ok(Some((label, payload.to_vec())));
        };
        if self
            .done
            .get(&label.journal_id)
            .is_some_and(|done| label.offset <= *done)
        {
            return Ok(None);
        }
        let key = (label.journal_id, label.offset);
        // A record of which the first part is not here was complete before the place where we began.
        if part.start != 0 && !self.waiting.contains_key(&key) {
            return Ok(None);
        }
        let waiting = self.waiting.entry(key).or_insert_with(|| Waiting {
            position,
            since: time,
            begins: label.begins,
            covered: 0,
            parts: BTreeMap::new(),
            file: None,
            room: self.room.clone(),
        });
        waiting.add(part.start, payload);
        if waiting.covered != part.length {
            return Ok(None);
        }
        let begins = waiting.begins;
        let whole = match self.waiting.remove(&key) {
            Some(waiting) => waiting.joined(part.length as usize)?,
            None => return Ok(None),
        };
        self.finish(label.journal_id, label.offset);
        let label = Label {
            part: None,
            begins,
            ..label
        };
        Ok(Some((label, whole)))
    }

    /// Where reading must begin again so that no incomplete record loses a part; `next` without any.
    pub(crate) fn low(&self, next: i64) -> i64 {
        self.waiting
            .values()
            .map(|waiting| waiting.position)
            .fold(next, i64::min)
    }

    /// Lets go of what has waited for too long; returns what it was.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<(JournalId, i64)> {
        let latest = self.latest;
        let patience = i64::try_from(PATIENCE.as_millis()).unwrap_or(i64::MAX);
        let old = |waiting: &Waiting| {
            let since = waiting.since;
            let waited_here = now.saturating_duration_since(since.read) >= PATIENCE;
            latest.saturating_sub(since.log) >= patience && (since.by_broker || waited_here)
        };
        let gone: Vec<(JournalId, i64)> = (self.waiting.iter())
            .filter(|(_, waiting)| old(waiting))
            .map(|(key, _)| *key)
            .collect();
        for key in &gone {
            self.waiting.remove(key);
        }
        gone
    }

    fn finish(&mut self, journal: JournalId, offset: i64) {
        let done = self.done.entry(journal).or_insert(offset);
        *done = (*done).max(offset);
        let old: Vec<(JournalId, i64)> = (self.waiting.range((journal, i64::MIN)..=(journal, offset)))
            .map(|(key, _)| *key)
            .collect();
        for key in &old {
            self.waiting.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Part, pieces};
    use proptest::prelude::*;

    /// A broker's time.
    fn at(log: i64) -> Time {
        Time {
            log,
            by_broker: true,
            read: Instant::now(),
        }
    }

    /// The messages of one record.
    fn messages(journal: JournalId, offset: i64, payload: &[u8], limit: usize) -> Vec<(Label, Vec<u8>)> {
        pieces(payload.len(), limit)
            .map(|(_, part, range)| {
                let label = Label {
                    journal_id: journal,
                    offset,
                    part,
                    begins: false,
                    unreadable: None,
                };
                (label, payload[range].to_vec())
            })
            .collect()
    }

    fn record(offset: i64) -> Vec<u8> {
        // Lengths from one part to eight.
        let length = 3 + usize::try_from(offset * 7 % 31).unwrap();
        (0..length).map(|i| u8::try_from((i + length) % 251).unwrap()).collect()
    }

    /// What a partition holds after a sidecar sent records `0..=killed_in`, died in the midst, and its
    /// next run began again at `again` with another limit, the two mixed.
    fn log(killed: usize, again: i64, mix: &[bool], limits: (usize, usize)) -> Vec<(Label, Vec<u8>)> {
        let journal: JournalId = "0192f0c0-0000-7000-8000-000000000001".parse().unwrap();
        let old: Vec<_> = (0..8)
            .flat_map(|offset| messages(journal, offset, &record(offset), limits.0))
            .collect();
        let old = old[..killed.min(old.len())].to_vec();
        let new: Vec<_> = (again..10)
            .flat_map(|offset| messages(journal, offset, &record(offset), limits.1))
            .collect();
        // The new run begins when the old one has at least what was acknowledged to it.
        let sent = old.iter().take_while(|(label, _)| label.offset < again).count();
        let (mut log, mut rest) = (old[..sent].to_vec(), old[sent..].iter().peekable());
        let mut new = new.into_iter();
        for pick_old in mix {
            match (pick_old, rest.peek()) {
                (true, Some(_)) => log.extend(rest.next().cloned()),
                _ => log.extend(new.next()),
            }
        }
        log.extend(rest.cloned());
        log.extend(new);
        log
    }

    proptest! {
        /// However two runs mix, and wherever reading is broken off and begun again: every record comes
        /// whole, and none before all that precede it.
        #[test]
        fn records_come_whole_and_in_order(
            killed in 0usize..60,
            mix in proptest::collection::vec(any::<bool>(), 0..80),
            limits in (2usize..12, 2usize..12),
            stop in 0usize..120,
            in_memory in 0usize..40,
        ) {
            let dir = std::env::temp_dir();
            let journal: JournalId = "0192f0c0-0000-7000-8000-000000000001".parse().unwrap();
            let all: Vec<_> = (0..8).flat_map(|offset| messages(journal, offset, &record(offset), limits.0)).collect();
            // What the old run had delivered, some of it acknowledged.
            let delivered = killed.min(all.len());
            let whole = |n: usize| all[..n].iter().enumerate().filter(|(i, (label, _))| all.get(i + 1).is_none_or(|next| next.0.offset != label.offset)).count();
            let again = i64::try_from(whole(delivered) / 2).unwrap();
            let log = log(delivered, again, &mix, limits);
            let mut due = 0;
            let mut begin = 0;
            for end in [stop.min(log.len()), log.len()] {
                let room = Room::new(&dir, in_memory);
                let mut assembler = Assembler::within(&room);
                for (position, (label, payload)) in log.iter().enumerate().take(end).skip(begin) {
                    let position = i64::try_from(position).unwrap();
                    if let Some((label, payload)) = assembler.take(label.clone(), position, payload, at(0)).unwrap() {
                        prop_assert!(label.offset <= due, "{} came and {due} was due", label.offset);
                        prop_assert_eq!(&payload, &record(label.offset));
                        due = due.max(label.offset + 1);
                    }
                }
                prop_assert!(room.in_memory() <= in_memory);
                begin = usize::try_from(assembler.low(i64::try_from(end).unwrap())).unwrap();
                prop_assert!(begin <= end);
                drop(assembler);
                prop_assert_eq!(room.in_memory(), 0);
            }
            prop_assert_eq!(due, 10);
        }
    }

    #[test]
    fn without_a_file_parts_wait_in_memory() {
        let room = Room::new(Path::new("/nowhere/at/all"), 0);
        let (mut assembler, mut came) = (Assembler::within(&room), None);
        for (label, payload) in messages(JournalId::new(), 0, b"a long record", 4) {
            came = came.or(assembler.take(label, 0, &payload, at(0)).unwrap());
        }
        assert_eq!(came.unwrap().1, b"a long record");
        assert_eq!(room.in_memory(), 0);
    }

    #[test]
    fn what_never_completes_is_let_go() {
        let journal = JournalId::new();
        let room = Room::within(Path::new("/nowhere"));
        let patience = i64::try_from(PATIENCE.as_millis()).unwrap();
        let label = |offset| Label {
            journal_id: journal,
            offset,
            part: Some(Part { start: 0, length: 9 }),
            begins: false,
            unreadable: None,
        };
        let mut assembler = Assembler::within(&room);
        let begun = at(1_000);
        assert_eq!(assembler.take(label(3), 17, b"half", begun).unwrap(), None);
        assert_eq!((assembler.low(40), room.in_memory()), (17, 4));
        // However long we stood still: the rest may be the next thing in the log.
        assert_eq!(assembler.expire(begun.read + PATIENCE), []);
        assert_eq!(assembler.take(label(4), 18, b"half", at(patience)).unwrap(), None);
        assert_eq!(assembler.expire(begun.read + PATIENCE), []);
        assert_eq!(
            assembler.take(label(5), 19, b"half", at(1_000 + patience)).unwrap(),
            None
        );
        assert_eq!(assembler.expire(begun.read), [(journal, 3)]);
        assert_eq!((assembler.low(40), room.in_memory()), (18, 8));
        // By a sidecar's clock, which may be years behind those of others, only if it waited here, too.
        let mut assembler = Assembler::within(&room);
        let by_sidecar = |log| Time {
            by_broker: false,
            ..at(log)
        };
        let begun = by_sidecar(1_000);
        assert_eq!(assembler.take(label(3), 17, b"half", begun).unwrap(), None);
        assert_eq!(
            assembler.take(label(4), 18, b"half", by_sidecar(5 * patience)).unwrap(),
            None
        );
        assert_eq!(assembler.expire(begun.read + PATIENCE / 2), []);
        assert_eq!(assembler.expire(begun.read + PATIENCE), [(journal, 3)]);
    }

    #[test]
    fn very_many_parts_are_joined_in_linear_time() {
        let journal = JournalId::new();
        let room = Room::within(Path::new("/nowhere"));
        let mut assembler = Assembler::within(&room);
        let record = vec![b'x'; 100_000];
        let parts = messages(journal, 0, &record, 1);
        let begun = Instant::now();
        let mut came = None;
        for (label, payload) in parts {
            came = came.or(assembler.take(label, 0, &payload, at(0)).unwrap());
        }
        assert_eq!(came.unwrap().1, record);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        // More than any sidecar sends are not kept.
        let record = vec![b'x'; MAX_PARTS + 10];
        for (label, payload) in messages(journal, 1, &record, 1) {
            assert_eq!(assembler.take(label, 0, &payload, at(0)).unwrap(), None);
        }
        assert_eq!(room.in_memory(), MAX_PARTS);
    }
}
