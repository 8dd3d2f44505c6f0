//! The chunks of a result: each is a stream of Arrow's record batches.

use std::{io::Cursor, sync::Arc};

use arrow_array::RecordBatch;
use arrow_ipc::reader::StreamReader;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;

use crate::{
    domain::row::{Column, ColumnKind},
    source::{
        arrow::ArrowDecoder,
        error::{Error, malformed},
        rows::RowSender,
    },
};

/// Reads the rows of one result.
pub(super) struct ChunkReader {
    columns: Vec<Column>,
    decoder: ArrowDecoder,
}

impl ChunkReader {
    pub(super) fn new(columns: Vec<Column>) -> Self {
        Self { columns, decoder: ArrowDecoder::of_finite_times() }
    }

    /// Passes on the rows of a chunk; `None` when nobody takes them any more.
    pub(super) fn read(&mut self, chunk: Bytes, rows: &mut RowSender) -> Result<Option<()>, Error> {
        let unreadable = |_| malformed("a chunk is not a stream of Arrow");
        let batches = StreamReader::try_new(Cursor::new(chunk), None).map_err(unreadable)?;
        let schema = self.schema(&batches.schema())?;
        for batch in batches {
            let columns = batch.map_err(unreadable)?.columns().to_vec();
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).map_err(unreadable)?;
            for row in 0..self.decoder.begin(&batch)? {
                self.decoder.read_row(row, &mut rows.batch);
                if rows.is_full() && rows.send_blocking().is_err() {
                    return Ok(None);
                }
            }
        }
        Ok(Some(()))
    }

    /// A chunk's schema, in which text of nested columns is known as JSON.
    fn schema(&self, schema: &Schema) -> Result<SchemaRef, Error> {
        if schema.fields().len() != self.columns.len() {
            return Err(malformed("a chunk has another number of columns than the result"));
        }
        let field = |(field, column): (&Arc<Field>, &Column)| {
            let is_text =
                matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
            if !is_text || column.kind != ColumnKind::Json {
                return Arc::clone(field);
            }
            let name = ("ARROW:extension:name".to_owned(), "arrow.json".to_owned());
            Arc::new(field.as_ref().clone().with_metadata([name]))
        };
        let fields: Vec<_> = schema.fields().iter().zip(&self.columns).map(field).collect();
        Ok(Arc::new(Schema::new(fields)))
    }
}
