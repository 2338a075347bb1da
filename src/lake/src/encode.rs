//! Events and calls into Arrow, straight from their fields: no JSON value in between.

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, ListBuilder, RecordBatch, StringViewBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::Buffer;
use arrow::error::ArrowError;
use event::{Call, Chain};
use std::sync::Arc;
use uuid::fmt::Hyphenated;

use crate::arena::{Arena, Column, Place};
use crate::schema::{TableKind, UNREADABLE, word_item};
use crate::source::Item;

pub(crate) const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// The UTC day of a time, in days since 1970.
#[must_use]
pub(crate) fn day_of(unix_nano: i64) -> i32 {
    // An i64 of nanoseconds is 106,752 days at most.
    i32::try_from(unix_nano.div_euclid(NANOS_PER_DAY)).unwrap_or_default()
}

/// Microseconds since 1970, rounded down.
#[must_use]
pub(crate) fn micros_of(unix_nano: i64) -> i64 {
    unix_nano.div_euclid(1000)
}

#[expect(clippy::cast_precision_loss, reason = "a duration in ns is far below 2^53")]
fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

fn count(tokens: Option<u64>) -> Option<i64> {
    tokens.map(|n| i64::try_from(n).unwrap_or(i64::MAX))
}

/// Collects `events` rows.
pub(crate) struct EventsBuilder {
    journal_id: Column,
    offset: Int64Builder,
    event_id: Column,
    event_type: Column,
    call_id: Column,
    seq: Int64Builder,
    time: TimestampMicrosecondBuilder,
    time_unix_nano: Int64Builder,
    tenant: Column,
    app: Column,
    trace_id: Column,
    span_id: Column,
    v: Int64Builder,
    body: Column,
    chain: Column,
    raw: Column,
    day: Date32Builder,
    /// Time of the last readable record: where an unreadable one is filed.
    last_time: i64,
}

impl EventsBuilder {
    /// An empty builder; `last_time` is where an unreadable first record is filed.
    pub(crate) fn new(last_time: i64) -> EventsBuilder {
        EventsBuilder {
            journal_id: Column::new(),
            offset: Int64Builder::new(),
            event_id: Column::new(),
            event_type: Column::new(),
            call_id: Column::new(),
            seq: Int64Builder::new(),
            time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            time_unix_nano: Int64Builder::new(),
            tenant: Column::new(),
            app: Column::new(),
            trace_id: Column::new(),
            span_id: Column::new(),
            v: Int64Builder::new(),
            body: Column::new(),
            chain: Column::new(),
            raw: Column::new(),
            day: Date32Builder::new(),
            last_time,
        }
    }

    /// Adds one row; returns where its body lies.
    pub(crate) fn append(&mut self, arena: &mut Arena, item: &Item) -> Option<Place> {
        let mut place = None;
        let mut id = [0u8; Hyphenated::LENGTH];
        self.journal_id.append(
            arena,
            item.journal_id().0.as_hyphenated().encode_lower(&mut id).as_bytes(),
        );
        self.offset.append_value(item.offset());
        match item {
            Item::Record(record) | Item::Verbatim { record, .. } => {
                let e = &record.envelope;
                self.event_id
                    .append(arena, e.event_id.0.as_hyphenated().encode_lower(&mut id).as_bytes());
                self.event_type.append(arena, e.event_type.as_bytes());
                match &e.call_id {
                    Some(call) => {
                        let id = call.0.as_hyphenated().encode_lower(&mut id);
                        self.call_id.append(arena, id.as_bytes());
                    }
                    None => self.call_id.append_null(),
                }
                self.seq.append_value(i64::from(e.seq));
                self.tenant.append_option(arena, e.tenant.as_deref());
                self.app.append_option(arena, e.app.as_deref());
                self.trace_id.append_option(arena, e.trace_id.as_deref());
                self.span_id.append_option(arena, e.span_id.as_deref());
                self.v.append_value(i64::from(e.v));
                place = self.body.append(arena, record.body.get().as_bytes());
                self.chain(arena, &e.chain);
                match item {
                    Item::Verbatim { raw, .. } => drop(self.raw.append(arena, raw)),
                    _ => self.raw.append_null(),
                }
                self.last_time = e.time_unix_nano;
            }
            Item::Unreadable { raw, .. } => {
                self.event_id.append_null();
                self.event_type.append(arena, UNREADABLE.as_bytes());
                self.call_id.append_null();
                self.seq.append_value(0);
                self.tenant.append_null();
                self.app.append_null();
                self.trace_id.append_null();
                self.span_id.append_null();
                self.v.append_value(0);
                self.body.append_null();
                match seal(raw) {
                    Some((_, chain)) => self.chain(arena, &chain),
                    None => self.chain.append_null(),
                }
                self.raw.append(arena, raw);
            }
        }
        self.time.append_value(micros_of(self.last_time));
        self.time_unix_nano.append_value(self.last_time);
        self.day.append_value(day_of(self.last_time));
        place
    }

