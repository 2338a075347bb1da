//! The two tables' columns, once: Arrow, Delta and `docs/schema.md` are all made from here.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{ArrayType, DataType as DeltaType, PrimitiveType, StructField};

/// What a column holds: its type, and how it is best stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Few different short values: dictionary and statistics.
    Word,
    /// An id, nearly always different: no dictionary.
    Id,
    /// An id that people look calls up by: a bloom filter.
    Key,
    /// Long text: no dictionary, no statistics.
    Text,
    /// Raw bytes.
    Bytes,
    /// 64-bit integer.
    Int,
    /// Double.
    Float,
    /// True or false.
    Bool,
    /// Microseconds since 1970, UTC.
    Time,
    /// A UTC day; the partition column.
    Day,
    /// A list of words.
    Words,
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, which is a promise: other people's queries use it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null: unknown, or does not apply.
    pub nullable: bool,
    /// Whether each file's smallest and largest value stand in the Delta log.
    pub stats: bool,
    /// What it means, its unit included.
    pub doc: &'static str,
}

const fn col(name: &'static str, kind: Kind, nullable: bool, doc: &'static str) -> Column {
    let stats = matches!(kind, Kind::Word | Kind::Int | Kind::Time);
    Column {
        name,
        kind,
        nullable,
        stats,
        doc,
    }
}

/// The type of an `events` row whose record could not be read.
pub const UNREADABLE: &str = "unreadable";

/// The columns of `events`, one row an event.
pub const EVENTS: &[Column] = &[
    col(
        "journal_id",
        Kind::Word,
        false,
        "The journal that recorded the event. With `offset` the key of the row.",
    ),
    col(
        "offset",
        Kind::Int,
        false,
        "Place in that journal: 0, 1, 2, … without a gap, so that a missing row shows.",
    ),
    col("event_id", Kind::Id, true, "The event's own id, UUIDv7."),
    col(
        "type",
        Kind::Word,
        false,
        "What happened, in past tense: `call.started`, `call.completed`, … `unreadable` marks a record that could not be read; its bytes are in `raw`. `lake.expired` and `lake.erased` stand for records that retention or erasure took away.",
    ),
    col(
        "call_id",
        Kind::Key,
        true,
        "The call it belongs to. Null for the sidecar's own life.",
    ),
    col("seq", Kind::Int, false, "Position within the call, from 0."),
    col("time", Kind::Time, false, "When it happened (UTC, microseconds)."),
    col(
        "time_unix_nano",
        Kind::Int,
        false,
        "When it happened, in nanoseconds since 1970-01-01 UTC: exactly as recorded.",
    ),
    col("tenant", Kind::Word, true, "The tenant, from the client key."),
    col(
        "app",
        Kind::Word,
        true,
        "The app, from the client key or the `x-weir-app` header.",
    ),
    col("trace_id", Kind::Key, true, "W3C trace id, 32 hex digits."),
    col(
        "span_id",
        Kind::Id,
        true,
        "W3C span id of the caller's span, 16 hex digits.",
    ),
    col(
        "v",
        Kind::Int,
        false,
        "Version of the event schema; 0 for an unreadable record.",
    ),
    col(
        "body",
        Kind::Text,
        true,
        "The event's body: JSON text, byte for byte as recorded.",
    ),
    col(
        "chain",
        Kind::Id,
        true,
        "The hash chain's value at this record, 64 hex digits: BLAKE3 over the value before it and this record.",
    ),
    col(
        "raw",
        Kind::Bytes,
        true,
        "The bytes of an unreadable record; null for all others.",
    ),
    col(
        "day",
        Kind::Day,
        false,
        "UTC day of `time`. The partition: a condition on it skips whole folders.",
    ),
];

