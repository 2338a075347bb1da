//! `weir guard scan`: what the guardrails would do to a text.

use std::process::ExitCode;

use guard::explain::{Explanation, Fate, explain};
use guard::{Action, Outcome, Verdict};

use super::guard::{paint, policy, status, text_of};
use super::guard_text::{Excerpt, line_and_column, printable};
use crate::args::GuardTextArgs;
use crate::error::Failure;
use crate::out::say;

/// Runs the command.
pub fn run(args: &GuardTextArgs) -> Result<ExitCode, Failure> {
    let (policy, spec) = policy(&args.place)?;
    let text = text_of(&args.what)?;
    let phase = args.phase.into();
    let outcome = policy.scan(phase, &text);
    // It says in which form of the text a verdict was found, and takes far longer than the scan.
    let explanation = (!outcome.verdicts.is_empty()).then(|| explain(&policy, &spec, phase, &text));
    let explanation = explanation.as_ref();
    if args.json {
        say(&json(&outcome, explanation, &text, policy.version()).to_string())?;
    } else {
        show(&outcome, explanation, &text)?;
    }
    Ok(status(outcome.action()))
}

/// The form of the text in which the rule found it, where that is known.
fn view<'e>(explanation: Option<&'e Explanation>, verdict: &Verdict) -> Option<&'e str> {
    let trace = explanation?.rules.iter().find(|t| *t.rule == *verdict.rule)?;
    let counts = |fate: &Fate| matches!(fate, Fate::Verdict { .. });
    let trial = trace
        .trials
        .iter()
        .find(|t| counts(&t.fate) && t.start < verdict.end && verdict.start < t.end)?;
    Some(trial.view.as_str())
}

fn json(outcome: &Outcome, explanation: Option<&Explanation>, text: &str, version: &str) -> serde_json::Value {
    let verdict = |v: &Verdict| {
        let (line, column) = line_and_column(text, v.start);
        let mut json = serde_json::json!(v);
        json["line"] = line.into();
        json["column"] = column.into();
        json["view"] = view(explanation, v).into();
        json
    };
    let verdicts: Vec<_> = outcome.verdicts.iter().map(verdict).collect();
    let travels = (outcome.action() != Some(Action::Block)).then(|| outcome.redacted(text));
    serde_json::json!({
        "action": outcome.action(), "verdicts": verdicts, "text": travels, "errors": outcome.errors,
        "policy_version": version,
    })
}

fn show(outcome: &Outcome, explanation: Option<&Explanation>, text: &str) -> Result<(), Failure> {
    for verdict in &outcome.verdicts {
        let Verdict {
            rule, entity, action, ..
        } = verdict;
        let (line, column) = line_and_column(text, verdict.start);
        let score = verdict.score.map_or_else(String::new, |s| format!(", score {s:.2}"));
        let view = match view(explanation, verdict) {
            None | Some("text") => String::new(),
            Some(view) => format!(", seen in {view}"),
        };
        let action = *action;
        let name = paint(action, &action.to_string());
        say(&format!("{line}:{column}: {name} {entity} ({rule}{score}{view})"))?;
        let excerpt = Excerpt::new(text, verdict.start, verdict.end);
        let Excerpt { before, span, after } = &excerpt;
        say(&format!("    {before}{}{after}", paint(action, span)))?;
        say(&format!("    {}", paint(action, &excerpt.marks())))?;
    }
    match outcome.action() {
        None => say("nothing matched")?,
        Some(Action::Block) => say("blocked: none of it travels on")?,
        Some(Action::Flag) => say("travels on as it is")?,
        Some(_) => {
            say("travels on as:")?;
            for line in outcome.redacted(text).trim_end().lines() {
                say(&format!("    {}", printable(line)))?;
            }
        }
    }
    Ok(())
}
