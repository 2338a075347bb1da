//! Which request is a call, and which one asks about the sidecar itself.

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use hyper::body::{Body as _, Incoming};

use crate::body::AnswerBody;
use crate::call::{self, Worker};
use crate::error::CallError;
use crate::metrics::extra;

/// Answers one request.
pub async fn answer(worker: &Worker, request: Request<Incoming>) -> Response<AnswerBody> {
    let refused = match request.uri().path().starts_with("/v1/") {
        true => refuse(worker, &request),
        false => Some(answer_ourselves(worker, &request)),
    };
    let Some(mut response) = refused else {
        return call::handle(worker, request).await;
    };
    if request.version() != Version::HTTP_2 && !request.body().is_end_stream() {
        call::close_after(&mut response);
    }
    response
}

/// Answers what is no call.
fn answer_ourselves(worker: &Worker, request: &Request<Incoming>) -> Response<AnswerBody> {
    let path = request.uri().path();
    match (request.method(), path) {
        (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok\n"),
        (&Method::GET | &Method::HEAD, "/readyz") => readiness(worker),
        (&Method::GET, "/metrics") => metrics(worker),
        (&Method::GET | &Method::HEAD, "/") => text(StatusCode::OK, WELCOME),
        _ => not_found(path),
    }
}

/// Requests that are not calls of an app: a path written so that it reads otherwise upstream than
/// here, or a web page that reaches for a sidecar without keys.
fn refuse(worker: &Worker, request: &Request<Incoming>) -> Option<Response<AnswerBody>> {
    let path = request.uri().path();
    if hides_what_it_asks_for(request.method(), path) {
        let message = match hides_in_other_ways(request.method(), path) {
            true => "the path has dots or escapes that hide what it asks for",
            false => "the path has capitals where the API has none: write the endpoint in lower case",
        };
        return Some(error(StatusCode::BAD_REQUEST, "bad_path", message));
    }
    let origin = request.headers().get(header::ORIGIN)?;
    if worker.shared.snapshot.load().wants_client_key() || is_local(origin) {
        return None;
    }
    let message = "a web page of another origin may not use a Weir without client keys; configure [[client_key]]";
    Some(error(StatusCode::FORBIDDEN, "foreign_origin", message))
}

/// Whether a percent escape stands for a character that needs none.
fn hides_a_letter(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let byte = rest.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~'))
    })
}

/// Whether some servers would read the path as another one.
fn hides_what_it_asks_for(method: &Method, path: &str) -> bool {
    hides_in_other_ways(method, path) || hides_by_case(method, path)
}

/// Whether it does so by other means than capitals.
fn hides_in_other_ways(method: &Method, path: &str) -> bool {
    has_dots(path) || hides_a_letter(path) || hides_an_end(method, path)
}

/// Whether a part of the path stands for another one, as servers see parts that read escaped slashes as slashes.
fn has_dots(path: &str) -> bool {
    let has = |path: &str| path.split(['/', '\\']).any(|part| matches!(part, "." | ".."));
    has(path) || (path.contains('%') && has(&path.to_ascii_lowercase().replace("%2f", "/").replace("%5c", "/")))
}

/// Whether some servers would read the path as another one: with a slash that is escaped, as it is within the
/// name of a model, or with an end that they cut off.
fn hides_an_end(method: &Method, path: &str) -> bool {
    let escapes = |code: &str| {
        let mut escaped = path.split('%').skip(1).filter_map(|rest| rest.get(..2));
        escaped.any(|digits| digits.eq_ignore_ascii_case(code))
    };
    let names_a_model = matches!(*method, Method::GET | Method::DELETE) && path.starts_with("/v1/models/");
    path.contains([';', '\\']) || escapes("5c") || (escapes("2f") && !names_a_model)
}

/// Whether a server that takes no notice of case would read another endpoint.
fn hides_by_case(method: &Method, path: &str) -> bool {
    let method = method.as_str();
    path.bytes().any(|byte| byte.is_ascii_uppercase())
        && call::endpoint(method, path) != call::endpoint(method, &path.to_ascii_lowercase())
}

