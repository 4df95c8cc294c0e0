//! LIST, `T[n]`, STRUCT and MAP as the columns they are made of.
//!
//! A LIST: the number of items of each row as [numbers](super::numbers), then the items as a [child](super::child). A STRUCT: a child per field,
//! each of as many rows. A MAP: as a LIST of STRUCTs.
//!
//! **Invariants**
//! 1. A list's items are at most as many as its rows and [`ITEMS_PER_BYTE_MAX`] for each byte of the body, so that a few bytes cannot ask for
//!    any amount of memory. A list that packs better than that is written by `array_codec` instead.
//! 2. Children nest no deeper than the type.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, StructArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow_schema::Fields;

use super::child::Child;
use super::numbers;
use crate::error::Result;
use crate::frame::ByteReader;
use crate::logical_type::LogicalType;
use crate::maps::maps_of;

/// Items that a byte can stand for.
const ITEMS_PER_BYTE_MAX: usize = 256;

/// Most items of a list of so many rows, given its bytes.
pub(crate) fn items_max(rows: usize, bytes: usize) -> usize {
    rows.saturating_add(bytes.saturating_mul(ITEMS_PER_BYTE_MAX)).min(i32::MAX as usize)
}

/// Reads `rows` values of a nested type.
///
/// # Errors
/// `Corrupt` for a type that is not nested, too many items, entries that no map has, or children that do not decode.
pub(crate) fn decode(
    ty: &LogicalType,
    rows: usize,
    nulls: Option<NullBuffer>,
    values: &Buffer,
    reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    match ty {
        LogicalType::List(item) | LogicalType::Array(item, _) => {
            let mut reader = reader;
            let lists = decode_list(item, rows, nulls, values, &mut reader)?;
            reader.finish()?;
            Ok(Arc::new(lists))
        }
        LogicalType::Map(parts) => {
            let mut reader = reader;
            let lists = decode_list(&LogicalType::entry(parts), rows, nulls, values, &mut reader)?;
            let maps = maps_of(&ty.arrow(), &lists).map_err(|error| reader.corrupt("a map", error))?;
            reader.finish()?;
            Ok(Arc::new(maps))
        }
        LogicalType::Struct(fields) => decode_struct(fields, rows, nulls, values, reader),
        other => Err(reader.corrupt(format_args!("an encoding of {other}"), "columns")),
    }
}

fn decode_list(
    item: &LogicalType,
    rows: usize,
    nulls: Option<NullBuffer>,
    values: &Buffer,
    reader: &mut ByteReader<'_>,
) -> Result<ListArray> {
    let lengths = numbers::decode_u32(rows, reader)?;
    let items: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    let most = items_max(rows, reader.remaining());
    let items = usize::try_from(items).ok().filter(|items| *items <= most);
    let items = items.ok_or_else(|| reader.corrupt(format_args!("at most {most} list items"), "more"))?;
    let child = Child::read(items, values, reader)?;
    let child = child.decode(item, items, reader.file())?;
    let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| *length as usize));
    let array = ListArray::try_new(Arc::new(item.field("item", true)), offsets, child, nulls);
    array.map_err(|error| reader.corrupt("a list", error))
}

fn decode_struct(
    fields: &[(String, LogicalType)],
    rows: usize,
    nulls: Option<NullBuffer>,
    values: &Buffer,
    mut reader: ByteReader<'_>,
) -> Result<ArrayRef> {
    let mut children = Vec::with_capacity(fields.len());
    for (_, ty) in fields {
        let child = Child::read(rows, values, &mut reader)?;
        children.push(child.decode(ty, rows, reader.file())?);
    }
    let arrow_fields: Fields = fields.iter().map(|(name, ty)| ty.field(name, true)).collect();
    let array = StructArray::try_new_with_length(arrow_fields, children, nulls, rows);
    let array = array.map_err(|error| reader.corrupt("a struct", error))?;
    reader.finish()?;
    Ok(Arc::new(array))
}