    fn chain(&mut self, arena: &mut Arena, chain: &Chain) {
        let mut text = [0u8; 64];
        // 64 hex digits always fit 64 bytes.
        let _ = hex::encode_to_slice(chain.0, &mut text);
        self.chain.append(arena, &text);
    }

    /// Time of the last readable record.
    pub(crate) fn last_time(&self) -> i64 {
        self.last_time
    }

    /// The rows, their texts in what the arena became.
    pub(crate) fn finish(mut self, texts: &Arc<[Buffer]>) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            self.journal_id.strings(texts)?,
            Arc::new(self.offset.finish()),
            self.event_id.strings(texts)?,
            self.event_type.strings(texts)?,
            self.call_id.strings(texts)?,
            Arc::new(self.seq.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.time_unix_nano.finish()),
            self.tenant.strings(texts)?,
            self.app.strings(texts)?,
            self.trace_id.strings(texts)?,
            self.span_id.strings(texts)?,
            Arc::new(self.v.finish()),
            self.body.strings(texts)?,
            self.chain.strings(texts)?,
            self.raw.binary(texts)?,
            Arc::new(self.day.finish()),
        ];
        RecordBatch::try_new(TableKind::Events.arrow(), columns)
    }
}

/// Splits the seal that the journal appends from a record's bytes: the draft's bytes, and the chain
/// value. `None` if there is no seal at the end.
pub(crate) fn seal(raw: &[u8]) -> Option<(&[u8], Chain)> {
    const TAIL: usize = r#","chain":""#.len() + 64 + r#""}"#.len();
    let at = raw.len().checked_sub(TAIL)?;
    let hex = raw[at..].strip_prefix(br#","chain":""#)?.strip_suffix(br#""}"#)?;
    let chain = std::str::from_utf8(hex).ok()?.parse().ok()?;
    let marker = br#","journal_id":""#;
    // The seal before the chain: marker, 36 digits of the id, `","offset":` and up to 20 digits.
    let from = at.saturating_sub(marker.len() + 36 + 11 + 20);
    let place = raw[from..at]
        .windows(marker.len())
        .rposition(|window| window == marker)?;
    Some((&raw[..from + place], chain))
}

type WordsBuilder = ListBuilder<StringViewBuilder>;

/// Places of the two body columns among those of text.
const REQUEST_BODY: usize = 19;
const RESPONSE_BODY: usize = 20;

/// Where a call's bodies lie, if its events are in the same arena.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bodies {
    /// The request body.
    pub(crate) request: Option<Place>,
    /// The answer's body.
    pub(crate) response: Option<Place>,
}

impl Bodies {
    /// Finds `inner`, the value of `key`, in the event body `outer` that lies at `place`. Only the very
    /// same bytes will do.
    pub(crate) fn find(outer: &str, place: Place, key: &str, inner: Option<&event::Json>) -> Option<Place> {
        let inner = inner?.get();
        let at = outer.find(key)? + key.len();
        (inner.len() > crate::arena::INLINE && outer.get(at..)?.starts_with(inner)).then(|| place.part(at, inner.len()))
    }
}

