//! The serving side.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use query::output::Format;
use query::{Engine, QueryError, SendableRecordBatchStream};
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{ERROR_TRAILER, ROWS_TRAILER, escape, socket_path};

/// Longest request: more than any query may have, so that the engine can say how long that is.
const MAX_QUERY_BYTES: usize = 4 << 20;

/// How long a stop waits until those who asked have taken in how it ended.
const GOODBYE: Duration = Duration::from_secs(2);

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// The control socket; dropping it closes it.
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
    close: Option<oneshot::Sender<()>>,
}

impl Control {
    /// Takes no more questions; answers that are under way get a moment to end.
    pub async fn close(mut self) {
        if let Some(close) = self.close.take() {
            // It may have ended already.
            let _ = close.send(());
        }
        let _ = tokio::time::timeout(GOODBYE, &mut self.task).await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // A socket left behind is recognised as dead: nobody answers on it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves the control socket of `data`.
pub fn serve(data: &Path, engine: Arc<Engine>) -> std::io::Result<Control> {
    let path = socket_path(data);
    // Several analytics may share a folder: the first one answers. A socket on which nobody does is dead.
    if path.exists() {
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            return Err(std::io::ErrorKind::AddrInUse.into());
        }
        std::fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let (close, mut closing) = oneshot::channel();
    let task = tokio::spawn(async move {
        let open = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                // Where it is dropped, so is this.
                _ = &mut closing => break,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "control socket");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let engine = Arc::clone(&engine);
            let service = service_fn(move |request| {
                let engine = Arc::clone(&engine);
                async move { Ok::<_, Infallible>(answer(&engine, request).await) }
            });
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let served = open.watch(served);
            tokio::spawn(async move {
                if let Err(error) = served.await {
                    tracing::debug!(%error, "control connection ended");
                }
            });
        }
        drop(listener);
        open.shutdown().await;
    });
    Ok(Control {
        path,
        task,
        close: Some(close),
    })
}

async fn answer(engine: &Engine, request: Request<Incoming>) -> Response<Body> {
    if request.method() != Method::POST || request.uri().path() != "/sql" {
        return text(StatusCode::NOT_FOUND, "POST /sql is all there is");
    }
    let query = request.uri().query().unwrap_or("").to_owned();
    let parameter = |name: &str| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    };
    let format = match parameter("format").unwrap_or("table").parse::<Format>() {
        Ok(format) => format,
        Err(error) => return text(StatusCode::BAD_REQUEST, &error),
    };
    let width = parameter("width").and_then(|width| width.parse().ok());
    let body = match Limited::new(request.into_body(), MAX_QUERY_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let Ok(sql) = std::str::from_utf8(&body) else {
        return text(StatusCode::BAD_REQUEST, "the query is not UTF-8");
    };
    let rows = match engine.sql(sql).await {
        Ok(rows) => rows,
        Err(error) => return text(status(&error), &error.to_string()),
    };
    match stream(rows, format, width) {
        Ok(body) => {
            let mut response = Response::new(body);
            // What is not announced here is not sent.
            let trailers = HeaderValue::from_static("x-weir-error, x-weir-rows");
            response.headers_mut().insert(http::header::TRAILER, trailers);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// 400 only where the query is at fault: the asking side ends with another exit status then.
fn status(error: &QueryError) -> StatusCode {
    match error {
        error if error.is_usage() => StatusCode::BAD_REQUEST,
        QueryError::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
        QueryError::Busy(_) | QueryError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Rows as a body: they are written into a pipe, whose other end is read as the client takes them. Where
/// the body is dropped, as it is when the client has gone, the query ends.
fn stream(rows: SendableRecordBatchStream, format: Format, width: Option<usize>) -> std::io::Result<Body> {
    let (reader, writer) = std::io::pipe()?;
    let reader = tokio::net::unix::pipe::Receiver::from_owned_fd(reader.into())?;
    let runtime = tokio::runtime::Handle::current();
    let (wanted, unwanted) = oneshot::channel::<Infallible>();
    let writing = tokio::task::spawn_blocking(move || {
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = unwanted => Err(QueryError::Write(std::io::ErrorKind::BrokenPipe.into())),
                written = query::output::write(rows, format, width, writer) => written,
            }
        })
    });
    let begin = (reader, Some((writing, wanted)));
    let pieces = futures::stream::unfold(begin, |(mut reader, writing)| async move {
        let (mut writing, wanted) = writing?;
        let mut piece = BytesMut::with_capacity(64 << 10);
        match reader.read_buf(&mut piece).await {
            Ok(0) => {
                let (name, value) = match (&mut writing).await {
                    Ok(Ok(rows)) => (ROWS_TRAILER, HeaderValue::from(rows)),
                    Ok(Err(error)) => (ERROR_TRAILER, reason(&error.to_string())),
                    Err(error) => (ERROR_TRAILER, reason(&error.to_string())),
                };
                let trailers = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
                Some((Ok(Frame::trailers(trailers)), (reader, None)))
            }
            Ok(_) => Some((Ok(Frame::data(piece.freeze())), (reader, Some((writing, wanted))))),
            Err(error) => Some((Err(error), (reader, None))),
        }
    });
    Ok(BodyExt::boxed_unsync(StreamBody::new(pieces)))
}

fn reason(error: &str) -> HeaderValue {
    HeaderValue::from_str(&escape(error)).unwrap_or(HeaderValue::from_static("the query failed"))
}

fn text(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(text.to_owned())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
