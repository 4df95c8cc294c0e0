//! MAP columns as the lists of entries that they are, and back: whatever writes, reads or joins lists does so with maps.
//!
//! **Invariants**: neither direction copies keys or values.
//!
//! They do not look at keys; [`repeated_key`] does.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ListArray, MapArray, StructArray};
use arrow_schema::{ArrowError, DataType, Field, Fields};

use crate::array_codec::with_fixed_width;

/// The entries of each map as a list of STRUCTs, whose parts keep their names and marks.
pub fn lists_of(maps: &MapArray) -> ListArray {
    let entries = maps.entries();
    let fields: Fields = entries.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let entries = StructArray::new(fields, entries.columns().to_vec(), entries.nulls().cloned());
    let field = Arc::new(Field::new("item", entries.data_type().clone(), true));
    ListArray::new(field, maps.offsets().clone(), Arc::new(entries), maps.nulls().cloned())
}

/// Maps of the Arrow type `map` out of lists of STRUCTs with two parts of its types.
///
/// # Errors
/// If an entry or a key is NULL, or the types do not fit.
pub fn maps_of(map: &DataType, lists: &ListArray) -> Result<MapArray, ArrowError> {
    let misfit = || ArrowError::InvalidArgumentError(format!("not lists of the entries of {map}"));
    let DataType::Map(entries, ordered) = map else { return Err(misfit()) };
    let DataType::Struct(parts) = entries.data_type() else { return Err(misfit()) };
    let items = lists.values().as_struct_opt().ok_or_else(misfit)?;
    let items = StructArray::try_new(parts.clone(), items.columns().to_vec(), items.nulls().cloned())?;
    MapArray::try_new(Arc::clone(entries), lists.offsets().clone(), items, lists.nulls().cloned(), *ordered)
}

/// The first map, by its row, that has a key twice. Floats are the same if their bits are; nested keys, which no column has, are not
/// looked at.
pub fn repeated_key(maps: &MapArray) -> Option<usize> {
    let keys = maps.keys();
    match keys.data_type() {
        DataType::Boolean => {
            let flags: Vec<[u8; 1]> = keys.as_boolean().values().iter().map(|flag| [u8::from(flag)]).collect();
            first_repeated(maps, |place| &flags[place])
        }
        DataType::Utf8View => {
            let texts = keys.as_string_view();
            first_repeated(maps, |place| texts.value(place).as_bytes())
        }
        DataType::BinaryView => {
            let bytes = keys.as_binary_view();
            first_repeated(maps, |place| bytes.value(place))
        }
        fixed => with_fixed_width!(fixed,
            T => {
                let width = size_of::<<T as ArrowPrimitiveType>::Native>();
                let bytes = keys.as_primitive::<T>().values().inner().as_slice();
                first_repeated(maps, |place| &bytes[place * width..(place + 1) * width])
            },
            _ => None),
    }
}

fn first_repeated<'k>(maps: &MapArray, key: impl Fn(usize) -> &'k [u8]) -> Option<usize> {
    let mut keys = Vec::new();
    maps.offsets().windows(2).enumerate().position(|(row, ends)| {
        if ends[1] - ends[0] < 2 || maps.is_null(row) {
            return false;
        }
        keys.clear();
        keys.extend((ends[0] as usize..ends[1] as usize).map(&key));
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    })
}

#[cfg(test)]
mod tests;
