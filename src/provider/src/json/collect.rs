//! Which string values carry free text.
//!
//! Every string is a text unless its *key* names an identifier or a blob **and** its *shape* is that
//! of one. An address of the web is a text: its query may say anything. The second half matters: a sentence under `"model"`, or in a duplicate
//! of a key, would otherwise pass the guardrails unseen.

use std::borrow::Cow;
use std::ops::Range;

use super::cursor::Literal;
use super::{Cursor, JsonError, Kind, Role, TextSpan};

const IDENTIFIER_MAX: usize = 128;
const BLOB_MIN: usize = 256;

/// Whether a value is an identifier or a blob rather than text.
pub(crate) fn is_opaque(key: &str, text: &str) -> bool {
    match key {
        "id"
        | "tool_call_id"
        | "call_id"
        | "item_id"
        | "file_id"
        | "previous_response_id"
        | "response_id"
        | "system_fingerprint"
        | "obfuscation"
        | "$schema"
        | "$ref" => is_identifier(text),
        "model"
        | "type"
        | "role"
        | "object"
        | "finish_reason"
        | "native_finish_reason"
        | "detail"
        | "format"
        | "status"
        | "encoding_format"
        | "service_tier"
        | "tool_choice"
        | "effort"
        | "reasoning_effort"
        | "verbosity"
        | "voice"
        | "modalities"
        | "include"
        | "truncation"
        | "required"
        | "name"
        | "severity"
        | "syntax"
        | "provider"
        | "prompt_cache_retention" => is_label(text),
        "url" | "image_url" | "file_url" => is_data_url(text),
        key => is_blob_key(key) && (is_data_url(text) || is_blob(text)),
    }
}

/// Whether base64 is what usually stands under a key.
fn is_blob_key(key: &str) -> bool {
    matches!(
        key,
        "data"
            | "file_data"
            | "b64_json"
            | "embedding"
            | "encrypted_content"
            | "image"
            | "images"
            | "mask"
            | "audio"
            | "signature"
            | "thought_signature"
    )
}

fn is_identifier(text: &str) -> bool {
    text.len() <= IDENTIFIER_MAX
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-./:+#$".contains(&byte))
}

/// An identifier that is a word: card, phone and account numbers are no names of anything.
fn is_label(text: &str) -> bool {
    const DIGITS_MAX: usize = 8;
    let long = || {
        text.as_bytes()
            .windows(DIGITS_MAX + 1)
            .any(|run| run.iter().all(u8::is_ascii_digit))
    };
    is_identifier(text) && (text.is_empty() || text.bytes().any(|byte| byte.is_ascii_alphabetic())) && !long()
}

/// `data:image/png;base64,…`. A data URL that is not base64 is text, and so is one that says anything but what
/// kind of data it is.
pub(super) fn is_data_url(text: &str) -> bool {
    text.strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
        .is_some_and(|(media, payload)| is_media_type(media) && !payload.is_empty() && is_base64(payload))
}

/// `image/png` or `text/plain;charset=utf-8`.
fn is_media_type(media: &str) -> bool {
    let is_word = |word: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-' | b'_');
        !word.is_empty() && word.bytes().all(plain)
    };
    let is_pair = |pair: &str, between: char| {
        pair.split_once(between)
            .is_some_and(|(left, right)| is_word(left) && is_word(right))
    };
    let mut parts = media.split(';');
    media.len() <= IDENTIFIER_MAX
        && media.bytes().filter(u8::is_ascii_digit).count() < 9
        && parts.next().is_some_and(|kind| is_pair(kind, '/'))
        && parts.all(|parameter| is_pair(parameter, '='))
}

fn is_blob(text: &str) -> bool {
    text.len() >= BLOB_MIN && is_base64(text)
}

fn is_base64(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'))
}

/// Whether an object's key can be nothing but a name. Schemas and metadata put words of the user
/// into keys, and a model reads them as it reads values.
pub(crate) fn is_plain_key(key: &str) -> bool {
    let mut digits = 0;
    key.len() <= 64
        && key.bytes().all(|byte| {
            digits += u32::from(byte.is_ascii_digit());
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'/' | b':')
        })
        && digits < 9
}

/// The key that stands at `literal`, if it may be a text.
pub(crate) fn odd_key<'a>(literal: &Literal, name: Cow<'a, str>, role: Role) -> Option<TextSpan<'a>> {
    (!is_plain_key(&name)).then(|| TextSpan {
        range: literal.range(),
        text: name,
        role,
    })
}

