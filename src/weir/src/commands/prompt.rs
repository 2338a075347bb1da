//! The SQL prompt: history, and completion of tables, columns, functions and named queries.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use query::output::Format;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Context, Editor, Helper, Highlighter, Hinter};
use tokio::runtime::Runtime;

use super::sql::answer;
use crate::config::Config;
use crate::error::Failure;
use crate::out::{complain, say};

/// Words that queries are made of, beside what the catalog has.
const KEYWORDS: &str = "select from where group by order limit offset join left right inner on as and or not in is null \
    like ilike between case when then else end distinct count sum avg min max approx_percentile_cont date_trunc \
    date_bin now interval desc asc having union all with over partition row_number unnest cast round coalesce \
    explain describe show tables columns recent_calls";

#[derive(Helper, Hinter, Highlighter)]
struct SqlHelper {
    words: BTreeSet<String>,
}

impl Completer for SqlHelper {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let before = &line[..pos];
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '@'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let prefix = before[start..].to_lowercase();
        if prefix.is_empty() {
            return Ok((pos, Vec::new()));
        }
        Ok((
            start,
            self.words
                .iter()
                .filter(|word| word.starts_with(&prefix))
                .cloned()
                .collect(),
        ))
    }
}

impl Validator for SqlHelper {
    /// A statement ends with `;`; commands and named queries with their line.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input().trim();
        let whole = text.is_empty() || text.ends_with(';') || text.starts_with(['@', '\\']) || is_leaving(text);
        Ok(if whole {
            ValidationResult::Valid(None)
        } else {
            ValidationResult::Incomplete
        })
    }
}

fn is_leaving(text: &str) -> bool {
    matches!(text, "exit" | "quit" | "\\q")
}

/// Reads queries and shows answers until the person leaves.
pub fn prompt(runtime: &Runtime, config: &Config, format: Format) -> Result<(), Failure> {
    let mut editor: Editor<SqlHelper, FileHistory> = {
        let settings = rustyline::Config::builder()
            .completion_type(CompletionType::List)
            .build();
        Editor::with_config(settings).map_err(Failure::other)?
    };
    editor.set_helper(Some(SqlHelper {
        words: words(runtime, config),
    }));
    let history = history_file();
    if let Some(file) = &history {
        // There is none at the first start.
        let _ = editor.load_history(file);
    }
    say(
        "SQL over events and calls. Statements end with `;`. \\d shows the tables, @name runs a named query, \\q leaves.",
    )?;
    loop {
        match editor.readline("weir> ") {
            Ok(line) => {
                let text = line.trim();
                if text.is_empty() {
                    continue;
                }
                let _ = editor.add_history_entry(text);
                if is_leaving(text) {
                    break;
                }
                let sql = match text {
                    "\\d" => {
                        "select table_name, column_name, data_type from information_schema.columns \
                              where table_schema = 'public' order by table_name desc, ordinal_position"
                    }
                    other => other.trim_end_matches(';'),
                };
                let mut out = std::io::stdout();
                let asked = runtime.block_on(async {
                    tokio::select! {
                        answered = answer(config, sql, format, &mut out) => answered,
                        // The editor has a handler of its own, which keeps the process alive and does no more.
                        _ = tokio::signal::ctrl_c() => Err(Failure::Other("cancelled".to_owned())),
                    }
                });
                if let Err(error) = asked {
                    complain(&error.to_string());
                }
                out.flush()?;
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(Failure::other(error)),
        }
    }
    if let Some(file) = &history
        && let Err(error) = editor.save_history(file)
    {
        complain(&format!("the history cannot be kept in {}: {error}", file.display()));
    }
    Ok(())
}

/// `$XDG_STATE_HOME/weir/sql_history`, or below `~/.local/state`.
fn history_file() -> Option<PathBuf> {
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".local/state")))?;
    let folder = state.join("weir");
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join("sql_history"))
}

fn words(runtime: &Runtime, config: &Config) -> BTreeSet<String> {
    let mut words: BTreeSet<String> = KEYWORDS.split_whitespace().map(str::to_owned).collect();
    words.extend(query::named().iter().map(|query| format!("@{}", query.name)));
    let sql = "select table_name, column_name from information_schema.columns where table_schema = 'public'";
    let mut csv = Vec::new();
    if runtime.block_on(answer(config, sql, Format::Csv, &mut csv)).is_ok() {
        let text = String::from_utf8_lossy(&csv).into_owned();
        words.extend(text.lines().skip(1).flat_map(|line| line.split(',')).map(str::to_owned));
    }
    words
}
