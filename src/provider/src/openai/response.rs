//! Whole answers: what the model said, why it stopped, what it used.

use std::borrow::Cow;
use std::ops::Range;

use event::Usage;

use super::error::Error;
use super::pieces::ToolCall;
use super::top::Top;
use super::{Endpoint, Piece};
use crate::json::{JsonError, TextSpan};
use crate::usage::Reported;

/// What a whole answer says.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// `id`
    pub id: Option<Cow<'a, str>>,
    /// `model`: the one that answered.
    pub model: Option<Cow<'a, str>>,
    /// `service_tier`, on which the price may depend.
    pub service_tier: Option<Cow<'a, str>>,
    /// `finish_reason` of each choice that has one; of the Responses API, `status`.
    pub finish_reasons: Vec<String>,
    /// Tokens in disjoint buckets; all unknown where the provider says nothing, and of a stored
    /// answer, whose tokens were counted when it was made.
    pub usage: Usage,
    /// The usage object as it came; of a stored answer, `None`.
    pub reported: Option<Reported>,
    /// The texts of the choices.
    pub texts: Vec<Piece<'a>>,
    /// Tool calls of the choices.
    pub tools: Vec<ToolCall<'a>>,
    /// Where `logprobs` objects stand, by choice: they spell out the text once more, so whoever
    /// edits a choice's text replaces them by `null`.
    pub logprobs: Vec<(u32, Range<usize>)>,
    /// Where log probabilities stand outside of the choices, as in answers and events of the
    /// Responses API: whoever has rules for what leaves replaces each by `[]`, at all times, since
    /// no choice says when their text may leave. Their tokens are in no other field.
    pub event_logprobs: Vec<Range<usize>>,
    /// Texts outside of the choices, such as citations or an error's message.
    pub others: Vec<TextSpan<'a>>,
    /// The error, where the answer is one.
    pub error: Option<Error>,
}

/// Reads an answer in one pass.
///
/// # Errors
/// If `raw` is not JSON or nests too deep.
pub fn parse(endpoint: Endpoint, raw: &str) -> Result<View<'_>, JsonError> {
    let mut top = Top::read(endpoint, raw)?;
    if endpoint.is_retrieval() {
        top.reported = None;
    }
    let mut finish_reasons: Vec<String> = top.choices.finishes.into_iter().map(|(_, reason)| reason).collect();
    if finish_reasons.is_empty() {
        finish_reasons.extend(top.status);
    }
    Ok(View {
        id: top.id,
        model: top.model,
        service_tier: top.service_tier,
        finish_reasons,
        usage: top.reported.map(|reported| reported.usage()).unwrap_or_default(),
        reported: top.reported,
        texts: top.choices.pieces,
        tools: top.choices.tools,
        logprobs: top.choices.logprobs,
        event_logprobs: top.event_logprobs,
        others: top.others,
        error: top.error,
    })
}

#[cfg(test)]
mod tests;
