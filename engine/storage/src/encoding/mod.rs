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

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteViewType, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, GenericByteViewArray, UInt32Array, new_null_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_schema::DataType;

use crate::array_codec;
use crate::error::Result;
use crate::frame::ByteReader;
use crate::logical_type::LogicalType;
use crate::zone_map::ZoneMap;

pub(crate) mod bitpack;
mod choose;
mod compress;
pub(crate) mod delta;
mod dictionary;
mod keys;
mod plain;
mod scaled;
mod take;
#[cfg(test)]
mod tests;

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
    /// LIST and STRUCT, NULLs included, as `array_codec` writes them.
    Nested = 6,
    /// Floats as packed integers over a power of ten.
    Scaled = 7,
}

const _: () = assert!(
    Encoding::Constant as u8 == 1
        && Encoding::Plain as u8 == 2
        && Encoding::Packed as u8 == 3
        && Encoding::Delta as u8 == 4
        && Encoding::Dictionary as u8 == 5
        && Encoding::Nested as u8 == 6
        && Encoding::Scaled as u8 == 7,
    "tags are on disk"
);

impl Encoding {
    /// `None` for a tag of a later version.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        let known =
            [Self::Constant, Self::Plain, Self::Packed, Self::Delta, Self::Dictionary, Self::Nested, Self::Scaled];
        known.into_iter().find(|encoding| *encoding as u8 == tag)
    }
}

/// A general codec over the values. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Compression {
    None = 0,
    Lz4 = 1,
}

const _: () = assert!(Compression::None as u8 == 0 && Compression::Lz4 as u8 == 1, "tags are on disk");

impl Compression {
    /// `None` for a tag of a later version.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        [Self::None, Self::Lz4].into_iter().find(|compression| *compression as u8 == tag)
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

/// Encodes chunks, one after the other, reusing its memory.
#[derive(Debug, Default)]
pub(crate) struct Encoder {
    keys: Vec<u64>,
    compressed: Vec<u8>,
}

impl Encoder {
    /// Appends the body of a chunk of at least one row, in the form that suits it, and says what it holds.
    pub(crate) fn encode(&mut self, ty: &LogicalType, array: &ArrayRef, out: &mut Vec<u8>) -> (ChunkForm, ZoneMap) {
        assert!(!array.is_empty(), "a chunk has rows");
        let null_count = array.null_count();
        let nested = matches!(ty, LogicalType::List(_) | LogicalType::Struct(_));
        if null_count == array.len() {
            let form =
                ChunkForm { encoding: Encoding::Constant, compression: Compression::None, null_count, value_bytes: 0 };
            return (form, ZoneMap { null_count: null_count as u64, ..ZoneMap::default() });
        }
        if let Some(nulls) = array.nulls().filter(|_| null_count > 0 && !nested) {
            let start = out.len();
            array_codec::put_bits(nulls.inner(), out);
            out.resize(start + (out.len() - start).next_multiple_of(ALIGNMENT), 0);
        }
        let start = out.len();
        let (encoding, zone_map) = self.encode_values(ty, array, out);
        let value_bytes = (out.len() - start) as u64;
        let compressible = matches!(encoding, Encoding::Plain | Encoding::Nested);
        let compression = match compressible && compress::shrink(start, &mut self.compressed, out) {
            true => Compression::Lz4,
            false => Compression::None,
        };
        (ChunkForm { encoding, compression, null_count, value_bytes }, zone_map)
    }

    fn encode_values(&mut self, ty: &LogicalType, array: &ArrayRef, out: &mut Vec<u8>) -> (Encoding, ZoneMap) {
        match array.data_type() {
            DataType::Utf8View => encode_texts(ty, array.as_string_view(), array, out),
            DataType::BinaryView => encode_texts(ty, array.as_binary_view(), array, out),
            DataType::List(_) | DataType::Struct(_) => {
                array_codec::encode(array, out);
                (Encoding::Nested, ZoneMap::of(ty, array))
            }
            _ => {
                let zone_map = ZoneMap::of(ty, array);
                (self.encode_numbers(array, &zone_map, out), zone_map)
            }
        }
    }

    fn encode_numbers(&mut self, array: &ArrayRef, zone_map: &ZoneMap, out: &mut Vec<u8>) -> Encoding {
        if zone_map.exact && zone_map.min == zone_map.max {
            return encode_constant(array, out);
        }
        let scaled = match array.data_type() {
            DataType::Float32 => scaled::keys_of::<Float32Type>(array.as_primitive(), &mut self.keys),
            DataType::Float64 => scaled::keys_of::<Float64Type>(array.as_primitive(), &mut self.keys),
            _ => None,
        };
        if let Some(exponent) = scaled {
            return self.encode_scaled(exponent, array, out);
        }
        let encoding = match keys::keys_of(array, &mut self.keys) {
            Some(plain_bits) => choose::for_keys(sample_keys(&self.keys, plain_bits)),
            None => Encoding::Plain,
        };
        match encoding {
            Encoding::Packed => bitpack::pack(&self.keys, out),
            Encoding::Delta => delta::encode(&mut self.keys, out),
            _ => plain::encode(array, out),
        }
        encoding
    }

