//! Open calls, folded across batches, and the rows of those that ended.

use std::collections::{BTreeSet, HashMap};

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
#[derive(Debug)]
pub(crate) struct Fold {
    open: HashMap<CallId, Open>,
    /// Where they began.
    begins: BTreeSet<i64>,
    /// Calls that the records since the last rest concerned.
    fresh: Vec<CallId>,
    /// With more open calls than this, those that rest are packed.
    many: usize,
    counts: FoldCounts,
    room: Spill,
}

/// So many open calls of a journal are kept as they are.
const MANY: usize = 1_000;

/// An open call without its request, which may be long, and the request.
#[derive(Debug)]
struct Open {
    call: Kind,
    request: Option<Kept>,
}

/// A call waits for minutes while others come and go: at rest it takes a fifth of the room.
#[derive(Debug)]
enum Kind {
    Whole(Box<Call>),
    /// As JSON.
    Packed(Box<[u8]>),
}

impl Kind {
    fn unpacked(self) -> Result<Box<Call>, LakeError> {
        match self {
            Kind::Whole(call) => Ok(call),
            Kind::Packed(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| LakeError::Internal(format!("an open call that was packed cannot be read: {error}"))),
        }
    }

    fn packed(self) -> Kind {
        match self {
            // JSON has no NaN and no infinity, and scores come after the end as a rule.
            Kind::Whole(call) if call.scores.is_empty() => match serde_json::to_vec(&call) {
                Ok(bytes) => Kind::Packed(bytes.into()),
                Err(_) => Kind::Whole(call),
            },
            other => other,
        }
    }
}

impl Default for Fold {
    fn default() -> Fold {
        Fold::within(&Spill::default())
    }
}

impl Fold {
    /// A fold that keeps requests in this room.
    pub(crate) fn within(room: &Spill) -> Fold {
        Fold {
            open: HashMap::new(),
            begins: BTreeSet::new(),
            fresh: Vec::new(),
            many: MANY,
            counts: FoldCounts::default(),
            room: room.clone(),
        }
    }

    /// The same, with every call packed that rests.
    #[cfg(test)]
    pub(crate) fn packing(mut self) -> Fold {
        self.many = 0;
        self
    }

    /// Takes in the next record; a call that it ends is handed to `ended`.
    pub(crate) fn apply(&mut self, item: &Item, ended: &mut dyn FnMut(&Call)) -> Result<(), LakeError> {
        let Some(record) = item.record() else { return Ok(()) };
        let Some(call_id) = record.envelope.call_id else {
            return Ok(());
        };
        let mut open = match self.open.remove(&call_id) {
            Some(open) => open,
            None if record.envelope.seq == 0 => Open {
                call: Kind::Whole(Box::default()),
                request: None,
            },
            None => {
                self.counts.late += 1;
                return Ok(());
            }
        };
        let mut call = open.call.unpacked()?;
        let (event, fits) = decode(record);
        if !fits {
            self.counts.bad_bodies += 1;
        }
        if call.apply(&event) == Applied::Duplicate {
            self.counts.late += 1;
        }
        if call.is_ended() {
            if let Some(request) = open.request.take() {
                let request = request.take().map_err(LakeError::Request)?;
                call.started.request_body = Some(request);
            }
            if let Some(first) = call.first_offset {
                self.begins.remove(&first);
            }
            ended(&call);
            return Ok(());
        }
        if let Some(request) = call.started.request_body.take() {
            open.request = Some(self.room.keep(request));
        }
        self.begins.extend(call.first_offset);
        open.call = Kind::Whole(call);
        self.open.insert(call_id, open);
        if self.fresh.last() != Some(&call_id) {
            self.fresh.push(call_id);
        }
        Ok(())
    }

    /// Between two reads: with many open calls, those that were just looked at are packed again.
    pub(crate) fn rest(&mut self) {
        if self.open.len() <= self.many {
            if self.fresh.len() > 4 * self.many {
                self.fresh.sort_unstable();
                self.fresh.dedup();
                self.fresh.retain(|id| self.open.contains_key(id));
            }
            return;
        }
        for id in self.fresh.drain(..) {
            if let Some(open) = self.open.get_mut(&id) {
                let call = std::mem::replace(&mut open.call, Kind::Packed(Box::default()));
                open.call = call.packed();
            }
        }
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
        self.rest();
        Ok(())
    }

    /// Where a reader must begin to rebuild this fold at `next`.
    pub(crate) fn low(&self, next: i64) -> i64 {
        self.begins.first().map_or(next, |first| next.min(*first))
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
