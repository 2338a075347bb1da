//! From the chunks of a stream to the message that an answer in one piece would have been.
//!
//! Texts take the quick way: each piece is appended to its own string. Whatever else a chunk has
//! (log probabilities, citations, fields of one provider) takes the slow way: the chunk is parsed
//! and merged, strings joined, lists by their elements' `index`, numbers replaced.

mod merge;

use std::collections::BTreeMap;

use event::Usage;
use serde_json::{Map, Value, json};

use super::Channel;
use super::error::Error;
use super::stream::{ChunkView, ToolCall};
use crate::json::TextSpan;
use merge::{Text, merge_into, merge_list};

/// The default bound of what an assembler keeps, in bytes.
pub const MAX_ASSEMBLED: usize = 32 * 1024 * 1024;

/// A whole message made of a stream.
#[derive(Clone, Debug)]
pub struct Assembled {
    /// The answer as one JSON document: a `chat.completion` or a `text_completion`.
    pub body: String,
    /// `id`
    pub id: Option<String>,
    /// `model`
    pub model: Option<String>,
    /// `service_tier`
    pub service_tier: Option<String>,
    /// Why each choice ended, in the order of the choices; those that did not end are missing.
    pub finish_reasons: Vec<String>,
    /// The last usage of the stream; all unknown where there was none.
    pub usage: Usage,
    /// Every text, by choice and channel.
    pub texts: Vec<(u32, Channel, String)>,
    /// An error that came in the middle.
    pub error: Option<Error>,
    /// Every choice has ended, or the response of the Responses API has, and no error came. (A
    /// missing `[DONE]` does not matter.) Whether an answer was cut short, its finish reason says.
    pub complete: bool,
    /// The bound was reached, and what came later is missing.
    pub truncated: bool,
}

impl Assembled {
    /// The text of one channel of one choice.
    #[must_use]
    pub fn text(&self, choice: u32, channel: &Channel) -> Option<&str> {
        self.texts
            .iter()
            .find(|(index, of, _)| *index == choice && of == channel)
            .map(|(_, _, text)| text.as_str())
    }
}

/// Collects the chunks of one stream.
#[derive(Debug)]
pub struct Assembler {
    limit: usize,
    size: usize,
    truncated: bool,
    /// A chunk with a choice has come, so that `id` and the like are known.
    headed: bool,
    top: Map<String, Value>,
    choices: BTreeMap<u32, Choice>,
    /// Texts beside the choices.
    outermost: BTreeMap<Channel, Text>,
    usage: Option<Usage>,
    usage_object: Option<Value>,
    error: Option<Error>,
    /// The answer of the Responses API, whole, as its last event has it.
    response: Option<String>,
    /// The stream is of the Responses API.
    events: bool,
}

#[derive(Debug, Default)]
struct Choice {
    texts: BTreeMap<Channel, Text>,
    tools: BTreeMap<u32, Tool>,
    /// Content that came as an array of parts.
    parts: Vec<Value>,
    /// Other fields of the message, and of the choice.
    message: Map<String, Value>,
    extra: Map<String, Value>,
    finish: Option<String>,
}

#[derive(Debug, Default)]
struct Tool {
    id: Option<String>,
    kind: Option<String>,
    name: Option<String>,
    extra: Map<String, Value>,
}

impl Default for Assembler {
    fn default() -> Assembler {
        Assembler::with_limit(MAX_ASSEMBLED)
    }
}

impl Assembler {
    /// An assembler with the default bound of [`MAX_ASSEMBLED`] bytes.
    #[must_use]
    pub fn new() -> Assembler {
        Assembler::default()
    }

    /// An assembler that keeps at most about `limit` bytes and then says
    /// [`Assembled::truncated`].
    #[must_use]
    pub fn with_limit(limit: usize) -> Assembler {
        Assembler {
            limit,
            size: 0,
            truncated: false,
            headed: false,
            top: Map::new(),
            choices: BTreeMap::new(),
            outermost: BTreeMap::new(),
            usage: None,
            usage_object: None,
            error: None,
            response: None,
            events: false,
        }
    }

