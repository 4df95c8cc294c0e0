//! Any column as plain bytes, and types and single values beside it: what a log record is made of, and the fallback encoding of
//! a segment.
//!
//! An array is a presence byte (0: no NULL, 1: some), then for 1 a bitmap of the rows that are not NULL, then the values:
//! booleans as bits; numbers, times and intervals at their fixed width; text and bytes as a width byte, lengths of that width, and the bytes;
//! a LIST as lengths likewise and its child array; a STRUCT as its children; a MAP as a LIST of STRUCTs. An array of NULLs alone has no
//! values. Numbers are little-endian, bits
//! are counted from the lowest, unused bits are zero.
//!
//! **Invariants**
//! 1. What [`decode`] returns equals what [`encode`] was given, slot for slot; only what lay hidden under a NULL may differ.
//! 2. [`encode`] only appends to `out`: one row costs no allocation.
//! 3. [`decode`] accepts bytes of any origin. It allocates at most 128 bytes for each byte it has seen.
//!
//! It does not know files, checksums or compression.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, ByteViewType};
use arrow_array::{Array, ArrayRef, BooleanArray, GenericByteViewArray, ListArray, PrimitiveArray, StructArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Fields};

use crate::byte_views::{self, Data, Views};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};
use crate::logical_type::LogicalType;
use crate::maps::{lists_of, maps_of};
use crate::null_array::null_array;

#[cfg(test)]
mod tests;
mod types;

pub(crate) use types::{decode_type, decode_value, encode_type, encode_value};

#[cfg(not(target_endian = "little"))]
compile_error!("columns are stored as they lie in memory, little-endian");

const NO_NULLS: u8 = 0;
const SOME_NULLS: u8 = 1;

/// Runs `$body` with `$t` as the Arrow type of a fixed-width [`DataType`], else `$other`.
macro_rules! with_fixed_width {
    ($data_type:expr, $t:ident => $body:expr, $other:pat => $else:expr) => {{
        use arrow_array::types::{
            Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
            IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType, TimestampMillisecondType,
            TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
        };
        use arrow_schema::{IntervalUnit, TimeUnit};
        match $data_type {
            DataType::Int8 => {
                type $t = Int8Type;
                $body
            }
            DataType::Int16 => {
                type $t = Int16Type;
                $body
            }
            DataType::Int32 => {
                type $t = Int32Type;
                $body
            }
            DataType::Int64 => {
                type $t = Int64Type;
                $body
            }
            DataType::UInt8 => {
                type $t = UInt8Type;
                $body
            }
            DataType::UInt16 => {
                type $t = UInt16Type;
                $body
            }
            DataType::UInt32 => {
                type $t = UInt32Type;
                $body
            }
            DataType::UInt64 => {
                type $t = UInt64Type;
                $body
            }
            DataType::Float32 => {
                type $t = Float32Type;
                $body
            }
            DataType::Float64 => {
                type $t = Float64Type;
                $body
            }
            DataType::Decimal128(..) => {
                type $t = Decimal128Type;
                $body
            }
            DataType::Date32 => {
                type $t = Date32Type;
                $body
            }
            DataType::Time64(_) => {
                type $t = Time64MicrosecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Second, _) => {
                type $t = TimestampSecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                type $t = TimestampMillisecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                type $t = TimestampMicrosecondType;
                $body
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                type $t = TimestampNanosecondType;
                $body
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                type $t = IntervalMonthDayNanoType;
                $body
            }
            $other => $else,
        }
    }};
}
pub(crate) use with_fixed_width;

/// Appends an array in the Arrow form of some [`LogicalType`].
///
/// # Panics
/// If no column type has this Arrow form.
pub(crate) fn encode(array: &dyn Array, out: &mut Vec<u8>) {
    encode_nulls(array.nulls(), out);
    if array.null_count() == array.len() && !array.is_empty() {
        return;
    }
    match array.data_type() {
        DataType::Boolean => put_bits(array.as_boolean().values(), out),
        DataType::Utf8View => encode_bytes(array.as_string_view(), out),
        DataType::BinaryView => encode_bytes(array.as_binary_view(), out),
        DataType::List(_) => encode_list(array.as_list::<i32>(), out),
        DataType::Map(..) => encode_list(&lists_of(array.as_map()), out),
        DataType::Struct(_) => {
            for child in array.as_struct().columns() {
                encode(child, out);
            }
        }
        fixed => with_fixed_width!(fixed,
            T => out.put(array.as_primitive::<T>().values().inner()),
            other => panic!("no column type has this Arrow form: {other}")),
    }
}

/// Appends the presence byte and, if any row is NULL, the bitmap.
fn encode_nulls(nulls: Option<&NullBuffer>, out: &mut Vec<u8>) {
    match nulls.filter(|nulls| nulls.null_count() > 0) {
        None => out.put_u8(NO_NULLS),
        Some(nulls) => {
            out.put_u8(SOME_NULLS);
            put_bits(nulls.inner(), out);
        }
    }
}

