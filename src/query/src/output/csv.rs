//! CSV. Nested values, which CSV has no form for, are written as JSON.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, StringArray, StructArray};
use arrow::compute::cast;
use arrow::csv::{Writer, WriterBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::json::writer::{LineDelimitedWriter, WriterBuilder as JsonBuilder};

use super::Rows;
use super::table::clean;
use crate::QueryError;

pub(super) struct Csv<W: Write> {
    out: Writer<W>,
    /// A terminal is written to.
    shown: bool,
}

impl<W: Write> Csv<W> {
    pub(super) fn new(out: W, schema: &Schema, shown: bool) -> Result<Csv<W>, QueryError> {
        let out = WriterBuilder::new().with_header(true).build(out);
        let mut csv = Csv { out, shown };
        // The header, even if no row comes.
        csv.write(&RecordBatch::new_empty(Arc::new(schema.clone())))?;
        Ok(csv)
    }
}

impl<W: Write> Rows<W> for Csv<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        let rows = flat(rows)?;
        let rows = if self.shown { harmless(&rows)? } else { rows };
        Ok(self.out.write(&rows)?)
    }

    fn finish(self: Box<Self>) -> Result<W, QueryError> {
        Ok(self.out.into_inner())
    }
}

fn flat(rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let mut fields = Vec::with_capacity(rows.num_columns());
    let mut columns = Vec::with_capacity(rows.num_columns());
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        if field.data_type().is_nested() {
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(as_json(column)?);
        } else {
            fields.push(field.as_ref().clone());
            columns.push(column.clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Stored text is somebody else's, and may not steer the terminal.
fn harmless(rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
    let schema = rows.schema();
    let mut fields = Vec::with_capacity(rows.num_columns());
    let mut columns = Vec::with_capacity(rows.num_columns());
    for (field, column) in schema.fields().iter().zip(rows.columns()) {
        let mut field = field.as_ref().clone().with_name(clean(field.name()));
        let mut column = Arc::clone(column);
        if field.data_type().is_string() {
            let texts = cast(&column, &DataType::Utf8)?;
            let texts: StringArray = (texts.as_string::<i32>().iter()).map(|text| text.map(clean)).collect();
            (field, column) = (field.with_data_type(DataType::Utf8), Arc::new(texts));
        }
        fields.push(field);
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// Each value as JSON text; null stays null.
pub(super) fn as_json(column: &ArrayRef) -> Result<ArrayRef, QueryError> {
    const NAME: &str = "v";
    let field = Arc::new(Field::new(NAME, column.data_type().clone(), true));
    let rows = RecordBatch::from(StructArray::from(vec![(field, column.clone())]));
    let mut bytes = Vec::new();
    let mut writer: LineDelimitedWriter<_> = JsonBuilder::new().with_explicit_nulls(true).build(&mut bytes);
    writer.write(&rows)?;
    writer.finish()?;
    let text = String::from_utf8_lossy(&bytes);
    let values: StringArray = (text.lines().enumerate())
        .map(|(row, line)| {
            let value = line.strip_prefix("{\"v\":").and_then(|rest| rest.strip_suffix('}'));
            value.filter(|_| !column.is_null(row))
        })
        .collect();
    Ok(Arc::new(values))
}
