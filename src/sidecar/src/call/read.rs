//! Reading a request: its body, what it asks for, and what the guardrails say of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use event::Json;
use event::body::CallStarted;
use guard::{Action, Phase};
use http::header::{self, HeaderMap};
use http::{Request, request};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use provider::json::{self, Edit};
use provider::openai::{Endpoint, request as wire};
use provider::{Role, TextSpan};
use tokio::time::{Instant as Deadline, timeout_at};

use super::ask::{Asker, Question};
use super::content_type::{has_odd_charset, is_json_type, is_text_type};
use super::findings::{Findings, Subject};
use super::form::OpenForm;
use super::guarding::Guarding;
use super::masking::mask_parameters;
use super::record::CallRecord;
use super::stopwatch::Wait;
use super::upload::Tally;
use super::{form, model, query};
use crate::config::Record;
use crate::encoding::{Coding, DecodeError};
use crate::error::CallError;
use crate::metrics::ReasonLabels;
use crate::policies::Facts;
use crate::snapshot::Snapshot;

/// The longest time that an app may take to send a body that is read whole.
const MAX_BODY_TIME: Duration = Duration::from_secs(120);

/// A request that was read and looked at.
pub struct Prepared {
    /// Its head.
    pub parts: request::Parts,
    /// What goes to the provider.
    pub sent: Sent,
    /// What the guardrails found.
    pub findings: Findings,
}

/// What goes to the provider.
pub enum Sent {
    /// A body in memory.
    Whole(Whole),
    /// A body passed on as it arrives.
    Upload {
        /// The body.
        body: Incoming,
        /// What was sent so far.
        tally: Tally,
    },
}

/// A request body in memory.
#[derive(Default)]
pub struct Whole {
    /// As it came, coded as it came.
    pub raw: Bytes,
    /// Decoded, with all edits.
    pub text: Bytes,
    /// Whether `text` says something else than `raw`: then `text` is what is sent.
    pub edited: bool,
    /// Whether usage was asked for on the app's behalf, and is to be hidden from it again.
    pub hide_usage: bool,
    /// What stands between its parts, if it is a form.
    pub boundary: Option<String>,
}

/// Reads `request`, fills in `started`, and applies the input guardrails.
pub async fn prepare(
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    started: &mut CallStarted,
    request: Request<Incoming>,
) -> Result<Prepared, CallError> {
    let mut prepared = prepare_body(snapshot, record, started, request).await?;
    if record.guard.is_active(Phase::Input) && prepared.parts.uri.query().is_some() {
        query::look_at(snapshot, record, started.request_model.as_deref(), &mut prepared).await?;
    }
    Ok(prepared)
}