    /// Adds a chunk: its data, and the view of that very data.
    pub fn push(&mut self, data: &str, view: &ChunkView<'_>) {
        if let Some(usage) = view.usage {
            self.usage = Some(usage);
            self.usage_object = view
                .usage_range
                .clone()
                .and_then(|range| serde_json::from_str(data.get(range)?).ok());
        }
        if let Some(error) = &view.error {
            self.error = Some(error.clone());
        }
        if let Some(whole) = view.response_range.clone().and_then(|range| data.get(range))
            && self.room(whole.len())
        {
            self.response = Some(whole.to_owned());
        }
        if view.event {
            self.events = true;
            for (key, value) in [
                ("id", &view.id),
                ("model", &view.model),
                ("service_tier", &view.service_tier),
            ] {
                if let Some(value) = value {
                    self.top.insert(key.into(), value.as_ref().into());
                }
            }
        }
        for (choice, reason) in &view.finishes {
            self.choices.entry(*choice).or_default().finish = Some(reason.clone());
        }
        // A tool call without an index: another id is another call.
        let mut moved = Vec::new();
        for call in &view.tools {
            let number = self.tool(call);
            if number != call.number() {
                moved.push((call.choice, call.number(), number));
            }
        }
        let more = view.extra || !view.logprobs.is_empty() || !self.headed;
        let merging = more && !view.event && self.room(data.len());
        for piece in &view.pieces {
            if piece.channel == Channel::Content && !merging && !self.truncated {
                self.choices
                    .entry(piece.choice)
                    .or_default()
                    .continue_parts(&piece.span.text);
            }
            let number = |index: u32| {
                let to = moved
                    .iter()
                    .find(|(choice, from, _)| *choice == piece.choice && *from == index);
                to.map_or(index, |(_, _, to)| *to)
            };
            let channel = match &piece.channel {
                Channel::ToolArguments(index) => Channel::ToolArguments(number(*index)),
                Channel::ToolName(index) => Channel::ToolName(number(*index)),
                channel => channel.clone(),
            };
            self.text(data, piece.choice, channel, &piece.span);
        }
        if merging {
            // What is not JSON for serde_json (a lone surrogate) has no fields to merge.
            if let Ok(Value::Object(chunk)) = serde_json::from_str(data) {
                self.merge(chunk);
            }
        }
    }

    fn room(&mut self, bytes: usize) -> bool {
        let fits = self.size.saturating_add(bytes) <= self.limit;
        self.truncated |= !fits;
        if fits {
            self.size += bytes;
        }
        fits
    }

    fn text(&mut self, data: &str, choice: u32, channel: Channel, span: &TextSpan<'_>) {
        if !self.room(span.text.len() + 16) {
            return;
        }
        let literal = data.get(span.range.clone()).unwrap_or("");
        let texts = match channel.outermost() {
            Some(_) => &mut self.outermost,
            None => &mut self.choices.entry(choice).or_default().texts,
        };
        texts.entry(channel).or_default().push(literal, &span.text);
    }

    fn tool(&mut self, call: &ToolCall<'_>) -> u32 {
        let tools = &mut self.choices.entry(call.choice).or_default().tools;
        let mut number = call.number();
        if call.index.is_none() {
            let id = call.id.as_deref().filter(|id| !id.is_empty());
            let known = tools
                .iter()
                .find(|(_, tool)| id.is_some() && tool.id.as_deref() == id)
                .map(|(number, _)| *number);
            let taken = |number: u32| tools.get(&number).is_some_and(|tool| tool.id.is_some());
            let next = tools.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
            number = match known {
                Some(number) => number,
                None if id.is_some() && taken(number) => next,
                None => number,
            };
        }
        let tool = tools.entry(number).or_default();
        for (field, new) in [(&mut tool.id, &call.id), (&mut tool.kind, &call.kind)] {
            if let Some(new) = new.as_deref().filter(|new| !new.is_empty()) {
                *field = Some(new.to_owned());
            }
        }
        if let Some(name) = &call.name {
            // Some servers repeat the whole name in each chunk, none is known to send parts.
            if !name.is_empty() {
                tool.name = Some(name.to_string());
            }
        }
        number
    }

