//! The sync thread: `fdatasync` by the clock, or as soon as somebody waits for it.
//!
//! One `fdatasync` covers all that was written before it began. Under `strict`, those whom one
//! sync released come back with their next records within microseconds; the thread waits for them
//! for a small part of a sync's own time. Without that, each second sync would carry one record.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::core::{Core, lock, wait};
use crate::format::HEADER_BYTES;
use crate::segment::Blank;
use crate::stats::add;
use crate::{AppendError, Durability};

/// How long a new end may go untold to those who watch it.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(10);
/// How long after a failure the device is left alone.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Longest wait for company before a sync.
const GATHER_AT_MOST: Duration = Duration::from_millis(1);

/// What the sync thread and those who wait for it share.
#[derive(Default)]
pub(crate) struct Pace {
    waiters: Vec<Waiter>,
    /// Tell the thread when there are this many waiters.
    wanted: usize,
    stop: bool,
    stopped: bool,
}

struct Waiter {
    offset: i64,
    tell: Tell,
}

enum Tell {
    Task(oneshot::Sender<Result<(), AppendError>>),
    Thread(mpsc::SyncSender<Result<(), AppendError>>),
}

impl Waiter {
    fn tell(self, result: Result<(), AppendError>) {
        // Whoever no longer listens needs no answer.
        match self.tell {
            Tell::Task(to) => drop(to.send(result)),
            Tell::Thread(to) => drop(to.send(result)),
        }
    }
}

/// Resolves when a record is as durable as the policy promises.
#[must_use = "a record is durable once this has resolved"]
pub struct Durable(Waiting);

enum Waiting {
    Ready(Option<Result<(), AppendError>>),
    Sync(oneshot::Receiver<Result<(), AppendError>>),
}

impl Future for Durable {
    type Output = Result<(), AppendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Waiting::Ready(result) => Poll::Ready(result.take().unwrap_or(Ok(()))),
            Waiting::Sync(told) => Pin::new(told)
                .poll(context)
                .map(|told| told.unwrap_or(Err(AppendError::Closed))),
        }
    }
}

enum Work {
    Publish,
    Sync,
    /// Look whether a full disk has room again.
    Room,
    Stop,
}

/// What the thread remembers from round to round.
struct Rhythm {
    /// When something was first seen to wait for a sync.
    since: Option<Instant>,
    published: Instant,
    retry: Option<Instant>,
    /// When a full disk is looked at again.
    room: Option<Instant>,
    /// How many waiters the next sync may expect, and how long the last one took.
    expected: usize,
    took: Duration,
}

/// The body of the sync thread.
pub(crate) fn run(core: &Core) {
    let mut rhythm = Rhythm {
        since: None,
        published: Instant::now(),
        retry: None,
        room: None,
        expected: 0,
        took: Duration::ZERO,
    };
    loop {
        match core.next_work(&mut rhythm) {
            Work::Publish => {
                core.end_watch.send_replace(core.end());
                rhythm.published = Instant::now();
            }
            Work::Sync => {
                core.round(&mut rhythm);
                core.prepare_blank();
            }
            Work::Room => {
                rhythm.room = None;
                core.look_for_room();
            }
            Work::Stop => break core.stop(&mut rhythm),
        }
    }
}

impl Core {
    pub fn durable(&self, offset: i64) -> Durable {
        if self.options.durability == Durability::Os {
            return Durable(Waiting::Ready(Some(Ok(()))));
        }
        let (tell, told) = oneshot::channel();
        Durable(match self.enlist(offset, Tell::Task(tell)) {
            Some(result) => Waiting::Ready(Some(result)),
            None => Waiting::Sync(told),
        })
    }

    /// Blocks until everything appended so far is on the device.
    pub fn flush(&self) -> Result<(), AppendError> {
        let (tell, told) = mpsc::sync_channel(1);
        match self.enlist(self.end() - 1, Tell::Thread(tell)) {
            Some(result) => result,
            None => told.recv().unwrap_or(Err(AppendError::Closed)),
        }
    }

