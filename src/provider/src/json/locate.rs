//! The paths of places in a document, for the rare texts that matched a rule.

use std::fmt::Write as _;

use super::cursor::Literal;
use super::{Cursor, JsonError, Kind};

/// The path of the value (or key) at byte `offset` of `raw`, such as `messages[0].content`; empty
/// for the document itself and where there is no such place.
///
/// Paths are kept where texts must not be. A key that could be a text, and every key of
/// `metadata`, is told by its position among the members of its object, from 0: `metadata.{2}`.
#[must_use]
pub fn path_at(raw: &str, offset: usize) -> String {
    paths(raw, &[offset]).pop().unwrap_or_default()
}

/// [`path_at`] of each of `offsets`, in their order: one walk for all of them.
#[must_use]
pub fn paths(raw: &str, offsets: &[usize]) -> Vec<String> {
    let mut wanted: Vec<usize> = (0..offsets.len()).collect();
    wanted.sort_unstable_by_key(|index| offsets.get(*index));
    let mut locator = Locator {
        offsets,
        wanted: &wanted,
        steps: Vec::new(),
        found: vec![String::new(); offsets.len()],
    };
    // Of a document that is damaged further on, what was found before stays.
    let _ = locator.walk(&mut Cursor::new(raw));
    locator.found
}

/// Whether a key can be shown where no text may be: a short name, and no number, code or token.
pub(crate) fn is_name(key: &str) -> bool {
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        && key.len() <= if digits == 0 { 64 } else { 16 }
        && digits <= 4
}

/// From a container to what is in it.
#[derive(Clone, Copy)]
enum Step {
    Element(usize),
    Member(usize, Literal),
}

/// A walk through a document that looks for several places.
struct Locator<'p> {
    offsets: &'p [usize],
    /// Indices of the offsets that are still ahead, the nearest first.
    wanted: &'p [usize],
    /// The way to where the walk is. Written out only where it is asked for.
    steps: Vec<Step>,
    found: Vec<String>,
}

impl Locator<'_> {
    /// Walks the next value; `false` once nothing more is wanted.
    fn walk(&mut self, cursor: &mut Cursor<'_>) -> Result<bool, JsonError> {
        let kind = cursor.peek()?;
        let start = cursor.value_start();
        if !self.reach(start, cursor.raw()) {
            return Ok(false);
        }
        let mut count = 0..;
        match kind {
            Kind::Object => {
                let mut items = cursor.enter()?;
                while let (Some(key), Some(position)) = (cursor.key(&mut items)?, count.next()) {
                    self.steps.push(Step::Member(position, key));
                    if !self.reach(key.start, cursor.raw()) || !self.walk(cursor)? {
                        return Ok(false);
                    }
                    self.steps.pop();
                }
            }
            Kind::Array => {
                let mut items = cursor.enter()?;
                while let (true, Some(index)) = (cursor.element(&mut items)?, count.next()) {
                    self.steps.push(Step::Element(index));
                    if !self.walk(cursor)? {
                        return Ok(false);
                    }
                    self.steps.pop();
                }
            }
            kind => cursor.scalar(kind)?,
        }
        Ok(true)
    }

    /// The walk is at a place: whoever asked for it gets its path, and who asked for one before it
    /// that is none gets nothing. Whether more is wanted.
    fn reach(&mut self, at: usize, raw: &str) -> bool {
        let mut path = None;
        while let Some((next, rest)) = self.wanted.split_first() {
            let offset = self.offsets.get(*next).copied().unwrap_or(0);
            if offset > at {
                return true;
            }
            if offset == at {
                let path = path.get_or_insert_with(|| write(&self.steps, raw));
                if let Some(found) = self.found.get_mut(*next) {
                    found.clone_from(path);
                }
            }
            self.wanted = rest;
        }
        false
    }
}

fn write(steps: &[Step], raw: &str) -> String {
    let mut path = String::new();
    let mut metadata = false;
    for step in steps {
        // Writing to a String cannot fail.
        let _ = match step {
            Step::Element(index) => write!(path, "[{index}]"),
            Step::Member(position, key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                let key = key.text(raw);
                let shown = !metadata && is_name(&key);
                metadata |= key == "metadata";
                if shown {
                    path.push_str(&key);
                    continue;
                }
                write!(path, "{{{position}}}")
            }
        };
    }
    path
}
