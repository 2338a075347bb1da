//! One request to one provider, and what becomes of its answer.

use std::sync::Arc;
use std::time::Instant;

use event::Body;
use event::body::AttemptStarted;
use guard::Phase;
use http::header::{self, HeaderValue};
use http::uri::{PathAndQuery, Scheme, Uri};
use http::{Request, Response, StatusCode, Version, request, response};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use provider::openai::request as wire;
use tokio::time::{Instant as Deadline, timeout_at};

use super::masking::mask;
use super::read::{Sent, Whole};
use super::record::CallRecord;
use super::stopwatch::Wait;
use super::upload::{Progress, Tally, Upload};
use super::{Worker, form, model, pass, stream, unary};
use crate::body::AnswerBody;
use crate::config::Record;
use crate::error::{CallError, Fault};
use crate::headers::{strip_hop_by_hop, strip_own};
use crate::route::Route;
use crate::snapshot::Snapshot;
use crate::upstream::{PooledConn, RequestBody, SendFailure, Target};

/// Characters of a redirect's place that an error names.
const MAX_LOCATION: usize = 300;

/// An answer whose head has arrived.
pub struct Answer {
    /// Its head.
    pub head: response::Parts,
    /// Its body.
    pub body: Incoming,
    /// The connection it comes on.
    pub conn: PooledConn,
    /// Who answers.
    pub target: Arc<Target>,
    /// When the call must be over.
    pub deadline: Deadline,
    /// Whether the app must not see the usage chunk.
    pub hide_usage: bool,
    /// What the app sent in a body that was passed through unread.
    pub uploaded: Option<Tally>,
}

/// Asks the provider of `route`; records the attempt before a byte is sent.
pub async fn send(
    worker: &Worker,
    snapshot: &Snapshot,
    record: &mut CallRecord,
    route: Route,
    parts: request::Parts,
    sent: Sent,
    stream: bool,
) -> Result<Answer, CallError> {
    let target = route.target;
    record.target = Some(Arc::clone(&target));
    record.draft.attempts = 1;
    record.attempt_began = Some(Instant::now());
    let model = match (&route.model, &record.asked_model) {
        (Some(model), None) => Some(model.as_str()),
        // Of a name that may not be kept as it is, what may, without the provider's.
        (Some(_), Some(_)) => (record.model.as_deref()).map(|kept| kept.split_once('/').map_or(kept, |(_, rest)| rest)),
        (None, _) => record.model.as_deref(),
    };
    let credential = target.credential_id.clone();
    let app_key = || {
        let passed_on = !snapshot.wants_client_key() && parts.headers.contains_key(header::AUTHORIZATION);
        passed_on.then(|| "app".to_owned())
    };
    record.add(&Body::AttemptStarted(Box::new(AttemptStarted {
        index: 0,
        provider: target.name.to_string(),
        model: model.map(str::to_owned),
        server_address: target.host.to_string(),
        server_port: target.port,
        credential_id: credential.or_else(app_key),
        reason: route.reason.to_owned(),
    })))?;
    record.write()?;

    let hide_usage = matches!(&sent, Sent::Whole(whole) if whole.hide_usage);
    let mut parts = parts;
    if route.model.is_some()
        && let Some(uri) = model::without_prefix(record.endpoint, &parts.uri)?
    {
        parts.uri = uri;
    }
    let (body, uploaded) = request_body(record, &mut parts, sent, route.model.as_deref());
    let guarded_stream = stream && record.guard.is_active(Phase::Output);
    let deadline = Deadline::from_std(record.time.arrived() + snapshot.limits.total);
    let outgoing = Outgoing {
        parts,
        body,
        upload: uploaded.clone(),
        guarded_stream,
        deadline,
    };
    let result = exchange(worker, snapshot, record, &target, outgoing).await;
    match result {
        Ok((conn, response)) => {
            let (head, body) = response.into_parts();
            Ok(Answer {
                head,
                body,
                conn,
                target,
                deadline,
                hide_usage,
                uploaded,
            })
        }
        Err(error) => {
            record.attempt_failed(&error, None)?;
            Err(error)
        }
    }
}

