//! `events` rows back into records, exactly.

use arrow::array::{Array, AsArray, BinaryViewArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::Int64Type;
use event::{Envelope, Json, Record};

use crate::LakeError;
use crate::schema::UNREADABLE;
use crate::source::Item;

/// The columns of an `events` batch that hold the record.
pub(crate) struct EventRows<'a> {
    journal_id: &'a StringViewArray,
    offset: &'a Int64Array,
    event_id: &'a StringViewArray,
    event_type: &'a StringViewArray,
    call_id: &'a StringViewArray,
    seq: &'a Int64Array,
    time_unix_nano: &'a Int64Array,
    tenant: &'a StringViewArray,
    app: &'a StringViewArray,
    trace_id: &'a StringViewArray,
    span_id: &'a StringViewArray,
    v: &'a Int64Array,
    body: &'a StringViewArray,
    chain: &'a StringViewArray,
    raw: &'a BinaryViewArray,
}

/// The columns that [`EventRows`] needs.
pub(crate) const RECORD_COLUMNS: &[&str] = &[
    "journal_id",
    "offset",
    "event_id",
    "type",
    "call_id",
    "seq",
    "time_unix_nano",
    "tenant",
    "app",
    "trace_id",
    "span_id",
    "v",
    "body",
    "chain",
    "raw",
];

impl<'a> EventRows<'a> {
    /// Finds the columns by name.
    pub(crate) fn of(batch: &'a RecordBatch) -> Result<EventRows<'a>, LakeError> {
        Ok(EventRows {
            journal_id: text(batch, "journal_id")?,
            offset: int(batch, "offset")?,
            event_id: text(batch, "event_id")?,
            event_type: text(batch, "type")?,
            call_id: text(batch, "call_id")?,
            seq: int(batch, "seq")?,
            time_unix_nano: int(batch, "time_unix_nano")?,
            tenant: text(batch, "tenant")?,
            app: text(batch, "app")?,
            trace_id: text(batch, "trace_id")?,
            span_id: text(batch, "span_id")?,
            v: int(batch, "v")?,
            body: text(batch, "body")?,
            chain: text(batch, "chain")?,
            raw: column(batch, "raw")?
                .as_binary_view_opt()
                .ok_or_else(|| wrong_type("raw"))?,
        })
    }

    /// Offset of row `i`.
    pub(crate) fn offset(&self, i: usize) -> i64 {
        self.offset.value(i)
    }

    /// Type of row `i`.
    pub(crate) fn event_type(&self, i: usize) -> &str {
        self.event_type.value(i)
    }

    /// The chain's value at row `i`, as text, if it has one.
    pub(crate) fn chain(&self, i: usize) -> Option<&str> {
        some(self.chain, i)
    }

    /// Row `i` as the record it was.
    pub(crate) fn item(&self, i: usize) -> Result<Item, LakeError> {
        let damaged = |what: String| LakeError::Row {
            journal: self.journal_id.value(i).to_owned(),
            offset: self.offset.value(i),
            what,
        };
        let journal_id = (self.journal_id.value(i).parse()).map_err(|_| damaged("journal_id is no UUID".to_owned()))?;
        if self.event_type.value(i) == UNREADABLE && !self.raw.is_null(i) {
            return Ok(Item::Unreadable {
                journal_id,
                offset: self.offset.value(i),
                raw: self.raw.value(i).to_vec(),
                why: "unreadable when it landed".to_owned(),
            });
        }
        let parse = |what: &str| damaged(format!("{what} cannot be read"));
        let envelope = Envelope {
            v: u16::try_from(self.v.value(i)).map_err(|_| parse("v"))?,
            event_id: self.event_id.value(i).parse().map_err(|_| parse("event_id"))?,
            event_type: self.event_type.value(i).to_owned(),
            call_id: some(self.call_id, i)
                .map(str::parse)
                .transpose()
                .map_err(|_| parse("call_id"))?,
            seq: u32::try_from(self.seq.value(i)).map_err(|_| parse("seq"))?,
            time_unix_nano: self.time_unix_nano.value(i),
            tenant: some(self.tenant, i).map(str::to_owned),
            app: some(self.app, i).map(str::to_owned),
            trace_id: some(self.trace_id, i).map(str::to_owned),
            span_id: some(self.span_id, i).map(str::to_owned),
            journal_id,
            offset: self.offset.value(i),
            chain: self.chain.value(i).parse().map_err(|_| parse("chain"))?,
        };
        let body = Json::parse(self.body.value(i).to_owned()).map_err(|e| damaged(format!("body: {e}")))?;
        let record = Record { envelope, body };
        Ok(match self.raw.is_null(i) {
            true => Item::Record(record),
            false => Item::Verbatim {
                record,
                raw: self.raw.value(i).to_vec(),
            },
        })
    }
}

fn some(array: &StringViewArray, i: usize) -> Option<&str> {
    (!array.is_null(i)).then(|| array.value(i))
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a dyn Array, LakeError> {
    batch
        .column_by_name(name)
        .map(AsRef::as_ref)
        .ok_or_else(|| LakeError::Internal(format!("column {name} was not read")))
}

fn wrong_type(name: &str) -> LakeError {
    LakeError::Internal(format!("column {name} came in another type"))
}

/// A text column by name.
pub(crate) fn text<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StringViewArray, LakeError> {
    column(batch, name)?
        .as_string_view_opt()
        .ok_or_else(|| wrong_type(name))
}

/// An integer column by name.
pub(crate) fn int<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a Int64Array, LakeError> {
    column(batch, name)?
        .as_primitive_opt::<Int64Type>()
        .ok_or_else(|| wrong_type(name))
}
