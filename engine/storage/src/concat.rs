//! Arrays of one type joined into one that owns its memory.
//!
//! **Invariants**
//! 1. The result keeps nothing of its inputs alive. Its text and bytes lie in one data buffer (in several only past 2 GiB), which holds
//!    the long values and nothing else.
//! 2. The result equals the inputs one after the other, slot for slot; what lay hidden under a NULL may differ.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{BinaryViewType, ByteViewType, StringViewType};
use arrow_array::{Array, ArrayRef, GenericByteViewArray, ListArray, StructArray, new_empty_array};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::DataType;

use crate::byte_views::{BUFFER_BYTES_MAX, INLINE_BYTES_MAX, view_array, view_length};
use crate::error::{Error, ErrorKind, Result};
use crate::logical_type::LogicalType;
use crate::maps::{lists_of, maps_of};

#[cfg(test)]
mod tests;

/// Joins arrays in the Arrow form of `ty`; none make an empty array.
///
/// # Errors
/// `Internal` if an array has another form, or the result would pass Arrow's limits.
pub(crate) fn concat(ty: &LogicalType, arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let data_type = ty.arrow();
    if let Some(other) = arrays.iter().find(|array| *array.data_type() != data_type) {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("arrays of different types cannot be joined: expected={data_type}, found={}", other.data_type()),
        ));
    }
    if arrays.is_empty() {
        return Ok(new_empty_array(&data_type));
    }
    join(&arrays.iter().map(|array| array as &dyn Array).collect::<Vec<_>>())
}

/// Joins at least one array; all are of one type.
fn join(arrays: &[&dyn Array]) -> Result<ArrayRef> {
    match arrays[0].data_type() {
        DataType::Utf8View => {
            let arrays: Vec<_> = arrays.iter().map(|array| array.as_string_view()).collect();
            Ok(join_views::<StringViewType>(&arrays, BUFFER_BYTES_MAX))
        }
        DataType::BinaryView => {
            let arrays: Vec<_> = arrays.iter().map(|array| array.as_binary_view()).collect();
            Ok(join_views::<BinaryViewType>(&arrays, BUFFER_BYTES_MAX))
        }
        DataType::List(_) => join_lists(arrays),
        DataType::Struct(_) => join_structs(arrays),
        map @ DataType::Map(..) => {
            let lists: Vec<ListArray> = arrays.iter().map(|array| lists_of(array.as_map())).collect();
            let joined = join_lists(&lists.iter().map(|list| list as &dyn Array).collect::<Vec<_>>())?;
            Ok(Arc::new(maps_of(map, joined.as_list()).map_err(|error| failed(&error))?))
        }
        _ => arrow_select::concat::concat(arrays).map_err(|error| failed(&error)),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Internal, format!("arrays cannot be joined: cause={error}"))
}

/// Joins views; their data fills buffers of at most `buffer_bytes_max`.
fn join_views<T: ByteViewType>(arrays: &[&GenericByteViewArray<T>], buffer_bytes_max: usize) -> ArrayRef {
    let rows = arrays.iter().map(|array| array.len()).sum();
    let mut views = Vec::with_capacity(rows);
    let mut data = LongValues::new(arrays.iter().map(|array| long_bytes(array)).sum(), buffer_bytes_max);
    for array in arrays {
        let buffers = array.data_buffers();
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        if buffers.is_empty() && nulls.is_none() {
            views.extend_from_slice(array.views());
            continue;
        }
        for (i, view) in array.views().iter().enumerate() {
            let length = view_length(*view);
            views.push(if nulls.is_some_and(|nulls| nulls.is_null(i)) {
                0
            } else if length <= INLINE_BYTES_MAX {
                *view
            } else {
                let offset = (*view >> 96) as usize;
                data.push(*view, &buffers[(*view >> 64) as u32 as usize][offset..offset + length])
            });
        }
    }
    let nulls = join_nulls(arrays.iter().map(|array| (array.len(), array.nulls())), rows);
    // SAFETY: each view is zero, inline and copied from a valid array of the same type, or names the range to which `LongValues` has just
    // copied such a value.
    unsafe { view_array::<T>(views, data.finish(), nulls) }
}

