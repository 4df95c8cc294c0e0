//! Single values of a column chunk, without decoding the others where the encoding allows it.
//!
//! | encoding | what is unpacked |
//! |---|---|
//! | constant, plain numbers | nothing |
//! | packed, scaled | the keys asked for, or their blocks if they are many |
//! | run-length, stepped | the runs; otherwise as the keys within |
//! | symbols, UUID | lengths of all values, those asked for |
//! | delta | all up to the last key asked for |
//! | dictionary | the entries, codes of the rows asked for |
//! | plain text and bytes | lengths of all values, bytes of those asked for |
//! | any other | everything |
//!
//! **Invariants**
//! 1. [`take`] gives what [`decode`](super::decode) and a selection of its rows give.
//! 2. The array shares no memory with the body, so that a few rows do not keep a whole chunk alive.
//!
//! It does not know who asks, or whether asking for everything would have been cheaper.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use arrow_schema::DataType;

use std::sync::Arc;

use super::{
    ChunkForm, Encoding, Opened, array_of_keys, bitpack, decode_constant, delta, dictionary, keys, plain, runs, scaled,
    stepped, symbols, uuid,
};
use crate::error::Result;
use crate::frame::ByteReader;
use crate::logical_type::LogicalType;
use crate::null_array::null_array;

/// The values at `positions`, which ascend strictly, out of the body of a chunk of `rows` values of `ty`.
///
/// # Errors
/// `Corrupt` as [`decode`](super::decode), but damage among the values that are not asked for may go unseen.
///
/// # Panics
/// If the positions do not ascend or one is not below `rows`.
pub(crate) fn take(
    ty: &LogicalType,
    rows: usize,
    form: &ChunkForm,
    body: &Buffer,
    positions: &[u32],
    file: &str,
    offset: u64,
) -> Result<ArrayRef> {
    assert!(positions.is_sorted_by(|a, b| a < b), "positions ascend");
    assert!(positions.last().is_none_or(|last| (*last as usize) < rows), "positions lie in the row group");
    if form.is_null(rows) {
        ByteReader::new(file, offset, body).finish()?;
        return Ok(null_array(ty, positions.len()));
    }
    let data_type = ty.arrow();
    let direct = match form.encoding {
        Encoding::Constant => !ty.is_nested(),
        Encoding::Packed | Encoding::Delta | Encoding::RunLength | Encoding::Stepped => keys::has_keys(&data_type),
        Encoding::Scaled => matches!(data_type, DataType::Float32 | DataType::Float64),
        Encoding::Dictionary | Encoding::Plain | Encoding::Symbols | Encoding::Uuid => {
            matches!(data_type, DataType::Utf8View | DataType::BinaryView)
        }
        Encoding::Nested | Encoding::Sparse | Encoding::Columns => false,
    };
    match direct {
        true => {
            let opened = Opened::new(rows, form, body, file, offset)?;
            take_direct(ty, data_type, rows, form.encoding, &opened, positions, file)
        }
        false => take_decoded(super::decode(ty, rows, form, body, file, offset)?.as_ref(), positions, file, offset),
    }
}

fn take_direct(
    ty: &LogicalType,
    data_type: DataType,
    rows: usize,
    encoding: Encoding,
    opened: &Opened,
    positions: &[u32],
    file: &str,
) -> Result<ArrayRef> {
    let mut reader = opened.reader(file);
    let nulls = opened.nulls.as_ref().map(|nulls| take_nulls(nulls, positions));
    let text = data_type == DataType::Utf8View;
    match (encoding, &data_type) {
        (Encoding::Constant, _) => decode_constant(ty, positions.len(), nulls, reader),
        (Encoding::Packed | Encoding::Delta | Encoding::RunLength | Encoding::Stepped, _) => {
            let taken = match encoding {
                Encoding::Packed => bitpack::unpack_at(rows, positions, &mut reader)?,
                Encoding::RunLength => runs::decode_at(rows, positions, &mut reader)?,
                Encoding::Stepped => stepped::decode_at(rows, positions, &mut reader)?,
                _ => delta::decode_at(rows, positions, &mut reader)?,
            };
            array_of_keys(ty, taken.len(), nulls, reader, |_, each| {
                each(&taken);
                Ok(())
            })
        }
        (Encoding::Scaled, DataType::Float32) => scaled::take::<Float32Type>(rows, positions, nulls, reader),
        (Encoding::Scaled, _) => scaled::take::<Float64Type>(rows, positions, nulls, reader),
        (Encoding::Dictionary, _) => dictionary::take(ty, rows, positions, nulls, &opened.values, reader),
        (Encoding::Symbols, _) => symbols::take(rows, positions, nulls, text, reader),
        (Encoding::Uuid, _) => uuid::take(rows, positions, nulls, text, reader),
        _ => plain::take_bytes(rows, positions, nulls, text, &opened.values, reader),
    }
}

fn take_nulls(nulls: &NullBuffer, positions: &[u32]) -> NullBuffer {
    NullBuffer::new(BooleanBuffer::collect_bool(positions.len(), |i| nulls.is_valid(positions[i] as usize)))
}

/// The values at `positions` of a decoded chunk, in memory of their own.
fn take_decoded(array: &dyn Array, positions: &[u32], file: &str, offset: u64) -> Result<ArrayRef> {
    let positions = UInt32Array::from(positions.to_vec());
    let taken = arrow_select::take::take(array, &positions, None);
    let taken = taken.map_err(|error| ByteReader::new(file, offset, &[]).corrupt("values", error))?;
    Ok(match taken.data_type() {
        DataType::Utf8View => Arc::new(taken.as_string_view().gc()),
        DataType::BinaryView => Arc::new(taken.as_binary_view().gc()),
        _ => taken,
    })
}

#[cfg(test)]
mod tests;