fn is_local(origin: &HeaderValue) -> bool {
    let host = origin.to_str().ok().and_then(|origin| origin.parse::<http::Uri>().ok());
    host.as_ref()
        .and_then(http::Uri::host)
        .is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<AnswerBody> {
    let body = provider::openai::error::body(status.as_u16(), code, "invalid_request_error", message, None);
    let mut response = text(status, &body);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

const WELCOME: &str = "Weir is listening. Point your client's base_url at /v1.\n\nGET /healthz   is it alive\nGET /readyz    does it take calls\nGET /metrics   Prometheus metrics\n";

fn readiness(worker: &Worker) -> Response<AnswerBody> {
    let shared = &worker.shared;
    if shared.is_draining() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    let (mut status, mut said) = (StatusCode::OK, "ready\n".to_owned());
    let full = shared.journal.full().map(|reason| match reason {
        journal::FullReason::Quota => {
            "the journal is full: its quota is used up. Whoever reads it must catch up, or raise journal.quota_mib\n"
        }
        journal::FullReason::Disk => "the journal is full: no space is left on its disk. Make room there\n",
    });
    let sheds = shared.journal.sheds();
    if let Some(full) = full.filter(|_| !sheds) {
        (status, said) = (StatusCode::SERVICE_UNAVAILABLE, full.to_owned());
    } else if shared.snapshot.load().routes.targets().is_empty() {
        (status, said) = (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", CallError::NoUpstream));
    }
    if let Some(full) = full.filter(|_| sheds) {
        said.push_str(full);
        let count = shared.journal.stats().shed_events;
        said.push_str(&format!(
            "calls are served without a history: {count} events were given up until now\n"
        ));
    }
    for trouble in shared.companions().iter().filter_map(|companion| companion.trouble()) {
        said.push_str(&trouble);
        said.push('\n');
    }
    text(status, &said)
}

fn metrics(worker: &Worker) -> Response<AnswerBody> {
    let shared = &worker.shared;
    shared
        .metrics
        .open_calls
        .set(i64::try_from(shared.open_calls.count()).unwrap_or(i64::MAX));
    let mut extra = extra::journal(&shared.journal.stats()) + &extra::vault(&shared.vault.stats());
    for companion in shared.companions().iter() {
        extra += &companion.metrics();
    }
    match shared.metrics.encode(&extra) {
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
    error(StatusCode::NOT_FOUND, "not_found", &message)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_say_what_they_mean() {
        for (path, hides) in [
            ("/v1/chat/completions", false),
            ("/v1/models/a%2Fb", false),
            ("/v1/chat/%63ompletions", true),
            ("/v1/%2e%2e/x", true),
            ("/v1/x%", true),
        ] {
            assert_eq!(hides_a_letter(path), hides, "{path}");
        }
        let (get, post, delete) = (Method::GET, Method::POST, Method::DELETE);
        for (method, path, hides) in [
            (&post, "/v1/chat/completions", false),
            (&get, "/v1/models/a%2Fb", false),
            (&delete, "/v1/models/ft:a%2fb", false),
            (&post, "/v1/chat%2fcompletions", true),
            (&post, "/v1/chat%5Ccompletions", true),
            (&post, "/v1/chat/completions;a=b", true),
            (&get, "/v1/files/x%aé", true),
            (&post, "/v1/models/..%2fchat%2fcompletions", true),
            (&post, "/v1/models/a%2fb", true),
            (&post, "/v1/models/..\\chat\\completions", true),
            (&get, "/v1/models/..%2Fresponses%2Fresp_1", true),
            (&get, "/v1/models/x\\y", true),
            (&get, "/v1/models/x%5cy", true),
            (&post, "/v1/Chat/Completions", true),
            (&post, "/v1//CHAT/completions", true),
            (&get, "/v1/Responses/resp_1", true),
            (&get, "/v1/responses/resp_ABC", false),
            (&get, "/v1/models/Qwen%2FQwen3-8B", false),
            (&post, "/v1/deployments/GPT/chat/completions", false),
        ] {
            assert_eq!(hides_what_it_asks_for(method, path), hides, "{method} {path}");
        }
    }

    #[test]
    fn origins() {
        for (origin, local) in [
            ("http://localhost:3000", true),
            ("http://127.0.0.1", true),
            ("https://evil.example", false),
            ("null", false),
        ] {
            assert_eq!(is_local(&HeaderValue::from_static(origin)), local, "{origin}");
        }
    }
}