    /// Appends floats of which the keys are at hand, scaled or as they are.
    fn encode_scaled(&self, exponent: u8, array: &ArrayRef, out: &mut Vec<u8>) -> Encoding {
        let plain_bits = 8 * array.data_type().primitive_width().unwrap_or(0) as u32;
        let sample = choose::KeySample { delta_bits: plain_bits, ..sample_keys(&self.keys, plain_bits) };
        if choose::for_keys(sample) == Encoding::Packed {
            scaled::encode(exponent, &self.keys, out);
            return Encoding::Scaled;
        }
        plain::encode(array, out);
        Encoding::Plain
    }
}

/// Appends the first value that is not NULL, for all of them.
fn encode_constant(array: &ArrayRef, out: &mut Vec<u8>) -> Encoding {
    let first = array.nulls().map_or(Some(0), |nulls| nulls.valid_indices().next());
    let first = first.expect("a chunk of NULLs alone has been told apart before");
    array_codec::encode(&array.slice(first, 1), out);
    Encoding::Constant
}

fn encode_texts<T: ByteViewType>(
    ty: &LogicalType,
    texts: &GenericByteViewArray<T>,
    array: &ArrayRef,
    out: &mut Vec<u8>,
) -> (Encoding, ZoneMap) {
    let Some(dictionary) = dictionary_that_pays(texts) else {
        plain::encode(texts, out);
        return (Encoding::Plain, ZoneMap::of(ty, array));
    };
    let zone_map = ZoneMap::of_distinct(ty, texts, dictionary.entries.iter().map(|row| *row as usize));
    if dictionary.entries.len() == 1 {
        return (encode_constant(array, out), zone_map);
    }
    dictionary.encode(texts, out);
    (Encoding::Dictionary, zone_map)
}

/// Most entries of a dictionary: its views stay within a processor's caches.
const DICTIONARY_ENTRIES_MAX: usize = 1 << 14;

fn dictionary_that_pays<T: ByteViewType>(texts: &GenericByteViewArray<T>) -> Option<dictionary::Dictionary> {
    let rows = texts.len();
    let entries_max = (rows.div_ceil(4)).min(DICTIONARY_ENTRIES_MAX);
    if rows > 2 * choose::TEXT_SAMPLE_ROWS {
        let step = rows / choose::TEXT_SAMPLE_ROWS;
        let sampled = (0..choose::TEXT_SAMPLE_ROWS).map(|i| i * step);
        let sample = dictionary::Dictionary::build(texts, sampled, choose::TEXT_SAMPLE_ROWS)?;
        let sample = choose::TextSample { rows: choose::TEXT_SAMPLE_ROWS, distinct: sample.entries.len() };
        if choose::for_texts(sample) != Encoding::Dictionary {
            return None;
        }
    }
    dictionary::Dictionary::build(texts, 0..rows, entries_max)
}

fn sample_keys(keys: &[u64], plain_bits: u32) -> choose::KeySample {
    let blocks = keys.len().div_ceil(bitpack::BLOCK_KEYS);
    let step = blocks.div_ceil(choose::KEY_SAMPLE_BLOCKS);
    let (mut packed_bits, mut delta_bits, mut looked_at) = (0, 0, 0);
    let mut scratch = [0; bitpack::BLOCK_KEYS];
    for block in keys.chunks(bitpack::BLOCK_KEYS).step_by(step) {
        let differences = &mut scratch[..block.len()];
        differences.copy_from_slice(block);
        delta::differences(differences);
        let ((min, max), (least, most)) = (bitpack::range(block), bitpack::range(differences));
        packed_bits += bitpack::width(min, max);
        delta_bits += bitpack::width(least, most);
        looked_at += 1;
    }
    choose::KeySample { plain_bits, packed_bits: packed_bits / looked_at, delta_bits: delta_bits / looked_at }
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
        return Ok(new_null_array(&ty.arrow(), rows));
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
        let values = match form.compression {
            Compression::None => values,
            Compression::Lz4 => compress::grow(&values, form.value_bytes, file, offset)?,
        };
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
    let nested = matches!(ty, LogicalType::List(_) | LogicalType::Struct(_));
    match form.encoding {
        Encoding::Constant if !nested => decode_constant(ty, rows, nulls, reader),
        Encoding::Plain if !nested => plain::decode(data_type, rows, nulls, values, reader),
        Encoding::Packed if keys::has_keys(&data_type) => {
            let array = keys::array_of(data_type, rows, nulls, |each| bitpack::unpack(rows, &mut reader, each))?;
            reader.finish().map(|()| array)
        }
        Encoding::Delta if keys::has_keys(&data_type) => {
            let array = keys::array_of(data_type, rows, nulls, |each| delta::decode(rows, &mut reader, each))?;
            reader.finish().map(|()| array)
        }
        Encoding::Scaled if data_type == DataType::Float32 => scaled::decode::<Float32Type>(rows, nulls, reader),
        Encoding::Scaled if data_type == DataType::Float64 => scaled::decode::<Float64Type>(rows, nulls, reader),
        Encoding::Dictionary if text || data_type == DataType::BinaryView => {
            dictionary::decode(rows, nulls, text, values, reader)
        }
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
