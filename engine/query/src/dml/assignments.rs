//! What `SET a = …, b = …` and lists of values say about the columns of a table.

use datafusion::sql::sqlparser::ast::{Assignment, AssignmentTarget, Expr, Ident, ObjectName};
use siltstone_storage::{Column, Table, same_name};

use super::rows::RowTarget;
use super::target::Target;
use crate::QueryError;
use crate::error::Result;
use crate::names::parts;

/// Columns of a new row with their values; columns that are not there get their default.
#[derive(Debug)]
pub(super) struct NewRow {
    pub(super) target: RowTarget,
    /// In the order of the target's columns.
    pub(super) values: Vec<Expr>,
}

/// A row as it is but for what is assigned.
pub(super) fn updated(target: &Target, assignments: Vec<(Column, Expr)>) -> NewRow {
    let table = &target.table;
    let mut row = NewRow { target: RowTarget::new(table.id, table.schema(), Vec::new()), values: Vec::new() };
    for column in table.schema().columns() {
        match assignments.iter().find(|(assigned, _)| assigned.id == column.id) {
            Some((_, value)) if is_default(value) => continue,
            Some((_, value)) => row.values.push(value.clone()),
            None => {
                row.target.unchanged.push(column.id);
                row.values.push(target.column(&column.name));
            }
        }
        row.target.columns.push(column.clone());
    }
    row
}

/// A row of these values.
pub(super) fn inserted(table: &Table, values: Vec<(Column, Expr)>) -> NewRow {
    let given = values.into_iter().filter(|(_, value)| !is_default(value));
    let (columns, values) = given.unzip();
    NewRow { target: RowTarget::new(table.id, table.schema(), columns), values }
}

/// The columns and values of a SET list.
pub(super) fn of_set(table: &Table, alias: &Ident, assignments: &[Assignment]) -> Result<Vec<(Column, Expr)>> {
    let mut assigned: Vec<(Column, Expr)> = Vec::with_capacity(assignments.len());
    let mut assign = |name: &ObjectName, value: Expr| {
        let column = column(table, alias, name)?;
        if assigned.iter().any(|(other, _)| other.id == column.id) {
            return Err(QueryError::binder(format_args!("Multiple assignments to same column \"{}\"", column.name)));
        }
        assigned.push((column, value));
        Ok(())
    };
    for assignment in assignments {
        match (&assignment.target, &assignment.value) {
            (AssignmentTarget::ColumnName(name), value) => assign(name, value.clone())?,
            (AssignmentTarget::Tuple(names), Expr::Tuple(values)) if names.len() == values.len() => {
                for (name, value) in names.iter().zip(values) {
                    assign(name, value.clone())?;
                }
            }
            _ => {
                return Err(QueryError::not_implemented(format_args!("SET {assignment} is not supported")));
            }
        }
    }
    Ok(assigned)
}

fn column(table: &Table, alias: &Ident, name: &ObjectName) -> Result<Column> {
    match parts(name)?[..] {
        [name] => of_name(table, name),
        [table_name, name] if same_name(table_name, &alias.value) => of_name(table, name),
        _ => Err(QueryError::binder(format_args!("expected a column of table \"{}\", found {name}", table.name.table))),
    }
}

/// A column by its name.
pub(super) fn of_name(table: &Table, name: &str) -> Result<Column> {
    table.schema().column(name).cloned().ok_or_else(|| {
        QueryError::binder(format_args!("Table \"{}\" does not have a column with name \"{name}\"", table.name.table))
    })
}

/// Columns by their names, or all; each once.
pub(super) fn of_names<'a>(table: &Table, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    for name in names {
        let column = of_name(table, name)?;
        if columns.iter().any(|other| other.id == column.id) {
            return Err(QueryError::binder(format_args!("Duplicate column name \"{name}\" in INSERT")));
        }
        columns.push(column);
    }
    if columns.is_empty() { Ok(table.schema().columns().to_vec()) } else { Ok(columns) }
}

/// Pairs columns with as many values.
pub(super) fn pair<T>(table: &Table, columns: Vec<Column>, values: Vec<T>) -> Result<Vec<(Column, T)>> {
    check_width(table, columns.len(), values.len())?;
    Ok(columns.into_iter().zip(values).collect())
}

/// As many values as columns.
pub(super) fn check_width(table: &Table, columns: usize, values: usize) -> Result<()> {
    if columns == values {
        return Ok(());
    }
    Err(QueryError::binder(format_args!(
        "table {} has {columns} columns but {values} values were supplied",
        table.name.table
    )))
}

/// The word DEFAULT in place of a value.
fn is_default(value: &Expr) -> bool {
    matches!(value, Expr::Identifier(ident) if ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("default"))
}
