//! The command line, configuration and wiring.

mod allocator;
mod args;
mod commands;
mod config;
#[cfg(feature = "analytics")]
mod control;
mod demo;
mod discover;
mod error;
mod out;
mod runtime;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command};
use error::Failure;

fn main() -> ExitCode {
    let args = Args::parse();
    log(args.log.as_deref());
    #[cfg(feature = "analytics")]
    if matches!(args.command, Command::Up(_) | Command::Analytics(_)) {
        allocator::give_back_soon();
    }
    match run(args.command) {
        Ok(code) => code,
        Err(Failure::BrokenPipe) => ExitCode::SUCCESS,
        Err(failure) => {
            out::complain(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Up(args) => commands::up::run(args, true),
        Command::Sidecar(args) => commands::up::run(args, false),
        #[cfg(feature = "analytics")]
        Command::Analytics(args) => commands::analytics::run(args),
        Command::Demo(args) => commands::demo::run(args),
        #[cfg(feature = "analytics")]
        Command::Sql(args) => commands::sql::run(args),
        Command::Tail(args) => commands::tail::run(&args),
        #[cfg(feature = "analytics")]
        Command::Lake(args) => commands::lake::run(args),
        Command::Journal(args) => commands::journal::run(args),
        Command::Guard(args) => commands::guard::run(args),
        Command::Config(args) => commands::config::run(args),
        Command::Models(args) => commands::models::run(&args),
        Command::Health(args) => commands::health::run(&args),
    }
}

/// What is logged unless told otherwise. The lake's libraries log as errors what they then handle,
/// such as a table that is not there yet.
const DEFAULT_LOG: &str = "warn,buoyant_kernel=off,delta_kernel=off,deltalake=off,deltalake_core=off";

/// Logs go to standard error: standard output is for what a command is asked for.
fn log(filter: Option<&str>) {
    let filter = tracing_subscriber::EnvFilter::new(filter.unwrap_or(DEFAULT_LOG));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
