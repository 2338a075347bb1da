//! The query of a request's address: its values are texts of the app like those of a body.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use guard::{Escaping, Phase, Verdict};
use http::Uri;

use super::ask::{MAX_QUESTIONS, Question};
use super::guarding::Guarding;
use super::read::{Prepared, ask};
use super::record::CallRecord;
use crate::config::Record;
use crate::error::CallError;
use crate::snapshot::Snapshot;

/// Names under which providers take a credential: like the one in a header it is meant for them.
const CREDENTIALS: [&str; 7] = [
    "key",
    "api_key",
    "api-key",
    "apikey",
    "subscription-key",
    "access_token",
    "sig",
];

/// What the guardrails say of a query.
#[derive(Default)]
struct Looked {
    /// The query as it may go on, where that is another.
    edited: Option<String>,
    /// Where something matched, and what.
    verdicts: Vec<(String, Vec<Verdict>)>,
    questions: Vec<Question>,
    errors: u32,
    time: Duration,
}

/// Looks at the query of `prepared`: redacts in it, and adds what was found. `model`: the one asked for, as it
/// may be kept.
pub async fn look_at(
    snapshot: &Snapshot,
    record: &mut CallRecord,
    model: Option<&str>,
    prepared: &mut Prepared,
) -> Result<(), CallError> {
    let uri = prepared.parts.uri.clone();
    let query = uri.query().unwrap_or_default();
    let keep_flagged = snapshot.recording.record == Record::Full;
    let mut looked = look(&record.guard, query, keep_flagged);
    let questions = std::mem::take(&mut looked.questions);
    if snapshot.webhook.is_some() && !questions.is_empty() {
        ask(snapshot, record, model, questions).await;
        looked = look(&record.guard, query, keep_flagged);
    }
    for (location, verdicts) in &looked.verdicts {
        prepared.findings.add(&record.guard, Phase::Input, location, verdicts);
    }
    prepared.findings.spend(looked.errors, looked.time);
    if let Some(edited) = looked.edited {
        prepared.parts.uri = with_query(uri, &edited)?;
    }
    Ok(())
}

fn with_query(uri: Uri, query: &str) -> Result<Uri, CallError> {
    let place = format!("{}?{query}", uri.path());
    with_place(uri, &place)
}

/// `uri` with another path.
pub fn with_path(uri: &Uri, path: &str) -> Result<Uri, CallError> {
    match uri.query() {
        Some(query) => with_place(uri.clone(), &format!("{path}?{query}")),
        None => with_place(uri.clone(), path),
    }
}

fn with_place(uri: Uri, place: &str) -> Result<Uri, CallError> {
    let wrong = |reason: String| CallError::Encoding(format!("the address cannot be written anew: {reason}"));
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(place.parse().map_err(|e: http::uri::InvalidUri| wrong(e.to_string()))?);
    Uri::from_parts(parts).map_err(|e| wrong(e.to_string()))
}

fn look(guarding: &Guarding, query: &str, keep_flagged: bool) -> Looked {
    let began = Instant::now();
    let mut looked = Looked::default();
    let mut edited = String::new();
    for (position, pair) in query.split('&').enumerate() {
        if position > 0 {
            edited.push('&');
        }
        let (name, value) = pair
            .split_once('=')
            .map_or((pair, None), |(name, value)| (name, Some(value)));
        let credential = value.is_some_and(|value| is_credential(name, value));
        let mut text = |raw: &str, is_fine: bool| {
            if is_fine {
                return edited.push_str(raw);
            }
            let text = decode(raw);
            let seen = guarding.look(Phase::Input, &text, keep_flagged, Escaping::Plain);
            match seen.passed == text {
                true => edited.push_str(raw),
                false => encode(&seen.passed, &mut edited),
            }
            looked.errors += seen.errors;
            if !seen.verdicts.is_empty() {
                // A name may be what matched: told is its place.
                looked.verdicts.push((format!("query.{{{position}}}"), seen.verdicts));
                looked.questions.extend(seen.questions);
            }
        };
        text(name, is_plain_name(name));
        if let Some(value) = value {
            text("=", true);
            text(value, credential);
        }
    }
    looked.questions.truncate(MAX_QUESTIONS);
    looked.edited = Some(edited).filter(|edited| edited != query);
    looked.time = began.elapsed();
    looked
}

/// Whether a value is a provider's key by its name and its form.
fn is_credential(name: &str, value: &str) -> bool {
    CREDENTIALS.iter().any(|known| known.eq_ignore_ascii_case(name))
        && value.bytes().any(|byte| byte.is_ascii_alphabetic())
        && value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// Whether a name can be nothing else.
fn is_plain_name(name: &str) -> bool {
    name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'[' | b']'))
        && name.bytes().filter(u8::is_ascii_digit).count() < 9
}

/// A text without its percent signs; a plus is a space.
pub fn decode(raw: &str) -> Cow<'_, str> {
    if !raw.contains(['%', '+']) {
        return Cow::Borrowed(raw);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%')
            .then(|| after.split_at_checked(2))
            .flatten()
            .and_then(|(digits, after)| Some((u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?, after)));
        let (byte, after) = match escaped {
            Some(escaped) => escaped,
            None if *byte == b'+' => (b' ', after),
            None => (*byte, after),
        };
        out.push(byte);
        rest = after;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_servers_read_them() {
        for (raw, text) in [
            ("ana%40example.com", "ana@example.com"),
            ("a+b%2Bc", "a b+c"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%C3%A9", "é"),
        ] {
            assert_eq!(decode(raw), text, "{raw}");
        }
        let mut out = String::new();
        encode("[EMAIL] é", &mut out);
        assert_eq!(out, "%5BEMAIL%5D%20%C3%A9");
    }

    #[test]
    fn credentials_are_known_by_name_and_form() {
        assert!(is_credential("key", "AIzaSyD-abc_123"));
        assert!(!is_credential("key", "ana%40example.com"));
        assert!(!is_credential("api_key", "4242424242424242"));
        assert!(!is_credential("query", "AIzaSyD-abc_123"));
        assert!(is_plain_name("filter[type]") && !is_plain_name("ana%40example.com"));
    }
}
