//! Answers that come whole: read, guarded, recorded, then given to the app.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use event::{Body, Json, Status, UsageSource};
use guard::{Phase, Policy};
use http::header;
use http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use provider::TextSpan;
use provider::json::{self, Edit};
use provider::openai::{Channel, Endpoint, response as wire};
use tokio::time::{Instant as Deadline, timeout_at};

use super::attempt::{Answer, describe};
use super::content_type::is_json_type;
use super::durable;
use super::findings::{Findings, Subject};
use super::logprobs;
use super::masking::mask;
use super::read::{ask, count_unguarded};
use super::record::CallRecord;
use super::stopwatch::Wait;
use crate::body::AnswerBody;
use crate::config::{OnBlock, Record};
use crate::encoding::Coding;
use crate::error::CallError;
use crate::snapshot::Snapshot;

/// Whether an answer of this content type is read whole: JSON and text. Anything else passes.
pub fn is_readable(content_type: &str) -> bool {
    let kind = content_type.to_ascii_lowercase();
    is_json_type(&kind) || kind.starts_with("text/") || kind.starts_with("application/x-ndjson") || kind.is_empty()
}

/// The texts of an answer.
struct Texts<'t> {
    /// Each with whether it is an answer itself.
    spans: Vec<(TextSpan<'t>, bool)>,
    /// Where `logprobs` stand, which spell the texts out once more.
    logprobs: Vec<Range<usize>>,
    /// Those of them that spell something else.
    odd_logprobs: Vec<Range<usize>>,
    /// Those of the Responses API.
    event_logprobs: Vec<Range<usize>>,
}

/// A provider's message as it may be kept.
pub fn kept_text(snapshot: &Snapshot, policy: &Policy, text: &str) -> Option<String> {
    let keep_flagged = match snapshot.recording.record {
        Record::Metadata => return None,
        record => record == Record::Full,
    };
    let outcome = policy.scan(Phase::Output, text);
    Some(outcome.at_rest(text, keep_flagged).into_owned())
}

/// What was learnt from an answer.
#[derive(Default)]
struct Looked {
    /// The body for the app, where it differs from what came.
    edited: Option<String>,
    /// The body to keep, if it is JSON and may be kept.
    kept: Option<String>,
    findings: Findings,
}

/// Gives the app an answer that came whole.
pub async fn respond(
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    answer: Answer,
) -> Result<Response<AnswerBody>, CallError> {
    let Answer {
        mut head,
        body,
        conn,
        target,
        deadline,
        uploaded,
        ..
    } = answer;
    record.time.wait(Wait::Upstream);
    let collected = collect(snapshot, body, &target.name, deadline).await;
    record.time.go_on(Wait::Upstream);
    let raw = collected?;
    conn.release();
    let mut looked = look(snapshot, record, &head, &raw, &target.name)?;
    let questions = std::mem::take(&mut looked.findings.questions);
    if snapshot.webhook.is_some() && !questions.is_empty() {
        let model = record.model.clone();
        ask(snapshot, record, model.as_deref(), questions).await;
        looked = look(snapshot, record, &head, &raw, &target.name)?;
    }
    record.time.add_guard(looked.findings.time());
    for event in looked.findings.events(&record.guard, &record.shared().metrics) {
        record.add(&Body::GuardrailEvaluated(Box::new(event)))?;
    }
    record.note_upload(uploaded.as_ref());
    if let Some(blocked) = looked.findings.blocked {
        // What may not be kept of it is taken out already.
        record.draft.response_body = looked.kept.and_then(|kept| Json::parse(kept).ok());
        return block(snapshot, record, &blocked).await;
    }
    let body = match looked.edited {
        Some(edited) => {
            head.headers.remove(header::CONTENT_ENCODING);
            head.headers.remove(header::ETAG);
            Bytes::from(edited)
        }
        None => raw,
    };
    head.headers.remove(header::CONTENT_LENGTH);
    record.time.mark_first_token();
    let mut ended = std::mem::take(&mut record.draft);
    ended.http_status = Some(head.status.as_u16());
    ended.response_size = Some(body.len() as u64);
    ended.response_body = looked.kept.and_then(|kept| Json::parse(kept).ok());
    let failed = head.status.is_client_error() || head.status.is_server_error();
    let offset = record.end(if failed { Status::Failed } else { Status::Completed }, ended)?;
    durable(record, offset).await?;
    Ok(Response::from_parts(head, AnswerBody::whole(body)))
}