    fn merge(&mut self, chunk: Map<String, Value>) {
        for (key, value) in chunk {
            match key.as_str() {
                "choices" => {
                    let Value::Array(choices) = value else { continue };
                    self.headed |= !choices.is_empty();
                    for (position, choice) in choices.into_iter().enumerate() {
                        let Value::Object(choice) = choice else { continue };
                        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(position as u64);
                        if let Ok(index) = u32::try_from(index) {
                            self.choices.entry(index).or_default().merge(choice);
                        }
                    }
                }
                "usage" | "error" | "obfuscation" | "object" | "x_groq" => {}
                "id" | "model" | "created" | "system_fingerprint" | "service_tier" => {
                    let blank = |value: &Value| value.is_null() || *value == json!("") || *value == json!(0);
                    if !blank(&value) || !self.top.contains_key(&key) {
                        self.top.insert(key, value);
                    }
                }
                // Outside of the choices each chunk says all there is, as with citations.
                _ if value.is_null() => {}
                _ => drop(self.top.insert(key, value)),
            }
        }
    }

    /// The stream has ended, or was cut: what has come so far as one message.
    #[must_use]
    pub fn finish(mut self) -> Assembled {
        let completion = self.choices.values().any(|choice| choice.extra.contains_key("text"));
        let finish_reasons = self
            .choices
            .values()
            .filter_map(|choice| choice.finish.clone())
            .collect::<Vec<_>>();
        let complete = !self.choices.is_empty() && finish_reasons.len() == self.choices.len() && self.error.is_none();
        let mut texts = Vec::new();
        let mut choices = Vec::new();
        for (index, mut choice) in self.choices {
            for (channel, text) in &choice.texts {
                texts.push((index, channel.clone(), text.text.clone()));
            }
            choice.extra.remove("text");
            choices.push(choice.finish(index, completion));
        }
        for (channel, text) in self.outermost {
            if let Some(key) = channel.outermost() {
                self.top.insert(key.to_owned(), text.text.clone().into());
            }
            texts.push((0, channel, text.text));
        }
        let string = |key: &str| self.top.get(key).and_then(Value::as_str).map(str::to_owned);
        let (id, model, service_tier) = (string("id"), string("model"), string("service_tier"));
        let (mut complete, mut whole) = (complete, None);
        if self.events {
            // There is no `[DONE]`: what ends a response, cut short or not, is its end mark.
            complete = self.error.is_none() && !finish_reasons.is_empty();
            whole = self.response;
            self.top.insert("object".into(), "response".into());
            self.top.insert("output".into(), responses_output(&texts));
        } else {
            let object = if completion {
                "text_completion"
            } else {
                "chat.completion"
            };
            self.top.insert("object".into(), object.into());
            self.top.insert("choices".into(), choices.into());
        }
        if let Some(usage) = self.usage_object {
            self.top.insert("usage".into(), usage);
        }
        Assembled {
            body: whole.unwrap_or_else(|| Value::Object(self.top).to_string()),
            id,
            model,
            service_tier,
            finish_reasons,
            usage: self.usage.unwrap_or_default(),
            texts,
            error: self.error,
            complete,
            truncated: self.truncated,
        }
    }
}

/// Output items of a response that was cut off, as far as its deltas tell.
fn responses_output(texts: &[(u32, Channel, String)]) -> Value {
    let item = |(_, channel, text): &(u32, Channel, String)| match channel {
        Channel::ToolArguments(_) => json!({"type": "function_call", "arguments": text}),
        Channel::Refusal => json!({"type": "message", "content": [{"type": "refusal", "refusal": text}]}),
        Channel::Content => json!({"type": "message", "content": [{"type": "output_text", "text": text}]}),
        channel if channel.is_reasoning() => json!({"type": "reasoning", "content": [{"text": text}]}),
        channel => json!({"type": channel.name(), "text": text}),
    };
    texts.iter().map(item).collect::<Vec<_>>().into()
}

impl Choice {
    fn merge(&mut self, choice: Map<String, Value>) {
        for (key, value) in choice {
            match (key.as_str(), value) {
                ("index" | "finish_reason", _) => {}
                // Its texts are told by the pieces; that there is one says what kind of stream it is.
                ("text", _) => drop(self.extra.insert(key, Value::Null)),
                ("delta" | "message", Value::Object(message)) => {
                    for (key, value) in message {
                        self.field(key, value);
                    }
                }
                ("delta" | "message", _) => {}
                ("logprobs", value) => merge_into(&mut self.extra, key, value),
                (_, Value::Null) => {}
                (_, value) => drop(self.extra.insert(key, value)),
            }
        }
    }

