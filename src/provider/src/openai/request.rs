//! Requests: what is asked for, which texts are in it, and the edits that the sidecar makes.

mod edit;
mod messages;

use std::borrow::Cow;
use std::ops::Range;

use super::Endpoint;
use crate::json::{Cursor, ErrorKind, JsonError, Kind, Literal, Role, TextSpan, collect, is_opaque, odd_key};

pub use edit::{inject_include_usage, set_model};

/// What a request says. Parameters of the wrong type are left for the provider to refuse; they
/// are `None` here, and their texts are in [`View::texts`] all the same.
///
/// Where a key stands twice the last one counts, as in most parsers, but the texts of both are
/// listed.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The operation.
    pub endpoint: Endpoint,
    /// `model`
    pub model: Option<Cow<'a, str>>,
    /// `stream` is `true`. Whether the answer is a stream, its content type says.
    pub stream: bool,
    /// `stream_options.include_usage`
    pub include_usage: Option<bool>,
    /// `n`
    pub n: Option<u64>,
    /// `max_tokens`, `max_completion_tokens` or `max_output_tokens`
    pub max_tokens: Option<u64>,
    /// `temperature`
    pub temperature: Option<f64>,
    /// `top_p`
    pub top_p: Option<f64>,
    /// `seed`
    pub seed: Option<i64>,
    /// `stop`, one or several
    pub stop: Vec<Cow<'a, str>>,
    /// `frequency_penalty`
    pub frequency_penalty: Option<f64>,
    /// `presence_penalty`
    pub presence_penalty: Option<f64>,
    /// `user`, or else `safety_identifier`
    pub user: Option<Cow<'a, str>>,
    /// `metadata`, in the order of the request
    pub metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// `response_format.type`
    pub response_format: Option<Cow<'a, str>>,
    /// Where the schema of the answer stands: `response_format.json_schema`, or `text` of the Responses
    /// API, as they came.
    schema_place: Option<&'a str>,
    /// `service_tier`
    pub service_tier: Option<Cow<'a, str>>,
    /// `reasoning_effort`
    pub reasoning_effort: Option<Cow<'a, str>>,
    /// Every text of the request, in its order, and after them whole numbers of nine or more digits under no
    /// known name. Left out are identifiers, image URLs and base64 blobs, and only where they have the shape
    /// of one.
    pub texts: Vec<TextSpan<'a>>,
    /// How many messages or input items there are.
    pub messages: u32,
    /// How many images are among them.
    pub images: u32,
    /// How many tools or functions are offered.
    pub tools: u32,
    /// How many tokens of the prompt are given by their numbers: nothing of them is in `texts`.
    pub token_ids: u64,
    places: Places,
}

/// Where edits go.
#[derive(Clone, Debug, Default)]
struct Places {
    /// After the opening brace of the body.
    open: usize,
    /// Every value under `model`: a parser that takes the first must read the same.
    models: Vec<Range<usize>>,
    /// The last `stream_options`.
    options: Option<Options>,
}

#[derive(Clone, Debug)]
struct Options {
    value: Range<usize>,
    object: bool,
    empty: bool,
    include_usage: Option<Range<usize>>,
}

impl View<'_> {
    /// Whether an image is among the messages.
    #[must_use]
    pub fn has_images(&self) -> bool {
        self.images > 0
    }

    /// The JSON Schema that the answer is to have, as it came.
    #[must_use]
    pub fn response_schema(&self) -> Option<&str> {
        schema_in(self.schema_place?).ok()?
    }

    fn new(endpoint: Endpoint) -> Self {
        View {
            endpoint,
            model: None,
            stream: false,
            include_usage: None,
            n: None,
            max_tokens: None,
            temperature: None,
            top_p: None,
            seed: None,
            stop: Vec::new(),
            frequency_penalty: None,
            presence_penalty: None,
            user: None,
            metadata: Vec::new(),
            response_format: None,
            schema_place: None,
            service_tier: None,
            reasoning_effort: None,
            texts: Vec::new(),
            messages: 0,
            images: 0,
            tools: 0,
            token_ids: 0,
            places: Places::default(),
        }
    }
}