async fn prepare_body(
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    started: &mut CallStarted,
    request: Request<Incoming>,
) -> Result<Prepared, CallError> {
    let (parts, body) = request.into_parts();
    model::take_from_path(snapshot, record, started);
    let content_type = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .map(str::to_owned);
    let is_json = content_type.as_deref().is_none_or(is_json_type);
    started.request_content_type.clone_from(&content_type);
    let is_text = content_type.as_deref().is_some_and(is_text_type);
    let form_type = (content_type.as_deref())
        .filter(|kind| record.endpoint == Endpoint::Other && form::is_read(kind, parts.uri.path()));
    if record.endpoint == Endpoint::Other && !is_json && !is_text && form_type.is_none() && !body.is_end_stream() {
        if record.guard.is_active(Phase::Input) {
            count_unguarded(record, "request_content_type");
        }
        let limit = snapshot.max_request_bytes;
        if body.size_hint().lower() > limit as u64 {
            return Err(CallError::TooLarge { limit });
        }
        let sent = Sent::Upload {
            body,
            tally: Tally::default(),
        };
        return Ok(Prepared {
            parts,
            sent,
            findings: Findings::default(),
        });
    }
    record.time.wait(Wait::Client);
    let deadline = Deadline::from_std(record.time.arrived() + snapshot.limits.total.min(MAX_BODY_TIME));
    let body = match timeout_at(deadline, collect(body, snapshot.max_request_bytes)).await {
        Ok(body) => body?,
        Err(_) => return Err(CallError::BodyTimeout),
    };
    record.was_read = true;
    record.time.go_on(Wait::Client);
    started.request_size = Some(body.len() as u64);
    if body.is_empty() {
        let sent = Sent::Whole(Whole::default());
        return match record.endpoint.may_lack_body() {
            true => Ok(Prepared {
                parts,
                sent,
                findings: Findings::default(),
            }),
            false => Err(CallError::MalformedJson("the body is empty".to_owned())),
        };
    }
    if let Some(form_type) = form_type {
        let plain = match plain(&parts.headers, &body, snapshot.max_request_bytes)? {
            Cow::Borrowed(_) => body.clone(),
            Cow::Owned(plain) => plain.into(),
        };
        let form = OpenForm::read(form_type, plain)?;
        let (sent, findings) = look_at_form(snapshot, record, started, body, &form).await?;
        return Ok(Prepared { parts, sent, findings });
    }
    let text = match decode(&parts.headers, &body, snapshot.max_request_bytes) {
        Ok(text) => text,
        // Text of another encoding than UTF-8 is as unreadable as an image.
        Err(CallError::MalformedJson(_)) if record.endpoint == Endpoint::Other && !is_json => {
            if record.guard.is_active(Phase::Input) {
                count_unguarded(record, "request_content_type");
            }
            let sent = Sent::Whole(Whole {
                text: body.clone(),
                raw: body,
                ..Whole::default()
            });
            return Ok(Prepared {
                parts,
                sent,
                findings: Findings::default(),
            });
        }
        Err(error) => return Err(error),
    };
    // It may be read otherwise there than it was looked at here.
    if is_text && content_type.as_deref().is_some_and(has_odd_charset) && record.guard.is_active(Phase::Input) {
        count_unguarded(record, "request_content_type");
    }
    let (mut sent, mut findings) = inspect(snapshot, record, started, body.clone(), text, None)?;
    let questions = std::mem::take(&mut findings.questions);
    if snapshot.webhook.is_some() && !questions.is_empty() {
        let text = decode(&parts.headers, &body, snapshot.max_request_bytes)?;
        let model = started.request_model.clone();
        ask(snapshot, record, model.as_deref(), questions).await;
        (sent, findings) = inspect(snapshot, record, started, body, text, None)?;
    }
    Ok(Prepared { parts, sent, findings })
}

async fn look_at_form(
    snapshot: &Snapshot,
    record: &mut CallRecord,
    started: &mut CallStarted,
    body: Bytes,
    form: &OpenForm,
) -> Result<(Sent, Findings), CallError> {
    let text = || form.json().to_owned();
    let (sent, mut findings) = inspect(snapshot, record, started, body.clone(), text(), Some(form))?;
    if form.has_unread() && record.guard.is_active(Phase::Input) {
        count_unguarded(record, "request_file");
    }
    let questions = std::mem::take(&mut findings.questions);
    if snapshot.webhook.is_none() || questions.is_empty() {
        return Ok((sent, findings));
    }
    let model = started.request_model.clone();
    ask(snapshot, record, model.as_deref(), questions).await;
    inspect(snapshot, record, started, body, text(), Some(form))
}

/// Counts a body that no guardrail could look at.
pub fn count_unguarded(record: &CallRecord, reason: &str) {
    let labels = ReasonLabels {
        reason: reason.to_owned(),
    };
    record.shared().metrics.unguarded.get_or_create(&labels).inc();
}

