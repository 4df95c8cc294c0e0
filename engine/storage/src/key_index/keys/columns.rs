//! The values of a key column as numbers or bytes that are equal exactly if the values are.
//!
//! **Invariants**
//! 1. A number with 64 bits to itself is the same whatever type of its kind held it: signed ones are sign-extended, floats are doubles.
//! 2. An encoded value says where it ends: fixed width, or its length first. So the encodings of two rows are equal only if every column is.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, BinaryViewArray, Decimal128Array, StringViewArray};
use arrow_schema::{DataType, TimeUnit};

use super::{KeyColumn, KeyKind};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::PutBytes;
use crate::logical_type::LogicalType;

impl KeyColumn {
    /// The column with as many bits as its values may ever need.
    pub(super) fn alone(self) -> Self {
        Self { bits: if matches!(self.kind, KeyKind::Decimal | KeyKind::Bytes) { self.bits } else { 64 }, ..self }
    }
}

/// How a column of this type enters a key that it shares with others.
///
/// # Errors
/// `Unsupported` for nested types, JSON and INTERVAL.
pub(super) fn key_column(ty: &LogicalType) -> Result<KeyColumn> {
    let unsupported =
        || Error::new(ErrorKind::Unsupported, format!("a column of this type cannot be part of a key: type={ty}"));
    // JSON has the Arrow form of text; that equal values can be spelled differently keeps it from being a key.
    if *ty == LogicalType::Json {
        return Err(unsupported());
    }
    of_arrow(&ty.arrow()).ok_or_else(unsupported)
}

fn of_arrow(data_type: &DataType) -> Option<KeyColumn> {
    let (kind, bits) = match data_type {
        DataType::Boolean => (KeyKind::Boolean, 8),
        DataType::Int8 | DataType::UInt8 => (KeyKind::Integer, 8),
        DataType::Int16 | DataType::UInt16 => (KeyKind::Integer, 16),
        DataType::Int32 | DataType::UInt32 => (KeyKind::Integer, 32),
        DataType::Int64 | DataType::UInt64 => (KeyKind::Integer, 64),
        DataType::Float32 => (KeyKind::Float, 32),
        DataType::Float64 => (KeyKind::Float, 64),
        DataType::Decimal128(_, _) => (KeyKind::Decimal, 128),
        DataType::Utf8View | DataType::BinaryView => (KeyKind::Bytes, 0),
        DataType::Date32 => (KeyKind::Date, 32),
        DataType::Time64(TimeUnit::Microsecond) => (KeyKind::Time, 64),
        DataType::Timestamp(TimeUnit::Microsecond, None) => (KeyKind::Timestamp, 64),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => (KeyKind::TimestampTz, 64),
        DataType::Timestamp(TimeUnit::Second, None) => (KeyKind::TimestampS, 64),
        DataType::Timestamp(TimeUnit::Millisecond, None) => (KeyKind::TimestampMs, 64),
        DataType::Timestamp(TimeUnit::Nanosecond, None) => (KeyKind::TimestampNs, 64),
        _ => return None,
    };
    let scale = if let DataType::Decimal128(_, scale) = data_type { u8::try_from(*scale).ok()? } else { 0 };
    Some(KeyColumn { kind, bits, scale })
}

/// Refuses an array that is not of the column's kind.
fn check(column: &KeyColumn, array: &ArrayRef) -> Result<()> {
    let found = of_arrow(array.data_type());
    if found == Some(*column) || found.map(KeyColumn::alone) == Some(*column) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Internal,
        format!("not the column of the key: expected={column:?}, found={}", array.data_type()),
    ))
}

/// A value as a number.
trait Image: Copy {
    fn image(self) -> u64;
}

macro_rules! integer_images {
    ($($native:ty, $through:ty;)*) => {$(
        impl Image for $native {
            #[inline]
            fn image(self) -> u64 {
                <$through>::from(self) as u64
            }
        }
    )*};
}
integer_images! { i8, i64; i16, i64; i32, i64; i64, i64; u8, u64; u16, u64; u32, u64; u64, u64; }

