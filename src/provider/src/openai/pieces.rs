//! The choices of an answer, whole or streamed: their texts, tool calls and ends.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::Channel;
use super::channel::push_key;
use crate::json::{Cursor, JsonError, Kind, Literal, Role, TextSpan, collect, is_opaque, odd_key};

/// One text of an answer, or a part of it in a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Index of the choice.
    pub choice: u32,
    /// Which of the choice's texts.
    pub channel: Channel,
    /// The literal.
    pub span: TextSpan<'a>,
}

/// What a tool call's object says beside its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall<'a> {
    /// Index of the choice.
    pub choice: u32,
    /// The index that the provider gave, if any.
    pub index: Option<u32>,
    /// Position in the array.
    pub position: u32,
    /// `id`
    pub id: Option<Cow<'a, str>>,
    /// `type`
    pub kind: Option<Cow<'a, str>>,
    /// `function.name` or `custom.name`
    pub name: Option<Cow<'a, str>>,
}

impl ToolCall<'_> {
    /// The number by which [`Channel::ToolArguments`] knows the call.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.index.unwrap_or(self.position)
    }
}

/// Everything found in a `choices` array.
#[derive(Debug, Default)]
pub(super) struct Choices<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    pub(super) finishes: Vec<(u32, String)>,
    pub(super) logprobs: Vec<(u32, Range<usize>)>,
    pub(super) tools: Vec<ToolCall<'a>>,
    /// Texts that no chunk continues: keys, and what stands where a number should.
    pub(super) others: Vec<TextSpan<'a>>,
    /// How many choices there are, or `None` where the array is missing.
    pub(super) count: Option<u32>,
    /// A field was seen that the pieces do not tell of.
    pub(super) extra: bool,
    path: String,
}

impl<'a> Choices<'a> {
    pub(super) fn read(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Array {
            return self.other(cursor, "choices");
        }
        let mut items = cursor.enter()?;
        let mut position = 0;
        while cursor.element(&mut items)? {
            if cursor.peek()? == Kind::Object {
                self.choice(cursor, position)?;
            } else {
                self.other(cursor, "choices")?;
            }
            position += 1;
        }
        self.count = Some(self.count.unwrap_or(0) + position);
        Ok(())
    }

