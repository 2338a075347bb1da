//! Parquet and Arrow IPC.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::Rows;
use crate::QueryError;

pub(super) struct Parquet<W: Write + Send>(ArrowWriter<W>);

impl<W: Write + Send> Parquet<W> {
    pub(super) fn new(out: W, schema: SchemaRef) -> Result<Self, QueryError> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .build();
        Ok(Parquet(ArrowWriter::try_new(out, schema, Some(properties))?))
    }
}

impl<W: Write + Send> Rows<W> for Parquet<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        Ok(self.0.write(rows)?)
    }

    fn finish(self: Box<Self>) -> Result<W, QueryError> {
        Ok(self.0.into_inner()?)
    }
}

pub(super) struct Arrow<W: Write>(StreamWriter<W>);

impl<W: Write> Arrow<W> {
    pub(super) fn new(out: W, schema: &Schema) -> Result<Self, QueryError> {
        Ok(Arrow(StreamWriter::try_new(out, schema)?))
    }
}

impl<W: Write> Rows<W> for Arrow<W> {
    fn write(&mut self, rows: &RecordBatch) -> Result<(), QueryError> {
        Ok(self.0.write(rows)?)
    }

    fn finish(self: Box<Self>) -> Result<W, QueryError> {
        Ok(self.0.into_inner()?)
    }
}
