//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};

/// An LLM gateway that loses no call: it guards and records what your app says to its models.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100)]
pub struct Args {
    /// What is logged to standard error: `warn`, `info`, `weir_sidecar=debug`, …
    #[arg(long, global = true, env = "WEIR_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve apps, record their calls, land them, answer SQL: all in this process.
    Up(UpArgs),
    /// Serve apps and record their calls, without lake and SQL; ships the events to Kafka if one is configured.
    Sidecar(UpArgs),
    /// Land the events of all sidecars from Kafka, and answer SQL over them.
    #[cfg(feature = "analytics")]
    Analytics(AnalyticsArgs),
    /// See the whole product in a minute: an offline upstream, a few hundred calls, and what SQL says of them.
    Demo(crate::demo::DemoArgs),
    /// Ask the call history in SQL.
    #[cfg(feature = "analytics")]
    Sql(SqlArgs),
    /// Follow calls as they happen.
    Tail(TailArgs),
    /// Look after the tables that SQL reads.
    #[cfg(feature = "analytics")]
    Lake(LakeArgs),
    /// Look into the durable local event log.
    Journal(JournalArgs),
    /// Try guardrails on texts.
    Guard(GuardArgs),
    /// Check or show the configuration.
    Config(ConfigArgs),
    /// Show known models and their prices.
    Models(ModelsArgs),
    /// Ask a running `weir` whether it is ready. Exit status 0: it is, 1: it is not.
    Health(HealthArgs),
}

/// Where the configuration and the data lie.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Place {
    /// Folder for journal and lake [default: weir-data].
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file [default: weir.toml, if there is one].
    #[arg(long, env = "WEIR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `weir up`, `weir sidecar`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct UpArgs {
    /// Address to listen on [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = sidecar::config::address)]
    pub listen: Option<SocketAddr>,
    /// An OpenAI-compatible server to send calls to, such as http://127.0.0.1:8000/v1.
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,
    /// `weir up` goes on landing where records are gone before they landed, as with a lake that was lost: what
    /// is missing is logged and counted, and `weir lake verify` shows it for ever. Without it landing stops.
    #[cfg(feature = "analytics")]
    #[arg(long)]
    pub accept_loss: bool,
    /// Where the configuration and the data lie.
    #[command(flatten)]
    pub place: Place,
}

/// `weir analytics`.
#[cfg(feature = "analytics")]
#[derive(Clone, Debug, Default, clap::Args)]
pub struct AnalyticsArgs {
    /// Address for `/healthz`, `/readyz` and `/metrics` [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", value_parser = sidecar::config::address)]
    pub listen: Option<SocketAddr>,
    /// Goes on where records are gone before they landed: what is lost is logged and counted, and
    /// `weir lake verify` shows it for ever. Without it such a partition stops.
    #[arg(long)]
    pub accept_loss: bool,
    /// Where the configuration and the data lie.
    #[command(flatten)]
    pub place: Place,
}

/// `weir health`.
#[derive(Clone, Debug, clap::Args)]
pub struct HealthArgs {
    /// Its address [default: the one that the data folder names, else 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", value_parser = sidecar::config::address)]
    pub listen: Option<SocketAddr>,
    /// Where the configuration and the data lie.
    #[command(flatten)]
    pub place: Place,
}

/// `weir sql`.
#[cfg(feature = "analytics")]
#[derive(Clone, Debug, clap::Args)]
pub struct SqlArgs {
    /// The query; `@name` runs a named one, `-` reads standard input. Without any: a prompt.
    pub query: Option<String>,
    /// Reads the query from a file.
    #[arg(long, short, value_name = "FILE", conflicts_with = "query")]
    pub file: Option<PathBuf>,
    /// Output format.
    #[arg(long, short = 'F', value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Lists the named queries.
    #[arg(long)]
    pub list: bool,
    /// Where the data lies.
    #[command(flatten)]
    pub place: Place,
}

/// Formats of query results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people.
    Table,
    /// Comma separated values with a header.
    Csv,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// A Parquet file.
    Parquet,
}

