//! What an app is told when Weir itself cannot give it an answer.
//!
//! Every error has a stable `code`, OpenAI's error shape, and an owner: the app's, the provider's
//! or ours. Official SDKs retry 408, 409, 429 and 5xx by themselves, so an error that a retry
//! cannot mend never has one of those, or is sent with `x-should-retry: false`, which they heed.

use http::StatusCode;

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The app's request.
    Client,
    /// The provider, or the way to it.
    Upstream,
    /// Weir or its configuration.
    Weir,
}

/// Why a call has no answer from a provider.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The body is not JSON.
    #[error("the request body is not valid JSON: {0}")]
    MalformedJson(String),
    /// The body is not a form, or one that servers may read in several ways.
    #[error("the request body is {0}")]
    MalformedForm(String),
    /// The body cannot be decoded.
    #[error("the request body cannot be decoded: {0}")]
    Encoding(String),
    /// The body is too large.
    #[error("the request body is larger than {limit} bytes; raise server.max_request_bytes if that is meant")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It asks for another protocol.
    #[error("Weir passes on requests and answers, not connections of another protocol ({protocol})")]
    Upgrade {
        /// Which one.
        protocol: String,
    },
    /// The app stopped sending its body.
    #[error("the request body ended early: {0}")]
    BodyRead(String),
    /// The app took too long to send its body.
    #[error("the request body did not arrive in time")]
    BodyTimeout,
    /// No client key, or one that is not known.
    #[error("this Weir wants a client key: send it as `Authorization: Bearer …`")]
    Unauthorized,
    /// No route serves the model.
    #[error("no upstream serves the model {model:?}{}", nearest_hint(.nearest))]
    UnknownModel {
        /// The model asked for.
        model: String,
        /// Models that are served and have a like name.
        nearest: Vec<String>,
    },
    /// Nothing to send calls to.
    #[error(
        "no upstream is configured: set a provider key such as OPENAI_API_KEY, or start Weir with --upstream http://host:port/v1"
    )]
    NoUpstream,
    /// A guardrail stopped the call.
    #[error("stopped by guardrail {rule} ({entity}) in the {phase}")]
    Blocked {
        /// The rule's id.
        rule: String,
        /// What it found.
        entity: String,
        /// `input`, `output` or `tool`.
        phase: &'static str,
    },
    /// No connection to the provider.
    #[error("cannot reach upstream {upstream}: {reason}")]
    Connect {
        /// The upstream's name.
        upstream: String,
        /// What went wrong.
        reason: String,
    },
    /// The connection broke before an answer.
    #[error("upstream {upstream} broke the connection: {reason}")]
    Reset {
        /// The upstream's name.
        upstream: String,
        /// What went wrong.
        reason: String,
    },
    /// The provider's answer is too large to be looked through.
    #[error("the answer of upstream {upstream} is larger than {limit} bytes; raise server.max_response_bytes")]
    AnswerTooLarge {
        /// The upstream's name.
        upstream: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The provider's answer could not be looked through.
    #[error("the answer of upstream {upstream} cannot be read: {reason}")]
    UnreadableAnswer {
        /// The upstream's name.
        upstream: String,
        /// What went wrong.
        reason: String,
    },
    /// The provider sends the app elsewhere, where nobody would look at the call.
    #[error(
        "upstream {upstream} answered {status} and sends this request to {location}, past Weir: set the upstream's base_url to where the API is now, and ask for the path as it is written there"
    )]
    Redirect {
        /// The upstream's name.
        upstream: String,
        /// The HTTP status.
        status: u16,
        /// Where to, without the query.
        location: String,
    },
    /// It took too long.
    #[error("upstream {upstream} did not answer in time: {phase} time-out")]
    Timeout {
        /// The upstream's name.
        upstream: String,
        /// `connect`, `first_byte`, `idle` or `total`.
        phase: &'static str,
    },
    /// The journal's disk quota is used up.
    #[error(
        "the journal is full, and calls are not taken that cannot be recorded; free space or raise journal.quota_mib"
    )]
    JournalFull,
    /// The journal cannot be written.
    #[error("the journal cannot be written, and calls are not taken that cannot be recorded: {0}")]
    Journal(String),
    /// Weir is stopping.
    #[error("Weir is shutting down")]
    ShuttingDown,
}

