//! The asking side.

use std::io::Write;
use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use query::output::Format;
use tokio::net::UnixStream;

use super::{ERROR_TRAILER, socket_path};
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
    tokio::spawn(connection);
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
        return Err(Failure::Usage(String::from_utf8_lossy(&reason).into_owned()));
    }
    while let Some(frame) = body.frame().await {
        match frame.map_err(Failure::other)?.into_data() {
            Ok(data) => out.write_all(&data)?,
            Err(frame) => {
                if let Some(error) = frame.trailers_ref().and_then(|trailers| trailers.get(ERROR_TRAILER)) {
                    out.flush()?;
                    return Err(Failure::Other(String::from_utf8_lossy(error.as_bytes()).into_owned()));
                }
            }
        }
    }
    out.flush()?;
    Ok(true)
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
