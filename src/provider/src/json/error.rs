//! What is wrong with a document, and where.

use std::fmt;

/// Why a text is not JSON, or not the JSON that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The text ends in the middle of a value.
    UnexpectedEnd,
    /// Something else than a value stands where a value should.
    ExpectedValue,
    /// An object's key must be a string.
    ExpectedKey,
    /// `:` is missing after a key.
    ExpectedColon,
    /// `,` or the closing bracket is missing.
    ExpectedCommaOrEnd,
    /// A value follows the first one.
    TrailingCharacters,
    /// A number is malformed.
    InvalidNumber,
    /// `\` is followed by something that is no escape.
    InvalidEscape,
    /// A raw control character stands in a string.
    ControlCharacter,
    /// Arrays and objects nest too deep.
    TooDeep,
    /// The document is JSON, but not an object.
    NotAnObject,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ErrorKind::UnexpectedEnd => "the JSON ends in the middle of a value",
            ErrorKind::ExpectedValue => "a JSON value was expected",
            ErrorKind::ExpectedKey => "a double-quoted key was expected",
            ErrorKind::ExpectedColon => "`:` was expected after the key",
            ErrorKind::ExpectedCommaOrEnd => "`,` or the closing bracket was expected",
            ErrorKind::TrailingCharacters => "only white space may follow the JSON value",
            ErrorKind::InvalidNumber => "the number is malformed",
            ErrorKind::InvalidEscape => "invalid escape in a string",
            ErrorKind::ControlCharacter => "control characters in a string must be escaped",
            ErrorKind::TooDeep => "arrays and objects nest deeper than 128 levels",
            ErrorKind::NotAnObject => "a JSON object was expected",
        })
    }
}

/// A document that could not be read, with the place; fit to be shown to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (line {line}, column {column}, byte {offset})")]
pub struct JsonError {
    /// What is wrong.
    pub kind: ErrorKind,
    /// Byte offset of the place, from 0.
    pub offset: usize,
    /// Line of the place, from 1.
    pub line: usize,
    /// Column of the place in characters, from 1.
    pub column: usize,
}

impl JsonError {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, raw: &str, offset: usize) -> JsonError {
        let mut offset = offset.min(raw.len());
        while !raw.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &raw[..offset];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        JsonError {
            kind,
            offset,
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}
