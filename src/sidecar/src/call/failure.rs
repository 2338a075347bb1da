//! What is recorded of an attempt that gave no usable answer: once, whatever else goes wrong with it.

use event::Body;
use event::body::{AttemptFailed, CallEnded};
use http::StatusCode;

use super::record::CallRecord;
use super::stopwatch::nanos;
use crate::error::CallError;
use crate::metrics::AttemptLabels;

/// Why an attempt failed.
struct Failure {
    /// Its class.
    error_type: String,
    message: Option<String>,
    /// The provider's status, if it answered at all.
    http_status: Option<u16>,
    retryable: bool,
}

impl CallRecord {
    /// Adds `attempt.failed`; it is written with the event that ends the call. `status`: the provider's, if it
    /// answered at all.
    pub fn attempt_failed(&mut self, error: &CallError, status: Option<StatusCode>) -> Result<(), CallError> {
        let (class, retryable) = error.attempt_class();
        self.add_failure(Failure {
            error_type: class.to_owned(),
            message: Some(error.to_string()),
            http_status: status.map(|status| status.as_u16()),
            retryable,
        })
    }

    /// Adds `attempt.failed` of an answer with an error status.
    pub fn attempt_refused(&mut self, status: StatusCode) -> Result<(), CallError> {
        self.add_failure(Failure {
            error_type: format!("http_{}", status.as_u16()),
            message: None,
            http_status: Some(status.as_u16()),
            retryable: status.is_server_error() || matches!(status.as_u16(), 408 | 409 | 425 | 429),
        })
    }

    /// Adds `attempt.failed` of an answer that began well, and broke or ended with an error. `ended` is what is
    /// known of the failed call.
    pub(super) fn attempt_broke(&mut self, ended: &CallEnded) -> Result<(), CallError> {
        let (class, retryable) = match ended.error_code.as_deref() {
            Some("upstream_reset") => ("reset", true),
            Some("upstream_timeout") if self.is_overdue() => ("timeout_total", true),
            Some("upstream_timeout") => ("timeout_idle", true),
            Some("upstream_answer_unreadable") => ("answer_unreadable", false),
            // It is nobody's fault but ours.
            Some(code) if CallError::CODES.contains(&code) => return Ok(()),
            _ => ("error_in_answer", false),
        };
        self.add_failure(Failure {
            error_type: class.to_owned(),
            message: ended.error_message.clone(),
            http_status: ended.http_status,
            retryable,
        })
    }

    fn add_failure(&mut self, failure: Failure) -> Result<(), CallError> {
        let (Some(target), Some(began)) = (&self.target, self.attempt_began.take()) else {
            return Ok(());
        };
        let provider = target.name.to_string();
        let labels = AttemptLabels {
            gen_ai_provider_name: provider.clone(),
            error_type: failure.error_type.clone(),
        };
        self.shared().metrics.attempt_failures.get_or_create(&labels).inc();
        self.add(&Body::AttemptFailed(Box::new(AttemptFailed {
            index: 0,
            provider,
            error_type: failure.error_type,
            message: failure.message,
            http_status: failure.http_status,
            retryable: failure.retryable,
            duration_ns: nanos(began.elapsed()),
        })))
    }
}