/// Whether a value is a point in time (RFC 3339 or near it) by its key and its shape: a stream
/// repeats it and never continues it.
pub(crate) fn is_timestamp(key: &str, text: &str) -> bool {
    const LENGTH: std::ops::RangeInclusive<usize> = 10..=40;
    let date = b"dddd-dd-dd";
    (key.ends_with("_at") || key == "timestamp")
        && LENGTH.contains(&text.len())
        && text.bytes().enumerate().all(|(at, byte)| match date.get(at) {
            Some(b'd') => byte.is_ascii_digit(),
            Some(dash) => byte == *dash,
            None => byte.is_ascii_digit() || b"TZtz:.+- ".contains(&byte),
        })
}

/// Whose words the string under `key` is in an answer, where all around it is said by `around`: the arguments
/// of a call are JSON within a string.
pub(crate) fn role_of(key: &str, around: Role) -> Role {
    match key {
        "arguments" | "input" => Role::ToolCall,
        _ => around,
    }
}

/// Adds the texts of the next value, whatever it is, that stands under `key`.
pub(crate) fn collect<'a>(
    cursor: &mut Cursor<'a>,
    key: &str,
    role: Role,
    out: &mut Vec<TextSpan<'a>>,
) -> Result<(), JsonError> {
    gather(cursor, key, role, out, None)
}

/// The same for what a model said: of a call of a tool, its arguments have that role ([`role_of`]), and log
/// probabilities are no texts. Where such an array or object stands, and has anything in it, goes to
/// `logprobs`.
pub(crate) fn collect_apart<'a>(
    cursor: &mut Cursor<'a>,
    key: &str,
    role: Role,
    out: &mut Vec<TextSpan<'a>>,
    logprobs: &mut Vec<Range<usize>>,
) -> Result<(), JsonError> {
    gather(cursor, key, role, out, Some(logprobs))
}

fn gather<'a>(
    cursor: &mut Cursor<'a>,
    key: &str,
    role: Role,
    out: &mut Vec<TextSpan<'a>>,
    mut logprobs: Option<&mut Vec<Range<usize>>>,
) -> Result<(), JsonError> {
    let kind = cursor.peek()?;
    if let (Some(logprobs), "logprobs", Kind::Object | Kind::Array) = (&mut logprobs, key, kind) {
        let start = cursor.value_start();
        cursor.skip()?;
        let range = start..cursor.offset();
        let inner = cursor.raw().get(range.start + 1..range.end - 1).unwrap_or("");
        if !inner.trim().is_empty() {
            logprobs.push(range);
        }
        return Ok(());
    }
    match kind {
        Kind::String => {
            let span = cursor.span(if logprobs.is_some() { role_of(key, role) } else { role })?;
            if !is_opaque(key, &span.text) {
                out.push(span);
            }
            Ok(())
        }
        Kind::Object => {
            let mut items = cursor.enter()?;
            while let Some(literal) = cursor.key(&mut items)? {
                let name = literal.text(cursor.raw());
                gather(cursor, &name, role, out, logprobs.as_deref_mut())?;
                out.extend(odd_key(&literal, name, role));
            }
            Ok(())
        }
        Kind::Array => {
            let mut items = cursor.enter()?;
            while cursor.element(&mut items)? {
                gather(cursor, key, role, out, logprobs.as_deref_mut())?;
            }
            Ok(())
        }
        kind => cursor.scalar(kind),
    }
}

impl<'a> Cursor<'a> {
    /// Adds every string value under `key` that is not base64 data, and every key that may be text. A blob is
    /// data only where its key says so: words joined by underscores have its alphabet, too.
    pub(super) fn every_string(&mut self, key: &str, out: &mut Vec<TextSpan<'a>>) -> Result<(), JsonError> {
        match self.peek()? {
            Kind::String => {
                let span = self.span(Role::Other)?;
                let data = is_data_url(&span.text) || (is_blob_key(key) && is_blob(&span.text));
                if !data {
                    out.push(span);
                }
                Ok(())
            }
            Kind::Object => {
                let mut items = self.enter()?;
                while let Some(literal) = self.key(&mut items)? {
                    let name = literal.text(self.raw());
                    out.extend(odd_key(&literal, name.clone(), Role::Other));
                    self.every_string(&name, out)?;
                }
                Ok(())
            }
            Kind::Array => {
                let mut items = self.enter()?;
                while self.element(&mut items)? {
                    self.every_string(key, out)?;
                }
                Ok(())
            }
            kind => self.scalar(kind),
        }
    }
}
