//! Why a query gave no answer, in words that help.

use std::time::Duration;

use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no query, or names what is not there.
    #[error("{0}")]
    Sql(String),
    /// It would write.
    #[error("{0} is refused: SQL here only reads (SELECT, EXPLAIN, SHOW, DESCRIBE)")]
    ReadOnly(String),
    /// It ran longer than a statement may.
    #[error(
        "the query took longer than {0:?} and was stopped: narrow it (a condition on `day` or `started_at` skips whole files) or raise the time limit"
    )]
    Timeout(Duration),
    /// Its text is longer than a query may be.
    #[error(
        "the query is too long: it has {found} {of}, and {most} are the most; ask in parts, or join with a list of values"
    )]
    TooLong {
        /// Of what.
        of: &'static str,
        /// How many it has.
        found: usize,
        /// How many it may have.
        most: usize,
    },
    /// Too many others ran all the time.
    #[error("{0} other queries are running, and none of them ended in time: try again")]
    Busy(usize),
    /// The process that answers is about to end.
    #[error("the query was stopped: the process that answers it is stopping")]
    Stopping,
    /// It needed more memory than there is.
    #[error("the query needed more memory than it may use: {0}")]
    Memory(String),
    /// No query has this name.
    #[error("no query is named @{name}{}", near.as_ref().map(|near| format!(": did you mean @{near}?")).unwrap_or_default())]
    UnknownName {
        /// The name.
        name: String,
        /// The nearest name there is.
        near: Option<String>,
    },
    /// Something failed while it ran.
    #[error("{0}")]
    Execution(String),
    /// The lake could not be read.
    #[error(transparent)]
    Lake(#[from] lake::LakeError),
    /// The answer could not be written.
    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),
}

impl QueryError {
    /// Whether the query is at fault, and not what happened while it ran.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            QueryError::Sql(_) | QueryError::ReadOnly(_) | QueryError::UnknownName { .. } | QueryError::TooLong { .. }
        )
    }

    /// A stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            QueryError::Sql(_) => "bad_query",
            QueryError::ReadOnly(_) => "read_only",
            QueryError::Timeout(_) => "timeout",
            QueryError::TooLong { .. } => "too_long",
            QueryError::Busy(_) => "busy",
            QueryError::Stopping => "stopping",
            QueryError::Memory(_) => "out_of_memory",
            QueryError::UnknownName { .. } => "unknown_query",
            QueryError::Execution(_) => "failed",
            QueryError::Lake(_) => "lake",
            QueryError::Write(_) => "write",
        }
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> QueryError {
        let error = match error {
            DataFusionError::External(inner) => match inner.downcast::<QueryError>() {
                Ok(ours) => return *ours,
                Err(other) => DataFusionError::External(other),
            },
            other => other,
        };
        let text = error.strip_backtrace();
        if text.contains("only supports a single SQL statement") {
            return QueryError::Sql("one statement at a time: there is more after the first `;`".to_owned());
        }
        // What was being done when it failed (which rule of the optimizer, say) helps nobody.
        let root = error.find_root();
        let cause = root.strip_backtrace();
        if cause.contains("OuterReferenceColumn") {
            let advice = "a part of the query reads a column of another table in a way that cannot be planned: \
                instead of `from calls, unnest(tags)` write `from (select *, unnest(tags) as tag from calls)`";
            return QueryError::Sql(advice.to_owned());
        }
        match root {
            DataFusionError::SQL(error, note) => QueryError::Sql(unreadable(error, note.as_deref())),
            DataFusionError::Plan(_) => {
                let text = without(&cause, "Error during planning: ");
                QueryError::Sql(unknown_table(text).unwrap_or_else(|| text.to_owned()))
            }
            DataFusionError::SchemaError(..) => QueryError::Sql(unknown_column(without(&cause, "Schema error: "))),
            DataFusionError::NotImplemented(_) => {
                QueryError::Sql(without(&cause, "This feature is not implemented: ").to_owned())
            }
            DataFusionError::Diagnostic(..) => QueryError::Sql(cause),
            DataFusionError::ResourcesExhausted(_) => {
                QueryError::Memory(without(&cause, "Resources exhausted: ").to_owned())
            }
            DataFusionError::ArrowError(error, _) => match error.as_ref() {
                arrow::error::ArrowError::CastError(what) => QueryError::Execution(what.clone()),
                arrow::error::ArrowError::ParseError(what) if what.starts_with("Error parsing timestamp") => {
                    QueryError::Sql(format!("{what}: write all of it, as in '2026-01-31 09:30:00'"))
                }
                other => QueryError::Execution(other.to_string()),
            },
            _ => QueryError::Execution(without(&cause, "Execution error: ").to_owned()),
        }
    }
}

fn without<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.strip_prefix(prefix).unwrap_or(text)
}