    fn enlist(&self, offset: i64, tell: Tell) -> Option<Result<(), AppendError>> {
        let mut pace = lock(&self.pace);
        if offset < self.synced() {
            return Some(Ok(()));
        }
        if pace.stopped {
            return Some(Err(AppendError::Closed));
        }
        pace.waiters.push(Waiter { offset, tell });
        if pace.waiters.len() >= pace.wanted {
            self.work.notify_one();
        }
        None
    }

    pub fn wake_sync(&self) {
        // Under the lock, so that it cannot fall between the thread's last look and its sleep.
        let _pace = lock(&self.pace);
        self.work.notify_one();
    }

    pub fn request_stop(&self) {
        lock(&self.pace).stop = true;
        self.work.notify_one();
    }

    fn next_work(&self, rhythm: &mut Rhythm) -> Work {
        let mut pace = lock(&self.pace);
        loop {
            if pace.stop {
                return Work::Stop;
            }
            let now = Instant::now();
            let behind = self.end() > self.synced();
            let mut deadline = None;
            if self.disk_full.load(Ordering::Relaxed) {
                let due = *rhythm.room.get_or_insert(now + RETRY_INTERVAL);
                if now >= due {
                    return Work::Room;
                }
                deadline = Some(due);
            }
            if !behind {
                rhythm.since = None;
            } else if let Some(retry) = rhythm.retry.filter(|retry| now < *retry) {
                deadline = deadline.into_iter().chain([retry]).min();
            } else if !pace.waiters.is_empty() {
                drop(self.gather(pace, rhythm));
                return Work::Sync;
            } else {
                let due = *rhythm.since.get_or_insert(now) + self.options.sync_interval;
                if now >= due {
                    return Work::Sync;
                }
                deadline = deadline.into_iter().chain([due]).min();
            }
            if self.end_watch.receiver_count() > 0 {
                let due = if *self.end_watch.borrow() == self.end() {
                    // While something is unsynced, appenders do not wake this thread: look again.
                    deadline.map(|_| now + PUBLISH_INTERVAL)
                } else {
                    Some(rhythm.published + PUBLISH_INTERVAL)
                };
                if due.is_some_and(|due| now >= due) {
                    return Work::Publish;
                }
                deadline = deadline.into_iter().chain(due).min();
            }
            pace.wanted = 1;
            pace = match deadline {
                Some(deadline) => self.sleep(pace, deadline - now),
                None => {
                    self.awake.store(false, Ordering::SeqCst);
                    if self.end() > self.synced() {
                        self.awake.store(true, Ordering::SeqCst);
                        continue;
                    }
                    let pace = wait(&self.work, pace);
                    self.awake.store(true, Ordering::SeqCst);
                    pace
                }
            };
            pace.wanted = usize::MAX;
        }
    }

