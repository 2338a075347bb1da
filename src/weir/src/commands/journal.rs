//! `weir journal`.

use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use journal::tool::{ExportError, Report, export, inspect, verify};
use journal::{Journal, Options};

use super::{data_folder, verdict};
use crate::args::{JournalArgs, JournalCommand};
use crate::error::Failure;
use crate::out::{complain, say};
use crate::runtime::journal_folder;

/// Runs the command.
pub fn run(args: JournalArgs) -> Result<ExitCode, Failure> {
    let (report, json, types) = match args.command {
        JournalCommand::Inspect { json, place } => {
            let report = inspect(&journal_folder(&data_folder(&place)?)).map_err(Failure::other)?;
            (report, json, false)
        }
        JournalCommand::Verify { json, place } => {
            let report = verify(&journal_folder(&data_folder(&place)?)).map_err(Failure::other)?;
            (report, json, true)
        }
        JournalCommand::Forget { consumer, place } => {
            return forget(&journal_folder(&data_folder(&place)?), &consumer);
        }
        JournalCommand::Export { from, to, place } => {
            return write_events(&journal_folder(&data_folder(&place)?), from, to);
        }
    };
    let said = match json {
        true => say(&as_json(&report, types).to_string()).map_err(Failure::from),
        false => show(&report),
    };
    verdict(report.is_whole(), said)
}

/// Needs the folder for itself: whoever runs on it may be that consumer.
fn forget(folder: &Path, consumer: &str) -> Result<ExitCode, Failure> {
    let (journal, _) = Journal::open(folder, Options::default())?;
    let known = journal.positions().all();
    let Some(position) = known.get(consumer) else {
        let names = known.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(Failure::Usage(format!(
            "no consumer is called {consumer}; there are: {names}"
        )));
    };
    journal.positions().remove(consumer).map_err(Failure::other)?;
    say(&format!(
        "{consumer}, which stood at offset {position}, holds nothing any more"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn write_events(folder: &Path, from: Option<i64>, to: Option<i64>) -> Result<ExitCode, Failure> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let exported = export(folder, from, to, &mut out).map_err(|error| match error {
        ExportError::Write(error) if error.kind() == ErrorKind::BrokenPipe => Failure::BrokenPipe,
        error => Failure::other(error),
    })?;
    out.flush()?;
    for hole in &exported.holes {
        complain(&format!("passed over: {hole}"));
    }
    Ok(if exported.holes.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn show(report: &Report) -> Result<(), Failure> {
    let id = report
        .journal_id
        .map_or_else(|| "unknown".to_owned(), |id| id.to_string());
    say(&format!("journal {id}"))?;
    say(&format!(
        "  {} records, offsets {}..{}, {} bytes",
        report.records, report.first, report.end, report.bytes
    ))?;
    for segment in &report.segments {
        let name = segment.path.file_name().unwrap_or_default().to_string_lossy();
        say(&format!(
            "  {name}  {:>9} records  {:>12} of {} bytes",
            segment.records, segment.bytes, segment.file_bytes
        ))?;
    }
    for (consumer, offset) in &report.consumers {
        let behind = report.end.saturating_sub(*offset);
        say(&format!(
            "  consumer {consumer:<20} at offset {offset}, {behind} records behind"
        ))?;
    }
    for (event_type, count) in &report.types {
        say(&format!("  {event_type:<24} {count:>9}"))?;
    }
    if report.torn_bytes > 0 {
        say(&format!(
            "  an unfinished write of {} bytes at the end: the next start cuts it",
            report.torn_bytes
        ))?;
    }
    for fault in &report.faults {
        say(&format!("  FAULT {fault}"))?;
    }
    say(if report.is_whole() { "whole" } else { "NOT whole" })?;
    Ok(())
}

/// `types`: whether events were counted by type.
fn as_json(report: &Report, types: bool) -> serde_json::Value {
    let segments: Vec<serde_json::Value> = report
        .segments
        .iter()
        .map(|segment| {
            serde_json::json!({
                "path": segment.path, "first": segment.first, "end": segment.end, "records": segment.records,
                "bytes": segment.bytes, "file_bytes": segment.file_bytes,
                "created_unix_nano": segment.created_unix_nano,
            })
        })
        .collect();
    let mut json = serde_json::json!({
        "journal_id": report.journal_id, "first": report.first, "end": report.end, "records": report.records,
        "bytes": report.bytes, "times_unix_nano": report.times, "consumers": report.consumers,
        "segments": segments, "torn_bytes": report.torn_bytes, "whole": report.is_whole(),
        "faults": report.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    if types {
        json["types"] = serde_json::json!(report.types);
    }
    json
}