/// What the parser says, as a sentence.
fn unreadable(error: &ParserError, note: Option<&str>) -> String {
    let (ParserError::TokenizerError(text) | ParserError::ParserError(text)) = error else {
        let levels: String = note.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        return format!(
            "the query nests expressions or subqueries deeper than {levels} levels: name parts of it with `with … as`"
        );
    };
    let (what, place) = match text.rsplit_once(" at Line: ") {
        Some((what, place)) => (what, format!(" at line {}", place.replace(", Column: ", ", column "))),
        None => (text.as_str(), String::new()),
    };
    let what = match what
        .strip_prefix("Expected: ")
        .and_then(|what| what.split_once(", found: "))
    {
        Some((expected, "EOF")) => format!("expected {expected}, but the query ends there"),
        Some((expected, found)) => format!("expected {expected}, found `{found}`"),
        None => what.to_owned(),
    };
    format!("cannot read the query{place}: {what}")
}

/// All valid names are told only where none is near.
fn unknown_column(text: &str) -> String {
    let all = text
        .find("\nValid fields are")
        .filter(|_| text.contains("Did you mean"));
    text[..all.unwrap_or(text.len())].replace(".. ", ". ")
}

/// Tables that there are.
const TABLES: [&str; 2] = ["calls", "events"];
/// Functions that stand for tables.
const FUNCTIONS: [&str; 3] = ["recent_calls", "generate_series", "range"];

/// A table that is not there, and what may be meant.
fn unknown_table(text: &str) -> Option<String> {
    let text = text.strip_suffix("' not found")?;
    let (what, name, there_are) = match text.strip_prefix("table function '") {
        Some(name) => ("table function", name, &FUNCTIONS[..]),
        None => ("table", text.strip_prefix("table '")?, &TABLES[..]),
    };
    let name = without(name, "weir.public.");
    let near = (there_are.iter())
        .map(|known| (strsim::jaro_winkler(known, name), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    Some(match near {
        Some((_, near)) => format!("no {what} is named {name}: did you mean {near}?"),
        None => format!("no {what} is named {name}: there are {}", there_are.join(", ")),
    })
}

impl From<arrow::error::ArrowError> for QueryError {
    fn from(error: arrow::error::ArrowError) -> QueryError {
        match error {
            arrow::error::ArrowError::IoError(_, source) => QueryError::Write(source),
            other => QueryError::Execution(other.to_string()),
        }
    }
}

impl From<parquet::errors::ParquetError> for QueryError {
    fn from(error: parquet::errors::ParquetError) -> QueryError {
        QueryError::Execution(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use lake::{Lake, Tail};

    use crate::{Engine, EngineOptions};

    #[tokio::test]
    async fn errors_are_sentences() {
        let lake = Lake::in_memory().await.unwrap();
        let tail = Tail::offline(&lake, None).await.unwrap();
        let engine = Engine::open(tail, EngineOptions::default()).unwrap();
        for (sql, usage, said) in [
            (
                "selec 1",
                true,
                "cannot read the query at line 1, column 1: expected an SQL statement, found `selec`",
            ),
            (
                "select * from call",
                true,
                "no table is named call: did you mean calls?",
            ),
            (
                "select * from xyz",
                true,
                "no table is named xyz: there are calls, events",
            ),
            (
                "select * from recent_cals(3)",
                true,
                "no table function is named recent_cals: did you mean recent_calls?",
            ),
            (
                "select call_idd from calls",
                true,
                "No field named call_idd. Did you mean 'calls.call_id'?",
            ),
            (
                "select count(*) from calls where started_at > '2026-11-30 21:00'",
                true,
                "Error parsing timestamp from '2026-11-30 21:00': error parsing time: \
                 write all of it, as in '2026-01-31 09:30:00'",
            ),
            (
                "select r, count(*) from calls, unnest(guardrail_rules) as u(r) group by r",
                true,
                "a part of the query reads a column of another table in a way that cannot be planned: \
                 instead of `from calls, unnest(tags)` write `from (select *, unnest(tags) as tag from calls)`",
            ),
            (
                "select cast('x' as int)",
                false,
                "Cannot cast string 'x' to value of Int32 type",
            ),
        ] {
            let error = engine.collect(sql).await.unwrap_err();
            assert_eq!(error.to_string(), said);
            assert_eq!(error.is_usage(), usage, "{error:?}");
        }
        let nested = format!("select {}1{}", "(".repeat(100), ")".repeat(100));
        let error = engine.collect(&nested).await.unwrap_err().to_string();
        assert!(error.contains("deeper than 50 levels"), "{error}");
        let cut = engine.collect("select 1 +").await.unwrap_err().to_string();
        assert!(cut.contains("but the query ends there"), "{cut}");
    }
}
