//! Texts and bytes as codes of one byte that stand for one to eight bytes each, from a table made for the chunk.
//!
//! The number of symbols (u8, at most 255), their lengths (u8 each), their bytes; the bytes of all values together (u64); the
//! length in codes of each value, [packed](super::bitpack); the codes. Code 255 says that the next byte stands for itself. No code reaches
//! from one value into the next, so that a value can be read alone.
//!
//! The table is made on a sample, in rounds: what the last table makes of the sample is counted, and the symbols, and pairs of symbols, that
//! cover the most bytes become the next table.
//!
//! **Invariants**
//! 1. What [`decode`] yields is what [`encode`] was given, whatever the table.
//! 2. Values make at most twice their bytes in codes, and a code makes at most eight bytes.
//!
//! It does not know NULLs, nor what the values mean.

use arrow_array::ArrayRef;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, Buffer, NullBuffer};

use super::bitpack;
use super::symbol_table::{ESCAPE, SYMBOL_BYTES, SYMBOLS_MAX, SymbolTable};
use crate::byte_views::{Data, Views};
use crate::condition::Wanted;
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Appends values that lie one after the other in `data`, of which [`super::texts::Texts`] knows the lengths.
pub(crate) fn encode(table: &SymbolTable, lengths: &[u64], padded: &[u8], codes: &mut Vec<u8>, out: &mut Vec<u8>) {
    let symbols = table.symbols();
    out.put_u8(symbols.len() as u8);
    symbols.iter().for_each(|symbol| out.put_u8(symbol.length));
    for symbol in symbols {
        out.put(&symbol.word.to_le_bytes()[..usize::from(symbol.length)]);
    }
    out.put_u64(lengths.iter().sum());
    codes.clear();
    let mut start = 0;
    let code_lengths: Vec<u64> = lengths
        .iter()
        .map(|length| {
            let (before, end) = (codes.len(), start + *length as usize);
            table.encode(padded, start, end, codes);
            start = end;
            (codes.len() - before) as u64
        })
        .collect();
    bitpack::pack(&code_lengths, out);
    out.put(codes);
}

/// Values as they lie in a body, not yet looked at.
#[derive(Debug)]
pub(crate) struct Coded<'a> {
    words: [u64; 256],
    word_lengths: [u8; 256],
    /// Bytes of all values.
    bytes: usize,
    /// Codes of each value.
    lengths: Vec<u32>,
    codes: &'a [u8],
}

impl<'a> Coded<'a> {
    /// Reads the table and the lengths of `rows` values.
    ///
    /// # Errors
    /// `Corrupt` for symbols of no or too many bytes, or codes that are not there.
    pub(crate) fn read(rows: usize, reader: &mut ByteReader<'a>) -> Result<Self> {
        let symbols = usize::from(reader.u8()?);
        if symbols > SYMBOLS_MAX {
            return Err(reader.corrupt(format_args!("at most {SYMBOLS_MAX} symbols"), symbols));
        }
        let mut coded = Self { words: [0; 256], word_lengths: [0; 256], bytes: 0, lengths: Vec::new(), codes: &[] };
        for (place, length) in reader.take(symbols)?.iter().enumerate() {
            if !(1..=SYMBOL_BYTES).contains(&usize::from(*length)) {
                return Err(reader.corrupt("symbols of 1 to 8 bytes", length));
            }
            coded.word_lengths[place] = *length;
        }
        for place in 0..symbols {
            let mut word = [0; SYMBOL_BYTES];
            let length = usize::from(coded.word_lengths[place]);
            word[..length].copy_from_slice(reader.take(length)?);
            coded.words[place] = u64::from_le_bytes(word);
        }
        let bytes = reader.u64()?;
        coded.lengths = bitpack::unpack_u32(rows, reader)?;
        let codes = coded.lengths.iter().map(|length| u64::from(*length)).sum::<u64>();
        coded.codes = reader.take(usize::try_from(codes).unwrap_or(usize::MAX))?;
        if bytes > codes * SYMBOL_BYTES as u64 {
            return Err(reader.corrupt(format_args!("at most 8 bytes for each of {codes} codes"), bytes));
        }
        coded.bytes = bytes as usize;
        Ok(coded)
    }

