//! Distinct texts or bytes once, in order of first appearance, and a packed code per row.
//!
//! The number of entries (u32), the entries as a [child](super::child) that is plain, symbols or UUIDs, then the codes as
//! [numbers](super::numbers). A row that is NULL has its predecessor's code.
//!
//! **Invariants**
//! 1. Entries are distinct, and code `i` first appears before code `i + 1`.
//! 2. Building gives up rather than degrade: at too many entries, or when values collide by design.

use std::sync::Arc;

use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, ArrayRef, GenericByteViewArray};
use arrow_buffer::{Buffer, NullBuffer};
use arrow_schema::DataType;

use super::child::Child;
use super::{Encoding, numbers};
use crate::byte_views::{self, INLINE_BYTES_MAX, view_length};
use crate::error::Result;
use crate::frame::ByteReader;
use crate::logical_type::LogicalType;

/// Distinct values of an array and who has which.
#[derive(Debug)]
pub(crate) struct Dictionary {
    /// Row at which each entry first appears.
    pub(crate) entries: Vec<u32>,
    /// Entry of each row.
    pub(crate) codes: Vec<u64>,
}

/// Probes per row past which a hash table is no help.
const PROBES_PER_ROW_MAX: usize = 8;

impl Dictionary {
    /// The distinct values among `rows` of the array, in that order; `None` if there are more than `entries_max`.
    pub(crate) fn build<T: ByteViewType>(
        array: &GenericByteViewArray<T>,
        rows: impl ExactSizeIterator<Item = usize>,
        entries_max: usize,
    ) -> Option<Self> {
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let views = array.views();
        // At least half of the slots stay empty.
        let mut slots = vec![0_u32; (2 * entries_max + 2).next_power_of_two()];
        let mask = slots.len() - 1;
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        let mut probes_left = PROBES_PER_ROW_MAX * rows.len();
        let mut built = Self { entries: Vec::new(), codes: Vec::with_capacity(rows.len()) };
        let (mut last_view, mut last_code) = (None, 0);
        for row in rows {
            if nulls.is_some_and(|nulls| nulls.is_null(row)) {
                built.codes.push(last_code);
                continue;
            }
            let view = views[row];
            if last_view != Some(view) {
                let mut slot = hash(array, row, view, &hasher) as usize & mask;
                last_code = loop {
                    let Some(code) = slots[slot].checked_sub(1) else {
                        if built.entries.len() == entries_max {
                            return None;
                        }
                        built.entries.push(row as u32);
                        slots[slot] = built.entries.len() as u32;
                        break built.entries.len() as u64 - 1;
                    };
                    if same(array, row, built.entries[code as usize] as usize) {
                        break u64::from(code);
                    }
                    probes_left = probes_left.checked_sub(1)?;
                    slot = (slot + 1) & mask;
                };
                last_view = Some(view);
            }
            built.codes.push(last_code);
        }
        Some(built)
    }

    /// The entries as an array.
    pub(crate) fn distinct<T: ByteViewType>(&self, array: &GenericByteViewArray<T>) -> GenericByteViewArray<T> {
        byte_views::gather(array, &self.entries, None).expect("entries are rows of the array")
    }
}

fn bytes_at<T: ByteViewType>(array: &GenericByteViewArray<T>, row: usize) -> &[u8] {
    array.value(row).as_ref()
}

#[inline]
fn hash<T: ByteViewType>(array: &GenericByteViewArray<T>, row: usize, view: u128, hasher: &RandomState) -> u64 {
    if view_length(view) <= INLINE_BYTES_MAX {
        let folded = (view as u64) ^ ((view >> 64) as u64).rotate_left(29);
        let product = u128::from(folded) * u128::from(0x9e37_79b9_7f4a_7c15_u64);
        (product as u64) ^ ((product >> 64) as u64)
    } else {
        hasher.hash_one(bytes_at(array, row))
    }
}

#[inline]
fn same<T: ByteViewType>(array: &GenericByteViewArray<T>, a: usize, b: usize) -> bool {
    let (view_a, view_b) = (array.views()[a], array.views()[b]);
    // Length and first four bytes, then all of an inline value, then the data.
    if view_a as u64 != view_b as u64 {
        return false;
    }
    if view_length(view_a) <= INLINE_BYTES_MAX {
        return view_a == view_b;
    }
    bytes_at(array, a) == bytes_at(array, b)
}

/// Reads `rows` values out of `values`.
///
/// # Errors
/// `Corrupt` for entries that do not decode as such of `ty`, codes without entry, or bytes left over.
pub(crate) fn decode(
    ty: &LogicalType,
    rows: usize,
    nulls: Option<NullBuffer>,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let entries = entries(ty, rows, values, &mut reader)?;
    let codes = numbers::decode_u32(rows, &mut reader)?;
    gather(entries.as_ref(), &codes, nulls, reader)
}

/// As [`decode`], the values at `positions` alone, with their NULLs; the array has a copy of the entries it needs.
pub(crate) fn take(
    ty: &LogicalType,
    rows: usize,
    positions: &[u32],
    nulls: Option<NullBuffer>,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let entries = entries(ty, rows, values, &mut reader)?;
    let codes = numbers::decode_at(rows, positions, &mut reader)?;
    let codes: Vec<u32> = codes.iter().map(|code| u32::try_from(*code).unwrap_or(u32::MAX)).collect();
    let taken = gather(entries.as_ref(), &codes, nulls, reader)?;
    Ok(match taken.data_type() {
        DataType::Utf8View => Arc::new(taken.as_string_view().gc()),
        _ => Arc::new(taken.as_binary_view().gc()),
    })
}

/// The distinct values of a chunk of `rows` rows; `reader` reads `values` and is left at the codes.
///
/// # Errors
/// `Corrupt` for entries that do not decode as such of `ty`.
pub(crate) fn entries(ty: &LogicalType, rows: usize, values: &Buffer, reader: &mut ByteReader<'_>) -> Result<ArrayRef> {
    let entries = reader.u32()? as usize;
    if entries > rows {
        return Err(reader.corrupt(format_args!("at most {rows} entries"), entries));
    }
    let child = Child::read(entries, values, reader)?;
    let flat = matches!(child.form.encoding, Encoding::Plain | Encoding::Symbols | Encoding::Uuid);
    if !flat || child.form.null_count > 0 {
        return Err(reader.corrupt("entries that are plain, symbols or UUIDs", format_args!("{:?}", child.form)));
    }
    child.decode(ty, entries, reader.file())
}

fn gather(entries: &dyn Array, codes: &[u32], nulls: Option<NullBuffer>, reader: ByteReader<'_>) -> Result<ArrayRef> {
    let gathered: Option<ArrayRef> = match entries.data_type() {
        DataType::Utf8View => {
            byte_views::gather(entries.as_string_view(), codes, nulls).map(|array| Arc::new(array) as _)
        }
        _ => byte_views::gather(entries.as_binary_view(), codes, nulls).map(|array| Arc::new(array) as _),
    };
    let gathered =
        gathered.ok_or_else(|| reader.corrupt(format_args!("codes below {}", entries.len()), "a greater one"))?;
    reader.finish()?;
    Ok(gathered)
}