impl Image for f64 {
    #[inline]
    fn image(self) -> u64 {
        let one_of_its_kind = if self == 0.0 { 0.0 } else { self };
        if self.is_nan() { Self::NAN.to_bits() } else { one_of_its_kind.to_bits() }
    }
}

impl Image for f32 {
    #[inline]
    fn image(self) -> u64 {
        f64::from(self).image()
    }
}

fn images<T: ArrowPrimitiveType<Native: Image>>(array: &ArrayRef) -> Vec<u64> {
    array.as_primitive::<T>().values().iter().map(|value| value.image()).collect()
}

/// The values of a column that is neither bytes nor decimals. The bits above [`KeyColumn::bits`] are to be cut off by whoever packs several
/// into one; those under a NULL mean nothing.
///
/// # Errors
/// `Internal` for an array that is not of the column's kind.
pub(super) fn numbers(column: &KeyColumn, array: &ArrayRef) -> Result<Vec<u64>> {
    check(column, array)?;
    Ok(match array.data_type() {
        DataType::Boolean => array.as_boolean().values().iter().map(u64::from).collect(),
        DataType::Int8 => images::<Int8Type>(array),
        DataType::Int16 => images::<Int16Type>(array),
        DataType::Int32 => images::<Int32Type>(array),
        DataType::Int64 => images::<Int64Type>(array),
        DataType::UInt8 => images::<UInt8Type>(array),
        DataType::UInt16 => images::<UInt16Type>(array),
        DataType::UInt32 => images::<UInt32Type>(array),
        DataType::UInt64 => images::<UInt64Type>(array),
        DataType::Float32 if column.bits == 32 => {
            // A double made of a float goes back to the same float.
            images::<Float32Type>(array)
                .into_iter()
                .map(|image| u64::from((f64::from_bits(image) as f32).to_bits()))
                .collect()
        }
        DataType::Float32 => images::<Float32Type>(array),
        DataType::Float64 => images::<Float64Type>(array),
        DataType::Date32 => images::<Date32Type>(array),
        DataType::Time64(_) => images::<Time64MicrosecondType>(array),
        DataType::Timestamp(TimeUnit::Second, _) => images::<TimestampSecondType>(array),
        DataType::Timestamp(TimeUnit::Millisecond, _) => images::<TimestampMillisecondType>(array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => images::<TimestampMicrosecondType>(array),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => images::<TimestampNanosecondType>(array),
        other => unreachable!("not a number, and of another kind: {other}"),
    })
}

/// A column of a wide key.
#[derive(Debug)]
pub(super) enum ColumnValues<'a> {
    Numbers(Vec<u64>),
    Decimals(&'a Decimal128Array),
    Text(&'a StringViewArray),
    Blob(&'a BinaryViewArray),
}

impl<'a> ColumnValues<'a> {
    /// # Errors
    /// `Internal` for an array that is not of the column's kind.
    pub(super) fn of(column: &KeyColumn, array: &'a ArrayRef) -> Result<Self> {
        check(column, array)?;
        Ok(match array.data_type() {
            DataType::Decimal128(_, _) => Self::Decimals(array.as_primitive()),
            DataType::Utf8View => Self::Text(array.as_string_view()),
            DataType::BinaryView => Self::Blob(array.as_binary_view()),
            _ => Self::Numbers(numbers(column, array)?),
        })
    }

    /// Appends the value of a row that is not NULL: 8 bytes of a number, 16 of a decimal, u32 length and the bytes of anything else.
    #[inline]
    pub(super) fn encode(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Numbers(numbers) => out.put_u64(numbers[row]),
            Self::Decimals(array) => out.put_i128(array.value(row)),
            Self::Text(array) => out.put_sized(array.value(row).as_bytes()),
            Self::Blob(array) => out.put_sized(array.value(row)),
        }
    }
}