/// Turns an answer into what the app gets.
pub async fn respond(
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    answer: Answer,
) -> Result<Response<AnswerBody>, CallError> {
    let status = answer.head.status;
    let uploaded = answer.uploaded.clone();
    let result = pass_on(snapshot, record, answer).await;
    // A provider may have begun to answer before it had all: that its answer breaks is no fault of its own.
    let cut = uploaded.and_then(|tally| match tally.progress().0 {
        Progress::TooLarge { limit } => Some(CallError::TooLarge { limit }),
        _ => None,
    });
    let was_cut = cut.is_some();
    let result = result.map_err(|error| cut.unwrap_or(error));
    if let Err(error) = &result
        && (was_cut || error.kind().3 == Fault::Upstream)
    {
        record.attempt_failed(error, Some(status))?;
    }
    result
}

async fn pass_on(
    snapshot: &Arc<Snapshot>,
    record: &mut CallRecord,
    mut answer: Answer,
) -> Result<Response<AnswerBody>, CallError> {
    strip_hop_by_hop(&mut answer.head.headers);
    // The version is each connection's own: told 1.0, hyper would end the answer by closing the connection, and
    // one that was cut would look whole.
    answer.head.version = Version::HTTP_11;
    if (answer.uploaded.as_ref()).is_some_and(|upload| upload.progress().0 != Progress::Done) {
        // The provider does not want the rest, and nobody reads it.
        let close = HeaderValue::from_static("close");
        answer.head.headers.insert(header::CONNECTION, close);
    }
    let status = answer.head.status;
    if let Some(location) = leads_elsewhere(&answer.head) {
        return Err(redirected(record, &answer.target, status, location));
    }
    if status.is_client_error() || status.is_server_error() {
        record.asked = false;
        record.attempt_refused(status)?;
    }
    let content_type = answer
        .head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let streams = content_type
        .trim_start()
        .to_ascii_lowercase()
        .starts_with("text/event-stream");
    if streams && status.is_success() {
        return stream::respond(snapshot, record, answer);
    }
    // Whatever such an endpoint says it answers, it is looked at.
    let answers = record.endpoint.operation().is_some() || record.endpoint.is_retrieval();
    let guarded = record.guard.is_active(Phase::Output) && answers;
    if guarded || unary::is_readable(content_type) {
        return unary::respond(snapshot, record, answer).await;
    }
    pass::respond(snapshot, record, answer).await
}

/// Where an answer sends the app: its SDK would go there by itself, prompt and all, and nobody would look.
fn leads_elsewhere(head: &response::Parts) -> Option<&HeaderValue> {
    let redirects = head.status.is_redirection() && head.status != StatusCode::NOT_MODIFIED;
    head.headers.get(header::LOCATION).filter(|_| redirects)
}

/// The error that names the place. A provider makes it of what it was asked, so it may hold what no rule lets
/// through; a query is the provider's own business.
fn redirected(record: &CallRecord, target: &Target, status: StatusCode, location: &HeaderValue) -> CallError {
    let location = String::from_utf8_lossy(location.as_bytes());
    let place = location.split(['?', '#']).next().unwrap_or_default();
    let mut place: String = place.chars().take(MAX_LOCATION).collect();
    for phase in [Phase::Input, Phase::Output] {
        mask(
            &record.guard.policy,
            phase,
            &mut place,
            record.recorded() == Record::Full,
        );
    }
    CallError::Redirect {
        upstream: target.name.to_string(),
        status: status.as_u16(),
        location: place,
    }
}

fn request_body(
    record: &mut CallRecord,
    parts: &mut request::Parts,
    sent: Sent,
    model: Option<&str>,
) -> (RequestBody, Option<Tally>) {
    let mut whole = match sent {
        Sent::Upload { body, tally } => {
            let upload = Upload::new(body, tally.clone(), record.max_request_bytes());
            return (Either::Right(upload), Some(tally));
        }
        Sent::Whole(whole) => whole,
    };
    if let Some(model) = model {
        rename(record, &mut whole, model);
    }
    record.sent = Some(whole.text.clone());
    if !whole.edited {
        return (Either::Left(Full::new(whole.raw)), None);
    }
    // What was edited travels decoded.
    parts.headers.remove(header::CONTENT_ENCODING);
    (Either::Left(Full::new(whole.text)), None)
}

