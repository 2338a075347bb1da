//! Appends of 3 KB events against the bare file loop that does the least one could do.
//!
//! `cargo bench -p weir-journal`; pin it (`taskset -c 0`) for figures a core. The files go to
//! `WEIR_BENCH_DIR`, else beside the binary, which should be on a real disk.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::fs::File;
use std::future::Future;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use event::body::CallStarted;
use event::{Body, CallId, Draft, Json, Scope};
use journal::{Durability, Journal, Options};

const SEGMENT: u64 = 64 << 20;
/// What a frame and a seal add.
const PLACED: usize = 16 + 158;

fn body() -> Body {
    let text = "the quick brown fox jumps over the lazy dog ".repeat(62);
    let request = format!(r#"{{"model":"gpt-5-mini","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    Body::CallStarted(Box::new(CallStarted {
        method: "POST".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        request_model: Some("gpt-5-mini".to_owned()),
        request_body: Some(Json::parse(request).unwrap()),
        ..CallStarted::default()
    }))
}

fn draft(body: &Body, n: i64) -> Draft {
    Draft::new(&Scope::default(), Some(CallId::new()), 0, n, body).unwrap()
}

struct Run {
    events: u64,
    wall: Duration,
    cpu: Duration,
    syncs: u64,
    writes: u64,
}

impl Run {
    fn rate(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }
}

/// CPU time of this process, to the kernel's tick of 10 ms.
fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn timed(work: impl FnOnce() -> (u64, u64, u64)) -> Run {
    let (wall, used) = (Instant::now(), cpu());
    let (events, syncs, writes) = work();
    Run {
        events,
        wall: wall.elapsed(),
        cpu: cpu() - used,
        syncs,
        writes,
    }
}

fn journal(dir: &Path, durability: Durability, writers: u64, each: u64, encode: bool) -> Run {
    let options = Options {
        durability,
        segment_bytes: SEGMENT,
        ..Options::default()
    };
    let (journal, _) = Journal::open(dir, options).unwrap();
    let body = body();
    let pool: Vec<Draft> = (0..256).map(|n| draft(&body, n)).collect();
    let run = timed(|| {
        std::thread::scope(|scope| {
            for w in 0..writers {
                let (journal, body, pool) = (journal.clone(), &body, &pool);
                scope.spawn(move || {
                    for n in 0..each {
                        let last = if encode {
                            journal.append(&[draft(body, n as i64)]).unwrap().last
                        } else {
                            let at = ((w * 7 + n) % 256) as usize;
                            journal.append(&pool[at..=at]).unwrap().last
                        };
                        if durability == Durability::Strict {
                            block_on(journal.durable(last)).unwrap();
                        }
                    }
                });
            }
        });
        let stats = journal.stats();
        (stats.appended_events, stats.syncs, stats.writes)
    });
    drop(journal);
    std::fs::remove_dir_all(dir).unwrap();
    run
}

/// As a thread-per-core proxy does it: many tasks on one thread.
fn strict_tasks(dir: &Path, writers: u64, each: u64) -> Run {
    let options = Options {
        durability: Durability::Strict,
        segment_bytes: SEGMENT,
        ..Options::default()
    };
    let (journal, _) = Journal::open(dir, options).unwrap();
    let draft = Arc::new(draft(&body(), 0));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = timed(|| {
        runtime.block_on(async {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..writers {
                let (journal, draft) = (journal.clone(), draft.clone());
                tasks.spawn(async move {
                    for _ in 0..each {
                        let last = journal.append(std::slice::from_ref(&*draft)).unwrap().last;
                        journal.durable(last).await.unwrap();
                    }
                });
            }
            while tasks.join_next().await.is_some() {}
        });
        let stats = journal.stats();
        (stats.appended_events, stats.syncs, stats.writes)
    });
    drop(journal);
    std::fs::remove_dir_all(dir).unwrap();
    run
}

