//! Which encoding suits a column chunk, judged by a sample.
//!
//! **Invariant**: pure; the same sample always gives the same answer, and any answer is correct, only larger or slower than another.

use super::Encoding;

/// What was seen of numbers that have keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySample {
    /// Bits of a value as it lies in memory.
    pub(crate) plain_bits: u32,
    /// Bits per value when packed over the smallest of each block.
    pub(crate) packed_bits: u32,
    /// Bits per value when differences are packed.
    pub(crate) delta_bits: u32,
}

/// What was seen of texts or bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextSample {
    /// Rows looked at.
    pub(crate) rows: usize,
    /// Different values among them.
    pub(crate) distinct: usize,
}

/// Rows of texts to look at: enough to tell a few hundred values from many thousands.
pub(crate) const TEXT_SAMPLE_ROWS: usize = 1024;

/// Blocks of keys to look at.
pub(crate) const KEY_SAMPLE_BLOCKS: usize = 8;

/// Bits that differences must save over packing, because they are undone one after the other.
const DELTA_MARGIN_BITS: u32 = 2;

/// The encoding of numbers that have keys.
pub(crate) fn for_keys(sample: KeySample) -> Encoding {
    let (best, bits) = if sample.delta_bits + DELTA_MARGIN_BITS <= sample.packed_bits {
        (Encoding::Delta, sample.delta_bits)
    } else {
        (Encoding::Packed, sample.packed_bits)
    };
    // Plain values need no decoding at all, which is worth a tenth of their size.
    if bits * 10 <= sample.plain_bits * 9 { best } else { Encoding::Plain }
}

/// The encoding of texts or bytes.
pub(crate) fn for_texts(sample: TextSample) -> Encoding {
    if sample.distinct * 2 <= sample.rows { Encoding::Dictionary } else { Encoding::Plain }
}

/// Whether compression saves enough to be worth undoing at every read.
pub(crate) fn pays(raw_bytes: usize, compressed_bytes: usize) -> bool {
    compressed_bytes * 5 <= raw_bytes * 4
}

#[cfg(test)]
mod tests;
