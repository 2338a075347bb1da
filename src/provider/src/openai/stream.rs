//! Chunks of a streamed answer: those of chats and completions, and events of the Responses API.
//!
//! An event of the Responses API is a chunk whose choice is its `output_index`. Texts come in
//! deltas, which are pieces; then [`ChunkView::ends`] tells that one is complete, and the events
//! that follow repeat it as a whole, up to three times, in [`ChunkView::others`].
//!
//! What has a string `delta` but no name that is known here, or another string beside the choices
//! (as streams of other servers have), is a piece too: a text of [`Channel::Other`] that may
//! continue in the next chunk.

use std::borrow::Cow;
use std::ops::Range;

use event::Usage;

use super::Channel;
pub use super::assemble::{Assembled, Assembler};
use super::error::Error;
pub use super::frames::{finish_frame, text_frame};
pub use super::pieces::{Piece, ToolCall};
use super::top::Top;
use crate::json::{JsonError, TextSpan};
use crate::usage::Reported;

/// What one chunk says. The ranges are those of the frame's data.
#[derive(Clone, Debug)]
pub struct ChunkView<'a> {
    /// `id`
    pub id: Option<Cow<'a, str>>,
    /// `model`: the one that answers.
    pub model: Option<Cow<'a, str>>,
    /// `service_tier`, on which the price may depend.
    pub service_tier: Option<Cow<'a, str>>,
    /// Parts of the choices' texts.
    pub pieces: Vec<Piece<'a>>,
    /// Choices that end here, with the reason.
    pub finishes: Vec<(u32, String)>,
    /// Tool calls named here.
    pub tools: Vec<ToolCall<'a>>,
    /// Tokens in disjoint buckets, where the chunk has them. The last of a stream counts.
    pub usage: Option<Usage>,
    /// The usage object as it came.
    pub reported: Option<Reported>,
    /// Where the usage object stands.
    pub usage_range: Option<Range<usize>>,
    /// Usage and no choices: the chunk that `include_usage` brings.
    pub usage_only: bool,
    /// Where `logprobs` objects stand, by choice: they spell out the text once more, so whoever
    /// edits or holds back a choice's text replaces them by `null`.
    pub logprobs: Vec<(u32, Range<usize>)>,
    /// Where log probabilities stand outside of the choices, as in answers and events of the
    /// Responses API: whoever has rules for what leaves replaces each by `[]`, at all times, since
    /// no choice says when their text may leave. Their tokens are in no other field.
    pub event_logprobs: Vec<Range<usize>>,
    /// Texts outside of the choices, such as citations or an error's message.
    pub others: Vec<TextSpan<'a>>,
    /// An error in the middle of the stream.
    pub error: Option<Error>,
    /// Texts that are complete here: what was held back of them must leave before this chunk.
    /// Only of the Responses API; elsewhere a text ends with its choice.
    pub ends: Vec<(u32, Channel)>,
    /// Where the finished `response` object of the Responses API stands.
    pub response_range: Option<Range<usize>>,
    /// The chunk is an event of the Responses API.
    pub event: bool,
    /// The chunk has fields that this view does not tell of.
    pub extra: bool,
}

/// Reads the data of a chunk or event (not `[DONE]`: see
/// [`Frame::is_done`](crate::sse::Frame::is_done)).
///
/// # Errors
/// If `data` is not JSON or nests too deep.
pub fn parse(data: &str) -> Result<ChunkView<'_>, JsonError> {
    let top = Top::chunk(data)?;
    Ok(ChunkView {
        id: top.id,
        model: top.model,
        service_tier: top.service_tier,
        usage: top.reported.map(|reported| reported.usage()),
        reported: top.reported,
        usage_range: top.usage_range,
        usage_only: top.choices.count == Some(0)
            && top.reported.is_some()
            && top
                .choices
                .pieces
                .iter()
                .all(|piece| piece.channel.outermost().is_some()),
        extra: top.extra || top.choices.extra,
        pieces: top.choices.pieces,
        finishes: top.choices.finishes,
        tools: top.choices.tools,
        logprobs: top.choices.logprobs,
        event_logprobs: top.event_logprobs,
        others: top.others,
        error: top.error,
        ends: top.ends,
        event: top.event,
        response_range: top.response,
    })
}

#[cfg(test)]
mod tests;
