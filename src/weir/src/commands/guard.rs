//! `weir guard`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use guard::{Action, Outcome, Pack, Policy, Verdict};

use super::configuration;
use crate::args::{GuardArgs, GuardCommand, PhaseArg};
use crate::config::compile;
use crate::error::Failure;
use crate::out::{is_coloured, say};

/// Runs the command.
pub fn run(args: GuardArgs) -> Result<ExitCode, Failure> {
    match args.command {
        GuardCommand::Test { files } => test(&files),
        GuardCommand::Scan {
            file,
            phase,
            json,
            place,
        } => {
            let (config, from) = configuration(&place)?;
            let base = from.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
            let policy = compile(&config, base, |_| None)?.parts.policy;
            scan(&policy, &file, phase, json)
        }
        GuardCommand::Eval(args) => super::guard_eval::run(&args),
    }
}

fn test(files: &[PathBuf]) -> Result<ExitCode, Failure> {
    let packs = match files.is_empty() {
        true => Pack::builtin(),
        false => {
            let read = |path: &PathBuf| {
                let text = std::fs::read_to_string(path)
                    .map_err(|e| Failure::Usage(format!("cannot read {}: {e}", path.display())))?;
                Pack::parse(&path.display().to_string(), &text).map_err(|e| Failure::Usage(e.to_string()))
            };
            files.iter().map(read).collect::<Result<Vec<_>, _>>()?
        }
    };
    let mut failed = 0;
    for pack in &packs {
        let failures = pack.test();
        let state = if failures.is_empty() { "ok" } else { "FAILED" };
        say(&format!(
            "{}@{}: {} rules, {state}",
            pack.name(),
            pack.version(),
            pack.rules().len()
        ))?;
        for failure in &failures {
            say(&format!("  {failure:?}"))?;
        }
        failed += failures.len();
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn scan(policy: &Arc<Policy>, file: &Path, phase: PhaseArg, json: bool) -> Result<ExitCode, Failure> {
    let text = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text
    } else {
        std::fs::read_to_string(file).map_err(|e| Failure::Usage(format!("cannot read {}: {e}", file.display())))?
    };
    let outcome = policy.scan(phase.into(), &text);
    if json {
        let report = serde_json::json!({
            "action": outcome.action(), "verdicts": outcome.verdicts, "policy_version": policy.version(),
        });
        say(&report.to_string())?;
    } else {
        show(&outcome, &text)?;
    }
    Ok(match outcome.action() {
        None => ExitCode::SUCCESS,
        Some(Action::Block) => ExitCode::from(3),
        Some(_) => ExitCode::FAILURE,
    })
}

fn show(outcome: &Outcome, text: &str) -> Result<(), Failure> {
    for verdict in &outcome.verdicts {
        let Verdict {
            rule,
            entity,
            action,
            start,
            ..
        } = verdict;
        let before = &text[..(*start).min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        let (on, off) = if is_coloured() {
            (colour(*action), "\x1b[0m")
        } else {
            ("", "")
        };
        say(&format!("{line}:{column}: {on}{action}{off} {entity} ({rule})"))?;
    }
    if outcome.verdicts.is_empty() {
        say("nothing matched")?;
    } else if outcome.action() != Some(Action::Block) {
        say("")?;
        say(outcome.redacted(text).trim_end())?;
    }
    Ok(())
}

fn colour(action: Action) -> &'static str {
    match action {
        Action::Flag => "\x1b[33m",
        Action::Redact | Action::Vault => "\x1b[36m",
        Action::Block => "\x1b[31m",
    }
}
