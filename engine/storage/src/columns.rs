//! Columns as a table's current schema sees them: what rows hold that were written before a column existed.

use std::sync::Arc;

use arrow_array::builder::{BinaryViewBuilder, StringViewBuilder};
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};

use crate::error::{Error, ErrorKind, Result};
use crate::logical_type::LogicalType;
use crate::null_array::null_array;
use crate::schema::Column;
use crate::value::Value;
use crate::zone_map::ZoneMap;

impl Column {
    /// What rows hold that do not mention it: `rows` times its default, else NULL.
    ///
    /// # Errors
    /// `Invalid` if the default is not a value of the column's type.
    pub fn default_array(&self, rows: usize) -> Result<ArrayRef> {
        default_array(self, rows)
    }
}

/// See [`Column::default_array`].
pub(crate) fn default_array(column: &Column, rows: usize) -> Result<ArrayRef> {
    match &column.default {
        None => Ok(null_array(&column.logical_type, rows)),
        Some(value) => constant_array(&column.logical_type, value, rows).ok_or_else(|| {
            Error::new(
                ErrorKind::Invalid,
                format!("default does not fit: column={}, type={}", column.name, column.logical_type),
            )
        }),
    }
}

/// What is known of `rows` rows that do not say what this column is.
pub(crate) fn default_zone_map(column: &Column, rows: usize) -> ZoneMap {
    match &column.default {
        None => ZoneMap { null_count: rows as u64, ..ZoneMap::default() },
        Some(value) => ZoneMap { min: Some(value.clone()), max: Some(value.clone()), exact: true, null_count: 0 },
    }
}

/// `rows` times `value`; `None` if it is not a value of that type.
pub(crate) fn constant_array(logical_type: &LogicalType, value: &Value, rows: usize) -> Option<ArrayRef> {
    use LogicalType as T;
    Some(match (logical_type, value) {
        (T::Boolean, Value::Bool(v)) => Arc::new(BooleanArray::from(vec![*v; rows])),
        (T::TinyInt, Value::Int(v)) => constant::<Int8Type>(i8::try_from(*v).ok()?, rows),
        (T::SmallInt, Value::Int(v)) => constant::<Int16Type>(i16::try_from(*v).ok()?, rows),
        (T::Integer, Value::Int(v)) => constant::<Int32Type>(i32::try_from(*v).ok()?, rows),
        (T::BigInt, Value::Int(v)) => constant::<Int64Type>(*v, rows),
        (T::UTinyInt, Value::UInt(v)) => constant::<UInt8Type>(u8::try_from(*v).ok()?, rows),
        (T::USmallInt, Value::UInt(v)) => constant::<UInt16Type>(u16::try_from(*v).ok()?, rows),
        (T::UInteger, Value::UInt(v)) => constant::<UInt32Type>(u32::try_from(*v).ok()?, rows),
        (T::UBigInt, Value::UInt(v)) => constant::<UInt64Type>(*v, rows),
        (T::Real, Value::Float(v)) => constant::<Float32Type>(*v as f32, rows),
        (T::Double, Value::Float(v)) => constant::<Float64Type>(*v, rows),
        (T::Decimal { precision, scale }, Value::Decimal(v)) => Arc::new(
            PrimitiveArray::<Decimal128Type>::from_value(*v, rows)
                .with_precision_and_scale(*precision, *scale as i8)
                .ok()?,
        ),
        (T::HugeInt, Value::Decimal(v)) => {
            Arc::new(PrimitiveArray::<Decimal128Type>::from_value(*v, rows).with_data_type(T::HugeInt.arrow()))
        }
        (T::Date, Value::Int(v)) => constant::<Date32Type>(i32::try_from(*v).ok()?, rows),
        (T::Time, Value::Int(v)) => constant::<Time64MicrosecondType>(*v, rows),
        (T::Timestamp, Value::Int(v)) => constant::<TimestampMicrosecondType>(*v, rows),
        (T::TimestampTz, Value::Int(v)) => {
            Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from_value(*v, rows).with_timezone("UTC"))
        }
        (T::TimestampS, Value::Int(v)) => constant::<TimestampSecondType>(*v, rows),
        (T::TimestampMs, Value::Int(v)) => constant::<TimestampMillisecondType>(*v, rows),
        (T::TimestampNs, Value::Int(v)) => constant::<TimestampNanosecondType>(*v, rows),
        (T::Interval, Value::Interval { months, days, nanos }) => {
            constant::<IntervalMonthDayNanoType>(IntervalMonthDayNano::new(*months, *days, *nanos), rows)
        }
        (text, Value::Text(v)) if text.is_text() => {
            let mut builder = StringViewBuilder::with_capacity(rows).with_deduplicate_strings();
            (0..rows).for_each(|_| builder.append_value(v));
            Arc::new(builder.finish())
        }
        (T::Blob, Value::Bytes(v)) => {
            let mut builder = BinaryViewBuilder::with_capacity(rows).with_deduplicate_strings();
            (0..rows).for_each(|_| builder.append_value(v));
            Arc::new(builder.finish())
        }
        _ => return None,
    })
}

fn constant<T: ArrowPrimitiveType>(value: T::Native, rows: usize) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::from_value(value, rows))
}
