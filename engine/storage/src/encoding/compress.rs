//! lz4 or zstd as the last stage, where it pays: lz4 on numbers and whatever else lies plain, zstd on texts.
//!
//! **Invariant**: what a length asks for is allocated only if so many bytes can come out of the bytes that are there; more than
//! [`EXPANSION_MAX`] for each are never written.

use arrow_buffer::Buffer;
use lz4_flex::block;

use super::{Compression, choose};
use crate::error::{Error, Result};

/// Bytes tried before all are: enough to see, and quick enough to try in vain.
const TRIAL_BYTES: usize = 32 << 10;

/// Below it the saving is not worth a decision.
const WORTHWHILE_BYTES_MIN: usize = 256;

/// Past it a chunk stays as it is: lz4 counts in 31 bits.
const COMPRESSIBLE_BYTES_MAX: usize = 1 << 30;

/// A byte of lz4 makes at most 255 bytes, the last few aside. zstd could make more, and is then not used.
const EXPANSION_MAX: u64 = 255;

/// The fastest of the usual levels: encoding happens on the machine that takes rows in.
const ZSTD_LEVEL: i32 = 1;

/// The codecs and their memory.
#[derive(Default)]
pub(crate) struct Compressor {
    zstd: Option<zstd::bulk::Compressor<'static>>,
    output: Vec<u8>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Compressor").field("output_bytes", &self.output.len()).finish_non_exhaustive()
    }
}

impl Compressor {
    /// Replaces the bytes from `start` by their compressed form, if that pays; says whether it did.
    pub(crate) fn shrink(&mut self, compression: Compression, start: usize, out: &mut Vec<u8>) -> bool {
        let raw = &out[start..];
        if compression == Compression::None || !(WORTHWHILE_BYTES_MIN..=COMPRESSIBLE_BYTES_MAX).contains(&raw.len()) {
            return false;
        }
        // zstd has been tried when it was chosen.
        if compression == Compression::Lz4 && raw.len() > 2 * TRIAL_BYTES {
            let (tried, compressed) = self.trial(compression, raw);
            if !choose::pays(tried, compressed) {
                return false;
            }
        }
        let smaller = self.compressed(compression, raw);
        let expansion = raw.len() as u64 / smaller.len().max(1) as u64;
        if !choose::pays(raw.len(), smaller.len()) || expansion >= EXPANSION_MAX {
            return false;
        }
        out.truncate(start);
        out.extend_from_slice(smaller);
        true
    }

    /// How many bytes in the middle were tried, and what became of them.
    pub(crate) fn trial(&mut self, compression: Compression, raw: &[u8]) -> (usize, usize) {
        let tried = raw.len().min(TRIAL_BYTES);
        let middle = &raw[(raw.len() - tried) / 2..][..tried];
        (tried, self.compressed(compression, middle).len())
    }

    fn compressed(&mut self, compression: Compression, raw: &[u8]) -> &[u8] {
        let bound = match compression {
            Compression::Zstd => zstd::zstd_safe::compress_bound(raw.len()),
            _ => block::get_maximum_output_size(raw.len()),
        };
        if self.output.len() < bound {
            self.output.resize(bound, 0);
        }
        let length = match compression {
            Compression::Zstd => {
                let zstd = self.zstd.get_or_insert_with(|| {
                    zstd::bulk::Compressor::new(ZSTD_LEVEL).expect("memory for a zstd context and a level it has")
                });
                zstd.compress_to_buffer(raw, self.output.as_mut_slice()).expect("the output has the size zstd asks for")
            }
            _ => block::compress_into(raw, &mut self.output).expect("the output has the size that lz4 asks for"),
        };
        &self.output[..length]
    }
}

/// The `raw_bytes` that were compressed.
///
/// # Errors
/// `Corrupt` if the bytes are not those of that codec and length.
pub(crate) fn grow(
    compression: Compression,
    compressed: &Buffer,
    raw_bytes: u64,
    file: &str,
    offset: u64,
) -> Result<Buffer> {
    if compression == Compression::None {
        return Ok(compressed.clone());
    }
    if raw_bytes > (compressed.len() as u64).saturating_mul(EXPANSION_MAX).saturating_add(64) {
        let most = compressed.len() as u64 * EXPANSION_MAX;
        return Err(Error::corrupt(file, offset, format_args!("{compression:?} of at most {most} bytes"), raw_bytes));
    }
    let mut raw = vec![0; raw_bytes as usize];
    let grown = match compression {
        Compression::Zstd => {
            zstd::bulk::decompress_to_buffer(compressed, raw.as_mut_slice()).map_err(|error| error.to_string())
        }
        _ => block::decompress_into(compressed, &mut raw).map_err(|error| error.to_string()),
    };
    match grown {
        Ok(length) if length as u64 == raw_bytes => Ok(Buffer::from_vec(raw)),
        Ok(length) => Err(Error::corrupt(file, offset, format_args!("{compression:?} of {raw_bytes} bytes"), length)),
        Err(error) => Err(Error::corrupt(file, offset, format_args!("{compression:?} of {raw_bytes} bytes"), error)),
    }
}
