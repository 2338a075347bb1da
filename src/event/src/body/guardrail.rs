use serde::{Deserialize, Serialize};

/// `guardrail.evaluated`: what the guardrails found in one phase of a call.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct GuardrailEvaluated {
    /// `input`, `output` or `tool`.
    #[serde(rename = "weir.guardrail.phase")]
    pub phase: String,
    /// The strongest action taken: `block`, `vault`, `redact` or `flag`; absent where nothing matched.
    #[serde(rename = "weir.guardrail.action", skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Every match, in the order of the text.
    #[serde(rename = "weir.guardrail.verdicts")]
    pub verdicts: Vec<GuardrailVerdict>,
    /// Matches beyond the number that one event lists.
    #[serde(rename = "weir.guardrail.verdicts_omitted", skip_serializing_if = "is_zero")]
    pub verdicts_omitted: u64,
    /// Name of the policy, where the call has one of its own.
    #[serde(rename = "weir.guardrail.policy", skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Hash of the policy and its packs.
    #[serde(rename = "weir.guardrail.policy_version")]
    pub policy_version: String,
    /// Errors inside the engine that the policy let pass.
    #[serde(rename = "weir.guardrail.errors", skip_serializing_if = "is_zero")]
    pub errors: u64,
    /// CPU time spent, nanoseconds.
    #[serde(rename = "weir.guardrail.duration_ns")]
    pub duration_ns: u64,
}

/// One match. Never the matched text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct GuardrailVerdict {
    /// The rule's id.
    pub rule: String,
    /// The pack and its version: `pii@1`.
    pub pack: String,
    /// `pii`, `secret`, `injection`, …
    pub kind: String,
    /// What was found: `EMAIL`, `CARD`, …
    pub entity: String,
    /// What was done: `block`, `vault`, `redact` or `flag`.
    pub action: String,
    /// What would have been done, where the policy only watches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<String>,
    /// Who decided, where the rule's action is to ask: `webhook`; `on_error` where that gave no answer;
    /// `nobody` where there was no time to ask, as in a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// Where: a path in the request (`messages[2].content`), or channel and choice of the answer
    /// (`choices[0].content`).
    pub location: String,
    /// Start in bytes of the original text at that location.
    pub start: u64,
    /// End in bytes, exclusive.
    pub end: u64,
    /// The rule's score, for rules that have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}
