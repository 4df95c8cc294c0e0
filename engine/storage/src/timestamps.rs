//! Timestamps in another unit.
//!
//! **Invariants**
//! 1. A point in time that the unit cannot hold is named, never wrapped or made NULL.
//! 2. To seconds and milliseconds values are rounded, half away from 1970; of nanoseconds whole microseconds are kept. This is what DuckDB does.
//!
//! It does not know zones: a zone of the input is not in the output.

use std::sync::Arc;

use arrow_array::types::{
    ArrowPrimitiveType, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, TimeUnit};

#[cfg(test)]
mod tests;

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// A count of one unit in another one; `None` if there is no such count.
fn convert(count: i64, from: TimeUnit, to: TimeUnit) -> Option<i64> {
    let (have, want) = (per_second(from), per_second(to));
    if have <= want {
        return count.checked_mul(want / have);
    }
    let step = have / want;
    if to == TimeUnit::Microsecond {
        return Some(count / step);
    }
    let rounded = (i128::from(count) + i128::from(count.signum() * (step / 2))) / i128::from(step);
    i64::try_from(rounded).ok()
}

/// `array`, of timestamps, as timestamps of `unit` without a zone.
///
/// # Errors
/// The first row whose value is out of range.
///
/// # Panics
/// For an array of anything else.
pub fn to_unit(array: &dyn Array, unit: TimeUnit) -> Result<ArrayRef, usize> {
    let DataType::Timestamp(from, _) = array.data_type() else {
        panic!("not timestamps: {}", array.data_type());
    };
    let data = array.to_data();
    let counts = &data.buffer::<i64>(0)[..array.len()];
    let mut converted = Vec::with_capacity(counts.len());
    for (row, count) in counts.iter().enumerate() {
        converted.push(if array.is_null(row) { 0 } else { convert(*count, *from, unit).ok_or(row)? });
    }
    Ok(match unit {
        TimeUnit::Second => made::<TimestampSecondType>(converted, array),
        TimeUnit::Millisecond => made::<TimestampMillisecondType>(converted, array),
        TimeUnit::Microsecond => made::<TimestampMicrosecondType>(converted, array),
        TimeUnit::Nanosecond => made::<TimestampNanosecondType>(converted, array),
    })
}

fn made<T: ArrowPrimitiveType<Native = i64>>(counts: Vec<i64>, like: &dyn Array) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(counts), like.nulls().cloned()))
}
