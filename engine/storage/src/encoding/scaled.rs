//! Floats as integers times or divided by a power of ten: prices and measurements are short decimals, and pack to a few bits.
//!
//! The exponent (i8): a value is its integer divided by 10 to the exponent as 64-bit floats, or times 10 to the negated one. The number of
//! exceptions (u32); their rows, [packed](super::bitpack), and their values as they are, if there are any. Then the [keys](super::keys) of all
//! integers as [numbers](super::numbers).
//!
//! Division of exact floats rounds correctly, so it gives back just the float that the shortest decimal stands for: one exponent is enough where
//! multiplication by an inverse would need a pair.
//!
//! **Invariants**
//! 1. Every value comes back bit for bit: one that does not, such as -0.0, NaN or a third, is an exception.
//! 2. The integer of a NULL or an exception repeats its predecessor's.
//! 3. The exponent is chosen on a sample; what a bad choice costs is size.

use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer, ScalarBuffer, ToByteSlice};

use super::keys::Key;
use super::{bitpack, choose, numbers};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Powers of ten that are exact as floats and reach as far as common data does.
const POWERS: [f64; 17] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16];
/// Exponents that are tried.
const EXPONENTS: std::ops::RangeInclusive<i8> = -10..=16;

/// Rows side by side in a sample.
const FLOAT_SAMPLE_NEIGHBOURS: usize = 8;

/// Integers up to here are exact as floats, and [`ROUNDER`] rounds to them.
const INTEGER_MAX: f64 = (1_u64 << 51) as f64;

/// Adding and subtracting it rounds to an integer: at 1.5 * 2^52 the neighbours of a float are integers.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// By how much integers are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    exponent: i8,
    times: f64,
    over: f64,
}

impl Scale {
    /// `None` for an exponent out of range.
    fn new(exponent: i8) -> Option<Self> {
        let power = *POWERS.get(usize::from(exponent.unsigned_abs())).filter(|_| EXPONENTS.contains(&exponent))?;
        Some(if exponent < 0 {
            Self { exponent, times: power, over: 1.0 }
        } else {
            Self { exponent, times: 1.0, over: power }
        })
    }

    fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let exponent = reader.u8()? as i8;
        Self::new(exponent).ok_or_else(|| reader.corrupt(format_args!("an exponent in {EXPONENTS:?}"), exponent))
    }
}

/// REAL and DOUBLE: the integer behind a value, and back.
pub(crate) trait Scalable: ArrowNativeType {
    /// The integer for which [`Scalable::unscale`] gives back exactly this value, if there is one.
    fn scale(self, by: Scale) -> Option<i64>;
    fn unscale(integer: i64, by: Scale) -> Self;
}

macro_rules! scalable {
    ($($float:ty),*) => {$(
        impl Scalable for $float {
            #[inline]
            fn scale(self, by: Scale) -> Option<i64> {
                let rounded = (f64::from(self) * by.over / by.times + ROUNDER) - ROUNDER;
                // The comparison of bits refuses NaN and -0.0, the limit refuses infinities.
                let exact = rounded.abs() <= INTEGER_MAX
                    && ((rounded * by.times / by.over) as Self).to_bits() == self.to_bits();
                exact.then_some(rounded as i64)
            }
            #[inline]
            fn unscale(integer: i64, by: Scale) -> Self {
                (integer as f64 * by.times / by.over) as Self
            }
        }
    )*};
}
scalable!(f32, f64);

/// What floats are made of at one scale.
#[derive(Debug)]
pub(crate) struct Scaled<N> {
    scale: Scale,
    exceptions: Vec<(u64, N)>,
}

impl<N: Scalable> Scaled<N> {
    /// Writes the keys of the integers to `keys`, and returns the rest; `None` if the sample says that it does not pay.
    pub(crate) fn of<T: ArrowPrimitiveType<Native = N>>(
        array: &PrimitiveArray<T>,
        keys: &mut Vec<u64>,
    ) -> Option<Self> {
        let scale = best_scale(array)?;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let mut exceptions = Vec::new();
        let exceptions_max = choose::exceptions_max(array.len());
        let mut last = first_key(array, scale);
        keys.clear();
        keys.reserve(array.len());
        for (row, value) in array.values().iter().enumerate() {
            match value.scale(scale) {
                Some(integer) => last = integer.key(),
                None if nulls.is_some_and(|nulls| nulls.is_null(row)) => {}
                None if exceptions.len() == exceptions_max => return None,
                None => exceptions.push((row as u64, *value)),
            }
            keys.push(last);
        }
        if let Some(nulls) = nulls {
            repeat_under_nulls(keys, nulls);
        }
        Some(Self { scale, exceptions })
    }

    /// Bytes of the exceptions.
    pub(crate) fn exception_bytes(&self) -> usize {
        self.exceptions.len() * (size_of::<N>() + size_of::<u32>())
    }

