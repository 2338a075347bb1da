//! Headers: which ones travel on, and what they say of a call.

use event::{CallId, Scope};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers between two neighbours only (RFC 9110 §7.6.1), never passed on.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Our own request headers start with this; none of them reaches a provider.
const OWN_PREFIX: &str = "x-weir-";
/// The header that names the call in every response.
pub static CALL_ID: HeaderName = HeaderName::from_static("x-weir-call-id");

/// Removes hop-by-hop headers, those named by `Connection` included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(header::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
    headers.remove("proxy-connection");
}

/// Removes our own `x-weir-*` headers.
pub fn strip_own(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(OWN_PREFIX))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
}

/// What the headers say of a call.
#[derive(Clone, Debug, Default)]
pub struct ClientContext {
    /// App, trace and span; the tenant comes from the client key.
    pub scope: Scope,
    /// `x-weir-session`.
    pub session: Option<String>,
    /// `x-weir-user`.
    pub user: Option<String>,
    /// `x-weir-tags`, comma separated.
    pub tags: Vec<String>,
    /// `x-weir-replay-of`.
    pub replay_of: Option<CallId>,
    /// `User-Agent`.
    pub user_agent: Option<String>,
}

impl ClientContext {
    /// Reads the headers of a request.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> ClientContext {
        let text = |name: &str| headers.get(name).and_then(readable);
        let (trace_id, span_id) = headers
            .get("traceparent")
            .and_then(|v| v.to_str().ok())
            .and_then(traceparent)
            .unzip();
        ClientContext {
            scope: Scope {
                tenant: None,
                app: text("x-weir-app"),
                trace_id,
                span_id,
            },
            session: text("x-weir-session"),
            user: text("x-weir-user"),
            tags: text("x-weir-tags")
                .map(|tags| {
                    tags.split(',')
                        .map(|tag| tag.trim().to_owned())
                        .filter(|tag| !tag.is_empty())
                        .collect()
                })
                .unwrap_or_default(),
            replay_of: text("x-weir-replay-of").and_then(|id| id.parse().ok()),
            user_agent: text("user-agent"),
        }
    }
}

/// A header's text, UTF-8 as many clients send it; anything else is not recorded.
fn readable(value: &HeaderValue) -> Option<String> {
    let text = std::str::from_utf8(value.as_bytes()).ok()?.trim();
    (!text.is_empty()).then(|| text.chars().take(1024).collect())
}

/// Trace id and parent span id of a W3C `traceparent` (<https://www.w3.org/TR/trace-context/>).
fn traceparent(value: &str) -> Option<(String, String)> {
    let mut parts = value.trim().split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let hex = |s: &str, len: usize| {
        s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) && s.bytes().any(|b| b != b'0')
    };
    let known = version.len() == 2 && version != "ff" && version.bytes().all(|b| b.is_ascii_hexdigit());
    (known && hex(trace, 32) && hex(span, 16)).then(|| (trace.to_owned(), span.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_by_hop_headers_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-secret-hop"),
            ("x-secret-hop", "1"),
            ("te", "trailers"),
            ("x-mine", "kept"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-mine"]);
    }

    #[test]
    fn trace_context() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            traceparent(good),
            Some((
                "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
                "00f067aa0ba902b7".to_owned()
            ))
        );
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
        ] {
            assert_eq!(traceparent(bad), None, "{bad}");
        }
    }

    #[test]
    fn tags_are_split() {
        let mut headers = HeaderMap::new();
        headers.insert("x-weir-tags", HeaderValue::from_static("a, b ,,c"));
        headers.insert("x-weir-app", HeaderValue::from_static("shop"));
        let context = ClientContext::of(&headers);
        assert_eq!(context.tags, ["a", "b", "c"]);
        assert_eq!(context.scope.app.as_deref(), Some("shop"));
    }
}
