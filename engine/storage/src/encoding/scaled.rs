//! Floats that are short decimals, such as prices and coordinates, as packed integers and a power of ten.
//!
//! The exponent (u8), then the packed keys of `value * 10^exponent` as signed integers. What lies under a NULL repeats a neighbour.
//!
//! **Invariant**: used only where dividing the integer by the power of ten gives back every value bit for bit. So no NaN, no
//! infinity, no negative zero, and no number of many digits gets here.

use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::{NullBuffer, ScalarBuffer};

use super::bitpack;
use super::keys::Key;
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Powers of ten that are exact as floats and reach as far as common data does.
const POWERS: [f64; 11] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10];

/// Integers up to here are exact as floats, and [`ROUNDER`] rounds to them.
const INTEGER_MAX: f64 = (1_u64 << 51) as f64;

/// Adding and subtracting it rounds to an integer: at 1.5 * 2^52 the neighbours of a float are integers.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// REAL and DOUBLE: the integer behind a value, and back.
pub(crate) trait Scalable: Copy {
    /// The integer for which [`Scalable::unscale`] gives back exactly this value, if there is one.
    fn scale(self, power: f64) -> Option<i64>;
    fn unscale(integer: i64, power: f64) -> Self;
}

macro_rules! scalable {
    ($($float:ty),*) => {$(
        impl Scalable for $float {
            #[inline]
            fn scale(self, power: f64) -> Option<i64> {
                let rounded = (f64::from(self) * power + ROUNDER) - ROUNDER;
                // The comparison of bits refuses NaN and -0.0, the limit refuses infinities.
                let exact = rounded.abs() <= INTEGER_MAX && ((rounded / power) as Self).to_bits() == self.to_bits();
                exact.then_some(rounded as i64)
            }
            #[inline]
            fn unscale(integer: i64, power: f64) -> Self {
                (integer as f64 / power) as Self
            }
        }
    )*};
}
scalable!(f32, f64);

/// Writes the keys of the scaled values to `keys` and returns the exponent; `None` if some value is no short decimal.
pub(crate) fn keys_of<T: ArrowPrimitiveType<Native: Scalable>>(
    array: &PrimitiveArray<T>,
    keys: &mut Vec<u64>,
) -> Option<u8> {
    let mut exponent = 0;
    // Each failure raises the exponent, so there are few passes, and most end after a few values.
    while let Err(odd) = scale_all(array, POWERS[exponent], keys) {
        exponent += 1 + POWERS[exponent + 1..].iter().position(|power| odd.scale(*power).is_some())?;
    }
    Some(exponent as u8)
}

/// Writes all keys, or returns the first value that has none at this power.
fn scale_all<T: ArrowPrimitiveType<Native: Scalable>>(
    array: &PrimitiveArray<T>,
    power: f64,
    keys: &mut Vec<u64>,
) -> Result<(), T::Native> {
    keys.clear();
    keys.reserve(array.len());
    let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else {
        for value in array.values() {
            keys.push(value.scale(power).ok_or(*value)?.key());
        }
        return Ok(());
    };
    let Some(first) = nulls.valid_indices().next() else { return Ok(()) };
    let first = array.value(first);
    let mut last = first.scale(power).ok_or(first)?.key();
    for (value, valid) in array.values().iter().zip(nulls.iter()) {
        if valid {
            last = value.scale(power).ok_or(*value)?.key();
        }
        keys.push(last);
    }
    Ok(())
}

/// Appends the exponent and the keys.
pub(crate) fn encode(exponent: u8, keys: &[u64], out: &mut Vec<u8>) {
    out.put_u8(exponent);
    bitpack::pack(keys, out);
}

/// Reads `rows` values.
///
/// # Errors
/// As [`bitpack::unpack`], and `Corrupt` for an exponent that [`encode`] does not write.
pub(crate) fn decode<T: ArrowPrimitiveType<Native: Scalable>>(
    rows: usize,
    nulls: Option<NullBuffer>,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let power = decode_power(&mut reader)?;
    let mut values = Vec::<T::Native>::with_capacity(rows);
    bitpack::unpack(rows, &mut reader, |block| {
        values.extend(block.iter().map(|key| T::Native::unscale(i64::from_key(*key), power)));
    })?;
    reader.finish()?;
    Ok(Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls)))
}

/// As [`decode`], the values at `positions` alone, with their NULLs.
pub(crate) fn take<T: ArrowPrimitiveType<Native: Scalable>>(
    rows: usize,
    positions: &[u32],
    nulls: Option<NullBuffer>,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let power = decode_power(&mut reader)?;
    let keys = bitpack::unpack_at(rows, positions, &mut reader)?;
    reader.finish()?;
    let values: Vec<T::Native> = keys.iter().map(|key| T::Native::unscale(i64::from_key(*key), power)).collect();
    Ok(Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls)))
}

fn decode_power(reader: &mut ByteReader<'_>) -> Result<f64> {
    let exponent = reader.u8()?;
    let power = POWERS.get(usize::from(exponent)).copied();
    power.ok_or_else(|| reader.corrupt(format_args!("an exponent below {}", POWERS.len()), exponent))
}