    /// Appends the scale, the exceptions and the keys, which are used up.
    pub(crate) fn encode(&self, keys: &mut [u64], out: &mut Vec<u8>) {
        out.put_u8(self.scale.exponent as u8);
        out.put_u32(self.exceptions.len() as u32);
        let rows: Vec<u64> = self.exceptions.iter().map(|(row, _)| *row).collect();
        bitpack::pack(&rows, out);
        self.exceptions.iter().for_each(|(_, value)| out.put(value.to_byte_slice()));
        numbers::encode(keys, out);
    }
}

fn first_key<T: ArrowPrimitiveType<Native: Scalable>>(array: &PrimitiveArray<T>, scale: Scale) -> u64 {
    array.iter().flatten().find_map(|value| value.scale(scale)).unwrap_or(0).key()
}

fn repeat_under_nulls(keys: &mut [u64], nulls: &NullBuffer) {
    let mut last = nulls.valid_indices().next().map_or(0, |first| keys[first]);
    for (key, valid) in keys.iter_mut().zip(nulls.iter()) {
        last = if valid { *key } else { last };
        *key = last;
    }
}

/// The exponent that makes a sample smallest; `None` if none makes it smaller than it is.
fn best_scale<T: ArrowPrimitiveType<Native: Scalable>>(array: &PrimitiveArray<T>) -> Option<Scale> {
    // Neighbours, not rows at a fixed distance: those may have more in common than all have.
    let step = array.len().div_ceil(choose::FLOAT_SAMPLE_ROWS).max(1);
    let sampled = |row: &usize| (row / FLOAT_SAMPLE_NEIGHBOURS).is_multiple_of(step) && array.is_valid(*row);
    let sample: Vec<T::Native> = (0..array.len()).filter(sampled).map(|row| array.value(row)).collect();
    let plain_bits = 8 * size_of::<T::Native>() as u32;
    let scales = EXPONENTS.filter_map(Scale::new).map(|scale| {
        let keys: Vec<u64> = sample.iter().filter_map(|value| value.scale(scale)).map(Key::key).collect();
        let (min, max) = bitpack::range(&keys);
        let exceptions = (sample.len() - keys.len()) as u32;
        let bits = sample.len() as u32 * bitpack::width(min, max) + exceptions * (plain_bits + u32::BITS);
        (bits, exceptions, scale)
    });
    let (bits, _, scale) =
        scales.min_by_key(|(bits, exceptions, scale)| (*bits, *exceptions, scale.exponent.unsigned_abs()))?;
    (bits < sample.len() as u32 * plain_bits).then_some(scale)
}

/// Scale and exceptions as they lie in a body.
struct Head<N: Scalable> {
    scale: Scale,
    rows: Vec<u32>,
    values: ScalarBuffer<N>,
}

impl<N: Scalable> Head<N> {
    fn decode(rows: usize, reader: &mut ByteReader<'_>) -> Result<Self> {
        let scale = Scale::decode(reader)?;
        let count = reader.u32()? as usize;
        if count > rows {
            return Err(reader.corrupt(format_args!("at most {rows} exceptions"), count));
        }
        let places = bitpack::unpack_u32(count, reader)?;
        if !places.is_sorted_by(|a, b| a < b) || places.last().is_some_and(|last| *last as usize >= rows) {
            return Err(reader.corrupt(format_args!("exceptions that ascend below {rows}"), "others"));
        }
        let bytes = reader.take(count * size_of::<N>())?;
        Ok(Self { scale, rows: places, values: ScalarBuffer::new(Buffer::from(bytes), 0, count) })
    }
}

/// Reads `rows` values.
///
/// # Errors
/// `Corrupt` for an exponent out of range, exceptions out of order, and as [`numbers::decode`].
pub(crate) fn decode<T: ArrowPrimitiveType<Native: Scalable>>(
    rows: usize,
    nulls: Option<NullBuffer>,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let head = Head::<T::Native>::decode(rows, &mut reader)?;
    let mut values = Vec::<T::Native>::with_capacity(rows);
    numbers::decode(rows, &mut reader, |block| {
        values.extend(block.iter().map(|key| T::Native::unscale(i64::from_key(*key), head.scale)));
    })?;
    reader.finish()?;
    for (row, value) in head.rows.iter().zip(&head.values) {
        values[*row as usize] = *value;
    }
    Ok(Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls)))
}

/// As [`decode`], the values at `positions` alone, with their NULLs.
pub(crate) fn take<T: ArrowPrimitiveType<Native: Scalable>>(
    rows: usize,
    positions: &[u32],
    nulls: Option<NullBuffer>,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let head = Head::<T::Native>::decode(rows, &mut reader)?;
    let keys = numbers::decode_at(rows, positions, &mut reader)?;
    reader.finish()?;
    let value = |(position, key): (&u32, &u64)| match head.rows.binary_search(position) {
        Ok(exception) => head.values[exception],
        Err(_) => T::Native::unscale(i64::from_key(*key), head.scale),
    };
    let values: Vec<T::Native> = positions.iter().zip(&keys).map(value).collect();
    Ok(Arc::new(PrimitiveArray::<T>::new(ScalarBuffer::from(values), nulls)))
}
