use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Json;

/// `call.started`: an app's request, after input redaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct CallStarted {
    /// HTTP method.
    #[serde(rename = "http.request.method")]
    pub method: String,
    /// Path as the app sent it, without the query.
    #[serde(rename = "weir.endpoint")]
    pub endpoint: String,
    /// What the endpoint does: `chat`, `text_completion`, `embeddings`, …
    #[serde(rename = "gen_ai.operation.name", skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// The wire dialect of the endpoint: `openai`, …; absent for paths passed through unread.
    #[serde(rename = "weir.dialect", skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// The model the app asked for.
    #[serde(rename = "gen_ai.request.model", skip_serializing_if = "Option::is_none")]
    pub request_model: Option<String>,
    /// Whether the app asked for a stream.
    #[serde(rename = "weir.stream")]
    pub stream: bool,
    /// Upper bound of answer tokens.
    #[serde(rename = "gen_ai.request.max_tokens", skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Sampling temperature.
    #[serde(rename = "gen_ai.request.temperature", skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Nucleus sampling bound.
    #[serde(rename = "gen_ai.request.top_p", skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Answers asked for (`n`).
    #[serde(rename = "gen_ai.request.choice.count", skip_serializing_if = "Option::is_none")]
    pub choice_count: Option<u64>,
    /// Sampling seed.
    #[serde(rename = "gen_ai.request.seed", skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Frequency penalty.
    #[serde(rename = "gen_ai.request.frequency_penalty", skip_serializing_if = "Option::is_none")]
    pub frequency_penalty: Option<f64>,
    /// Presence penalty.
    #[serde(rename = "gen_ai.request.presence_penalty", skip_serializing_if = "Option::is_none")]
    pub presence_penalty: Option<f64>,
    /// Stop sequences.
    #[serde(rename = "gen_ai.request.stop_sequences", skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
    /// Answer format asked for: `text`, `json_object`, `json_schema`.
    #[serde(rename = "gen_ai.output.type", skip_serializing_if = "Option::is_none")]
    pub output_type: Option<String>,
    /// Session, from `x-weir-session`.
    #[serde(rename = "session.id", skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// User, from `x-weir-user` or the dialect's own field.
    #[serde(rename = "user.id", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Tags, from `x-weir-tags`.
    #[serde(rename = "weir.tags", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The dialect's own `metadata`.
    #[serde(rename = "weir.metadata", skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Size of the request body in bytes, as it came.
    #[serde(rename = "http.request.body.size", skip_serializing_if = "Option::is_none")]
    pub request_size: Option<u64>,
    /// The request's content type.
    #[serde(rename = "weir.request.content_type", skip_serializing_if = "Option::is_none")]
    pub request_content_type: Option<String>,
    /// The request body after redaction; absent where the configuration keeps metadata only, and
    /// for bodies that are not JSON.
    #[serde(rename = "weir.request.body", skip_serializing_if = "Option::is_none")]
    pub request_body: Option<Json>,
    /// The named policy that judges the call; absent for the one of calls that no other is for.
    #[serde(rename = "weir.guardrail.policy", skip_serializing_if = "Option::is_none")]
    pub guardrail_policy: Option<String>,
    /// The call this one replays.
    #[serde(rename = "weir.replay_of", skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<crate::CallId>,
    /// User agent of the app.
    #[serde(rename = "user_agent.original", skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
}
