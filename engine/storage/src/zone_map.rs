//! What is known of a column chunk without reading it.
//!
//! **Invariants**
//! 1. Bounds may be loose, never wrong; an absent bound means unknown.
//! 2. `exact` is said only of bounds that occur, bit for bit.
//! 3. A bound of text or bytes is at most [`BOUND_BYTES_MAX`] and one more character long.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, ByteViewType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, BooleanArray, GenericByteViewArray, PrimitiveArray};
use arrow_schema::{DataType, TimeUnit};

use crate::logical_type::LogicalType;
use crate::value::Value;

#[cfg(test)]
mod tests;

/// Longest text or bytes kept whole as a bound.
pub(crate) const BOUND_BYTES_MAX: usize = 64;

/// Statistics of one column chunk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ZoneMap {
    /// No value is smaller. NaN is above every number.
    pub min: Option<Value>,
    /// No value is greater.
    pub max: Option<Value>,
    /// Whether both bounds are values that occur.
    pub exact: bool,
    /// Number of NULLs.
    pub null_count: u64,
}

impl ZoneMap {
    /// Statistics of an array in the Arrow form of `ty`. JSON, INTERVAL and nested types have no bounds.
    pub(crate) fn of(ty: &LogicalType, array: &dyn Array) -> Self {
        let bounds = match ty {
            ty if *ty == LogicalType::Json || ty.is_nested() => Bounds::default(),
            _ => Bounds::of(array),
        };
        bounds.with_nulls(array.null_count())
    }

    /// Statistics of a view array of which `rows` together have every value.
    pub(crate) fn of_distinct<T: ByteViewType>(
        ty: &LogicalType,
        array: &GenericByteViewArray<T>,
        rows: impl Iterator<Item = usize>,
    ) -> Self {
        let bounds = match ty {
            LogicalType::Json => Bounds::default(),
            _ => bytes_bounds(array, rows),
        };
        bounds.with_nulls(array.null_count())
    }
}

#[derive(Debug, Default)]
struct Bounds {
    min: Option<Value>,
    max: Option<Value>,
    exact: bool,
}

impl Bounds {
    fn exact(bounds: Option<(Value, Value)>) -> Self {
        let exact = bounds.is_some();
        let (min, max) = bounds.unzip();
        Self { min, max, exact }
    }

    fn with_nulls(self, null_count: usize) -> ZoneMap {
        ZoneMap { min: self.min, max: self.max, exact: self.exact, null_count: null_count as u64 }
    }

    fn of(array: &dyn Array) -> Self {
        match array.data_type() {
            DataType::Boolean => boolean_bounds(array.as_boolean()),
            DataType::Int8 => signed::<Int8Type>(array),
            DataType::Int16 => signed::<Int16Type>(array),
            DataType::Int32 => signed::<Int32Type>(array),
            DataType::Int64 => signed::<Int64Type>(array),
            DataType::Date32 => signed::<Date32Type>(array),
            DataType::Time64(_) => signed::<Time64MicrosecondType>(array),
            DataType::Timestamp(TimeUnit::Second, _) => signed::<TimestampSecondType>(array),
            DataType::Timestamp(TimeUnit::Millisecond, _) => signed::<TimestampMillisecondType>(array),
            DataType::Timestamp(TimeUnit::Microsecond, _) => signed::<TimestampMicrosecondType>(array),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => signed::<TimestampNanosecondType>(array),
            DataType::UInt8 => unsigned::<UInt8Type>(array),
            DataType::UInt16 => unsigned::<UInt16Type>(array),
            DataType::UInt32 => unsigned::<UInt32Type>(array),
            DataType::UInt64 => unsigned::<UInt64Type>(array),
            DataType::Decimal128(..) => Self::exact(
                range(array.as_primitive::<Decimal128Type>()).map(|(a, b)| (Value::Decimal(a), Value::Decimal(b))),
            ),
            DataType::Float32 => float_bounds(array.as_primitive::<Float32Type>()),
            DataType::Float64 => float_bounds(array.as_primitive::<Float64Type>()),
            DataType::Utf8View => all_bytes_bounds(array.as_string_view()),
            DataType::BinaryView => all_bytes_bounds(array.as_binary_view()),
            _ => Self::default(),
        }
    }
}

fn boolean_bounds(array: &BooleanArray) -> Bounds {
    let values = array.len() - array.null_count();
    let trues = array.true_count();
    Bounds::exact((values > 0).then_some((Value::Bool(trues == values), Value::Bool(trues > 0))))
}

fn signed<T: ArrowPrimitiveType<Native: Into<i64> + Ord>>(array: &dyn Array) -> Bounds {
    let range = range(array.as_primitive::<T>());
    Bounds::exact(range.map(|(min, max)| (Value::Int(min.into()), Value::Int(max.into()))))
}

