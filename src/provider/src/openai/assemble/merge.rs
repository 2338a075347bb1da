//! How fields that come in parts grow together.

use serde_json::{Map, Value};

use crate::json::{joined, surrogate_edges};

/// Merges `new` into the member `key` of `into`.
pub(super) fn merge_into(into: &mut Map<String, Value>, key: String, new: Value) {
    match into.get_mut(&key) {
        Some(old) => merge(&key, old, new),
        None => {
            // A list's own elements may be parts of each other.
            let new = match new {
                Value::Array(list) => {
                    let mut merged = Vec::with_capacity(list.len());
                    merge_list(&mut merged, list);
                    Value::Array(merged)
                }
                new => new,
            };
            into.insert(key, new);
        }
    }
}

fn merge(key: &str, old: &mut Value, new: Value) {
    match (old, new) {
        (_, Value::Null) => {}
        (Value::String(old), Value::String(new)) => match key {
            // Labels are repeated, not continued.
            "id" | "type" | "role" | "name" | "format" | "object" | "model" | "signature" => *old = new,
            _ => old.push_str(&new),
        },
        (Value::Array(old), Value::Array(new)) => merge_list(old, new),
        (Value::Object(old), Value::Object(new)) => {
            new.into_iter().for_each(|(key, value)| merge_into(old, key, value));
        }
        (old, new) => *old = new,
    }
}

/// Appends `new` to `old`; elements with an `index` go to the one with the same index, and a text
/// part continues the part before it.
pub(super) fn merge_list(old: &mut Vec<Value>, new: Vec<Value>) {
    for element in new {
        let target = match element.get("index") {
            Some(index) => old.iter_mut().find(|known| known.get("index") == Some(index)),
            None => old.last_mut().filter(|last| {
                element.get("id").is_none()
                    && matches!(element.get("type").and_then(Value::as_str), Some("text" | "thinking"))
                    && last.get("type") == element.get("type")
            }),
        };
        match (target, element) {
            (Some(Value::Object(known)), Value::Object(element)) => {
                element.into_iter().for_each(|(key, value)| match key.as_str() {
                    "index" => {}
                    _ => merge_into(known, key, value),
                });
            }
            (_, element) => old.push(element),
        }
    }
}

/// A text in growth.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) text: String,
    /// The text ends in U+FFFD for this high surrogate, whose low one may come next.
    high: Option<u32>,
}

impl Text {
    pub(super) fn push(&mut self, literal: &str, text: &str) {
        const GONE: char = char::REPLACEMENT_CHARACTER;
        if text.is_empty() {
            return;
        }
        let (head, tail) = if text.starts_with(GONE) || text.ends_with(GONE) {
            surrogate_edges(literal)
        } else {
            (None, None)
        };
        match (self.high.take(), head) {
            (Some(high), Some(low)) => {
                self.text.pop();
                self.text.push(joined(high, low));
                self.text.push_str(text.strip_prefix(GONE).unwrap_or(text));
            }
            _ => self.text.push_str(text),
        }
        self.high = tail;
    }
}
