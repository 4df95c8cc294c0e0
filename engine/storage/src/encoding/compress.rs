//! lz4 as the last stage, where it pays.
//!
//! **Invariant**: what a length asks for is allocated only if so many bytes can come out of the bytes that are there.

use arrow_buffer::Buffer;
use lz4_flex::block;

use super::choose;
use crate::error::{Error, Result};

/// Bytes tried before all are: enough to see, and quick enough to try in vain.
const TRIAL_BYTES: usize = 32 << 10;

/// Below it the saving is not worth a decision.
const WORTHWHILE_BYTES_MIN: usize = 256;

/// Past it a chunk stays as it is: the codec counts in 31 bits.
const COMPRESSIBLE_BYTES_MAX: usize = 1 << 30;

/// A byte of lz4 makes at most 255 bytes, the last few aside.
const EXPANSION_MAX: u64 = 255;

/// Replaces the bytes from `start` by their compressed form, if that pays; says whether it did.
pub(crate) fn shrink(start: usize, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> bool {
    let raw = &out[start..];
    if !(WORTHWHILE_BYTES_MIN..=COMPRESSIBLE_BYTES_MAX).contains(&raw.len()) {
        return false;
    }
    if raw.len() > 2 * TRIAL_BYTES {
        let middle = &raw[(raw.len() - TRIAL_BYTES) / 2..][..TRIAL_BYTES];
        if !choose::pays(middle.len(), compressed(middle, scratch).len()) {
            return false;
        }
    }
    let smaller = compressed(raw, scratch);
    if !choose::pays(raw.len(), smaller.len()) {
        return false;
    }
    out.truncate(start);
    out.extend_from_slice(smaller);
    true
}

fn compressed<'a>(raw: &[u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    let bound = block::get_maximum_output_size(raw.len());
    if scratch.len() < bound {
        scratch.resize(bound, 0);
    }
    let length = block::compress_into(raw, scratch).expect("the output has the size that the codec asks for");
    &scratch[..length]
}

/// The `raw_bytes` that were compressed.
///
/// # Errors
/// `Corrupt` if the bytes are not lz4 of that length.
pub(crate) fn grow(compressed: &[u8], raw_bytes: u64, file: &str, offset: u64) -> Result<Buffer> {
    if raw_bytes > (compressed.len() as u64).saturating_mul(EXPANSION_MAX).saturating_add(64) {
        let most = compressed.len() as u64 * EXPANSION_MAX;
        return Err(Error::corrupt(file, offset, format_args!("lz4 of at most {most} bytes"), raw_bytes));
    }
    let mut raw = vec![0; raw_bytes as usize];
    match block::decompress_into(compressed, &mut raw) {
        Ok(length) if length as u64 == raw_bytes => Ok(Buffer::from_vec(raw)),
        Ok(length) => Err(Error::corrupt(file, offset, format_args!("lz4 of {raw_bytes} bytes"), length)),
        Err(error) => Err(Error::corrupt(file, offset, format_args!("lz4 of {raw_bytes} bytes"), error)),
    }
}