/// Appends bits from the lowest of the first byte; the unused ones of the last byte are zero.
pub(crate) fn put_bits(bits: &BooleanBuffer, out: &mut Vec<u8>) {
    let end = out.len() + bits.len().div_ceil(8);
    let chunks = bits.bit_chunks();
    for word in chunks.iter() {
        out.put_u64(word);
    }
    if chunks.remainder_len() > 0 {
        out.put_u64(chunks.remainder_bits());
    }
    out.truncate(end);
}

fn encode_bytes<T: ByteViewType>(array: &GenericByteViewArray<T>, out: &mut Vec<u8>) {
    put_lengths(byte_views::lengths(array), out);
    byte_views::append_values(array, out);
}

fn encode_list(array: &ListArray, out: &mut Vec<u8>) {
    let offsets = array.offsets();
    put_lengths(offsets.windows(2).map(|pair| (pair[1] - pair[0]) as usize), out);
    let (first, last) = (offsets[0] as usize, offsets[array.len()] as usize);
    if first == 0 && last == array.values().len() {
        encode(array.values(), out);
    } else {
        encode(&array.values().slice(first, last - first), out);
    }
}

/// Appends the width of a length (1, 2 or 4 bytes), then the lengths.
fn put_lengths(lengths: impl ExactSizeIterator<Item = usize> + Clone, out: &mut Vec<u8>) {
    let longest = lengths.clone().max().unwrap_or(0);
    assert!(longest <= u32::MAX as usize, "Arrow lengths are 32-bit");
    if longest <= usize::from(u8::MAX) {
        out.put_u8(1);
        out.extend(lengths.map(|length| length as u8));
    } else if longest <= usize::from(u16::MAX) {
        out.put_u8(2);
        lengths.for_each(|length| out.put_u16(length as u16));
    } else {
        out.put_u8(4);
        lengths.for_each(|length| out.put_u32(length as u32));
    }
}

/// Reads an array of `rows` values of `ty`, in its Arrow form.
///
/// # Errors
/// `Corrupt` for bytes that [`encode`] does not write.
pub(crate) fn decode(ty: &LogicalType, rows: usize, reader: &mut ByteReader<'_>) -> Result<ArrayRef> {
    let nulls = decode_nulls(rows, reader)?;
    if nulls.as_ref().is_some_and(|nulls| nulls.null_count() == rows) {
        return Ok(null_array(ty, rows));
    }
    match ty {
        LogicalType::Boolean => Ok(Arc::new(BooleanArray::new(take_bits(rows, reader)?, nulls))),
        text if text.is_text() => decode_bytes(rows, nulls, true, reader),
        LogicalType::Blob => decode_bytes(rows, nulls, false, reader),
        LogicalType::List(item) | LogicalType::Array(item, _) => Ok(Arc::new(decode_list(item, rows, nulls, reader)?)),
        LogicalType::Struct(fields) => decode_struct(fields, rows, nulls, reader),
        LogicalType::Map(parts) => {
            let lists = decode_list(&LogicalType::entry(parts), rows, nulls, reader)?;
            let maps = maps_of(&ty.arrow(), &lists).map_err(|error| reader.corrupt("a map", error))?;
            Ok(Arc::new(maps))
        }
        fixed => {
            let data_type = fixed.arrow();
            with_fixed_width!(&data_type,
                T => decode_fixed_width::<T>(data_type, rows, nulls, reader),
                other => unreachable!("not of fixed width: {other}"))
        }
    }
}

fn decode_nulls(rows: usize, reader: &mut ByteReader<'_>) -> Result<Option<NullBuffer>> {
    match reader.u8()? {
        NO_NULLS => Ok(None),
        SOME_NULLS => {
            let nulls = NullBuffer::new(take_bits(rows, reader)?);
            match nulls.null_count() {
                0 => Err(reader.corrupt("a NULL in the bitmap", "none")),
                _ => Ok(Some(nulls)),
            }
        }
        found => Err(reader.corrupt("presence 0 or 1", found)),
    }
}

fn take_bits(count: usize, reader: &mut ByteReader<'_>) -> Result<BooleanBuffer> {
    let bytes = reader.take(count.div_ceil(8))?;
    check_unused_bits(bytes, count).map_err(|found| reader.corrupt("zeros in unused bits", found))?;
    Ok(BooleanBuffer::new(Buffer::from(bytes), 0, count))
}

/// Whether the bits past `count` in the last byte are zero, else that byte.
pub(crate) fn check_unused_bits(bytes: &[u8], count: usize) -> Result<(), u8> {
    match (bytes.last(), count % 8) {
        (Some(last), used @ 1..) if last >> used != 0 => Err(*last),
        _ => Ok(()),
    }
}

