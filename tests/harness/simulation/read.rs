//! Reads what the engine shows, in the model's terms, and checks that it does not contradict itself.

use std::cmp::Ordering;

use arrow_array::ArrayRef;
use siltstone_storage::{ColumnId, Error, ScanUnit, TableSnapshot, Value};

use super::Fault;
use super::cell::{Cell, cell};

/// Why a table could not be read.
#[derive(Debug)]
pub enum Unread {
    /// The engine says so.
    Refused(Error),
    /// What it shows contradicts itself.
    Wrong(Fault),
}

impl Unread {
    /// What is wrong, where no error is expected.
    pub fn fault(self) -> Fault {
        match self {
            Self::Refused(error) => chain(&error),
            Self::Wrong(fault) => fault,
        }
    }
}

/// Every row of a table, unit by unit.
///
/// # Errors
/// Whatever cannot be read, or contradicts itself.
pub fn rows(table: &TableSnapshot) -> Result<Vec<Vec<Cell>>, Unread> {
    let columns: Vec<ColumnId> = table.schema().columns().iter().map(|column| column.id).collect();
    let mut rows = Vec::new();
    for unit in table.units() {
        rows.extend(unit_rows(unit, &columns)?);
    }
    if rows.len() as u64 != table.rows() {
        let found = format!("{} says {} rows and has {}", table.table().name, table.rows(), rows.len());
        return Err(Unread::Wrong(found));
    }
    Ok(rows)
}

/// The rows of one unit.
///
/// # Errors
/// As for [`rows`].
pub fn unit_rows(unit: &ScanUnit, columns: &[ColumnId]) -> Result<Vec<Vec<Cell>>, Unread> {
    let arrays = unit.read(columns).map_err(Unread::Refused)?;
    if unit.rows() == 0 || arrays.len() != columns.len() || arrays.iter().any(|array| array.len() != unit.rows()) {
        return Err(Unread::Wrong(format!("a unit of {} rows has arrays of the wrong shape", unit.rows())));
    }
    for (column, array) in columns.iter().zip(&arrays) {
        zone_map_holds(unit, *column, array).map_err(Unread::Wrong)?;
    }
    let row = |row| arrays.iter().map(|array| cell(array, row)).collect::<Result<Vec<Cell>, Fault>>();
    (0..unit.rows()).map(row).collect::<Result<_, Fault>>().map_err(Unread::Wrong)
}

/// Whether the bounds and the null count that would prune this unit are right.
fn zone_map_holds(unit: &ScanUnit, column: ColumnId, array: &ArrayRef) -> Result<(), Fault> {
    let Some(zone) = unit.zone_map(column) else { return Ok(()) };
    let nulls = array.null_count() as u64;
    if zone.null_count < nulls || (unit.is_whole() && zone.null_count != nulls) {
        return Err(format!("zone map of column {column} counts {} nulls of {nulls}", zone.null_count));
    }
    for row in 0..array.len() {
        let cell = cell(array, row)?;
        let below = zone.min.as_ref().is_some_and(|min| order(&cell, min) == Some(Ordering::Less));
        let above = zone.max.as_ref().is_some_and(|max| order(&cell, max) == Some(Ordering::Greater));
        if below || above {
            return Err(format!("zone map of column {column} excludes {cell:?}: {zone:?}"));
        }
    }
    Ok(())
}

/// How a value compares with a bound; `None` for NULL.
fn order(cell: &Cell, bound: &Value) -> Option<Ordering> {
    // NaN is above every number; zeros are one.
    let floats = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
    Some(match (cell, bound) {
        (Cell::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Cell::Int(a), Value::Int(b)) => a.cmp(b),
        (Cell::UInt(a), Value::UInt(b)) => a.cmp(b),
        (Cell::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Cell::Real(a), Value::Float(b)) => floats(f64::from(f32::from_bits(*a)), *b),
        (Cell::Double(a), Value::Float(b)) => floats(f64::from_bits(*a), *b),
        (Cell::Text(a), Value::Text(b)) => a.cmp(b),
        (Cell::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        _ => return None,
    })
}

/// An error with its causes on one line.
pub fn chain(error: &Error) -> String {
    let mut text = format!("{:?}: {error}", error.kind());
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
