//! Keys that are all some steps apart: whole seconds stored as microseconds, whole numbers stored as decimals.
//!
//! The smallest key (u64), the step (u64, at least 2), the number of steps from the smallest key to each as [numbers](super::numbers).
//!
//! **Invariant**: what [`encode`] writes does not overflow; a reader wraps around.

use super::{bitpack, numbers};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Smallest key, and the greatest step of which all keys are whole numbers away from it; `None` if that is 1 or there is but one key.
pub(crate) fn step(keys: &[u64]) -> Option<(u64, u64)> {
    let min = keys.iter().copied().min()?;
    let mut step = 0;
    for key in keys {
        let distance = key - min;
        if step == 0 || distance % step != 0 {
            step = greatest_common_divisor(distance, step);
            if step == 1 {
                return None;
            }
        }
    }
    (step > 1).then_some((min, step))
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Appends keys, which are used up, of which [`step`] has told the smallest and the step.
pub(crate) fn encode(min: u64, step: u64, keys: &mut [u64], out: &mut Vec<u8>) {
    keys.iter_mut().for_each(|key| *key = (*key - min) / step);
    out.put_u64(min);
    out.put_u64(step);
    numbers::encode(keys, out);
}

/// Reads `count` keys and hands them on in order, a block at a time.
///
/// # Errors
/// `Corrupt` for a step below 2, and as [`numbers::decode`].
pub(crate) fn decode(count: usize, reader: &mut ByteReader<'_>, mut each: impl FnMut(&[u64])) -> Result<()> {
    let (min, step) = read(reader)?;
    let mut keys = [0; bitpack::BLOCK_KEYS];
    numbers::decode(count, reader, |steps| {
        for (key, steps) in keys.iter_mut().zip(steps) {
            *key = min.wrapping_add(steps.wrapping_mul(step));
        }
        each(&keys[..steps.len()]);
    })
}

/// Reads `count` keys and returns those at `positions`, which ascend and are below `count`.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_at(count: usize, positions: &[u32], reader: &mut ByteReader<'_>) -> Result<Vec<u64>> {
    let (min, step) = read(reader)?;
    let mut keys = numbers::decode_at(count, positions, reader)?;
    keys.iter_mut().for_each(|key| *key = min.wrapping_add(key.wrapping_mul(step)));
    Ok(keys)
}

fn read(reader: &mut ByteReader<'_>) -> Result<(u64, u64)> {
    let (min, step) = (reader.u64()?, reader.u64()?);
    match step {
        0 | 1 => Err(reader.corrupt("a step of at least 2", step)),
        _ => Ok((min, step)),
    }
}
