//! What a guardrail takes out of a body is not kept by way of an attribute.

use std::sync::Arc;

use event::body::CallStarted;
use guard::{Phase, Policy};

use super::record::CallRecord;
use crate::config::Record;
use crate::snapshot::Snapshot;

/// What a guardrail takes out of a body must not be kept by way of a header either.
pub fn mask_context(snapshot: &Snapshot, record: &mut CallRecord, started: &mut CallStarted) {
    if !record.guard.is_active(Phase::Input) {
        return;
    }
    let keep_flagged = snapshot.recording.record == Record::Full;
    let policy = Arc::clone(&record.guard.policy);
    let mask = |text: &mut String| mask(&policy, Phase::Input, text, keep_flagged);
    started.user_id.iter_mut().for_each(mask);
    started.session_id.iter_mut().for_each(mask);
    started.tags.iter_mut().for_each(mask);
    started.user_agent.iter_mut().for_each(mask);
    record.scope.app.iter_mut().for_each(mask);
}

/// Paths without a part that the app may choose.
const FIXED_PATHS: [&str; 6] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/models",
    "/v1/moderations",
    "/v1/responses",
];

/// Content types that say nothing of the app's own.
const FIXED_TYPES: [&str; 2] = ["application/json", "application/json; charset=utf-8"];

/// ... nor by way of the path or the content type. To be called last: policies are chosen by the path.
pub fn mask_place(record: &CallRecord, started: &mut CallStarted) {
    if !record.guard.is_active(Phase::Input) {
        return;
    }
    let keep_flagged = record.recorded() == Record::Full;
    let mask = |text: &mut String| mask(&record.guard.policy, Phase::Input, text, keep_flagged);
    if !FIXED_PATHS.contains(&started.endpoint.as_str()) {
        mask(&mut started.endpoint);
    }
    let free = |kind: &&mut String| !FIXED_TYPES.iter().any(|fixed| kind.eq_ignore_ascii_case(fixed));
    started.request_content_type.iter_mut().filter(free).for_each(mask);
}

/// ... nor by way of a parameter.
pub fn mask_parameters(policy: &Policy, started: &mut CallStarted, keep_flagged: bool) {
    let mask = |text: &mut String| mask(policy, Phase::Input, text, keep_flagged);
    started.user_id.iter_mut().for_each(mask);
    started.stop_sequences.iter_mut().for_each(mask);
    started.request_model.iter_mut().for_each(mask);
    let unusual = |kind: &&mut String| !matches!(kind.as_str(), "text" | "json_object" | "json_schema");
    started.output_type.iter_mut().filter(unusual).for_each(mask);
    started.metadata = std::mem::take(&mut started.metadata)
        .into_iter()
        .map(|(mut key, mut value)| {
            mask(&mut key);
            mask(&mut value);
            (key, value)
        })
        .collect();
}

/// Takes out of `text` what may not be kept.
pub fn mask(policy: &Policy, phase: Phase, text: &mut String, keep_flagged: bool) {
    let outcome = policy.scan(phase, text);
    let at_rest = outcome.at_rest(text, keep_flagged);
    if at_rest != text.as_str() {
        *text = at_rest.into_owned();
    }
}
