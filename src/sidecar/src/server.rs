//! Listening and serving: one thread a core, each with its own listener and its own connections.
//!
//! Each worker is a single-threaded runtime with a `SO_REUSEPORT` listener: the kernel deals connections to
//! the workers, who even that out ([`crate::spread`]), and a call never changes threads between its sockets.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::call::Worker;
use crate::error::StartError;
use crate::service;
use crate::shared::Shared;
use crate::spread::{self, Intake, Seat};
use crate::upstream::{Pool, TlsSetup, tls_setup};

/// Silence after which the kernel asks whether a client is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// What an app gets to take the error that tells it that its call took too long.
const TOLD_IN: Duration = Duration::from_secs(5);
/// What calls that are cut at the end get to tell their apps so.
const TOLD_AT_END: Duration = Duration::from_secs(1);
/// Connections that the kernel keeps waiting for each worker.
const BACKLOG: i32 = 4096;

/// A sidecar that serves.
pub struct Running {
    /// The address it listens on, its port resolved.
    pub listen: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<Stop>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    No,
    /// Take no more connections; finish what is open.
    Drain,
    /// Drop what is still open.
    Now,
}

/// Starts `threads` workers (0: one a core) on `listen`.
pub fn start(shared: Arc<Shared>, listen: SocketAddr, threads: usize) -> Result<Running, StartError> {
    let bind_error = |source| StartError::Bind { listen, source };
    // With SO_REUSEPORT a second Weir would silently share the port: ask without it first.
    drop(socket(listen, false).map_err(bind_error)?);
    let first = socket(listen, true).map_err(bind_error)?;
    let bound = first.local_addr().map_err(bind_error)?;
    let count = match threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(socket(bound, true).map_err(bind_error)?);
    }
    let tls = tls_setup()?;
    let (stop, stopping) = watch::channel(Stop::No);
    let mut workers = Vec::with_capacity(count);
    for ((index, listener), intake) in listeners.into_iter().enumerate().zip(spread::over(count)) {
        let (shared, tls, stopping) = (Arc::clone(&shared), tls.clone(), stopping.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(StartError::Worker)?;
        let thread = std::thread::Builder::new().name(format!("weir-worker-{index}"));
        let worker = thread.spawn(move || runtime.block_on(serve(shared, tls, listener, intake, stopping)));
        workers.push(worker.map_err(StartError::Worker)?);
    }
    Ok(Running {
        listen: bound,
        shared,
        stop,
        workers,
    })
}

impl Running {
    /// Takes no more connections and waits up to `grace` for open calls, then ends the rest: they fail, and
    /// have a second to tell their apps. Returns how many these were. Blocks.
    pub fn stop(self, grace: Duration) -> u64 {
        self.shared.drain();
        let _ = self.stop.send(Stop::Drain);
        self.wait(grace);
        let unfinished = self.shared.open_calls.count() as u64;
        self.shared.cut_off();
        self.wait(TOLD_AT_END);
        let _ = self.stop.send(Stop::Now);
        for worker in self.workers {
            if worker.join().is_err() {
                tracing::error!("a worker panicked");
            }
        }
        unfinished
    }

