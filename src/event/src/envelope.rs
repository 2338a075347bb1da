//! The envelope around every event, and its three forms: draft, record, event.

use serde::{Deserialize, Serialize};

use crate::{Body, CallId, Chain, DecodeError, Digest, EventId, EventType, JournalId, Json};

/// The schema version that this code writes.
pub const VERSION: u16 = 1;

/// Whom an event belongs to. Cloned into each event of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The tenant, from the client key.
    pub tenant: Option<String>,
    /// The app, from the client key or the `x-weir-app` header.
    pub app: Option<String>,
    /// W3C trace id, 32 hex digits.
    pub trace_id: Option<String>,
    /// W3C span id of the caller's span, 16 hex digits.
    pub span_id: Option<String>,
}

/// What a producer knows of an event: all but its place in the journal.
#[derive(Debug, Serialize)]
struct DraftRef<'a> {
    v: u16,
    event_id: EventId,
    #[serde(rename = "type")]
    event_type: &'a str,
    call_id: Option<CallId>,
    seq: u32,
    time_unix_nano: i64,
    tenant: Option<&'a str>,
    app: Option<&'a str>,
    trace_id: Option<&'a str>,
    span_id: Option<&'a str>,
    body: &'a serde_json::value::RawValue,
}

/// A fact ready for the journal: its canonical bytes and their digest.
///
/// The bytes are a JSON object *without its closing brace*; the journal appends
/// `,"journal_id":…,"offset":…,"chain":…}` when it gives the draft its place.
#[derive(Clone, Debug)]
pub struct Draft {
    bytes: Vec<u8>,
    digest: Digest,
    event_type: EventType,
}

impl Draft {
    /// Writes `body` as event `seq` of `call_id` (`None`, 0: the sidecar's own life).
    pub fn new(
        scope: &Scope,
        call_id: Option<CallId>,
        seq: u32,
        time_unix_nano: i64,
        body: &Body,
    ) -> Result<Draft, serde_json::Error> {
        let raw = body.to_raw()?;
        let event_type = body.event_type();
        let bytes = canonical_bytes(&DraftRef {
            v: VERSION,
            event_id: EventId::new(),
            event_type: event_type.as_str(),
            call_id,
            seq,
            time_unix_nano,
            tenant: scope.tenant.as_deref(),
            app: scope.app.as_deref(),
            trace_id: scope.trace_id.as_deref(),
            span_id: scope.span_id.as_deref(),
            body: &raw,
        })?;
        Ok(Draft {
            digest: Digest::of(&bytes),
            bytes,
            event_type,
        })
    }

    /// The canonical bytes: a JSON object without its closing brace.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// BLAKE3 of the canonical bytes.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// The event's type.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// What the journal appends to [`Draft::bytes`] to complete the record.
    pub fn seal_into(journal: JournalId, offset: i64, chain: &Chain, out: &mut Vec<u8>) {
        use std::io::Write as _;
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            ",\"journal_id\":\"{journal}\",\"offset\":{offset},\"chain\":\"{chain}\"}}"
        );
    }
}

fn canonical_bytes(draft: &DraftRef<'_>) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(draft.body.get().len() + 512);
    serde_json::to_writer(&mut bytes, draft)?;
    bytes.pop(); // the closing brace
    Ok(bytes)
}

/// Takes what is the same as the draft that is left, and the brace that a draft lacks.
struct Same<'a> {
    rest: &'a [u8],
    closed: bool,
}

impl std::io::Write for Same<'_> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        match self.rest.strip_prefix(buf) {
            Some(rest) => self.rest = rest,
            None if self.rest.is_empty() && buf == b"}" => self.closed = true,
            None => return Err(std::io::ErrorKind::InvalidData.into()),
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// All of an event but its body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Envelope {
    /// Schema version.
    pub v: u16,
    /// The event's own id, UUIDv7.
    pub event_id: EventId,
    /// What happened, in past tense: `call.started`, …
    #[serde(rename = "type")]
    pub event_type: String,
    /// The call it belongs to; null for the sidecar's own life.
    pub call_id: Option<CallId>,
    /// Position within the call, from 0.
    pub seq: u32,
    /// When it happened: nanoseconds since 1970-01-01 UTC.
    pub time_unix_nano: i64,
    /// The tenant, if known.
    pub tenant: Option<String>,
    /// The app, if known.
    pub app: Option<String>,
    /// W3C trace id, if the caller sent one.
    pub trace_id: Option<String>,
    /// W3C span id of the caller's span, if it sent one.
    pub span_id: Option<String>,
    /// The journal that recorded it.
    pub journal_id: JournalId,
    /// Place in that journal: 0.. without a gap.
    pub offset: i64,
    /// The hash chain's value at this record, 64 hex digits.
    #[schemars(with = "String")]
    pub chain: Chain,
}