/// Bytes of the values that are not NULL and not inline.
fn long_bytes<T: ByteViewType>(array: &GenericByteViewArray<T>) -> usize {
    if array.data_buffers().is_empty() {
        return 0;
    }
    let long = |view: &u128| Some(view_length(*view)).filter(|length| *length > INLINE_BYTES_MAX).unwrap_or(0);
    match array.nulls().filter(|nulls| nulls.null_count() > 0) {
        None => array.views().iter().map(long).sum(),
        Some(nulls) => nulls.valid_indices().map(|i| long(&array.views()[i])).sum(),
    }
}

/// Collects long values into as few data buffers as can address them.
struct LongValues {
    full: Vec<Buffer>,
    filling: Vec<u8>,
    bytes_left: usize,
    buffer_bytes_max: usize,
}

impl LongValues {
    fn new(bytes: usize, buffer_bytes_max: usize) -> Self {
        let filling = Vec::with_capacity(bytes.min(buffer_bytes_max));
        Self { full: Vec::new(), filling, bytes_left: bytes, buffer_bytes_max }
    }

    /// Copies a value and returns its view, which differs from the old one in where the value lies.
    #[inline]
    fn push(&mut self, old: u128, value: &[u8]) -> u128 {
        if self.filling.len() + value.len() > self.buffer_bytes_max {
            let next = Vec::with_capacity(self.bytes_left.min(self.buffer_bytes_max));
            self.full.push(Buffer::from_vec(std::mem::replace(&mut self.filling, next)));
        }
        let offset = self.filling.len();
        self.filling.extend_from_slice(value);
        self.bytes_left -= value.len();
        (old & u128::from(u64::MAX)) | ((self.full.len() as u128) << 64) | ((offset as u128) << 96)
    }

    fn finish(mut self) -> Vec<Buffer> {
        if !self.filling.is_empty() {
            self.full.push(Buffer::from_vec(self.filling));
        }
        self.full
    }
}

fn join_nulls<'a>(
    parts: impl Iterator<Item = (usize, Option<&'a NullBuffer>)> + Clone,
    rows: usize,
) -> Option<NullBuffer> {
    if !parts.clone().any(|(_, nulls)| nulls.is_some_and(|nulls| nulls.null_count() > 0)) {
        return None;
    }
    let mut bits = BooleanBufferBuilder::new(rows);
    for (rows, nulls) in parts {
        match nulls {
            Some(nulls) => bits.append_buffer(nulls.inner()),
            None => bits.append_n(rows, true),
        }
    }
    Some(NullBuffer::new(bits.finish()))
}

fn join_lists(arrays: &[&dyn Array]) -> Result<ArrayRef> {
    let DataType::List(field) = arrays[0].data_type() else { unreachable!("the caller has seen a list") };
    let rows = arrays.iter().map(|array| array.len()).sum();
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut children = Vec::with_capacity(arrays.len());
    let mut items = 0_i32;
    offsets.push(0);
    for array in arrays {
        let list: &ListArray = array.as_list();
        let (first, last) = (list.offsets()[0], list.offsets()[list.len()]);
        let added = last - first;
        let shift = items - first;
        let end = items.checked_add(added).ok_or_else(|| failed(&"more than 2^31 list items"))?;
        offsets.extend(list.offsets()[1..].iter().map(|offset| offset + shift));
        children.push(list.values().slice(first as usize, added as usize));
        items = end;
    }
    let child = join(&children.iter().map(|child| child as &dyn Array).collect::<Vec<_>>())?;
    let nulls = join_nulls(arrays.iter().map(|array| (array.len(), array.nulls())), rows);
    let joined = ListArray::try_new(Arc::clone(field), OffsetBuffer::new(offsets.into()), child, nulls);
    Ok(Arc::new(joined.map_err(|error| failed(&error))?))
}

fn join_structs(arrays: &[&dyn Array]) -> Result<ArrayRef> {
    let first = arrays[0].as_struct();
    let rows = arrays.iter().map(|array| array.len()).sum();
    let children = (0..first.num_columns())
        .map(|i| join(&arrays.iter().map(|array| array.as_struct().column(i) as &dyn Array).collect::<Vec<_>>()))
        .collect::<Result<Vec<_>>>()?;
    let nulls = join_nulls(arrays.iter().map(|array| (array.len(), array.nulls())), rows);
    let joined = StructArray::try_new_with_length(first.fields().clone(), children, nulls, rows);
    Ok(Arc::new(joined.map_err(|error| failed(&error))?))
}

/// Bytes of memory that an array keeps alive, sliced-away parts included.
pub(crate) fn array_bytes(array: &ArrayRef) -> usize {
    array.get_array_memory_size()
}
