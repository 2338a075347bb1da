//! A TCP proxy between Weir and the broker, so that the network can be what networks are.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to bytes and connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nothing moves, nothing is lost: as when packets are dropped for a while.
    Stall,
    /// What is asked arrives, what is answered is lost, and with it in the end the connections.
    Mute,
    /// Each piece waits so many milliseconds.
    Delay(u64),
    /// Nobody listens, and who is connected is cut off.
    Refuse,
}

/// The proxy. It ends when it is dropped.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    target: Mutex<Option<SocketAddr>>,
    mode: watch::Sender<Mode>,
    /// Connections of an older epoch are reset.
    epoch: watch::Sender<u64>,
}

impl Proxy {
    /// Listens; connections are refused until it has a target.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let port = free_port();
        let shared = Arc::new(Shared {
            target: Mutex::new(None),
            mode: watch::Sender::new(Mode::Pass),
            epoch: watch::Sender::new(0),
        });
        runtime.spawn(listen(port, Arc::clone(&shared)));
        Self {
            port,
            shared,
            _runtime: runtime,
        }
    }

    pub fn to(&self, target: &str) {
        *self.shared.target.lock().unwrap_or_else(PoisonError::into_inner) = Some(target.parse().unwrap());
    }

    pub fn set(&self, mode: Mode) {
        let before = self.shared.mode.send_replace(mode);
        // A stream that lost bytes cannot go on.
        if mode == Mode::Refuse || (before == Mode::Mute && mode != Mode::Mute) {
            self.reset();
        }
    }

    /// Resets all connections; new ones are welcome.
    pub fn reset(&self) {
        self.shared.epoch.send_modify(|epoch| *epoch += 1);
    }
}

/// A port that nobody has, outside the range that outgoing connections take theirs from: it stays free
/// while nobody listens there.
pub fn free_port() -> u16 {
    // Never the same twice: who asked may not listen there yet.
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(31);
    (0..1000)
        .map(|_| ASKED.fetch_add(1, Ordering::Relaxed).wrapping_mul(7919))
        .map(|step| 20_000 + (first.wrapping_add(step) % 12_000) as u16)
        .find(|port| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("a free port")
}

async fn listen(port: u16, shared: Arc<Shared>) {
    let mut mode = shared.mode.subscribe();
    loop {
        // Whoever drops the proxy ends this with the runtime.
        let _ = mode.wait_for(|mode| *mode != Mode::Refuse).await;
        let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        loop {
            tokio::select! {
                _ = mode.wait_for(|mode| *mode == Mode::Refuse) => break,
                accepted = listener.accept() => {
                    let Ok((client, _)) = accepted else { continue };
                    tokio::spawn(connection(client, Arc::clone(&shared)));
                }
            }
        }
    }
}

async fn connection(client: TcpStream, shared: Arc<Shared>) {
    let mut epoch = shared.epoch.subscribe();
    let born = *epoch.borrow();
    let target = *shared.target.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(target) = target else { return };
    let Ok(server) = TcpStream::connect(target).await else {
        return;
    };
    for stream in [&client, &server] {
        // Kafka's clients do the same; without it the proxy would be slower than the network.
        let _ = stream.set_nodelay(true);
    }
    tokio::select! {
        _ = pump(&client, &server, &shared, false) => {}
        _ = pump(&server, &client, &shared, true) => {}
        _ = epoch.wait_for(|epoch| *epoch != born) => {
            for stream in [&client, &server] {
                // With this, closing sends a reset.
                let _ = stream.set_zero_linger();
            }
        }
    }
}

async fn pump(from: &TcpStream, to: &TcpStream, shared: &Shared, answers: bool) -> io::Result<()> {
    let mut mode = shared.mode.subscribe();
    let mut buffer = vec![0; 64 << 10];
    loop {
        from.readable().await?;
        let now = *mode
            .wait_for(|mode| *mode != Mode::Stall)
            .await
            .map_err(io::Error::other)?;
        let read = match from.try_read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        };
        match now {
            Mode::Mute if answers => continue,
            Mode::Delay(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            _ => {}
        }
        let mut rest = &buffer[..read];
        while !rest.is_empty() {
            to.writable().await?;
            match to.try_write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}
