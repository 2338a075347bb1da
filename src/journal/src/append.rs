//! Appending: who comes first writes for everybody who came meanwhile.
//!
//! An appender takes the lock, seals its records into the buffer, and if nobody is writing becomes
//! the leader: it takes the buffer, lets go of the lock, makes one `pwrite`, and goes on with
//! whatever others put into the fresh buffer meanwhile. Those others wait for their batch. The
//! leader serves a bounded number of rounds, then hands over to one of the waiters.
//!
//! There is no writer thread: in a proxy with a thread a core, a hand-off costs two context
//! switches (20–50 µs when the machine is busy), the `pwrite` of a few KB into the page cache 2–4.
//! Waiting work is bounded without a queue, because an appender brings one batch and blocks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use event::{Chain, Draft, EventType};

use crate::core::{Core, State, lock, wait};
use crate::disk::{is_full, write_all};
use crate::format::{self, FRAME_BYTES, HEADER_BYTES, MAX_RECORD_BYTES, SEAL_BYTES};
use crate::segment::{self, Active, Blank, Sealed, Start};
use crate::stats::add;
use crate::{AppendError, FullReason, WhenFull};

/// Rounds that a leader writes for others before it hands over.
const ROUNDS: usize = if cfg!(test) { 1 } else { 32 };
/// How often one looks whether the leader is done before one sleeps, some 50 µs: a `pwrite` takes less,
/// and falling asleep and being woken costs both sides.
const LOOKS: usize = if cfg!(test) { 1 } else { 1000 };
/// A buffer that grew beyond this is not kept.
const KEEP_BYTES: usize = 4 << 20;

/// The offsets that a batch got: `first..=last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Of its first event.
    pub first: i64,
    /// Of its last event; `first - 1` for an empty batch.
    pub last: i64,
}

/// The appenders that wait for one write.
#[derive(Default)]
pub(crate) struct Batch {
    turn: Mutex<Turn>,
    /// There is news in `turn`.
    news: AtomicBool,
    told: Condvar,
}

#[derive(Default)]
struct Turn {
    say: Say,
    asleep: usize,
}

#[derive(Default)]
enum Say {
    #[default]
    Wait,
    /// The leader has done enough: whoever sees this first leads.
    Lead,
    Done(Result<(), AppendError>),
}

impl Batch {
    fn lead(&self) {
        if self.tell(Say::Lead) > 0 {
            self.told.notify_one();
        }
    }

    fn done(&self, result: Result<(), AppendError>) {
        if self.tell(Say::Done(result)) > 0 {
            self.told.notify_all();
        }
    }

    /// How many are to be woken.
    fn tell(&self, say: Say) -> usize {
        let mut turn = lock(&self.turn);
        turn.say = say;
        self.news.store(true, Ordering::Release);
        turn.asleep
    }

    /// Waits for the batch; `None` is for the one who is told to lead.
    fn wait(&self) -> Option<Result<(), AppendError>> {
        for _ in 0..LOOKS {
            if self.news.load(Ordering::Acquire) {
                break;
            }
            std::hint::spin_loop();
        }
        let mut turn = lock(&self.turn);
        loop {
            match &turn.say {
                Say::Done(result) => return Some(result.clone()),
                Say::Lead => {
                    turn.say = Say::Wait;
                    return None;
                }
                Say::Wait => {
                    turn.asleep += 1;
                    turn = wait(&self.told, turn);
                    turn.asleep -= 1;
                }
            }
        }
    }
}

/// A batch measured and summed, before the lock.
pub(crate) struct Prepared<'a> {
    pub drafts: &'a [Draft],
    crcs: Vec<u32>,
    /// Upper bound of its framed size.
    bytes: u64,
    begins_call: bool,
}

impl Core {
    pub fn append(&self, drafts: &[Draft]) -> Result<Appended, AppendError> {
        let prepared = prepare(drafts)?;
        let placed = self.place(&prepared);
        if placed.is_err() && self.disk_full.load(Ordering::Relaxed) {
            // It looks whether there is room again.
            self.wake_sync();
        }
        match placed {
            Err(AppendError::Full { reason, .. }) if self.options.when_full() == WhenFull::Shed => {
                self.shed(drafts, reason);
                Err(AppendError::Shed {
                    events: drafts.len() as u64,
                    reason,
                })
            }
            Err(e) => {
                add(&self.counters.refused, 1);
                Err(e)
            }
            Ok(appended) => Ok(appended),
        }
    }