/// `weir tail`.
#[derive(Clone, Debug, clap::Args)]
pub struct TailArgs {
    /// One JSON object a call instead of a readable line.
    #[arg(long)]
    pub json: bool,
    /// Only calls that asked for this model.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Only calls that ended so.
    #[arg(long, value_enum, value_name = "STATUS")]
    pub status: Option<StatusArg>,
    /// Only calls of this app.
    #[arg(long, value_name = "APP")]
    pub app: Option<String>,
    /// Shows the last N calls first.
    #[arg(long, short = 'n', default_value_t = 10, value_name = "N")]
    pub last: usize,
    /// Ends after what is there now, instead of following.
    #[arg(long)]
    pub no_follow: bool,
    /// Where the data lies.
    #[command(flatten)]
    pub place: Place,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StatusArg {
    /// With an answer.
    Completed,
    /// With an error.
    Failed,
    /// A guardrail ended it.
    Blocked,
    /// The app went away.
    Cancelled,
    /// A crash cut it.
    Interrupted,
}

impl From<StatusArg> for event::Status {
    fn from(status: StatusArg) -> event::Status {
        match status {
            StatusArg::Completed => event::Status::Completed,
            StatusArg::Failed => event::Status::Failed,
            StatusArg::Blocked => event::Status::Blocked,
            StatusArg::Cancelled => event::Status::Cancelled,
            StatusArg::Interrupted => event::Status::Interrupted,
        }
    }
}

/// `weir lake`.
#[cfg(feature = "analytics")]
#[derive(Clone, Debug, clap::Args)]
pub struct LakeArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: LakeCommand,
}

