//! One call's life, from socket to socket.
//!
//! ```text
//!  request ─▶ read ─▶ guard input ─▶ route ─▶ record ─▶ attempt ─▶ whole    ─▶ guard ─▶ record ─▶ app
//!              │          │            │         │                 ─▶ streamed ─▶ guard each frame ─▶ app
//!              └── 4xx    └── blocked  └── 404   └── 503           ─▶ pass through, counted ─▶ app
//! ```
//!
//! Whatever happens, `call.started` is in the journal before the provider is asked, and the one
//! event that ends the call before the last byte leaves.

mod ask;
mod attempt;
mod content_type;
mod failure;
mod findings;
mod form;
mod framing;
mod guarding;
mod lanes;
mod logprobs;
mod masking;
mod model;
mod pass;
mod query;
mod read;
mod record;
mod refusal;
mod spoken;
mod stopwatch;
mod stream;
mod unary;
mod unescape;
mod upload;

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use event::body::CallStarted;
use event::{Body, Json, Status};
use http::header::{self, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};
use provider::openai::Endpoint;

pub use ask::{Decision, Webhook};
pub use pass::PassThrough;
pub use record::CallRecord;
pub use stream::StreamedAnswer;
pub use upload::Upload;

use crate::body::AnswerBody;
use crate::config::{OnBlock, Record};
use crate::error::CallError;
use crate::headers::{CALL_ID, ClientContext};
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::upstream::Pool;
use read::Prepared;

/// What a call needs of its worker.
#[derive(Clone)]
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// This worker's connections.
    pub pool: Pool,
}

/// Takes one call from request to answer. Never fails: an error is an answer too.
pub async fn handle(worker: &Worker, request: Request<Incoming>) -> Response<AnswerBody> {
    let arrived = Instant::now();
    let snapshot = worker.shared.snapshot.load_full();
    let endpoint = endpoint(request.method().as_str(), request.uri().path());
    let mut record = CallRecord::new(Arc::clone(&worker.shared), Arc::clone(&snapshot), endpoint, arrived);
    let call_id = record.call_id;
    let (version, has_body) = (request.version(), !request.body().is_end_stream());
    let mut response = match unless_cut_off(&worker.shared, serve(worker, &snapshot, &mut record, request)).await {
        Ok(response) => response,
        Err(error) => {
            let mut response = answer_error(&mut record, &error).await;
            if has_body && !record.was_read {
                close_after(&mut response);
            }
            response
        }
    };
    if version == Version::HTTP_2 {
        // It has no such header.
        response.headers_mut().remove(header::CONNECTION);
    }
    if let Ok(value) = HeaderValue::try_from(call_id.to_string()) {
        response.headers_mut().insert(CALL_ID.clone(), value);
    }
    response
}

/// Says that the connection ends with this answer: the rest of the request is not read any more.
pub fn close_after(response: &mut Response<AnswerBody>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
}

/// Serves a call for as long as Weir has time for it.
async fn unless_cut_off<T>(
    shared: &Shared,
    serving: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    let mut serving = pin!(serving);
    std::future::poll_fn(|cx| match serving.as_mut().poll(cx) {
        Poll::Pending if shared.is_cut_off() => Poll::Ready(Err(CallError::ShuttingDown)),
        polled => polled,
    })
    .await
}

/// What is asked for. Servers read several slashes as one, and so do we.
pub fn endpoint(method: &str, path: &str) -> Endpoint {
    if !path.contains("//") {
        return Endpoint::of(method, path);
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    Endpoint::of(method, &format!("/{}", parts.join("/")))
}

async fn serve(
    worker: &Worker,
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, CallError> {
    let context = ClientContext::of(request.headers());
    record.scope = context.scope.clone();
    let started = CallStarted {
        method: request.method().as_str().to_owned(),
        endpoint: request.uri().path().to_owned(),
        operation: record.endpoint.operation().map(str::to_owned),
        session_id: context.session,
        user_id: context.user,
        tags: context.tags,
        replay_of: context.replay_of,
        user_agent: context.user_agent,
        ..CallStarted::default()
    };
    let mut arriving = Arriving {
        record,
        started: Some(Box::new(started)),
    };
    let prepared = arriving.prepare(snapshot, request).await;
    let stream = arriving.take_down()?;
    drop(arriving);
    let Prepared { sent, findings, parts } = prepared?;
    for event in findings.events(&record.guard, &worker.shared.metrics) {
        record.add(&Body::GuardrailEvaluated(Box::new(event)))?;
    }
    if let Some(blocked) = findings.blocked {
        return block_input(snapshot, record, &blocked, stream).await;
    }
    let route = snapshot
        .routes
        .choose_for(record.endpoint, record.asked_model(), &snapshot.prices);
    let route = route.map_err(|error| error.about_model(record.model.as_deref()))?;
    let answer = attempt::send(worker, snapshot, record, route, parts, sent, stream).await?;
    attempt::respond(snapshot, record, answer).await
}

/// A call whose request is still coming in. Dropped in the middle, because the app went away, it
/// leaves what is known of the call to its record, which ends it.
struct Arriving<'r> {
    record: &'r mut CallRecord,
    /// There until it is in the record.
    started: Option<Box<CallStarted>>,
}

impl Arriving<'_> {
    /// Reads the request, looks at it, and fills in what `call.started` says.
    async fn prepare(&mut self, snapshot: &Arc<Snapshot>, request: Request<Incoming>) -> Result<Prepared, CallError> {
        let record = &mut *self.record;
        let started = self.started.get_or_insert_default();
        let authorized = authorize(snapshot, record, &request);
        read::know_session(record, started);
        read::choose_policy(snapshot, record, started);
        masking::mask_context(snapshot, record, started);
        authorized?;
        // Others, such as `h2c`, are offers that may be passed over.
        let upgrade = request.headers().get(header::UPGRADE).map(HeaderValue::as_bytes);
        if upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
            let protocol = "WebSocket".to_owned();
            return Err(CallError::Upgrade { protocol });
        }
        if record.shared().is_draining() {
            return Err(CallError::ShuttingDown);
        }
        let journal = &record.shared().journal;
        if !journal.has_room() && !journal.sheds() {
            return Err(CallError::JournalFull);
        }
        read::prepare(snapshot, record, started, request).await
    }

    /// Adds `call.started` to the record. Returns whether a stream was asked for.
    fn take_down(&mut self) -> Result<bool, CallError> {
        let Some(mut started) = self.started.take() else {
            return Ok(false);
        };
        masking::mask_place(self.record, &mut started);
        self.record.model.clone_from(&started.request_model);
        let stream = started.stream;
        self.record.add(&Body::CallStarted(started))?;
        Ok(stream)
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        // A failure shows when the end of the call is written.
        let _ = self.take_down();
    }
}

