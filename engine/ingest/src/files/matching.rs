//! The columns of a file and those of a table, by name.
//!
//! **Invariants**: no column of the table gets two of the file; names match whatever their case.

use std::collections::HashSet;

use siltstone_storage::{Column, NewColumn, TableSchema, folded_name};

use super::{FileError, Result};

/// Finds the table's column for each of a file's, or for some, with its place there.
pub(super) type Matching = fn(&[NewColumn], &TableSchema) -> Result<Vec<(usize, Column)>>;

/// # Errors
/// `Invalid` naming a column that is there twice.
pub(super) fn check_distinct(columns: &[NewColumn]) -> Result<()> {
    let mut seen = HashSet::new();
    match columns.iter().find(|column| !seen.insert(folded_name(&column.name))) {
        None => Ok(()),
        Some(column) => Err(FileError::invalid(format!("column \"{}\" is in the file twice", column.name))),
    }
}

/// The table's column for each of the file's, with its place there.
///
/// # Errors
/// `Invalid` naming a column that the table lacks, or one that the file lacks and every row must have.
pub(super) fn matched(columns: &[NewColumn], table: &TableSchema) -> Result<Vec<(usize, Column)>> {
    check_distinct(columns)?;
    let of_table = |(place, column): (usize, &NewColumn)| match table.column(&column.name) {
        Some(found) => Ok((place, found.clone())),
        None => Err(FileError::invalid(format!("the table has no column \"{}\"", column.name))),
    };
    let matched = columns.iter().enumerate().map(of_table).collect::<Result<Vec<_>>>()?;
    let missing = table.columns().iter().find(|column| {
        !column.nullable && column.default.is_none() && !matched.iter().any(|(_, found)| found.id == column.id)
    });
    match missing {
        None => Ok(matched),
        Some(column) => {
            Err(FileError::invalid(format!("column \"{}\" does not allow NULL and is not in the file", column.name)))
        }
    }
}

/// The columns of the file that the table has, too, with their places in the file.
///
/// # Errors
/// `Invalid` naming a column that is there twice.
pub(super) fn wanted(columns: &[NewColumn], table: &TableSchema) -> Result<Vec<(usize, Column)>> {
    check_distinct(columns)?;
    let of_table = |(place, column): (usize, &NewColumn)| Some((place, table.column(&column.name)?.clone()));
    Ok(columns.iter().enumerate().filter_map(of_table).collect())
}