async fn collect(mut body: Incoming, limit: usize) -> Result<Bytes, CallError> {
    if body.size_hint().lower() > limit as u64 {
        return Err(CallError::TooLarge { limit });
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| CallError::BodyRead(e.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = rest.len() + first.as_ref().map_or(0, Bytes::len);
        if so_far + data.len() > limit {
            return Err(CallError::TooLarge { limit });
        }
        // Most bodies arrive in one piece, which needs no copy.
        match first.take() {
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(head) => {
                rest.reserve(
                    head.len() + data.len() + usize::try_from(body.size_hint().lower()).unwrap_or(0).min(limit),
                );
                rest.extend_from_slice(&head);
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

fn plain<'b>(headers: &HeaderMap, body: &'b [u8], limit: usize) -> Result<Cow<'b, [u8]>, CallError> {
    let coding = Coding::of(headers).map_err(|name| CallError::Encoding(format!("unknown content-encoding {name}")))?;
    coding.decode(body, limit).map_err(|error| match error {
        DecodeError::TooLarge { limit } => CallError::TooLarge { limit },
        DecodeError::Corrupt(error) => CallError::Encoding(error.to_string()),
    })
}

fn decode(headers: &HeaderMap, body: &[u8], limit: usize) -> Result<String, CallError> {
    let text = String::from_utf8(plain(headers, body, limit)?.into_owned());
    text.map_err(|e| CallError::MalformedJson(format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to())))
}

/// Looks at a JSON body: what it asks for, what the guardrails say, and what is sent and kept. Of a `form`, `text`
/// is its JSON.
fn inspect(
    snapshot: &Snapshot,
    record: &mut CallRecord,
    started: &mut CallStarted,
    body: Bytes,
    text: String,
    form: Option<&OpenForm>,
) -> Result<(Sent, Findings), CallError> {
    let keep_flagged = snapshot.recording.record == Record::Full;
    let malformed = |e: provider::JsonError| CallError::MalformedJson(e.to_string());
    let mut edits: Vec<Edit> = Vec::new();
    let mut hide_usage = false;
    let mut findings;
    let mut is_json = true;
    let mut model = None;
    if record.endpoint == Endpoint::Other {
        match json::strings_and_numbers(&text) {
            Ok(spans) => {
                model = wire::model_of(&text);
                started.request_model = model.as_deref().map(str::to_owned);
                model::settle_policy(snapshot, record, started);
                findings = guard(&record.guard, &text, &spans, keep_flagged);
            }
            Err(_) if started.request_content_type.as_deref().is_some_and(is_text_type) => {
                is_json = false;
                findings = Findings::of_text(&record.guard, Phase::Input, &text, keep_flagged);
            }
            Err(error) => return Err(malformed(error)),
        }
    } else {
        let view = wire::parse(record.endpoint, &text).map_err(malformed)?;
        fill(started, &view);
        model.clone_from(&view.model);
        model::settle_policy(snapshot, record, started);
        prepare_guard(record, &view);
        findings = guard(&record.guard, &text, &view.texts, keep_flagged);
        if view.token_ids > 0 && record.guard.is_active(Phase::Input) {
            count_unguarded(record, "token_ids");
        }
        if let Some(edit) = wire::inject_include_usage(&text, &view) {
            edits.push(edit);
            hide_usage = true;
        }
    }
    if record.guard.is_active(Phase::Input) {
        mask_parameters(&record.guard.policy, started, keep_flagged);
    }
    edits.append(&mut findings.edits);
    let edited = if edits.is_empty() {
        None
    } else {
        Some(splice(&text, &mut edits)?)
    };
    // Where it is masked, the provider is asked for what is sent.
    record.asked_model = match started.request_model.as_deref() == model.as_deref() {
        true => None,
        false => {
            let sent = wire::parse(record.endpoint, edited.as_ref().unwrap_or(&text)).ok();
            sent.and_then(|view| view.model.map(Cow::into_owned))
        }
    };
    if is_json && snapshot.recording.record != Record::Metadata {
        let kept = match findings.rest_edits.is_empty() {
            true => text.clone(),
            false => splice(&text, &mut findings.rest_edits)?,
        };
        started.request_body = Some(Json::parse(kept).map_err(|e| CallError::MalformedJson(e.to_string()))?);
    }
    let whole = Whole {
        raw: body,
        edited: edited.is_some(),
        text: match form {
            Some(form) => form.with(&edits),
            None => edited.unwrap_or(text).into(),
        },
        hide_usage,
        boundary: form.map(|form| form.boundary().to_owned()),
    };
    Ok((Sent::Whole(whole), findings))
}

fn splice(text: &str, edits: &mut [Edit]) -> Result<String, CallError> {
    // Edits replace whole literals of valid UTF-8 by others: the result is valid again.
    String::from_utf8(json::splice(text.as_bytes(), edits)).map_err(|e| CallError::Encoding(e.to_string()))
}

fn guard(guarding: &Guarding, text: &str, spans: &[TextSpan<'_>], keep_flagged: bool) -> Findings {
    let subjects = spans.iter().map(|span| Subject {
        phase: if span.role == Role::Tool {
            Phase::Tool
        } else {
            Phase::Input
        },
        answer: false,
        span,
    });
    Findings::of_texts(guarding, text, subjects, keep_flagged)
}

/// Has the webhook decide about `questions`; the texts are to be looked at again.
pub async fn ask(snapshot: &Snapshot, record: &mut CallRecord, model: Option<&str>, questions: Vec<Question>) {
    let Some(webhook) = &snapshot.webhook else { return };
    let began = Instant::now();
    let asker = Asker {
        call_id: record.call_id,
        app: record.scope.app.as_deref(),
        model,
    };
    let decided = webhook.ask(asker, questions).await;
    for decided in &decided {
        let labels = ReasonLabels {
            reason: decided.by.to_owned(),
        };
        record.shared().metrics.guardrail_asked.get_or_create(&labels).inc();
    }
    record.guard.decide(decided);
    record.time.add_guard(began.elapsed());
}

/// Takes down which app and session the call belongs to, before anything of their names is masked.
pub fn know_session(record: &mut CallRecord, started: &CallStarted) {
    record.app.clone_from(&record.scope.app);
    let session = started.session_id.as_deref();
    record.session = session.map(|session| {
        let mut hasher = blake3::Hasher::new();
        // Whose key has no tenant is nobody's fellow: names of sessions are the apps' own choice.
        let (tenant, key) = match &record.scope.tenant {
            Some(tenant) => (Some(tenant), None),
            None => (None, record.client_key.as_ref()),
        };
        for part in [
            tenant.map(String::as_str),
            key.map(String::as_str),
            record.scope.app.as_deref(),
            Some(session),
        ] {
            // Lengths keep parts apart; no part is not an empty one.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            hasher.update(&length.to_le_bytes());
            hasher.update(part.unwrap_or_default().as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    });
}

/// Chooses the policy by what is known of the call so far.
pub fn choose_policy(snapshot: &Snapshot, record: &mut CallRecord, started: &CallStarted) {
    let model = started.request_model.as_deref();
    let route = snapshot
        .policies
        .ask_for_upstream()
        .then(|| {
            snapshot
                .routes
                .choose_for(record.endpoint, model, &snapshot.prices)
                .ok()
        })
        .flatten();
    let call = record.call_id.0;
    let facts = Facts {
        app: record.app.as_deref(),
        key: record.client_key.as_deref(),
        model,
        upstream: route.as_ref().map(|route| &*route.target.name),
        endpoint: &started.endpoint,
        draw: record.session.as_deref().map_or(call.as_bytes(), str::as_bytes),
    };
    let (policy, name) = snapshot.policies.choose(&facts);
    if !Arc::ptr_eq(policy, &record.guard.policy) || name != record.guard.name.as_ref() {
        record.guard = Guarding::new(Arc::clone(policy), name.cloned());
    }
}

/// Tells the guardrails what they have to know of the call.
fn prepare_guard(record: &mut CallRecord, view: &wire::View<'_>) {
    if record.guard.wants_prompt() {
        let system = view
            .texts
            .iter()
            .filter(|span| span.role == Role::System)
            .map(|span| &*span.text);
        let prompt = system.collect::<Vec<_>>().join("\n");
        record.guard.learn_prompt(&prompt);
    }
    if record.guard.wants_schema()
        && let Some(schema) = view.response_schema()
    {
        record.guard.learn_schema(schema);
    }
    if record.guard.policy.uses(Action::Vault) {
        let vault = &record.shared().vault;
        let session = match &record.session {
            Some(session) => vault.session(session),
            None => vault.alone(),
        };
        record.guard.use_vault(session);
    }
}

fn fill(started: &mut CallStarted, view: &wire::View<'_>) {
    let owned = |text: &std::borrow::Cow<'_, str>| text.clone().into_owned();
    started.dialect = Some("openai".to_owned());
    started.request_model = view.model.as_ref().map(owned);
    started.stream = view.stream;
    started.max_tokens = view.max_tokens;
    started.temperature = view.temperature;
    started.top_p = view.top_p;
    started.choice_count = view.n;
    started.seed = view.seed;
    started.frequency_penalty = view.frequency_penalty;
    started.presence_penalty = view.presence_penalty;
    started.stop_sequences = view.stop.iter().map(owned).collect();
    started.output_type = view.response_format.as_ref().map(owned);
    started.user_id = started.user_id.take().or(view.user.as_ref().map(owned));
    started.metadata = view
        .metadata
        .iter()
        .map(|(key, value)| (owned(key), owned(value)))
        .collect::<BTreeMap<String, String>>();
}
