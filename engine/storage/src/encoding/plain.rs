//! Values as they are: numbers as they lie in memory, booleans as bits, texts and bytes as packed lengths and data.
//!
//! **Invariant**: nothing is copied on reading. Numbers are handed out where they lie (if that is aligned, as segments see to), texts as
//! views over their bytes.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, ByteViewType};
use arrow_array::{Array, ArrayRef, BooleanArray, GenericByteViewArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::bitpack;
use crate::array_codec::{check_unused_bits, put_bits, with_fixed_width};
use crate::byte_views::{self, Data, Views};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};

/// Appends the values of an array that is not nested; what lies under a NULL is kept or becomes zero.
pub(crate) fn encode(array: &dyn Array, out: &mut Vec<u8>) {
    match array.data_type() {
        DataType::Boolean => put_bits(array.as_boolean().values(), out),
        DataType::Utf8View => encode_bytes(array.as_string_view(), out),
        DataType::BinaryView => encode_bytes(array.as_binary_view(), out),
        fixed => with_fixed_width!(fixed,
            T => out.put(array.as_primitive::<T>().values().inner()),
            other => unreachable!("nested values are not plain: {other}")),
    }
}

fn encode_bytes<T: ByteViewType>(array: &GenericByteViewArray<T>, out: &mut Vec<u8>) {
    let lengths: Vec<u64> = byte_views::lengths(array).map(|length| length as u64).collect();
    out.reserve(lengths.iter().sum::<u64>() as usize);
    bitpack::pack(&lengths, out);
    byte_views::append_values(array, out);
}

/// The values of `rows` rows, which make up all of `values`.
///
/// # Errors
/// `Corrupt` if the length does not fit, bits are set past the last row, or text is not UTF-8.
pub(crate) fn decode(
    data_type: DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let array: ArrayRef = match &data_type {
        DataType::Boolean => {
            let bits = super::take_buffer(values, rows.div_ceil(8) as u64, &mut reader)?;
            check_unused_bits(&bits, rows).map_err(|found| reader.corrupt("zeros in unused bits", found))?;
            Arc::new(BooleanArray::new(BooleanBuffer::new(bits, 0, rows), nulls))
        }
        DataType::Utf8View => decode_bytes(rows, nulls, true, values, &mut reader)?,
        DataType::BinaryView => decode_bytes(rows, nulls, false, values, &mut reader)?,
        fixed => with_fixed_width!(fixed, T => {
            let width = size_of::<<T as ArrowPrimitiveType>::Native>();
            let bytes = super::take_buffer(values, (rows * width) as u64, &mut reader)?;
            let array = PrimitiveArray::<T>::new(numbers(bytes, rows), nulls);
            Arc::new(array.with_data_type(data_type))
        }, other => unreachable!("nested values are not plain: {other}")),
    };
    reader.finish()?;
    Ok(array)
}

/// Numbers in place, or in a copy if they do not lie at a multiple of their size.
fn numbers<N: arrow_buffer::ArrowNativeType>(bytes: Buffer, rows: usize) -> ScalarBuffer<N> {
    let aligned = bytes.as_ptr().align_offset(align_of::<N>()) == 0;
    let bytes = if aligned { bytes } else { Buffer::from(bytes.as_slice()) };
    ScalarBuffer::new(bytes, 0, rows)
}

fn decode_bytes(
    rows: usize,
    nulls: Option<NullBuffer>,
    text: bool,
    values: &Buffer,
    reader: &mut ByteReader<'_>,
) -> Result<ArrayRef> {
    let (lengths, data) = lengths_and_data(rows, values, reader)?;
    let views = Views::new(lengths.iter().map(|length| *length as usize), Data::Shared(&data), text)
        .map_err(|error| reader.corrupt("text or bytes", error))?;
    Ok(views.into_array(nulls))
}

/// The lengths of texts or bytes, and as much data as they sum up to.
pub(crate) fn lengths_and_data(
    rows: usize,
    values: &Buffer,
    reader: &mut ByteReader<'_>,
) -> Result<(Vec<u32>, Buffer)> {
    let lengths = bitpack::unpack_u32(rows, reader)?;
    let data = super::take_buffer(values, lengths.iter().map(|length| u64::from(*length)).sum(), reader)?;
    Ok((lengths, data))
}

/// Texts or bytes at `positions` alone, with their NULLs; the array has a copy of its own. Only the values asked for are checked.
///
/// # Errors
/// As [`decode`].
pub(crate) fn take_bytes(
    rows: usize,
    positions: &[u32],
    nulls: Option<NullBuffer>,
    text: bool,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let (lengths, all) = lengths_and_data(rows, values, &mut reader)?;
    let starts = super::starts(&lengths);
    let ranges = positions.iter().map(|position| starts[*position as usize]..starts[*position as usize + 1]);
    let data = super::copied(&all, ranges.clone());
    let views = Views::new(ranges.map(|range| range.len()), Data::Shared(&data), text)
        .map_err(|error| reader.corrupt("text or bytes", error))?;
    reader.finish()?;
    Ok(views.into_array(nulls))
}
