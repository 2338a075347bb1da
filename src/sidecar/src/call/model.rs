//! The model of calls whose bodies Weir does not know: of any JSON body, and of an address.

use std::sync::Arc;

use event::body::CallStarted;
use guard::Phase;
use http::Uri;
use provider::openai::Endpoint;

use super::masking::{mask_context, mask_parameters};
use super::query;
use super::read::choose_policy;
use super::record::CallRecord;
use crate::config::Record;
use crate::error::CallError;
use crate::snapshot::Snapshot;

/// What stands before the name in `GET …/models/{model}`.
const MODELS: &str = "/models/";

/// Takes down the model that the address names, and chooses the policy by it.
pub fn take_from_path(snapshot: &Snapshot, record: &mut CallRecord, started: &mut CallStarted) {
    let Some(model) = in_path(record.endpoint, &started.endpoint) else {
        return;
    };
    started.request_model = Some(model.clone());
    settle_policy(snapshot, record, started);
    if record.guard.is_active(Phase::Input) {
        let keep_flagged = snapshot.recording.record == Record::Full;
        mask_parameters(&record.guard.policy, started, keep_flagged);
    }
    record.asked_model = Some(model).filter(|model| started.request_model.as_ref() != Some(model));
}

/// Chooses the policy now that the model is known.
pub fn settle_policy(snapshot: &Snapshot, record: &mut CallRecord, started: &mut CallStarted) {
    let before = Arc::clone(&record.guard.policy);
    choose_policy(snapshot, record, started);
    if !Arc::ptr_eq(&before, &record.guard.policy) {
        // Its rules are others.
        mask_context(snapshot, record, started);
    }
}

/// The same address without the upstream's name before the model's.
pub fn without_prefix(endpoint: Endpoint, uri: &Uri) -> Result<Option<Uri>, CallError> {
    let renamed = (endpoint == Endpoint::Models)
        .then(|| path_without_prefix(uri.path()))
        .flatten();
    renamed.map(|path| query::with_path(uri, &path)).transpose()
}

fn in_path(endpoint: Endpoint, path: &str) -> Option<String> {
    let (_, name) = path.split_once(MODELS).filter(|_| endpoint == Endpoint::Models)?;
    let name = name.trim_matches('/');
    // In a path a plus is a plus.
    let name = query::decode(&name.replace('+', "%2B")).into_owned();
    Some(name).filter(|name| !name.is_empty())
}

fn path_without_prefix(path: &str) -> Option<String> {
    let (head, name) = path.split_once(MODELS)?;
    let name = name.trim_start_matches('/');
    let slash = ["/", "%2F", "%2f"]
        .iter()
        .filter_map(|slash| name.find(slash).map(|at| at + slash.len()));
    Some(format!("{head}{MODELS}{}", &name[slash.min()?..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_model() {
        for (path, model, rest) in [
            ("/v1/models", None, None),
            ("/v1/models/", None, None),
            ("/v1/models/llama-3", Some("llama-3"), None),
            (
                "/v1/models/local/llama-3",
                Some("local/llama-3"),
                Some("/v1/models/llama-3"),
            ),
            (
                "/v1/models/local%2fllama%2B3+",
                Some("local/llama+3+"),
                Some("/v1/models/llama%2B3+"),
            ),
            ("//v1/models//a/b/c/", Some("a/b/c"), Some("//v1/models/b/c/")),
        ] {
            assert_eq!(in_path(Endpoint::Models, path).as_deref(), model, "{path}");
            assert_eq!(path_without_prefix(path).as_deref(), rest, "{path}");
        }
        assert_eq!(in_path(Endpoint::Other, "/v1/models/x"), None);
    }
}
