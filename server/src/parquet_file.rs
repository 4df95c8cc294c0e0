//! Rows of a result as one Parquet file, written row group by row group.
//!
//! **Invariants**
//! 1. What is held in memory is at most one row group (`ROW_GROUP_BYTES`, `ROW_GROUP_ROWS`) and one batch.
//! 2. Without its last bytes the file is no Parquet file: a result that broke off cannot look complete.
//! 3. Columns have the types that the result says they have: a type that Parquet lacks becomes the text that the other formats
//!    show, never something near it.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{
    Array, ArrayRef, AsArray, FixedSizeListArray, ListArray, MapArray, RecordBatch, RecordBatchOptions,
    StringViewBuilder, StructArray,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::cells::{self, Column, JsonColumns};
use crate::lines::unique_names;

/// Encoded bytes after which a row group ends: large enough to scan well, small enough that many results fit in memory.
const ROW_GROUP_BYTES: usize = 16 << 20;
/// Rows after which one ends; what DuckDB writes.
const ROW_GROUP_ROWS: usize = 122_880;

/// What keeps rows from being written.
#[derive(Debug, thiserror::Error)]
pub enum ParquetFault {
    /// A value that its column's type cannot hold.
    #[error("{0}")]
    Value(#[from] ArrowError),
    /// The writer failed.
    #[error("{0}")]
    Writer(#[from] ParquetError),
}

/// Writes one file.
pub struct ParquetFile {
    schema: SchemaRef,
    zone: Option<Tz>,
    writer: ArrowWriter<Vec<u8>>,
}

impl ParquetFile {
    /// A file for rows of this schema. `zone` is where values without a Parquet type of their own are shown.
    ///
    /// # Errors
    /// If Parquet has no form for the schema.
    pub fn new(schema: &Schema, zone: Option<Tz>) -> Result<Self, ParquetFault> {
        let names = unique_names(schema.fields().iter().map(|field| field.name().as_str()));
        let columns: Fields =
            schema.fields().iter().zip(names).map(|(field, name)| Field::new(name, target(field), true)).collect();
        let schema = Arc::new(Schema::new(columns));
        let level = ZstdLevel::try_new(1)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        // Arrow's own schema would bring its views and zones to readers that asked for plain columns.
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&schema), options)?;
        Ok(Self { schema, zone, writer })
    }

    /// Adds rows; gives the bytes that are ready to leave, often none.
    ///
    /// # Errors
    /// For a value that does not fit.
    pub fn write(&mut self, given: &Schema, batch: &RecordBatch) -> Result<Option<Bytes>, ParquetFault> {
        let columns = given
            .fields()
            .iter()
            .zip(self.schema.fields())
            .zip(batch.columns())
            .map(|((from, to), column)| convert(from, to.data_type(), column, self.zone))
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        self.writer.write(&RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?)?;
        if self.writer.in_progress_rows() < ROW_GROUP_ROWS && self.writer.in_progress_size() < ROW_GROUP_BYTES {
            return Ok(None);
        }
        self.writer.flush()?;
        self.writer.sync().map_err(ParquetError::from)?;
        let bytes = std::mem::take(self.writer.inner_mut());
        Ok((!bytes.is_empty()).then(|| Bytes::from(bytes)))
    }

    /// Ends the file: its last bytes.
    ///
    /// # Errors
    /// If the writer fails.
    pub fn finish(self) -> Result<Bytes, ParquetFault> {
        Ok(Bytes::from(self.writer.into_inner()?))
    }
}

