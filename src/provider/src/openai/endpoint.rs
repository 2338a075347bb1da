//! Which operation a request asks for.

/// An operation of the API, from method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST …/chat/completions`
    ChatCompletions,
    /// `POST …/completions`
    Completions,
    /// `POST …/embeddings`
    Embeddings,
    /// `GET …/models` and `GET …/models/{model}`
    Models,
    /// `POST …/responses`
    Responses,
    /// `POST …/moderations`
    Moderations,
    /// Everything else: passed through and recorded.
    Other,
}

impl Endpoint {
    /// From an HTTP method and a path (a query string is ignored). Prefixes such as `/v1`,
    /// `/openai/v1` or `/openai/deployments/x` do not matter.
    #[must_use]
    pub fn of(method: &str, path: &str) -> Endpoint {
        let path = path.split(['?', '#']).next().unwrap_or("").trim_end_matches('/');
        let mut parts = path.rsplit('/');
        let (last, parent) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        match (method, parent, last) {
            ("POST", "chat", "completions") => Endpoint::ChatCompletions,
            ("POST", _, "completions") => Endpoint::Completions,
            ("POST", _, "embeddings") => Endpoint::Embeddings,
            ("POST", _, "responses") => Endpoint::Responses,
            ("POST", _, "moderations") => Endpoint::Moderations,
            ("GET", _, "models") => Endpoint::Models,
            // A model's name may have slashes of its own.
            ("GET", ..) if path.contains("/models/") => Endpoint::Models,
            _ => Endpoint::Other,
        }
    }

    /// `gen_ai.operation.name` of OpenTelemetry, where it has one.
    #[must_use]
    pub fn operation(self) -> Option<&'static str> {
        match self {
            Endpoint::ChatCompletions | Endpoint::Responses => Some("chat"),
            Endpoint::Completions => Some("text_completion"),
            Endpoint::Embeddings => Some("embeddings"),
            Endpoint::Models | Endpoint::Moderations | Endpoint::Other => None,
        }
    }

    /// A stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "chat.completions",
            Endpoint::Completions => "completions",
            Endpoint::Embeddings => "embeddings",
            Endpoint::Models => "models",
            Endpoint::Responses => "responses",
            Endpoint::Moderations => "moderations",
            Endpoint::Other => "other",
        }
    }

    /// Whether a streamed answer is a sequence of chunks that [`super::stream`] understands.
    #[must_use]
    pub fn streams_chunks(self) -> bool {
        matches!(
            self,
            Endpoint::ChatCompletions | Endpoint::Completions | Endpoint::Responses
        )
    }

    /// Whether `stream_options.include_usage` is needed to get usage in a stream.
    pub(crate) fn takes_include_usage(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Completions)
    }

    /// Whether a request must be a JSON object.
    pub(crate) fn takes_object(self) -> bool {
        !matches!(self, Endpoint::Other | Endpoint::Models)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (method, path, endpoint) in [
            ("POST", "/v1/chat/completions", Endpoint::ChatCompletions),
            (
                "POST",
                "/openai/deployments/gpt/chat/completions?api-version=1",
                Endpoint::ChatCompletions,
            ),
            ("POST", "/v1/completions/", Endpoint::Completions),
            ("GET", "/v1/completions", Endpoint::Other),
            ("POST", "/v1/embeddings", Endpoint::Embeddings),
            ("GET", "/v1/models", Endpoint::Models),
            ("GET", "/v1/models/meta/llama", Endpoint::Models),
            ("DELETE", "/v1/models/x", Endpoint::Other),
            ("POST", "/v1/responses", Endpoint::Responses),
            ("POST", "/v1/moderations", Endpoint::Moderations),
            ("POST", "/v1/audio/speech", Endpoint::Other),
        ] {
            assert_eq!(Endpoint::of(method, path), endpoint, "{method} {path}");
        }
    }
}
