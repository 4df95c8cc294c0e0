//! Batches of a result as pieces of bytes for whoever waits for them.
//!
//! **Invariants**: a result is never held whole; a file that broke off lacks its last bytes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::timezone::Tz;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use siltstone_query::{QueryError, QueryErrorKind};
use tokio::sync::mpsc;

use crate::cells::JsonColumns;
use crate::lines::{LineForm, LineWriter, PIECE_BYTES};
use crate::parquet_file::{ParquetFault, ParquetFile};
use crate::sql::Event;

/// Most bytes of a piece: a row group of a file comes in several.
const PIECE_BYTES_MAX: usize = 1 << 20;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One JSON array per line.
    Arrays,
    /// One JSON object per line.
    Objects,
    /// The same, JSON columns as text.
    TextObjects,
    /// A header line and one line per row.
    Csv,
    /// One Parquet file.
    Parquet,
}

/// Where the pieces of a result go.
pub struct Pieces<'a> {
    /// Their queue.
    pub events: &'a mpsc::Sender<Event>,
}

impl Pieces<'_> {
    /// Sends bytes; `false` if nobody wants them any more.
    pub async fn send(&mut self, mut bytes: Bytes) -> bool {
        while bytes.len() > PIECE_BYTES_MAX {
            if self.events.send(Event::Rows(bytes.split_to(PIECE_BYTES_MAX))).await.is_err() {
                return false;
            }
        }
        self.events.send(Event::Rows(bytes)).await.is_ok()
    }
}

/// Turns batches into pieces.
pub enum Writer {
    /// Text.
    Lines(LineWriter),
    /// A file, from batches of a schema.
    Parquet {
        /// The file.
        file: Box<ParquetFile>,
        /// The schema.
        schema: SchemaRef,
    },
}

impl Writer {
    /// A writer for rows of this schema. `zone` is where `TIMESTAMP WITH TIME ZONE` is shown; `None` is UTC.
    ///
    /// # Errors
    /// If the layout has no form for the schema.
    pub fn new(schema: &SchemaRef, zone: Option<Tz>, layout: Layout) -> Result<Self, QueryError> {
        let form = match layout {
            Layout::Arrays => LineForm::Array,
            Layout::Objects | Layout::TextObjects => LineForm::Object,
            Layout::Csv => LineForm::Csv,
            Layout::Parquet => {
                let file = Box::new(ParquetFile::new(schema, zone).map_err(unwritable)?);
                return Ok(Self::Parquet { file, schema: Arc::clone(schema) });
            }
        };
        let json_columns = if layout == Layout::TextObjects { JsonColumns::Text } else { JsonColumns::Embedded };
        Ok(Self::Lines(LineWriter::new(Arc::clone(schema), zone, form, json_columns)))
    }

    /// What comes before the rows.
    pub fn header(&self) -> Option<Bytes> {
        match self {
            Self::Lines(lines) => lines.header(),
            Self::Parquet { .. } => None,
        }
    }

    /// Writes rows `start..end`; `false` if nobody wants them any more.
    ///
    /// # Errors
    /// For a value that the layout cannot hold.
    pub async fn write(
        &mut self,
        batch: &RecordBatch,
        start: usize,
        end: usize,
        pieces: &mut Pieces<'_>,
    ) -> Result<bool, QueryError> {
        match self {
            Self::Lines(lines) => {
                let mut at = start;
                while at < end {
                    let mut piece = Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 8);
                    at = lines.write(batch, at, end, &mut piece);
                    if !pieces.send(Bytes::from(piece)).await {
                        return Ok(false);
                    }
                }
            }
            Self::Parquet { file, schema } => {
                let rows = batch.slice(start, end - start);
                if let Some(bytes) = file.write(schema, &rows).map_err(unwritable)? {
                    return Ok(pieces.send(bytes).await);
                }
            }
        }
        Ok(true)
    }

    /// What comes after the rows.
    ///
    /// # Errors
    /// If the file cannot be ended.
    pub fn finish(self) -> Result<Option<Bytes>, QueryError> {
        match self {
            Self::Lines(_) => Ok(None),
            Self::Parquet { file, .. } => file.finish().map(Some).map_err(unwritable),
        }
    }
}

/// A result that its format cannot hold.
pub(crate) fn unwritable(fault: ParquetFault) -> QueryError {
    match fault {
        ParquetFault::Value(error) => {
            QueryError { kind: QueryErrorKind::User, message: format!("Conversion Error: {error}") }
        }
        ParquetFault::Writer(error) => {
            QueryError { kind: QueryErrorKind::User, message: format!("Not implemented Error: {error}") }
        }
    }
}
