//! Connections, spread evenly over the workers.
//!
//! The kernel deals connections to `SO_REUSEPORT` listeners by a hash of their addresses. An app keeps a
//! handful for hours, and a hash deals a handful badly: eight over four cores leave one of them idle as
//! often as not. So a worker that accepts one more than its share hands it to the one that has fewest.

use std::io;
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Connections that wait for a worker to take them over; beyond that whoever accepted keeps them.
const HANDED: usize = 1024;

/// What the workers know of each other. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Spread(Arc<[Desk]>);

#[derive(Debug)]
struct Desk {
    open: AtomicUsize,
    inbox: mpsc::Sender<Handed>,
}

#[derive(Debug)]
struct Handed {
    stream: StdStream,
    seat: Seat,
}

/// A connection's place at its worker: it counts there until this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    spread: Spread,
    worker: usize,
}

/// One worker's end: where its connections come from.
#[derive(Debug)]
pub(crate) struct Intake {
    spread: Spread,
    worker: usize,
    inbox: mpsc::Receiver<Handed>,
}

/// The ends of so many workers.
pub(crate) fn over(workers: usize) -> Vec<Intake> {
    let (outboxes, inboxes): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::channel(HANDED)).unzip();
    let desk = |inbox| Desk {
        open: AtomicUsize::new(0),
        inbox,
    };
    let spread = Spread(outboxes.into_iter().map(desk).collect());
    let intake = |(worker, inbox)| Intake {
        spread: spread.clone(),
        worker,
        inbox,
    };
    inboxes.into_iter().enumerate().map(intake).collect()
}

impl Spread {
    fn seat(&self, worker: usize) -> Seat {
        self.0[worker].open.fetch_add(1, Ordering::Relaxed);
        Seat {
            spread: self.clone(),
            worker,
        }
    }

    /// The worker with fewest connections; `own`, if it is one of those.
    fn least(&self, own: usize) -> usize {
        let open = |worker: usize| self.0[worker].open.load(Ordering::Relaxed);
        let fewest = (0..self.0.len()).min_by_key(|worker| (open(*worker), *worker != own));
        fewest.unwrap_or(own)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.spread.0[self.worker].open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Intake {
    /// Connections that are this worker's, those included that it has not been given yet.
    pub(crate) fn open(&self) -> usize {
        self.spread.0[self.worker].open.load(Ordering::Relaxed)
    }

    /// The next connection for this worker: accepted here, or handed over. May be cancelled at any time.
    /// An error is one of accepting.
    pub(crate) async fn next(&mut self, listener: &TcpListener) -> io::Result<(TcpStream, Seat)> {
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Some(ours) = self.keep_or_hand(accepted?.0)? {
                        return Ok(ours);
                    }
                }
                ours = self.handed() => return ours,
            }
        }
    }

    /// The next connection that another worker hands over. May be cancelled at any time.
    pub(crate) async fn handed(&mut self) -> io::Result<(TcpStream, Seat)> {
        match self.inbox.recv().await {
            Some(Handed { stream, seat }) => Ok((TcpStream::from_std(stream)?, seat)),
            // Not while `self.spread` holds a sender.
            None => std::future::pending().await,
        }
    }

    fn keep_or_hand(&self, stream: TcpStream) -> io::Result<Option<(TcpStream, Seat)>> {
        let least = self.spread.least(self.worker);
        if least == self.worker {
            return Ok(Some((stream, self.spread.seat(self.worker))));
        }
        let handed = Handed {
            stream: stream.into_std()?,
            seat: self.spread.seat(least),
        };
        match self.spread.0[least].inbox.try_send(handed) {
            Ok(()) => Ok(None),
            // It has ended, or cannot keep up.
            Err(mpsc::error::TrySendError::Full(kept) | mpsc::error::TrySendError::Closed(kept)) => {
                let seat = self.spread.seat(self.worker);
                Ok(Some((TcpStream::from_std(kept.stream)?, seat)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Real listeners on one port, a thread for each: the kernel deals as it likes, and in the end all have
    /// the same number of connections.
    #[test]
    fn all_have_their_share() {
        const WORKERS: usize = 4;
        let any = "127.0.0.1:0".parse().unwrap();
        let first = crate::server::socket(any, true).unwrap();
        let address = first.local_addr().unwrap();
        let mut listeners = vec![first];
        listeners.extend((1..WORKERS).map(|_| crate::server::socket(address, true).unwrap()));
        let (report, reports) = std::sync::mpsc::sync_channel(64);
        let spread = over(WORKERS);
        let desks = spread[0].spread.clone();
        for (mut intake, listener) in spread.into_iter().zip(listeners) {
            let report = report.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener).unwrap();
                    loop {
                        // What arrives is held here, and answers nothing.
                        report.send(intake.next(&listener).await.unwrap()).unwrap();
                    }
                });
            });
        }
        let (mut clients, mut seats) = (Vec::new(), Vec::new());
        for _ in 0..40 {
            clients.push(StdStream::connect(address).unwrap());
            seats.push(reports.recv_timeout(Duration::from_secs(10)).unwrap());
        }
        let count = |worker: usize| seats.iter().filter(|(_, seat)| seat.worker == worker).count();
        assert_eq!((0..WORKERS).map(count).collect::<Vec<_>>(), [10; WORKERS]);
        drop(seats);
        assert!(desks.0.iter().all(|desk| desk.open.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn what_cannot_be_handed_on_is_kept() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut intakes = over(2);
            // The second has ended.
            intakes.pop();
            let mut clients = Vec::new();
            let mut seats = Vec::new();
            for _ in 0..3 {
                clients.push(StdStream::connect(address).unwrap());
                let next = tokio::time::timeout(Duration::from_secs(10), intakes[0].next(&listener));
                seats.push(next.await.unwrap().unwrap());
            }
            assert_eq!(intakes[0].open(), 3);
        });
    }
}
