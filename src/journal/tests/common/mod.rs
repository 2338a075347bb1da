//! What the tests share: drafts, folders, a place to wait.
#![expect(dead_code, reason = "each test binary uses some of it")]

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use event::body::CallStarted;
use event::{Body, CallId, Draft, Json, Scope};

/// An event of the sidecar's own life with `filler` bytes of text.
pub fn draft(n: u64, filler: usize) -> Draft {
    let text = Json::of(&format!("{n}:{}", "x".repeat(filler))).unwrap();
    let body = Body::Unknown {
        event_type: "test.noted".to_owned(),
        body: text,
    };
    Draft::new(&Scope::default(), None, 0, 1_700_000_000_000_000_000 + n as i64, &body).unwrap()
}

/// An event that begins a call.
pub fn started(filler: usize) -> Draft {
    let body = CallStarted {
        endpoint: "y".repeat(filler),
        ..CallStarted::default()
    };
    let body = Body::CallStarted(Box::new(body));
    Draft::new(&Scope::default(), Some(CallId::new()), 0, 1, &body).unwrap()
}

pub fn body_text(record: &event::Record) -> String {
    serde_json::from_str(record.body.get()).unwrap()
}

/// The number that [`draft`] was given.
pub fn number(record: &event::Record) -> u64 {
    body_text(record).split(':').next().unwrap().parse().unwrap()
}

pub fn read_all(reader: &mut journal::Reader) -> Vec<event::Record> {
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch(64 << 10).unwrap();
        if batch.is_empty() {
            return all;
        }
        all.extend(batch);
    }
}

pub fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|x| x == "seg"))
        .collect();
    found.sort();
    found
}

pub fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_dir(&path, &target);
        } else if path.file_name().unwrap() != "lock" {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(out) => return out,
            Poll::Pending => std::thread::park(),
        }
    }
}
