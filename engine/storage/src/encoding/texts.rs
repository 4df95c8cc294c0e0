//! Texts or bytes one after the other, and the form that suits them when they are mostly different.
//!
//! **Invariant**: the bytes go on for eight zeros after the last value, so that eight can be read from any place.

use arrow_array::types::ByteViewType;
use arrow_array::{Array, GenericByteViewArray};

use super::symbol_table::{SYMBOL_BYTES, SymbolTable};
use super::{Compression, Encoding, bitpack, choose, compress::Compressor, symbols, uuid};
use crate::byte_views;

/// The values of a chunk, and room to work on them.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// Bytes of each value; 0 for a NULL.
    lengths: Vec<u64>,
    /// Whether a value that is not NULL is empty.
    any_empty: bool,
    padded: Vec<u8>,
    codes: Vec<u8>,
}

impl Texts {
    /// Gathers the values of an array.
    pub(crate) fn load<T: ByteViewType>(&mut self, array: &GenericByteViewArray<T>) {
        self.lengths.clear();
        self.lengths.extend(byte_views::lengths(array).map(|length| length as u64));
        self.any_empty = self.lengths.iter().filter(|length| **length == 0).count() > array.null_count();
        self.padded.clear();
        self.padded.reserve(self.lengths.iter().sum::<u64>() as usize + SYMBOL_BYTES);
        byte_views::append_values(array, &mut self.padded);
        self.padded.extend_from_slice(&[0; SYMBOL_BYTES]);
    }

    fn data(&self) -> &[u8] {
        &self.padded[..self.padded.len() - SYMBOL_BYTES]
    }

    /// Appends the values and says how, and which compression to try on that.
    pub(crate) fn encode(&mut self, compressor: &mut Compressor, out: &mut Vec<u8>) -> (Encoding, Compression) {
        // Zeros stand for a NULL, and cannot stand for an empty text as well.
        let may_be_uuids = self.data().len() >= uuid::TEXT_BYTES && !self.any_empty;
        if may_be_uuids && uuid::encode(&self.lengths, self.data(), out) {
            return (Encoding::Uuid, Compression::None);
        }
        let (table, sample) = self.sample(compressor);
        match choose::for_bytes(sample) {
            (Encoding::Symbols, compression) => {
                symbols::encode(&table, &self.lengths, &self.padded, &mut self.codes, out);
                (Encoding::Symbols, compression)
            }
            (_, compression) => {
                out.reserve(self.data().len());
                bitpack::pack(&self.lengths, out);
                out.extend_from_slice(self.data());
                (Encoding::Plain, compression)
            }
        }
    }

    /// A symbol table, and what it and the compressor make of a sample.
    fn sample(&mut self, compressor: &mut Compressor) -> (SymbolTable, choose::ByteSample) {
        let data = self.data();
        if data.len() < choose::SYMBOLS_BYTES_MIN {
            let bytes = data.len();
            return (SymbolTable::default(), choose::ByteSample { bytes, symbols: bytes, compressed: bytes });
        }
        let ranges = self.sample_ranges();
        let table = SymbolTable::train(&self.padded, &ranges);
        let sampled: usize = ranges.iter().map(ExactSizeIterator::len).sum();
        self.codes.clear();
        for range in &ranges {
            table.encode(&self.padded, range.start, range.end, &mut self.codes);
        }
        let data = &self.padded[..self.padded.len() - SYMBOL_BYTES];
        let (tried, compressed) = compressor.trial(Compression::Zstd, data);
        let bytes = data.len();
        let scaled = |part: usize, of: usize| (part as u64 * bytes as u64 / of.max(1) as u64) as usize;
        let sample = choose::ByteSample {
            bytes,
            symbols: scaled(self.codes.len(), sampled) + table.bytes(),
            compressed: scaled(compressed, tried),
        };
        (table, sample)
    }

    /// Values spread over the chunk, cut where they are long, of some [`choose::SYMBOL_SAMPLE_BYTES`] in all.
    fn sample_ranges(&self) -> Vec<std::ops::Range<usize>> {
        let mut ranges = Vec::new();
        let every = self.data().len().div_ceil(choose::SYMBOL_SAMPLE_BYTES).max(1);
        let (mut start, mut due, mut taken) = (0, 0, 0);
        for length in &self.lengths {
            let end = start + *length as usize;
            // A value is taken when the sample has fallen behind its share of the bytes so far.
            if end > due && end > start {
                let cut = end.min(start + choose::SAMPLED_VALUE_BYTES_MAX);
                taken += cut - start;
                ranges.push(start..cut);
                due = (taken * every).max(end);
            }
            start = end;
        }
        ranges
    }
}
