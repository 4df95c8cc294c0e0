//! Arrow arrays into the Arrow form of a column type.
//!
//! **Invariants**
//! 1. Every value keeps its meaning or is a misfit; none becomes NULL, and no fraction is cut but that of a time below microseconds.
//! 2. Text becomes another type by the coercion table, as everywhere in this crate.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type};
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_null_array};
use arrow_buffer::OffsetBuffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, Field, Fields, TimeUnit};
use siltstone_storage::{LogicalType, maps_of, repeated_key, same_name, timestamps};

use super::policy;
use crate::coerce::Context;
use crate::json::builders::Builder;
use crate::json::faults::Words;
use crate::json::scanner::Token;
use crate::{Fractions, UnknownFields};

/// A value that does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Its place in the array.
    pub(super) row: usize,
    /// What is wrong, for people.
    pub(super) reason: String,
}

type Result<T> = std::result::Result<T, Misfit>;

/// The values as those of a column type.
pub(super) fn to_column(array: &ArrayRef, ty: &LogicalType) -> Result<ArrayRef> {
    match (array.data_type(), ty) {
        (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, _) => {
            of_text(&converted(array, &DataType::Utf8View, ty)?, ty)
        }
        // What is nested is looked into: that it has the Arrow form says nothing of lengths and keys.
        (found, _) if !ty.is_nested() && *found == ty.arrow() => Ok(Arc::clone(array)),
        (DataType::Null, _) => Ok(new_null_array(&ty.arrow(), array.len())),
        (DataType::Dictionary(_, values), _) => to_column(&converted(array, values, ty)?, ty),
        (DataType::Map(..), LogicalType::Map(parts)) => of_map(array.as_map(), parts, ty),
        (DataType::Map(..), _) => to_column(&entries(array.as_map()), ty),
        (DataType::FixedSizeBinary(16), LogicalType::Uuid) => of_uuids(array, ty),
        (
            DataType::LargeList(item) | DataType::FixedSizeList(item, _),
            LogicalType::List(_) | LogicalType::Array(..),
        ) => {
            let list = DataType::List(Arc::clone(item));
            to_column(&converted(array, &list, ty)?, ty)
        }
        (DataType::List(_), LogicalType::List(item)) => of_list(array.as_list(), item, ty),
        (DataType::List(_), LogicalType::Array(item, items)) => of_array(array.as_list(), item, *items, ty),
        (DataType::Struct(_), LogicalType::Struct(fields)) => of_struct(array.as_struct(), fields, ty),
        (found, LogicalType::Blob) if is_binary(found) => converted(array, &ty.arrow(), ty),
        (found, _) if is_binary(found) || found.is_nested() => refused(array, ty),
        (_, LogicalType::Uuid | LogicalType::Blob | LogicalType::Bit | LogicalType::Enum(_)) => refused(array, ty),
        (_, ty) if ty.is_nested() => refused(array, ty),
        (found, LogicalType::Json) if !is_json_scalar(found) => refused(array, ty),
        (found, LogicalType::Interval) if !is_interval(found) => refused(array, ty),
        (found, _) if is_interval(found) && *ty != LogicalType::Interval => refused(array, ty),
        _ => of_scalars(array, ty),
    }
}

