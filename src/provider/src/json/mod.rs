//! JSON as spans over raw text: a validating pull parser, and edits that leave the rest alone.
//!
//! It accepts what RFC 8259 accepts, with two decisions of its own. Nesting deeper than
//! [`MAX_DEPTH`] is refused. A lone surrogate escape (`"\ud83d"`) is accepted, since Python and
//! JavaScript emit it when they cut a text between two UTF-16 units; it decodes to U+FFFD, and its
//! raw bytes pass unchanged as long as nobody edits that literal.

mod collect;
mod cursor;
mod error;
mod literal;
mod locate;

use std::borrow::Cow;
use std::ops::Range;

pub(crate) use collect::{collect, collect_apart, is_opaque, is_plain_key, is_timestamp, odd_key, role_of};
pub(crate) use cursor::{Cursor, Kind, Literal};
pub use error::{ErrorKind, JsonError};
pub use literal::quote;
pub(crate) use literal::{joined, surrogate_edges};
pub(crate) use locate::is_name;
pub use locate::{path_at, paths};

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: u32 = 128;

/// A replacement of one range of raw bytes.
pub type Edit = (Range<usize>, Vec<u8>);

/// Whose words a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Instructions of the app: `system`, `developer`, `instructions`.
    System,
    /// What the user said, and inputs and prompts without a role.
    User,
    /// What the model said.
    Assistant,
    /// What a tool answered.
    Tool,
    /// Arguments with which the model called a tool.
    ToolCall,
    /// Anything else: descriptions, schemas, metadata, unknown fields.
    Other,
}

impl Role {
    /// Lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
            Role::ToolCall => "tool_call",
            Role::Other => "other",
        }
    }

    pub(crate) fn of(name: &str) -> Role {
        match name {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" | "model" => Role::Assistant,
            "tool" | "function" => Role::Tool,
            _ => Role::Other,
        }
    }
}

/// One JSON string literal in a raw document: what guardrails read and what splicing replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextSpan<'a> {
    /// Bytes of the literal in the raw document, quotes included.
    pub range: Range<usize>,
    /// The decoded text; borrowed from the document where the literal has no escapes.
    pub text: Cow<'a, str>,
    /// Whose words they are.
    pub role: Role,
}

impl TextSpan<'_> {
    /// Where the literal stands, such as `messages[0].content`: [`path_at`]. Walks the document
    /// again, for the rare text that matched a rule; for several, [`paths`] walks it once.
    #[must_use]
    pub fn path(&self, raw: &str) -> String {
        path_at(raw, self.range.start)
    }
}

/// Every string value of any JSON document, and every object key that could carry free text.
///
/// For documents of no known dialect, so nothing is left out but base64 data URLs, and blobs under the keys that
/// usually have them.
///
/// # Errors
/// If `raw` is not JSON, or nests deeper than [`MAX_DEPTH`].
pub fn strings(raw: &str) -> Result<Vec<TextSpan<'_>>, JsonError> {
    let mut cursor = Cursor::new(raw);
    let mut out = Vec::new();
    cursor.every_string("", &mut out)?;
    cursor.end()?;
    Ok(out)
}

/// [`strings`], and whole numbers of nine or more digits: as texts, they may be redacted like these, and
/// then a string stands in their place.
///
/// # Errors
/// If `raw` is not JSON, or nests deeper than [`MAX_DEPTH`].
pub fn strings_and_numbers(raw: &str) -> Result<Vec<TextSpan<'_>>, JsonError> {
    let mut cursor = Cursor::noting_numbers(raw);
    let mut out = Vec::new();
    cursor.every_string("", &mut out)?;
    cursor.end()?;
    out.extend(cursor.long_numbers());
    Ok(out)
}

/// `raw` with `edits` made and every other byte as it was.
///
/// Edits are sorted here; of two that overlap, the one that starts first is made (of two that
/// start together, the one given first) and the other left out, so that no edit can undo part of
/// another. Ranges beyond the end are cut to it.
#[must_use]
pub fn splice(raw: &[u8], edits: &mut [Edit]) -> Vec<u8> {
    edits.sort_by_key(|(range, _)| range.start);
    let added: usize = edits.iter().map(|(_, new)| new.len()).sum();
    let mut out = Vec::with_capacity(raw.len() + added);
    let mut at = 0;
    for (range, new) in edits.iter() {
        let end = range.end.min(raw.len());
        if range.start < at || range.start > end {
            continue;
        }
        out.extend_from_slice(&raw[at..range.start]);
        out.extend_from_slice(new);
        at = end;
    }
    out.extend_from_slice(&raw[at..]);
    out
}

#[cfg(test)]
mod tests;
