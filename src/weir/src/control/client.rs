//! The asking side.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use query::output::Format;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::{ERROR_TRAILER, ROWS_TRAILER, socket_path, unescape};
use crate::error::Failure;

/// Asks the process of `data`, if there is one, and writes its answer to `out`. `false`: nobody runs.
pub async fn ask(
    data: &Path,
    sql: &str,
    format: Format,
    width: Option<usize>,
    out: &mut (dyn Write + Send),
) -> Result<bool, Failure> {
    let Ok(stream) = UnixStream::connect(socket_path(data)).await else {
        return Ok(false);
    };
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(Failure::other)?;
    let _connection = Connection(tokio::spawn(async move {
        // What goes wrong with it is told where the answer is read.
        let _ = connection.await;
    }));
    let width = width.map_or_else(String::new, |width| format!("&width={width}"));
    let request = Request::builder()
        .method(Method::POST)
        .uri(format!("/sql?format={}{width}", name(format)))
        .header(http::header::HOST, "weir")
        .header(http::header::TE, "trailers")
        .body(Full::new(Bytes::from(sql.to_owned())))
        .map_err(Failure::other)?;
    let response = send.send_request(request).await.map_err(Failure::other)?;
    let status = response.status();
    let mut body = response.into_body();
    if status != StatusCode::OK {
        let reason = body.collect().await.map_err(Failure::other)?.to_bytes();
        let reason = String::from_utf8_lossy(&reason).into_owned();
        return Err(match status {
            StatusCode::BAD_REQUEST => Failure::Usage(reason),
            _ => Failure::Other(reason),
        });
    }
    let mut complete = false;
    while let Some(frame) = body.frame().await {
        let trailers = match frame.map_err(Failure::other)?.into_data() {
            Ok(data) => {
                out.write_all(&data)?;
                continue;
            }
            Err(frame) => frame.into_trailers().unwrap_or_default(),
        };
        if let Some(error) = trailers.get(ERROR_TRAILER) {
            out.flush()?;
            return Err(Failure::Other(unescape(error.as_bytes())));
        }
        complete |= trailers.contains_key(ROWS_TRAILER);
    }
    out.flush()?;
    if !complete {
        return Err(Failure::Other(
            "the answer broke off: the process that gave it has ended, or is of another version".to_owned(),
        ));
    }
    Ok(true)
}

/// Ends with the question: whoever answers sees that nobody waits any more.
struct Connection(JoinHandle<()>);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Table => "table",
        Format::Csv => "csv",
        Format::Json => "json",
        Format::Ndjson => "ndjson",
        Format::Parquet => "parquet",
        Format::Arrow => "arrow",
    }
}
