//! The values between the NULLs alone, where NULLs are many.
//!
//! The values are a [child](super::child) of the rows that are not NULL.
//!
//! **Invariant**: a child has no NULLs, so that it is not sparse itself.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, ByteViewType};
use arrow_array::{Array, ArrayRef, BooleanArray, GenericByteViewArray, PrimitiveArray};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::DataType;

use super::child::Child;
use crate::array_codec::with_fixed_width;
use crate::byte_views;
use crate::error::Result;
use crate::frame::ByteReader;
use crate::logical_type::LogicalType;

/// Reads `rows` values; `nulls` says which of them are in `values`.
///
/// # Errors
/// `Corrupt` if there is no bitmap, the child has NULLs, or it does not decode.
pub(crate) fn decode(
    ty: &LogicalType,
    rows: usize,
    nulls: Option<NullBuffer>,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() < rows) else {
        return Err(reader.corrupt("some rows of sparse values that are NULL", "none"));
    };
    let dense = rows - nulls.null_count();
    let child = Child::read(dense, values, &mut reader)?;
    if child.form.null_count > 0 {
        return Err(reader.corrupt("sparse values without NULLs", child.form.null_count));
    }
    let array = child.decode(ty, dense, reader.file())?;
    reader.finish()?;
    Ok(spread(array.as_ref(), nulls))
}

/// The values of `array`, which is not empty, at the places that are not NULL, of which there are as many.
fn spread(array: &dyn Array, nulls: NullBuffer) -> ArrayRef {
    match array.data_type() {
        DataType::Boolean => {
            let bits = array.as_boolean().values();
            let mut places = Places::of(&nulls, bits.len());
            let spread = BooleanBuffer::collect_bool(nulls.len(), |_| places.next().is_some_and(|at| bits.value(at)));
            Arc::new(BooleanArray::new(spread, Some(nulls)))
        }
        DataType::Utf8View => spread_views(array.as_string_view(), nulls),
        DataType::BinaryView => spread_views(array.as_binary_view(), nulls),
        fixed => with_fixed_width!(fixed, T => spread_numbers::<T>(array.as_primitive(), nulls),
            other => unreachable!("nested values are not sparse: {other}")),
    }
}

fn spread_numbers<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, nulls: NullBuffer) -> ArrayRef {
    let values = array.values();
    let spread: Vec<T::Native> = Places::of(&nulls, values.len()).map(|at| values[at]).collect();
    let spread = PrimitiveArray::<T>::new(ScalarBuffer::from(spread), Some(nulls));
    Arc::new(spread.with_data_type(array.data_type().clone()))
}

fn spread_views<T: ByteViewType>(array: &GenericByteViewArray<T>, nulls: NullBuffer) -> ArrayRef {
    let places: Vec<u32> = Places::of(&nulls, array.len()).map(|at| at as u32).collect();
    Arc::new(byte_views::gather(array, &places, Some(nulls)).expect("places are those of values"))
}

/// For each row the place of its value among the values, or for a NULL the next one.
struct Places<'a> {
    bits: arrow_buffer::bit_iterator::BitIterator<'a>,
    next: usize,
    last: usize,
}

impl<'a> Places<'a> {
    fn of(nulls: &'a NullBuffer, values: usize) -> Self {
        Self { bits: nulls.iter(), next: 0, last: values - 1 }
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let valid = self.bits.next()?;
        let at = self.next.min(self.last);
        self.next += usize::from(valid);
        Some(at)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.bits.size_hint()
    }
}

impl ExactSizeIterator for Places<'_> {}