/// The columns of `calls`, one row a call that has ended.
pub const CALLS: &[Column] = &[
    col(
        "call_id",
        Kind::Key,
        false,
        "The call's key, UUIDv7; in the `x-weir-call-id` header of its answer.",
    ),
    col(
        "session_id",
        Kind::Key,
        true,
        "Session, from the `x-weir-session` header.",
    ),
    col(
        "user_id",
        Kind::Id,
        true,
        "User, from the `x-weir-user` header or the dialect's own field.",
    ),
    col("tenant", Kind::Word, true, "The tenant, from the client key."),
    col(
        "app",
        Kind::Word,
        true,
        "The app, from the client key or the `x-weir-app` header.",
    ),
    col(
        "tags",
        Kind::Words,
        false,
        "Tags, from the `x-weir-tags` header; empty if there are none.",
    ),
    col("trace_id", Kind::Key, true, "W3C trace id, 32 hex digits."),
    col(
        "endpoint",
        Kind::Word,
        true,
        "Path as the app sent it, without the query.",
    ),
    col(
        "operation",
        Kind::Word,
        true,
        "What the endpoint does: `chat`, `text_completion`, `embeddings`, …",
    ),
    col("stream", Kind::Bool, false, "Whether the app asked for a stream."),
    col("request_model", Kind::Word, true, "The model the app asked for."),
    col(
        "response_model",
        Kind::Word,
        true,
        "The model that answered, as the provider names it.",
    ),
    col(
        "provider",
        Kind::Word,
        true,
        "The provider of the last attempt, by its configured name. Null if none was asked.",
    ),
    col(
        "status",
        Kind::Word,
        false,
        "How it ended: `completed`, `failed`, `blocked`, `cancelled` (the app went away) or `interrupted` (a crash cut it).",
    ),
    col(
        "http_status",
        Kind::Int,
        true,
        "The status code the app got. Null if it got none.",
    ),
    col(
        "error_code",
        Kind::Word,
        true,
        "Stable code of the error, ours or the provider's own. Null without an error.",
    ),
    col(
        "finish_reasons",
        Kind::Words,
        false,
        "Why each choice of the answer ended: `stop`, `length`, `tool_calls`, …",
    ),
    col(
        "started_at",
        Kind::Time,
        false,
        "When the request arrived (UTC, microseconds). Rows are roughly in this order.",
    ),
    col(
        "ended_at",
        Kind::Time,
        false,
        "When the call ended (UTC, microseconds); for an interrupted one, when that was found out.",
    ),
    col(
        "duration_ms",
        Kind::Float,
        true,
        "From the request's arrival to the answer's last byte, in milliseconds. Null for an interrupted call.",
    ),
    col(
        "ttft_ms",
        Kind::Float,
        true,
        "From the request's arrival to the first byte of the answer, in milliseconds.",
    ),
    col(
        "overhead_ms",
        Kind::Float,
        true,
        "Weir's own share of the duration, in milliseconds: without the waits for provider and app.",
    ),
    col(
        "input_tokens",
        Kind::Int,
        true,
        "Prompt tokens neither read from nor written to the provider's cache. The five token columns are disjoint: their sum is what the call used.",
    ),
    col(
        "cache_read_tokens",
        Kind::Int,
        true,
        "Prompt tokens read from the provider's prompt cache.",
    ),
    col(
        "cache_write_tokens",
        Kind::Int,
        true,
        "Prompt tokens written to the provider's prompt cache.",
    ),
    col(
        "output_tokens",
        Kind::Int,
        true,
        "Answer tokens, without the reasoning.",
    ),
    col("reasoning_tokens", Kind::Int, true, "Reasoning tokens."),
    col(
        "usage_source",
        Kind::Word,
        true,
        "Who counted the tokens: `provider`, or `estimated` by Weir. Null where nothing is known.",
    ),
    col(
        "cost_nano_usd",
        Kind::Int,
        true,
        "Cost in nano-USD (10⁻⁹ US dollars). Null where a price or a count is unknown, which is not 0.",
    ),
    col(
        "price_version",
        Kind::Word,
        true,
        "Version of the price table that gave the cost.",
    ),
    col(
        "guardrail_action",
        Kind::Word,
        true,
        "The strongest thing a guardrail did: `block`, `redact` or `flag`. Null where nothing matched.",
    ),
    col(
        "guardrail_rules",
        Kind::Words,
        false,
        "Ids of the rules that matched, in the order in which they first did.",
    ),
    col(
        "cache",
        Kind::Word,
        true,
        "`exact` or `semantic` if Weir's own cache answered.",
    ),
    col(
        "attempts",
        Kind::Int,
        false,
        "Requests made to providers, retries and failovers included.",
    ),
    col(
        "request_text",
        Kind::Text,
        true,
        "The prompt as plain text, after redaction: `role: text`, one paragraph a message.",
    ),
    col(
        "response_text",
        Kind::Text,
        true,
        "The answer as plain text, after redaction.",
    ),
    col(
        "request_body",
        Kind::Text,
        true,
        "The request body after redaction, JSON text. Null where the configuration keeps metadata only.",
    ),
    col(
        "response_body",
        Kind::Text,
        true,
        "The answer after redaction, JSON text; a stream's pieces assembled into a whole answer.",
    ),
    col("replay_of", Kind::Id, true, "The call that this one replays."),
    col("journal_id", Kind::Word, false, "The journal that recorded the call."),
    col(
        "day",
        Kind::Day,
        false,
        "UTC day of `started_at`. The partition: a condition on it skips whole folders.",
    ),
];

/// The partition column of both tables.
pub const DAY: &str = "day";

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// Every event: the truth.
    Events,
    /// One row a call: the fold of its events.
    Calls,
}

impl TableKind {
    /// Both of them.
    pub const ALL: [TableKind; 2] = [TableKind::Events, TableKind::Calls];