    /// Waits up to `limit` for the workers. They end when their connections have drained: a call is over in the
    /// journal before its last byte has left.
    fn wait(&self, limit: Duration) {
        let until = Instant::now() + limit;
        while self.workers.iter().any(|worker| !worker.is_finished()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A listener, one of several on its address if it is `shared`.
pub(crate) fn socket(listen: SocketAddr, shared: bool) -> io::Result<StdListener> {
    let socket = Socket::new(Domain::for_address(listen), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    // A socket that only asks whether the port is free must not take connections.
    if shared {
        socket.listen(BACKLOG)?;
    }
    Ok(socket.into())
}

async fn serve(
    shared: Arc<Shared>,
    tls: TlsSetup,
    listener: StdListener,
    mut intake: Intake,
    mut stopping: watch::Receiver<Stop>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a worker cannot listen"),
    };
    let worker = Worker {
        shared,
        pool: Pool::new(tls),
    };
    let for_connections = stopping.clone();
    let take = |(stream, seat): (TcpStream, Seat)| {
        let (worker, stopping) = (worker.clone(), for_connections.clone());
        tokio::spawn(async move {
            connection(worker, stream, stopping).await;
            drop(seat);
        });
    };
    loop {
        tokio::select! {
            next = intake.next(&listener) => match next {
                Ok(ours) => take(ours),
                Err(error) => {
                    // Out of file descriptors, most often: let some close.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            _ = stopping.wait_for(|stop| *stop != Stop::No) => break,
        }
    }
    drop(listener);
    while intake.open() > 0 && *stopping.borrow() != Stop::Now {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(10)) => {}
            // Accepted by a worker that had not yet heard of the end.
            Ok(ours) = intake.handed() => take(ours),
            _ = stopping.wait_for(|stop| *stop == Stop::Now) => break,
        }
    }
}

/// Runs the calls of an HTTP/2 connection, none for longer than a call may last: while its client takes nothing,
/// nobody asks the body of an answer for more, and so it cannot see that its time is over.
#[derive(Clone)]
struct Bounded(Arc<Shared>);

impl<F> Executor<F> for Bounded
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, call: F) {
        let shared = Arc::clone(&self.0);
        let limit = shared.snapshot.load().limits.total + TOLD_IN;
        tokio::spawn(async move {
            let mut call = pin!(tokio::time::timeout(limit, call));
            let mut cut = pin!(shared.until_cut_off());
            let mut watched = false;
            std::future::poll_fn(|cx| {
                if call.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                // Polled once, it wakes this task when calls are to end, and the call sees that by itself.
                if !std::mem::replace(&mut watched, true) && cut.as_mut().poll(cx).is_ready() {
                    return call.as_mut().poll(cx).map(drop);
                }
                Poll::Pending
            })
            .await;
        });
    }
}

async fn connection(worker: Worker, stream: TcpStream, mut stopping: watch::Receiver<Stop>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    // An app that vanished, or that never reads on, must not hold its call open for ever.
    let socket = SockRef::from(&stream);
    let alive = TcpKeepalive::new().with_time(KEEP_ALIVE);
    let limits = worker.shared.snapshot.load().limits;
    let stuck = limits.total;
    if let Err(error) = socket
        .set_tcp_keepalive(&alive)
        .and_then(|()| socket.set_tcp_user_timeout(Some(stuck)))
    {
        tracing::debug!(%error, "cannot set TCP time limits");
    }
    let mut builder = auto::Builder::new(Bounded(Arc::clone(&worker.shared)));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.request_head);
    builder.http2().timer(TokioTimer::new());
    let shared = Arc::clone(&worker.shared);
    let asked = Arc::new(AtomicBool::new(false));
    let has_asked = Arc::clone(&asked);
    let service = service_fn(move |request| {
        has_asked.store(true, Ordering::Relaxed);
        let worker = worker.clone();
        async move { Ok::<_, std::convert::Infallible>(service::answer(&worker, request).await) }
    });
    let mut serving = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stop = pin!(stopping.wait_for(|stop| *stop != Stop::No));
    let mut cut = pin!(shared.until_cut_off());
    // hyper's own limit begins with the first byte, and a client may never send one.
    let silent_until = Instant::now() + limits.request_head;
    let mut silence = pin!(tokio::time::sleep_until(silent_until.into()));
    let (mut watched, mut draining) = (false, false);
    let served = std::future::poll_fn(|cx| {
        if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
            return Poll::Ready(Some(ended));
        }
        // Once polled, the two wake this task when they are due; until then a look at each wake-up
        // would cost more than what they wait for.
        if !watched {
            watched = true;
            draining = stop.as_mut().poll(cx).is_ready();
            let _ = silence.as_mut().poll(cx);
        } else if !draining && shared.is_draining() {
            draining = true;
        } else {
            let silent = !asked.load(Ordering::Relaxed) && Instant::now() >= silent_until;
            return if silent { Poll::Ready(None) } else { Poll::Pending };
        }
        if draining {
            // From now on it wakes this task when calls are to end; they see that by themselves.
            let _ = cut.as_mut().poll(cx);
            serving.as_mut().graceful_shutdown();
            // It may have had nothing to do, and be over with this.
            if let Poll::Ready(ended) = serving.as_mut().poll(cx) {
                return Poll::Ready(Some(ended));
            }
        }
        Poll::Pending
    })
    .await;
    match served {
        Some(Err(error)) => tracing::debug!(%error, "connection ended"),
        Some(Ok(())) => {}
        None => tracing::debug!("a connection was closed: no request came"),
    }
}
