//! Why a query gave no answer, in words that help.

use std::time::Duration;

use datafusion::error::DataFusionError;

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
    /// A stable code for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            QueryError::Sql(_) => "bad_query",
            QueryError::ReadOnly(_) => "read_only",
            QueryError::Timeout(_) => "timeout",
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
        let text = text.trim_start_matches("Error during planning: ");
        let text = text.trim_start_matches("This feature is not implemented: ").to_owned();
        if text.contains("only supports a single SQL statement") {
            return QueryError::Sql("one statement at a time: there is more after the first `;`".to_owned());
        }
        match error.find_root() {
            DataFusionError::SQL(..)
            | DataFusionError::Plan(_)
            | DataFusionError::SchemaError(..)
            | DataFusionError::Diagnostic(..)
            | DataFusionError::NotImplemented(_) => QueryError::Sql(text),
            DataFusionError::ResourcesExhausted(_) => QueryError::Memory(text),
            _ => QueryError::Execution(text),
        }
    }
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
