//! Answers as people and programs want them. All but the table write rows as they come.

mod columnar;
mod csv;
mod json;
mod table;
mod watched;

use std::io::Write;
use std::str::FromStr;

use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt as _;

use crate::QueryError;
use watched::Watched;

pub use columnar::read_arrow;

/// How an answer is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// Comma-separated values with a header; lists as JSON.
    Csv,
    /// One JSON array of objects.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC stream: how one Weir process hands rows to another.
    Arrow,
}

impl Format {
    /// Every format's name.
    pub const NAMES: [&'static str; 6] = ["table", "csv", "json", "ndjson", "parquet", "arrow"];

    /// Its media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Table => "text/plain; charset=utf-8",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Parquet => "application/vnd.apache.parquet",
            Format::Arrow => "application/vnd.apache.arrow.stream",
        }
    }

    /// Whether it is bytes that a terminal should not be shown.
    #[must_use]
    pub fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Format, String> {
        Ok(match name {
            "table" => Format::Table,
            "csv" => Format::Csv,
            "json" => Format::Json,
            "ndjson" | "jsonl" => Format::Ndjson,
            "parquet" => Format::Parquet,
            "arrow" => Format::Arrow,
            other => return Err(format!("no format is named {other}: use {}", Format::NAMES.join(", "))),
        })
    }
}

/// Writes an answer; returns how many rows it had.
///
/// `width` is the terminal's, in columns: long texts in a table are cut so that it fits, and CSV is
/// rid of what would steer it; without it nothing is cut, and CSV is as it was recorded.
///
/// # Errors
/// [`QueryError::Write`] where `out` failed, whatever the library made of it that wrote there; else why the
/// query did.
pub async fn write<W: Write + Send>(
    rows: SendableRecordBatchStream,
    format: Format,
    width: Option<usize>,
    out: W,
) -> Result<u64, QueryError> {
    let (out, failed) = Watched::new(out);
    let written = write_rows(rows, format, width, out).await;
    written.map_err(|error| failed.take().map_or(error, QueryError::Write))
}

async fn write_rows<W: Write + Send>(
    mut rows: SendableRecordBatchStream,
    format: Format,
    width: Option<usize>,
    out: W,
) -> Result<u64, QueryError> {
    let schema = rows.schema();
    let mut writer: Box<dyn Rows<W> + Send> = match format {
        Format::Table => Box::new(table::Table::new(out, &schema, width)),
        Format::Csv => Box::new(csv::Csv::new(out, &schema, width.is_some())?),
        Format::Json => Box::new(json::Json::array(out)),
        Format::Ndjson => Box::new(json::Json::lines(out)),
        Format::Parquet => Box::new(columnar::Parquet::new(out, schema)?),
        Format::Arrow => Box::new(columnar::Arrow::new(out, &schema)?),
    };
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        count += batch.num_rows() as u64;
        writer.write(&batch)?;
    }
    writer.finish()?.flush()?;
    Ok(count)
}

/// Something that takes rows.
trait Rows<W> {
    fn write(&mut self, rows: &arrow::array::RecordBatch) -> Result<(), QueryError>;
    fn finish(self: Box<Self>) -> Result<W, QueryError>;
}
