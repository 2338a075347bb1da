//! The separate texts of one choice.

use std::sync::Arc;

use crate::json::is_name;

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
    /// `reasoning_details/0/text`; below the choice it begins with `/`. Within a key, `/` is
    /// `~1` and `~` is `~0`, as in a JSON pointer. Outside of the choices it
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

    /// A short name for events and messages. A path ends in it where the first key stands that
    /// could be a text.
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
            Channel::Other(path) => shown(path),
        }
    }
}

/// As much of a path as may be kept where texts must not be.
fn shown(path: &str) -> &str {
    if let Some(key) = path.strip_prefix("//") {
        return if is_name(key) { path } else { "//" };
    }
    let start = usize::from(path.starts_with('/'));
    let mut end = start;
    let mut at = start;
    for part in path.get(start..).unwrap_or("").split('/') {
        // The type of an event has several names, and only a path's first part can be one.
        let event = at == 0 && part.split('.').all(is_name) && is_name(part.replace('.', "_").as_str());
        if !(event || is_name(part) || is_index(part)) {
            break;
        }
        end = at + part.len();
        at = end + 1;
    }
    match path.get(..end) {
        Some("") | None => "other",
        Some(shown) => shown,
    }
}

/// `0`, or `output_index=0`.
fn is_index(part: &str) -> bool {
    let number = match part.split_once('=') {
        Some(("output_index" | "content_index" | "summary_index", number)) => number,
        Some(_) => return false,
        None => part,
    };
    (1..=6).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Appends a key to a path.
pub(super) fn push_key(path: &mut String, key: &str) {
    if key.contains(['/', '~']) {
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
    } else {
        path.push_str(key);
    }
}