/// Collects `calls` rows.
pub(crate) struct CallsBuilder {
    rows: usize,
    texts: [Column; 23],
    tags: WordsBuilder,
    finish_reasons: WordsBuilder,
    guardrail_rules: WordsBuilder,
    stream: BooleanBuilder,
    http_status: Int64Builder,
    started_at: TimestampMicrosecondBuilder,
    ended_at: TimestampMicrosecondBuilder,
    millis: [Float64Builder; 3],
    tokens: [Int64Builder; 5],
    cost: Int64Builder,
    attempts: Int64Builder,
    day: Date32Builder,
}

impl CallsBuilder {
    /// An empty builder.
    pub(crate) fn new() -> CallsBuilder {
        let words = || ListBuilder::new(StringViewBuilder::new()).with_field(word_item());
        CallsBuilder {
            rows: 0,
            texts: std::array::from_fn(|_| Column::new()),
            tags: words(),
            finish_reasons: words(),
            guardrail_rules: words(),
            stream: BooleanBuilder::new(),
            http_status: Int64Builder::new(),
            started_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            ended_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            millis: std::array::from_fn(|_| Float64Builder::new()),
            tokens: std::array::from_fn(|_| Int64Builder::new()),
            cost: Int64Builder::new(),
            attempts: Int64Builder::new(),
            day: Date32Builder::new(),
        }
    }

    /// How many rows were added.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Adds an ended call. Where its bodies lie in the arena already, they are not copied there again.
    pub(crate) fn append(&mut self, arena: &mut Arena, call: &Call, bodies: Bodies) {
        let (started, ended, usage) = (&call.started, &call.ended, call.usage());
        let start = (call.started_unix_nano.or(call.ended_unix_nano)).unwrap_or_default();
        let id = |id: Option<uuid::Uuid>| id.map(|id| id.as_hyphenated().to_string());
        let request_text = call.request_text();
        let response_text = call.response_text();
        let (request_body, response_body) = (started.request_body.as_ref(), ended.response_body.as_ref());
        let call_id = id(call.call_id.map(|id| id.0));
        let replay_of = id(started.replay_of.map(|id| id.0));
        let journal_id = id(call.journal_id.map(|id| id.0));
        let endpoint = Some(started.endpoint.as_str()).filter(|path| !path.is_empty());
        let texts: [Option<&str>; 23] = [
            call_id.as_deref(),
            started.session_id.as_deref(),
            started.user_id.as_deref(),
            call.tenant.as_deref(),
            call.app.as_deref(),
            call.trace_id.as_deref(),
            endpoint,
            started.operation.as_deref(),
            started.request_model.as_deref(),
            ended.response_model.as_deref(),
            call.provider.as_deref(),
            Some(call.status.as_str()),
            ended.error_code.as_deref(),
            call.usage_source().map(event::UsageSource::as_str),
            ended.price_version.as_deref(),
            call.guardrail_action.as_deref(),
            call.cache.as_deref(),
            request_text.as_deref(),
            response_text.as_deref(),
            request_body.map(event::Json::get),
            response_body.map(event::Json::get),
            replay_of.as_deref(),
            journal_id.as_deref(),
        ];
        let mut places: [Option<Place>; 23] = [None; 23];
        [places[REQUEST_BODY], places[RESPONSE_BODY]] = [bodies.request, bodies.response];
        for ((column, text), place) in self.texts.iter_mut().zip(texts).zip(places) {
            match place {
                Some(place) => column.append_place(arena, place),
                None => column.append_option(arena, text),
            }
        }
        words(&mut self.tags, &started.tags);
        words(&mut self.finish_reasons, &ended.finish_reasons);
        words(&mut self.guardrail_rules, &call.guardrail_rules);
        self.stream.append_value(started.stream);
        self.http_status.append_option(ended.http_status.map(i64::from));
        self.started_at.append_value(micros_of(start));
        self.ended_at
            .append_value(micros_of(call.ended_unix_nano.unwrap_or(start)));
        let times = [call.duration_ns(), call.ttft_ns, call.overhead_ns()];
        for (builder, ns) in self.millis.iter_mut().zip(times) {
            builder.append_option(ns.map(millis));
        }
        let buckets = [
            usage.input,
            usage.cache_read,
            usage.cache_write,
            usage.output,
            usage.reasoning,
        ];
        for (builder, tokens) in self.tokens.iter_mut().zip(buckets) {
            builder.append_option(count(tokens));
        }
        self.cost.append_option(call.cost().map(|cost| cost.0));
        self.attempts.append_value(i64::from(call.attempts));
        self.day.append_value(day_of(start));
        self.rows += 1;
    }

