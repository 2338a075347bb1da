//! A deterministic, offline server that speaks OpenAI's API, for the demo and the tests.
//!
//! An answer depends on its request alone. [`Directives`] make it misbehave. Beside `/v1/` it has
//! `/stats` (requests in flight, finished, cancelled by their client, broken off on purpose),
//! `/kept/NAME` (a request as it came) and `/healthz`.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::chat::{self, Chat};
use super::directives::{Directives, base_model};
use super::other;
use super::pace::Pace;
use super::plan::{self, Body, Counters, Flight, Landing, Plan};
use super::prompt::Prompt;

/// Serves until `shutdown` resolves; connections that are open then are dropped.
///
/// # Errors
/// Only what the listener itself reports: a connection's errors end that connection.
pub async fn serve(listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let state = Arc::new(State::default());
    let mut connections = tokio::task::JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let (stream, _) = tokio::select! {
            () = &mut shutdown => return Ok(()),
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                // The process is out of descriptors, or the client left again: neither is for ever.
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    continue;
                }
            },
        };
        stream.set_nodelay(true)?;
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| answer(Arc::clone(&state), request));
            let server = auto::Builder::new(TokioExecutor::new());
            // Breaking off is part of the service.
            drop(server.serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

#[derive(Debug, Default)]
struct State {
    counters: Arc<Counters>,
    kept: Mutex<BTreeMap<String, Value>>,
    tries: Mutex<BTreeMap<String, u64>>,
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    if !path.starts_with("/v1/") {
        return Ok(state.control(&path));
    }
    let mut flight = Flight::start(&state.counters);
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let text = readable(&head.headers, &body)?;
    let parsed = serde_json::from_slice::<Value>(&text);
    let model = parsed
        .as_ref()
        .ok()
        .and_then(|body| body.get("model"))
        .and_then(Value::as_str);
    let header = head.headers.get("x-demo").and_then(|value| value.to_str().ok());
    let directives = Directives::read(header, model);
    if let Some(name) = directives.text("keep") {
        let seen = seen(&head, &body);
        state
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), seen);
    }
    let mut pace = Pace::new(&String::from_utf8_lossy(&text), &directives);
    tokio::time::sleep(pace.first(&directives)).await;
    if directives.on("hang") {
        std::future::pending::<()>().await;
    }
    if directives.on("drop") {
        flight.land(Landing::Died);
        return Err(io::Error::other("the demo was told to drop the connection"));
    }
    let routed = match state.told_to_fail(&directives) {
        Some(refusal) => Err(refusal),
        None => route(&head.method, &path, parsed, &text, &directives, &mut pace),
    };
    respond(routed, &directives, flight)
}

/// What an endpoint answers: content type, plan, and whether it streams.
struct Answer {
    kind: &'static str,
    plan: Plan,
    streams: bool,
}

/// An error of OpenAI's shape.
struct Refusal {
    status: StatusCode,
    body: Value,
}

impl Refusal {
    fn new(status: StatusCode, message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Self {
        let body = json!({"error": {"message": message, "type": kind, "param": param, "code": code}});
        Self { status, body }
    }

    fn bad(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message, "invalid_request_error", None, None)
    }
}

fn route(
    method: &Method,
    path: &str,
    parsed: serde_json::Result<Value>,
    body: &[u8],
    directives: &Directives,
    pace: &mut Pace,
) -> Result<Answer, Refusal> {
    let json = |plan| Answer {
        kind: "application/json",
        plan,
        streams: false,
    };
    if let Some(exact) = directives.text("body") {
        return Ok(json(Plan::whole(exact.to_owned())));
    }
    if method == Method::GET {
        let name = path.strip_prefix("/v1/models/");
        let found = (name.is_some() || path == "/v1/models")
            .then(|| other::models(name))
            .flatten();
        return found
            .map(|found| json(Plan::whole(found.to_string())))
            .ok_or_else(|| match name {
                Some(name) => no_model(name),
                None => no_path(method, path),
            });
    }
    if path == "/v1/audio/speech" {
        return Ok(Answer {
            kind: "audio/mpeg",
            plan: other::speech(body, directives),
            streams: true,
        });
    }
    if !matches!(
        path,
        "/v1/chat/completions" | "/v1/completions" | "/v1/embeddings" | "/v1/moderations"
    ) {
        return Err(no_path(method, path));
    }
    let body = parsed
        .map_err(|error| Refusal::bad(&format!("We could not parse the JSON body of your request. ({error})")))?;
    if let Some(model) = body
        .get("model")
        .and_then(Value::as_str)
        .map(base_model)
        .filter(|m| m.contains("missing"))
    {
        return Err(no_model(model));
    }
    let bad = |message: String| Refusal::bad(&message);
    let broken = |error: serde_json::Error| Refusal::bad(&error.to_string());
    match path {
        "/v1/embeddings" => Ok(json(other::embeddings(&body, directives, pace).map_err(bad)?)),
        "/v1/moderations" => Ok(json(Plan::whole(other::moderations(&body).to_string()))),
        "/v1/completions" => {
            let prompt = Prompt::completion(&body).map_err(bad)?;
            let plan = other::completion(&prompt, directives, pace);
            Ok(if prompt.stream { events(plan) } else { json(plan) })
        }
        _ => {
            let prompt = Prompt::chat(&body).map_err(bad)?;
            let chat = Chat::new(&prompt, directives);
            if prompt.stream {
                return Ok(events(chat.stream(pace).map_err(broken)?));
            }
            let text = chat.whole().map_err(broken)?;
            let tokens = text.len() as u64 / 12;
            Ok(json(chat::whole(text, pace, tokens)))
        }
    }
}