    /// Its name in SQL and its folder's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Events => "events",
            TableKind::Calls => "calls",
        }
    }

    /// Its columns.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            TableKind::Events => EVENTS,
            TableKind::Calls => CALLS,
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn doc(self) -> &'static str {
        match self {
            TableKind::Events => {
                "Every event, exactly once: append-only, and gapless per journal, so that completeness can be proved."
            }
            TableKind::Calls => {
                "One row a call that has ended: the fold of its events. Open calls are in `events` alone. A score that arrives after the end is in `events` alone too."
            }
        }
    }

    /// Its Arrow schema, the same for landed rows and for the tail.
    #[must_use]
    pub fn arrow(self) -> SchemaRef {
        static EVENTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| arrow_schema(EVENTS));
        static CALLS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| arrow_schema(CALLS));
        match self {
            TableKind::Events => EVENTS_SCHEMA.clone(),
            TableKind::Calls => CALLS_SCHEMA.clone(),
        }
    }

    /// Its Arrow schema in the files: without the partition column.
    #[must_use]
    pub fn file_schema(self) -> SchemaRef {
        let fields: Vec<Field> = (self.columns().iter())
            .filter(|column| column.kind != Kind::Day)
            .map(|column| column.arrow())
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// Its Delta schema.
    pub(crate) fn delta(self) -> Vec<StructField> {
        self.columns().iter().map(Column::delta).collect()
    }
}

impl Column {
    /// The column as an Arrow field.
    #[must_use]
    pub fn arrow(&self) -> Field {
        let data_type = match self.kind {
            Kind::Word | Kind::Id | Kind::Key | Kind::Text => DataType::Utf8View,
            Kind::Bytes => DataType::BinaryView,
            Kind::Int => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Bool => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Day => DataType::Date32,
            Kind::Words => DataType::List(Arc::new(word_item())),
        };
        Field::new(self.name, data_type, self.nullable)
    }

    fn delta(&self) -> StructField {
        let data_type = match self.kind {
            Kind::Word | Kind::Id | Kind::Key | Kind::Text => DeltaType::STRING,
            Kind::Bytes => DeltaType::BINARY,
            Kind::Int => DeltaType::LONG,
            Kind::Float => DeltaType::DOUBLE,
            Kind::Bool => DeltaType::BOOLEAN,
            Kind::Time => DeltaType::Primitive(PrimitiveType::Timestamp),
            Kind::Day => DeltaType::DATE,
            Kind::Words => DeltaType::Array(Box::new(ArrayType::new(DeltaType::STRING, true))),
        };
        StructField::new(self.name, data_type, self.nullable)
            .with_metadata([("comment".to_owned(), self.doc.to_owned())])
    }

    fn sql_type(&self) -> &'static str {
        match self.kind {
            Kind::Word | Kind::Id | Kind::Key | Kind::Text => "text",
            Kind::Bytes => "binary",
            Kind::Int => "bigint",
            Kind::Float => "double",
            Kind::Bool => "boolean",
            Kind::Time => "timestamp (UTC)",
            Kind::Day => "date",
            Kind::Words => "list of text",
        }
    }
}

/// The element of a list column, named as Delta names it.
pub(crate) fn word_item() -> Field {
    Field::new("element", DataType::Utf8View, true)
}

fn arrow_schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(Column::arrow).collect();
    Arc::new(Schema::new(fields))
}

/// `docs/schema.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Tables\n\n\
         Generated from `src/lake/src/schema.rs`: change it there and run the tests with `UPDATE_GOLDEN=1`.\n\n\
         Both are [Delta Lake](https://delta.io) tables under `<data>/lake/`, partitioned by UTC `day`; \
         SQL sees them together with what has not landed yet. A null is unknown, or does not apply: never 0.\n",
    );
    for kind in TableKind::ALL {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n## `{}`\n{}\n\n| column | type | null | meaning |\n| --- | --- | --- | --- |\n",
            kind.name(),
            kind.doc()
        );
        for column in kind.columns() {
            let null = if column.nullable { "yes" } else { "" };
            let _ = writeln!(
                out,
                "| `{}` | {} | {null} | {} |",
                column.name,
                column.sql_type(),
                column.doc
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_made_from_the_columns() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == markdown(), "docs/schema.md is stale: run with UPDATE_GOLDEN=1");
    }

    #[test]
    fn core_columns_keep_their_names() {
        let names: Vec<&str> = CALLS.iter().map(|column| column.name).collect();
        let promised = "call_id session_id user_id tenant app tags trace_id endpoint operation stream request_model \
             response_model provider status http_status error_code finish_reasons started_at ended_at duration_ms \
             ttft_ms overhead_ms input_tokens cache_read_tokens cache_write_tokens output_tokens reasoning_tokens \
             usage_source cost_nano_usd price_version guardrail_action guardrail_rules cache attempts request_text \
             response_text request_body response_body replay_of journal_id day";
        assert_eq!(names, promised.split_whitespace().collect::<Vec<_>>());
    }
}
