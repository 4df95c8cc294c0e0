//! Values in the model's own terms, and their way into Arrow arrays and back.
//!
//! **Invariants**: a cell says every bit of its value, so that equal cells are equal values: NaN payloads and minus zero are kept.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    IntervalMonthDayNano, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BinaryViewArray, BooleanArray, ListArray, PrimitiveArray, StringViewArray,
    StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, IntervalUnit, TimeUnit};
use siltstone_storage::{LogicalType, Value};

use super::Fault;

/// A value, comparable without rounding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// Signed integers, DATE, TIME and timestamps.
    Int(i64),
    /// Unsigned integers.
    UInt(u64),
    /// DECIMAL, unscaled, and HUGEINT.
    Decimal(i128),
    /// REAL, as its bits.
    Real(u32),
    /// DOUBLE, as its bits.
    Double(u64),
    /// VARCHAR, UUID, JSON.
    Text(String),
    /// BLOB.
    Bytes(Vec<u8>),
    /// INTERVAL: months, days, nanoseconds.
    Interval(i32, i32, i64),
    /// LIST.
    List(Vec<Cell>),
    /// STRUCT, fields in order.
    Struct(Vec<Cell>),
    /// MAP, entries in order.
    Map(Vec<(Cell, Cell)>),
}

impl Cell {
    /// The same value as a column default; `None` for NULL and for nested values, which cannot be one.
    pub fn value(&self) -> Option<Value> {
        Some(match self {
            Self::Null | Self::List(_) | Self::Struct(_) | Self::Map(_) => return None,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::UInt(value) => Value::UInt(*value),
            Self::Decimal(value) => Value::Decimal(*value),
            Self::Real(bits) => Value::Float(f64::from(f32::from_bits(*bits))),
            Self::Double(bits) => Value::Float(f64::from_bits(*bits)),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Bytes(bytes) => Value::Bytes(bytes.clone()),
            Self::Interval(months, days, nanos) => Value::Interval { months: *months, days: *days, nanos: *nanos },
        })
    }
}

/// An Arrow array of these cells, which are of this type.
pub fn array(ty: &LogicalType, cells: &[&Cell]) -> ArrayRef {
    use LogicalType as T;
    match ty {
        T::Boolean => Arc::new(BooleanArray::from_iter(cells.iter().map(|cell| match cell {
            Cell::Bool(value) => Some(*value),
            _ => None,
        }))),
        T::TinyInt => signed::<Int8Type>(cells, |value| value as i8),
        T::SmallInt => signed::<Int16Type>(cells, |value| value as i16),
        T::Integer => signed::<Int32Type>(cells, |value| value as i32),
        T::BigInt => signed::<Int64Type>(cells, |value| value),
        T::Date => signed::<Date32Type>(cells, |value| value as i32),
        T::Time => signed::<Time64MicrosecondType>(cells, |value| value),
        T::Timestamp => signed::<TimestampMicrosecondType>(cells, |value| value),
        T::TimestampS => signed::<TimestampSecondType>(cells, |value| value),
        T::TimestampMs => signed::<TimestampMillisecondType>(cells, |value| value),
        T::TimestampNs => signed::<TimestampNanosecondType>(cells, |value| value),
        T::TimestampTz => {
            let array: PrimitiveArray<TimestampMicrosecondType> = integers(cells, |value| value).collect();
            Arc::new(array.with_timezone("UTC"))
        }
        T::UTinyInt => unsigned::<UInt8Type>(cells, |value| value as u8),
        T::USmallInt => unsigned::<UInt16Type>(cells, |value| value as u16),
        T::UInteger => unsigned::<UInt32Type>(cells, |value| value as u32),
        T::UBigInt => unsigned::<UInt64Type>(cells, |value| value),
        T::Real => Arc::new(PrimitiveArray::<Float32Type>::from_iter(cells.iter().map(|cell| match cell {
            Cell::Real(bits) => Some(f32::from_bits(*bits)),
            _ => None,
        }))),
        T::Double => Arc::new(PrimitiveArray::<Float64Type>::from_iter(cells.iter().map(|cell| match cell {
            Cell::Double(bits) => Some(f64::from_bits(*bits)),
            _ => None,
        }))),
        T::Interval => {
            let array = PrimitiveArray::<IntervalMonthDayNanoType>::from_iter(cells.iter().map(|cell| match cell {
                Cell::Interval(months, days, nanos) => Some(IntervalMonthDayNano::new(*months, *days, *nanos)),
                _ => None,
            }));
            Arc::new(array)
        }
        T::Decimal { .. } | T::HugeInt => {
            let array = PrimitiveArray::<Decimal128Type>::from_iter(cells.iter().map(|cell| match cell {
                Cell::Decimal(value) => Some(*value),
                _ => None,
            }));
            Arc::new(array.with_data_type(ty.arrow()))
        }
        T::Varchar | T::Uuid | T::Json | T::Bit | T::Enum(_) => {
            Arc::new(StringViewArray::from_iter(cells.iter().map(|cell| match cell {
                Cell::Text(text) => Some(text.as_str()),
                _ => None,
            })))
        }
        T::Blob => Arc::new(BinaryViewArray::from_iter(cells.iter().map(|cell| match cell {
            Cell::Bytes(bytes) => Some(bytes.as_slice()),
            _ => None,
        }))),
        T::List(item) | T::Array(item, _) => list(ty, item, cells),
        T::Map(parts) => maps(ty, parts, cells),
        T::Struct(fields) => structs(ty, fields, cells),
    }
}

