//! Edits of a request that leave every other byte alone.

use super::View;
use crate::json::{Edit, quote};

/// The edit that makes a streamed request ask for usage; `None` where it asks already, or is not
/// streamed. The chunk this brings must be hidden from the client again
/// ([`ChunkView::usage_only`](super::super::stream::ChunkView::usage_only)).
#[must_use]
pub fn inject_include_usage(raw: &str, view: &View<'_>) -> Option<Edit> {
    if !view.stream || view.include_usage == Some(true) || !view.endpoint.takes_include_usage() {
        return None;
    }
    debug_assert!(view.places.open <= raw.len(), "the view is of another document");
    let Some(options) = &view.places.options else {
        let open = view.places.open;
        return Some((open..open, br#""stream_options":{"include_usage":true},"#.to_vec()));
    };
    Some(match &options.include_usage {
        Some(value) => (value.clone(), b"true".to_vec()),
        None if !options.object => (options.value.clone(), br#"{"include_usage":true}"#.to_vec()),
        None => {
            let open = options.value.start + 1;
            let member: &[u8] = if options.empty {
                br#""include_usage":true"#
            } else {
                br#""include_usage":true,"#
            };
            (open..open, member.to_vec())
        }
    })
}

/// The edits that make a request ask for another model. Several where `model` stands more than
/// once, so that no parser reads the old one; one where it is missing; none where the body is no
/// object.
#[must_use]
pub fn set_model(raw: &str, view: &View<'_>, new: &str) -> Vec<Edit> {
    let literal = quote(new);
    if !view.places.models.is_empty() {
        return view
            .places
            .models
            .iter()
            .map(|range| (range.clone(), literal.clone().into_bytes()))
            .collect();
    }
    let open = view.places.open;
    if open == 0 {
        return Vec::new();
    }
    let empty = raw.get(open..).is_some_and(|rest| rest.trim_start().starts_with('}'));
    let comma = if empty { "" } else { "," };
    vec![(open..open, format!("\"model\":{literal}{comma}").into_bytes())]
}
