//! Columns of nothing but NULLs, all parts of one column over the same zeros.
//!
//! **Invariants**
//! 1. An array here costs memory for its rows at the width of its widest part, however many parts the type has: a file of a few bytes that
//!    names a STRUCT of many fields cannot ask for more.
//! 2. It equals what Arrow's `new_null_array` makes.
//!
//! It does not know where the type comes from.

use std::sync::Arc;

use arrow_array::types::{BinaryViewType, ByteViewType, StringViewType};
use arrow_array::{
    ArrayRef, BooleanArray, GenericByteViewArray, ListArray, PrimitiveArray, StructArray, new_empty_array,
};
use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Fields};

use crate::array_codec::with_fixed_width;
use crate::logical_type::LogicalType;
use crate::maps::maps_of;

#[cfg(test)]
mod tests;

/// `rows` times NULL, in the Arrow form of `ty`.
pub(crate) fn null_array(ty: &LogicalType, rows: usize) -> ArrayRef {
    let zeros = MutableBuffer::from_len_zeroed(bytes(&ty.arrow(), rows)).into();
    array(ty, rows, &zeros, &NullBuffer::new_null(rows))
}

/// Bytes of zeros that serve for every part of a column. Rows that fit into memory at all do not overflow it.
fn bytes(data_type: &DataType, rows: usize) -> usize {
    match data_type {
        DataType::Boolean => rows.div_ceil(8),
        DataType::Utf8View | DataType::BinaryView => rows * size_of::<u128>(),
        DataType::List(_) | DataType::Map(..) => (rows + 1) * size_of::<i32>(),
        DataType::Struct(fields) => fields.iter().map(|field| bytes(field.data_type(), rows)).max().unwrap_or(0),
        fixed => rows * fixed.primitive_width().unwrap_or(size_of::<u128>()),
    }
}

fn array(ty: &LogicalType, rows: usize, zeros: &Buffer, nulls: &NullBuffer) -> ArrayRef {
    match ty {
        LogicalType::Boolean => {
            let bits = BooleanBuffer::new(zeros.clone(), 0, rows);
            Arc::new(BooleanArray::new(bits, Some(nulls.clone())))
        }
        text if text.is_text() => views::<StringViewType>(rows, zeros, nulls),
        LogicalType::Blob => views::<BinaryViewType>(rows, zeros, nulls),
        LogicalType::List(item) | LogicalType::Array(item, _) => Arc::new(lists(item, rows, zeros, nulls)),
        LogicalType::Map(parts) => {
            let lists = lists(&LogicalType::entry(parts), rows, zeros, nulls);
            Arc::new(maps_of(&ty.arrow(), &lists).expect("no entries are entries of any map"))
        }
        LogicalType::Struct(fields) => {
            let children = fields.iter().map(|(_, ty)| array(ty, rows, zeros, nulls)).collect();
            let fields: Fields = fields.iter().map(|(name, ty)| ty.field(name, true)).collect();
            let array = StructArray::try_new_with_length(fields, children, Some(nulls.clone()), rows);
            Arc::new(array.expect("children of as many rows as their parent"))
        }
        fixed => {
            let data_type = fixed.arrow();
            with_fixed_width!(&data_type,
                T => {
                    let values = ScalarBuffer::new(zeros.clone(), 0, rows);
                    let array = PrimitiveArray::<T>::new(values, Some(nulls.clone()));
                    Arc::new(array.with_data_type(data_type))
                },
                other => unreachable!("not of fixed width: {other}"))
        }
    }
}

fn lists(item: &LogicalType, rows: usize, zeros: &Buffer, nulls: &NullBuffer) -> ListArray {
    let offsets = OffsetBuffer::new(ScalarBuffer::new(zeros.clone(), 0, rows + 1));
    ListArray::new(Arc::new(item.field("item", true)), offsets, new_empty_array(&item.arrow()), Some(nulls.clone()))
}

/// The view of an empty value is all zeros.
fn views<T: ByteViewType>(rows: usize, zeros: &Buffer, nulls: &NullBuffer) -> ArrayRef {
    let views = ScalarBuffer::new(zeros.clone(), 0, rows);
    Arc::new(GenericByteViewArray::<T>::new(views, Vec::new(), Some(nulls.clone())))
}