fn unsigned<T: ArrowPrimitiveType<Native: Into<u64> + Ord>>(array: &dyn Array) -> Bounds {
    let range = range(array.as_primitive::<T>());
    Bounds::exact(range.map(|(min, max)| (Value::UInt(min.into()), Value::UInt(max.into()))))
}

/// Smallest and greatest value that is not NULL.
fn range<T: ArrowPrimitiveType<Native: Ord>>(array: &PrimitiveArray<T>) -> Option<(T::Native, T::Native)> {
    let widen = |(min, max): (T::Native, T::Native), value: T::Native| (min.min(value), max.max(value));
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => {
            let first = *array.values().first()?;
            Some(array.values().iter().fold((first, first), |range, value| widen(range, *value)))
        }
        Some(nulls) => {
            let first = array.value(nulls.valid_indices().next()?);
            let pairs = array.values().iter().zip(nulls.iter());
            Some(pairs.fold((first, first), |range, (value, valid)| widen(range, if valid { *value } else { first })))
        }
    }
}

/// Bounds of numbers; zeros of both signs and NaN make them loose, a NaN of negative sign makes them unknown, because readers do not agree
/// on where these stand.
fn float_bounds<T: ArrowPrimitiveType<Native: Into<f64>>>(array: &PrimitiveArray<T>) -> Bounds {
    let (mut min, mut max, mut any_nan) = (f64::INFINITY, f64::NEG_INFINITY, false);
    for value in array.iter().flatten() {
        let value: f64 = value.into();
        if value.is_nan() {
            if value.is_sign_negative() {
                return Bounds::default();
            }
            any_nan = true;
        } else {
            min = min.min(value);
            max = max.max(value);
        }
    }
    let any_number = min <= max;
    if !any_number && !any_nan {
        return Bounds::default();
    }
    if min == 0.0 {
        min = -0.0;
    }
    if max == 0.0 {
        max = 0.0;
    }
    let exact = any_number && !any_nan && min != 0.0 && max != 0.0;
    let min = if any_number { min } else { f64::NAN };
    let max = if any_nan { f64::NAN } else { max };
    Bounds { min: Some(Value::Float(min)), max: Some(Value::Float(max)), exact }
}

fn all_bytes_bounds<T: ByteViewType>(array: &GenericByteViewArray<T>) -> Bounds {
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => bytes_bounds(array, 0..array.len()),
        Some(nulls) => bytes_bounds(array, nulls.valid_indices()),
    }
}

/// Bounds of the values in these rows, none of them NULL.
fn bytes_bounds<T: ByteViewType>(array: &GenericByteViewArray<T>, mut rows: impl Iterator<Item = usize>) -> Bounds {
    let Some(first) = rows.next() else { return Bounds::default() };
    // The first four bytes decide most comparisons and lie in the view.
    let prefix = |row: usize| ((array.views()[row] >> 32) as u32).swap_bytes();
    let bytes = |row: usize| -> &[u8] { array.value(row).as_ref() };
    let (mut min, mut max) = ((prefix(first), first), (prefix(first), first));
    for row in rows {
        let head = prefix(row);
        if head < min.0 || (head == min.0 && bytes(row) < bytes(min.1)) {
            min = (head, row);
        }
        if head > max.0 || (head == max.0 && bytes(row) > bytes(max.1)) {
            max = (head, row);
        }
    }
    let (min, max) = (bytes(min.1), bytes(max.1));
    let exact = min.len() <= BOUND_BYTES_MAX && max.len() <= BOUND_BYTES_MAX;
    match (T::DATA_TYPE, std::str::from_utf8(min), std::str::from_utf8(max)) {
        (DataType::Utf8View, Ok(min), Ok(max)) => Bounds {
            min: Some(Value::Text(min[..min.floor_char_boundary(BOUND_BYTES_MAX)].to_owned())),
            max: text_above(max).map(Value::Text),
            exact,
        },
        _ => Bounds {
            min: Some(Value::Bytes(min[..min.len().min(BOUND_BYTES_MAX)].to_vec())),
            max: bytes_above(max).map(Value::Bytes),
            exact,
        },
    }
}

/// The text itself if it is short, else the shortest text above all that start like it; `None` if there is none.
fn text_above(text: &str) -> Option<String> {
    if text.len() <= BOUND_BYTES_MAX {
        return Some(text.to_owned());
    }
    let mut bound = text[..text.floor_char_boundary(BOUND_BYTES_MAX)].to_owned();
    while let Some(last) = bound.pop() {
        // The range steps over the surrogates.
        if let Some(next) = (last..=char::MAX).nth(1) {
            bound.push(next);
            return Some(bound);
        }
    }
    None
}

/// As [`text_above`], for bytes.
fn bytes_above(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() <= BOUND_BYTES_MAX {
        return Some(bytes.to_vec());
    }
    let mut bound = bytes[..BOUND_BYTES_MAX].to_vec();
    while let Some(last) = bound.pop() {
        if last < u8::MAX {
            bound.push(last + 1);
            return Some(bound);
        }
    }
    None
}