    /// All values: their lengths and their bytes.
    ///
    /// # Errors
    /// `Corrupt` for codes without symbol or an escape with nothing after it, or if the bytes are not as many as was said.
    fn decode(&self, reader: &ByteReader<'_>) -> Result<(Vec<u32>, Vec<u8>)> {
        let mut data = vec![0; self.bytes + SYMBOL_BYTES];
        let mut lengths = Vec::with_capacity(self.lengths.len());
        let (mut start, mut end) = (0, 0);
        for length in &self.lengths {
            let codes = &self.codes[start..start + *length as usize];
            let after = self.decode_value(codes, &mut data, end).ok_or_else(|| self.odd(reader))?;
            lengths.push((after - end) as u32);
            (start, end) = (start + codes.len(), after);
        }
        if end != self.bytes {
            return Err(reader.corrupt(format_args!("{} bytes of values", self.bytes), end));
        }
        data.truncate(end);
        Ok((lengths, data))
    }

    /// Writes a value to `data` from `at` on, and up to eight bytes more; where it ends, or `None` if that is not possible.
    #[inline]
    fn decode_value(&self, codes: &[u8], data: &mut [u8], mut at: usize) -> Option<usize> {
        let mut codes = codes.iter();
        while let Some(code) = codes.next() {
            let slot: &mut [u8; SYMBOL_BYTES] = data.get_mut(at..)?.first_chunk_mut()?;
            let length = self.word_lengths[usize::from(*code)];
            *slot = self.words[usize::from(*code)].to_le_bytes();
            at += usize::from(length);
            if length == 0 {
                slot[0] = *codes.next().filter(|_| *code == ESCAPE)?;
                at += 1;
            }
        }
        Some(at)
    }

    fn odd(&self, reader: &ByteReader<'_>) -> crate::error::Error {
        reader.corrupt(format_args!("codes of {} bytes of values", self.bytes), "other codes")
    }
}

/// Reads `rows` values.
///
/// # Errors
/// `Corrupt` for what [`encode`] does not write, and for what is not UTF-8 if `text`.
pub(crate) fn decode(
    rows: usize,
    nulls: Option<NullBuffer>,
    text: bool,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let coded = Coded::read(rows, &mut reader)?;
    let (lengths, data) = coded.decode(&reader)?;
    array(&lengths, data, nulls, text, reader)
}

/// As [`decode`], the values at `positions` alone, with their NULLs.
pub(crate) fn take(
    rows: usize,
    positions: &[u32],
    nulls: Option<NullBuffer>,
    text: bool,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let coded = Coded::read(rows, &mut reader)?;
    let starts = super::starts(&coded.lengths);
    let (mut lengths, mut data, mut end) = (Vec::with_capacity(positions.len()), Vec::new(), 0);
    for position in positions {
        let codes = &coded.codes[starts[*position as usize]..starts[*position as usize + 1]];
        data.resize(end + (codes.len() + 1) * SYMBOL_BYTES, 0);
        let after = coded.decode_value(codes, &mut data, end).ok_or_else(|| coded.odd(&reader))?;
        lengths.push((after - end) as u32);
        end = after;
    }
    data.truncate(end);
    array(&lengths, data, nulls, text, reader)
}

/// Which of `rows` values qualify, each made of its codes in room that all share; one whose number of codes alone tells that it is none of
/// those asked for is not made at all.
///
/// # Errors
/// As [`decode`].
pub(crate) fn matches(wanted: &Wanted<Vec<u8>>, rows: usize, reader: &mut ByteReader<'_>) -> Result<BooleanBuffer> {
    let coded = Coded::read(rows, reader)?;
    let bytes = wanted.lengths();
    // Two codes at most for a byte, eight bytes at most of a code.
    let may_equal = |codes: usize| {
        bytes.as_ref().is_none_or(|(least, most)| codes.div_ceil(2) <= *most && codes * SYMBOL_BYTES >= *least)
    };
    let unequal = wanted.is_unequal();
    let of_empty = wanted.holds::<[u8]>(&[]);
    let longest = coded.lengths.iter().copied().max().unwrap_or(0) as usize;
    let mut value = vec![0; (longest + 1) * SYMBOL_BYTES];
    let mut bits = BooleanBufferBuilder::new(rows);
    let mut start = 0;
    for length in &coded.lengths {
        let codes = &coded.codes[start..start + *length as usize];
        start += codes.len();
        bits.append(if codes.is_empty() {
            of_empty
        } else if may_equal(codes.len()) {
            let bytes = coded.decode_value(codes, &mut value, 0).ok_or_else(|| coded.odd(reader))?;
            wanted.holds::<[u8]>(&value[..bytes])
        } else {
            unequal
        });
    }
    Ok(bits.finish())
}

fn array(
    lengths: &[u32],
    data: Vec<u8>,
    nulls: Option<NullBuffer>,
    text: bool,
    reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let data = Buffer::from_vec(data);
    let views = Views::new(lengths.iter().map(|length| *length as usize), Data::Shared(&data), text)
        .map_err(|error| reader.corrupt("text or bytes", error))?;
    reader.finish()?;
    Ok(views.into_array(nulls))
}
