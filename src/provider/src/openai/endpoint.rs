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
    /// `GET …/chat/completions/{id}`: a chat that was stored, given once more.
    StoredChat,
    /// `GET …/responses/{id}`: a response that was stored, given once more, whole or streamed.
    StoredResponse,
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
        let mut part = || parts.next().unwrap_or("");
        let (last, parent, above) = (part(), part(), part());
        match (method, parent, last) {
            ("POST", "chat", "completions") => Endpoint::ChatCompletions,
            ("POST", _, "completions") => Endpoint::Completions,
            ("POST", _, "embeddings") => Endpoint::Embeddings,
            ("POST", _, "responses") => Endpoint::Responses,
            ("POST", _, "moderations") => Endpoint::Moderations,
            ("GET", _, "models") => Endpoint::Models,
            // A model's name may have slashes of its own.
            ("GET", ..) if path.contains("/models/") => Endpoint::Models,
            ("GET", "responses", _) => Endpoint::StoredResponse,
            ("GET", "completions", _) if above == "chat" => Endpoint::StoredChat,
            _ => Endpoint::Other,
        }
    }

    /// Whether an answer that there was before is given once more. Its tokens were counted and
    /// paid for when it was made: the call has none.
    #[must_use]
    pub fn is_retrieval(self) -> bool {
        matches!(self, Endpoint::StoredChat | Endpoint::StoredResponse)
    }

    /// Whether answers, whole or streamed, are those of the Responses API.
    #[must_use]
    pub fn answers_responses(self) -> bool {
        matches!(self, Endpoint::Responses | Endpoint::StoredResponse)
    }

    /// Whether a request may be without a body.
    #[must_use]
    pub fn may_lack_body(self) -> bool {
        matches!(self, Endpoint::Other | Endpoint::Models) || self.is_retrieval()
    }

    /// `gen_ai.operation.name` of OpenTelemetry, where it has one.
    #[must_use]
    pub fn operation(self) -> Option<&'static str> {
        match self {
            Endpoint::ChatCompletions | Endpoint::Responses => Some("chat"),
            Endpoint::Completions => Some("text_completion"),
            Endpoint::Embeddings => Some("embeddings"),
            Endpoint::Models
            | Endpoint::Moderations
            | Endpoint::StoredChat
            | Endpoint::StoredResponse
            | Endpoint::Other => None,
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
            Endpoint::StoredChat => "chat.completions.stored",
            Endpoint::StoredResponse => "responses.stored",
            Endpoint::Moderations => "moderations",
            Endpoint::Other => "other",
        }
    }

    /// Whether a streamed answer is a sequence of chunks that [`super::stream`] understands.
    #[must_use]
    pub fn streams_chunks(self) -> bool {
        matches!(
            self,
            Endpoint::ChatCompletions
                | Endpoint::Completions
                | Endpoint::Responses
                | Endpoint::StoredChat
                | Endpoint::StoredResponse
        )
    }

    /// Whether `stream_options.include_usage` is needed to get usage in a stream.
    pub(crate) fn takes_include_usage(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Completions)
    }

    /// Whether a request must be a JSON object.
    pub(crate) fn takes_object(self) -> bool {
        !self.may_lack_body()
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
            ("GET", "/v1/responses/resp_1?stream=true", Endpoint::StoredResponse),
            ("GET", "/openai/v1/responses/resp_1/", Endpoint::StoredResponse),
            ("GET", "/v1/responses", Endpoint::Other),
            ("GET", "/v1/responses/", Endpoint::Other),
            ("GET", "/v1/responses/resp_1/input_items", Endpoint::Other),
            ("POST", "/v1/responses/resp_1/cancel", Endpoint::Other),
            ("DELETE", "/v1/responses/resp_1", Endpoint::Other),
            ("GET", "/v1/models/responses/x", Endpoint::Models),
            ("GET", "/v1/chat/completions/chatcmpl-1", Endpoint::StoredChat),
            ("GET", "/v1/chat/completions", Endpoint::Other),
            ("GET", "/v1/completions/x", Endpoint::Other),
            ("GET", "/v1/chat/completions/chatcmpl-1/messages", Endpoint::Other),
            ("POST", "/v1/chat/completions/chatcmpl-1", Endpoint::Other),
        ] {
            assert_eq!(Endpoint::of(method, path), endpoint, "{method} {path}");
        }
    }
}