    /// The rows, their texts in what the arena became.
    pub(crate) fn finish(mut self, texts: &Arc<[Buffer]>) -> Result<RecordBatch, ArrowError> {
        let mut columns = Vec::with_capacity(self.texts.len());
        for column in self.texts {
            columns.push(column.strings(texts)?);
        }
        let [duration, ttft, overhead] = self
            .millis
            .each_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let [input, cache_read, cache_write, output, reasoning] = self
            .tokens
            .each_mut()
            .map(|builder| Arc::new(builder.finish()) as ArrayRef);
        let [
            call_id,
            session_id,
            user_id,
            tenant,
            app,
            trace_id,
            endpoint,
            operation,
            request_model,
            response_model,
            provider,
            status,
            error_code,
            usage_source,
            price_version,
            guardrail_action,
            cache,
            request_text,
            response_text,
            request_body,
            response_body,
            replay_of,
            journal_id,
        ]: [ArrayRef; 23] = columns
            .try_into()
            .map_err(|_| ArrowError::InvalidArgumentError("23 columns of text".to_owned()))?;
        let columns: Vec<ArrayRef> = vec![
            call_id,
            session_id,
            user_id,
            tenant,
            app,
            Arc::new(self.tags.finish()),
            trace_id,
            endpoint,
            operation,
            Arc::new(self.stream.finish()),
            request_model,
            response_model,
            provider,
            status,
            Arc::new(self.http_status.finish()),
            error_code,
            Arc::new(self.finish_reasons.finish()),
            Arc::new(self.started_at.finish()),
            Arc::new(self.ended_at.finish()),
            duration,
            ttft,
            overhead,
            input,
            cache_read,
            cache_write,
            output,
            reasoning,
            usage_source,
            Arc::new(self.cost.finish()),
            price_version,
            guardrail_action,
            Arc::new(self.guardrail_rules.finish()),
            cache,
            Arc::new(self.attempts.finish()),
            request_text,
            response_text,
            request_body,
            response_body,
            replay_of,
            journal_id,
            Arc::new(self.day.finish()),
        ];
        RecordBatch::try_new(TableKind::Calls.arrow(), columns)
    }
}

/// Collects `calls` rows without their events.
pub(crate) struct CallRows {
    arena: Arena,
    rows: CallsBuilder,
}

impl CallRows {
    /// No rows.
    pub(crate) fn new() -> CallRows {
        CallRows {
            arena: Arena::new(),
            rows: CallsBuilder::new(),
        }
    }

    /// How many rows were added.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of their texts, as far as they do not lie in a row itself.
    pub(crate) fn bytes(&self) -> usize {
        self.arena.bytes()
    }

    /// Adds an ended call.
    pub(crate) fn append(&mut self, call: &Call) {
        self.rows.append(&mut self.arena, call, Bodies::default());
    }

    /// The rows.
    pub(crate) fn finish(self) -> Result<RecordBatch, ArrowError> {
        self.rows.finish(&self.arena.finish())
    }
}

fn words(builder: &mut WordsBuilder, words: &[String]) {
    for word in words {
        builder.values().append_value(word);
    }
    builder.append(true);
}

#[cfg(test)]
mod tests;
