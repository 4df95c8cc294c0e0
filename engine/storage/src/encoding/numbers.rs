//! Keys that say how they are encoded: a part of other encodings, such as a dictionary's codes, the lengths of lists, or scaled floats.
//!
//! The tag of an encoding (u8: packed, delta or run-length), then the keys in it.
//!
//! **Invariant**: runs are not made of runs, so that reading does not nest.

use super::{Encoding, bitpack, choose, delta, runs};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Appends keys, which are used up, in the encoding that suits them.
pub(crate) fn encode(keys: &mut [u64], out: &mut Vec<u8>) {
    let encoding = choose::for_numbers(choose::sample_keys(keys, u64::BITS));
    encode_as(encoding, keys, out);
}

/// [`encode`] for the values of runs.
pub(crate) fn encode_flat(keys: &mut [u64], out: &mut Vec<u8>) {
    let sample = choose::KeySample { rows_per_run: 1, ..choose::sample_keys(keys, u64::BITS) };
    encode_as(choose::for_numbers(sample), keys, out);
}

fn encode_as(encoding: Encoding, keys: &mut [u64], out: &mut Vec<u8>) {
    out.put_u8(encoding as u8);
    match encoding {
        Encoding::Delta => delta::encode(keys, out),
        Encoding::RunLength => runs::encode(keys, out),
        _ => bitpack::pack(keys, out),
    }
}

/// Reads `count` keys and hands them on in order, a block at a time.
///
/// # Errors
/// `Corrupt` for another encoding, and as that encoding.
pub(crate) fn decode(count: usize, reader: &mut ByteReader<'_>, each: impl FnMut(&[u64])) -> Result<()> {
    match tag(reader)? {
        Encoding::RunLength => runs::decode(count, reader, each),
        flat => decode_as(flat, count, reader, each),
    }
}

/// [`decode`] for the values of runs.
pub(crate) fn decode_flat(count: usize, reader: &mut ByteReader<'_>, each: impl FnMut(&[u64])) -> Result<()> {
    match tag(reader)? {
        Encoding::RunLength => Err(reader.corrupt("packed or delta keys", "runs")),
        flat => decode_as(flat, count, reader, each),
    }
}

fn decode_as(encoding: Encoding, count: usize, reader: &mut ByteReader<'_>, each: impl FnMut(&[u64])) -> Result<()> {
    match encoding {
        Encoding::Delta => delta::decode(count, reader, each),
        _ => bitpack::unpack(count, reader, each),
    }
}

/// Reads `count` keys that are below 2^32.
///
/// # Errors
/// As [`decode`], and `Corrupt` for a key of 2^32 or more.
pub(crate) fn decode_u32(count: usize, reader: &mut ByteReader<'_>) -> Result<Vec<u32>> {
    let mut numbers = Vec::with_capacity(count);
    let mut seen = 0;
    decode(count, reader, |block| {
        seen |= block.iter().fold(0, |seen, key| seen | key);
        numbers.extend(block.iter().map(|key| *key as u32));
    })?;
    match seen >> 32 {
        0 => Ok(numbers),
        _ => Err(reader.corrupt("numbers below 2^32", "a greater one")),
    }
}

/// Reads `count` keys and returns those at `positions`, which ascend and are below `count`.
///
/// # Errors
/// As [`decode`].
pub(crate) fn decode_at(count: usize, positions: &[u32], reader: &mut ByteReader<'_>) -> Result<Vec<u64>> {
    match tag(reader)? {
        Encoding::Delta => delta::decode_at(count, positions, reader),
        Encoding::RunLength => runs::decode_at(count, positions, reader),
        _ => bitpack::unpack_at(count, positions, reader),
    }
}

fn tag(reader: &mut ByteReader<'_>) -> Result<Encoding> {
    let tag = reader.u8()?;
    match Encoding::from_tag(tag) {
        Some(encoding @ (Encoding::Packed | Encoding::Delta | Encoding::RunLength)) => Ok(encoding),
        _ => Err(reader.corrupt("packed, delta or run-length keys", tag)),
    }
}