impl CallError {
    /// All codes that [`CallError::kind`] gives.
    pub const CODES: [&str; 20] = [
        "malformed_json",
        "malformed_form",
        "upgrade_unsupported",
        "undecodable_body",
        "incomplete_body",
        "body_timeout",
        "request_too_large",
        "invalid_client_key",
        "model_not_found",
        "guardrail_blocked",
        "no_upstream_configured",
        "upstream_unreachable",
        "upstream_reset",
        "upstream_answer_too_large",
        "upstream_answer_unreadable",
        "upstream_redirect",
        "upstream_timeout",
        "journal_full",
        "journal_unavailable",
        "shutting_down",
    ];

    /// HTTP status, stable code, OpenAI error type, whose fault.
    #[must_use]
    pub fn kind(&self) -> (StatusCode, &'static str, &'static str, Fault) {
        use Fault::{Client, Upstream, Weir};
        let invalid = "invalid_request_error";
        match self {
            CallError::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json", invalid, Client),
            CallError::MalformedForm(_) => (StatusCode::BAD_REQUEST, "malformed_form", invalid, Client),
            CallError::Upgrade { .. } => (StatusCode::NOT_IMPLEMENTED, "upgrade_unsupported", invalid, Client),
            CallError::Encoding(_) => (StatusCode::BAD_REQUEST, "undecodable_body", invalid, Client),
            CallError::BodyRead(_) => (StatusCode::BAD_REQUEST, "incomplete_body", invalid, Client),
            CallError::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "body_timeout", invalid, Client),
            CallError::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", invalid, Client),
            CallError::Unauthorized => (StatusCode::UNAUTHORIZED, "invalid_client_key", invalid, Client),
            CallError::UnknownModel { .. } => (StatusCode::NOT_FOUND, "model_not_found", invalid, Client),
            CallError::Blocked { .. } => (StatusCode::BAD_REQUEST, "guardrail_blocked", "guardrail_error", Client),
            CallError::NoUpstream => (
                StatusCode::SERVICE_UNAVAILABLE,
                "no_upstream_configured",
                "configuration_error",
                Weir,
            ),
            CallError::Connect { .. } => (
                StatusCode::BAD_GATEWAY,
                "upstream_unreachable",
                "upstream_error",
                Upstream,
            ),
            CallError::Reset { .. } => (StatusCode::BAD_GATEWAY, "upstream_reset", "upstream_error", Upstream),
            CallError::AnswerTooLarge { .. } => (
                StatusCode::BAD_GATEWAY,
                "upstream_answer_too_large",
                "upstream_error",
                Upstream,
            ),
            CallError::UnreadableAnswer { .. } => (
                StatusCode::BAD_GATEWAY,
                "upstream_answer_unreadable",
                "upstream_error",
                Upstream,
            ),
            CallError::Redirect { .. } => (StatusCode::BAD_GATEWAY, "upstream_redirect", "upstream_error", Upstream),
            CallError::Timeout { .. } => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "upstream_error",
                Upstream,
            ),
            CallError::JournalFull => (StatusCode::SERVICE_UNAVAILABLE, "journal_full", "journal_error", Weir),
            CallError::Journal(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "journal_unavailable",
                "journal_error",
                Weir,
            ),
            CallError::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "server_error", Weir),
        }
    }

    /// The same error, of a model by the name that may be kept.
    #[must_use]
    pub fn about_model(mut self, kept: Option<&str>) -> CallError {
        if let (CallError::UnknownModel { model, .. }, Some(kept)) = (&mut self, kept) {
            *model = kept.chars().take(200).collect();
        }
        self
    }

    /// The error as an OpenAI-shaped JSON body.
    #[must_use]
    pub fn body(&self) -> String {
        let (status, code, kind, _) = self.kind();
        provider::openai::error::body(status.as_u16(), code, kind, &self.to_string(), self.param())
    }

    /// Whether it is of those that SDKs retry, and no retry mends it: the request would go out once more for
    /// nothing.
    #[must_use]
    pub fn forbids_retry(&self) -> bool {
        matches!(self, CallError::Redirect { .. })
    }

    /// The request parameter at fault.
    #[must_use]
    pub fn param(&self) -> Option<&'static str> {
        matches!(self, CallError::UnknownModel { .. }).then_some("model")
    }

    /// Class of a failed attempt, for `attempt.failed`; whether another attempt could help.
    #[must_use]
    pub fn attempt_class(&self) -> (&'static str, bool) {
        match self {
            CallError::Connect { .. } => ("connect", true),
            CallError::Reset { .. } => ("reset", true),
            CallError::Timeout { phase, .. } => (phase_class(phase), true),
            CallError::AnswerTooLarge { .. } => ("answer_too_large", false),
            CallError::UnreadableAnswer { .. } => ("answer_unreadable", false),
            CallError::Redirect { .. } => ("redirect", false),
            CallError::BodyRead(_) | CallError::BodyTimeout | CallError::TooLarge { .. } => ("client_body", false),
            _ => ("internal", false),
        }
    }
}

