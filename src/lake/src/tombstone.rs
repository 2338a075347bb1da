//! What stands in `events` for rows that retention or erasure took away: their place in the account.
//!
//! A row of type [`EXPIRED`] stands for a run of a journal's offsets and has the hash chain's value at
//! its end; one of type [`ERASED`] stands for a single record and keeps its digest beside its own chain
//! value, and where it ended a call a hash of the call's id. So `verify` follows the chain over both, and says
//! expired or erased, not missing.

use event::{Chain, Digest, Envelope, EventId, EventType, JournalId, Json, Record, VERSION};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::LakeError;
use crate::encode::{NANOS_PER_DAY, day_of, seal};
use crate::source::Item;

/// Type of a row that stands for offsets which retention took away.
pub const EXPIRED: &str = "lake.expired";
/// Type of a row that stands for a record which was erased.
pub const ERASED: &str = "lake.erased";

/// Body of an [`EXPIRED`] row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expired {
    /// The last offset; the row's own is the first.
    pub(crate) last: i64,
}

/// Body of an [`ERASED`] row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Erased {
    /// BLAKE3 of the record's canonical bytes, 64 hex digits.
    digest: String,
    /// Of a record that ended a call: the call's [`mark`], 32 hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    call: Option<String>,
}

/// What tells a call that was erased from one that never was, to whoever knows its id.
pub(crate) type Mark = [u8; 16];

/// The beginning of the BLAKE3 of a call's id.
pub(crate) fn mark(call: Uuid) -> Mark {
    let mut mark = Mark::default();
    mark.copy_from_slice(&blake3::hash(call.as_bytes()).as_bytes()[..16]);
    mark
}

/// The mark that the body of an [`ERASED`] row has, if it has one.
pub(crate) fn erased_call(body: &str) -> Option<Mark> {
    let body: Erased = serde_json::from_str(body).ok()?;
    let mut mark = Mark::default();
    hex::decode_to_slice(body.call?, &mut mark).ok()?;
    Some(mark)
}

/// A run of offsets whose records have expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) journal: JournalId,
    pub(crate) first: i64,
    pub(crate) last: i64,
    /// The chain's value at `last`, where it is known.
    pub(crate) chain: Option<Chain>,
    /// The day whose records they were, in days since 1970.
    pub(crate) day: i32,
}

impl Run {
    /// The row, filed on its day.
    pub(crate) fn row(&self) -> Result<Item, LakeError> {
        let body = Json::of(&Expired { last: self.last }).map_err(internal)?;
        // An unknown value is all zeros, which no record has.
        let chain = self.chain.unwrap_or(Chain::START);
        Ok(tombstone(
            EXPIRED,
            self.journal,
            self.first,
            i64::from(self.day) * NANOS_PER_DAY,
            chain,
            body,
        ))
    }

    /// Reads such a row; `None` if it is another.
    pub(crate) fn of(item: &Item) -> Option<Run> {
        let record = item.record()?;
        let envelope = &record.envelope;
        if envelope.event_type != EXPIRED {
            return None;
        }
        let body: Expired = serde_json::from_str(record.body.get()).ok()?;
        // A run that ends before it begins, or nowhere, is none.
        if !(envelope.offset..i64::MAX).contains(&body.last) {
            return None;
        }
        Some(Run {
            journal: envelope.journal_id,
            first: envelope.offset,
            last: body.last,
            chain: Some(envelope.chain).filter(|chain| *chain != Chain::START),
            day: day_of(envelope.time_unix_nano),
        })
    }
}

/// The row that stands for an erased record.
pub(crate) fn erased(item: &Item) -> Result<Item, LakeError> {
    // Of what could not be read nobody knows whose it was.
    let Some(record) = item.record() else {
        return Ok(item.clone());
    };
    if record.envelope.event_type == ERASED {
        return Ok(item.clone());
    }
    let digest = digest(item).ok_or_else(|| LakeError::Row {
        journal: item.journal_id().to_string(),
        offset: item.offset(),
        what: "its bytes cannot be rebuilt".to_owned(),
    })?;
    let (chain, time) = (record.envelope.chain, record.envelope.time_unix_nano);
    let ends = EventType::from(record.envelope.event_type.as_str()).is_terminal();
    let call = record.envelope.call_id.filter(|_| ends);
    let body = Json::of(&Erased {
        digest: hex::encode(digest.0),
        call: call.map(|id| hex::encode(mark(id.0))),
    })
    .map_err(internal)?;
    Ok(tombstone(ERASED, item.journal_id(), item.offset(), time, chain, body))
}

/// The digest that the chain has of an item: of its bytes, where its fields do not tell all of it. Fields that
/// do not agree with the bytes speak for themselves, and so break the chain.
pub(crate) fn digest(item: &Item) -> Option<Digest> {
    let record = match item {
        Item::Record(record) => record,
        Item::Verbatim { record, raw } => match (seal(raw), Record::parse(raw)) {
            (Some((draft, _)), Ok(read)) if read == *record => return Some(Digest::of(draft)),
            _ => record,
        },
        Item::Unreadable { raw, .. } => return seal(raw).map(|(draft, _)| Digest::of(draft)),
    };
    record.canonical().ok().map(|bytes| Digest::of(&bytes))
}

/// The digest of the record that such a row stands for; `None` if it is another row.
pub(crate) fn erased_digest(record: &Record) -> Option<Digest> {
    if record.envelope.event_type != ERASED {
        return None;
    }
    let body: Erased = serde_json::from_str(record.body.get()).ok()?;
    let mut digest = [0; 32];
    hex::decode_to_slice(body.digest, &mut digest).ok()?;
    Some(Digest(digest))
}

fn tombstone(
    event_type: &str,
    journal_id: JournalId,
    offset: i64,
    time_unix_nano: i64,
    chain: Chain,
    body: Json,
) -> Item {
    let envelope = Envelope {
        v: VERSION,
        event_id: EventId::new(),
        event_type: event_type.to_owned(),
        call_id: None,
        seq: 0,
        time_unix_nano,
        tenant: None,
        app: None,
        trace_id: None,
        span_id: None,
        journal_id,
        offset,
        chain,
    };
    Item::Record(Record { envelope, body })
}

fn internal(error: serde_json::Error) -> LakeError {
    LakeError::Internal(error.to_string())
}
