//! JSON: an array, or one object a line. Nulls are written, so that every row has every column.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;

use super::Rows;
use crate::QueryError;

pub(super) struct Json<W> {
    out: W,
    array: bool,
    rows: u64,
}

impl<W: Write> Json<W> {
    pub(super) fn array(out: W) -> Json<W> {
        Json {
            out,
            array: true,
            rows: 0,
        }
    }

    pub(super) fn lines(out: W) -> Json<W> {
        Json {
            out,
            array: false,
            rows: 0,
        }
    }
}

impl<W: Write> Rows<W> for Json<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        let mut lines = Vec::new();
        let mut writer = WriterBuilder::new()
            .with_explicit_nulls(true)
            .build::<_, LineDelimited>(&mut lines);
        writer.write(rows)?;
        writer.finish()?;
        if !self.array {
            self.rows += rows.num_rows() as u64;
            return Ok(self.out.write_all(&lines)?);
        }
        // A line break inside a value is written `\n`: lines are rows.
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.out.write_all(if self.rows == 0 { b"[\n  " } else { b",\n  " })?;
            self.out.write_all(line)?;
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<W, QueryError> {
        if self.array {
            self.out.write_all(if self.rows == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        Ok(self.out)
    }
}