async fn block(
    snapshot: &Snapshot,
    record: &mut CallRecord,
    blocked: &CallError,
) -> Result<Response<AnswerBody>, CallError> {
    if snapshot.recording.on_block == OnBlock::Refusal {
        return super::block_input(snapshot, record, blocked, false).await;
    }
    Err(blocked.clone())
}

async fn collect(
    snapshot: &Snapshot,
    mut body: Incoming,
    upstream: &str,
    deadline: Deadline,
) -> Result<Bytes, CallError> {
    let limit = snapshot.max_response_bytes;
    let too_large = || CallError::AnswerTooLarge {
        upstream: upstream.to_owned(),
        limit,
    };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    loop {
        let idle = deadline.min(Deadline::now() + snapshot.limits.idle);
        let Ok(frame) = timeout_at(idle, body.frame()).await else {
            let phase = if idle == deadline { "total" } else { "idle" };
            return Err(CallError::Timeout {
                upstream: upstream.to_owned(),
                phase,
            });
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|e| CallError::Reset {
            upstream: upstream.to_owned(),
            reason: describe(&e),
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if rest.len() + first.as_ref().map_or(0, Bytes::len) + data.len() > limit {
            return Err(too_large());
        }
        match first.take() {
            None if rest.is_empty() => first = Some(data),
            None => rest.extend_from_slice(&data),
            Some(head) => {
                rest.extend_from_slice(&head);
                rest.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| rest.freeze()))
}

/// Reads an answer: what it says, what it used, what the guardrails find.
fn look(
    snapshot: &Snapshot,
    record: &mut CallRecord,
    head: &http::response::Parts,
    raw: &Bytes,
    upstream: &str,
) -> Result<Looked, CallError> {
    let guarded = record.guard.is_active(Phase::Output);
    let unreadable = |reason: String| CallError::UnreadableAnswer {
        upstream: upstream.to_owned(),
        reason,
    };
    let plain = match Coding::of(&head.headers).and_then(|coding| {
        coding
            .decode(raw, snapshot.max_response_bytes)
            .map_err(|e| e.to_string())
    }) {
        Ok(plain) => plain,
        // Fail closed: what cannot be read cannot be called clean.
        Err(reason) if guarded => return Err(unreadable(format!("content-encoding: {reason}"))),
        Err(_) => return Ok(Looked::default()),
    };
    let text = match std::str::from_utf8(&plain) {
        Ok(text) => text,
        Err(_) if guarded => return Err(unreadable("it is not UTF-8".to_owned())),
        Err(_) => return Ok(Looked::default()),
    };
    let failed = head.status.is_client_error() || head.status.is_server_error();
    let content_type = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    if text.trim().is_empty() {
        return Ok(Looked::default());
    }
    let keep_flagged = snapshot.recording.record == Record::Full;
    let parsed = parse(snapshot, record, text, head.status);
    let texts = match parsed {
        Ok(texts) => texts,
        Err(reason) if guarded && !failed && is_json_type(content_type) => return Err(unreadable(reason)),
        // A stream that does not say that it is one: in its raw form no rule would see what it says.
        Err(reason) if guarded && !failed && record.endpoint.streams_chunks() => {
            return Err(unreadable(format!("neither JSON nor text/event-stream: {reason}")));
        }
        Err(_) => {
            let mut findings = Findings::of_text(&record.guard, Phase::Output, text, keep_flagged);
            if failed {
                count_upstream_error(record, &findings);
            }
            let mut edits = std::mem::take(&mut findings.edits);
            let edited = apply(text, &mut edits)?.filter(|_| !failed);
            return Ok(Looked {
                edited,
                kept: None,
                findings: if failed { Findings::default() } else { findings },
            });
        }
    };
    let subjects = texts.spans.iter().map(|(span, answer)| Subject {
        phase: Phase::Output,
        answer: *answer,
        span,
    });
    let mut findings = Findings::of_texts(&record.guard, text, subjects, keep_flagged);
    for edits in [&mut findings.edits, &mut findings.rest_edits] {
        if guarded {
            edits.extend(texts.event_logprobs.iter().map(|range| (range.clone(), b"[]".to_vec())));
        }
        let left_out = match edits.is_empty() {
            true => &texts.odd_logprobs,
            false => &texts.logprobs,
        };
        edits.extend(left_out.iter().map(|range| (range.clone(), b"null".to_vec())));
    }
    if !findings.rest_edits.is_empty() {
        let policy = Arc::clone(&record.guard.policy);
        let mask = |text: &mut String| mask(&policy, Phase::Output, text, keep_flagged);
        let draft = &mut record.draft;
        draft.response_id.iter_mut().for_each(mask);
        draft.response_model.iter_mut().for_each(mask);
        draft.error_code.iter_mut().for_each(mask);
        draft.finish_reasons.iter_mut().for_each(mask);
    }
    if !guarded && record.endpoint != Endpoint::Models {
        count_unguarded(record, "no_output_rules");
    }
    let kept = (snapshot.recording.record != Record::Metadata)
        .then(|| apply(text, &mut findings.rest_edits.clone()))
        .transpose()?
        .map(|edited| edited.unwrap_or_else(|| text.to_owned()));
    // A provider's own error passes unchanged, whatever it quotes; only what is kept is masked.
    if failed {
        count_upstream_error(record, &findings);
        return Ok(Looked {
            edited: None,
            kept,
            findings: Findings::default(),
        });
    }
    let edited = apply(text, &mut findings.edits)?;
    Ok(Looked { edited, kept, findings })
}

/// Counts a provider's own error that passes though a rule found something in it.
fn count_upstream_error(record: &CallRecord, findings: &Findings) {
    if !findings.edits.is_empty() || findings.blocked.is_some() {
        count_unguarded(record, "upstream_error");
    }
}

fn apply(text: &str, edits: &mut [Edit]) -> Result<Option<String>, CallError> {
    if edits.is_empty() {
        return Ok(None);
    }
    String::from_utf8(json::splice(text.as_bytes(), edits))
        .map(Some)
        .map_err(|e| CallError::Encoding(e.to_string()))
}

/// Notes what a provider says of its error.
fn note_error(snapshot: &Snapshot, record: &mut CallRecord, error: &provider::openai::error::Error) {
    record.draft.error_code = error.code.clone().or_else(|| error.kind.clone());
    record.draft.error_message = kept_text(snapshot, &record.guard.policy, &error.message);
}

/// The texts of a JSON answer; fills in what the answer says of model, usage and end.
fn parse<'t>(
    snapshot: &Snapshot,
    record: &mut CallRecord,
    text: &'t str,
    status: StatusCode,
) -> Result<Texts<'t>, String> {
    if record.endpoint == Endpoint::Other {
        if !status.is_success()
            && let Ok(view) = wire::parse(record.endpoint, text)
            && let Some(error) = &view.error
        {
            note_error(snapshot, record, error);
        }
        let spans = json::strings(text).map_err(|e| e.to_string())?;
        return Ok(Texts {
            spans: spans.into_iter().map(|span| (span, false)).collect(),
            logprobs: Vec::new(),
            odd_logprobs: Vec::new(),
            event_logprobs: Vec::new(),
        });
    }
    let view = wire::parse(record.endpoint, text).map_err(|e| e.to_string())?;
    let owned = |text: &Cow<'_, str>| text.clone().into_owned();
    record.draft.response_id = view.id.as_ref().map(owned);
    record.draft.response_model = view.model.as_ref().map(owned);
    record.draft.finish_reasons.clone_from(&view.finish_reasons);
    record.service_tier = view.service_tier.as_ref().map(owned);
    let media = |reported: provider::usage::Reported| reported.media.is_some_and(|tokens| tokens > 0);
    record.media = view.reported.is_some_and(media);
    if !view.usage.is_unknown() {
        record.draft.set_usage(&view.usage, UsageSource::Provider);
    } else if view.error.is_none() && status.is_success() {
        // Whatever an error looks like, nobody pays for it.
        record.estimate(view.texts.iter().map(|piece| &*piece.span.text));
    }
    if let Some(error) = &view.error {
        note_error(snapshot, record, error);
    }
    let odd_logprobs = match record.guard.is_active(Phase::Output) {
        true => logprobs::not_spelled(text, &view),
        false => Vec::new(),
    };
    let spans = view
        .texts
        .into_iter()
        .map(|piece| (piece.span, piece.channel == Channel::Content))
        .chain(view.others.into_iter().map(|span| (span, false)))
        .collect();
    Ok(Texts {
        spans,
        logprobs: view.logprobs.into_iter().map(|(_, range)| range).collect(),
        odd_logprobs,
        event_logprobs: view.event_logprobs,
    })
}
