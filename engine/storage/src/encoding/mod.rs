//! How a column chunk lies in a segment: which values-aware form it takes, and the bytes of each.
//!
//! A chunk's body is a bitmap of the rows that are not NULL, padded with zeros to a multiple of 64 bytes (absent if no row or every row is
//! NULL, and in nested chunks, which carry their own), then the values in one [`Encoding`], possibly compressed as a whole.
//! `docs/formats/encodings.md` has the bytes.
//!
//! **Invariants**
//! 1. Tags are on disk: a number never changes its meaning, and an unknown one is refused.
//! 2. [`decode`] gives back the array that [`Encoder::encode`] was given, slot for slot; what lay hidden under a NULL may differ.
//! 3. [`decode`] accepts bytes of any origin; it allocates in proportion to the rows asked for and the bytes given.
//!
//! It does not know files, checksums or where a chunk lies.

use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_schema::DataType;

use crate::array_codec;
use crate::error::Result;
use crate::frame::ByteReader;
use crate::logical_type::LogicalType;
use crate::null_array::null_array;

pub(crate) mod bitpack;
mod child;
mod choose;
mod compress;
pub(crate) mod delta;
mod dictionary;
mod encoder;
pub(crate) mod keys;
mod matches;
mod nested;
mod numbers;
mod plain;
mod runs;
mod scaled;
mod sparse;
mod stepped;
mod symbol_table;
mod symbols;
mod take;
#[cfg(test)]
mod tests;
mod texts;
mod uuid;

pub(crate) use encoder::Encoder;
pub(crate) use matches::{Matches, matches};
pub(crate) use take::take;

/// Bodies start at multiples of this, and so do values after a bitmap: enough for any vector unit.
pub(crate) const ALIGNMENT: usize = 64;

/// A value-aware form. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Encoding {
    /// One value for all rows that are not NULL; no bytes if every row is NULL.
    Constant = 1,
    /// Values as they are.
    Plain = 2,
    /// Keys over the smallest of each block.
    Packed = 3,
    /// Differences between neighbours.
    Delta = 4,
    /// Distinct texts and a code per row.
    Dictionary = 5,
    /// Nested types, NULLs included, as `array_codec` writes them.
    Nested = 6,
    /// Floats as integers over a power of ten.
    Scaled = 7,
    /// Texts as codes of byte strings.
    Symbols = 8,
    /// UUIDs as 16 bytes.
    Uuid = 9,
    /// Runs of equal keys.
    RunLength = 10,
    /// Keys a multiple of some step apart.
    Stepped = 11,
    /// The values that are not NULL.
    Sparse = 12,
    /// Nested types as the columns they are made of.
    Columns = 13,
}

/// Encodings in the order of their tags, from 1.
const ENCODINGS: [Encoding; 13] = [
    Encoding::Constant,
    Encoding::Plain,
    Encoding::Packed,
    Encoding::Delta,
    Encoding::Dictionary,
    Encoding::Nested,
    Encoding::Scaled,
    Encoding::Symbols,
    Encoding::Uuid,
    Encoding::RunLength,
    Encoding::Stepped,
    Encoding::Sparse,
    Encoding::Columns,
];

const _: () = {
    let mut place = 0;
    while place < ENCODINGS.len() {
        assert!(ENCODINGS[place] as usize == place + 1, "tags are on disk");
        place += 1;
    }
};

impl Encoding {
    /// `None` for a tag of a later version.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        ENCODINGS.get(usize::from(tag).checked_sub(1)?).copied()
    }
}

/// A general codec over the values. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Compression {
    None = 0,
    Lz4 = 1,
    Zstd = 2,
}

const _: () = assert!(
    Compression::None as u8 == 0 && Compression::Lz4 as u8 == 1 && Compression::Zstd as u8 == 2,
    "tags are on disk"
);

impl Compression {
    /// `None` for a tag of a later version.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        [Self::None, Self::Lz4, Self::Zstd].into_iter().find(|compression| *compression as u8 == tag)
    }
}

/// What has to be known to decode a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkForm {
    pub(crate) encoding: Encoding,
    pub(crate) compression: Compression,
    /// Rows that are NULL.
    pub(crate) null_count: usize,
    /// Bytes of the values before compression, without the bitmap.
    pub(crate) value_bytes: u64,
}