/// Another model in the body: `groq/llama` asks groq for `llama`.
fn rename(record: &CallRecord, whole: &mut Whole, model: &str) {
    if let Some(boundary) = &whole.boundary {
        if let Some(renamed) = form::with_model(&whole.text, boundary, model) {
            whole.text = renamed;
            whole.edited = true;
        }
        return;
    }
    let Ok(text) = std::str::from_utf8(&whole.text) else {
        return;
    };
    if let Ok(view) = wire::parse(record.endpoint, text) {
        let mut edits = wire::set_model(text, &view, model);
        whole.text = provider::json::splice(text.as_bytes(), &mut edits).into();
        whole.edited = true;
    }
}

/// A request as it goes to a provider.
struct Outgoing {
    parts: request::Parts,
    body: RequestBody,
    /// The body is passed on as the app sends it.
    upload: Option<Tally>,
    guarded_stream: bool,
    deadline: Deadline,
}

async fn exchange(
    worker: &Worker,
    snapshot: &Snapshot,
    record: &mut CallRecord,
    target: &Arc<Target>,
    outgoing: Outgoing,
) -> Result<(PooledConn, Response<Incoming>), CallError> {
    let Outgoing {
        mut parts,
        body,
        upload,
        guarded_stream,
        deadline,
    } = outgoing;
    let whole = matches!(body, Either::Left(_));
    prepare_headers(&mut parts, target, snapshot.wants_client_key(), whole, guarded_stream);
    let path = target.path(parts.uri.path(), parts.uri.query());
    let mut body = Some((parts, body));
    loop {
        let mut conn = connect(worker, snapshot, record, target, deadline).await?;
        let Some((parts, payload)) = body.take() else {
            return Err(CallError::Reset {
                upstream: target.name.to_string(),
                reason: "not sent".to_owned(),
            });
        };
        let request = build(parts, payload, target, &path, conn.is_http2())?;
        record.time.wait(Wait::Upstream);
        record.asked = true;
        let sent = head(&mut conn, request, upload.as_ref(), snapshot, deadline).await;
        record.time.go_on(Wait::Upstream);
        match upload.as_ref().map(|tally| tally.progress().0) {
            // Whatever a provider answers to a part of it.
            Some(Progress::TooLarge { limit }) => return Err(CallError::TooLarge { limit }),
            Some(Progress::Broken(why)) if !matches!(sent, Ok(Ok(_))) => return Err(CallError::BodyRead(why)),
            _ => {}
        }
        match sent {
            Ok(Ok(response)) => return Ok((conn, response)),
            Ok(Err(failure)) => match failure.unsent {
                // Nothing of it left on a connection that the provider had closed: safe to repeat.
                Some(unsent) if conn.reused => {
                    body = Some(unsent.into_parts());
                    record.asked = false;
                }
                _ => {
                    let reason = failure
                        .error
                        .map_or_else(|| "not sent".to_owned(), |error| describe(&error));
                    return Err(CallError::Reset {
                        upstream: target.name.to_string(),
                        reason,
                    });
                }
            },
            Err(OutOfTime::App) => return Err(CallError::BodyTimeout),
            Err(OutOfTime::Provider(phase)) => {
                return Err(CallError::Timeout {
                    upstream: target.name.to_string(),
                    phase,
                });
            }
        }
    }
}

