//! The two tables' columns, once: Arrow, Delta and `docs/schema.md` are all made from here.

mod columns;

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use deltalake::kernel::{ArrayType, DataType as DeltaType, PrimitiveType, StructField};

pub use columns::{CALLS, EVENTS};

/// What a column holds: its type, and how it is best stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Few different short values: dictionary and statistics.
    Word,
    /// An id, nearly always different: no dictionary.
    Id,
    /// An id that people look calls up by: a bloom filter.
    Key,
    /// Long text: no dictionary, no statistics.
    Text,
    /// Raw bytes.
    Bytes,
    /// 64-bit integer.
    Int,
    /// Double.
    Float,
    /// True or false.
    Bool,
    /// Microseconds since 1970, UTC.
    Time,
    /// A UTC day; the partition column.
    Day,
    /// A list of words.
    Words,
}

/// One column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, which is a promise: other people's queries use it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it may be null: unknown, or does not apply.
    pub nullable: bool,
    /// Whether each file's smallest and largest value stand in the Delta log.
    pub stats: bool,
    /// What it means, its unit included.
    pub doc: &'static str,
}

/// The type of an `events` row whose record could not be read.
pub const UNREADABLE: &str = "unreadable";

/// The partition column of both tables.
pub const DAY: &str = "day";

/// One of the two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// Every event: the truth.
    Events,
    /// One row a call: the fold of its events.
    Calls,
}

impl TableKind {
    /// Both of them.
    pub const ALL: [TableKind; 2] = [TableKind::Events, TableKind::Calls];

    /// Its name in SQL and its folder's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            TableKind::Events => "events",
            TableKind::Calls => "calls",
        }
    }

    /// Its columns.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            TableKind::Events => EVENTS,
            TableKind::Calls => CALLS,
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn doc(self) -> &'static str {
        match self {
            TableKind::Events => {
                "Every event, exactly once: append-only, and gapless per journal, so that completeness can be proved."
            }
            TableKind::Calls => {
                "One row a call that has ended: the fold of its events. Open calls are in `events` alone. A score that arrives after the end is in `events` alone too."
            }
        }
    }

    /// Its Arrow schema, the same for landed rows and for the tail.
    #[must_use]
    pub fn arrow(self) -> SchemaRef {
        static EVENTS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| arrow_schema(EVENTS));
        static CALLS_SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| arrow_schema(CALLS));
        match self {
            TableKind::Events => EVENTS_SCHEMA.clone(),
            TableKind::Calls => CALLS_SCHEMA.clone(),
        }
    }

    /// Its Arrow schema in the files: without the partition column.
    #[must_use]
    pub fn file_schema(self) -> SchemaRef {
        let fields: Vec<Field> = (self.columns().iter())
            .filter(|column| column.kind != Kind::Day)
            .map(|column| column.arrow())
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// Its Delta schema.
    pub(crate) fn delta(self) -> Vec<StructField> {
        self.columns().iter().map(Column::delta).collect()
    }
}

impl Column {
    /// The column as an Arrow field.
    #[must_use]
    pub fn arrow(&self) -> Field {
        let data_type = match self.kind {
            Kind::Word | Kind::Id | Kind::Key | Kind::Text => DataType::Utf8View,
            Kind::Bytes => DataType::BinaryView,
            Kind::Int => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Bool => DataType::Boolean,
            Kind::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Kind::Day => DataType::Date32,
            Kind::Words => DataType::List(Arc::new(word_item())),
        };
        Field::new(self.name, data_type, self.nullable)
    }

    fn delta(&self) -> StructField {
        let data_type = match self.kind {
            Kind::Word | Kind::Id | Kind::Key | Kind::Text => DeltaType::STRING,
            Kind::Bytes => DeltaType::BINARY,
            Kind::Int => DeltaType::LONG,
            Kind::Float => DeltaType::DOUBLE,
            Kind::Bool => DeltaType::BOOLEAN,
            Kind::Time => DeltaType::Primitive(PrimitiveType::Timestamp),
            Kind::Day => DeltaType::DATE,
            Kind::Words => DeltaType::Array(Box::new(ArrayType::new(DeltaType::STRING, true))),
        };
        StructField::new(self.name, data_type, self.nullable)
            .with_metadata([("comment".to_owned(), self.doc.to_owned())])
    }

    fn sql_type(&self) -> &'static str {
        match self.kind {
            Kind::Word | Kind::Id | Kind::Key | Kind::Text => "text",
            Kind::Bytes => "binary",
            Kind::Int => "bigint",
            Kind::Float => "double",
            Kind::Bool => "boolean",
            Kind::Time => "timestamp (UTC)",
            Kind::Day => "date",
            Kind::Words => "list of text",
        }
    }
}

/// The element of a list column, named as Delta names it.
pub(crate) fn word_item() -> Field {
    Field::new("element", DataType::Utf8View, true)
}

fn arrow_schema(columns: &[Column]) -> SchemaRef {
    let fields: Vec<Field> = columns.iter().map(Column::arrow).collect();
    Arc::new(Schema::new(fields))
}

/// `docs/schema.md`.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::from(
        "# Tables\n\n\
         Generated from `src/lake/src/schema/columns.rs`: change it there and run the tests with `UPDATE_GOLDEN=1`.\n\n\
         Both are [Delta Lake](https://delta.io) tables under `<data>/lake/`, partitioned by UTC `day`; \
         SQL sees them together with what has not landed yet. A null is unknown, or does not apply: never 0.\n",
    );
    for kind in TableKind::ALL {
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "\n## `{}`\n{}\n\n| column | type | null | meaning |\n| --- | --- | --- | --- |\n",
            kind.name(),
            kind.doc()
        );
        for column in kind.columns() {
            let null = if column.nullable { "yes" } else { "" };
            let _ = writeln!(
                out,
                "| `{}` | {} | {null} | {} |",
                column.name,
                column.sql_type(),
                column.doc
            );
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_made_from_the_columns() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert!(found == markdown(), "docs/schema.md is stale: run with UPDATE_GOLDEN=1");
    }

    #[test]
    fn core_columns_keep_their_names() {
        let names: Vec<&str> = CALLS.iter().map(|column| column.name).collect();
        let promised = "call_id session_id user_id tenant app tags trace_id endpoint operation stream request_model \
             response_model provider status http_status error_code finish_reasons started_at ended_at duration_ms \
             ttft_ms overhead_ms input_tokens cache_read_tokens cache_write_tokens output_tokens reasoning_tokens \
             usage_source cost_nano_usd price_version guardrail_action guardrail_rules cache attempts request_text \
             response_text request_body response_body replay_of journal_id day";
        assert_eq!(names, promised.split_whitespace().collect::<Vec<_>>());
    }
}