/// A sealed event with its body still unparsed: what readers of the journal, the topic and the
/// lake pass on.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// All but the body.
    pub envelope: Envelope,
    /// The body's JSON text, byte for byte as written.
    pub body: Json,
}

#[derive(Deserialize)]
struct RecordWire {
    v: u16,
    event_id: EventId,
    #[serde(rename = "type")]
    event_type: String,
    #[serde(default)]
    call_id: Option<CallId>,
    #[serde(default)]
    seq: u32,
    time_unix_nano: i64,
    #[serde(default)]
    tenant: Option<String>,
    #[serde(default)]
    app: Option<String>,
    #[serde(default)]
    trace_id: Option<String>,
    #[serde(default)]
    span_id: Option<String>,
    body: Json,
    journal_id: JournalId,
    offset: i64,
    chain: Chain,
}

impl Record {
    /// Reads a sealed record's JSON. Unknown envelope keys are passed over; a version newer than
    /// [`VERSION`] is an error here only where the envelope itself cannot be read.
    pub fn parse(bytes: &[u8]) -> Result<Record, DecodeError> {
        // Looked at once as a whole, and not string by string.
        let w: RecordWire = match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::from_str(text),
            Err(_) => serde_json::from_slice(bytes),
        }
        .map_err(DecodeError::Envelope)?;
        Ok(Record {
            envelope: Envelope {
                v: w.v,
                event_id: w.event_id,
                event_type: w.event_type,
                call_id: w.call_id,
                seq: w.seq,
                time_unix_nano: w.time_unix_nano,
                tenant: w.tenant,
                app: w.app,
                trace_id: w.trace_id,
                span_id: w.span_id,
                journal_id: w.journal_id,
                offset: w.offset,
                chain: w.chain,
            },
            body: w.body,
        })
    }

    /// The draft's canonical bytes, rebuilt from this record's fields alone: what the chain hashes, unless its
    /// producer knew of more ([`Record::rebuilds`]).
    pub fn canonical(&self) -> Result<Vec<u8>, serde_json::Error> {
        canonical_bytes(&self.draft())
    }

    /// Whether these fields alone rebuild the record `bytes`. They do not where a newer version put more into
    /// the envelope: then the chain is over more than they say. Nothing is copied.
    #[must_use]
    pub fn rebuilds(&self, bytes: &[u8]) -> bool {
        let e = &self.envelope;
        let mut seal = Vec::with_capacity(160);
        Draft::seal_into(e.journal_id, e.offset, &e.chain, &mut seal);
        let Some(draft) = bytes.strip_suffix(seal.as_slice()) else {
            return false;
        };
        let mut same = Same {
            rest: draft,
            closed: false,
        };
        serde_json::to_writer(&mut same, &self.draft()).is_ok() && same.closed
    }

    fn draft(&self) -> DraftRef<'_> {
        let e = &self.envelope;
        DraftRef {
            v: e.v,
            event_id: e.event_id,
            event_type: &e.event_type,
            call_id: e.call_id,
            seq: e.seq,
            time_unix_nano: e.time_unix_nano,
            tenant: e.tenant.as_deref(),
            app: e.app.as_deref(),
            trace_id: e.trace_id.as_deref(),
            span_id: e.span_id.as_deref(),
            body: self.body.raw(),
        }
    }

    /// The chain value that this record must have after `previous`.
    pub fn expected_chain(&self, previous: &Chain) -> Result<Chain, serde_json::Error> {
        let digest = Digest::of(&self.canonical()?);
        Ok(previous.next(self.envelope.journal_id, self.envelope.offset, &digest))
    }

    /// The whole record as the journal and the topic hold it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = self.canonical()?;
        Draft::seal_into(
            self.envelope.journal_id,
            self.envelope.offset,
            &self.envelope.chain,
            &mut bytes,
        );
        Ok(bytes)
    }

    /// With the body parsed by its type.
    pub fn decode(self) -> Result<Event, DecodeError> {
        if self.envelope.v > VERSION {
            return Err(DecodeError::Version {
                found: self.envelope.v,
                known: VERSION,
            });
        }
        let body = Body::parse(&self.envelope.event_type, &self.body)?;
        Ok(Event {
            envelope: self.envelope,
            body,
        })
    }
}

/// A sealed event, body parsed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// All but the body.
    pub envelope: Envelope,
    /// What happened.
    pub body: Body,
}