/// The value of `schema`, or of `format.schema`.
fn schema_in(raw: &str) -> Result<Option<&str>, JsonError> {
    let mut cursor = Cursor::new(raw);
    let mut found = None;
    if cursor.peek()? == Kind::Object {
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let start = cursor.value_start();
            cursor.skip()?;
            let value = raw.get(start..cursor.offset());
            match &*key.text(raw) {
                "schema" => found = value,
                "format" => found = value.map(schema_in).transpose()?.flatten(),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// Reads a request body in one pass.
///
/// # Errors
/// If `raw` is not JSON, nests too deep, or is no object where the endpoint takes one.
pub fn parse(endpoint: Endpoint, raw: &str) -> Result<View<'_>, JsonError> {
    let mut cursor = Cursor::noting_numbers(raw);
    let mut view = View::new(endpoint);
    if cursor.peek()? == Kind::Object {
        let mut items = cursor.enter()?;
        view.places.open = cursor.offset();
        while let Some(key) = cursor.key(&mut items)? {
            view.member(&mut cursor, &key, key.text(raw))?;
        }
    } else if endpoint.takes_object() {
        return Err(cursor.error(ErrorKind::NotAnObject));
    } else {
        collect(&mut cursor, "", Role::Other, &mut view.texts)?;
    }
    cursor.end()?;
    view.texts.extend(cursor.long_numbers());
    Ok(view)
}

/// `model` of a JSON body of whatever endpoint: of several, the last; `None` where that is no string, or the body
/// no object.
#[must_use]
pub fn model_of(raw: &str) -> Option<Cow<'_, str>> {
    let mut cursor = Cursor::new(raw);
    if cursor.peek().ok()? != Kind::Object {
        return None;
    }
    let mut model = None;
    let mut items = cursor.enter().ok()?;
    while let Some(key) = cursor.key(&mut items).ok()? {
        if key.text(raw) != "model" {
            cursor.skip().ok()?;
        } else if cursor.peek().ok()? == Kind::String {
            model = Some(cursor.span(Role::Other).ok()?.text);
        } else {
            cursor.skip().ok()?;
            model = None;
        }
    }
    model
}

impl<'a> View<'a> {
    fn member(&mut self, cursor: &mut Cursor<'a>, literal: &Literal, name: Cow<'a, str>) -> Result<(), JsonError> {
        let key = &*name;
        match key {
            "messages" => self.messages(cursor, Role::Other)?,
            "input" if self.endpoint == Endpoint::Responses => match cursor.peek()? {
                Kind::Array => self.messages(cursor, Role::User)?,
                _ => self.prompt(cursor, key, Role::User)?,
            },
            "model" => self.model(cursor)?,
            "stream" => {
                let kind = cursor.peek()?;
                self.stream = kind == Kind::True;
                self.other(cursor, key)?;
            }
            "stream_options" => self.stream_options(cursor)?,
            "n" => self.n = self.number(cursor, key)?,
            "max_tokens" | "max_completion_tokens" | "max_output_tokens" => {
                self.max_tokens = self.number(cursor, key)?.or(self.max_tokens);
            }
            "temperature" => self.temperature = self.number(cursor, key)?,
            "top_p" => self.top_p = self.number(cursor, key)?,
            "seed" => self.seed = self.number(cursor, key)?,
            "frequency_penalty" => self.frequency_penalty = self.number(cursor, key)?,
            "presence_penalty" => self.presence_penalty = self.number(cursor, key)?,
            "stop" => {
                let start = self.texts.len();
                self.other(cursor, key)?;
                self.stop = self.texts[start..].iter().map(|span| span.text.clone()).collect();
            }
            "user" => self.user = self.text(cursor, key)?,
            "safety_identifier" => {
                let text = self.text(cursor, key)?;
                if self.user.is_none() {
                    self.user = text;
                }
            }
            "service_tier" => self.service_tier = self.text(cursor, key)?,
            "reasoning_effort" => self.reasoning_effort = self.text(cursor, key)?,
            "metadata" => self.metadata(cursor)?,
            "response_format" => self.response_format(cursor)?,
            "text" => self.schema_place(cursor, "text")?,
            "tools" | "functions" => self.tools(cursor)?,
            "input" | "prompt" => self.prompt(cursor, key, Role::User)?,
            "suffix" => collect(cursor, key, Role::User, &mut self.texts)?,
            "instructions" => collect(cursor, key, Role::System, &mut self.texts)?,
            "prediction" => collect(cursor, key, Role::Assistant, &mut self.texts)?,
            _ => self.field(cursor, literal, name)?,
        }
        Ok(())
    }

    /// A field of no known name, and its name where that may be a text.
    fn field(&mut self, cursor: &mut Cursor<'a>, key: &Literal, name: Cow<'a, str>) -> Result<(), JsonError> {
        collect(cursor, &name, Role::Other, &mut self.texts)?;
        self.texts.extend(odd_key(key, name, Role::Other));
        Ok(())
    }

    /// Texts, or numbers of tokens instead, one or several.
    fn prompt(&mut self, cursor: &mut Cursor<'a>, key: &str, role: Role) -> Result<(), JsonError> {
        match cursor.peek()? {
            kind @ Kind::Number => {
                self.token_ids += 1;
                cursor.scalar(kind)
            }
            Kind::Array => {
                let mut items = cursor.enter()?;
                while cursor.element(&mut items)? {
                    self.prompt(cursor, key, role)?;
                }
                Ok(())
            }
            _ => collect(cursor, key, role, &mut self.texts),
        }
    }

    fn other(&mut self, cursor: &mut Cursor<'a>, key: &str) -> Result<(), JsonError> {
        collect(cursor, key, Role::Other, &mut self.texts)
    }

    fn number<T: std::str::FromStr>(&mut self, cursor: &mut Cursor<'a>, key: &str) -> Result<Option<T>, JsonError> {
        if cursor.peek()? == Kind::Number {
            return Ok(cursor.number()?.parse().ok());
        }
        self.other(cursor, key).map(|()| None)
    }

    /// A string that is a text unless it has the shape of what its key names.
    fn text(&mut self, cursor: &mut Cursor<'a>, key: &str) -> Result<Option<Cow<'a, str>>, JsonError> {
        if cursor.peek()? != Kind::String {
            return self.other(cursor, key).map(|()| None);
        }
        let span = cursor.span(Role::Other)?;
        let text = span.text.clone();
        if !is_opaque(key, &text) {
            self.texts.push(span);
        }
        Ok(Some(text))
    }

    fn model(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let start = cursor.value_start();
        self.model = self.text(cursor, "model")?;
        self.places.models.push(start..cursor.offset());
        Ok(())
    }

    fn stream_options(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        let start = cursor.value_start();
        let object = cursor.peek()? == Kind::Object;
        let mut include_usage = None;
        let mut empty = true;
        self.include_usage = None;
        if object {
            let mut items = cursor.enter()?;
            while let Some(key) = cursor.key(&mut items)? {
                empty = false;
                let name = key.text(cursor.raw());
                if name == "include_usage" {
                    let at = cursor.value_start();
                    self.include_usage = match cursor.peek()? {
                        Kind::True => Some(true),
                        Kind::False => Some(false),
                        _ => None,
                    };
                    self.other(cursor, &name)?;
                    include_usage = Some(at..cursor.offset());
                } else {
                    self.field(cursor, &key, name)?;
                }
            }
        } else {
            self.other(cursor, "stream_options")?;
        }
        self.places.options = Some(Options {
            value: start..cursor.offset(),
            object,
            empty,
            include_usage,
        });
        Ok(())
    }

    fn metadata(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Object {
            return self.other(cursor, "metadata");
        }
        self.metadata.clear();
        let mut items = cursor.enter()?;
        while let Some(literal) = cursor.key(&mut items)? {
            let key = literal.text(cursor.raw());
            if cursor.peek()? == Kind::String {
                let span = cursor.span(Role::Other)?;
                self.metadata.push((key.clone(), span.text.clone()));
                self.texts.push(span);
            } else {
                self.other(cursor, &key)?;
            }
            // A key of metadata is the app's to choose, and so a text.
            self.texts.push(TextSpan {
                range: literal.range(),
                text: key,
                role: Role::Other,
            });
        }
        Ok(())
    }

    fn response_format(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Object {
            return self.other(cursor, "response_format");
        }
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(cursor.raw());
            match &*name {
                "type" => self.response_format = self.text(cursor, "type")?,
                "json_schema" => self.schema_place(cursor, "json_schema")?,
                _ => self.field(cursor, &key, name)?,
            }
        }
        Ok(())
    }

    fn schema_place(&mut self, cursor: &mut Cursor<'a>, key: &str) -> Result<(), JsonError> {
        let start = cursor.value_start();
        self.other(cursor, key)?;
        self.schema_place = cursor.raw().get(start..cursor.offset());
        Ok(())
    }

    fn tools(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Array {
            return self.other(cursor, "tools");
        }
        let mut items = cursor.enter()?;
        while cursor.element(&mut items)? {
            self.tools += 1;
            self.other(cursor, "tools")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
