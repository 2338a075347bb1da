//! Parquet and Arrow IPC.

use std::io::{Read, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
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

/// Rows that another process wrote as [`super::Format::Arrow`]. Each batch is read, blocking, when it
/// is asked for. A stream that was cut between two batches looks like a whole one: the transport has to
/// say that the answer is complete.
pub fn read_arrow<R: Read + Send + 'static>(from: R) -> Result<SendableRecordBatchStream, QueryError> {
    let reader = StreamReader::try_new(from, None)?;
    let schema = reader.schema();
    let rows = futures::stream::iter(reader.map(|batch| batch.map_err(DataFusionError::from)));
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
}
