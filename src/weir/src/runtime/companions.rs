//! What `/metrics` and `/readyz` say of shipping and landing.

use journal::Journal;
use sidecar::Companion;
use sidecar::metrics::extra::written;
use stream::Progress;

/// The shipper.
pub struct ShipperCompanion {
    /// How it stands.
    pub progress: Progress,
    /// What it ships.
    pub journal: Journal,
}

impl Companion for ShipperCompanion {
    fn metrics(&self) -> String {
        let status = self.progress.status();
        let waiting = (self.journal.end() - status.arrived).max(0);
        written(&[
            (
                "weir_shipper_records",
                "counter",
                "Records handed to Kafka's client, those sent again included",
                status.records.into(),
            ),
            (
                "weir_shipper_bytes",
                "counter",
                "Their bytes before compression",
                status.bytes.into(),
            ),
            (
                "weir_shipper_split_records",
                "counter",
                "Records that travelled in parts",
                status.split.into(),
            ),
            (
                "weir_shipper_restarts",
                "counter",
                "How often sending began again from the journal",
                status.restarts.into(),
            ),
            (
                "weir_shipper_arrived_offset",
                "gauge",
                "Records below this offset are in Kafka",
                status.arrived.into(),
            ),
            (
                "weir_shipper_stored_offset",
                "gauge",
                "A restart sends from here",
                status.stored.into(),
            ),
            (
                "weir_shipper_waiting_records",
                "gauge",
                "Records in the journal that are not in Kafka yet",
                waiting.into(),
            ),
            (
                "weir_shipper_up",
                "gauge",
                "1 while records arrive, 0 while something stops them",
                i128::from(status.trouble.is_none()),
            ),
        ])
    }

    fn trouble(&self) -> Option<String> {
        let status = self.progress.status();
        let trouble = status.trouble?;
        let waiting = (self.journal.end() - status.arrived).max(0);
        Some(format!("kafka: {waiting} events wait in the journal: {trouble}"))
    }
}

/// The lander.
#[cfg(feature = "analytics")]
pub struct LanderCompanion(pub lake::LanderHandle);

#[cfg(feature = "analytics")]
impl Companion for LanderCompanion {
    fn metrics(&self) -> String {
        let status = self.0.status();
        written(&[
            (
                "weir_lander_partitions",
                "gauge",
                "Partitions of the source that land here",
                status.partitions.into(),
            ),
            (
                "weir_lander_stopped_partitions",
                "gauge",
                "Partitions that have stopped until somebody looks",
                status.stopped.len() as i128,
            ),
            (
                "weir_lander_landed_position",
                "gauge",
                "Positions up to which all has landed, added up",
                status.landed.into(),
            ),
            (
                "weir_lander_waiting_records",
                "gauge",
                "Records that were read and have not landed",
                status.waiting.into(),
            ),
            (
                "weir_lander_held_bytes",
                "gauge",
                "Memory of the rows that wait or are landing",
                status.held_bytes.into(),
            ),
            (
                "weir_lander_open_calls",
                "gauge",
                "Calls without an end so far",
                status.open_calls.into(),
            ),
            (
                "weir_lander_landings",
                "counter",
                "Batches that landed",
                status.landings.into(),
            ),
            (
                "weir_lander_duplicate_records",
                "counter",
                "Records that came again and were dropped",
                status.duplicates.into(),
            ),
            (
                "weir_lander_unreadable_records",
                "counter",
                "Records kept as unreadable",
                status.unreadable.into(),
            ),
            (
                "weir_lander_lost_records",
                "counter",
                "Missing records whose loss was accepted",
                status.lost.into(),
            ),
            (
                "weir_lander_late_events",
                "counter",
                "Events of calls that had ended or never began",
                status.late.into(),
            ),
            (
                "weir_lander_failures",
                "gauge",
                "Failed landings since the last good one",
                status.failures.into(),
            ),
        ])
    }

    fn trouble(&self) -> Option<String> {
        let status = self.0.status();
        let stopped = (status.stopped.iter()).map(|(name, why)| format!("landing of {name} has stopped: {why}"));
        let failing = status.error.iter().map(|error| format!("landing: {error}"));
        let lines: Vec<String> = stopped.chain(failing).collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }
}