fn authorize(snapshot: &Snapshot, record: &mut CallRecord, request: &Request<Incoming>) -> Result<(), CallError> {
    if !snapshot.wants_client_key() {
        return Ok(());
    }
    let presented = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let key = presented
        .and_then(|value| value.split_at_checked(b"Bearer ".len()))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
        .map(|(_, key)| key)
        .ok_or(CallError::Unauthorized)?;
    let owner = snapshot.owner(key.trim_ascii()).ok_or(CallError::Unauthorized)?;
    record.client_key = Some(owner.name.clone());
    record.scope.tenant.clone_from(&owner.tenant);
    if owner.app.is_some() {
        record.scope.app.clone_from(&owner.app);
    }
    Ok(())
}

/// The answer to a call whose input a guardrail stopped.
async fn block_input(
    snapshot: &Snapshot,
    record: &mut CallRecord,
    blocked: &CallError,
    stream: bool,
) -> Result<Response<AnswerBody>, CallError> {
    let has_refusal = record.endpoint.streams_chunks() && !record.endpoint.answers_responses();
    if snapshot.recording.on_block == OnBlock::Error || !has_refusal {
        return Err(blocked.clone());
    }
    let message = &snapshot.recording.refusal_message;
    let model = record.model.clone().unwrap_or_default();
    let refusal = refusal::whole(record.endpoint, &record.call_id.to_string(), &model, message);
    let mut ended = std::mem::take(&mut record.draft);
    ended.http_status = Some(200);
    ended.error_code = Some("guardrail_blocked".to_owned());
    ended.error_message = Some(blocked.to_string());
    ended.finish_reasons = vec![refusal::FINISH_REASON.to_owned()];
    if snapshot.recording.record != Record::Metadata {
        ended.response_body = Json::parse(refusal.clone()).ok();
    }
    let offset = record.end(Status::Blocked, ended)?;
    durable(record, offset).await?;
    let (content_type, body) = match stream {
        true => {
            let body = refusal::streamed(record.endpoint, &record.call_id.to_string(), &model, message);
            ("text/event-stream", body)
        }
        false => ("application/json", refusal),
    };
    let mut response = Response::new(AnswerBody::whole(body));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// The answer that tells an app of an error of ours; the call ends with it.
async fn answer_error(record: &mut CallRecord, error: &CallError) -> Response<AnswerBody> {
    let mut error = error.clone();
    if !record.is_ended() {
        let status = if matches!(error, CallError::Blocked { .. }) {
            Status::Blocked
        } else {
            Status::Failed
        };
        let ended = record.fail(&error, status);
        let done = match ended {
            Ok(offset) => durable(record, offset).await,
            Err(error) => Err(error),
        };
        if let Err(unwritten) = done {
            error = unwritten;
        }
    }
    let (status, _, _, _) = error.kind();
    let mut response = Response::new(AnswerBody::whole(error.body()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if error.forbids_retry() {
        let retry = HeaderName::from_static("x-should-retry");
        response.headers_mut().insert(retry, HeaderValue::from_static("false"));
    }
    if status == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// Waits until the event at `offset` is as durable as the policy promises.
async fn durable(record: &CallRecord, offset: i64) -> Result<(), CallError> {
    record
        .shared()
        .journal
        .durable(offset)
        .await
        .map_err(|e| CallError::Journal(e.to_string()))
}