/// Who took too long.
enum OutOfTime {
    /// The app stopped sending.
    App,
    /// The provider, in this phase.
    Provider(&'static str),
}

/// Sends `request` and waits for the head of the answer. While the app is still uploading it is the
/// app that has to keep moving; the provider's time begins when it has everything.
async fn head(
    conn: &mut PooledConn,
    request: Request<RequestBody>,
    upload: Option<&Tally>,
    snapshot: &Snapshot,
    deadline: Deadline,
) -> Result<Result<Response<Incoming>, SendFailure>, OutOfTime> {
    let began = Instant::now();
    let limits = &snapshot.limits;
    let mut sending = std::pin::pin!(conn.send(request));
    loop {
        let (limit, late) = match upload.map(Tally::progress) {
            Some((Progress::Open, last)) => (last + limits.idle, OutOfTime::App),
            Some((_, last)) => (last + limits.first_byte, OutOfTime::Provider("first_byte")),
            None => (began + limits.first_byte, OutOfTime::Provider("first_byte")),
        };
        let limit = Deadline::from_std(limit);
        match timeout_at(deadline.min(limit), sending.as_mut()).await {
            Ok(sent) => return Ok(sent),
            Err(_) if Deadline::now() >= deadline => {
                return Err(match late {
                    OutOfTime::App => late,
                    OutOfTime::Provider(_) => OutOfTime::Provider("total"),
                });
            }
            Err(_) => {}
        }
        // The upload may have moved since the limit was set.
        let moved = upload.is_some_and(|tally| {
            let (progress, last) = tally.progress();
            let patience = if progress == Progress::Open {
                limits.idle
            } else {
                limits.first_byte
            };
            Deadline::from_std(last + patience) > Deadline::now()
        });
        if !moved {
            return Err(late);
        }
    }
}

async fn connect(
    worker: &Worker,
    snapshot: &Snapshot,
    record: &mut CallRecord,
    target: &Target,
    deadline: Deadline,
) -> Result<PooledConn, CallError> {
    record.time.wait(Wait::Queue);
    let limit = deadline.min(Deadline::now() + snapshot.limits.connect);
    let conn = timeout_at(limit, worker.pool.get(target)).await;
    record.time.go_on(Wait::Queue);
    match conn {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(CallError::Connect {
            upstream: target.name.to_string(),
            reason: format!("{error} ({})", target.host),
        }),
        Err(_) => Err(CallError::Timeout {
            upstream: target.name.to_string(),
            phase: "connect",
        }),
    }
}

/// The app's headers as the provider gets them.
fn prepare_headers(parts: &mut request::Parts, target: &Target, own_key: bool, whole: bool, guarded_stream: bool) {
    let headers = &mut parts.headers;
    strip_hop_by_hop(headers);
    strip_own(headers);
    headers.insert(header::HOST, target.authority.clone());
    if whole {
        // hyper states the length of what is sent, which may not be what came.
        headers.remove(header::CONTENT_LENGTH);
    }
    headers.remove(header::EXPECT);
    if own_key {
        // It is a key of ours, and none of the provider's business.
        headers.remove(header::AUTHORIZATION);
    }
    if let Some(authorization) = &target.authorization {
        headers.insert(header::AUTHORIZATION, authorization.clone());
    }
    for (name, value) in &target.headers {
        headers.insert(name.clone(), value.clone());
    }
    if guarded_stream {
        // A compressed stream cannot be released piece by piece as it came; do not ask for one.
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
}

fn build(
    mut parts: request::Parts,
    body: RequestBody,
    target: &Target,
    path: &str,
    http2: bool,
) -> Result<Request<RequestBody>, CallError> {
    let wrong = |reason: String| CallError::Reset {
        upstream: target.name.to_string(),
        reason,
    };
    let path: PathAndQuery = path.parse().map_err(|e: http::uri::InvalidUri| wrong(e.to_string()))?;
    let mut uri = http::uri::Parts::default();
    uri.path_and_query = Some(path);
    parts.version = Version::HTTP_11;
    if http2 {
        uri.scheme = Some(if target.tls { Scheme::HTTPS } else { Scheme::HTTP });
        uri.authority = Some(
            target
                .authority
                .as_bytes()
                .try_into()
                .map_err(|_| wrong("bad authority".to_owned()))?,
        );
        parts.headers.remove(header::HOST);
        parts.version = Version::HTTP_2;
    }
    parts.uri = Uri::from_parts(uri).map_err(|e| wrong(e.to_string()))?;
    Ok(Request::from_parts(parts, body))
}

/// An error with its causes, which is where hyper says what happened.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
