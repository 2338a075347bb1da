//! The path of a place in a document, for the rare text that matched a rule.

use std::fmt::Write as _;

use super::{Cursor, JsonError, Kind};

/// The path of the value (or key) at byte `offset` of `raw`, such as `messages[0].content`; empty
/// for the document itself and where there is no such place.
#[must_use]
pub fn path_at(raw: &str, offset: usize) -> String {
    let mut path = String::new();
    match walk(&mut Cursor::new(raw), offset, &mut path) {
        Ok(true) => path,
        _ => String::new(),
    }
}

fn walk(cursor: &mut Cursor<'_>, offset: usize, path: &mut String) -> Result<bool, JsonError> {
    let kind = cursor.peek()?;
    if cursor.value_start() == offset {
        return Ok(true);
    }
    let length = path.len();
    match kind {
        Kind::Object => {
            let mut items = cursor.enter()?;
            while let Some(key) = cursor.key(&mut items)? {
                if length > 0 {
                    path.push('.');
                }
                path.push_str(&key.text(cursor.raw()));
                if key.start == offset || walk(cursor, offset, path)? {
                    return Ok(true);
                }
                path.truncate(length);
            }
        }
        Kind::Array => {
            let mut items = cursor.enter()?;
            let mut index = 0usize;
            while cursor.element(&mut items)? {
                // Writing to a String cannot fail.
                let _ = write!(path, "[{index}]");
                if walk(cursor, offset, path)? {
                    return Ok(true);
                }
                path.truncate(length);
                index += 1;
            }
        }
        kind => cursor.scalar(kind)?,
    }
    Ok(false)
}
