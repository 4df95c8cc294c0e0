//! Parquet files.
//!
//! **Invariants**
//! 1. Columns have the types that Parquet itself declares; what Arrow's writers add beside it is not looked at.
//! 2. A batch has about [`BATCH_BYTES`], by what the file says of its row groups; of each column one page is held.
//! 3. A file that makes the decoder give up in whatever way is refused like any other that is not Parquet.

use std::io::{BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, TimeUnit};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{ConvertedType, LogicalType as ParquetType};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use siltstone_storage::{Column, LogicalType, NewColumn, TableSchema};

use super::cast;
use super::matching::Matching;
use super::source::{Cursor, stretch};
use super::{FileBatch, FileBytes, FileError, Result};

/// Bytes of a batch before encoding, as far as can be told beforehand.
const BATCH_BYTES: u64 = 8 << 20;
/// Most rows of a batch.
const BATCH_ROWS_MAX: u64 = 32_768;

/// The columns and their types.
pub(super) fn columns(bytes: &Arc<dyn FileBytes>) -> Result<Vec<NewColumn>> {
    columns_of(&metadata(bytes)?)
}

/// The rows as those of a table, of the columns that `matched` finds, in the order of the file. No others are read.
pub(super) fn rows(
    bytes: &Arc<dyn FileBytes>,
    table: &TableSchema,
    matched: Matching,
) -> Result<impl Iterator<Item = Result<FileBatch>> + Send + use<>> {
    let metadata = metadata(bytes)?;
    let (places, columns): (Vec<usize>, Vec<Column>) = matched(&columns_of(&metadata)?, table)?.into_iter().unzip();
    let batch_rows = batch_rows(metadata.metadata());
    let source = Source(Arc::clone(bytes));
    let reader = guarded(|| {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(source, metadata);
        let mask = ProjectionMask::roots(builder.parquet_schema(), places);
        builder.with_projection(mask).with_batch_size(batch_rows).build()
    })?;
    Ok(Batches { reader, columns, row: 0 })
}

/// Reads batches.
struct Batches {
    reader: ParquetRecordBatchReader,
    columns: Vec<Column>,
    row: u64,
}

impl Iterator for Batches {
    type Item = Result<FileBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = &mut self.reader;
        let batch = guarded(|| reader.next().transpose().map_err(|error| ParquetError::External(Box::new(error))));
        let batch = batch.transpose()?.and_then(|batch| self.columns_of(&batch));
        Some(batch)
    }
}

impl Batches {
    fn columns_of(&mut self, batch: &RecordBatch) -> Result<FileBatch> {
        let cast = |(column, array): (&Column, _)| match cast::to_column(array, &column.logical_type) {
            Ok(array) => Ok((column.id, array)),
            Err(misfit) => Err(FileError::invalid(format!(
                "row {}, column \"{}\": {}",
                self.row + misfit.row as u64,
                column.name,
                misfit.reason
            ))),
        };
        let columns = self.columns.iter().zip(batch.columns()).map(cast).collect::<Result<_>>()?;
        self.row += batch.num_rows() as u64;
        Ok(FileBatch { rows: batch.num_rows(), first_row: 0, columns })
    }
}

fn metadata(bytes: &Arc<dyn FileBytes>) -> Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    guarded(|| ArrowReaderMetadata::load(&Source(Arc::clone(bytes)), options))
}

/// Runs the decoder. It is not ours, and bytes from the network must not end a thread of ours.
fn guarded<T>(run: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T> {
    let outcome = catch_unwind(AssertUnwindSafe(run));
    outcome.unwrap_or_else(|_| Err(ParquetError::General("malformed".to_owned()))).map_err(|error| match error {
        ParquetError::External(cause) => match cause.downcast::<std::io::Error>() {
            Ok(cause) if cause.kind() != std::io::ErrorKind::UnexpectedEof => FileError::Read(*cause),
            Ok(cause) => malformed(&cause),
            Err(cause) => malformed(&cause),
        },
        error => malformed(&error),
    })
}

fn malformed(cause: &dyn std::fmt::Display) -> FileError {
    FileError::invalid(format!("the file cannot be read as Parquet: {cause}"))
}

fn columns_of(metadata: &ArrowReaderMetadata) -> Result<Vec<NewColumn>> {
    let roots = metadata.parquet_schema().root_schema().get_fields();
    metadata
        .schema()
        .fields()
        .iter()
        .zip(roots)
        .map(|(field, root)| {
            let info = root.get_basic_info();
            let logical_type = match info.logical_type_ref() {
                Some(ParquetType::Uuid) if !field.data_type().is_nested() => LogicalType::Uuid,
                Some(ParquetType::Json) if !field.data_type().is_nested() => LogicalType::Json,
                None if info.converted_type() == ConvertedType::JSON => LogicalType::Json,
                // Parquet's intervals have months, and its reader passes them over.
                _ if has_interval(field.data_type()) => {
                    return Err(FileError::invalid(format!(
                        "column \"{}\": intervals are read from text alone",
                        field.name()
                    )));
                }
                _ => LogicalType::from_field(&plain(field)).map_err(|_| {
                    FileError::invalid(format!(
                        "column \"{}\": no column type holds {}",
                        field.name(),
                        field.data_type()
                    ))
                })?,
            };
            Ok(NewColumn::new(field.name(), logical_type))
        })
        .collect()
}

fn has_interval(ty: &DataType) -> bool {
    match ty {
        DataType::Interval(_) => true,
        DataType::List(item) | DataType::Map(item, _) => has_interval(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_interval(field.data_type())),
        _ => false,
    }
}

/// A field with maps whose keys no MAP has as lists of their entries, long decimals as those that we have, and times of milliseconds as TIMESTAMP: Parquet's
/// writers use them for want of a choice, and DuckDB reads them so.
fn plain(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Map(entries, ordered) => match entries.data_type() {
            DataType::Struct(parts) if parts.len() == 2 => {
                let (key, value) = (plain(&parts[0]), plain(&parts[1]));
                let is_key = !key.data_type().is_nested();
                let entry = DataType::Struct(cast::entry_fields(key.data_type(), value.data_type()));
                match is_key {
                    true => DataType::Map(Arc::new(Field::new(entries.name(), entry, false)), *ordered),
                    false => DataType::List(Arc::new(Field::new("item", entry, true))),
                }
            }
            other => other.clone(),
        },
        DataType::List(item) => DataType::List(Arc::new(plain(item))),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| plain(field)).collect()),
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, None) => LogicalType::Timestamp.arrow(),
        DataType::Decimal256(precision, scale) if *precision <= 38 => DataType::Decimal128(*precision, *scale),
        other => other.clone(),
    };
    Field::new(field.name(), data_type, true)
}

/// Rows of a batch, by the row group with the largest rows.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let groups = metadata.row_groups().iter().filter(|group| group.num_rows() > 0);
    let row_bytes = groups.map(|group| (group.total_byte_size().max(0) as u64).div_ceil(group.num_rows() as u64)).max();
    (BATCH_BYTES / row_bytes.unwrap_or(1).max(1)).clamp(1, BATCH_ROWS_MAX) as usize
}

/// A file as Parquet's decoder reads it.
struct Source(Arc<dyn FileBytes>);

impl Length for Source {
    fn len(&self) -> u64 {
        self.0.length()
    }
}

impl ChunkReader for Source {
    type T = BufReader<Box<dyn Read + Send>>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Box::new(Cursor::new(&self.0, start))))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let bytes = stretch(self.0.as_ref(), start, length).map_err(|error| ParquetError::External(Box::new(error)))?;
        Ok(Bytes::from(bytes))
    }
}
