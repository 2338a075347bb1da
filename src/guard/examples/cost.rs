//! What a scan of plain prose costs, and what compiling the shipped packs leaves in memory.
use std::hint::black_box;
use std::time::Instant;

use guard::{Pack, Phase, Policy, PolicySpec};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn rss() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lines = status
        .lines()
        .filter(|l| l.starts_with("VmHWM") || l.starts_with("VmRSS"));
    lines.collect::<Vec<_>>().join(", ").replace('\t', " ")
}

fn main() -> Result<(), guard::PolicyError> {
    println!("before: {}", rss());
    let start = Instant::now();
    let packs = Pack::builtin();
    println!("packs after {:?}: {}", start.elapsed(), rss());
    let policy = Policy::compile(&PolicySpec::default(), &packs)?;
    println!("policy after {:?}: {}", start.elapsed(), rss());
    println!("tables: {} KiB", policy.memory() / 1024);
    let text = "Please summarise the following paragraph in one short sentence. ".repeat(32);
    for phase in [Phase::Input, Phase::Output] {
        let mut best = f64::MAX;
        for _ in 0..20 {
            let start = Instant::now();
            for _ in 0..200 {
                black_box(policy.scan(phase, black_box(&text)));
            }
            best = best.min(start.elapsed().as_secs_f64() * 1e6 / 200.0);
        }
        println!("{} bytes, {phase:?}: {best:.2} µs", text.len());
    }
    Ok(())
}
