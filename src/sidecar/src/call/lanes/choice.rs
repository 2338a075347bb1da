//! The choices of a stream: which have ended, and the log probabilities that spell their texts.

use provider::openai::Channel;

use crate::call::logprobs::{self, Progress, Tokens};

/// One choice of the answer.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) index: u32,
    pub(super) ended: bool,
    /// Log probabilities of the content and of the refusal.
    content: Tokens,
    refusal: Tokens,
    /// Its log probabilities do not spell its texts, or nobody can tell whether they do: none leaves any more.
    odd_logprobs: bool,
}

impl Choice {
    pub(super) fn new(index: u32) -> Choice {
        Choice {
            index,
            ..Choice::default()
        }
    }

    /// The log probabilities of one of its texts, if they may leave.
    pub(super) fn tokens(&mut self, channel: &Channel) -> Option<&mut Tokens> {
        match channel {
            _ if self.odd_logprobs => None,
            Channel::Content => Some(&mut self.content),
            Channel::Refusal => Some(&mut self.refusal),
            _ => None,
        }
    }

    /// What a chunk's `logprobs` may say now; `None`: as it came. `content` and `refusal`: the texts that have not
    /// ended. `changed`: whether a text of the chunk leaves otherwise than it came.
    pub(super) fn logprobs(
        &mut self,
        raw: &str,
        content: Option<Progress>,
        refusal: Option<Progress>,
        changed: bool,
    ) -> Option<String> {
        let all_left = self.content.is_empty() && self.refusal.is_empty();
        let (content, refusal) = (self.content.progress(content), self.refusal.progress(refusal));
        // Tokens that do not spell the text cannot be matched with what of it may leave.
        let spelled = !self.odd_logprobs
            && logprobs::take_in(raw, &mut self.content, &mut self.refusal)
            && self.content.spelled() == content.length
            && self.refusal.spelled() == refusal.length;
        if !spelled {
            self.odd_logprobs = true;
            (self.content, self.refusal) = Default::default();
            return Some("null".to_owned());
        }
        let said = logprobs::object(
            self.content.release(content.released),
            self.refusal.release(refusal.released),
        );
        let untouched = !changed && all_left && self.content.is_empty() && self.refusal.is_empty();
        (!untouched).then_some(said)
    }
}