fn events(plan: Plan) -> Answer {
    Answer {
        kind: "text/event-stream; charset=utf-8",
        plan,
        streams: true,
    }
}

fn no_model(name: &str) -> Refusal {
    let message = format!("The model `{name}` does not exist or you do not have access to it.");
    Refusal::new(
        StatusCode::NOT_FOUND,
        &message,
        "invalid_request_error",
        None,
        Some("model_not_found"),
    )
}

fn no_path(method: &Method, path: &str) -> Refusal {
    let message = format!("Invalid URL ({method} {path})");
    Refusal::new(StatusCode::NOT_FOUND, &message, "invalid_request_error", None, None)
}

fn respond(routed: Result<Answer, Refusal>, directives: &Directives, flight: Flight) -> io::Result<Response<Body>> {
    let mut response = Response::builder()
        .header("x-request-id", "req_demo")
        .header("openai-processing-ms", "12")
        .header("x-ratelimit-remaining-requests", "9999");
    let (kind, plan, streams) = match routed {
        Ok(answer) => (answer.kind, answer.plan, answer.streams),
        Err(refusal) => {
            response = response.status(refusal.status);
            if let Some(seconds) = directives.text("retry_after") {
                response = response.header("retry-after", seconds);
            }
            ("application/json", Plan::whole(refusal.body.to_string()), false)
        }
    };
    // The length is that of the whole answer, even if the directives break it off.
    let coding = plan::coding(directives);
    if !streams && coding.is_none() {
        response = response.header(
            "content-length",
            plan.frames.iter().map(|(_, f)| f.len()).sum::<usize>(),
        );
    }
    if let Some(coding) = coding {
        response = response.header("content-encoding", coding);
    }
    response = response.header("content-type", directives.text("type").unwrap_or(kind));
    response
        .body(plan.directed(directives)?.body(flight))
        .map_err(io::Error::other)
}

/// A request's body as text, whatever its coding.
fn readable(headers: &HeaderMap, body: &Bytes) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut input = body.as_ref();
    match headers.get("content-encoding").map(http::HeaderValue::as_bytes) {
        Some(b"gzip") => io::copy(&mut flate2::read::GzDecoder::new(input), &mut out)?,
        Some(b"br") => io::copy(&mut brotli::Decompressor::new(input, 4096), &mut out)?,
        Some(b"zstd") => io::copy(&mut zstd::stream::read::Decoder::new(input)?, &mut out)?,
        _ => io::copy(&mut input, &mut out)?,
    };
    Ok(out)
}

fn seen(head: &http::request::Parts, body: &Bytes) -> Value {
    let headers: Vec<Value> = head
        .headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect();
    json!({
        "method": head.method.as_str(),
        "target": head.uri.path_and_query().map(http::uri::PathAndQuery::as_str),
        "version": format!("{:?}", head.version),
        "headers": headers,
        "body_base64": base64::engine::general_purpose::STANDARD.encode(body),
    })
}

impl State {
    fn told_to_fail(&self, directives: &Directives) -> Option<Refusal> {
        let status = directives.number("status").and_then(|n| u16::try_from(n).ok())?;
        if directives.count("after").is_some() {
            return None;
        }
        if let Some(first) = directives.number("first") {
            let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
            let tried = tries
                .entry(directives.text("key").unwrap_or_default().to_owned())
                .or_default();
            *tried += 1;
            if *tried > first {
                return None;
            }
        }
        let status = StatusCode::from_u16(status).ok()?;
        let (message, kind, code) = match status.as_u16() {
            401 => (
                "Incorrect API key provided.",
                "invalid_request_error",
                Some("invalid_api_key"),
            ),
            429 => (
                "Rate limit reached for requests.",
                "requests",
                Some("rate_limit_exceeded"),
            ),
            400..500 => ("The request is not valid.", "invalid_request_error", None),
            _ => (
                "The server had an error while processing your request.",
                "server_error",
                None,
            ),
        };
        Some(Refusal::new(status, message, kind, None, code))
    }

    fn control(&self, path: &str) -> Response<Body> {
        let kept = |name| {
            self.kept
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(name)
                .cloned()
        };
        let found = match path {
            "/healthz" => Some(json!({"status": "ok"})),
            "/stats" => Some(self.stats()),
            _ => path.strip_prefix("/kept/").and_then(kept),
        };
        let status = if found.is_some() {
            StatusCode::OK
        } else {
            StatusCode::NOT_FOUND
        };
        let text = found.unwrap_or_else(|| json!({"error": "nothing here"})).to_string();
        let body = http_body_util::Full::new(Bytes::from(text))
            .map_err(|never| match never {})
            .boxed_unsync();
        let mut response = Response::new(body);
        *response.status_mut() = status;
        response
    }

    fn stats(&self) -> Value {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let (finished, died) = (read(&self.counters.finished), read(&self.counters.died));
        let (cancelled, started) = (read(&self.counters.cancelled), read(&self.counters.started));
        json!({
            "started": started,
            "finished": finished,
            "died": died,
            "cancelled": cancelled,
            "in_flight": started.saturating_sub(finished + died + cancelled),
        })
    }
}
