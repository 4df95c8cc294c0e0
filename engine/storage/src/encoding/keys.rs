//! Integers, dates, times and small decimals as 64-bit keys of the same order.
//!
//! **Invariants**
//! 1. A key compares as its value does: signed values are moved up by 2^63.
//! 2. Keys that no value of a type has are refused, so that a condition on keys and one on values never differ.
//! 3. A key under a NULL repeats a neighbour's, so that it widens no range.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Decimal128Type};
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use crate::error::Result;

/// Distance between a signed number and its key.
pub(crate) const SIGN: u64 = 1 << 63;

/// A number that has a key.
pub(crate) trait Key: Copy {
    fn key(self) -> u64;
    fn from_key(key: u64) -> Self;
}

macro_rules! keys {
    ($($native:ty, $through:ty, $shift:expr;)*) => {$(
        impl Key for $native {
            #[inline]
            fn key(self) -> u64 {
                (self as $through as u64).wrapping_add($shift)
            }
            #[inline]
            fn from_key(key: u64) -> Self {
                key.wrapping_sub($shift) as $through as $native
            }
        }
    )*};
}
keys! {
    i8, i64, SIGN; i16, i64, SIGN; i32, i64, SIGN; i64, i64, SIGN; i128, i64, SIGN;
    u8, u64, 0; u16, u64, 0; u32, u64, 0; u64, u64, 0;
}

/// Runs `$body` with `$t` as the Arrow type if it has keys, else `$other`.
macro_rules! with_keys {
    ($data_type:expr, $t:ident => $body:expr, $other:pat => $else:expr) => {{
        use arrow_array::types::{
            Date32Type, Decimal128Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
            TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
            UInt8Type, UInt16Type, UInt32Type, UInt64Type,
        };
        use arrow_schema::TimeUnit;
        match $data_type {
            DataType::Int8 => {
                type $t = Int8Type;
                $body
            }
            DataType::Int16 => {
                type $t = Int16Type;
                $body
            }
            DataType::Int32 => {
                type $t = Int32Type;
                $body
            }
            DataType::Int64 => {
                type $t = Int64Type;
                $body
            }
            DataType::UInt8 => {
                type $t = UInt8Type;
                $body
            }
            DataType::UInt16 => {
                type $t = UInt16Type;
                $body
            }
            DataType::UInt32 => {
                type $t = UInt32Type;
                $body
            }
            DataType::UInt64 => {
                type $t = UInt64Type;
                $body
            }
            DataType::Decimal128(..) => {
                type $t = Decimal128Type;
                $body
            }
            DataType::Date32 => {
                type $t = Date32Type;
                $body
            }
            DataType::Time64(_) => {
                type $t = Time64MicrosecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                type $t = TimestampSecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                type $t = TimestampMillisecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                type $t = TimestampMicrosecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                type $t = TimestampNanosecondType;
                $body
            }
            $other => $else,
        }
    }};
}

/// Writes an array's keys to `keys` and says how many bits a value has; `None` if its values have no keys.
pub(crate) fn keys_of(array: &dyn Array, keys: &mut Vec<u64>) -> Option<u32> {
    if matches!(array.data_type(), DataType::Decimal128(..)) && !small_decimals(array.as_primitive()) {
        return None;
    }
    with_keys!(array.data_type(), T => {
        fill_keys::<T>(array.as_primitive(), keys);
        Some(8 * size_of::<<T as ArrowPrimitiveType>::Native>() as u32)
    }, _ => None)
}

fn small_decimals(array: &PrimitiveArray<Decimal128Type>) -> bool {
    array.iter().flatten().all(|value| i64::try_from(value).is_ok())
}

fn fill_keys<T: ArrowPrimitiveType<Native: Key>>(array: &PrimitiveArray<T>, keys: &mut Vec<u64>) {
    keys.clear();
    keys.reserve(array.len());
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => keys.extend(array.values().iter().map(|value| value.key())),
        Some(nulls) => {
            let mut last = nulls.valid_indices().next().map_or(0, |first| array.value(first).key());
            keys.extend(array.values().iter().zip(nulls.iter()).map(|(value, valid)| {
                last = if valid { value.key() } else { last };
                last
            }));
        }
    }
}

/// An array of `rows` values whose keys `read` hands on, a block at a time; `None` if a key is that of no value of the type.
///
/// # Panics
/// If values of this type have no keys; the caller has seen that they do by [`has_keys`].
pub(crate) fn array_of(
    data_type: DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    read: impl FnOnce(&mut dyn FnMut(&[u64])) -> Result<()>,
) -> Result<Option<ArrayRef>> {
    with_keys!(&data_type, T => {
        let mut values = Vec::<<T as ArrowPrimitiveType>::Native>::with_capacity(rows);
        let mut strange = 0;
        read(&mut |block| {
            strange |= strange_bits::<<T as ArrowPrimitiveType>::Native>(block);
            values.extend(block.iter().map(|key| <T as ArrowPrimitiveType>::Native::from_key(*key)));
        })?;
        let array = PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls);
        Ok((strange == 0).then(|| Arc::new(array.with_data_type(data_type)) as _))
    }, other => unreachable!("no keys: {other}"))
}

/// Zero if all of these are keys of the type: numbers of 64 bits and more have no others.
fn strange_bits<K: Key>(keys: &[u64]) -> u64 {
    match size_of::<K>() {
        8.. => 0,
        _ => keys.iter().fold(0, |strange, key| strange | (key ^ K::from_key(*key).key())),
    }
}

/// Whether values of this type have keys.
pub(crate) fn has_keys(data_type: &DataType) -> bool {
    with_keys!(data_type, T => size_of::<T>() == 0, _ => false)
}
