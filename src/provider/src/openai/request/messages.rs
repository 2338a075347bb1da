//! Messages of a chat, and input items of the Responses API.

use super::View;
use crate::json::{Cursor, JsonError, Kind, Role, collect};

impl<'a> View<'a> {
    /// An array of messages; `fallback` is the role of one that names none.
    pub(super) fn messages(&mut self, cursor: &mut Cursor<'a>, fallback: Role) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Array {
            return self.prompt(cursor, "messages", fallback);
        }
        let mut items = cursor.enter()?;
        while cursor.element(&mut items)? {
            self.messages += 1;
            if cursor.peek()? == Kind::Object {
                self.message(cursor, fallback)?;
            } else {
                self.prompt(cursor, "messages", fallback)?;
            }
        }
        Ok(())
    }

    fn message(&mut self, cursor: &mut Cursor<'a>, fallback: Role) -> Result<(), JsonError> {
        let start = self.texts.len();
        let mut role = None;
        let mut implied = None;
        let mut items = cursor.enter()?;
        while let Some(key) = cursor.key(&mut items)? {
            let name = key.text(cursor.raw());
            match &*name {
                "role" => {
                    let text = self.text(cursor, "role")?;
                    role = Some(text.map_or(Role::Other, |text| Role::of(&text)));
                }
                "type" => implied = self.text(cursor, "type")?.and_then(|kind| role_of_item(&kind)),
                "content" | "output" => self.content(cursor)?,
                // Who is speaking: a person's name as often as not.
                "name" => collect(cursor, "", Role::Other, &mut self.texts)?,
                key @ ("tool_calls" | "function_call" | "arguments") => {
                    collect(cursor, key, Role::ToolCall, &mut self.texts)?;
                }
                _ => self.field(cursor, &key, name)?,
            }
        }
        // The role may stand after the content.
        let role = role.or(implied).unwrap_or(fallback);
        for span in &mut self.texts[start..] {
            if span.role != Role::ToolCall {
                span.role = role;
            }
        }
        Ok(())
    }

    fn content(&mut self, cursor: &mut Cursor<'a>) -> Result<(), JsonError> {
        if cursor.peek()? != Kind::Array {
            return collect(cursor, "content", Role::Other, &mut self.texts);
        }
        let mut parts = cursor.enter()?;
        while cursor.element(&mut parts)? {
            if cursor.peek()? != Kind::Object {
                collect(cursor, "content", Role::Other, &mut self.texts)?;
                continue;
            }
            let mut items = cursor.enter()?;
            while let Some(key) = cursor.key(&mut items)? {
                let name = key.text(cursor.raw());
                match &*name {
                    "type" => {
                        let kind = self.text(cursor, "type")?;
                        self.images +=
                            u32::from(matches!(kind.as_deref(), Some("image_url" | "input_image" | "image")));
                    }
                    _ => self.field(cursor, &key, name)?,
                }
            }
        }
        Ok(())
    }
}

/// The role of an input item that is no message.
fn role_of_item(kind: &str) -> Option<Role> {
    match kind {
        "reasoning" => Some(Role::Assistant),
        kind if kind.ends_with("_call_output") => Some(Role::Tool),
        kind if kind.ends_with("_call") => Some(Role::ToolCall),
        _ => None,
    }
}
