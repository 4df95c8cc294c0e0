//! Distinct texts or bytes once, in order of first appearance, and a packed code per row.
//!
//! The number of entries (u32), their packed lengths, their bytes, then the packed codes. A row that is NULL has its predecessor's code.
//!
//! **Invariants**
//! 1. Entries are distinct, and code `i` first appears before code `i + 1`.
//! 2. Building gives up rather than degrade: at too many entries, or when values collide by design.

use ahash::RandomState;
use arrow_array::types::ByteViewType;
use arrow_array::{Array, ArrayRef, GenericByteViewArray};
use arrow_buffer::{Buffer, NullBuffer};

use super::bitpack;
use crate::byte_views::{Data, INLINE_BYTES_MAX, Views, view_length};
use crate::error::{Error, Result};
use crate::frame::{ByteReader, PutBytes};

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

    /// Appends the dictionary and the codes of an array.
    pub(crate) fn encode<T: ByteViewType>(&self, array: &GenericByteViewArray<T>, out: &mut Vec<u8>) {
        let lengths: Vec<u64> =
            self.entries.iter().map(|row| view_length(array.views()[*row as usize]) as u64).collect();
        out.put_u32(self.entries.len() as u32);
        bitpack::pack(&lengths, out);
        for row in &self.entries {
            out.put(bytes_at(array, *row as usize));
        }
        bitpack::pack(&self.codes, out);
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

/// Reads `rows` values out of `values`; the entries stay where they are.
///
/// # Errors
/// `Corrupt` for entries that are not text (if `text`), codes without entry, or bytes left over.
pub(crate) fn decode(
    rows: usize,
    nulls: Option<NullBuffer>,
    text: bool,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let entries = Entries::read(rows, values, &mut reader)?;
    let views = entries.views(text, &reader)?;
    let codes = bitpack::unpack_u32(rows, &mut reader)?;
    let gathered = views.gather(&codes).ok_or_else(|| entries.no_such(&reader))?;
    reader.finish()?;
    Ok(gathered.into_array(nulls))
}

/// As [`decode`], the values at `positions` alone, with their NULLs; the array has a copy of the entries it needs.
pub(crate) fn take(
    rows: usize,
    positions: &[u32],
    nulls: Option<NullBuffer>,
    text: bool,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let entries = Entries::read(rows, values, &mut reader)?;
    let codes = bitpack::unpack_at(rows, positions, &mut reader)?;
    let mut used = codes.clone();
    used.sort_unstable();
    used.dedup();
    if used.last().is_some_and(|code| *code >= entries.lengths.len() as u64) {
        return Err(entries.no_such(&reader));
    }
    let starts = super::starts(&entries.lengths);
    let ranges: Vec<_> = used.iter().map(|code| starts[*code as usize]..starts[*code as usize + 1]).collect();
    let data = super::copied(&entries.data, ranges.iter().cloned());
    let views = Views::new(ranges.iter().map(ExactSizeIterator::len), Data::Shared(&data), text)
        .map_err(|error| reader.corrupt("dictionary entries", error))?;
    let places: Vec<u32> = codes.iter().map(|code| used.partition_point(|other| other < code) as u32).collect();
    let gathered = views.gather(&places).ok_or_else(|| entries.no_such(&reader))?;
    reader.finish()?;
    Ok(gathered.into_array(nulls))
}

/// The entries as they lie in the body.
#[derive(Debug)]
struct Entries {
    lengths: Vec<u32>,
    data: Buffer,
}

impl Entries {
    fn read(rows: usize, values: &Buffer, reader: &mut ByteReader<'_>) -> Result<Self> {
        let entries = reader.u32()? as usize;
        if entries > rows {
            return Err(reader.corrupt(format_args!("at most {rows} entries"), entries));
        }
        let lengths = bitpack::unpack_u32(entries, reader)?;
        let data = super::take_buffer(values, lengths.iter().map(|length| u64::from(*length)).sum(), reader)?;
        Ok(Self { lengths, data })
    }

    fn views(&self, text: bool, reader: &ByteReader<'_>) -> Result<Views<'_>> {
        Views::new(self.lengths.iter().map(|length| *length as usize), Data::Shared(&self.data), text)
            .map_err(|error| reader.corrupt("dictionary entries", error))
    }

    fn no_such(&self, reader: &ByteReader<'_>) -> Error {
        reader.corrupt(format_args!("codes below {}", self.lengths.len()), "a greater one")
    }
}