    pub fn place(&self, prepared: &Prepared<'_>) -> Result<Appended, AppendError> {
        let mut state = lock(&self.state);
        if prepared.drafts.is_empty() {
            return Ok(Appended {
                first: state.next,
                last: state.next - 1,
            });
        }
        loop {
            if state.closed {
                return Err(AppendError::Closed);
            }
            if let Some(error) = &state.poisoned {
                return Err(error.clone());
            }
            self.check_quota(&state, prepared)?;
            if state.shed.is_some() && self.options.quota.is_none_or(|q| state.used() < q.bytes) {
                state = self.tell_shed(state)?;
                continue;
            }
            let room = state.active.as_ref().map_or(0, |a| {
                a.capacity
                    .saturating_sub(a.written + state.taken + state.buffer.len() as u64)
            });
            let fits = prepared.bytes <= room;
            if fits && (!state.writing || state.exclusive == 0) {
                break;
            }
            if state.writing {
                state = self.until_idle(state);
            } else {
                self.roll(&mut state, prepared.bytes)?;
            }
        }
        let first = state.next;
        self.seal(&mut state, prepared);
        let last = state.next - 1;
        let written = if state.writing {
            let batch = state.batch.get_or_insert_default().clone();
            drop(state);
            self.follow(&batch)
        } else {
            state.writing = true;
            self.lead(state)
        };
        written.map(|()| Appended { first, last })
    }

    fn check_quota(&self, state: &State, prepared: &Prepared<'_>) -> Result<(), AppendError> {
        let Some(quota) = self.options.quota else { return Ok(()) };
        // What begins a call stays within the quota; what goes on with one may use the reserve.
        let limit = if prepared.begins_call {
            quota.bytes
        } else {
            quota.bytes + quota.reserve()
        };
        let used = state.used();
        if used + prepared.bytes <= limit {
            return Ok(());
        }
        self.used.store(used.max(quota.bytes), Ordering::Relaxed);
        Err(AppendError::Full {
            reason: FullReason::Quota,
            path: self.dir.clone(),
            used,
        })
    }

    /// Gives the drafts their places, in the buffer.
    fn seal(&self, state: &mut State, prepared: &Prepared<'_>) {
        let Some(active) = &state.active else { return };
        let segment = active.segment;
        state.buffer.reserve(prepared.bytes as usize);
        for (draft, crc) in prepared.drafts.iter().zip(&prepared.crcs) {
            let offset = state.next;
            let chain = state.chain.next(self.id, offset, draft.digest());
            let bytes = draft.bytes();
            format::put(&mut state.buffer, &segment, offset, bytes.len(), *crc, |out| {
                out.extend_from_slice(bytes);
                Draft::seal_into(self.id, offset, &chain, out);
            });
            state.chain = chain;
            state.next = offset + 1;
        }
    }

    /// Waits for the batch, or leads it when told to.
    fn follow(&self, batch: &Batch) -> Result<(), AppendError> {
        // The leadership came with the batch still in the buffer: ours is the next write.
        batch.wait().unwrap_or_else(|| self.lead(lock(&self.state)))
    }