fn integers<T>(cells: &[&Cell], convert: impl Fn(i64) -> T) -> impl Iterator<Item = Option<T>> {
    cells.iter().map(move |cell| match cell {
        Cell::Int(value) => Some(convert(*value)),
        _ => None,
    })
}

fn signed<T: ArrowPrimitiveType>(cells: &[&Cell], convert: impl Fn(i64) -> T::Native) -> ArrayRef {
    Arc::new(integers(cells, convert).collect::<PrimitiveArray<T>>())
}

fn unsigned<T: ArrowPrimitiveType>(cells: &[&Cell], convert: impl Fn(u64) -> T::Native) -> ArrayRef {
    let values = cells.iter().map(|cell| match cell {
        Cell::UInt(value) => Some(convert(*value)),
        _ => None,
    });
    Arc::new(values.collect::<PrimitiveArray<T>>())
}

fn nulls(cells: &[&Cell]) -> Option<NullBuffer> {
    let valid: Vec<bool> = cells.iter().map(|cell| **cell != Cell::Null).collect();
    valid.contains(&false).then(|| NullBuffer::from(valid))
}

fn list(ty: &LogicalType, item: &LogicalType, cells: &[&Cell]) -> ArrayRef {
    let DataType::List(field) = ty.arrow() else { unreachable!("a list's Arrow form is a list") };
    let items = |cell: &Cell| if let Cell::List(items) = cell { items.len() } else { 0 };
    let offsets = OffsetBuffer::from_lengths(cells.iter().map(|cell| items(cell)));
    let inner: Vec<&Cell> = cells
        .iter()
        .flat_map(|cell| match cell {
            Cell::List(items) => items.as_slice(),
            _ => &[],
        })
        .collect();
    Arc::new(ListArray::new(field, offsets, array(item, &inner), nulls(cells)))
}

fn maps(ty: &LogicalType, parts: &(LogicalType, LogicalType), cells: &[&Cell]) -> ArrayRef {
    let lists: Vec<Cell> = cells
        .iter()
        .map(|cell| match cell {
            Cell::Map(entries) => {
                let entry = |(key, value): &(Cell, Cell)| Cell::Struct(vec![key.clone(), value.clone()]);
                Cell::List(entries.iter().map(entry).collect())
            }
            _ => Cell::Null,
        })
        .collect();
    let entries = LogicalType::List(Box::new(LogicalType::entry(parts)));
    let lists = array(&entries, &lists.iter().collect::<Vec<_>>());
    Arc::new(siltstone_storage::maps_of(&ty.arrow(), lists.as_list()).expect("keys that are not NULL"))
}

fn structs(ty: &LogicalType, fields: &[(String, LogicalType)], cells: &[&Cell]) -> ArrayRef {
    let DataType::Struct(arrow) = ty.arrow() else { unreachable!("a struct's Arrow form is a struct") };
    let children = fields.iter().enumerate().map(|(place, (_, ty))| {
        let inner: Vec<&Cell> = cells
            .iter()
            .map(|cell| match cell {
                Cell::Struct(values) => &values[place],
                _ => &Cell::Null,
            })
            .collect();
        array(ty, &inner)
    });
    let children = children.collect();
    Arc::new(StructArray::try_new_with_length(arrow, children, nulls(cells), cells.len()).expect("fields that fit"))
}

/// One value of an array in the model's terms.
///
/// # Errors
/// For an Arrow type that no column has.
pub fn cell(array: &dyn Array, row: usize) -> Result<Cell, Fault> {
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Int(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Cell::Int(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Cell::Int(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Date32 => Cell::Int(array.as_primitive::<Date32Type>().value(row).into()),
        DataType::Time64(_) => Cell::Int(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(unit, _) => Cell::Int(match unit {
            TimeUnit::Second => array.as_primitive::<TimestampSecondType>().value(row),
            TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().value(row),
            TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().value(row),
            TimeUnit::Nanosecond => array.as_primitive::<TimestampNanosecondType>().value(row),
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let value = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            Cell::Interval(value.months, value.days, value.nanoseconds)
        }
        DataType::UInt8 => Cell::UInt(array.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Cell::UInt(array.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Cell::UInt(array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => Cell::UInt(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => Cell::Real(array.as_primitive::<Float32Type>().value(row).to_bits()),
        DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Decimal128(..) => Cell::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_owned()),
        DataType::BinaryView => Cell::Bytes(array.as_binary_view().value(row).to_vec()),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Cell::List((0..items.len()).map(|item| cell(&items, item)).collect::<Result<_, Fault>>()?)
        }
        DataType::Struct(_) => {
            let fields = array.as_struct().columns();
            Cell::Struct(fields.iter().map(|field| cell(field, row)).collect::<Result<_, Fault>>()?)
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let part = |place: usize, entry: usize| cell(entries.column(place), entry);
            Cell::Map(
                (0..entries.len()).map(|entry| Ok((part(0, entry)?, part(1, entry)?))).collect::<Result<_, Fault>>()?,
            )
        }
        other => return Err(format!("no column has type {other}")),
    })
}
