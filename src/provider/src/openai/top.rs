//! The outermost object of an answer or of a stream's chunk.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::error::Error;
use super::pieces::{Choices, small};
use super::{Channel, Endpoint};
use crate::json::{
    Cursor, JsonError, Kind, Literal, Role, TextSpan, collect_apart, is_opaque, is_timestamp, odd_key, role_of,
};
use crate::usage::{self, Reported};

#[derive(Debug, Default)]
pub(super) struct Top<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) service_tier: Option<Cow<'a, str>>,
    pub(super) choices: Choices<'a>,
    pub(super) reported: Option<Reported>,
    /// Where the last usage object stands.
    pub(super) usage_range: Option<Range<usize>>,
    pub(super) error: Option<Error>,
    pub(super) status: Option<String>,
    /// Texts outside of the choices.
    pub(super) others: Vec<TextSpan<'a>>,
    /// A field was seen that a chunk does not usually have.
    pub(super) extra: bool,
    /// ... or one that says where an event's delta belongs.
    place: bool,
    /// Where the `response` object of an event of the Responses API stands.
    pub(super) response: Option<Range<usize>>,
    /// Texts that are complete here.
    pub(super) ends: Vec<(u32, Channel)>,
    /// The object is an event of the Responses API.
    pub(super) event: bool,
    /// Where log probabilities stand outside of the choices.
    pub(super) event_logprobs: Vec<Range<usize>>,
    /// The object is a chunk of a stream: its texts may continue in the next.
    streamed: bool,
    /// Outermost texts of no known name.
    outermost: Vec<(String, TextSpan<'a>)>,
    delta: Option<TextSpan<'a>>,
    item_id: Option<Cow<'a, str>>,
    output_index: Option<u32>,
    content_index: Option<u32>,
    summary_index: Option<u32>,
    object: Option<Cow<'a, str>>,
    message: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    code: Option<String>,
}

