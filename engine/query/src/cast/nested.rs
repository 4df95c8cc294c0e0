//! Nested values as those of a column type that checks its values, at whatever depth: `T[n]`, MAP, and lists of ENUMs or UUIDs.
//!
//! **Invariants**
//! 1. Only values that can be seen are checked: what lies hidden under a NULL is dropped first.
//! 2. A struct's fields go by name, or by place if any name is not found, as in Arrow's own cast.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, ListArray, StructArray, UInt32Array, make_array, new_null_array,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::compute::{cast_with_options, take};
use datafusion::arrow::datatypes::{DataType, Field};
use siltstone_storage::{LogicalType, lists_of, maps_of, repeated_key, same_name};

use super::{STRICT, to_column};
use crate::QueryError;
use crate::error::Result;

/// Whether having the Arrow form of `ty` is not enough for a value to be of that type.
pub(crate) fn is_checked(ty: &LogicalType) -> bool {
    match ty {
        LogicalType::Uuid | LogicalType::Json | LogicalType::Bit | LogicalType::Enum(_) => true,
        LogicalType::Array(..) | LogicalType::Map(_) => true,
        LogicalType::List(item) => is_checked(item),
        LogicalType::Struct(fields) => fields.iter().any(|(_, ty)| is_checked(ty)),
        _ => false,
    }
}

/// See [`to_column`]; `ty` is nested.
pub(super) fn to_nested(array: &ArrayRef, ty: &LogicalType, zone: Tz) -> Result<ArrayRef> {
    match (array.data_type(), ty) {
        (DataType::Null, _) => Ok(new_null_array(&ty.arrow(), array.len())),
        (DataType::Dictionary(_, values), _) => to_nested(&cast_with_options(array, values, &STRICT)?, ty, zone),
        (DataType::Struct(_), LogicalType::Struct(fields)) => structs(array.as_struct(), fields, ty, zone),
        (found, LogicalType::List(item)) if is_list(found) => Ok(Arc::new(lists(&as_list(array)?, item, zone)?)),
        (found, LogicalType::Array(item, items)) if is_list(found) => arrays(&as_list(array)?, item, *items, zone),
        (found, LogicalType::Map(parts)) if is_list(found) => {
            let entries = as_list(array)?;
            if !matches!(entries.values().data_type(), DataType::Struct(parts) if parts.len() == 2) {
                return Err(unimplemented(array, ty));
            }
            maps(&entries, parts, ty, zone)
        }
        _ => Err(unimplemented(array, ty)),
    }
}

fn unimplemented(array: &ArrayRef, ty: &LogicalType) -> QueryError {
    let from = Field::new("", array.data_type().clone(), true);
    let from = LogicalType::from_field(&from).map_or_else(|_| array.data_type().to_string(), |ty| ty.to_string());
    QueryError::conversion(format_args!("Unimplemented type for cast ({from} -> {})", super::shown(ty)))
}

fn is_list(ty: &DataType) -> bool {
    matches!(ty, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) | DataType::Map(..))
}

/// Lists without anything under their NULLs, and without items before the first or after the last.
fn as_list(array: &ArrayRef) -> Result<ListArray> {
    let list = match array.data_type() {
        DataType::Map(..) => lists_of(array.as_map()),
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            cast_with_options(array, &DataType::List(Arc::clone(item)), &STRICT)?.as_list().clone()
        }
        _ => array.as_list().clone(),
    };
    let hides = |nulls: &NullBuffer| (0..list.len()).any(|row| nulls.is_null(row) && list.value_length(row) > 0);
    let list = match list.nulls().filter(|nulls| hides(nulls)) {
        Some(nulls) => {
            let places = UInt32Array::new((0..list.len() as u32).collect(), Some(nulls.clone()));
            take(&list, &places, None)?.as_list().clone()
        }
        None => list,
    };
    let (first, last) = (list.offsets()[0] as usize, list.offsets()[list.len()] as usize);
    let DataType::List(item) = list.data_type() else { return Err(QueryError::conversion("not a list")) };
    let items = list.values().slice(first, last - first);
    let offsets = OffsetBuffer::from_lengths(list.offsets().lengths());
    Ok(ListArray::try_new(Arc::clone(item), offsets, items, list.nulls().cloned())?)
}

fn lists(list: &ListArray, item: &LogicalType, zone: Tz) -> Result<ListArray> {
    let items = to_column(list.values(), item, zone)?;
    let field = Arc::new(item.field("item", true));
    Ok(ListArray::try_new(field, list.offsets().clone(), items, list.nulls().cloned())?)
}

fn arrays(list: &ListArray, item: &LogicalType, items: u32, zone: Tz) -> Result<ArrayRef> {
    let mut lengths = list.offsets().lengths().enumerate();
    if let Some((_, length)) = lengths.find(|(row, length)| *length != items as usize && list.is_valid(*row)) {
        return Err(QueryError::conversion(format_args!(
            "Cannot cast list with length {length} to array with length {items}"
        )));
    }
    Ok(Arc::new(lists(list, item, zone)?))
}

fn maps(entries: &ListArray, parts: &(LogicalType, LogicalType), ty: &LogicalType, zone: Tz) -> Result<ArrayRef> {
    let pairs = entries.values().as_struct();
    if pairs.null_count() > 0 || pairs.column(0).null_count() > 0 {
        return Err(QueryError::invalid_input("Map keys can not be NULL."));
    }
    let entries = lists(entries, &LogicalType::entry(parts), zone)?;
    let maps = maps_of(&ty.arrow(), &entries)?;
    match repeated_key(&maps) {
        None => Ok(Arc::new(maps)),
        Some(_) => Err(QueryError::invalid_input("Map keys must be unique.")),
    }
}

fn structs(array: &StructArray, fields: &[(String, LogicalType)], ty: &LogicalType, zone: Tz) -> Result<ArrayRef> {
    let named = |name: &str| array.column_names().iter().position(|found| same_name(found, name));
    let places: Option<Vec<usize>> = fields.iter().map(|(name, _)| named(name)).collect();
    let places = match places {
        Some(places) => places,
        None if array.num_columns() == fields.len() => (0..fields.len()).collect(),
        None => return Err(unimplemented(&(Arc::new(array.clone()) as ArrayRef), ty)),
    };
    let part = |((_, ty), place): (&(String, LogicalType), usize)| {
        let part = array.column(place);
        let nulls = NullBuffer::union(array.nulls(), part.nulls());
        let seen = match part.data_type() {
            DataType::Null => Arc::clone(part),
            _ => make_array(part.to_data().into_builder().nulls(nulls).build()?),
        };
        to_column(&seen, ty, zone)
    };
    let parts = fields.iter().zip(places).map(part).collect::<Result<Vec<_>>>()?;
    let DataType::Struct(arrow) = ty.arrow() else { return Err(QueryError::conversion("not a struct")) };
    Ok(Arc::new(StructArray::try_new_with_length(arrow, parts, array.nulls().cloned(), array.len())?))
}
