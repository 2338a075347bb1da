//! `weir guard`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use guard::{Action, Policy, PolicySpec};

use super::{configuration, guard_eval, guard_explain, guard_scan, guard_test};
use crate::args::{GuardArgs, GuardCommand, Place};
use crate::config::{compile, placed};
use crate::error::Failure;
use crate::out::is_coloured;

/// Runs the command.
pub fn run(args: GuardArgs) -> Result<ExitCode, Failure> {
    match args.command {
        GuardCommand::Test { files, json } => guard_test::run(&files, json),
        GuardCommand::Scan(args) => guard_scan::run(&args),
        GuardCommand::Explain(args) => guard_explain::run(&args),
        GuardCommand::Eval(args) => guard_eval::run(&args),
    }
}

/// The policy of the configuration, and what it was compiled from.
pub(super) fn policy(place: &Place) -> Result<(Arc<Policy>, PolicySpec), Failure> {
    let (config, from) = configuration(place)?;
    let base: PathBuf = from.as_deref().and_then(Path::parent).unwrap_or(Path::new(".")).into();
    let policy = compile(&config, None, &base, |_| None)
        .map_err(|error| placed(error, from.as_deref()))?
        .parts
        .policies
        .fallback()
        .clone();
    Ok((policy, config.guard.policy))
}

/// The text of a file, or of standard input for `-`.
pub(super) fn text_of(file: &str) -> Result<String, Failure> {
    if file != "-" {
        return std::fs::read_to_string(file).map_err(|e| Failure::Usage(format!("cannot read {file}: {e}")));
    }
    let mut text = String::new();
    let read = std::io::stdin().read_to_string(&mut text);
    read.map_err(|e| Failure::Usage(format!("cannot read standard input: {e}")))?;
    Ok(text)
}

/// What scripts are told: 0 clean, 1 flagged or redacted, 3 blocked.
pub(super) fn status(action: Option<Action>) -> ExitCode {
    match action {
        None => ExitCode::SUCCESS,
        Some(Action::Block) => ExitCode::from(3),
        Some(_) => ExitCode::FAILURE,
    }
}

/// `text` in the colour of an action, where standard output takes colours.
pub(super) fn paint(action: Action, text: &str) -> String {
    let colour = match action {
        Action::Flag => 33,
        Action::Block => 31,
        _ => 36,
    };
    coloured(colour, text)
}

/// `text` in a colour of the terminal, where standard output takes colours.
pub(super) fn coloured(colour: u8, text: &str) -> String {
    if is_coloured() {
        format!("\x1b[{colour}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
