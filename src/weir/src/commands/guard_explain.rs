//! `weir guard explain`: why the guardrails do to a text what they do.

use std::process::ExitCode;

use guard::explain::{DecidedBy, Explanation, Fate, Trace, Trial, explain};

use super::guard::{coloured, paint, policy, status, text_of};
use super::guard_text::{Excerpt, line_and_column, printable};
use crate::args::GuardTextArgs;
use crate::error::Failure;
use crate::out::say;

/// Runs the command.
pub fn run(args: &GuardTextArgs) -> Result<ExitCode, Failure> {
    let (policy, spec) = policy(&args.place)?;
    let text = match args.what.as_str() {
        "-" => text_of("-")?,
        text => text.to_owned(),
    };
    let explanation = explain(&policy, &spec, args.phase.into(), &text);
    if args.json {
        say(&serde_json::to_string_pretty(&explanation).map_err(Failure::other)?)?;
    } else {
        show(&explanation, &text)?;
    }
    Ok(status(explanation.action))
}

fn show(explanation: &Explanation, text: &str) -> Result<(), Failure> {
    say(&format!(
        "phase {}: {} of {} rules woke",
        explanation.phase,
        explanation.rules.len(),
        explanation.rules_active
    ))?;
    for trace in &explanation.rules {
        say("")?;
        rule(trace)?;
        for tried in &trace.trials {
            trial(tried, text)?;
        }
        if trace.further > 0 {
            say(&format!("    … and at {} more places", trace.further))?;
        }
    }
    for verdict in &explanation.others {
        let (line, column) = line_and_column(text, verdict.start);
        say("")?;
        say(&format!(
            "{} ({} {}): {} at {line}:{column}, not by an expression on this form of the text",
            coloured(1, &verdict.rule),
            verdict.kind,
            verdict.entity,
            paint(verdict.action, &verdict.action.to_string())
        ))?;
    }
    say("")?;
    let last = match explanation.action {
        None => "the text passes as it is".to_owned(),
        Some(action) => format!("strongest action: {}", paint(action, &action.to_string())),
    };
    Ok(say(&last)?)
}

fn rule(trace: &Trace) -> Result<(), Failure> {
    let Trace {
        rule,
        kind,
        entity,
        action,
        ..
    } = trace;
    let decided = match trace.decided_by {
        DecidedBy::Rule => format!("the policy says so for {rule}"),
        DecidedBy::Kind => format!("the policy says so for every {kind} rule"),
        DecidedBy::Pack => "its pack says so".to_owned(),
    };
    let threshold = trace
        .threshold
        .map_or_else(String::new, |t| format!("; counts from score {t:.2}"));
    let name = coloured(1, rule);
    let action = paint(*action, &action.to_string());
    Ok(say(&format!(
        "{name} ({kind} {entity}): {action}, {decided}{threshold}"
    ))?)
}

fn trial(trial: &Trial, text: &str) -> Result<(), Failure> {
    let (line, column) = line_and_column(text, trial.start);
    let woke = match &trial.literal {
        Some(literal) => format!("woken by `{}`", printable(literal)),
        None => "woken by its first bytes".to_owned(),
    };
    let view = match trial.view.as_str() {
        "text" => String::new(),
        view => format!(", in {view}"),
    };
    let mut parts = vec![format!("{woke}{view}")];
    if !matches!(trial.fate, Fate::NoMatch { .. }) {
        parts.push(format!("matches `{}`", printable(&trial.matched)));
    }
    for (words, verb) in [
        (&trial.words_for, "speak for it"),
        (&trial.words_against, "speak against it"),
    ] {
        if !words.is_empty() {
            parts.push(format!("{verb}: `{}`", words.join("`, `")));
        }
    }
    if let Some(score) = trial.score {
        parts.push(format!("score {:.2}, with context {:.2}", score.base, score.total));
    }
    let fate = match &trial.fate {
        Fate::Verdict { action } => paint(*action, &action.to_string()),
        Fate::Covered { by } => format!("within a match of {by}"),
        Fate::BelowThreshold { threshold } => format!("below the threshold of {threshold:.2}"),
        Fate::Refused { by } => format!("refused: {by}"),
        Fate::NoMatch { bytes } => format!("the expression goes along for {bytes} bytes and then does not match"),
    };
    say(&format!("  {line}:{column}: {}", parts.join("; ")))?;
    let Excerpt { before, span, after } = Excerpt::new(text, trial.start, trial.end);
    say(&format!("      {before}{}{after}", coloured(1, &span)))?;
    Ok(say(&format!("      → {fate}"))?)
}
