//! Forms (`multipart/form-data`): audio to transcribe, images to edit, with the prompts and the model beside
//! them.

use bytes::Bytes;
use provider::form::{self, Form, View};
use provider::json::{self, Edit};

use crate::error::CallError;

/// Whether a form on `path` is read. Those that only bring files pass as they arrive: they say neither model
/// nor prompt.
pub fn is_read(content_type: &str, path: &str) -> bool {
    let brings_files = path.trim_end_matches('/').ends_with("/files") || path.contains("/uploads");
    form::is_form(content_type) && !brings_files
}

/// A form in memory.
pub struct OpenForm {
    body: Bytes,
    boundary: String,
    view: View,
}

impl OpenForm {
    /// Reads `body`, decoded.
    pub fn read(content_type: &str, body: Bytes) -> Result<OpenForm, CallError> {
        let malformed = |reason: String| CallError::MalformedForm(reason);
        let boundary = form::boundary(content_type)
            .ok_or_else(|| malformed("not a form: its content type names no boundary".to_owned()))?;
        let form = Form::parse(&body, boundary).map_err(|error| malformed(error.to_string()))?;
        Ok(OpenForm {
            view: form.view(&body),
            boundary: boundary.to_owned(),
            body,
        })
    }

    /// The form as JSON.
    pub fn json(&self) -> &str {
        &self.view.json
    }

    /// Whether parts of it cannot be looked at.
    pub fn has_unread(&self) -> bool {
        self.view.unread > 0
    }

    /// The boundary between its parts.
    pub fn boundary(&self) -> &str {
        &self.boundary
    }

    /// Its bytes, with what `edits` do to its JSON.
    pub fn with(&self, edits: &[Edit]) -> Bytes {
        match edits.is_empty() {
            true => self.body.clone(),
            false => json::splice(&self.body, &mut self.view.carried_back(edits)).into(),
        }
    }
}

/// The form `body` with another model.
pub fn with_model(body: &[u8], boundary: &str, model: &str) -> Option<Bytes> {
    let form = Form::parse(body, boundary).ok()?;
    Some(json::splice(body, &mut form.set(body, "model", model)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_that_say_something_are_read() {
        let form = "multipart/form-data; boundary=x";
        for (content_type, path, read) in [
            (form, "/v1/audio/transcriptions", true),
            (form, "/v1/images/edits", true),
            (form, "/v1/files", false),
            (form, "/v1/files/", false),
            (form, "/v1/containers/c/files", false),
            (form, "/v1/uploads/u/parts", false),
            ("audio/mpeg", "/v1/audio/transcriptions", false),
        ] {
            assert_eq!(is_read(content_type, path), read, "{content_type} {path}");
        }
    }
}