fn is_binary(ty: &DataType) -> bool {
    matches!(ty, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

/// Types whose text is JSON.
fn is_json_scalar(ty: &DataType) -> bool {
    ty.is_integer() || matches!(ty, DataType::Boolean | DataType::Decimal128(..))
}

fn is_interval(ty: &DataType) -> bool {
    matches!(ty, DataType::Interval(_) | DataType::Duration(_))
}

/// Texts that a value of a column type is read from.
fn of_text(texts: &ArrayRef, ty: &LogicalType) -> Result<ArrayRef> {
    if *ty == LogicalType::Varchar {
        return Ok(Arc::clone(texts));
    }
    let mut builder = Builder::new(ty);
    let mut context = Context::new(Fractions::Reject);
    for (row, text) in texts.as_string_view().iter().enumerate() {
        let token = text.map_or(Token::Null, Token::Text);
        builder.push(&token, &mut context).map_err(|code| {
            let words = Words::refused_value(code, &token, ty, &policy(UnknownFields::Reject));
            Misfit { row, reason: words.message }
        })?;
    }
    Ok(builder.finish())
}

/// UUIDs as 16 bytes each.
fn of_uuids(array: &ArrayRef, ty: &LogicalType) -> Result<ArrayRef> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut builder = Builder::new(ty);
    let mut context = Context::new(Fractions::Reject);
    let mut digits = String::with_capacity(32);
    for (row, bytes) in array.as_fixed_size_binary().iter().enumerate() {
        digits.clear();
        for byte in bytes.unwrap_or_default() {
            digits.push(char::from(HEX[usize::from(byte >> 4)]));
            digits.push(char::from(HEX[usize::from(byte & 15)]));
        }
        let token = if bytes.is_some() { Token::Text(&digits) } else { Token::Null };
        builder.push(&token, &mut context).map_err(|_| Misfit { row, reason: format!("not a {ty}") })?;
    }
    Ok(builder.finish())
}

/// Numbers, truth values and times.
fn of_scalars(array: &ArrayRef, ty: &LogicalType) -> Result<ArrayRef> {
    let target = ty.arrow();
    if (target.is_integer() || *ty == LogicalType::HugeInt)
        && let Some(row) = first_fraction(array)
    {
        return Err(Misfit { row, reason: format!("a number with a fraction does not fit {ty}") });
    }
    // Wall clocks of a zone are no part of a point in time: it is taken as UTC before the zone is dropped.
    let array = match (array.data_type(), ty) {
        (DataType::Timestamp(_, Some(_)), LogicalType::Date | LogicalType::Time) => {
            converted(array, &LogicalType::TimestampTz.arrow(), ty)?
        }
        _ => Arc::clone(array),
    };
    match (array.data_type(), &target) {
        (DataType::Timestamp(..), DataType::Timestamp(unit, None)) => timestamps::to_unit(&array, *unit)
            .map_err(|row| Misfit { row, reason: format!("the value is out of range for {ty}") }),
        _ => converted(&array, &target, ty),
    }
}

/// The first number that is not whole.
fn first_fraction(array: &ArrayRef) -> Option<usize> {
    match array.data_type() {
        DataType::Float16 | DataType::Float32 | DataType::Float64 => {
            let doubles = cast_with_options(array, &DataType::Float64, &options()).ok()?;
            let mut values = doubles.as_primitive::<Float64Type>().iter();
            values.position(|value| value.is_some_and(|value| value.is_finite() && value.fract() != 0.0))
        }
        DataType::Decimal128(_, scale) if *scale > 0 => {
            let unit = 10i128.checked_pow(u32::from(scale.unsigned_abs()))?;
            let mut values = array.as_primitive::<Decimal128Type>().iter();
            values.position(|value| value.is_some_and(|value| value % unit != 0))
        }
        _ => None,
    }
}

fn options() -> CastOptions<'static> {
    use arrow_cast::display::FormatOptions;
    CastOptions {
        safe: true,
        format_options: FormatOptions::new()
            .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"))
            .with_time_format(Some("%H:%M:%S%.f")),
    }
}

/// Arrow's own conversion; a value that it turns into NULL is a misfit.
fn converted(array: &ArrayRef, target: &DataType, ty: &LogicalType) -> Result<ArrayRef> {
    if array.data_type() == target {
        return Ok(Arc::clone(array));
    }
    let Ok(converted) = cast_with_options(array, target, &options()) else { return refused(array, ty) };
    if converted.null_count() == array.null_count() {
        return Ok(converted);
    }
    match (0..array.len()).find(|row| array.is_valid(*row) && converted.is_null(*row)) {
        None => Ok(converted),
        Some(row) => Err(Misfit { row, reason: format!("the value is out of range for {ty}") }),
    }
}

/// No value of the one type is one of the other; NULL is one of any.
fn refused(array: &ArrayRef, ty: &LogicalType) -> Result<ArrayRef> {
    match (0..array.len()).find(|row| array.is_valid(*row)) {
        None => Ok(new_null_array(&ty.arrow(), array.len())),
        Some(row) => Err(Misfit { row, reason: format!("cannot convert {} to {ty}", plain_name(array.data_type())) }),
    }
}