    /// Waits a moment for those whom the last sync released.
    fn gather<'a>(
        &'a self,
        mut pace: std::sync::MutexGuard<'a, Pace>,
        rhythm: &Rhythm,
    ) -> std::sync::MutexGuard<'a, Pace> {
        let until = Instant::now() + (rhythm.took / 8).min(GATHER_AT_MOST);
        while pace.waiters.len() < rhythm.expected && !pace.stop {
            let now = Instant::now();
            if now >= until {
                break;
            }
            pace.wanted = rhythm.expected;
            pace = self.sleep(pace, until - now);
        }
        pace.wanted = usize::MAX;
        pace
    }

    fn sleep<'a>(&'a self, pace: std::sync::MutexGuard<'a, Pace>, time: Duration) -> std::sync::MutexGuard<'a, Pace> {
        self.work
            .wait_timeout(pace, time)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// One sync, and the news of it.
    fn round(&self, rhythm: &mut Rhythm) {
        let began = Instant::now();
        // What was written while this sync ran has waited since then at most.
        rhythm.since = Some(began);
        let result = self.sync();
        rhythm.took = began.elapsed();
        add(&self.counters.syncs, 1);
        add(
            &self.counters.sync_ns,
            u64::try_from(rhythm.took.as_nanos()).unwrap_or(u64::MAX),
        );
        rhythm.retry = result.is_err().then(|| Instant::now() + RETRY_INTERVAL);

        let synced = self.synced();
        let mut pace = lock(&self.pace);
        let (told, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut pace.waiters)
            .into_iter()
            .partition(|w| w.offset < synced || result.is_err());
        rhythm.expected = told.len() + kept.len();
        pace.waiters = kept;
        drop(pace);
        for waiter in told {
            let covered = waiter.offset < synced;
            waiter.tell(if covered { Ok(()) } else { result.clone() });
        }
        if self.synced_watch.receiver_count() > 0 {
            self.synced_watch.send_replace(synced);
        }
    }

    /// Brings everything written so far to the device.
    fn sync(&self) -> Result<(), AppendError> {
        let mut state = lock(&self.state);
        if let Some(error) = state.poisoned.clone() {
            // What failed once is never synced again: the kernel may have dropped the pages.
            drop(state);
            return self.rescue(&error);
        }
        let (end, chain) = (state.end, state.end_chain);
        let sealed = state.sealed.clone();
        let active = state.active.as_ref().map(|a| a.file.clone());
        let dir_dirty = std::mem::take(&mut state.dir_dirty);
        drop(state);

        let synced = sealed
            .iter()
            .try_for_each(|s| s.file.set_len(s.used).and_then(|()| s.file.sync()))
            .and_then(|()| {
                if dir_dirty {
                    self.disk.sync_dir(&self.dir)
                } else {
                    Ok(())
                }
            })
            .and_then(|()| active.map_or(Ok(()), |file| file.sync()));
        match synced {
            Ok(()) => {
                let mut state = lock(&self.state);
                state
                    .sealed
                    .retain(|s| !sealed.iter().any(|done| done.segment == s.segment));
                state.synced_chain = chain;
                self.synced.store(end, Ordering::Release);
                Ok(())
            }
            Err(error) => {
                tracing::error!(dir = %self.dir.display(), %error, "fdatasync of the journal failed: saving what it covered to a new segment");
                add(&self.counters.poisoned, 1);
                self.rescue(&AppendError::Poisoned {
                    path: self.dir.clone(),
                    source: Arc::new(error),
                })
            }
        }
    }

    /// Reserves the next segment's blocks before an appender needs them.
    fn prepare_blank(&self) {
        let bytes = self.options.segment_size();
        let soon = {
            let state = lock(&self.state);
            state.blank.is_none() && state.active.as_ref().is_some_and(|a| a.written > a.capacity / 2)
        };
        if !soon
            || self
                .options
                .quota
                .is_some_and(|q| self.used.load(Ordering::Relaxed) > q.bytes)
        {
            return;
        }
        // Not fatal: the appender will find out for itself.
        if let Ok(blank) = Blank::create(self.disk.as_ref(), &self.dir, "spare", bytes) {
            lock(&self.state).blank = Some(blank);
        }
    }

    /// Reserves a segment on a disk that was full: that is the proof that there is room again, and only what
    /// does not fit the active segment would look for it.
    fn look_for_room(&self) {
        // Only this thread makes these: one that is there stays.
        let has_blank = lock(&self.state).blank.is_some();
        if !has_blank {
            let least = (self.options.segment_size() / 16).max(4 * HEADER_BYTES);
            match self.create_blank("spare", least) {
                Ok(blank) => lock(&self.state).blank = Some(blank),
                // Looked at again in a while.
                Err(_) => return,
            }
        }
        self.disk_full.store(false, Ordering::Relaxed);
        tracing::info!(dir = %self.dir.display(), "there is room for the journal again");
        self.settle_shed();
    }

    /// The last round: whoever comes now is refused, what came before is kept.
    fn stop(&self, rhythm: &mut Rhythm) {
        let mut state = self.exclusive();
        state.closed = true;
        self.retire(&mut state);
        let blank = state.blank.take();
        drop(state);
        if let Some(blank) = blank {
            let _ = self.disk.remove(&blank.path);
        }
        self.round(rhythm);
        let mut pace = lock(&self.pace);
        pace.stopped = true;
        let left = std::mem::take(&mut pace.waiters);
        drop(pace);
        for waiter in left {
            waiter.tell(Err(AppendError::Closed));
        }
    }
}