    fn field(&mut self, key: String, value: Value) {
        match (key.as_str(), value) {
            ("content", Value::Array(parts)) => merge_list(&mut self.parts, parts),
            ("content", Value::String(text)) => self.continue_parts(&text),
            ("content" | "refusal" | "reasoning" | "reasoning_content", Value::String(_) | Value::Null) => {}
            ("tool_calls", Value::Array(calls)) => {
                for (position, call) in calls.into_iter().enumerate() {
                    let Value::Object(mut call) = call else { continue };
                    let index = call.get("index").and_then(Value::as_u64).unwrap_or(position as u64);
                    let index = u32::try_from(index).unwrap_or(u32::MAX);
                    let id = call.get("id").and_then(Value::as_str);
                    let number = self
                        .tools
                        .iter()
                        .find(|(_, tool)| id.is_some() && tool.id.as_deref() == id);
                    let number = number.map_or(index, |(number, _)| *number);
                    for told in ["index", "id", "type", "function", "custom"] {
                        call.remove(told);
                    }
                    let tool = self.tools.entry(number).or_default();
                    call.into_iter()
                        .for_each(|(key, value)| merge_into(&mut tool.extra, key, value));
                }
            }
            (_, value) => merge_into(&mut self.message, key, value),
        }
    }

    /// A text after content in parts is a part of it.
    fn continue_parts(&mut self, text: &str) {
        if !self.parts.is_empty() && !text.is_empty() {
            merge_list(&mut self.parts, vec![json!({"type": "text", "text": text})]);
        }
    }

    fn take(&mut self, channel: &Channel) -> Option<String> {
        self.texts.remove(channel).map(|text| text.text)
    }

    fn finish(mut self, index: u32, completion: bool) -> Value {
        let content = self.take(&Channel::Content);
        let mut out = self.extra.clone();
        out.insert("index".into(), index.into());
        out.insert("finish_reason".into(), self.finish.clone().into());
        out.entry("logprobs").or_insert(Value::Null);
        if completion {
            out.insert("text".into(), content.unwrap_or_default().into());
            return out.into();
        }
        let mut message = std::mem::take(&mut self.message);
        message.insert("role".into(), "assistant".into());
        // A tool call's message has no content, though some servers begin it with an empty one.
        let content = content
            .filter(|text| !text.is_empty() || (self.tools.is_empty() && !message.contains_key("function_call")));
        let content = if self.parts.is_empty() {
            content.into()
        } else {
            Value::Array(std::mem::take(&mut self.parts))
        };
        message.insert("content".into(), content);
        message.insert("refusal".into(), self.take(&Channel::Refusal).into());
        for (key, channel) in [
            ("reasoning", Channel::Reasoning),
            ("reasoning_content", Channel::ReasoningContent),
        ] {
            if let Some(text) = self.take(&channel) {
                message.insert(key.into(), text.into());
            }
        }
        if !self.tools.is_empty() {
            let tools = std::mem::take(&mut self.tools);
            let calls: Vec<Value> = tools
                .into_iter()
                .map(|(number, tool)| self.call(number, tool))
                .collect();
            message.insert("tool_calls".into(), calls.into());
        }
        out.insert("message".into(), message.into());
        out.into()
    }

    fn call(&mut self, number: u32, tool: Tool) -> Value {
        let text = self.take(&Channel::ToolArguments(number)).unwrap_or_default();
        let kind = tool.kind.unwrap_or_else(|| "function".to_owned());
        let (body, arguments) = if kind == "custom" {
            ("custom", "input")
        } else {
            ("function", "arguments")
        };
        let mut call = tool.extra;
        call.insert(body.into(), json!({"name": tool.name, arguments: text}));
        call.insert("id".into(), tool.id.into());
        call.insert("type".into(), kind.into());
        call.into()
    }
}

#[cfg(test)]
mod tests;
