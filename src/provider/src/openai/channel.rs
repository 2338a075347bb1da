//! The separate texts of one choice.

use std::sync::Arc;

/// Which text of a choice a piece belongs to. Each is guarded on its own: what a stream
/// interleaves must not be read as one text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// `content`, or `text` of a completion.
    Content,
    /// `refusal`.
    Refusal,
    /// `reasoning` (OpenRouter, Groq, newer vLLM).
    Reasoning,
    /// `reasoning_content` (DeepSeek, vLLM, xAI). Apart from `reasoning`, as some servers send
    /// the same words under both names.
    ReasoningContent,
    /// `audio.transcript`.
    Transcript,
    /// `tool_calls[n].function.arguments`, or `custom.input`: JSON text, or free text.
    ToolArguments(u32),
    /// `tool_calls[n].function.name`, where it is no plain identifier.
    ToolName(u32),
    /// `function_call.arguments` (deprecated by OpenAI).
    FunctionArguments,
    /// Any other text of a choice, by its path below the message, such as
    /// `reasoning_details/0/text`; below the choice it begins with `/`. Outside of the choices it
    /// is `//` and the key in the chunk, or the type of an event that is not known, with the
    /// indices of its text, such as `response.novel.delta/output_index=0`.
    Other(Arc<str>),
}

impl Channel {
    /// Whether it is the model's reasoning.
    #[must_use]
    pub fn is_reasoning(&self) -> bool {
        match self {
            Channel::Reasoning | Channel::ReasoningContent => true,
            Channel::Other(path) => {
                let path = path.strip_prefix("response.").unwrap_or(path);
                path.starts_with("reasoning") || path.contains("thinking")
            }
            _ => false,
        }
    }

    /// Whether it holds the arguments of a tool call, that is JSON within a string.
    #[must_use]
    pub fn is_arguments(&self) -> bool {
        matches!(self, Channel::ToolArguments(_) | Channel::FunctionArguments)
    }

    /// The key of a text that stands beside the choices.
    pub(super) fn outermost(&self) -> Option<&str> {
        match self {
            Channel::Other(path) => path.strip_prefix("//"),
            _ => None,
        }
    }

    /// A short name for events and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Channel::Content => "content",
            Channel::Refusal => "refusal",
            Channel::Reasoning => "reasoning",
            Channel::ReasoningContent => "reasoning_content",
            Channel::Transcript => "transcript",
            Channel::ToolArguments(_) => "tool_arguments",
            Channel::ToolName(_) => "tool_name",
            Channel::FunctionArguments => "function_arguments",
            Channel::Other(path) => path,
        }
    }
}
