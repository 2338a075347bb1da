use serde::{Deserialize, Serialize};

use crate::{CallId, NanoUsd};

/// `cache.answered`: the answer came from a cache.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct CacheAnswered {
    /// `exact` or `semantic`.
    #[serde(rename = "weir.cache.kind")]
    pub kind: String,
    /// Similarity of a semantic hit, 0 to 1.
    #[serde(rename = "weir.cache.similarity", skip_serializing_if = "Option::is_none")]
    pub similarity: Option<f64>,
    /// The call whose answer was given.
    #[serde(rename = "weir.cache.source_call_id", skip_serializing_if = "Option::is_none")]
    pub source_call_id: Option<CallId>,
}

/// `score.recorded`: feedback on a call, or an evaluation of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct ScoreRecorded {
    /// What was judged: `thumbs`, `faithfulness`, …
    #[serde(rename = "gen_ai.evaluation.name")]
    pub name: String,
    /// The score.
    #[serde(rename = "gen_ai.evaluation.score.value", skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// The score in words.
    #[serde(rename = "gen_ai.evaluation.score.label", skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Why.
    #[serde(rename = "gen_ai.evaluation.explanation", skip_serializing_if = "Option::is_none")]
    pub explanation: Option<String>,
    /// Who judged.
    #[serde(rename = "weir.score.source", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// `sidecar.started`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct SidecarStarted {
    /// Weir's version.
    #[serde(rename = "service.version")]
    pub version: String,
    /// Address it listens on.
    #[serde(rename = "server.address")]
    pub listen: String,
    /// Names of the providers it found.
    #[serde(rename = "weir.providers")]
    pub providers: Vec<String>,
    /// Hash of the guardrail policy.
    #[serde(rename = "weir.guardrail.policy_version")]
    pub policy_version: String,
    /// Bytes of a torn record that recovery cut from the journal's end.
    #[serde(rename = "weir.journal.torn_bytes")]
    pub torn_bytes: u64,
    /// Calls that the last run left open.
    #[serde(rename = "weir.interrupted_calls")]
    pub interrupted_calls: u64,
}

/// `sidecar.stopped`: an orderly end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct SidecarStopped {
    /// `signal`, `error`.
    #[serde(rename = "weir.stop.reason")]
    pub reason: String,
    /// Calls that did not finish within the limit.
    #[serde(rename = "weir.stop.unfinished_calls")]
    pub unfinished_calls: u64,
}

/// `config.changed`: a reload was taken over, or refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct ConfigChanged {
    /// Whether it is in force.
    #[serde(rename = "weir.config.accepted")]
    pub accepted: bool,
    /// BLAKE3 of the file, 64 hex digits.
    #[serde(rename = "weir.config.blake3")]
    pub blake3: String,
    /// Why it was refused.
    #[serde(rename = "error.message", skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Hash of the guardrail policy now in force.
    #[serde(rename = "weir.guardrail.policy_version")]
    pub policy_version: String,
}

/// `budget.exhausted`: calls against this budget are refused from now on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct BudgetExhausted {
    /// The budget's name.
    #[serde(rename = "weir.budget.id")]
    pub id: String,
    /// Its limit in nano-USD.
    #[serde(rename = "weir.budget.limit_nano_usd")]
    pub limit: NanoUsd,
    /// What was spent, in nano-USD.
    #[serde(rename = "weir.budget.spent_nano_usd")]
    pub spent: NanoUsd,
}

/// `circuit.opened`, `circuit.closed`: a (provider, credential) pair is avoided, or used again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct CircuitChanged {
    /// The provider, by its configured name.
    #[serde(rename = "gen_ai.provider.name")]
    pub provider: String,
    /// The credential's id.
    #[serde(rename = "weir.credential.id", skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<String>,
    /// Why.
    #[serde(rename = "weir.circuit.reason")]
    pub reason: String,
}

/// `journal.shed`: events that were given up because the disk quota was used up and the policy was
/// to shed. The only way an event is ever given up, and itself an event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct JournalShed {
    /// How many events.
    #[serde(rename = "weir.journal.shed_events")]
    pub count: u64,
    /// Their bytes.
    #[serde(rename = "weir.journal.shed_bytes")]
    pub bytes: u64,
    /// Why: `quota`, `disk_full`.
    #[serde(rename = "weir.journal.shed_reason")]
    pub reason: String,
}
