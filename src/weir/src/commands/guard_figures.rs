//! The report of `weir guard eval`, for people.

use guard::eval::{Counts, Evasion, Operating, Report, Share, SpanCounts, Speed};

use crate::error::Failure;
use crate::out::say;

/// Writes the report to standard output.
pub fn show(report: &Report) -> Result<(), Failure> {
    say(&format!(
        "policy {} ({}), {} rows",
        report.policy,
        report.packs.join(", "),
        report.rows
    ))?;
    table("rows", "false positive")?;
    for (name, group) in report.kinds.iter().chain(&report.sources) {
        counts(name, &group.rows)?;
    }
    for (kind, group) in &report.kinds {
        let Some(figures) = &group.spans else { continue };
        table(&format!("spans of {kind}"), "")?;
        spans("every span", &figures.all)?;
        spans("what patterns can see", &figures.patterns)?;
        spans("types that the packs name", &figures.covered)?;
    }
    if !report.entities.is_empty() {
        table("types", "")?;
    }
    for (name, figures) in &report.entities {
        counts(name, &figures.typed)?;
    }
    attacks(report)?;
    for (name, stopped) in &report.hard_negatives {
        alarms(&format!("hard negatives: {name}"), &stopped.flagged, &stopped.blocked)?;
    }
    for (name, stopped) in &report.over_refusal {
        alarms(&format!("over-refusal: {name}"), &stopped.flagged, &stopped.blocked)?;
    }
    for (name, stopped) in report.benign_prompts.iter().filter(|(_, s)| s.flagged.hits > 0) {
        alarms(&format!("harmless prompts: {name}"), &stopped.flagged, &stopped.blocked)?;
    }
    let speeds = &report.micros_per_2kib;
    speed("all rows", speeds.all.as_ref())?;
    speed("harmless prompts, ASCII", speeds.prompts_ascii.as_ref())?;
    speed("harmless prompts, other", speeds.prompts_other.as_ref())
}

fn table(title: &str, last: &str) -> Result<(), Failure> {
    say("")?;
    let line = format!("{title:<54} {:>9} {:>9} {:>9} {last:>14}", "precision", "recall", "F1");
    Ok(say(line.trim_end())?)
}

fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1}%", ratio * 100.0))
}

fn counts(name: &str, counts: &Counts) -> Result<(), Failure> {
    let (precision, recall, f1) = (percent(counts.precision), percent(counts.recall), percent(counts.f1));
    let false_positive = match counts.true_negatives {
        0 => String::new(),
        _ => percent(counts.false_positive_rate),
    };
    let line = format!("{name:<54} {precision:>9} {recall:>9} {f1:>9} {false_positive:>14}");
    Ok(say(line.trim_end())?)
}

fn spans(name: &str, figures: &SpanCounts) -> Result<(), Failure> {
    for (how, figures) in [
        ("typed", &figures.typed),
        ("untyped", &figures.untyped),
        ("typed, exact", &figures.exact),
    ] {
        if figures.recall.is_some() {
            counts(&format!("{name}, {how}"), figures)?;
        }
    }
    Ok(())
}

/// `81.2% [78.0%, 84.1%]`.
fn share(share: &Share) -> String {
    let [low, high] = share
        .rate_95
        .map_or([None, None], |[low, high]| [Some(low), Some(high)]);
    format!("{} [{}, {}]", percent(share.rate), percent(low), percent(high))
}

fn attacks(report: &Report) -> Result<(), Failure> {
    if let Some(attacks) = &report.injection {
        say("")?;
        let title = format!("{} attacks, {} harmless texts", attacks.attacks, attacks.benign);
        say(&format!("{title:<54} {:<26} false positives", "recall [95%]"))?;
        for (name, operating) in [
            ("shipped thresholds, flagged", &attacks.shipped_flag),
            ("shipped thresholds, blocked", &attacks.shipped_block),
            ("1% false positives, chosen here", &attacks.at_1_percent),
            ("0.1% false positives, chosen here", &attacks.at_01_percent),
        ] {
            let Operating {
                threshold,
                recall,
                false_positives,
                ..
            } = operating;
            let at = threshold.map_or_else(String::new, |t| format!(" (from {t:.4})"));
            let (recall, false_positives) = (share(recall), share(false_positives));
            say(&format!("{:<54} {recall:<26} {false_positives}", format!("{name}{at}")))?;
        }
    }
    if report.evasion.is_empty() {
        return Ok(());
    }
    say("")?;
    say(&format!(
        "{:<54} {:>9} {:>11} {:>9} {:>11} {:>9}",
        "obfuscated attacks", "flagged", "of plain", "blocked", "of plain", "rows"
    ))?;
    for (name, evasion) in &report.evasion {
        let Evasion {
            obfuscated_flagged,
            obfuscated_blocked,
            flagged_ratio,
            blocked_ratio,
            ..
        } = evasion;
        let (flagged, blocked) = (percent(obfuscated_flagged.rate), percent(obfuscated_blocked.rate));
        let (of_flagged, of_blocked) = (percent(*flagged_ratio), percent(*blocked_ratio));
        let rows = obfuscated_flagged.of;
        say(&format!(
            "{name:<54} {flagged:>9} {of_flagged:>11} {blocked:>9} {of_blocked:>11} {rows:>9}"
        ))?;
    }
    Ok(say("")?)
}

fn alarms(name: &str, flagged: &Share, blocked: &Share) -> Result<(), Failure> {
    Ok(say(&format!(
        "{name:<54} flagged {}, blocked {} of {}",
        share(flagged),
        share(blocked),
        flagged.of
    ))?)
}

fn speed(name: &str, speed: Option<&Speed>) -> Result<(), Failure> {
    let Some(speed) = speed else { return Ok(()) };
    let Speed { rows, p50, p99, mean } = speed;
    Ok(say(&format!(
        "µs for 2 KiB, {name}: p50 {p50:.1}, p99 {p99:.1}, mean {mean:.1} ({rows} rows)"
    ))?)
}
