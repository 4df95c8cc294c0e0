//! Which encoding suits a column chunk, judged by a sample.
//!
//! **Invariant**: pure; the same sample always gives the same answer, and any answer is correct, only larger or slower than another.

use super::{Compression, Encoding, bitpack, delta, runs};

/// What was seen of keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeySample {
    /// Bits of a value as it lies in memory.
    pub(crate) plain_bits: u32,
    /// Bits per value when packed over the smallest of each block.
    pub(crate) packed_bits: u32,
    /// Bits per value when differences are packed.
    pub(crate) delta_bits: u32,
    /// Neighbours that are equal, on average, rounded down.
    pub(crate) rows_per_run: u32,
}

/// What was seen of distinct values among texts or bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextSample {
    /// Rows looked at, spread over the chunk.
    pub(crate) rows: usize,
    /// Different values among them.
    pub(crate) distinct: usize,
    /// Most entries that a dictionary may have.
    pub(crate) entries_max: usize,
}

/// A dictionary that was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DictionarySize {
    pub(crate) rows: usize,
    pub(crate) entries: usize,
    /// Bytes of the entries.
    pub(crate) entry_bytes: usize,
    /// Bytes of all values.
    pub(crate) bytes: usize,
}

/// What became of texts or bytes, reckoned from a sample for all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteSample {
    /// As they are.
    pub(crate) bytes: usize,
    /// As codes of symbols, with the table.
    pub(crate) symbols: usize,
    /// Compressed.
    pub(crate) compressed: usize,
}

/// Rows of texts to look at: enough to tell a few thousand values from many.
pub(crate) const TEXT_SAMPLE_ROWS: usize = 1024;

/// Bytes of texts from which symbols are made.
pub(crate) const SYMBOL_SAMPLE_BYTES: usize = 16 << 10;
/// Bytes of a value that go into a sample at most, so that one long value is not all of it.
pub(crate) const SAMPLED_VALUE_BYTES_MAX: usize = 512;
/// Bytes of a chunk below which it gets no symbols: their table would outweigh them.
pub(crate) const SYMBOLS_BYTES_MIN: usize = 512;

/// Rows of floats to look at.
pub(crate) const FLOAT_SAMPLE_ROWS: usize = 256;

/// Blocks of keys to look at.
const KEY_SAMPLE_BLOCKS: usize = 8;

/// Bits that differences must save over packing, because they are undone one after the other.
const DELTA_MARGIN_BITS: u32 = 2;

/// Bits of the length of a run.
const RUN_LENGTH_BITS: u32 = 4;

/// What a quarter of blocks of keys, or all of a few, look like.
pub(crate) fn sample_keys(keys: &[u64], plain_bits: u32) -> KeySample {
    let blocks = keys.len().div_ceil(bitpack::BLOCK_KEYS).max(1);
    let step = blocks.div_ceil(KEY_SAMPLE_BLOCKS);
    let (mut packed_bits, mut delta_bits, mut looked_at, mut rows, mut run_count) = (0, 0, 0, 0, 0);
    let mut scratch = [0; bitpack::BLOCK_KEYS];
    for block in keys.chunks(bitpack::BLOCK_KEYS).step_by(step) {
        let differences = &mut scratch[..block.len()];
        differences.copy_from_slice(block);
        delta::differences(differences);
        let ((min, max), (least, most)) = (bitpack::range(block), bitpack::range(differences));
        packed_bits += bitpack::width(min, max);
        delta_bits += bitpack::width(least, most);
        looked_at += 1;
        rows += block.len();
        run_count += runs::count(block);
    }
    KeySample {
        plain_bits,
        packed_bits: packed_bits / looked_at.max(1),
        delta_bits: delta_bits / looked_at.max(1),
        rows_per_run: (rows / run_count.max(1)) as u32,
    }
}

/// The encoding of keys that have to be encoded.
pub(crate) fn for_numbers(sample: KeySample) -> Encoding {
    let (flat, bits) = if sample.delta_bits + DELTA_MARGIN_BITS <= sample.packed_bits {
        (Encoding::Delta, sample.delta_bits)
    } else {
        (Encoding::Packed, sample.packed_bits)
    };
    // A run costs a key, for which the better of the two forms is at hand as well, and a length.
    let run_bits = sample.packed_bits.min(sample.delta_bits + 1) + RUN_LENGTH_BITS;
    if sample.rows_per_run > 1 && run_bits * 5 <= bits * sample.rows_per_run * 4 { Encoding::RunLength } else { flat }
}

/// The encoding of numbers that have keys.
pub(crate) fn for_keys(sample: KeySample) -> Encoding {
    let best = for_numbers(sample);
    let bits = sample.packed_bits.min(sample.delta_bits);
    // Plain values need no decoding at all, which is worth a tenth of their size.
    if best == Encoding::RunLength || bits * 10 <= sample.plain_bits * 9 { best } else { Encoding::Plain }
}

/// Whether so many NULLs are better left out than given a value of their own.
pub(crate) fn is_sparse(rows: usize, nulls: usize) -> bool {
    nulls * 8 >= rows
}

/// Exceptions past which floats are no short decimals.
pub(crate) fn exceptions_max(rows: usize) -> usize {
    rows / 8
}

/// Whether a dictionary is worth trying: from the values that the sample has twice follows how many there are in all.
pub(crate) fn for_texts(sample: TextSample) -> bool {
    let twice = sample.rows - sample.distinct;
    // Of n values drawn from D, about n * n / 2D repeat an earlier one.
    twice * 2 > sample.distinct || sample.rows * sample.rows / 2 <= twice * sample.entries_max
}

/// Whether a dictionary saves a tenth over the texts themselves, given that symbols halve either.
pub(crate) fn dictionary_pays(size: DictionarySize) -> bool {
    let code_bits = bitpack::width(0, size.entries as u64 - 1) as usize;
    let dictionary = size.entry_bytes / 2 + size.entries + size.rows * code_bits / 8;
    dictionary * 10 <= (size.bytes / 2 + size.rows / 2) * 9
}

/// The encoding of texts or bytes that are mostly different, and the compression to try on them.
pub(crate) fn for_bytes(sample: ByteSample) -> (Encoding, Compression) {
    let symbols_pay = pays(sample.bytes, sample.symbols);
    let (best, bytes) = if symbols_pay { (Encoding::Symbols, sample.symbols) } else { (Encoding::Plain, sample.bytes) };
    // A compressed chunk is read as a whole or not at all; symbols can be read one by one.
    match sample.compressed * 5 <= bytes * 4 {
        true => (Encoding::Plain, Compression::Zstd),
        false => (best, Compression::None),
    }
}

/// Whether compression saves enough to be worth undoing at every read.
pub(crate) fn pays(raw_bytes: usize, compressed_bytes: usize) -> bool {
    compressed_bytes * 5 <= raw_bytes * 4
}

#[cfg(test)]
mod tests;
