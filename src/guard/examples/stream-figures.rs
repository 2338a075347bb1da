//! What streaming costs on real texts: `stream-figures ROWS.jsonl.gz…` prints one JSON object.
//!
//! Each different harmless row is taken for an answer and pushed in pieces of five bytes through the guard
//! of every shipped pack. Compiling is timed first, before anything is warm.
#![expect(clippy::unwrap_used, reason = "a measurement fails by panicking")]

use std::collections::HashSet;
use std::hint::black_box;
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use guard::eval::Row;
use guard::{Pack, Phase, Policy, PolicySpec};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Bytes of a piece.
const PIECE: usize = 5;
/// Each text is streamed so often; the fastest counts.
const ROUNDS: usize = 3;

fn main() {
    let start = (Instant::now(), on_cpu());
    let packs = Pack::builtin();
    let spec = PolicySpec {
        packs: packs.iter().map(|pack| pack.name().to_owned()).collect(),
        ..PolicySpec::default()
    };
    let policy = Arc::new(Policy::compile(&spec, &packs).unwrap());
    // Where the system tells, other programs do not count.
    let compile = match (start.1, on_cpu()) {
        (Some(from), Some(to)) => (to - from) / 1e6,
        _ => start.0.elapsed().as_secs_f64() * 1e3,
    };
    let (mut seen, mut pieces, mut micros) = (HashSet::new(), 0usize, 0.0);
    let (mut held, mut each): (Vec<usize>, Vec<f64>) = (Vec::new(), Vec::new());
    for path in std::env::args().skip(1) {
        let mut text = String::new();
        let file = std::fs::File::open(path).unwrap();
        flate2::read::MultiGzDecoder::new(file)
            .read_to_string(&mut text)
            .unwrap();
        let rows = text.lines().filter_map(|line| serde_json::from_str::<Row>(line).ok());
        for row in rows.filter(|row| row.label == Some(false)) {
            if !seen.insert(row.text.clone()) {
                continue;
            }
            let cut = cut(&row.text);
            let time = (0..ROUNDS)
                .map(|_| stream(&policy, &cut, None))
                .fold(f64::MAX, f64::min);
            stream(&policy, &cut, Some(&mut held));
            pieces += cut.len();
            micros += time;
            each.push(time / cut.len() as f64);
        }
    }
    held.sort_unstable();
    each.sort_by(f64::total_cmp);
    let figures = serde_json::json!({
        "compile_ms": compile,
        "memory_kib": policy.memory() / 1024,
        "rules": Phase::ALL.map(|phase| policy.rule_count(phase)),
        "texts": seen.len(),
        "pieces": pieces,
        "micros_per_piece": {
            "mean": micros / pieces as f64,
            "p50": each[each.len() / 2],
            "p99": each[each.len() * 99 / 100],
        },
        "held_characters": {
            "mean": held.iter().sum::<usize>() as f64 / held.len() as f64,
            "p99": held[held.len() * 99 / 100],
            "most": held.last(),
        },
    });
    println!("{figures:#}");
}

/// Nanoseconds that this thread was on a processor.
fn on_cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// Pieces of five bytes, or of one longer character.
fn cut(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let (piece, tail) = rest.split_at(match rest.floor_char_boundary(PIECE) {
            0 => rest.ceil_char_boundary(1),
            end => end,
        });
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Streams an answer: the µs it takes, or into `held` how many characters wait after each piece.
fn stream(policy: &Arc<Policy>, pieces: &[&str], mut held: Option<&mut Vec<usize>>) -> f64 {
    let mut scanner = policy.scanner(Phase::Output);
    let mut waiting = String::new();
    let start = Instant::now();
    for piece in pieces {
        black_box(scanner.push(piece));
        if let Some(held) = &mut held {
            waiting.push_str(piece);
            let first = waiting.floor_char_boundary(waiting.len().saturating_sub(scanner.held()));
            waiting.drain(..first);
            held.push(waiting.chars().count());
        }
    }
    black_box(scanner.finish());
    start.elapsed().as_secs_f64() * 1e6
}
