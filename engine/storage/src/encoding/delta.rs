//! Differences of neighbours, packed: for keys that mostly grow, such as event times and sequence numbers.
//!
//! The key before the first (u64), then as many packed differences as there are keys. Differences wrap around and are moved up by
//! 2^63, so that small falls and small rises lie side by side.
//!
//! **Invariant**: the key before the first is chosen to make the first two differences equal, so that it widens nothing.

use super::bitpack;
use super::keys::SIGN;
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// The differences, in place, and the key before the first.
pub(crate) fn differences(keys: &mut [u64]) -> u64 {
    for i in (1..keys.len()).rev() {
        keys[i] = keys[i].wrapping_sub(keys[i - 1]).wrapping_add(SIGN);
    }
    match keys {
        [] => 0,
        [only] => std::mem::replace(only, SIGN),
        [first, second, ..] => std::mem::replace(first, *second).wrapping_sub(*second).wrapping_add(SIGN),
    }
}

/// Appends the keys, which are used up.
pub(crate) fn encode(keys: &mut [u64], out: &mut Vec<u8>) {
    let before = differences(keys);
    out.put_u64(before);
    bitpack::pack(keys, out);
}

/// Reads `count` keys and hands them on in order, a block at a time.
///
/// # Errors
/// As [`bitpack::unpack`].
pub(crate) fn decode(count: usize, reader: &mut ByteReader<'_>, mut each: impl FnMut(&[u64])) -> Result<()> {
    let mut last = reader.u64()?;
    let mut keys = [0; bitpack::BLOCK_KEYS];
    bitpack::unpack(count, reader, |differences| {
        for (key, difference) in keys.iter_mut().zip(differences) {
            last = last.wrapping_add(difference.wrapping_sub(SIGN));
            *key = last;
        }
        each(&keys[..differences.len()]);
    })
}

/// Reads `count` keys and returns those at `positions`, which ascend and are below `count`. What lies past the last is not unpacked.
///
/// # Errors
/// As [`bitpack::blocks`].
pub(crate) fn decode_at(count: usize, positions: &[u32], reader: &mut ByteReader<'_>) -> Result<Vec<u64>> {
    let mut taken = Vec::with_capacity(positions.len());
    let mut last = reader.u64()?;
    let mut differences = [0; bitpack::BLOCK_KEYS];
    let mut wanted = positions;
    bitpack::blocks(count, reader, |start, block| {
        if wanted.is_empty() {
            return;
        }
        let here = bitpack::take_below(&mut wanted, start + block.len());
        let differences = block.unpack(&mut differences);
        let mut next = 0;
        for position in here {
            let end = *position as usize - start + 1;
            last = after(last, &differences[next..end]);
            next = end;
            taken.push(last);
        }
        last = after(last, &differences[next..]);
    })?;
    Ok(taken)
}

/// The key that is reached from `key` by these differences.
fn after(key: u64, differences: &[u64]) -> u64 {
    differences.iter().fold(key, |key, difference| key.wrapping_add(difference.wrapping_sub(SIGN)))
}
