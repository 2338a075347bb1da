use serde::{Deserialize, Serialize};

/// `attempt.started`: one request to one provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct AttemptStarted {
    /// Which attempt of the call, from 0.
    #[serde(rename = "weir.attempt.index")]
    pub index: u32,
    /// The provider, by its configured name.
    #[serde(rename = "gen_ai.provider.name")]
    pub provider: String,
    /// The model asked of it.
    #[serde(rename = "gen_ai.request.model", skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Host.
    #[serde(rename = "server.address")]
    pub server_address: String,
    /// Port.
    #[serde(rename = "server.port")]
    pub server_port: u16,
    /// Which credential was used: a name or `app` (the app's own), never the key.
    #[serde(rename = "weir.credential.id", skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// Why this provider: `only`, `model`, `prefix`, …
    #[serde(rename = "weir.route.reason")]
    pub reason: String,
}

/// `attempt.failed`: the request to a provider did not give a usable answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct AttemptFailed {
    /// Which attempt of the call, from 0.
    #[serde(rename = "weir.attempt.index")]
    pub index: u32,
    /// The provider, by its configured name.
    #[serde(rename = "gen_ai.provider.name")]
    pub provider: String,
    /// Class of the error: `connect`, `tls`, `timeout`, `reset`, `http_429`, …
    #[serde(rename = "error.type")]
    pub error_type: String,
    /// What happened, for people.
    #[serde(rename = "error.message", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The provider's status code, if it answered at all.
    #[serde(rename = "http.response.status_code", skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Whether another attempt could have helped.
    #[serde(rename = "weir.attempt.retryable")]
    pub retryable: bool,
    /// How long it took, nanoseconds.
    #[serde(rename = "weir.attempt.duration_ns")]
    pub duration_ns: u64,
}

/// `response.started`: the first byte of an answer is on its way to the app.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct ResponseStarted {
    /// Which attempt answered, from 0.
    #[serde(rename = "weir.attempt.index")]
    pub index: u32,
    /// The provider's status code.
    #[serde(rename = "http.response.status_code")]
    pub http_status: u16,
    /// From the request's arrival to the first byte of the answer, nanoseconds.
    #[serde(rename = "weir.time_to_first_token_ns")]
    pub time_to_first_token_ns: u64,
}