fn decode_fixed_width<T: ArrowPrimitiveType>(
    data_type: DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    reader: &mut ByteReader<'_>,
) -> Result<ArrayRef> {
    let bytes = reader.take(rows.saturating_mul(size_of::<T::Native>()))?;
    let values = ScalarBuffer::<T::Native>::new(Buffer::from(bytes), 0, rows);
    Ok(Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(data_type)))
}

/// Lengths as they lie in the bytes.
#[derive(Clone, Copy, Debug)]
enum Lengths<'a> {
    Bytes(&'a [u8]),
    Halves(&'a [[u8; 2]]),
    Words(&'a [[u8; 4]]),
}

impl<'a> Lengths<'a> {
    fn take(rows: usize, reader: &mut ByteReader<'a>) -> Result<Self> {
        let width = reader.u8()?;
        if !matches!(width, 1 | 2 | 4) {
            return Err(reader.corrupt("lengths of 1, 2 or 4 bytes", width));
        }
        let bytes = reader.take(rows.saturating_mul(usize::from(width)))?;
        Ok(match width {
            1 => Self::Bytes(bytes),
            2 => Self::Halves(bytes.as_chunks().0),
            _ => Self::Words(bytes.as_chunks().0),
        })
    }

    /// Cannot overflow: there are fewer than 2^32 lengths for each 4 GiB of input, each below 2^32.
    fn sum(self) -> u64 {
        match self {
            Self::Bytes(lengths) => lengths.iter().map(|length| u64::from(*length)).sum(),
            Self::Halves(lengths) => lengths.iter().map(|length| u64::from(u16::from_le_bytes(*length))).sum(),
            Self::Words(lengths) => lengths.iter().map(|length| u64::from(u32::from_le_bytes(*length))).sum(),
        }
    }

    fn views(self, data: Data<'a>, text: bool) -> Result<Views<'a>, byte_views::ViewsError> {
        match self {
            Self::Bytes(lengths) => Views::new(lengths.iter().map(|length| usize::from(*length)), data, text),
            Self::Halves(lengths) => {
                Views::new(lengths.iter().map(|length| usize::from(u16::from_le_bytes(*length))), data, text)
            }
            Self::Words(lengths) => {
                Views::new(lengths.iter().map(|length| u32::from_le_bytes(*length) as usize), data, text)
            }
        }
    }

    /// List offsets; the caller has seen that the sum fits.
    fn offsets(self) -> OffsetBuffer<i32> {
        match self {
            Self::Bytes(lengths) => OffsetBuffer::from_lengths(lengths.iter().map(|length| usize::from(*length))),
            Self::Halves(lengths) => {
                OffsetBuffer::from_lengths(lengths.iter().map(|length| usize::from(u16::from_le_bytes(*length))))
            }
            Self::Words(lengths) => {
                OffsetBuffer::from_lengths(lengths.iter().map(|length| u32::from_le_bytes(*length) as usize))
            }
        }
    }
}

fn decode_bytes(rows: usize, nulls: Option<NullBuffer>, text: bool, reader: &mut ByteReader<'_>) -> Result<ArrayRef> {
    let lengths = Lengths::take(rows, reader)?;
    let data = reader.take(usize::try_from(lengths.sum()).unwrap_or(usize::MAX))?;
    let views = lengths.views(Data::Borrowed(data), text).map_err(|error| reader.corrupt("text or bytes", error))?;
    Ok(views.into_array(nulls))
}

fn decode_list(
    item: &LogicalType,
    rows: usize,
    nulls: Option<NullBuffer>,
    reader: &mut ByteReader<'_>,
) -> Result<ListArray> {
    let lengths = Lengths::take(rows, reader)?;
    let children = i32::try_from(lengths.sum())
        .map_err(|_| reader.corrupt(format_args!("at most {} list items", i32::MAX), lengths.sum()))?;
    let child = decode(item, children as usize, reader)?;
    let field = Arc::new(item.field("item", true));
    Ok(ListArray::new(field, lengths.offsets(), child, nulls))
}

fn decode_struct(
    fields: &[(String, LogicalType)],
    rows: usize,
    nulls: Option<NullBuffer>,
    reader: &mut ByteReader<'_>,
) -> Result<ArrayRef> {
    let children = fields.iter().map(|(_, ty)| decode(ty, rows, reader)).collect::<Result<Vec<_>>>()?;
    let arrow_fields: Fields = fields.iter().map(|(name, ty)| ty.field(name, true)).collect();
    let array = StructArray::try_new_with_length(arrow_fields, children, nulls, rows)
        .map_err(|error| reader.corrupt("a struct", error))?;
    Ok(Arc::new(array))
}
