//! What is said of a text, and frames of our own that say it.

use bytes::Bytes;
use provider::openai::Channel;
use provider::openai::stream::text_frame;
use provider::sse::{self, Frame};

use crate::call::framing;
use crate::call::logprobs;

/// What may be said of a text now.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// To the app.
    pub(super) app: String,
    /// What is kept of it, where that differs: values of the session stay tokens.
    pub(super) kept: Option<String>,
}

impl Said {
    pub(super) fn kept(&self) -> &str {
        self.kept.as_deref().unwrap_or(&self.app)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.app.is_empty() && self.kept().is_empty()
    }

    pub(super) fn push(&mut self, more: Said) {
        if self.kept.is_some() || more.kept.is_some() {
            let kept = format!("{}{}", self.kept(), more.kept());
            self.kept = Some(kept);
        }
        self.app.push_str(&more.app);
    }
}

/// A frame of our own making.
#[derive(Debug)]
pub struct Made {
    /// Its data.
    pub data: String,
    /// What is kept of it, where that differs.
    pub kept: Option<String>,
    /// Its bytes, in the shape of the provider's.
    pub bytes: Bytes,
    /// It is kept, and the app does not get it.
    pub hidden: bool,
}

impl Made {
    /// A frame that carries `text` for one text of the stream and nothing else.
    pub(super) fn text(template: &Frame, choice: u32, channel: &Channel, said: &Said) -> Made {
        let frame = |text: &str| text_frame(template.data().unwrap_or(""), choice, channel, text);
        let data = frame(&said.app);
        Made {
            bytes: framing::with_data(template, &data),
            kept: said.kept.as_deref().map(frame),
            data,
            hidden: false,
        }
    }

    /// The same with the log probabilities of its text.
    pub(super) fn with_logprobs(mut self, channel: &Channel, tokens: Option<String>) -> Made {
        let Some(tokens) = tokens else { return self };
        let object = match channel {
            Channel::Refusal => logprobs::object(None, Some(tokens)),
            _ => logprobs::object(Some(tokens), None),
        };
        // Within a text the quotes would be escaped: this is the member itself.
        self.data = self
            .data
            .replacen(r#""logprobs":null"#, &format!(r#""logprobs":{object}"#), 1);
        self.bytes = sse::encode(None, &self.data);
        self
    }
}
