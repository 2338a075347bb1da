//! Open calls, folded across batches, and the rows of those that ended.

use std::collections::HashMap;

use event::body::{CallEnded, CallInterrupted};
use event::{Applied, Body, Call, CallId, Event, EventType, Record};

use crate::LakeError;
use crate::encode::CallRows;
use crate::source::Item;
use crate::spill::{Kept, Spill};

/// What the fold came across that is no part of an orderly history. Counted, never hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoldCounts {
    /// Events of a call that had ended already, or whose beginning was never seen.
    pub(crate) late: u64,
    /// Bodies that do not fit their type.
    pub(crate) bad_bodies: u64,
}

impl FoldCounts {
    pub(crate) fn plus(self, other: FoldCounts) -> FoldCounts {
        FoldCounts {
            late: self.late + other.late,
            bad_bodies: self.bad_bodies + other.bad_bodies,
        }
    }
}

/// The calls that are open at some point of the journal.
///
/// A call begins with its event of `seq` 0 and is let go at its terminal event; whatever comes for
/// it later (a score, a second end) changes `events` alone. So each call gives one row at most,
/// wherever the fold is stopped and begun again.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    open: HashMap<CallId, Open>,
    counts: FoldCounts,
    room: Spill,
}

/// An open call without its request, which may be long, and the request.
#[derive(Debug, Default)]
struct Open {
    call: Call,
    request: Option<Kept>,
}

impl Fold {
    /// A fold that keeps requests in this room.
    pub(crate) fn within(room: &Spill) -> Fold {
        Fold {
            room: room.clone(),
            ..Fold::default()
        }
    }

    /// Takes in the next record; a call that it ends is handed to `ended`.
    pub(crate) fn apply(&mut self, item: &Item, ended: &mut dyn FnMut(&Call)) -> Result<(), LakeError> {
        let Item::Record(record) = item else { return Ok(()) };
        let Some(call_id) = record.envelope.call_id else {
            return Ok(());
        };
        if record.envelope.seq == 0 {
            self.open.entry(call_id).or_default();
        }
        let Some(open) = self.open.get_mut(&call_id) else {
            self.counts.late += 1;
            return Ok(());
        };
        let (event, fits) = decode(record);
        if !fits {
            self.counts.bad_bodies += 1;
        }
        if open.call.apply(&event) == Applied::Duplicate {
            self.counts.late += 1;
        }
        if open.call.is_ended() {
            if let Some(request) = open.request.take() {
                let request = request.take().map_err(LakeError::Request)?;
                open.call.started.request_body = Some(request);
            }
            ended(&open.call);
            self.open.remove(&call_id);
        } else if let Some(request) = open.call.started.request_body.take() {
            open.request = Some(self.room.keep(request));
        }
        Ok(())
    }

    /// Takes in records; rows of calls that end at `from` or after are added to `rows`.
    pub(crate) fn apply_all(&mut self, items: &[Item], from: i64, rows: &mut CallRows) -> Result<(), LakeError> {
        for item in items {
            let emit = item.offset() >= from;
            self.apply(item, &mut |call| {
                if emit {
                    rows.append(call);
                }
            })?;
        }
        Ok(())
    }

    /// Where a reader must begin to rebuild this fold at `next`.
    pub(crate) fn low(&self, next: i64) -> i64 {
        (self.open.values())
            .filter_map(|open| open.call.first_offset)
            .fold(next, i64::min)
    }

    /// How many calls are open.
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }

    /// What was odd since the last time.
    pub(crate) fn take_counts(&mut self) -> FoldCounts {
        std::mem::take(&mut self.counts)
    }
}

/// The event of a record. One whose body does not fit its type, or comes from a newer version, still
/// counts as what its envelope says it is, with nothing else known of it: a call that ended, ended.
fn decode(record: &Record) -> (Event, bool) {
    let envelope = record.envelope.clone();
    if envelope.v <= event::VERSION
        && let Ok(body) = Body::parse(&envelope.event_type, &record.body)
    {
        return (Event { envelope, body }, true);
    }
    let ended = Box::<CallEnded>::default();
    let body = match EventType::from(envelope.event_type.as_str()) {
        EventType::CallStarted => Body::CallStarted(Box::default()),
        EventType::CallCompleted => Body::CallCompleted(ended),
        EventType::CallFailed => Body::CallFailed(ended),
        EventType::CallBlocked => Body::CallBlocked(ended),
        EventType::CallCancelled => Body::CallCancelled(ended),
        EventType::CallInterrupted => Body::CallInterrupted(Box::<CallInterrupted>::default()),
        _ => Body::Unknown {
            event_type: envelope.event_type.clone(),
            body: record.body.clone(),
        },
    };
    (Event { envelope, body }, false)
}