/// `weir lake …`
#[cfg(feature = "analytics")]
#[derive(Clone, Debug, Subcommand)]
pub enum LakeCommand {
    /// Prove that no event is missing, doubled or altered. Exit status 0: complete, 1: not.
    Verify {
        /// The report as JSON.
        #[arg(long)]
        json: bool,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Make the `calls` table anew from `events`.
    Rebuild {
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Take away whole days. `verify` goes on saying what was there.
    Expire {
        /// The first day that stays, UTC.
        #[arg(long, value_name = "2026-01-31")]
        before: String,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Erase every record of a user, a session or a call from the tables. `verify` goes on saying that they
    /// were there. The journal (and a Kafka topic) keeps them until it lets go of them by its own rules.
    #[command(group = clap::ArgGroup::new("whose").required(true))]
    Erase {
        /// All calls of this user.
        #[arg(long, value_name = "ID", group = "whose")]
        user: Option<String>,
        /// All calls of this session.
        #[arg(long, value_name = "ID", group = "whose")]
        session: Option<String>,
        /// This call.
        #[arg(long, value_name = "ID", group = "whose")]
        call: Option<String>,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Merge small files, write checkpoints, clear away what is no longer used.
    Compact {
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Show tables, sizes and how far landing has come.
    Status {
        /// The report as JSON.
        #[arg(long)]
        json: bool,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
}

/// `weir journal`.
#[derive(Clone, Debug, clap::Args)]
pub struct JournalArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: JournalCommand,
}

/// `weir journal …`
#[derive(Clone, Debug, Subcommand)]
pub enum JournalCommand {
    /// Show segments, offsets, sizes and consumers.
    Inspect {
        /// The report as JSON.
        #[arg(long)]
        json: bool,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Check every checksum, offset and link of the hash chain. Exit status 0: whole, 1: not.
    Verify {
        /// The report as JSON.
        #[arg(long)]
        json: bool,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Let go of a consumer that will not come back (`lake`, `kafka`), so that it no longer holds segments.
    Forget {
        /// The consumer, as `inspect` names it.
        consumer: String,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
    /// Write events as JSON, one a line.
    Export {
        /// First offset [default: the first that was not released].
        #[arg(long, value_name = "OFFSET")]
        from: Option<i64>,
        /// Offset to stop before.
        #[arg(long, value_name = "OFFSET")]
        to: Option<i64>,
        /// Where the data lies.
        #[command(flatten)]
        place: Place,
    },
}

/// `weir guard`.
#[derive(Clone, Debug, clap::Args)]
pub struct GuardArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: GuardCommand,
}

/// `weir guard …`
#[derive(Clone, Debug, Subcommand)]
pub enum GuardCommand {
    /// Run every rule's own examples, and refuse slow rules. Exit status 1: something failed.
    Test {
        /// Pack files, or a `gitleaks.toml`; without any, the built-in packs.
        files: Vec<PathBuf>,
        /// The report as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show what the guardrails would do to a text. Exit status 1: something is flagged or redacted, 3: it would be
    /// blocked.
    Scan(GuardTextArgs),
    /// Show why: every rule that woke, how far it came, and what stopped it.
    Explain(GuardTextArgs),
    /// Measure the guardrails on labelled texts: JSON lines, plain or gzipped, with `text`, `label`, `kind`, `spans`.
    Eval(GuardEvalArgs),
}

/// `weir guard scan`, `weir guard explain`.
#[derive(Clone, Debug, clap::Args)]
pub struct GuardTextArgs {
    /// What to look at. `scan`: a file, or `-` for standard input. `explain`: the text itself, or `-`.
    #[arg(value_name = "TEXT")]
    pub what: String,
    /// Whose rules: the app's input, the model's output, a tool's result.
    #[arg(long, value_enum, default_value_t = PhaseArg::Input)]
    pub phase: PhaseArg,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Where the configuration lies.
    #[command(flatten)]
    pub place: Place,
}

/// `weir guard eval`.
#[derive(Clone, Debug, clap::Args)]
pub struct GuardEvalArgs {
    /// The files.
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Writes what was found in each row to this file, one line of JSON a row.
    #[arg(long, value_name = "OUT")]
    pub verdicts: Option<PathBuf>,
    /// Counts what another tool found, as it stands in such a file, one line a row: nothing is scanned.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["verdicts", "policy", "phase"])]
    pub from: Option<PathBuf>,
    /// Whose rules [default: by the kind of each row: `exfil…`, `leak…` and `format…` are answers, all else is input].
    #[arg(long, value_enum)]
    pub phase: Option<PhaseArg>,
    /// A policy, as the `[guard.policy]` section of a configuration in a file of its own [default: every built-in pack].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Every built-in pack, also where the policy names fewer.
    #[arg(long)]
    pub all: bool,
}

/// Whose text is scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PhaseArg {
    /// What the app sends.
    Input,
    /// What the model answers.
    Output,
    /// What a tool answered.
    Tool,
}

impl From<PhaseArg> for guard::Phase {
    fn from(phase: PhaseArg) -> guard::Phase {
        match phase {
            PhaseArg::Input => guard::Phase::Input,
            PhaseArg::Output => guard::Phase::Output,
            PhaseArg::Tool => guard::Phase::Tool,
        }
    }
}

/// `weir config`.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// `weir config …`
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration and say what it amounts to.
    Check {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Print the configuration's JSON Schema.
    Schema,
    /// Print the configuration in force, defaults included, as TOML.
    Show {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Print the hash of a client key, read from standard input, for `[[client_key]]`; without input, make a key.
    HashKey,
}

/// A configuration file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The file [default: weir.toml, if there is one].
    #[arg(env = "WEIR_CONFIG")]
    file: Option<PathBuf>,
    /// The same, as other commands take it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    /// Its path, if one is given.
    pub fn path(&self) -> Option<&Path> {
        self.config.as_deref().or(self.file.as_deref())
    }
}

/// `weir models`.
#[derive(Clone, Debug, clap::Args)]
pub struct ModelsArgs {
    /// Only names that contain this.
    pub filter: Option<String>,
    /// Only this provider.
    #[arg(long, value_name = "NAME")]
    pub provider: Option<String>,
    /// One JSON object a model and line.
    #[arg(long)]
    pub json: bool,
}