impl<'a> Top<'a> {
    /// A whole answer.
    pub(super) fn read(endpoint: Endpoint, raw: &'a str) -> Result<Top<'a>, JsonError> {
        Top::default().document(endpoint, raw)
    }

    /// A chunk of a stream.
    pub(super) fn chunk(raw: &'a str) -> Result<Top<'a>, JsonError> {
        let top = Top {
            streamed: true,
            ..Top::default()
        };
        top.document(Endpoint::ChatCompletions, raw)
    }

    fn document(self, endpoint: Endpoint, raw: &'a str) -> Result<Top<'a>, JsonError> {
        let mut top = self;
        let mut cursor = Cursor::new(raw);
        if cursor.peek()? == Kind::Object {
            let mut items = cursor.enter()?;
            while let Some(key) = cursor.key(&mut items)? {
                top.member(endpoint, &mut cursor, &key, key.text(raw))?;
            }
        } else {
            top.listed(&mut cursor)?;
        }
        cursor.end()?;
        top.others.append(&mut top.choices.others);
        top.settle();
        // vLLM and others: the error is the object itself.
        if top.error.is_none() && top.object.as_deref() == Some("error") {
            let message = top.message.take().unwrap_or_default().into_owned();
            top.error = Some(Error {
                message,
                kind: top.kind.take().map(Cow::into_owned),
                code: top.code.take(),
                param: None,
            });
        }
        Ok(top)
    }

    /// A document that is no object. Some providers put their errors into arrays: `[{"error": {…}}]`.
    fn listed(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Array {
            return self.collect(cursor, "", Role::Other);
        }
        let mut elements = cursor.enter()?;
        while cursor.element(&mut elements)? {
            if cursor.peek()? != Kind::Object {
                self.collect(cursor, "", Role::Other)?;
                continue;
            }
            let mut items = cursor.enter()?;
            while let Some(key) = cursor.key(&mut items)? {
                let name = key.text(cursor.raw());
                if name == "error" {
                    let error = self.error_object(cursor)?;
                    self.error = self.error.take().or(error);
                } else {
                    self.unknown_field(cursor, &key, name)?;
                }
            }
        }
        Ok(())
    }

    fn member(
        &mut self,
        endpoint: Endpoint,
        cursor: &mut Cursor<'a>,
        literal: &Literal,
        name: Cow<'a, str>,
    ) -> Result<(), JsonError> {
        let key = &*name;
        // Within the `response` of an event the endpoint is another.
        let chunk = self.streamed && endpoint == Endpoint::ChatCompletions;
        match key {
            "choices" => self.choices.read(cursor)?,
            "id" => self.id = self.text(cursor, key)?,
            "model" => self.model = self.text(cursor, key)?,
            "object" => self.object = self.text(cursor, key)?,
            "service_tier" => self.service_tier = self.text(cursor, key)?,
            "usage" => self.usage(cursor)?,
            "x_groq" => self.groq(cursor)?,
            "error" => {
                if let Some(error) = self.error_object(cursor)? {
                    self.error = Some(error);
                }
            }
            "message" if chunk && cursor.peek()? == Kind::String => {
                let span = cursor.span(Role::Assistant)?;
                self.message = Some(span.text.clone());
                self.outermost.push((key.to_owned(), span));
            }
            "message" => self.message = self.text(cursor, key)?,
            "type" => self.kind = self.text(cursor, key)?,
            "code" => self.code = self.code(cursor)?,
            "status" if endpoint.answers_responses() => {
                self.status = self.text(cursor, key)?.map(Cow::into_owned);
            }
            "delta" if cursor.peek()? == Kind::String => {
                let span = cursor.span(Role::Assistant)?;
                // Of two, clients may read either.
                self.others.extend(self.delta.replace(span));
            }
            "output_index" if cursor.peek()? == Kind::Number => self.output_index = small(cursor.u64()?),
            "content_index" | "summary_index" if chunk && cursor.peek()? == Kind::Number => {
                self.place = true;
                let index = small(cursor.u64()?);
                if key == "content_index" {
                    self.content_index = index;
                } else {
                    self.summary_index = index;
                }
            }
            "item_id" if chunk => {
                self.place = true;
                self.item_id = self.text(cursor, key)?;
            }
            "response" if cursor.peek()? == Kind::Object => self.response(cursor)?,
            "output" if endpoint.answers_responses() && cursor.peek()? == Kind::Array => self.output(cursor)?,
            "created" | "system_fingerprint" => self.collect(cursor, key, Role::Other)?,
            _ => {
                match key {
                    "obfuscation" => {}
                    "sequence_number" => self.place = true,
                    // Log probabilities have ranges of their own.
                    "logprobs" => self.place = true,
                    _ => self.extra = true,
                }
                if chunk && cursor.peek()? == Kind::String {
                    self.outermost_text(cursor, key)?;
                } else {
                    self.collect(cursor, key, Role::Other)?;
                }
                self.others.extend(odd_key(literal, name, Role::Other));
            }
        }
        Ok(())
    }

    fn collect(&mut self, cursor: &mut Cursor<'a>, key: &str, role: Role) -> Result<(), JsonError> {
        collect_apart(cursor, key, role, &mut self.others, &mut self.event_logprobs)
    }

    /// A chunk's string of no known name: the text of another server's stream, unless its name and
    /// its shape say that each chunk has it anew.
    fn outermost_text(&mut self, cursor: &mut Cursor<'a>, key: &str) -> Result<(), JsonError> {
        let span = cursor.span(role_of(key, Role::Assistant))?;
        if span.text.is_empty() || is_opaque(key, &span.text) {
            return Ok(());
        }
        let anew = matches!(key, "provider" | "obfuscation" | "param")
            || (key.ends_with("_id") && is_opaque("id", &span.text))
            || (key.ends_with("_reason") && is_opaque("finish_reason", &span.text))
            || is_timestamp(key, &span.text);
        if anew {
            self.others.push(span);
        } else {
            self.outermost.push((key.to_owned(), span));
        }
        Ok(())
    }

    fn text(&mut self, cursor: &mut Cursor<'a>, key: &str) -> Result<Option<Cow<'a, str>>, JsonError> {
        if cursor.peek()? != Kind::String {
            return self.collect(cursor, key, Role::Other).map(|()| None);
        }
        let span = cursor.span(Role::Other)?;
        let text = span.text.clone();
        if !is_opaque(key, &text) {
            self.others.push(span);
        }
        Ok(Some(text))
    }

    /// The response so far, or whole, within an event. Its texts are not pieces: the deltas were.
    fn response(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let start = cursor.value_start();
        let kind = self.kind.take();
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(cursor.raw());
            match &*name {
                key @ ("output" | "delta" | "response" | "choices") => {
                    self.collect(cursor, key, Role::Assistant)?;
                }
                _ => self.member(Endpoint::Responses, cursor, &key, name)?,
            }
        }
        self.kind = kind;
        self.object = None;
        self.response = Some(start..cursor.offset());
        Ok(())
    }

    /// Events of the Responses API: what the delta is a part of, and what ends.
    fn settle(&mut self) {
        let kind = self.kind.take().unwrap_or_default();
        self.kind = Some(kind.clone()).filter(|kind| !kind.is_empty());
        let kind = &*kind;
        if kind == "error" && self.error.is_none() {
            let message = self.message.take().unwrap_or_default().into_owned();
            self.error = Some(Error {
                message,
                kind: None,
                code: self.code.take(),
                param: None,
            });
        }
        let event = kind.strip_prefix("response.");
        self.event = event.is_some();
        self.extra |= self.place && !self.event;
        // An end like that is an error also where the provider does not say which.
        if self.streamed && event == Some("failed") && self.error.is_none() {
            self.error = Some(Error {
                message: "the response failed".to_owned(),
                code: Some("response_failed".to_owned()),
                ..Error::default()
            });
        }
        let output_index = self.output_index.unwrap_or(0);
        if let Some(mut span) = self.delta.take() {
            let known = event.and_then(|event| channel_of(event.strip_suffix(".delta")?));
            match known {
                Some(channel) => {
                    if channel.is_arguments() {
                        span.role = Role::ToolCall;
                    }
                    self.push(output_index, channel, span);
                }
                None if is_opaque("data", &span.text) => {}
                None if self.streamed => self.push(0, self.unknown(kind), span),
                None => self.others.push(span),
            }
        }
        let failed =
            self.error.is_some() || self.object.as_deref() == Some("error") || self.code.is_some() || !kind.is_empty();
        // An event that is no delta says its texts as a whole.
        let whole = self.event || kind.ends_with(".done");
        for (key, span) in std::mem::take(&mut self.outermost) {
            if whole || span.text.is_empty() || (failed && key == "message") {
                self.others.push(span);
            } else {
                self.push(0, Channel::Other(format!("//{key}").into()), span);
            }
        }
        if kind.ends_with(".done") {
            let known = event.and_then(|event| channel_of(event.strip_suffix(".done")?));
            self.ends.push(match known {
                Some(channel) => (output_index, channel),
                None => (0, self.unknown(kind)),
            });
        }
        match event {
            Some(event @ ("completed" | "incomplete" | "failed" | "cancelled")) => {
                let status = self.status.take().unwrap_or_else(|| event.to_owned());
                self.choices.finishes.push((0, status));
            }
            // Still in progress.
            _ => self.response = None,
        }
    }

    fn push(&mut self, choice: u32, channel: Channel, span: TextSpan<'a>) {
        self.choices.push(channel, span);
        if let Some(piece) = self.choices.pieces.last_mut() {
            piece.choice = choice;
        }
    }

    /// The text that the deltas of an event of unknown name are parts of, also as its `….done`
    /// ends it. All are of choice 0, with which the response ends: none can be left over then.
    fn unknown(&self, kind: &str) -> Channel {
        if kind.is_empty() {
            return Channel::Other("//delta".into());
        }
        let mut name = match kind.strip_suffix(".done") {
            Some(stem) => format!("{stem}.delta"),
            None => kind.to_owned(),
        };
        // Some servers give an item another id in each event, so its index is better.
        if let (None, Some(id)) = (self.output_index, &self.item_id) {
            name.push('/');
            name.push_str(id);
        }
        for (key, index) in [
            ("output", self.output_index),
            ("content", self.content_index),
            ("summary", self.summary_index),
        ] {
            if let Some(index) = index {
                // Writing to a String cannot fail.
                let _ = write!(name, "/{key}_index={index}");
            }
        }
        Channel::Other(name.into())
    }

    fn code(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<String>, JsonError> {
        if cursor.peek()? == Kind::Number {
            return Ok(Some(cursor.number()?.to_owned()));
        }
        Ok(self.text(cursor, "id")?.map(Cow::into_owned))
    }

    fn usage(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let start = cursor.value_start();
        if let Some(reported) = usage::read(cursor, &mut self.others)? {
            self.reported = Some(reported);
            self.usage_range = Some(start..cursor.offset());
        }
        Ok(())
    }

    /// Groq's own envelope: usage and errors of streams.
    fn groq(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Object {
            return self.collect(cursor, "x_groq", Role::Other);
        }
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(cursor.raw());
            match &*name {
                "usage" if self.reported.is_none() => self.usage(cursor)?,
                "error" => {
                    let error = self.error_object(cursor)?;
                    self.error = self.error.take().or(error);
                }
                _ => self.unknown_field(cursor, &key, name)?,
            }
        }
        Ok(())
    }

    fn unknown_field(&mut self, cursor: &mut Cursor<'a>, key: &Literal, name: Cow<'a, str>) -> Result<(), JsonError> {
        self.collect(cursor, &name, Role::Other)?;
        self.others.extend(odd_key(key, name, Role::Other));
        Ok(())
    }

    fn error_object(&mut self, cursor: &mut Cursor<'a>) -> Result<Option<Error>, JsonError> {
        match cursor.peek()? {
            Kind::Null => cursor.skip().map(|()| None),
            Kind::Object => {
                let mut error = Error::default();
                let mut items = cursor.enter()?;
                while let Some(key) = cursor.key(&mut items)? {
                    let name = key.text(cursor.raw());
                    match &*name {
                        "message" => error.message = self.text(cursor, "message")?.unwrap_or_default().into_owned(),
                        "type" => error.kind = self.text(cursor, "type")?.map(Cow::into_owned),
                        "param" => error.param = self.text(cursor, "name")?.map(Cow::into_owned),
                        "code" => error.code = self.code(cursor)?,
                        _ => self.unknown_field(cursor, &key, name)?,
                    }
                }
                Ok(Some(error))
            }
            _ => {
                let message = self.text(cursor, "error")?.unwrap_or_default().into_owned();
                Ok(Some(Error {
                    message,
                    ..Error::default()
                }))
            }
        }
    }

    /// Output items of the Responses API: each item is a choice of its own.
    fn output(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let mut items = cursor.enter()?;
        let mut choice = 0;
        while cursor.element(&mut items)? {
            let start = self.others.len();
            self.collect(cursor, "output", Role::Assistant)?;
            for span in self.others.split_off(start) {
                // `arguments` and `input` of a call are guarded as such.
                let channel = if span.role == Role::ToolCall {
                    Channel::ToolArguments(0)
                } else {
                    Channel::Content
                };
                self.push(choice, channel, span);
            }
            choice += 1;
        }
        Ok(())
    }
}

/// The text that `response.…delta` is a part of, and `response.…done` the end of.
fn channel_of(event: &str) -> Option<Channel> {
    Some(match event {
        "output_text" => Channel::Content,
        "refusal" => Channel::Refusal,
        "reasoning_text" | "reasoning" => Channel::Reasoning,
        "reasoning_summary_text" | "reasoning_summary" => Channel::Other("reasoning_summary".into()),
        "audio.transcript" | "audio_transcript" | "output_audio_transcript" => Channel::Transcript,
        "function_call_arguments" | "custom_tool_call_input" | "mcp_call_arguments" => Channel::ToolArguments(0),
        "code_interpreter_call_code" => Channel::Other("code".into()),
        _ => return None,
    })
}
