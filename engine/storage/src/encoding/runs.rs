//! Runs of equal keys: for columns that hardly change from row to row.
//!
//! The number of runs (u32), the length of each [packed](super::bitpack), the key of each as [numbers](super::numbers).
//!
//! **Invariant**: no run is empty, and together they have the rows that were asked for.

use super::{bitpack, numbers};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Number of runs among the keys.
pub(crate) fn count(keys: &[u64]) -> usize {
    usize::from(!keys.is_empty()) + keys.windows(2).map(|pair| usize::from(pair[0] != pair[1])).sum::<usize>()
}

/// Appends the keys.
pub(crate) fn encode(keys: &[u64], out: &mut Vec<u8>) {
    let (mut values, mut lengths) = (Vec::new(), Vec::new());
    for run in keys.chunk_by(|a, b| a == b) {
        values.push(run[0]);
        lengths.push(run.len() as u64);
    }
    out.put_u32(u32::try_from(values.len()).expect("Arrow lengths are 32-bit"));
    bitpack::pack(&lengths, out);
    numbers::encode_flat(&mut values, out);
}

/// Reads `count` keys and hands them on in order, up to a block at a time.
///
/// # Errors
/// `Corrupt` for runs that are empty or do not add up, and as [`bitpack::unpack`].
pub(crate) fn decode(count: usize, reader: &mut ByteReader<'_>, mut each: impl FnMut(&[u64])) -> Result<()> {
    let (lengths, values) = read(count, reader)?;
    let mut block = [0; bitpack::BLOCK_KEYS];
    let mut filled = 0;
    for (length, value) in lengths.into_iter().zip(values) {
        let mut left = length as usize;
        while left > 0 {
            let now = left.min(bitpack::BLOCK_KEYS - filled);
            block[filled..filled + now].fill(value);
            (filled, left) = (filled + now, left - now);
            if filled == bitpack::BLOCK_KEYS {
                each(&block);
                filled = 0;
            }
        }
    }
    each(&block[..filled]);
    Ok(())
}

/// Reads `count` keys and returns those at `positions`, which ascend and are below `count`.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_at(count: usize, positions: &[u32], reader: &mut ByteReader<'_>) -> Result<Vec<u64>> {
    let (lengths, values) = read(count, reader)?;
    let mut runs = lengths.into_iter().zip(values);
    let (mut end, mut key) = (0, 0);
    let at = |position: &u32| {
        while end <= u64::from(*position) {
            // Runs cover all rows, so there is one for each position.
            let Some((length, value)) = runs.next() else { break };
            (end, key) = (end + u64::from(length), value);
        }
        key
    };
    Ok(positions.iter().map(at).collect())
}

fn read(rows: usize, reader: &mut ByteReader<'_>) -> Result<(Vec<u32>, Vec<u64>)> {
    let runs = reader.u32()? as usize;
    if runs > rows {
        return Err(reader.corrupt(format_args!("at most {rows} runs"), runs));
    }
    let lengths = bitpack::unpack_u32(runs, reader)?;
    let sum: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    if sum != rows as u64 || lengths.contains(&0) {
        return Err(reader.corrupt(format_args!("runs of {rows} rows"), sum));
    }
    let mut values = Vec::with_capacity(runs);
    numbers::decode_flat(runs, reader, |block| values.extend_from_slice(block))?;
    Ok((lengths, values))
}
