//! Places where a test can kill the process: `WEIR_FAILPOINT=<name>` aborts it there,
//! `WEIR_FAILPOINT=<name>:<n>` at the n-th time (from 1).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

struct Armed {
    name: String,
    left: AtomicU64,
}

static ARMED: OnceLock<Option<Armed>> = OnceLock::new();

/// Dies here if this failpoint is armed. Costs one atomic load if none is.
pub(crate) fn hit(name: &str) {
    let Some(armed) = ARMED.get_or_init(read) else { return };
    if armed.name == name && armed.left.fetch_sub(1, Ordering::Relaxed) == 1 {
        std::process::abort();
    }
}

fn read() -> Option<Armed> {
    let text = std::env::var("WEIR_FAILPOINT").ok()?;
    let (name, nth) = match text.split_once(':') {
        Some((name, nth)) => (name, nth.parse().unwrap_or(1)),
        None => (text.as_str(), 1),
    };
    Some(Armed {
        name: name.to_owned(),
        left: AtomicU64::new(nth),
    })
}
