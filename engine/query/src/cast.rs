//! Values as those of a column type, in DuckDB's sense: the casts of INSERT, and those that [`crate::conversions`] plans.
//!
//! **Invariants**
//! 1. A cast gives every value its meaning in the target type or fails; it never turns a value into NULL.
//! 2. Fractions round (decimals half away from zero, floats half to even); they are not cut.
//! 3. UUID and JSON columns only ever get valid text, UUIDs in lower case with dashes.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringViewArray, StringViewBuilder};
use datafusion::arrow::compute::kernels::arity::unary;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Float32Type, Float64Type, TimeUnit};
use datafusion::arrow::util::display::FormatOptions;
use siltstone_storage::LogicalType;

use crate::QueryError;
use crate::error::Result;

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
        LogicalType::Varchar => written(array, zone)?,
        LogicalType::Blob if array.data_type().is_string() => {
            Arc::new(crate::text::to_blobs(&text(array)?)?) as ArrayRef
        }
        _ => rounded(array, &target)?,
    };
    if *array.data_type() == target {
        return Ok(array);
    }
    Ok(cast_with_options(&array, &target, &STRICT)?)
}

/// Times and BLOBs as DuckDB's text; the text of other types is Arrow's.
fn written(array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
    let as_type = |ty: DataType| cast_with_options(array, &ty, &STRICT);
    Ok(match array.data_type() {
        DataType::Timestamp(_, None) => {
            let array = as_type(DataType::Timestamp(TimeUnit::Microsecond, None))?;
            Arc::new(crate::text::of_timestamps(array.as_primitive())?)
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

fn json_text(array: &ArrayRef) -> Result<ArrayRef> {
    let text = text(array)?;
    for value in text.iter().flatten() {
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(value) {
            return Err(QueryError::conversion(format_args!("Malformed JSON: {error}")));
        }
    }
    Ok(Arc::new(text))
}
