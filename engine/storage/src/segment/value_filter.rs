//! A small filter over the values of one column chunk: it answers "is this text in here?" with "no" or "maybe", in one cache line.
//!
//! It is a split-block Bloom filter: blocks of 256 bits, eight words of 32. A value's hash (SipHash-1-3 with a zero key) picks the block by
//! its upper half and one bit in each word by its lower half, which is multiplied by a constant of its own for each word and keeps the upper
//! five bits. At 8 bits per distinct value it says "maybe" to some three of a hundred values that are not there.
//!
//! **Invariants**
//! 1. A value that is there is never denied.
//! 2. [`pays`] is pure; what it answers changes size and speed, never a result.
//!
//! It does not know files, or who asks for which values.

use std::collections::HashSet;
use std::hash::Hasher;

use ahash::RandomState;
use arrow_array::StringViewArray;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use siphasher::sip::SipHasher13;

use crate::encoding::Encoding;
use crate::logical_type::LogicalType;

#[cfg(test)]
mod tests;

/// Bytes of a block.
pub(super) const BLOCK_BYTES: usize = 32;

/// Bits per distinct value: another two would halve the false answers and cost a quarter more space.
const BITS_PER_VALUE: usize = 8;

/// One factor per word of a block; odd, otherwise arbitrary. They are on disk.
const FACTORS: [u32; 8] =
    [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d, 0x27d4_eb2f, 0x1656_67b1, 0xd3a2_646d, 0xfd70_46c5, 0xb55a_4f09];

/// Fewer rows are read as quickly as a filter is asked.
const ROWS_MIN: usize = 4096;

/// Values to look at.
const SAMPLE_ROWS: usize = 1024;

/// Longest text that looks like something that is looked up by equality.
const IDENTIFIER_BYTES_MAX: usize = 64;

/// What was seen of the texts of a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sample {
    /// Texts looked at.
    texts: usize,
    /// Different ones among them.
    distinct: usize,
    /// Those that look like identifiers: not long, and without white space.
    identifiers: usize,
    /// Those that are above the one before.
    rising: usize,
}

impl Sample {
    fn of(texts: &StringViewArray) -> Self {
        let step = texts.len().div_ceil(SAMPLE_ROWS).max(1);
        let mut sample = Self::default();
        let mut seen = HashSet::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        let mut last = "";
        for text in texts.iter().step_by(step).flatten() {
            sample.texts += 1;
            sample.distinct += usize::from(seen.insert(text));
            let identifier = (1..=IDENTIFIER_BYTES_MAX).contains(&text.len())
                && !text.bytes().any(|byte| byte.is_ascii_whitespace());
            sample.identifiers += usize::from(identifier);
            sample.rising += usize::from(text > last);
            last = text;
        }
        sample
    }
}

/// Whether a filter is worth its space: the texts are identifiers, mostly different, so that a dictionary does not decide, and in no
/// order, so that bounds do not either.
fn pays(sample: Sample) -> bool {
    let most = |count: usize| count * 10 >= sample.texts * 9;
    let in_order = most(sample.rising) || most(sample.texts - sample.rising);
    sample.texts > 0 && most(sample.distinct) && most(sample.identifiers) && !in_order
}

/// The filter of a chunk that was encoded like that; `None` if none pays.
pub(super) fn build(ty: &LogicalType, encoding: Encoding, array: &ArrayRef) -> Option<Vec<u8>> {
    let by_entries = matches!(encoding, Encoding::Constant | Encoding::Dictionary);
    if by_entries || array.len() < ROWS_MIN || !matches!(ty, LogicalType::Varchar | LogicalType::Uuid) {
        return None;
    }
    let texts = array.as_string_view();
    if !pays(Sample::of(texts)) {
        return None;
    }
    Some(over(texts))
}

/// The filter over these texts; empty if there are none.
pub(super) fn over(texts: &StringViewArray) -> Vec<u8> {
    let mut hashes: Vec<u64> = texts.iter().flatten().map(|text| hash(text.as_bytes())).collect();
    hashes.sort_unstable();
    hashes.dedup();
    let mut filter = vec![0; (hashes.len() * BITS_PER_VALUE).div_ceil(8 * BLOCK_BYTES) * BLOCK_BYTES];
    for hash in hashes {
        let (block, bits) = place(hash, filter.len());
        for (word, bit) in filter[block..block + BLOCK_BYTES].as_chunks_mut::<4>().0.iter_mut().zip(bits) {
            *word = (u32::from_le_bytes(*word) | bit).to_le_bytes();
        }
    }
    filter
}

/// Most bytes of a filter over `rows` rows.
pub(super) fn bytes_max(rows: usize) -> usize {
    (rows * BITS_PER_VALUE).div_ceil(8 * BLOCK_BYTES) * BLOCK_BYTES
}

/// Whether a number of bytes is that of a filter.
pub(super) fn is_length(bytes: u64, rows: usize) -> bool {
    bytes > 0 && bytes <= bytes_max(rows) as u64 && bytes.is_multiple_of(BLOCK_BYTES as u64)
}

/// Whether the value may be there. `filter` has a length that [`is_length`] agrees to.
pub(super) fn may_contain(filter: &[u8], value: &[u8]) -> bool {
    let (block, bits) = place(hash(value), filter.len());
    let words = filter[block..block + BLOCK_BYTES].as_chunks::<4>().0;
    words.iter().zip(bits).all(|(word, bit)| u32::from_le_bytes(*word) & bit != 0)
}

fn hash(value: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(value);
    hasher.finish()
}

/// Where the block of a hash starts, and its bit in each word.
fn place(hash: u64, filter_bytes: usize) -> (usize, [u32; 8]) {
    let blocks = (filter_bytes / BLOCK_BYTES) as u64;
    let block = ((hash >> 32) * blocks) >> 32;
    let bits = FACTORS.map(|factor| 1 << ((hash as u32).wrapping_mul(factor) >> 27));
    (block as usize * BLOCK_BYTES, bits)
}
