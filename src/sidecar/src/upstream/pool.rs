//! One worker's connections to providers.
//!
//! Each worker thread has a pool of its own: a connection never changes threads, so its reads and
//! wake-ups stay on one core.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::connect::{TlsSetup, connect};
use super::{RequestBody, Target};

/// Idle connections kept for each provider.
const MAX_IDLE: usize = 128;
/// How long one is kept. Below the 60 s after which most servers close theirs, so that a request
/// seldom meets a connection that is just being closed.
const MAX_IDLE_TIME: Duration = Duration::from_secs(50);

/// Connections of one worker, by provider.
#[derive(Clone)]
pub struct Pool {
    tls: TlsSetup,
    idle: Arc<Mutex<HashMap<Key, Slot>>>,
}

/// What makes two targets share connections.
type Key = (Arc<str>, u16, bool);

#[derive(Default)]
struct Slot {
    http1: Vec<(http1::SendRequest<RequestBody>, Instant)>,
    http2: Vec<Shared2>,
}

/// An HTTP/2 connection, which many requests share.
#[derive(Clone)]
struct Shared2 {
    send: http2::SendRequest<RequestBody>,
    in_flight: Arc<AtomicUsize>,
}

/// Requests that one HTTP/2 connection carries at a time: below the hundred that servers usually
/// allow, beyond which a request waits unseen.
const MAX_STREAMS: usize = 90;

/// A connection on loan for one request.
pub struct PooledConn {
    pool: Pool,
    key: Key,
    /// There until it is given back.
    conn: Option<Conn>,
    /// Whether it served a request before.
    pub reused: bool,
}

enum Conn {
    Http1(http1::SendRequest<RequestBody>),
    Http2(Shared2),
}

/// Why a request got no response head.
pub struct SendFailure {
    /// What went wrong.
    pub error: Option<hyper::Error>,
    /// The request itself, if nothing of it left: safe to send again.
    pub unsent: Option<Request<RequestBody>>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

impl Pool {
    /// An empty pool.
    #[must_use]
    pub fn new(tls: TlsSetup) -> Pool {
        Pool {
            tls,
            idle: Arc::default(),
        }
    }

    /// A connection to `target`: an idle one where there is one, else a new one.
    pub async fn get(&self, target: &Target) -> io::Result<PooledConn> {
        let key: Key = (Arc::clone(&target.host), target.port, target.tls);
        while let Some(conn) = self.take_idle(&key) {
            let mut pooled = PooledConn {
                pool: self.clone(),
                key: key.clone(),
                conn: Some(conn),
                reused: true,
            };
            // Usable, or closed, or its last request is still being sent, by an app that goes on though the
            // provider has answered: who waits for that may wait for ever.
            if let Some(Ok(())) = pooled.ready().now_or_never() {
                return Ok(pooled);
            }
        }
        let stream = connect(target, &self.tls).await?;
        let conn = if stream.is_http2() {
            let (send, driver) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                // A connection that a router on the way has forgotten looks open for ever.
                .keep_alive_interval(Duration::from_secs(20))
                .keep_alive_timeout(Duration::from_secs(10))
                .handshake(TokioIo::new(stream))
                .await
                .map_err(io::Error::other)?;
            drive(driver);
            let shared = Shared2 {
                send,
                in_flight: Arc::new(AtomicUsize::new(1)),
            };
            self.lock().entry(key.clone()).or_default().http2.push(shared.clone());
            Conn::Http2(shared)
        } else {
            let (send, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
            drive(driver);
            Conn::Http1(send)
        };
        Ok(PooledConn {
            pool: self.clone(),
            key,
            conn: Some(conn),
            reused: false,
        })
    }

    fn take_idle(&self, key: &Key) -> Option<Conn> {
        let mut idle = self.lock();
        let slot = idle.get_mut(key)?;
        slot.http2.retain(|shared| !shared.send.is_closed());
        let free = slot
            .http2
            .iter()
            .find(|shared| shared.in_flight.load(Ordering::Relaxed) < MAX_STREAMS);
        if let Some(shared) = free {
            shared.in_flight.fetch_add(1, Ordering::Relaxed);
            return Some(Conn::Http2(shared.clone()));
        }
        while let Some((send, since)) = slot.http1.pop() {
            if !send.is_closed() && since.elapsed() < MAX_IDLE_TIME {
                return Some(Conn::Http1(send));
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        // The map holds no invariant that a panic could break.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a connection until either side closes it. Its errors reach the request through its sender.
fn drive<F>(connection: F)
where
    F: Future<Output = hyper::Result<()>> + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "upstream connection ended");
        }
    });
}

impl PooledConn {
    async fn ready(&mut self) -> hyper::Result<()> {
        match &mut self.conn {
            Some(Conn::Http1(send)) => send.ready().await,
            Some(Conn::Http2(shared)) => shared.send.ready().await,
            None => Ok(()),
        }
    }