/// The type in the file of a column of the result.
fn target(field: &Field) -> DataType {
    let nested = |item: &FieldRef| Arc::new(Field::new(item.name(), target(item), true));
    match field.data_type() {
        DataType::Null => DataType::Utf8View,
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(TimeUnit::Nanosecond, None) if cells::type_name(field) == "TIMESTAMP_NS" => {
            DataType::Timestamp(TimeUnit::Nanosecond, None)
        }
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Dictionary(_, values) => target(&Field::new(field.name(), values.as_ref().clone(), true)),
        DataType::List(item) => DataType::List(nested(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(nested(item), *length),
        DataType::Struct(fields) if !fields.is_empty() => DataType::Struct(fields.iter().map(nested).collect()),
        DataType::Map(entries, sorted) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                // A key is never NULL, and Parquet wants to be told.
                let key = Field::new(pair[0].name(), target(&pair[0]), false);
                let pair = Fields::from(vec![key, Field::new(pair[1].name(), target(&pair[1]), true)]);
                DataType::Map(Arc::new(Field::new(entries.name(), DataType::Struct(pair), false)), *sorted)
            }
            _ => DataType::Utf8View,
        },
        same @ (DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..)
        | DataType::Date32
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView) => same.clone(),
        _ => DataType::Utf8View,
    }
}

/// A column as the file's type has it.
fn convert(from: &Field, to: &DataType, column: &ArrayRef, zone: Option<Tz>) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to {
        return Ok(Arc::clone(column));
    }
    Ok(match (column.data_type(), to) {
        (DataType::List(from), DataType::List(item)) => {
            let list = column.as_list::<i32>();
            let values = convert(from, item.data_type(), list.values(), zone)?;
            Arc::new(ListArray::try_new(Arc::clone(item), list.offsets().clone(), values, list.nulls().cloned())?)
        }
        (DataType::FixedSizeList(from, _), DataType::FixedSizeList(item, length)) => {
            let list = column.as_fixed_size_list();
            let values = convert(from, item.data_type(), list.values(), zone)?;
            Arc::new(FixedSizeListArray::try_new(Arc::clone(item), *length, values, list.nulls().cloned())?)
        }
        (DataType::Struct(from), DataType::Struct(fields)) => {
            let fields_of = column.as_struct();
            Arc::new(converted_struct(from, fields, fields_of, zone)?)
        }
        (DataType::Map(from, _), DataType::Map(entries, sorted)) => {
            let map = column.as_map();
            let (DataType::Struct(from), DataType::Struct(pair)) = (from.data_type(), entries.data_type()) else {
                return Err(ArrowError::SchemaError("a map without entries".to_owned()));
            };
            let converted = converted_struct(from, pair, map.entries(), zone)?;
            let offsets = map.offsets().clone();
            Arc::new(MapArray::try_new(Arc::clone(entries), offsets, converted, map.nulls().cloned(), *sorted)?)
        }
        (DataType::Interval(_) | DataType::Duration(_), _) => text(from, column, zone),
        (given, DataType::Utf8View) if !given.is_null() && !given.is_string() => text(from, column, zone),
        _ => {
            // A value that does not fit is an error, never a NULL.
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, to, &options)?
        }
    })
}

fn converted_struct(
    from: &Fields,
    to: &Fields,
    given: &StructArray,
    zone: Option<Tz>,
) -> Result<StructArray, ArrowError> {
    let columns = from
        .iter()
        .zip(to)
        .zip(given.columns())
        .map(|((from, to), column)| convert(from, to.data_type(), column, zone))
        .collect::<Result<Vec<_>, _>>()?;
    StructArray::try_new_with_length(to.clone(), columns, given.nulls().cloned(), given.len())
}

/// What the other formats show.
fn text(field: &Field, column: &ArrayRef, zone: Option<Tz>) -> ArrayRef {
    let cells = Column::new(field, column, zone, JsonColumns::Embedded);
    let mut texts = StringViewBuilder::with_capacity(column.len());
    let mut cell = Vec::new();
    for row in 0..column.len() {
        cell.clear();
        if cells.text(row, &mut cell) {
            texts.append_value(String::from_utf8_lossy(&cell));
        } else {
            texts.append_null();
        }
    }
    Arc::new(texts.finish())
}
