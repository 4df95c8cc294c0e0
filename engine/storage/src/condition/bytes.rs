//! Text and bytes held against a condition: by their views, without a look at the bytes, where that decides.
//!
//! A view holds a value's length and its first four bytes, or all of it if it is short.
//!
//! **Invariant**: [`test`] says of every row what [`Wanted::holds`] says of its value.

use arrow_array::GenericByteViewArray;
use arrow_array::types::ByteViewType;
use arrow_buffer::BooleanBuffer;

use super::{Wanted, allows};
use crate::byte_views::{INLINE_BYTES_MAX, view_of};
use crate::predicate::Comparison;

/// One bit per row; what it says of a NULL means nothing.
pub(super) fn test<T: ByteViewType>(wanted: &Wanted<Vec<u8>>, array: &GenericByteViewArray<T>) -> BooleanBuffer {
    let views = array.views();
    let value = |row: usize| -> &[u8] {
        let value: &T::Native = array.value(row);
        value.as_ref()
    };
    match wanted {
        Wanted::Compare(op @ (Comparison::Equal | Comparison::NotEqual), other) => {
            let view = view_of(other);
            let found = if other.len() <= INLINE_BYTES_MAX {
                BooleanBuffer::collect_bool(views.len(), |row| views[row] == view)
            } else {
                BooleanBuffer::collect_bool(views.len(), |row| views[row] as u64 == view as u64 && value(row) == other)
            };
            if *op == Comparison::Equal { found } else { !&found }
        }
        Wanted::Compare(op, other) => {
            let first = ordered_prefix(view_of(other) as u64);
            BooleanBuffer::collect_bool(views.len(), |row| {
                // Zeros stand for bytes that are not there: unequal prefixes order as the values do.
                let order = ordered_prefix(views[row] as u64).cmp(&first);
                allows(*op, order.then_with(|| value(row).cmp(other)))
            })
        }
        Wanted::OneOf(others) => {
            let mut starts: Vec<u64> = others.iter().map(|other| view_of(other) as u64).collect();
            starts.sort_unstable();
            BooleanBuffer::collect_bool(views.len(), |row| {
                starts.binary_search(&(views[row] as u64)).is_ok() && wanted.holds(value(row))
            })
        }
    }
}

/// The first four bytes, as a number that orders as they do.
fn ordered_prefix(start: u64) -> u32 {
    ((start >> 32) as u32).swap_bytes()
}
