//! Chunks of our own making, in the shape of the provider's.

use std::fmt::Write as _;
use std::ops::Range;

use super::Channel;
use crate::json::{Cursor, JsonError, Kind, quote};

/// The data of a chunk that carries `text` for one channel of one choice and nothing else: to
/// release a text that was held back when its own chunk came.
///
/// `template` is the data of an earlier chunk of the stream, whose `id`, `model` and the like are
/// taken over; one that is no chunk (or is empty) gives a plain frame. Of the Responses API it must
/// be the last delta event of that very text: the frame is that event with another text.
#[must_use]
pub fn text_frame(template: &str, choice: u32, channel: &Channel, text: &str) -> String {
    let shape = Shape::of(template);
    let literal = quote(text);
    if let Some(delta) = &shape.event_delta {
        return format!("{}{literal}{}", &template[..delta.start], &template[delta.end..]);
    }
    let member = match channel {
        Channel::Content if shape.completion => return shape.build(choice, &format!("\"text\":{literal}"), "null"),
        Channel::Content => format!("\"content\":{literal}"),
        Channel::Refusal => format!("\"refusal\":{literal}"),
        Channel::Reasoning => format!("\"reasoning\":{literal}"),
        Channel::ReasoningContent => format!("\"reasoning_content\":{literal}"),
        Channel::Transcript => format!("\"audio\":{{\"transcript\":{literal}}}"),
        Channel::ToolArguments(index) => {
            format!("\"tool_calls\":[{{\"index\":{index},\"function\":{{\"arguments\":{literal}}}}}]")
        }
        Channel::ToolName(index) => {
            format!("\"tool_calls\":[{{\"index\":{index},\"function\":{{\"name\":{literal}}}}}]")
        }
        Channel::FunctionArguments => format!("\"function_call\":{{\"arguments\":{literal}}}"),
        Channel::Other(path) => match path.strip_prefix('/') {
            Some(path) => {
                let empty = if shape.completion {
                    "\"text\":\"\""
                } else {
                    "\"delta\":{}"
                };
                return shape.build(choice, &format!("{empty},{}", nested(path, &literal)), "null");
            }
            None => nested(path, &literal),
        },
    };
    shape.build(choice, &format!("\"delta\":{{{member}}}"), "null")
}

/// The data of a chunk that ends a choice for `reason`.
#[must_use]
pub fn finish_frame(template: &str, choice: u32, reason: &str) -> String {
    let shape = Shape::of(template);
    let empty = if shape.completion {
        "\"text\":\"\""
    } else {
        "\"delta\":{}"
    };
    shape.build(choice, empty, &quote(reason))
}

/// `a/0/b` to `"a":[{"index":0,"b":literal}]`.
fn nested(path: &str, literal: &str) -> String {
    let mut close = Vec::new();
    let mut out = String::new();
    let mut parts = path.split('/').peekable();
    if let Some(first) = parts.next() {
        out.push_str(&quote(first));
        out.push(':');
    }
    while let Some(part) = parts.next() {
        // Writing to a String cannot fail.
        match part.parse::<u32>() {
            Ok(index) if parts.peek().is_some() => {
                let _ = write!(out, "[{{\"index\":{index},");
                close.push("}]");
                if let Some(key) = parts.next() {
                    let _ = write!(out, "{}:", quote(key));
                }
            }
            Ok(_) => {
                out.push('[');
                close.push("]");
            }
            Err(_) => {
                let _ = write!(out, "{{{}:", quote(part));
                close.push("}");
            }
        }
    }
    out.push_str(literal);
    close.iter().rev().for_each(|end| out.push_str(end));
    out
}

/// The outermost members of the provider's chunks.
#[derive(Default)]
struct Shape<'a> {
    /// Before and after `choices`, each a list of `"key":value`.
    before: Vec<&'a str>,
    after: Vec<&'a str>,
    completion: bool,
    /// Where the delta of an event of the Responses API stands.
    event_delta: Option<Range<usize>>,
}

impl<'a> Shape<'a> {
    fn of(template: &'a str) -> Shape<'a> {
        let mut shape = Shape::default();
        if shape.read(template).is_err() {
            shape = Shape::default();
        }
        if shape.before.is_empty() && shape.after.is_empty() {
            shape.before.push("\"object\":\"chat.completion.chunk\"");
        }
        shape
    }

    fn read(&mut self, template: &'a str) -> Result<(), JsonError> {
        let mut cursor = Cursor::new(template);
        if cursor.peek()? != Kind::Object {
            return Ok(());
        }
        let mut choices = false;
        let mut event = false;
        let mut delta = None;
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(template);
            let start = cursor.value_start();
            let kind = cursor.peek()?;
            cursor.skip()?;
            let value = &template[start..cursor.offset()];
            match &*name {
                "type" => event = value.starts_with("\"response."),
                "delta" if kind == Kind::String => delta = Some(start..cursor.offset()),
                "choices" => {
                    choices = true;
                    // A completion without an `object` is known by what its choices have.
                    self.completion |= value.contains("\"text\":") && !value.contains("\"delta\"");
                }
                // What is true of every chunk; counts, padding and errors belong to one.
                "id" | "object" | "created" | "model" | "service_tier" | "system_fingerprint" | "provider" => {
                    self.completion |= name == "object" && value == "\"text_completion\"";
                    let member = &template[key.start..cursor.offset()];
                    if choices { &mut self.after } else { &mut self.before }.push(member);
                }
                // With `include_usage`, OpenAI's chunks have `"usage":null`.
                "usage" if kind == Kind::Null => {
                    let member = &template[key.start..cursor.offset()];
                    if choices { &mut self.after } else { &mut self.before }.push(member);
                }
                _ => {}
            }
        }
        self.event_delta = delta.filter(|_| event);
        cursor.end()
    }

    fn build(&self, choice: u32, body: &str, reason: &str) -> String {
        let mut out = String::from("{");
        for member in &self.before {
            out.push_str(member);
            out.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\"choices\":[{{\"index\":{choice},{body},\"logprobs\":null,\"finish_reason\":{reason}}}]"
        );
        for member in &self.after {
            out.push(',');
            out.push_str(member);
        }
        out.push('}');
        out
    }
}
