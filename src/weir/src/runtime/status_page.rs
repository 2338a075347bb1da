//! `/healthz`, `/readyz` and `/metrics` of `weir analytics`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use sidecar::Companion;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::ticker::Clock;
use super::{LanderCompanion, listen_file};
use crate::config::Config;
use crate::error::Failure;

/// The page; dropping it closes it.
pub struct StatusPage {
    listen: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for StatusPage {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl StatusPage {
    /// Serves it.
    pub async fn serve(
        config: &Config,
        lander: Arc<LanderCompanion>,
        clock: Arc<Clock>,
    ) -> Result<StatusPage, Failure> {
        let wanted = config.analytics.listen;
        let listener = TcpListener::bind(wanted).await.map_err(|error| {
            Failure::Other(format!(
                "cannot listen on {wanted}: {error}; choose another address with --listen"
            ))
        })?;
        let listen = listener.local_addr()?;
        std::fs::write(listen_file(&config.data), listen.to_string())?;
        let task = tokio::spawn(async move {
            loop {
                let stream = match listener.accept().await {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        tracing::warn!(%error, "status page");
                        tokio::time::sleep(Duration::from_millis(50)).await;
                        continue;
                    }
                };
                let (lander, clock) = (Arc::clone(&lander), Arc::clone(&clock));
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let answer = answer(&lander, &clock, &request);
                        async move { Ok::<_, Infallible>(answer) }
                    });
                    let served = hyper::server::conn::http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(Duration::from_secs(10))
                        .serve_connection(TokioIo::new(stream), service);
                    if let Err(error) = served.await {
                        tracing::debug!(%error, "status connection ended");
                    }
                });
            }
        });
        Ok(StatusPage { listen, task })
    }

    /// Where it is.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }
}

fn answer(lander: &LanderCompanion, clock: &Clock, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    match request.uri().path() {
        "/healthz" => page(StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => {
            let trouble = lander.trouble().map(|trouble| trouble + "\n");
            // What may pass by itself leaves SQL useful; what has stopped wants somebody.
            let status = match lander.0.status().stopped.is_empty() && !lander.0.has_ended() {
                true => StatusCode::OK,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            let ready = if status == StatusCode::OK { "ready\n" } else { "" };
            page(status, TEXT, ready.to_owned() + &trouble.unwrap_or_default())
        }
        "/metrics" => page(
            StatusCode::OK,
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            lander.metrics() + &clock.metrics() + "# EOF\n",
        ),
        _ => page(
            StatusCode::NOT_FOUND,
            TEXT,
            "GET /healthz, /readyz or /metrics\n".to_owned(),
        ),
    }
}

fn page(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
