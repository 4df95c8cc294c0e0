//! The columns of a file and those of a table, by name.
//!
//! **Invariants**: every column of the file has its own column of the table; names match whatever their case.

use std::collections::HashSet;

use siltstone_storage::{Column, NewColumn, TableSchema, folded_name};

use super::{FileError, Result};

/// # Errors
/// `Invalid` naming a column that is there twice.
pub(super) fn check_distinct(columns: &[NewColumn]) -> Result<()> {
    let mut seen = HashSet::new();
    match columns.iter().find(|column| !seen.insert(folded_name(&column.name))) {
        None => Ok(()),
        Some(column) => Err(FileError::invalid(format!("column \"{}\" is in the file twice", column.name))),
    }
}

/// The table's column for each of the file's.
///
/// # Errors
/// `Invalid` naming a column that the table lacks, or one that the file lacks and every row must have.
pub(super) fn matched<'a>(columns: &[NewColumn], table: &'a TableSchema) -> Result<Vec<&'a Column>> {
    check_distinct(columns)?;
    let of_table = |column: &NewColumn| {
        table
            .column(&column.name)
            .ok_or_else(|| FileError::invalid(format!("the table has no column \"{}\"", column.name)))
    };
    let matched = columns.iter().map(of_table).collect::<Result<Vec<_>>>()?;
    let missing = table.columns().iter().find(|column| {
        !column.nullable && column.default.is_none() && !matched.iter().any(|found| found.id == column.id)
    });
    match missing {
        None => Ok(matched),
        Some(column) => {
            Err(FileError::invalid(format!("column \"{}\" does not allow NULL and is not in the file", column.name)))
        }
    }
}
