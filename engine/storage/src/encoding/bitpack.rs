//! Numbers packed to the fewest bits, block by block, over each block's smallest value.
//!
//! Numbers are 64-bit [keys](super::keys). A block holds 512 of them, the last one what is left: the smallest key (u64), a width of 0
//! to 64 bits (u8), then each key less the smallest in that many bits. Eight lanes run side by side: key `i` is in lane `i % 8`, and
//! each lane is a string of bits from the lowest, cut into 64-bit words; the first words of all lanes come first, then the second ones. So
//! eight keys are always shifted by the same amount, which is what vector units are good at.
//!
//! **Invariants**
//! 1. What [`unpack`] yields is what [`pack`] was given.
//! 2. Blocks of equal keys take 9 bytes.
//!
//! It does not know what the keys stand for.

use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Keys in a full block.
pub(crate) const BLOCK_KEYS: usize = LANES * 64;
const LANES: usize = 8;
const WORDS_BYTES: usize = LANES * 8;

/// Bits that keys of this range take.
pub(crate) fn width(min: u64, max: u64) -> u32 {
    u64::BITS - (max - min).leading_zeros()
}

/// Smallest and greatest key; `(0, 0)` of none.
pub(crate) fn range(keys: &[u64]) -> (u64, u64) {
    let first = keys.first().copied().unwrap_or(0);
    keys.iter().fold((first, first), |(min, max), key| (min.min(*key), max.max(*key)))
}

/// Appends the keys.
pub(crate) fn pack(keys: &[u64], out: &mut Vec<u8>) {
    for block in keys.chunks(BLOCK_KEYS) {
        let (min, max) = range(block);
        let width = width(min, max);
        out.put_u64(min);
        out.put_u8(width as u8);
        pack_block(block, min, width as usize, out);
    }
}

/// Words per lane for so many keys.
fn words(keys: usize, width: usize) -> usize {
    (keys.div_ceil(LANES) * width).div_ceil(64)
}

fn pack_block(keys: &[u64], min: u64, width: usize, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let mut word = [0_u64; LANES];
    let mut bit = 0;
    let (rows, rest) = keys.as_chunks::<LANES>();
    let mut last = [min; LANES];
    last[..rest.len()].copy_from_slice(rest);
    let last = if rest.is_empty() { &[][..] } else { &[last][..] };
    for row in rows.iter().chain(last) {
        let row = row.map(|key| key.wrapping_sub(min));
        for lane in 0..LANES {
            word[lane] |= row[lane] << bit;
        }
        bit += width;
        if bit >= 64 {
            put_words(&word, out);
            bit -= 64;
            // What of this row did not fit; all of it did if the word is exactly full.
            let used = width - bit;
            word = if bit == 0 { [0; LANES] } else { row.map(|key| key >> used) };
        }
    }
    if bit > 0 {
        put_words(&word, out);
    }
}

fn put_words(words: &[u64; LANES], out: &mut Vec<u8>) {
    let mut bytes = [0; WORDS_BYTES];
    for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
    out.put(&bytes);
}

/// A block of packed keys, not yet unpacked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    keys: usize,
    min: u64,
    width: usize,
    words: &'a [[u8; WORDS_BYTES]],
}

impl<'a> Block<'a> {
    /// Reads the next `keys` of at most [`BLOCK_KEYS`].
    ///
    /// # Errors
    /// `Corrupt` for a width above 64 or missing bytes.
    fn read(keys: usize, reader: &mut ByteReader<'a>) -> Result<Self> {
        let min = reader.u64()?;
        let width = usize::from(reader.u8()?);
        if width > 64 {
            return Err(reader.corrupt("a width of at most 64 bits", width));
        }
        let words = reader.take(words(keys, width) * WORDS_BYTES)?.as_chunks().0;
        Ok(Self { keys, min, width, words })
    }

    /// Number of keys, 1 to [`BLOCK_KEYS`].
    pub(crate) fn len(&self) -> usize {
        self.keys
    }

    /// No key is below the first or above the second; the first occurs.
    pub(crate) fn bounds(&self) -> (u64, u64) {
        (self.min, self.min.saturating_add(self.mask()))
    }

    fn mask(&self) -> u64 {
        u64::MAX.checked_shr(64 - self.width as u32).unwrap_or(0)
    }

    /// Key `i` alone.
    pub(crate) fn key(&self, i: usize) -> u64 {
        let (row, lane) = (i / LANES, i % LANES);
        let (word, shift) = (row * self.width / 64, row * self.width % 64);
        if self.width == 0 {
            return self.min;
        }
        let mut key = lanes(&self.words[word])[lane] >> shift;
        if shift + self.width > 64 {
            key |= lanes(&self.words[word + 1])[lane] << (64 - shift);
        }
        (key & self.mask()).wrapping_add(self.min)
    }