    /// Sends `request` and waits for the head of the answer.
    pub async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, SendFailure> {
        match self.conn.as_mut() {
            Some(Conn::Http1(send)) => send.try_send_request(request).await,
            Some(Conn::Http2(shared)) => shared.send.try_send_request(request).await,
            None => {
                return Err(SendFailure {
                    error: None,
                    unsent: Some(request),
                });
            }
        }
        .map_err(|mut failed| SendFailure {
            unsent: failed.take_message(),
            error: Some(failed.into_error()),
        })
    }

    /// Whether requests need an absolute URI (HTTP/2) instead of a path.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        matches!(self.conn, Some(Conn::Http2(_)))
    }

    /// Gives the connection back. Only after the answer was read to its end; otherwise drop it, and
    /// the request is cancelled.
    pub fn release(mut self) {
        let send = match self.conn.take() {
            Some(Conn::Http1(send)) => send,
            // It is in the pool all the time, and one request fewer is on it when this is dropped.
            shared => {
                self.conn = shared;
                return;
            }
        };
        if send.is_closed() {
            return;
        }
        let mut idle = self.pool.lock();
        let slot = idle.entry(self.key.clone()).or_default();
        if slot.http1.len() < MAX_IDLE {
            slot.http1.push((send, Instant::now()));
        }
    }
}

impl Drop for PooledConn {
    fn drop(&mut self) {
        if let Some(Conn::Http2(shared)) = &self.conn {
            shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Pool {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        Pool::new(Arc::new(config))
    }

    /// A provider that gives this answer as soon as a connection says anything, and reads no more of it.
    async fn hasty(answer: &'static [u8]) -> Target {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut first = [0; 1];
                let _ = stream.read_exact(&mut first).await;
                let _ = stream.write_all(answer).await;
                open.push(stream);
            }
        });
        let upstream = crate::config::Upstream {
            name: "hasty".to_owned(),
            base_url: Some(base_url),
            ..crate::config::Upstream::default()
        };
        Target::new(&upstream, |_| None).unwrap()
    }

    /// Sends `body`, and gives the connection back when the answer is there.
    async fn ask(pool: &Pool, target: &Target, body: Vec<u8>) {
        use http_body_util::{BodyExt as _, Full};
        let mut conn = pool.get(target).await.unwrap();
        let body = RequestBody::Left(Full::new(body.into()));
        let request = Request::post("/v1/files").body(body).unwrap();
        let sent = tokio::time::timeout(Duration::from_secs(20), conn.send(request)).await;
        let Ok(Ok(answer)) = sent else {
            panic!("the provider has answered")
        };
        answer.into_body().collect().await.unwrap();
        conn.release();
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"[..],
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        ] {
            let (pool, target) = (pool(), hasty(answer).await);
            ask(&pool, &target, Vec::new()).await;
            assert!(pool.get(&target).await.unwrap().reused);
        }
    }

    #[tokio::test]
    async fn a_connection_on_which_a_request_is_still_being_sent_is_not_waited_for() {
        let target = hasty(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
        let pool = pool();
        ask(&pool, &target, vec![0; 64 << 20]).await;
        let next = tokio::time::timeout(Duration::from_secs(20), pool.get(&target)).await;
        assert!(!next.unwrap().unwrap().reused);
    }

    #[tokio::test]
    async fn a_shared_connection_carries_any_number_of_requests_one_after_the_other() {
        let pool = pool();
        let key: Key = ("provider".into(), 443, true);
        let (ours, _theirs) = tokio::io::duplex(1 << 16);
        let handshake = http2::Builder::new(TokioExecutor::new()).handshake(TokioIo::new(ours));
        let (send, driver) = handshake.await.unwrap();
        drive(driver);
        let shared = Shared2 {
            send,
            in_flight: Arc::default(),
        };
        pool.lock().entry(key.clone()).or_default().http2.push(shared.clone());
        let take = || PooledConn {
            pool: pool.clone(),
            key: key.clone(),
            conn: Some(pool.take_idle(&key).unwrap()),
            reused: true,
        };
        for _ in 0..3 * MAX_STREAMS {
            take().release();
            drop(take());
        }
        assert_eq!(shared.in_flight.load(Ordering::Relaxed), 0);
        let busy: Vec<PooledConn> = (0..MAX_STREAMS).map(|_| take()).collect();
        assert!(pool.take_idle(&key).is_none(), "it is full");
        drop(busy);
        assert!(pool.take_idle(&key).is_some());
    }
}