fn phase_class(phase: &str) -> &'static str {
    match phase {
        "connect" => "timeout_connect",
        "first_byte" => "timeout_first_byte",
        "idle" => "timeout_idle",
        _ => "timeout_total",
    }
}

fn nearest_hint(nearest: &[String]) -> String {
    if nearest.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", nearest.join(", "))
    }
}

/// Why a sidecar cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Bound to the world without keys.
    #[error(
        "{listen} is reachable from outside this machine, and no [[client_key]] is configured: anybody could spend your provider keys.\n  Add a client key (`weir config hash-key` makes one), or listen on 127.0.0.1"
    )]
    OpenToTheWorld {
        /// The address.
        listen: std::net::SocketAddr,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {listen}: {source}")]
    Bind {
        /// The address.
        listen: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// An upstream is not usable as configured.
    #[error("upstream {name:?}: {reason}")]
    Upstream {
        /// Its name.
        name: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The webhook is not usable as configured.
    #[error("guard.webhook: {reason}")]
    Webhook {
        /// What is wrong and what to do.
        reason: String,
    },
    /// A client key's hash cannot be read.
    #[error("client_key {name:?}: hash must be `sha256:` and 64 hex digits, as `weir config hash-key` prints it")]
    ClientKey {
        /// Its name.
        name: String,
    },
    /// A thread or runtime cannot be made.
    #[error("cannot start a worker: {0}")]
    Worker(#[source] std::io::Error),
    /// The system's TLS roots cannot be read.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The journal cannot be read or written at start.
    #[error("the journal cannot be recovered: {0}")]
    Journal(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_listed() {
        let text = || "x".to_owned();
        let errors = [
            CallError::MalformedJson(text()),
            CallError::MalformedForm(text()),
            CallError::Upgrade { protocol: text() },
            CallError::Encoding(text()),
            CallError::TooLarge { limit: 1 },
            CallError::BodyRead(text()),
            CallError::BodyTimeout,
            CallError::Unauthorized,
            CallError::UnknownModel {
                model: text(),
                nearest: Vec::new(),
            },
            CallError::NoUpstream,
            CallError::Blocked {
                rule: text(),
                entity: text(),
                phase: "input",
            },
            CallError::Connect {
                upstream: text(),
                reason: text(),
            },
            CallError::Reset {
                upstream: text(),
                reason: text(),
            },
            CallError::AnswerTooLarge {
                upstream: text(),
                limit: 1,
            },
            CallError::UnreadableAnswer {
                upstream: text(),
                reason: text(),
            },
            CallError::Redirect {
                upstream: text(),
                status: 307,
                location: text(),
            },
            CallError::Timeout {
                upstream: text(),
                phase: "idle",
            },
            CallError::JournalFull,
            CallError::Journal(text()),
            CallError::ShuttingDown,
        ];
        let codes = errors.iter().map(|error| error.kind().1);
        assert!(codes.clone().all(|code| CallError::CODES.contains(&code)));
        assert_eq!(codes.count(), CallError::CODES.len());
    }
}
