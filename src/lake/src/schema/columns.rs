//! The columns themselves.

use super::{Column, Kind};

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
        "The record's bytes where the other columns do not tell all of them: of an unreadable record, and of one of a newer version whose envelope has more. Null for all others.",
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
        "Stable code of the error, ours or the provider's own (where that has none: `upstream_http_503` and the like, or `upstream_error`). Null without an error.",
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
        "From the request's arrival to the answer's last byte, in milliseconds. Null for an interrupted call, and where the event that ended it does not say.",
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
        "Weir's own share of the duration, in milliseconds: without the waits for provider and app. Null where that is.",
    ),
    col(
        "input_tokens",
        Kind::Int,
        true,
        "Prompt tokens neither read from nor written to the provider's cache. The five token columns are disjoint: their sum is what the call used, with what is null (not told, or not there) as 0: `coalesce(input_tokens, 0) + …`.",
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
        "The strongest thing a guardrail did: `block`, `vault`, `redact` or `flag`. Null where nothing matched.",
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
