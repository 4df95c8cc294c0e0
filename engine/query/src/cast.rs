//! Values as those of a column type, in DuckDB's sense: the casts of INSERT, and those that [`crate::conversions`] plans.
//!
//! **Invariants**
//! 1. A cast gives every value its meaning in the target type or fails; it never turns a value into NULL.
//! 2. Fractions round (decimals half away from zero, floats half to even); they are not cut.
//! 3. UUID, JSON, BIT and ENUM columns only ever get valid text, UUIDs in lower case with dashes; `T[n]` as many items as it has, and MAP
//!    distinct keys. So do values of these types within others.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, IntervalMonthDayNanoBuilder, StringViewArray, StringViewBuilder, new_null_array,
};
use datafusion::arrow::compute::kernels::arity::unary;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{
    DataType, DurationNanosecondType, Float32Type, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimeUnit,
};
use datafusion::arrow::util::display::{FormatOptions, array_value_to_string};
use siltstone_storage::{LogicalType, interval, timestamps};

use crate::QueryError;
use crate::error::Result;

mod nested;

pub(crate) use nested::is_checked;

/// Characters of a type's name that a message shows: an ENUM can be long.
const TYPE_CHARS_MAX: usize = 400;

const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// `array` in the Arrow form of `ty`; points in time become text as the clocks of `zone` show them.
///
/// # Errors
/// `Conversion Error` if a value has no counterpart.
pub(crate) fn to_column(array: &ArrayRef, ty: &LogicalType, zone: Tz) -> Result<ArrayRef> {
    let target = ty.arrow();
    let array = match ty {
        LogicalType::Uuid => return uuid_text(array),
        LogicalType::Json => return json_text(array),
        LogicalType::Bit => return bit_text(array),
        LogicalType::Enum(values) => return enum_text(array, values, ty),
        ty if ty.is_nested() && is_checked(ty) => return nested::to_nested(array, ty, zone),
        LogicalType::Varchar => written(array, zone)?,
        LogicalType::Blob if array.data_type().is_string() => {
            Arc::new(crate::text::to_blobs(&text(array)?)?) as ArrayRef
        }
        LogicalType::HugeInt => whole(array)?,
        LogicalType::Interval => return intervals(array),
        LogicalType::TimestampS | LogicalType::TimestampMs if !is_timestamp(array) => {
            to_column(array, &LogicalType::Timestamp, zone)?
        }
        _ => rounded(array, &target)?,
    };
    if *array.data_type() == target {
        return Ok(array);
    }
    if let (true, DataType::Timestamp(unit, None)) = (is_timestamp(&array), &target) {
        return in_unit(&array, *unit, ty);
    }
    Ok(cast_with_options(&array, &target, &STRICT)?)
}

fn is_timestamp(array: &ArrayRef) -> bool {
    matches!(array.data_type(), DataType::Timestamp(_, None))
}

/// Timestamps without a zone as those of another type.
fn in_unit(array: &ArrayRef, unit: TimeUnit, ty: &LogicalType) -> Result<ArrayRef> {
    timestamps::to_unit(array, unit).map_err(|row| {
        // Only the year of nanoseconds ends so early that the value has a text.
        let value = array_value_to_string(&array.slice(row, 1), 0).unwrap_or_else(|_| "a timestamp".to_owned());
        QueryError::conversion(format_args!("{value} is out of range for {ty}"))
    })
}

/// Values without a fraction, as Arrow converts them to decimals.
fn whole(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(match array.data_type() {
        DataType::Boolean => cast_with_options(array, &DataType::Int64, &STRICT)?,
        _ => rounded(array, &DataType::Int64)?,
    })
}

/// Intervals of whole microseconds, read from text as JSON's are. A span between two times has days and a time of less than one.
fn intervals(array: &ArrayRef) -> Result<ArrayRef> {
    const NANOS_PER_DAY: i64 = 86_400_000_000_000;
    let cut = |nanos: i64| nanos / 1_000 * 1_000;
    Ok(match array.data_type() {
        DataType::Null => new_null_array(&LogicalType::Interval.arrow(), array.len()),
        DataType::Interval(_) => {
            let array = cast_with_options(array, &LogicalType::Interval.arrow(), &STRICT)?;
            let array = array.as_primitive::<IntervalMonthDayNanoType>();
            if array.iter().flatten().all(|value| value.nanoseconds == cut(value.nanoseconds)) {
                return Ok(Arc::new(array.clone()));
            }
            Arc::new(unary::<_, _, IntervalMonthDayNanoType>(array, |value| {
                IntervalMonthDayNano::new(value.months, value.days, cut(value.nanoseconds))
            }))
        }
        DataType::Duration(_) => {
            let nanos = cast_with_options(array, &DataType::Duration(TimeUnit::Nanosecond), &STRICT)?;
            let nanos = nanos.as_primitive::<DurationNanosecondType>();
            // 64 bits of nanoseconds are some 100,000 days.
            Arc::new(unary::<_, _, IntervalMonthDayNanoType>(nanos, |nanos| {
                IntervalMonthDayNano::new(0, (nanos / NANOS_PER_DAY) as i32, cut(nanos % NANOS_PER_DAY))
            }))
        }
        _ if array.data_type().is_string() => {
            let mut builder = IntervalMonthDayNanoBuilder::with_capacity(array.len());
            for text in &text(array)? {
                let parsed = text.map(|text| {
                    interval::parse(text).ok_or_else(|| {
                        QueryError::conversion(format_args!("Could not convert string '{text}' to INTERVAL"))
                    })
                });
                builder.append_option(parsed.transpose()?);
            }
            Arc::new(builder.finish())
        }
        other => {
            return Err(QueryError::conversion(format_args!("Unimplemented type for cast ({other} -> INTERVAL)")));
        }
    })
}

