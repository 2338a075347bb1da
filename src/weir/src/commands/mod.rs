//! One file a command.

#[cfg(feature = "analytics")]
pub mod analytics;
pub mod config;
pub mod demo;
pub mod guard;
mod guard_eval;
mod guard_explain;
mod guard_figures;
mod guard_scan;
mod guard_test;
mod guard_text;
pub mod health;
pub mod journal;
#[cfg(feature = "analytics")]
pub mod lake;
pub mod models;
#[cfg(feature = "analytics")]
mod prompt;
#[cfg(feature = "analytics")]
pub mod sql;
pub mod tail;
pub mod up;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use crate::args::Place;
use crate::config::{Config, load, variables};
use crate::error::Failure;

/// The exit status of a command that finds out whether something is as it should be, whoever reads why.
fn verdict(good: bool, said: Result<(), Failure>) -> Result<ExitCode, Failure> {
    match said {
        Ok(()) | Err(Failure::BrokenPipe) if good => Ok(ExitCode::SUCCESS),
        Ok(()) | Err(Failure::BrokenPipe) => Ok(ExitCode::FAILURE),
        Err(failure) => Err(failure),
    }
}

/// The configuration file that applies: the one named, else `weir.toml` if there is one.
pub fn config_file(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from("weir.toml")).filter(|path| path.is_file()),
    }
}

/// The configuration, and the file it came from.
pub fn configuration(place: &Place) -> Result<(Config, Option<PathBuf>), Failure> {
    let file = config_file(place.config.as_deref());
    let mut config = load(file.as_deref(), variables())?;
    if let Some(data) = &place.data {
        config.data.clone_from(data);
    }
    Ok((config, file))
}

/// The data folder; it must be there.
pub fn data_folder(place: &Place) -> Result<PathBuf, Failure> {
    let (config, _) = configuration(place)?;
    if !config.data.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no data folder {}: name it with --data, or start `weir up` first",
            config.data.display()
        )));
    }
    Ok(config.data)
}

/// Ends the runtime, and its threads before the process: the C libraries below Kafka's client tidy up while
/// it exits, and a thread that ends at that moment frees the same memory again. Whatever still blocks must
/// not hold up a second signal, which is not `orderly`.
pub fn leave(runtime: tokio::runtime::Runtime, orderly: bool) {
    runtime.shutdown_timeout(match orderly {
        true => Duration::from_secs(10),
        false => Duration::from_millis(200),
    });
}