    fn choice(&mut self, cursor: &mut Cursor<'a>, position: u32) -> Result<(), JsonError> {
        let (pieces, tools) = (self.pieces.len(), self.tools.len());
        let mut index = position;
        let mut finish = None;
        let mut logprobs = None;
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(cursor.raw());
            match &*name {
                "index" => index = self.index(cursor)?.unwrap_or(position),
                "delta" | "message" => self.message(cursor)?,
                "text" => self.text(cursor, "/text", Channel::Content, Role::Assistant)?,
                "finish_reason" => {
                    if cursor.peek()? == Kind::String {
                        let span = cursor.span(Role::Other)?;
                        finish = Some(span.text.to_string());
                        if !is_opaque("finish_reason", &span.text) {
                            self.push(Channel::Other("/finish_reason".into()), span);
                        }
                    } else {
                        self.other(cursor, "/finish_reason")?;
                    }
                }
                "logprobs" if cursor.peek()? != Kind::String => {
                    let start = cursor.value_start();
                    let null = cursor.peek()? == Kind::Null;
                    cursor.skip()?;
                    if !null {
                        logprobs = Some(start..cursor.offset());
                    }
                }
                _ => self.field(cursor, "/", &key, name)?,
            }
        }
        // The index may stand after what it numbers.
        for piece in &mut self.pieces[pieces..] {
            piece.choice = index;
        }
        for tool in &mut self.tools[tools..] {
            tool.choice = index;
        }
        self.finishes.extend(finish.map(|reason| (index, reason)));
        self.logprobs.extend(logprobs.map(|range| (index, range)));
        Ok(())
    }

    fn message(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Object {
            return self.other(cursor, "/message");
        }
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(cursor.raw());
            match &*name {
                "content" if cursor.peek()? == Kind::Array => self.parts(cursor)?,
                "content" => self.text(cursor, "content", Channel::Content, Role::Assistant)?,
                "refusal" => self.text(cursor, "refusal", Channel::Refusal, Role::Assistant)?,
                "reasoning" => self.text(cursor, "reasoning", Channel::Reasoning, Role::Assistant)?,
                "reasoning_content" => {
                    self.text(cursor, "reasoning_content", Channel::ReasoningContent, Role::Assistant)?;
                }
                "tool_calls" if cursor.peek()? == Kind::Array => self.tool_calls(cursor)?,
                "function_call" if cursor.peek()? == Kind::Object => {
                    self.extra = true;
                    let mut items = cursor.enter()?;
                    while let Some(key) = cursor.key(&mut items)? {
                        let name = key.text(cursor.raw());
                        match &*name {
                            "arguments" => {
                                let channel = Channel::FunctionArguments;
                                self.text(cursor, "function_call/arguments", channel, Role::ToolCall)?;
                            }
                            _ => self.field(cursor, "function_call/", &key, name)?,
                        }
                    }
                }
                "audio" if cursor.peek()? == Kind::Object => {
                    self.extra = true;
                    let mut items = cursor.enter()?;
                    while let Some(key) = cursor.key(&mut items)? {
                        let name = key.text(cursor.raw());
                        match &*name {
                            "transcript" => {
                                self.text(cursor, "audio/transcript", Channel::Transcript, Role::Assistant)?;
                            }
                            _ => self.field(cursor, "audio/", &key, name)?,
                        }
                    }
                }
                "role" => {
                    let extra = self.extra;
                    self.other(cursor, "role")?;
                    self.extra = extra;
                }
                _ => self.field(cursor, "", &key, name)?,
            }
        }
        Ok(())
    }

    /// Content as an array of parts: the text of each is content, anything else is apart.
    fn parts(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let mut parts = cursor.enter()?;
        let mut index = 0u32;
        while cursor.element(&mut parts)? {
            match cursor.peek()? {
                Kind::Object => {
                    let mut items = cursor.enter()?;
                    while let Some(key) = cursor.key(&mut items)? {
                        let name = key.text(cursor.raw());
                        match &*name {
                            "text" => self.text(cursor, "content/text", Channel::Content, Role::Assistant)?,
                            _ => {
                                self.path.clear();
                                // Writing to a String cannot fail.
                                let _ = write!(self.path, "content/{index}/");
                                push_key(&mut self.path, &name);
                                self.extra |= name != "type";
                                self.walk(cursor, &name)?;
                                self.others.extend(odd_key(&key, name, Role::Assistant));
                            }
                        }
                    }
                }
                _ => self.text(cursor, "content", Channel::Content, Role::Assistant)?,
            }
            index += 1;
        }
        Ok(())
    }

    fn tool_calls(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let mut calls = cursor.enter()?;
        let mut position = 0;
        while cursor.element(&mut calls)? {
            if cursor.peek()? == Kind::Object {
                self.tool_call(cursor, position)?;
            } else {
                self.other(cursor, "tool_calls")?;
            }
            position += 1;
        }
        Ok(())
    }

    fn tool_call(&mut self, cursor: &mut Cursor<'a>, position: u32) -> Result<(), JsonError> {
        let start = self.pieces.len();
        let mut call = ToolCall {
            choice: 0,
            index: None,
            position,
            id: None,
            kind: None,
            name: None,
        };
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(cursor.raw());
            match &*name {
                "index" => call.index = self.index(cursor)?,
                "id" => call.id = self.label(cursor, "tool_calls/id", Channel::ToolName(0))?,
                "type" => call.kind = self.label(cursor, "tool_calls/type", Channel::ToolName(0))?,
                "function" | "custom" if cursor.peek()? == Kind::Object => {
                    let mut items = cursor.enter()?;
                    while let Some(key) = cursor.key(&mut items)? {
                        let name = key.text(cursor.raw());
                        match &*name {
                            "name" => call.name = self.label(cursor, "tool_calls/name", Channel::ToolName(0))?,
                            "arguments" | "input" => {
                                let channel = Channel::ToolArguments(0);
                                self.text(cursor, "tool_calls/arguments", channel, Role::ToolCall)?;
                            }
                            _ => self.field(cursor, "tool_calls/", &key, name)?,
                        }
                    }
                }
                _ => self.field(cursor, "tool_calls/", &key, name)?,
            }
        }
        let number = call.number();
        for piece in &mut self.pieces[start..] {
            match &mut piece.channel {
                Channel::ToolArguments(index) | Channel::ToolName(index) => *index = number,
                _ => {}
            }
        }
        self.tools.push(call);
        Ok(())
    }

    /// An identifier; a text only where it does not look like one.
    fn label(
        &mut self,
        cursor: &mut Cursor<'a>,
        path: &str,
        channel: Channel,
    ) -> Result<Option<Cow<'a, str>>, JsonError> {
        if cursor.peek()? != Kind::String {
            return self.other(cursor, path).map(|()| None);
        }
        let span = cursor.span(Role::ToolCall)?;
        let text = span.text.clone();
        if !text.is_empty() && !is_opaque("name", &text) {
            self.push(channel, span);
        }
        Ok(Some(text))
    }

    /// A text of a known channel, where it is a string.
    fn text(&mut self, cursor: &mut Cursor<'a>, path: &str, channel: Channel, role: Role) -> Result<(), JsonError> {
        match cursor.peek()? {
            Kind::String => {
                let span = cursor.span(role)?;
                self.push(channel, span);
                Ok(())
            }
            Kind::Null => cursor.skip(),
            // Arguments as an object instead of a string (Ollama's native form): texts below it.
            _ => self.other(cursor, path),
        }
    }

    pub(super) fn push(&mut self, channel: Channel, span: TextSpan<'a>) {
        self.pieces.push(Piece {
            choice: 0,
            channel,
            span,
        });
    }

    /// A number; texts that stand there instead are not lost.
    fn index(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<u32>, JsonError> {
        if cursor.peek()? == Kind::Number {
            return Ok(small(cursor.u64()?));
        }
        collect(cursor, "", Role::Assistant, &mut self.others).map(|()| None)
    }

    /// A field of no known name.
    fn field(
        &mut self,
        cursor: &mut Cursor<'a>,
        parent: &str,
        key: &Literal,
        name: Cow<'a, str>,
    ) -> Result<(), JsonError> {
        self.path.clear();
        self.path.push_str(parent);
        push_key(&mut self.path, &name);
        self.extra |= cursor.peek()? != Kind::Null;
        self.walk(cursor, &name)?;
        self.others.extend(odd_key(key, name, Role::Assistant));
        Ok(())
    }

    /// A field that has no channel of its own.
    fn other(&mut self, cursor: &mut Cursor<'a>, path: &str) -> Result<(), JsonError> {
        self.path.clear();
        self.path.push_str(path);
        self.extra |= cursor.peek()? != Kind::Null;
        self.walk(cursor, path.rsplit('/').next().unwrap_or(path))
    }

    /// Every text of the next value, each in a channel named by its path.
    fn walk(&mut self, cursor: &mut Cursor<'a>, key: &str) -> Result<(), JsonError> {
        let length = self.path.len();
        match cursor.peek()? {
            Kind::String => {
                let span = cursor.span(Role::Assistant)?;
                if !span.text.is_empty() && !is_opaque(key, &span.text) {
                    let channel = Channel::Other(self.path.as_str().into());
                    self.push(channel, span);
                }
            }
            Kind::Object => {
                let mut items = cursor.enter()?;
                while let Some(literal) = cursor.key(&mut items)? {
                    let name = literal.text(cursor.raw());
                    self.path.push('/');
                    push_key(&mut self.path, &name);
                    self.walk(cursor, &name)?;
                    self.path.truncate(length);
                    self.others.extend(odd_key(&literal, name, Role::Assistant));
                }
            }
            Kind::Array => {
                let mut items = cursor.enter()?;
                let mut index = 0u32;
                while cursor.element(&mut items)? {
                    // Writing to a String cannot fail.
                    let _ = write!(self.path, "/{index}");
                    self.walk(cursor, key)?;
                    self.path.truncate(length);
                    index += 1;
                }
            }
            kind => cursor.scalar(kind)?,
        }
        Ok(())
    }
}

pub(super) fn small(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok())
}
