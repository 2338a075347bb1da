//! `weir guard eval`: how good the guardrails are on labelled texts.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use guard::eval::{Report, Row, evaluate};
use guard::{Pack, Phase, Policy, PolicySpec};

use crate::error::Failure;
use crate::out::say;

/// Runs the command.
pub fn run(files: &[PathBuf], policy: Option<&Path>, json: bool) -> Result<ExitCode, Failure> {
    let spec = match policy {
        None => PolicySpec::default(),
        Some(file) => {
            let wrong = |e: &dyn std::fmt::Display| Failure::Usage(format!("{}: {e}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|e| wrong(&e))?;
            toml::from_str(&text).map_err(|e| wrong(&e))?
        }
    };
    let policy = Policy::compile(&spec, &Pack::builtin()).map_err(|e| Failure::Usage(e.to_string()))?;
    let mut rows = Vec::new();
    for file in files {
        rows.extend(read(file)?);
    }
    let report = evaluate(&policy, Phase::Input, &rows);
    if json {
        say(&serde_json::to_string_pretty(&report).map_err(Failure::other)?)?;
    } else {
        show(&report)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Vec<Row>, Failure> {
    let wrong = |e: &dyn std::fmt::Display| Failure::Usage(format!("{}: {e}", file.display()));
    let bytes = std::fs::read(file).map_err(|e| wrong(&e))?;
    let mut text = String::new();
    // By the first bytes, not the name.
    if bytes.starts_with(&[0x1f, 0x8b]) {
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_string(&mut text)
            .map_err(|e| wrong(&e))?;
    } else {
        text = String::from_utf8(bytes).map_err(|e| wrong(&e))?;
    }
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let parse = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|e| Failure::Usage(format!("{}:{}: {e}", file.display(), at + 1)))
    };
    lines.map(parse).collect()
}

fn show(report: &Report) -> Result<(), Failure> {
    let percent = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1}%", ratio * 100.0));
    say(&format!("policy {}, {} rows", report.policy, report.rows))?;
    say(&format!(
        "{:<44} {:>9} {:>9} {:>9} {:>14}",
        "rows", "precision", "recall", "F1", "false positive"
    ))?;
    for (name, counts) in report.kinds.iter().chain(&report.sources) {
        let (precision, recall, f1) = (percent(counts.precision), percent(counts.recall), percent(counts.f1));
        let false_positive = percent(counts.false_positive_rate);
        say(&format!(
            "{name:<44} {precision:>9} {recall:>9} {f1:>9} {false_positive:>14}"
        ))?;
    }
    if !report.entities.is_empty() {
        say(&format!(
            "{:<44} {:>9} {:>9} {:>9}",
            "spans, typed", "precision", "recall", "F1"
        ))?;
    }
    for (name, counts) in &report.entities {
        let typed = &counts.typed;
        let (precision, recall, f1) = (percent(typed.precision), percent(typed.recall), percent(typed.f1));
        say(&format!("{name:<44} {precision:>9} {recall:>9} {f1:>9}"))?;
    }
    if let Some(speed) = &report.micros_per_2kib {
        say(&format!("µs for 2 KiB: p50 {:.1}, p99 {:.1}", speed.p50, speed.p99))?;
    }
    Ok(())
}