impl ChunkForm {
    /// Whether every one of its `rows` is NULL, so that the body is empty.
    fn is_null(&self, rows: usize) -> bool {
        self.null_count == rows && self.encoding == Encoding::Constant
    }
}

/// Reads the body of a chunk of `rows` values of `ty`. `file` and `offset` (of the body) are for messages.
///
/// # Errors
/// `Corrupt` for bytes that [`Encoder::encode`] does not write.
pub(crate) fn decode(
    ty: &LogicalType,
    rows: usize,
    form: &ChunkForm,
    body: &Buffer,
    file: &str,
    offset: u64,
) -> Result<ArrayRef> {
    if form.is_null(rows) {
        ByteReader::new(file, offset, body).finish()?;
        return Ok(null_array(ty, rows));
    }
    let opened = Opened::new(rows, form, body, file, offset)?;
    decode_values(ty, rows, form, opened.nulls.clone(), &opened.values, opened.reader(file))
}

/// A body cut into its parts, which are not yet looked at.
#[derive(Debug)]
struct Opened {
    nulls: Option<NullBuffer>,
    /// The values, no longer compressed.
    values: Buffer,
    /// Where the values (compressed or not) are in the file.
    offset: u64,
}

impl Opened {
    /// # Errors
    /// `Corrupt` if the bitmap is not that of `form.null_count` NULLs, or the values are not of the length that `form` says.
    fn new(rows: usize, form: &ChunkForm, body: &Buffer, file: &str, offset: u64) -> Result<Self> {
        let mut reader = ByteReader::new(file, offset, body);
        let nulls = match form.encoding {
            Encoding::Nested => None,
            _ => decode_nulls(rows, form.null_count, body, &mut reader)?,
        };
        let offset = offset + reader.position() as u64;
        let values = body.slice(reader.position());
        // Whatever has children is not compressed: else a few bytes could grow at every level.
        if form.compression != Compression::None && !matches!(form.encoding, Encoding::Plain | Encoding::Nested) {
            let found = format_args!("{:?}, {:?}", form.encoding, form.compression);
            return Err(reader.corrupt("an encoding that may be compressed", found));
        }
        let values = compress::grow(form.compression, &values, form.value_bytes, file, offset)?;
        if values.len() as u64 != form.value_bytes {
            let reader = ByteReader::new(file, offset, &values);
            return Err(reader.corrupt(format_args!("{} bytes of values", form.value_bytes), values.len()));
        }
        Ok(Self { nulls, values, offset })
    }

    fn reader<'a>(&'a self, file: &'a str) -> ByteReader<'a> {
        ByteReader::new(file, self.offset, &self.values)
    }
}

fn decode_nulls(
    rows: usize,
    null_count: usize,
    body: &Buffer,
    reader: &mut ByteReader<'_>,
) -> Result<Option<NullBuffer>> {
    if null_count == 0 {
        return Ok(None);
    }
    let bits = take_buffer(body, rows.div_ceil(8) as u64, reader)?;
    array_codec::check_unused_bits(&bits, rows).map_err(|found| reader.corrupt("zeros in unused bits", found))?;
    let padding = reader.take(bits.len().next_multiple_of(ALIGNMENT) - bits.len())?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(reader.corrupt("zeros after the bitmap", "other bytes"));
    }
    let nulls = NullBuffer::new(BooleanBuffer::new(bits, 0, rows));
    if nulls.null_count() != null_count {
        return Err(reader.corrupt(format_args!("{null_count} NULLs"), nulls.null_count()));
    }
    Ok(Some(nulls))
}