/// Times, intervals and BLOBs as DuckDB's text; the text of other types is Arrow's.
fn written(array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    let as_type = |ty: DataType| cast_with_options(array, &ty, &STRICT);
    Ok(match array.data_type() {
        DataType::Timestamp(unit, None) => Arc::new(crate::text::of_timestamps(array, *unit)?),
        DataType::Interval(_) | DataType::Duration(_) => {
            Arc::new(crate::text::of_intervals(intervals(array)?.as_primitive()))
        }
        DataType::Timestamp(_, Some(stored)) => {
            let array = as_type(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(stored))))?;
            Arc::new(crate::text::of_zoned_timestamps(array.as_primitive(), zone)?)
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let array = as_type(DataType::Time64(TimeUnit::Microsecond))?;
            Arc::new(crate::text::of_times(array.as_primitive())?)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            let array = as_type(DataType::BinaryView)?;
            Arc::new(crate::text::of_blobs(array.as_binary_view()))
        }
        _ => Arc::clone(array),
    })
}

/// Numbers with a fraction, rounded if the target has none.
fn rounded(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    if !target.is_integer() {
        return Ok(Arc::clone(array));
    }
    Ok(match array.data_type() {
        DataType::Float32 => {
            Arc::new(unary::<_, _, Float32Type>(array.as_primitive::<Float32Type>(), f32::round_ties_even))
        }
        DataType::Float64 => {
            Arc::new(unary::<_, _, Float64Type>(array.as_primitive::<Float64Type>(), f64::round_ties_even))
        }
        DataType::Decimal128(precision, scale) if *scale > 0 => {
            cast_with_options(array, &DataType::Decimal128(*precision, 0), &STRICT)?
        }
        DataType::Decimal256(precision, scale) if *scale > 0 => {
            cast_with_options(array, &DataType::Decimal256(*precision, 0), &STRICT)?
        }
        _ => Arc::clone(array),
    })
}

fn text(array: &ArrayRef) -> Result<StringViewArray> {
    Ok(cast_with_options(array, &DataType::Utf8View, &STRICT)?.as_string_view().clone())
}

fn uuid_text(array: &ArrayRef) -> Result<ArrayRef> {
    let text = text(array)?;
    let mut builder = StringViewBuilder::with_capacity(text.len());
    let mut buffer = uuid::Uuid::encode_buffer();
    for value in &text {
        match value {
            None => builder.append_null(),
            Some(value) => match uuid::Uuid::try_parse(value) {
                Ok(uuid) => builder.append_value(uuid.hyphenated().encode_lower(&mut buffer)),
                Err(_) => {
                    return Err(QueryError::conversion(format_args!("Could not convert string '{value}' to UUID")));
                }
            },
        }
    }
    Ok(Arc::new(builder.finish()))
}

/// A type's name for a message.
fn shown(ty: &LogicalType) -> String {
    let name = ty.to_string();
    match name.char_indices().nth(TYPE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name,
    }
}

fn bit_text(array: &ArrayRef) -> Result<ArrayRef> {
    if !array.data_type().is_string() && !array.data_type().is_null() {
        return Err(QueryError::conversion(format_args!("Unimplemented type for cast ({} -> BIT)", array.data_type())));
    }
    let text = text(array)?;
    let is_bits = |value: &str| !value.is_empty() && value.bytes().all(|byte| matches!(byte, b'0' | b'1'));
    match text.iter().flatten().find(|value| !is_bits(value)) {
        None => Ok(Arc::new(text)),
        Some(value) => Err(QueryError::conversion(format_args!("Could not convert string '{value}' to BIT"))),
    }
}

fn enum_text(array: &ArrayRef, values: &[String], ty: &LogicalType) -> Result<ArrayRef> {
    let text = text(array)?;
    let values: HashSet<&str> = values.iter().map(String::as_str).collect();
    match text.iter().flatten().find(|value| !values.contains(value)) {
        None => Ok(Arc::new(text)),
        Some(value) => Err(QueryError::conversion(format_args!("Could not convert string '{value}' to {}", shown(ty)))),
    }
}

fn json_text(array: &ArrayRef) -> Result<ArrayRef> {
    let text = text(array)?;
    for value in text.iter().flatten() {
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(value) {
            return Err(QueryError::conversion(format_args!("Malformed JSON: {error}")));
        }
    }
    Ok(Arc::new(text))
}
