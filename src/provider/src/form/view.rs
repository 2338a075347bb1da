//! A form as JSON: what guardrails look at and what the history keeps.

use std::ops::Range;

use super::{Form, Part};
use crate::json::{self, Edit};

/// A form as a JSON object: its texts by their names, and of its files name, type and size. A name that comes
/// several times has an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The object.
    pub json: String,
    /// Parts that are in it by their size alone: files, and what is no UTF-8.
    pub unread: usize,
    literals: Vec<Written>,
}

/// A string literal of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    literal: Range<usize>,
    /// What it says, in the form.
    said: Vec<Range<usize>>,
    /// Whether that is in the head of a part.
    in_head: bool,
}

impl Form {
    /// The view of this form, whose bytes are `body`.
    #[must_use]
    pub fn view(&self, body: &[u8]) -> View {
        let mut view = View {
            json: "{".to_owned(),
            unread: 0,
            literals: Vec::new(),
        };
        let name = |part: &Part| &body[part.head.name.clone()];
        for (index, part) in self.parts.iter().enumerate() {
            if self.parts[..index].iter().any(|before| name(before) == name(part)) {
                continue;
            }
            let same: Vec<&Part> = (self.parts[index..].iter())
                .filter(|other| name(other) == name(part))
                .collect();
            if index > 0 {
                view.json.push(',');
            }
            let names = same.iter().map(|part| part.head.name.clone()).collect();
            view.literal(&String::from_utf8_lossy(name(part)), names, true);
            view.json.push(':');
            if let [only] = same.as_slice() {
                view.value(only, body);
                continue;
            }
            view.json.push('[');
            for (index, part) in same.into_iter().enumerate() {
                if index > 0 {
                    view.json.push(',');
                }
                view.value(part, body);
            }
            view.json.push(']');
        }
        view.json.push('}');
        view
    }

    /// The edits of `body` that give every text called `name` another value.
    #[must_use]
    pub fn set(&self, body: &[u8], name: &str, value: &str) -> Vec<Edit> {
        let called = |part: &&Part| part.head.files.is_empty() && &body[part.head.name.clone()] == name.as_bytes();
        let parts = self.parts.iter().filter(called);
        parts
            .map(|part| (part.content.clone(), value.as_bytes().to_vec()))
            .collect()
    }
}

impl View {
    fn literal(&mut self, text: &str, said: Vec<Range<usize>>, in_head: bool) {
        let start = self.json.len();
        self.json.push_str(&json::quote(text));
        let literal = start..self.json.len();
        self.literals.push(Written { literal, said, in_head });
    }

    fn value(&mut self, part: &Part, body: &[u8]) {
        let Part { head, content } = part;
        let text = std::str::from_utf8(&body[content.clone()]).ok();
        if let Some(text) = text.filter(|_| head.files.is_empty() && !head.coded) {
            return self.literal(text, vec![content.clone()], false);
        }
        self.unread += 1;
        self.json.push('{');
        let kind = head.content_type.clone().map(|kind| ("content_type", kind));
        for (key, said) in head.files.iter().cloned().chain(kind) {
            self.json.push_str(&format!("\"{key}\":"));
            self.literal(&String::from_utf8_lossy(&body[said.clone()]), vec![said], true);
            self.json.push(',');
        }
        self.json.push_str(&format!("\"bytes\":{}}}", content.len()));
    }

    /// The edits of the form that do there what `edits` do to the object. Of literals that are not this view's
    /// nothing is said.
    #[must_use]
    pub fn carried_back(&self, edits: &[Edit]) -> Vec<Edit> {
        let mut back = Vec::new();
        for (range, literal) in edits {
            let Some(written) = self.literals.iter().find(|written| written.literal == *range) else {
                continue;
            };
            let Ok(text) = serde_json::from_slice::<String>(literal) else {
                continue;
            };
            let text = match written.in_head {
                true => in_quotes(&text),
                false => text,
            };
            back.extend(
                written
                    .said
                    .iter()
                    .map(|said| (said.clone(), text.clone().into_bytes())),
            );
        }
        back
    }
}

/// A name between quotes, as browsers write it (HTML, "multipart/form-data encoding algorithm").
fn in_quotes(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "--B\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\nsay \"hi\"\nto ann@example.org\r\n\
        --B\r\nContent-Disposition: form-data; name=\"tag[]\"\r\n\r\none\r\n\
        --B\r\nContent-Disposition: form-data; name=\"image\"; filename=\"ann@example.org.png\"; filename*=UTF-8''ann@example.org.png\r\nContent-Type: image/png\r\n\r\n\x01\x02\r\n\
        --B\r\nContent-Disposition: form-data; name=\"tag[]\"\r\n\r\ntwo\r\n\
        --B\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ngroq/whisper\r\n--B--\r\n";

    #[test]
    fn a_form_is_seen_as_json_and_edits_go_back() {
        let form = Form::parse(BODY.as_bytes(), "B").unwrap();
        let view = form.view(BODY.as_bytes());
        assert_eq!(
            view.json,
            r#"{"prompt":"say \"hi\"\nto ann@example.org","tag[]":["one","two"],"image":{"filename":"ann@example.org.png","filename*":"UTF-8''ann@example.org.png","content_type":"image/png","bytes":2},"model":"groq/whisper"}"#
        );
        assert_eq!(view.unread, 1);
        let spans = json::strings(&view.json).unwrap();
        let with_mail = spans.iter().filter(|span| span.text.contains("ann@example.org"));
        let edits: Vec<Edit> = with_mail
            .map(|span| {
                let text = span.text.replace("ann@example.org", "\"[EMAIL]\"");
                (span.range.clone(), json::quote(&text).into_bytes())
            })
            .collect();
        let mut back = view.carried_back(&edits);
        back.extend(form.set(BODY.as_bytes(), "model", "whisper"));
        let edited = String::from_utf8(json::splice(BODY.as_bytes(), &mut back)).unwrap();
        let expected = BODY
            .replace("to ann@example.org", "to \"[EMAIL]\"")
            .replace("ann@example.org", "%22[EMAIL]%22")
            .replace("groq/whisper", "whisper");
        assert_eq!(edited, expected);
    }
}