fn decode_values(
    ty: &LogicalType,
    rows: usize,
    form: &ChunkForm,
    nulls: Option<NullBuffer>,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let data_type = ty.arrow();
    let text = matches!(data_type, DataType::Utf8View);
    let nested = ty.is_nested();
    match form.encoding {
        Encoding::Constant if !nested => decode_constant(ty, rows, nulls, reader),
        Encoding::Plain if !nested => plain::decode(data_type, rows, nulls, values, reader),
        Encoding::Packed if keys::has_keys(&data_type) => {
            array_of_keys(ty, rows, nulls, reader, |reader, each| bitpack::unpack(rows, reader, each))
        }
        Encoding::Delta if keys::has_keys(&data_type) => {
            array_of_keys(ty, rows, nulls, reader, |reader, each| delta::decode(rows, reader, each))
        }
        Encoding::Scaled if data_type == DataType::Float32 => scaled::decode::<Float32Type>(rows, nulls, reader),
        Encoding::Scaled if data_type == DataType::Float64 => scaled::decode::<Float64Type>(rows, nulls, reader),
        Encoding::Dictionary if text || data_type == DataType::BinaryView => {
            dictionary::decode(ty, rows, nulls, values, reader)
        }
        Encoding::Symbols if text || data_type == DataType::BinaryView => symbols::decode(rows, nulls, text, reader),
        Encoding::Uuid if text || data_type == DataType::BinaryView => uuid::decode(rows, nulls, text, reader),
        Encoding::RunLength if keys::has_keys(&data_type) => {
            array_of_keys(ty, rows, nulls, reader, |reader, each| runs::decode(rows, reader, each))
        }
        Encoding::Stepped if keys::has_keys(&data_type) => {
            array_of_keys(ty, rows, nulls, reader, |reader, each| stepped::decode(rows, reader, each))
        }
        Encoding::Sparse if !nested => sparse::decode(ty, rows, nulls, values, reader),
        Encoding::Columns if nested => nested::decode(ty, rows, nulls, values, reader),
        Encoding::Nested if nested => {
            let array = array_codec::decode(ty, rows, &mut reader)?;
            if array.null_count() != form.null_count {
                return Err(reader.corrupt(format_args!("{} NULLs", form.null_count), array.null_count()));
            }
            reader.finish().map(|()| array)
        }
        other => Err(reader.corrupt(format_args!("an encoding of {ty}"), format_args!("{other:?}"))),
    }
}

/// An array of `rows` values whose keys `read` hands on and which takes all that `reader` has.
fn array_of_keys(
    ty: &LogicalType,
    rows: usize,
    nulls: Option<NullBuffer>,
    mut reader: ByteReader<'_>,
    read: impl FnOnce(&mut ByteReader<'_>, &mut dyn FnMut(&[u64])) -> Result<()>,
) -> Result<ArrayRef> {
    let array = keys::array_of(ty.arrow(), rows, nulls, |each| read(&mut reader, each))?;
    let array = array.ok_or_else(|| reader.corrupt(format_args!("values of {ty}"), "a number that is none"))?;
    reader.finish().map(|()| array)
}

fn decode_constant(
    ty: &LogicalType,
    rows: usize,
    nulls: Option<NullBuffer>,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let value = array_codec::decode(ty, 1, &mut reader)?;
    if value.null_count() > 0 {
        return Err(reader.corrupt("a value", "NULL"));
    }
    let places = UInt32Array::new(vec![0; rows].into(), nulls);
    let array = arrow_select::take::take(&value, &places, None);
    let array = array.map_err(|error| reader.corrupt("a value", error))?;
    reader.finish().map(|()| array)
}

/// The next bytes of `whole`, sharing its memory; `reader` reads `whole`.
fn take_buffer(whole: &Buffer, bytes: u64, reader: &mut ByteReader<'_>) -> Result<Buffer> {
    let start = reader.position();
    let taken = reader.take(usize::try_from(bytes).unwrap_or(usize::MAX))?;
    Ok(whole.slice_with_length(start, taken.len()))
}

/// Where values of these lengths start that lie one after the other, and where the last one ends.
fn starts(lengths: &[u32]) -> Vec<usize> {
    let mut starts = Vec::with_capacity(lengths.len() + 1);
    let mut end = 0;
    starts.push(0);
    starts.extend(lengths.iter().map(|length| {
        end += *length as usize;
        end
    }));
    starts
}

/// The bytes of these ranges, one after the other. The caller has seen that they lie in `bytes`.
fn copied(bytes: &[u8], ranges: impl Iterator<Item = std::ops::Range<usize>> + Clone) -> Buffer {
    let mut copy = Vec::with_capacity(ranges.clone().map(|range| range.len()).sum());
    ranges.for_each(|range| copy.extend_from_slice(&bytes[range]));
    Buffer::from_vec(copy)
}