fn plain_name(ty: &DataType) -> String {
    match ty {
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond | TimeUnit::Microsecond, _) => {
            "a timestamp".to_owned()
        }
        DataType::List(_) => "a list".to_owned(),
        DataType::Struct(_) => "a struct".to_owned(),
        found if is_binary(found) => "bytes".to_owned(),
        found => found.to_string(),
    }
}

/// A map as the list of its entries, under the names that [`entry_fields`] gives their parts.
fn entries(map: &MapArray) -> ArrayRef {
    let fields = entry_fields(map.keys().data_type(), map.values().data_type());
    let parts = vec![Arc::clone(map.keys()), Arc::clone(map.values())];
    let entries = StructArray::new(fields, parts, map.entries().nulls().cloned());
    let field = Arc::new(Field::new("item", entries.data_type().clone(), true));
    Arc::new(ListArray::new(field, map.offsets().clone(), Arc::new(entries), map.nulls().cloned()))
}

/// The parts of a map's entry.
pub(super) fn entry_fields(key: &DataType, value: &DataType) -> Fields {
    let [key_name, value_name] = LogicalType::ENTRY_PARTS;
    Fields::from(vec![Field::new(key_name, key.clone(), true), Field::new(value_name, value.clone(), true)])
}

fn of_map(map: &MapArray, parts: &(LogicalType, LogicalType), ty: &LogicalType) -> Result<ArrayRef> {
    let lists = to_column(&entries(map), &LogicalType::List(Box::new(LogicalType::entry(parts))))?;
    let maps = maps_of(&ty.arrow(), lists.as_list())
        .map_err(|_| Misfit { row: 0, reason: format!("a {ty} cannot have a key that is NULL") })?;
    match repeated_key(&maps) {
        None => Ok(Arc::new(maps)),
        Some(row) => Err(Misfit { row, reason: format!("a {ty} cannot have a key twice") }),
    }
}

fn of_array(list: &ListArray, item: &LogicalType, items: u32, ty: &LogicalType) -> Result<ArrayRef> {
    let mut lengths = list.offsets().lengths().enumerate();
    match lengths.find(|(row, length)| *length != items as usize && list.is_valid(*row)) {
        None => of_list(list, item, ty),
        Some((row, length)) => Err(Misfit { row, reason: format!("a list of {length} items does not fit {ty}") }),
    }
}

fn of_list(list: &ListArray, item: &LogicalType, ty: &LogicalType) -> Result<ArrayRef> {
    let offsets = list.offsets();
    let (start, end) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
    let items = list.values().slice(start as usize, (end - start) as usize);
    let items = to_column(&items, item).map_err(|misfit| {
        let at = misfit.row as i32 + start;
        let row = offsets.iter().skip(1).position(|end| at < *end).unwrap_or(0);
        Misfit { row, ..misfit }
    })?;
    let lengths = offsets.lengths();
    let DataType::List(field) = ty.arrow() else { return refused(&(Arc::new(list.clone()) as ArrayRef), ty) };
    Ok(Arc::new(ListArray::new(field, OffsetBuffer::from_lengths(lengths), items, list.nulls().cloned())))
}

fn of_struct(array: &StructArray, fields: &[(String, LogicalType)], ty: &LogicalType) -> Result<ArrayRef> {
    let known = |name: &str| fields.iter().any(|(field, _)| same_name(field, name));
    if let Some(name) = array.column_names().into_iter().find(|name| !known(name)) {
        let row = (0..array.len()).find(|row| array.is_valid(*row)).unwrap_or(0);
        return Err(Misfit { row, reason: format!("{ty} has no field \"{name}\"") });
    }
    let children = fields.iter().map(|(name, ty)| {
        let place = array.column_names().iter().position(|found| same_name(found, name));
        match place {
            Some(place) => to_column(array.column(place), ty),
            None => Ok(new_null_array(&ty.arrow(), array.len())),
        }
    });
    let children = children.collect::<Result<Vec<_>>>()?;
    let DataType::Struct(arrow) = ty.arrow() else { return refused(&(Arc::new(array.clone()) as ArrayRef), ty) };
    if children.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(array.len(), array.nulls().cloned())));
    }
    Ok(Arc::new(StructArray::new(arrow, children, array.nulls().cloned())))
}
