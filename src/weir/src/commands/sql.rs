//! `weir sql`.

use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use lake::{Lake, LakeError, Tail};
use query::{Engine, output};

use super::configuration;
use super::prompt::prompt;
use crate::args::{Format, SqlArgs};
use crate::config::Config;
use crate::control::ask;
use crate::error::Failure;
use crate::out::say;
use crate::runtime::{engine_options, journal_folder};

/// Runs the command.
pub fn run(args: SqlArgs) -> Result<ExitCode, Failure> {
    if args.list {
        for query in query::named() {
            say(&format!("@{:<24} {}", query.name, query.description()))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (config, _) = configuration(&args.place)?;
    if !config.data.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no data folder {}: name it with --data, or start `weir up` first",
            config.data.display()
        )));
    }
    let format = output_format(args.format);
    if format.is_binary() && std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "Parquet is not for a terminal: redirect it into a file".to_owned(),
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let sql = match (args.query.as_deref(), &args.file) {
        (Some("-"), _) => read_standard_input()?,
        (Some(query), _) => query.to_owned(),
        (None, Some(file)) => {
            std::fs::read_to_string(file).map_err(|e| Failure::Usage(format!("cannot read {}: {e}", file.display())))?
        }
        (None, None) if std::io::stdin().is_terminal() => {
            prompt(&runtime, &config, format)?;
            return Ok(ExitCode::SUCCESS);
        }
        (None, None) => read_standard_input()?,
    };
    let mut out = std::io::BufWriter::new(std::io::stdout());
    runtime.block_on(answer(&config, &sql, format, &mut out))?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Answers one query: by the running process of the data folder if there is one, else by reading
/// lake and journal here.
pub async fn answer(
    config: &Config,
    sql: &str,
    format: output::Format,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let for_people = matches!(format, output::Format::Table | output::Format::Csv);
    let width = (for_people && std::io::stdout().is_terminal())
        .then(terminal_width)
        .flatten();
    if ask(&config.data, sql, format, width, out).await? {
        return Ok(());
    }
    let engine = open(config).await?;
    let written = match engine.sql(sql).await {
        Ok(rows) => output::write(rows, format, width, out).await,
        Err(error) => Err(error),
    };
    // Its threads end before the process does.
    let closed = tokio::task::spawn_blocking(move || engine.close(PATIENCE)).await;
    written.map_err(query_failure)?;
    closed.map_err(Failure::other)
}

/// How long the threads of a query are waited for.
const PATIENCE: Duration = Duration::from_secs(1);

fn query_failure(error: query::QueryError) -> Failure {
    match error {
        query::QueryError::Write(error) => Failure::from(error),
        error if error.is_usage() => Failure::Usage(error.to_string()),
        other => Failure::other(other),
    }
}

/// An engine over the lake and the journal of a data folder on which no process runs.
async fn open(config: &Config) -> Result<Engine, Failure> {
    let lake = match open_lake(&config.data).await {
        // `weir sidecar` alone has served this folder: the journal has everything.
        Err(LakeError::NotFound(_)) => Lake::in_memory().await,
        found => found,
    };
    let lake = lake.map_err(Failure::other)?;
    let journal = journal_folder(&config.data);
    let tail = Tail::offline(&lake, Some(&journal).filter(|dir| dir.is_dir()).map(Path::new))
        .await
        .map_err(Failure::other)?;
    Engine::open(tail, engine_options(config)).map_err(Failure::other)
}

/// The lake of a data folder. Looking at one makes none.
pub async fn open_lake(data: &Path) -> Result<Lake, LakeError> {
    Lake::open(&Lake::location_of(data).to_string_lossy()).await
}

fn read_standard_input() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn output_format(format: Format) -> output::Format {
    match format {
        Format::Table => output::Format::Table,
        Format::Csv => output::Format::Csv,
        Format::Json => output::Format::Json,
        Format::Ndjson => output::Format::Ndjson,
        Format::Parquet => output::Format::Parquet,
    }
}

/// Columns of the terminal.
fn terminal_width() -> Option<usize> {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .ok()
        .map(|size| size.ws_col.into())
        .filter(|columns| *columns > 0)
}
