//! Values of labels that others choose, and so need a bound.

use crate::error::CallError;

/// Codes and types that providers commonly give their errors.
const USUAL: [&str; 48] = [
    "400",
    "401",
    "402",
    "403",
    "404",
    "408",
    "409",
    "413",
    "422",
    "429",
    "500",
    "502",
    "503",
    "504",
    "api_error",
    "authentication_error",
    "bad_gateway",
    "bad_request",
    "billing_hard_limit_reached",
    "content_filter",
    "content_policy_violation",
    "context_length_exceeded",
    "engine_overloaded",
    "insufficient_quota",
    "internal_error",
    "internal_server_error",
    "invalid_api_key",
    "invalid_prompt",
    "invalid_request_error",
    "invalid_type",
    "invalid_value",
    "missing_required_parameter",
    "model_not_available",
    "not_found_error",
    "overloaded_error",
    "permission_denied",
    "permission_error",
    "rate_limit_error",
    "rate_limit_exceeded",
    "request_timeout",
    "response_failed",
    "server_error",
    "service_unavailable",
    "string_above_max_length",
    "timeout",
    "unsupported_parameter",
    "unsupported_value",
    "upstream_error",
];

/// The label for an error's code: Weir's own, a usual one of providers, or `provider`; empty for no error.
pub(super) fn error_type(code: Option<&str>) -> String {
    let code = code.unwrap_or_default();
    let known = code.is_empty() || CallError::CODES.contains(&code) || USUAL.contains(&code);
    if known { code } else { "provider" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_providers_are_bounded() {
        for (code, label) in [
            (None, ""),
            (Some("upstream_timeout"), "upstream_timeout"),
            (Some("guardrail_blocked"), "guardrail_blocked"),
            (Some("rate_limit_exceeded"), "rate_limit_exceeded"),
            (Some("429"), "429"),
            (Some("err_8f3a61"), "provider"),
            (Some("1699061776"), "provider"),
            (Some("Bad Thing"), "provider"),
        ] {
            assert_eq!(error_type(code), label, "{code:?}");
        }
    }
}
