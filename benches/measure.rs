//! What benchmarks measure of their own process, from `/proc`; included by path.

/// CPU seconds of this process, user and system.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime, in ticks of 10 ms.
    fields[11..13]
        .iter()
        .map(|ticks| ticks.parse::<f64>().unwrap() / 100.0)
        .sum()
}

/// Forgets the peak of resident memory so far; returns what is resident now, in kB.
pub fn reset_peak() -> u64 {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    kilobytes("VmRSS")
}

/// A field of `/proc/self/status` in kB: `VmRSS`, `VmHWM`.
pub fn kilobytes(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Pseudo-random words from a small vocabulary, the same for the same seed.
pub fn words(seed: usize, count: usize) -> String {
    const VOCABULARY: [&str; 32] = [
        "water", "flows", "over", "the", "weir", "and", "below", "it", "a", "pool", "forms", "where", "fish", "rest",
        "measure", "depth", "width", "speed", "of", "stream", "in", "spring", "ice", "melts", "level", "rises",
        "keeper", "opens", "gate", "by", "hand", "slowly",
    ];
    let mut state = seed as u64 * 0x9e37_79b9_7f4a_7c15 + 1;
    let mut out = String::new();
    for _ in 0..count {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        out.push_str(VOCABULARY[(state >> 59) as usize]);
        out.push(' ');
    }
    out
}
