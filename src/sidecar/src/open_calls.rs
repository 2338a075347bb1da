//! Which calls are open, so that a start after a crash can end those that the crash cut.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use event::body::CallInterrupted;
use event::{Body, CallId, Draft, EventType, Scope};
use journal::{Journal, ReadError, clock};

use crate::error::StartError;

/// Consumer position that keeps every journal segment with an open call's first event.
pub const POSITION: &str = "sidecar.open_calls";
/// How much of the journal is read at a time when looking for cut calls.
const READ_BYTES: usize = 4 << 20;

/// Lower bounds of the offsets at which open calls began, each with its number of calls.
#[derive(Clone, Default)]
pub struct OpenCalls {
    bounds: Arc<Mutex<BTreeMap<i64, usize>>>,
    abandoned: Arc<AtomicUsize>,
}

/// One open call; dropping it says that the call ended.
pub struct OpenCall {
    calls: OpenCalls,
    bound: i64,
}

impl OpenCalls {
    /// A call is about to begin; `end` is the journal's end *before* its first event is appended, so
    /// that there is no moment at which the call is in the journal but not here.
    #[must_use]
    pub fn open(&self, end: i64) -> OpenCall {
        *self.lock().entry(end).or_default() += 1;
        OpenCall {
            calls: self.clone(),
            bound: end,
        }
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock()
            .values()
            .sum::<usize>()
            .saturating_sub(self.abandoned.load(Ordering::Relaxed))
    }

    /// Where a start after a crash must begin to read: the first event of the oldest open call, or
    /// `end`, the journal's end read *before* this call, if none is open.
    #[must_use]
    pub fn low_water(&self, end: i64) -> i64 {
        self.lock()
            .first_key_value()
            .map_or(end, |(bound, _)| (*bound).min(end))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, usize>> {
        // The map holds no invariant that a panic could break.
        self.bounds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenCall {
    /// The call is over, but its end could not be written: its beginning stays known, so that the
    /// next start ends it.
    pub fn abandon(self) {
        self.calls.abandoned.fetch_add(1, Ordering::Relaxed);
        std::mem::forget(self);
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let mut bounds = self.calls.lock();
        if let Some(count) = bounds.get_mut(&self.bound) {
            *count -= 1;
            if *count == 0 {
                bounds.remove(&self.bound);
            }
        }
    }
}

/// A call without an end, as far as it was read.
struct Cut {
    scope: Scope,
    next_seq: u32,
    last_seen: i64,
}

/// Ends every call that the last run left open with `call.interrupted`; returns how many.
///
/// Idempotent: a crash in the middle leaves the rest to the next start.
pub fn recover(journal: &Journal) -> Result<u64, StartError> {
    let wrong = |e: &dyn std::fmt::Display| StartError::Journal(e.to_string());
    let end = journal.end();
    let reader = match journal.positions().get(POSITION) {
        Some(from) => journal.reader(from),
        // Without a position the calls of all that is there are looked at.
        None => match journal.reader(0) {
            Err(ReadError::Released { first, .. }) => journal.reader(first),
            reader => reader,
        },
    };
    let mut reader = reader.map_err(|e| wrong(&e))?;
    let mut open: HashMap<CallId, Cut> = HashMap::new();
    while reader.position() < end {
        let before = reader.position();
        let records = match reader.next_batch(READ_BYTES) {
            Ok(records) => records,
            // Damaged records are reported by the journal and by `weir journal verify`; the calls
            // after them are still to be ended.
            Err(error) if reader.position() > before => {
                tracing::error!(%error, "looking for open calls");
                continue;
            }
            Err(error) => return Err(wrong(&error)),
        };
        if records.is_empty() {
            break;
        }
        for record in records {
            let e = record.envelope;
            let Some(call_id) = e.call_id else { continue };
            match EventType::from(e.event_type.as_str()) {
                event_type if event_type.is_terminal() => {
                    open.remove(&call_id);
                }
                EventType::CallStarted => {
                    let scope = Scope {
                        tenant: e.tenant,
                        app: e.app,
                        trace_id: e.trace_id,
                        span_id: e.span_id,
                    };
                    open.insert(
                        call_id,
                        Cut {
                            scope,
                            next_seq: e.seq + 1,
                            last_seen: e.time_unix_nano,
                        },
                    );
                }
                _ => {
                    if let Some(cut) = open.get_mut(&call_id) {
                        cut.next_seq = e.seq + 1;
                        cut.last_seen = e.time_unix_nano;
                    }
                }
            }
        }
    }
    let mut drafts = Vec::with_capacity(open.len());
    for (call_id, cut) in &open {
        let body = Body::CallInterrupted(Box::new(CallInterrupted {
            reason: "crash".to_owned(),
            last_seen_unix_nano: Some(cut.last_seen),
        }));
        drafts.push(
            Draft::new(&cut.scope, Some(*call_id), cut.next_seq, clock::unix_nano(), &body).map_err(|e| wrong(&e))?,
        );
    }
    for batch in drafts.chunks(256) {
        journal.append(batch).map_err(|e| wrong(&e))?;
    }
    journal.flush().map_err(|e| wrong(&e))?;
    journal
        .positions()
        .set(POSITION, journal.end())
        .map_err(|e| wrong(&e))?;
    Ok(open.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_water_is_the_oldest_open_call() {
        let calls = OpenCalls::default();
        assert_eq!(calls.low_water(10), 10);
        let (first, second, third) = (calls.open(7), calls.open(3), calls.open(3));
        assert_eq!((calls.low_water(10), calls.count()), (3, 3));
        drop(second);
        assert_eq!(calls.low_water(10), 3);
        drop(third);
        assert_eq!((calls.low_water(10), calls.count()), (7, 1));
        first.abandon();
        assert_eq!((calls.low_water(12), calls.count()), (7, 0));
    }

    /// Whoever takes away a damaged position, as its message says, must be able to start again.
    #[test]
    fn without_a_position_all_that_is_there_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let options = journal::Options {
            segment_bytes: 64 << 10,
            ..journal::Options::default()
        };
        let (journal, _) = Journal::open(dir.path(), options).unwrap();
        for time in 0..300 {
            let started = Body::CallStarted(Box::new(event::body::CallStarted {
                endpoint: "x".repeat(1000),
                ..Default::default()
            }));
            let draft = Draft::new(&Scope::default(), Some(CallId::new()), 0, time, &started).unwrap();
            journal.append(&[draft]).unwrap();
        }
        journal.positions().set("other", journal.end()).unwrap();
        let first = journal.release().unwrap().first;
        assert!(first > 0);
        let left = u64::try_from(journal.end() - first).unwrap();
        assert_eq!(recover(&journal).unwrap(), left);
        assert_eq!(recover(&journal).unwrap(), 0);
    }
}
