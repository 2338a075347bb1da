//! Which request is a call, and which one asks about the sidecar itself.

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::body::AnswerBody;
use crate::call::{self, Worker};
use crate::error::CallError;
use crate::metrics::extra;

/// Answers one request.
pub async fn answer(worker: &Worker, request: Request<Incoming>) -> Response<AnswerBody> {
    let path = request.uri().path();
    if path.starts_with("/v1/") {
        return call::handle(worker, request).await;
    }
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok\n"),
        (&Method::GET | &Method::HEAD, "/readyz") => readiness(worker),
        (&Method::GET, "/metrics") => metrics(worker),
        (&Method::GET | &Method::HEAD, "/") => text(StatusCode::OK, WELCOME),
        _ => not_found(path),
    }
}

const WELCOME: &str = "Weir is listening. Point your client's base_url at /v1.\n\nGET /healthz   is it alive\nGET /readyz    does it take calls\nGET /metrics   Prometheus metrics\n";

fn readiness(worker: &Worker) -> Response<AnswerBody> {
    let shared = &worker.shared;
    if shared.is_draining() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    if !shared.journal.has_room() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "the journal is full\n");
    }
    if shared.snapshot.load().routes.targets().is_empty() {
        return text(StatusCode::SERVICE_UNAVAILABLE, &format!("{}\n", CallError::NoUpstream));
    }
    text(StatusCode::OK, "ready\n")
}

fn metrics(worker: &Worker) -> Response<AnswerBody> {
    let shared = &worker.shared;
    shared
        .metrics
        .open_calls
        .set(i64::try_from(shared.open_calls.count()).unwrap_or(i64::MAX));
    match shared.metrics.encode(&extra::journal(&shared.journal.stats())) {
        Ok(body) => {
            let mut response = text(StatusCode::OK, &body);
            let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
    }
}

fn not_found(path: &str) -> Response<AnswerBody> {
    let message = format!(
        "Weir serves the OpenAI API under /v1/, and {path} is not under it: set base_url to http://HOST:PORT/v1"
    );
    let body = provider::openai::error::body(404, "not_found", "invalid_request_error", &message, None);
    let mut response = text(StatusCode::NOT_FOUND, &body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, body: &str) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::whole(body.to_owned()));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
