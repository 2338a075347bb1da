//! Errors in OpenAI's shape.

use crate::json;

/// The body of an error answer: `{"error":{"message":…,"type":…,"param":…,"code":…}}`.
///
/// OpenAI's body does not repeat the HTTP `status`; it is taken here so that a caller without a
/// `kind` of its own (an empty one) gets the type that OpenAI uses for that status.
#[must_use]
pub fn body(status: u16, code: &str, kind: &str, message: &str, param: Option<&str>) -> String {
    let kind = if kind.is_empty() { kind_of(status) } else { kind };
    format!(
        r#"{{"error":{{"message":{},"type":{},"param":{},"code":{}}}}}"#,
        json::quote(message),
        json::quote(kind),
        param.map_or_else(|| "null".to_owned(), json::quote),
        json::quote(code),
    )
}

/// The error type that OpenAI uses for an HTTP status.
#[must_use]
pub fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        _ => "server_error",
    }
}

/// An error object of an answer or of a stream's frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    /// What went wrong, in words.
    pub message: String,
    /// `type`.
    pub kind: Option<String>,
    /// `code`; a number is given in its digits.
    pub code: Option<String>,
    /// `param`.
    pub param: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_openais_shape() {
        let body = body(400, "invalid_json", "", "line 1: \"x\"\n", Some("messages"));
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        let expected = serde_json::json!({"error": {"message": "line 1: \"x\"\n", "type": "invalid_request_error",
            "param": "messages", "code": "invalid_json"}});
        assert_eq!(value, expected);
    }
}
