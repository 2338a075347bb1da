//! Chunks of our own making, in the shape of the provider's.

use std::fmt::Write as _;
use std::ops::Range;

use super::Channel;
use super::stream::{ChunkView, parse};
use crate::json::{Cursor, Edit, JsonError, Kind, TextSpan, is_plain_key, is_timestamp, quote, splice};

/// The data of a chunk that carries `text` for one channel of one choice and nothing else: to
/// release a text that was held back when its own chunk came.
///
/// `template` is the data of an earlier chunk of the stream, whose `id`, `model` and the like are
/// taken over; one that is no chunk (or is empty) gives a plain frame. Of the Responses API it must
/// be the last delta event of that very text: the frame is that event with another text. So is that
/// of any other text outside of the choices. Of what else the template says, texts are left empty
/// and log probabilities, choices and usage left out: they have left already, or must not.
#[must_use]
pub fn text_frame(template: &str, choice: u32, channel: &Channel, text: &str) -> String {
    let shape = Shape::of(template);
    let literal = quote(text);
    if let Some(frame) = shape.with_text(template, channel, &literal) {
        return frame;
    }
    if let Some(key) = channel.outermost() {
        return shape.around(&format!("{}:{literal}", quote(key_or_none(key))));
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
        out.push_str(&key_literal(first));
        out.push(':');
    }
    while let Some(part) = parts.next() {
        // Writing to a String cannot fail.
        match part.parse::<u32>() {
            Ok(index) if parts.peek().is_some() => {
                let _ = write!(out, "[{{\"index\":{index},");
                close.push("}]");
                if let Some(key) = parts.next() {
                    let _ = write!(out, "{}:", key_literal(key));
                }
            }
            Ok(_) => {
                out.push('[');
                close.push("]");
            }
            Err(_) => {
                let _ = write!(out, "{{{}:", key_literal(part));
                close.push("}");
            }
        }
    }
    out.push_str(literal);
    close.iter().rev().for_each(|end| out.push_str(end));
    out
}

/// A key of a path, as a literal.
fn key_literal(part: &str) -> String {
    quote(key_or_none(&part.replace("~1", "/").replace("~0", "~")))
}

/// A key that could be a text is left empty: it left with the frame that had it, edited or not.
fn key_or_none(key: &str) -> &str {
    if is_plain_key(key) { key } else { "" }
}

/// The outermost members of the provider's chunks.
#[derive(Default)]
struct Shape<'a> {
    /// Before and after `choices`, each a list of `"key":value`.
    before: Vec<&'a str>,
    after: Vec<&'a str>,
    completion: bool,
    /// Where the outermost strings stand.
    strings: Vec<Range<usize>>,
    /// Where the choices stand.
    choices: Option<Range<usize>>,
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
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(template);
            let start = cursor.value_start();
            let kind = cursor.peek()?;
            cursor.skip()?;
            let value = &template[start..cursor.offset()];
            if kind == Kind::String {
                self.strings.push(start..cursor.offset());
            }
            match &*name {
                "choices" => {
                    choices = true;
                    self.choices = Some(start..cursor.offset());
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
        cursor.end()
    }

    /// The template with another text, if it has that text outside of its choices.
    fn with_text(&self, template: &str, channel: &Channel, literal: &str) -> Option<String> {
        let view = parse(template).ok()?;
        let outermost = |range: &Range<usize>| self.strings.contains(range);
        let mut texts = view.pieces.iter().filter(|piece| outermost(&piece.span.range));
        // An event has one text, whatever it is called.
        let told = texts.find(|piece| view.event || piece.channel == *channel)?;
        let mut edits = without_content(template, &view, &told.span.range);
        edits.extend(self.choices.clone().map(|range| (range, b"[]".to_vec())));
        edits.push((told.span.range.clone(), literal.as_bytes().to_vec()));
        String::from_utf8(splice(template.as_bytes(), &mut edits)).ok()
    }

    /// A chunk that has `member` instead of choices.
    fn around(&self, member: &str) -> String {
        let members = self.before.iter().copied().chain([member]);
        let members: Vec<&str> = members.chain(self.after.iter().copied()).collect();
        format!("{{{}}}", members.join(","))
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

/// Edits that take from a chunk what it says beside the text at `told`.
fn without_content(template: &str, view: &ChunkView<'_>, told: &Range<usize>) -> Vec<Edit> {
    let pieces = view.pieces.iter().map(|piece| &piece.span);
    let mut edits: Vec<Edit> = pieces
        .chain(view.others.iter().filter(|span| !is_label_of_event(template, span)))
        .filter(|span| span.range != *told)
        .map(|span| (span.range.clone(), b"\"\"".to_vec()))
        .collect();
    let logprobs = view.event_logprobs.iter().cloned();
    edits.extend(logprobs.map(|range| (range, b"[]".to_vec())));
    edits.extend(view.usage_range.clone().map(|range| (range, b"null".to_vec())));
    edits
}

/// Whether a client needs the value to understand the chunk, and it can be nothing else.
fn is_label_of_event(template: &str, span: &TextSpan<'_>) -> bool {
    // An id that is the encrypted state of its item, as some servers have it.
    let long_id = |text: &str| {
        text.len() > 128
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte))
    };
    let path = span.path(template);
    is_timestamp(&path, &span.text) || (long_id(&span.text) && matches!(&*path, "id" | "item_id"))
}