/// Preallocated files, one `pwrite` a batch, and if `sync` one `fdatasync` after each. Without
/// it, a second thread syncs every 50 ms, as the journal does.
fn bare(dir: &Path, batch: u64, rounds: u64, sync: bool) -> Run {
    std::fs::create_dir_all(dir).unwrap();
    let bytes = vec![b'x'; (draft(&body(), 0).bytes().len() + PLACED) * batch as usize];
    let create = |n: u64| {
        let file = File::create(dir.join(n.to_string())).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, SEGMENT).unwrap();
        Arc::new(file)
    };
    let current = Arc::new(std::sync::Mutex::new(create(0)));
    let over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let syncer = (!sync).then(|| {
        let (current, over) = (current.clone(), over.clone());
        std::thread::spawn(move || {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
                let file = current.lock().unwrap().clone();
                rustix::fs::fdatasync(&*file).unwrap();
            }
        })
    });
    let run = timed(|| {
        let mut file = current.lock().unwrap().clone();
        let (mut at, mut files) = (0, 0);
        for _ in 0..rounds {
            if at + bytes.len() as u64 > SEGMENT {
                files += 1;
                file = create(files);
                *current.lock().unwrap() = file.clone();
                at = 0;
            }
            file.write_all_at(&bytes, at).unwrap();
            at += bytes.len() as u64;
            if sync {
                rustix::fs::fdatasync(&*file).unwrap();
            }
        }
        (rounds * batch, if sync { rounds } else { 0 }, rounds)
    });
    over.store(true, std::sync::atomic::Ordering::Relaxed);
    if let Some(syncer) = syncer {
        syncer.join().unwrap();
    }
    std::fs::remove_dir_all(dir).unwrap();
    run
}

fn better(best: &mut Option<Run>, run: Run) {
    if best.as_ref().is_none_or(|best| run.rate() > best.rate()) {
        *best = Some(run);
    }
}

fn print(name: &str, writers: u64, run: &Run, bare: Option<&Run>) {
    let ratio = bare.map_or_else(|| "-".to_owned(), |b| format!("{:.2}", run.rate() / b.rate()));
    let per = |count: u64| {
        if count == 0 {
            0.0
        } else {
            run.events as f64 / count as f64
        }
    };
    println!(
        "{name:<22} {writers:>7} {:>11.0} {:>9.2} {:>8.1} {:>8.1} {ratio:>6}",
        run.rate(),
        run.cpu.as_secs_f64() * 1e6 / run.events as f64,
        per(run.writes),
        per(run.syncs),
    );
}

fn main() {
    let root = std::env::var_os("WEIR_BENCH_DIR").map_or_else(
        || std::env::current_exe().unwrap().parent().unwrap().join("weir-bench"),
        PathBuf::from,
    );
    let dir = root.join(format!("journal-{}", std::process::id()));
    let events: u64 = std::env::var("WEIR_BENCH_EVENTS").map_or(120_000, |n| n.parse().unwrap());
    let size = draft(&body(), 0).bytes().len();
    println!(
        "events of {size} bytes, {} cores",
        std::thread::available_parallelism().unwrap()
    );
    println!("policy                 writers    events/s   µs cpu  /write   /fsync  ratio");
    for writers in [1, 64, 256] {
        let floor = bare(&dir, 1, events, false);
        print("os: bare pwrite", 1, &floor, None);
        let run = journal(&dir, Durability::Os, writers, events / writers, false);
        print("os: drafts prepared", writers, &run, Some(&floor));
        let run = journal(&dir, Durability::Os, writers, events / writers, true);
        print("os: drafts encoded", writers, &run, Some(&floor));
    }
    for writers in [1, 64, 256] {
        let each = (events / 120 / writers).clamp(30, 400);
        // Interleaved, the best of three of each: a shared disk's fdatasync varies tenfold.
        let (mut floor, mut tasks, mut threads) = (None, None, None);
        let mut batch = 1;
        for _ in 0..3 {
            let run = strict_tasks(&dir, writers, each);
            batch = (run.events as f64 / run.syncs as f64).round().max(1.0) as u64;
            let rounds = (run.events / batch).max(1);
            better(&mut tasks, run);
            better(&mut floor, bare(&dir, batch, rounds, true));
            better(&mut threads, journal(&dir, Durability::Strict, writers, each, false));
        }
        let (Some(floor), Some(tasks), Some(threads)) = (floor, tasks, threads) else {
            continue;
        };
        print("strict: bare, same", batch, &floor, None);
        print("strict: tasks", writers, &tasks, Some(&floor));
        print("strict: threads", writers, &threads, Some(&floor));
    }
    latency(&dir);
    let _ = std::fs::remove_dir(&root);
}

/// How long a call at a modest rate is held up by an append, while syncs go on beside it.
fn latency(dir: &Path) {
    let (journal, _) = Journal::open(
        dir,
        Options {
            segment_bytes: SEGMENT,
            ..Options::default()
        },
    )
    .unwrap();
    let draft = draft(&body(), 0);
    let mut took: Vec<Duration> = (0..8000)
        .map(|_| {
            std::thread::sleep(Duration::from_micros(500));
            let began = Instant::now();
            journal.append(std::slice::from_ref(&draft)).unwrap();
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize].as_nanos() as f64 / 1e3;
    println!(
        "os: one append at about 1,600/s: p50 {:.1} µs, p99 {:.1} µs, p99.9 {:.1} µs, most {:.1} µs",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    drop(journal);
    std::fs::remove_dir_all(dir).unwrap();
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
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