    /// All keys.
    pub(crate) fn unpack<'b>(&self, out: &'b mut [u64; BLOCK_KEYS]) -> &'b [u64] {
        unpack_block(self.words, self.keys.div_ceil(LANES), self.min, self.width, out);
        &out[..self.keys]
    }
}

/// Reads `count` keys and hands them on block by block, still packed, each with the position of its first key.
///
/// # Errors
/// `Corrupt` for a width above 64 or missing bytes.
pub(crate) fn blocks<'a>(
    count: usize,
    reader: &mut ByteReader<'a>,
    mut each: impl FnMut(usize, Block<'a>),
) -> Result<()> {
    for start in (0..count).step_by(BLOCK_KEYS) {
        each(start, Block::read((count - start).min(BLOCK_KEYS), reader)?);
    }
    Ok(())
}

/// Reads `count` keys and hands them on in order, a block at a time.
///
/// # Errors
/// As [`blocks`].
pub(crate) fn unpack(count: usize, reader: &mut ByteReader<'_>, mut each: impl FnMut(&[u64])) -> Result<()> {
    let mut keys = [0; BLOCK_KEYS];
    blocks(count, reader, |_, block| each(block.unpack(&mut keys)))
}

/// Wanted keys of a block up to which each is unpacked by itself: a block takes as long as some fifty of them.
const SINGLE_KEYS_MAX: usize = 48;

/// Reads `count` keys and returns those at `positions`, which ascend and are below `count`.
///
/// # Errors
/// As [`blocks`].
pub(crate) fn unpack_at(count: usize, positions: &[u32], reader: &mut ByteReader<'_>) -> Result<Vec<u64>> {
    let mut taken = Vec::with_capacity(positions.len());
    let mut keys = [0; BLOCK_KEYS];
    let mut wanted = positions;
    blocks(count, reader, |start, block| {
        let here = take_below(&mut wanted, start + block.len());
        if here.len() <= SINGLE_KEYS_MAX {
            taken.extend(here.iter().map(|position| block.key(*position as usize - start)));
        } else {
            let keys = block.unpack(&mut keys);
            taken.extend(here.iter().map(|position| keys[*position as usize - start]));
        }
    })?;
    Ok(taken)
}

/// Cuts off and returns those of ascending positions that are below `end`.
pub(crate) fn take_below<'p>(positions: &mut &'p [u32], end: usize) -> &'p [u32] {
    let (here, later) = positions.split_at(positions.partition_point(|position| (*position as usize) < end));
    *positions = later;
    here
}

fn unpack_block(words: &[[u8; WORDS_BYTES]], rows: usize, min: u64, width: usize, out: &mut [u64; BLOCK_KEYS]) {
    if width == 0 {
        out.fill(min);
        return;
    }
    let mask = u64::MAX >> (64 - width);
    for (row, out) in out.as_chunks_mut::<LANES>().0.iter_mut().take(rows).enumerate() {
        let (word, shift) = (row * width / 64, row * width % 64);
        let low = lanes(&words[word]);
        if shift + width <= 64 {
            for lane in 0..LANES {
                out[lane] = ((low[lane] >> shift) & mask).wrapping_add(min);
            }
        } else {
            let high = lanes(&words[word + 1]);
            for lane in 0..LANES {
                let key = (low[lane] >> shift) | (high[lane] << (64 - shift));
                out[lane] = (key & mask).wrapping_add(min);
            }
        }
    }
}

#[inline]
fn lanes(bytes: &[u8; WORDS_BYTES]) -> [u64; LANES] {
    let mut lanes = [0; LANES];
    for (lane, bytes) in lanes.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *lane = u64::from_le_bytes(*bytes);
    }
    lanes
}

/// Reads `count` keys that are below 2^32, such as lengths and codes.
///
/// # Errors
/// As [`unpack`], and `Corrupt` for a key of 2^32 or more.
pub(crate) fn unpack_u32(count: usize, reader: &mut ByteReader<'_>) -> Result<Vec<u32>> {
    let mut numbers = Vec::with_capacity(count);
    let mut seen = 0;
    unpack(count, reader, |block| {
        seen |= block.iter().fold(0, |seen, key| seen | key);
        numbers.extend(block.iter().map(|key| *key as u32));
    })?;
    match seen >> 32 {
        0 => Ok(numbers),
        _ => Err(reader.corrupt("numbers below 2^32", "a greater one")),
    }
}