    /// Writes the buffer, and what comes meanwhile. The result is the first write's, which holds
    /// the caller's own records. `writing` is set, and is the caller's to hand on.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>) -> Result<(), AppendError> {
        let mut own = None;
        for round in 0.. {
            if round == ROUNDS
                && let Some(next) = &state.batch
            {
                next.lead();
                break;
            }
            let batch;
            let result;
            (state, batch, result) = self.write_round(state);
            if let Some(batch) = batch {
                batch.done(result.clone());
            }
            own.get_or_insert(result);
            if state.buffer.is_empty() {
                state.writing = false;
                if state.exclusive > 0 {
                    self.idle.notify_all();
                }
                break;
            }
        }
        drop(state);
        if !self.awake.load(Ordering::SeqCst) && !self.awake.swap(true, Ordering::SeqCst) {
            self.wake_sync();
        }
        own.unwrap_or(Ok(()))
    }

    fn write_round<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> (MutexGuard<'a, State>, Option<Arc<Batch>>, Result<(), AppendError>) {
        let spare = std::mem::take(&mut state.spare);
        let mut bytes = std::mem::replace(&mut state.buffer, spare);
        let batch = state.batch.take();
        let (end, chain) = (state.next, state.chain);
        state.taken = bytes.len() as u64;
        let target = state.active.as_ref().map(|a| (a.file.clone(), a.written));
        drop(state);

        let result = match &target {
            Some((file, at)) => write_all(file.as_ref(), &bytes, *at),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };

        let mut state = lock(&self.state);
        state.taken = 0;
        let result = match result {
            Ok(()) => {
                self.commit(&mut state, bytes.len() as u64, end, chain);
                Ok(())
            }
            Err(error) => {
                let later = std::mem::take(&mut state.buffer);
                bytes.extend_from_slice(&later);
                let result = self.write_elsewhere(&mut state, &mut bytes, error);
                if let Some(later) = state.batch.take() {
                    later.done(result.clone());
                }
                result
            }
        };
        bytes.clear();
        if bytes.capacity() <= KEEP_BYTES {
            state.spare = bytes;
        }
        (state, batch, result)
    }

    fn commit(&self, state: &mut State, bytes: u64, end: i64, chain: Chain) {
        add(&self.counters.writes, 1);
        add(&self.counters.appended_bytes, bytes);
        add(
            &self.counters.appended_events,
            u64::try_from(end - state.end).unwrap_or_default(),
        );
        if let Some(active) = &mut state.active {
            active.written += bytes;
        }
        (state.end, state.end_chain) = (end, chain);
        self.end.store(end, Ordering::SeqCst);
        if self.options.quota.is_some() {
            self.used.store(state.used(), Ordering::Relaxed);
        }
    }

    /// A write failed, perhaps half way: the segment is given up where it was good, and all that
    /// waits goes to a new one. If that fails too, none of it was recorded.
    fn write_elsewhere(&self, state: &mut State, bytes: &mut [u8], error: std::io::Error) -> Result<(), AppendError> {
        tracing::error!(dir = %self.dir.display(), %error, "a write to the journal failed: trying a new segment");
        add(&self.counters.poisoned, 1);
        let (end, chain) = (state.next, state.chain);
        (state.next, state.chain) = (state.end, state.end_chain);
        if let Some(active) = &state.active {
            // What was half written must not be read as records of these offsets.
            let _ = active.file.set_len(active.written);
        }
        self.retire(state);
        self.roll(state, bytes.len() as u64)?;
        let Some(active) = &state.active else {
            return Err(AppendError::Closed);
        };
        format::reframe(bytes, &active.segment);
        match write_all(active.file.as_ref(), bytes, active.written) {
            Ok(()) => {
                (state.next, state.chain) = (end, chain);
                self.commit(state, bytes.len() as u64, end, chain);
                Ok(())
            }
            Err(source) => {
                let path = segment::path(&self.dir, active.first);
                let _ = active.file.set_len(active.written);
                self.retire(state);
                Err(AppendError::of("write", &path, state.used(), source))
            }
        }
    }

    /// Ends the active segment.
    pub fn retire(&self, state: &mut State) {
        let Some(active) = state.active.take() else { return };
        state.older.push((active.first, active.written));
        state.sealed.push(Sealed {
            file: active.file,
            segment: active.segment,
            first: active.first,
            used: active.written,
        });
    }

    /// Begins a new segment with room for `need` bytes. Nobody is writing.
    pub fn roll(&self, state: &mut State, need: u64) -> Result<(), AppendError> {
        let need = HEADER_BYTES + need;
        let fail = |state: &State, action, e: std::io::Error| {
            let error = AppendError::of(action, &segment::path(&self.dir, state.next), state.used(), e);
            // A batch that needs a file of its own size says nothing about those that fit the active one.
            let is_odd = need > self.options.segment_size() && state.active.is_some();
            if matches!(error, AppendError::Full { .. }) && !is_odd {
                self.disk_full.store(true, Ordering::Relaxed);
            }
            Err(error)
        };
        let blank = match state.blank.take() {
            Some(blank) if blank.bytes >= need => blank,
            small => match self.create_blank("next", need) {
                Ok(blank) => {
                    if let Some(small) = small {
                        let _ = self.disk.remove(&small.path);
                    }
                    blank
                }
                Err(e) => {
                    // It still serves those that fit.
                    state.blank = small;
                    return fail(state, "create", e);
                }
            },
        };
        let start = Start {
            journal: self.id,
            first: state.next,
            chain: state.chain,
            synced: self.synced(),
        };
        let begun = Active::begin(self.disk.as_ref(), &self.dir, blank, &start);
        let active = match begun {
            Ok(active) => active,
            Err(e) => return fail(state, "begin", e),
        };
        // One without records has just been replaced under its name.
        if state.active.as_ref().is_some_and(|old| old.first == state.next) {
            state.active = None;
        }
        state.older.retain(|(first, _)| *first != state.next);
        state.sealed.retain(|sealed| sealed.first != state.next);
        self.retire(state);
        state.active = Some(active);
        state.dir_dirty = true;
        self.disk_full.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// A file for `need` bytes at least; smaller than usual when the disk is nearly full.
    pub fn create_blank(&self, name: &str, need: u64) -> std::io::Result<Blank> {
        let usual = self.options.segment_size().max(need);
        let mut last = None;
        for bytes in [usual, (usual / 16).max(need), need] {
            match Blank::create(self.disk.as_ref(), &self.dir, name, bytes) {
                Err(e) if is_full(&e) => last = Some(e),
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| std::io::ErrorKind::StorageFull.into()))
    }
}

pub(crate) fn prepare(drafts: &[Draft]) -> Result<Prepared<'_>, AppendError> {
    let mut bytes = 0;
    for draft in drafts {
        let len = draft.bytes().len() + SEAL_BYTES;
        if len > MAX_RECORD_BYTES {
            return Err(AppendError::TooLarge {
                bytes: len,
                limit: MAX_RECORD_BYTES,
            });
        }
        bytes += (FRAME_BYTES + len) as u64;
    }
    Ok(Prepared {
        drafts,
        crcs: drafts.iter().map(|d| crc32c::crc32c(d.bytes())).collect(),
        bytes,
        begins_call: drafts.iter().any(|d| matches!(d.event_type(), EventType::CallStarted)),
    })
}
