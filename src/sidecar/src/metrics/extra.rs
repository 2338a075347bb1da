//! Metrics that others keep, in Prometheus text.

use std::fmt::Write as _;

/// The journal's counters.
#[must_use]
pub fn journal(stats: &journal::Stats) -> String {
    let rows = [
        (
            "weir_journal_disk_bytes",
            "gauge",
            "Bytes of records on disk",
            stats.disk_bytes.into(),
        ),
        ("weir_journal_segments", "gauge", "Segment files", stats.segments.into()),
        ("weir_journal_end_offset", "gauge", "The next offset", stats.end.into()),
        (
            "weir_journal_synced_offset",
            "gauge",
            "Offsets below this are on the device",
            stats.synced.into(),
        ),
        (
            "weir_journal_appended_events",
            "counter",
            "Events appended",
            stats.appended_events.into(),
        ),
        (
            "weir_journal_appended_bytes",
            "counter",
            "Bytes appended",
            stats.appended_bytes.into(),
        ),
        (
            "weir_journal_syncs",
            "counter",
            "Rounds of fdatasync",
            stats.syncs.into(),
        ),
        (
            "weir_journal_sync_nanoseconds",
            "counter",
            "Time spent in them",
            stats.sync_ns.into(),
        ),
        (
            "weir_journal_shed_events",
            "counter",
            "Events dropped by the shed policy",
            stats.shed_events.into(),
        ),
        (
            "weir_journal_refused_batches",
            "counter",
            "Batches refused for lack of room",
            stats.refused.into(),
        ),
        (
            "weir_journal_poisoned_segments",
            "counter",
            "Segments given up after an I/O error",
            stats.poisoned.into(),
        ),
    ];
    written(&rows)
}

/// The vault's.
#[must_use]
pub fn vault(stats: &guard::VaultStats) -> String {
    let number = |n: usize| i128::try_from(n).unwrap_or(i128::MAX);
    written(&[
        (
            "weir_vault_sessions",
            "gauge",
            "Sessions whose values are kept in memory",
            number(stats.sessions),
        ),
        (
            "weir_vault_values",
            "gauge",
            "Values kept in memory",
            number(stats.entries),
        ),
        (
            "weir_vault_refused_values",
            "gauge",
            "Values redacted for good because their session was full, in sessions kept now",
            stats.refused.into(),
        ),
        (
            "weir_vault_expired_sessions",
            "counter",
            "Sessions forgotten because nobody used them",
            stats.expired.into(),
        ),
        (
            "weir_vault_evicted_sessions",
            "counter",
            "Sessions forgotten because there were too many",
            stats.evicted.into(),
        ),
    ])
}

/// Metrics without labels as text: name, `counter` or `gauge`, what it is, value.
#[must_use]
pub fn written(rows: &[(&str, &str, &str, i128)]) -> String {
    let mut text = String::new();
    for &(name, kind, help, value) in rows {
        let suffix = if kind == "counter" { "_total" } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}.\n# TYPE {name} {kind}\n{name}{suffix} {value}"
        );
    }
    text
}
