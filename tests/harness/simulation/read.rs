//! Reads an engine's whole contents in the model's terms.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;
use siltstone_storage::{ColumnId, Snapshot, TableSnapshot};

use super::Fault;
use super::model::Cell;

/// Every table of a snapshot by name, every row in order.
///
/// # Errors
/// Whatever cannot be read, or contradicts itself.
pub fn contents(snapshot: &Snapshot) -> Result<BTreeMap<String, Vec<Vec<Cell>>>, Fault> {
    let mut tables = BTreeMap::new();
    for table in snapshot.catalog().tables() {
        let view = snapshot.table(table.id).ok_or_else(|| format!("table {} has a name and no rows", table.name))?;
        tables.insert(table.name.table.clone(), rows(&view)?);
    }
    Ok(tables)
}

/// Every row of a table in order.
///
/// # Errors
/// Whatever cannot be read, or contradicts itself.
pub fn rows(table: &TableSnapshot) -> Result<Vec<Vec<Cell>>, Fault> {
    let columns: Vec<ColumnId> = table.schema().columns().iter().map(|column| column.id).collect();
    let mut rows = Vec::new();
    for unit in table.units() {
        let arrays = unit.read(&columns).map_err(|error| format!("cannot read {}: {error}", table.table().name))?;
        if arrays.len() != columns.len() || arrays.iter().any(|array| array.len() != unit.rows()) {
            return Err(format!("a unit of {} has arrays of the wrong shape", table.table().name));
        }
        for row in 0..unit.rows() {
            rows.push(arrays.iter().map(|array| cell(array, row)).collect::<Result<Vec<Cell>, Fault>>()?);
        }
    }
    if rows.len() as u64 != table.rows() {
        return Err(format!("{} says {} rows and has {}", table.table().name, table.rows(), rows.len()));
    }
    Ok(rows)
}

fn cell(array: &ArrayRef, row: usize) -> Result<Cell, Fault> {
    if array.is_null(row) {
        return Ok(Cell::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int64 => Cell::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Cell::Double(array.as_primitive::<Float64Type>().value(row).to_bits()),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_owned()),
        other => return Err(format!("no column of the workload has type {other}")),
    })
}
