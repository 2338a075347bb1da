use serde::{Deserialize, Serialize};

use crate::{Json, NanoUsd, Usage, UsageSource};

/// `call.completed`, `call.failed`, `call.blocked`, `call.cancelled`: how a call ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct CallEnded {
    /// The status the app got; absent if it got none.
    #[serde(rename = "http.response.status_code", skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Stable code of the error: ours (`upstream_timeout`, …) or the provider's own; where that has none,
    /// `upstream_http_503` and the like by its status, or `upstream_error`.
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// The error, for people.
    #[serde(rename = "error.message", skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The model that answered.
    #[serde(rename = "gen_ai.response.model", skip_serializing_if = "Option::is_none")]
    pub response_model: Option<String>,
    /// The provider's id of the answer.
    #[serde(rename = "gen_ai.response.id", skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// Why each choice ended.
    #[serde(rename = "gen_ai.response.finish_reasons", skip_serializing_if = "Vec::is_empty")]
    pub finish_reasons: Vec<String>,
    /// Prompt tokens, cached ones included.
    #[serde(rename = "gen_ai.usage.input_tokens", skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Of these, read from the provider's cache.
    #[serde(
        rename = "gen_ai.usage.cache_read.input_tokens",
        skip_serializing_if = "Option::is_none"
    )]
    pub cache_read_tokens: Option<u64>,
    /// Of these, written to the provider's cache.
    #[serde(
        rename = "gen_ai.usage.cache_creation.input_tokens",
        skip_serializing_if = "Option::is_none"
    )]
    pub cache_write_tokens: Option<u64>,
    /// Answer tokens, reasoning included.
    #[serde(rename = "gen_ai.usage.output_tokens", skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Of these, reasoning.
    #[serde(
        rename = "gen_ai.usage.reasoning.output_tokens",
        skip_serializing_if = "Option::is_none"
    )]
    pub reasoning_tokens: Option<u64>,
    /// Who counted the tokens.
    #[serde(rename = "weir.usage.source", skip_serializing_if = "Option::is_none")]
    pub usage_source: Option<UsageSource>,
    /// Cost in nano-USD; absent where a price or a count is unknown.
    #[serde(rename = "weir.cost.nano_usd", skip_serializing_if = "Option::is_none")]
    pub cost: Option<NanoUsd>,
    /// Version of the price table that gave the cost.
    #[serde(rename = "weir.cost.price_version", skip_serializing_if = "Option::is_none")]
    pub price_version: Option<String>,
    /// Size in bytes of a request body that was passed through unread; known only at the end.
    #[serde(rename = "http.request.body.size", skip_serializing_if = "Option::is_none")]
    pub request_size: Option<u64>,
    /// BLAKE3 of that body, 64 hex digits.
    #[serde(rename = "weir.request.blake3", skip_serializing_if = "Option::is_none")]
    pub request_blake3: Option<String>,
    /// Size of the answer in bytes, as the app got it.
    #[serde(rename = "http.response.body.size", skip_serializing_if = "Option::is_none")]
    pub response_size: Option<u64>,
    /// BLAKE3 of an answer that is not kept as text (binary), 64 hex digits.
    #[serde(rename = "weir.response.blake3", skip_serializing_if = "Option::is_none")]
    pub response_blake3: Option<String>,
    /// The answer as the app got it, after redaction; a stream's deltas assembled into the message
    /// of a plain answer.
    #[serde(rename = "weir.response.body", skip_serializing_if = "Option::is_none")]
    pub response_body: Option<Json>,
    /// Whether a stream ended before its own end mark.
    #[serde(rename = "weir.response.truncated", skip_serializing_if = "is_false")]
    pub truncated: bool,
    /// From arrival to the first byte of the answer, nanoseconds.
    #[serde(rename = "weir.time_to_first_token_ns", skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ns: Option<u64>,
    /// Where the time went.
    #[serde(rename = "weir.latency")]
    pub latency: Latency,
    /// How many attempts were made.
    #[serde(rename = "weir.attempts")]
    pub attempts: u32,
}

impl CallEnded {
    /// Sets the token counts from disjoint buckets.
    pub fn set_usage(&mut self, usage: &Usage, source: UsageSource) {
        self.input_tokens = usage.input_total();
        self.cache_read_tokens = usage.cache_read;
        self.cache_write_tokens = usage.cache_write;
        self.output_tokens = usage.output_total();
        self.reasoning_tokens = usage.reasoning;
        self.usage_source = (!usage.is_unknown()).then_some(source);
    }

    /// The token counts as disjoint buckets.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage::from_totals(
            self.input_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.output_tokens,
            self.reasoning_tokens,
        )
    }
}

/// Where a call's time went, nanoseconds. The parts are measured apart and need not fill the total:
/// while an answer streams, several run at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Latency {
    /// From the request head's arrival to the answer's last byte.
    pub total_ns: u64,
    /// Spent in guardrails.
    pub guard_ns: u64,
    /// Spent waiting for a place: limits, queues, connections.
    pub queue_ns: u64,
    /// Spent waiting for the provider.
    pub upstream_ns: u64,
    /// Weir's own work: total less the wait for the provider and for the app.
    pub self_ns: u64,
}

/// `call.interrupted`: the sidecar died with the call open. Written at its next start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct CallInterrupted {
    /// Why: `crash`.
    #[serde(rename = "weir.interrupted.reason")]
    pub reason: String,
    /// Last sign of life of the call: the time of its last event, nanoseconds since 1970.
    #[serde(
        rename = "weir.interrupted.last_seen_unix_nano",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_seen_unix_nano: Option<i64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(b: &bool) -> bool {
    !*b
}
