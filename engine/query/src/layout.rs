//! `ALTER TABLE … SET / RESET PARTITIONED BY` and `SORTED BY`: checked against the table and kept with it.
//!
//! **Invariants**: only columns of the table, and functions of them that are listed here, are taken.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, OrderByExpr, Value, ValueWithSpan,
};
use siltstone_storage::{
    Catalog, Change, Column, Layout, LogicalType, PartitionKey, SortKey, Table, Transform, folded_name,
};

use crate::QueryError;
use crate::error::Result;
use crate::lake_syntax::LayoutPart;
use crate::names::stored_table_of;
use crate::session::Session;

/// The change that sets one part of a table's layout.
///
/// # Errors
/// `Catalog Error` for a table that is not there, `Binder Error` for anything that rows cannot be partitioned or sorted by.
pub(crate) fn decide(session: &Session, catalog: &Catalog, table: &[&str], part: &LayoutPart) -> Result<Vec<Change>> {
    let table = stored_table_of(catalog, &session.defaults, table)?;
    session.check_writable(&table.name.database)?;
    let mut layout = table.layout.clone();
    match part {
        LayoutPart::Partitions(keys) => {
            layout.partitioned_by = keys.iter().map(|key| partition_key(table, key)).collect::<Result<_>>()?;
        }
        LayoutPart::Order(keys) => {
            layout.sorted_by = keys.iter().map(|key| sort_key(table, key)).collect::<Result<_>>()?;
        }
    }
    if layout.partitioned_by.len().max(layout.sorted_by.len()) > Layout::KEYS_MAX {
        return Err(QueryError::binder(format_args!("at most {} keys are possible", Layout::KEYS_MAX)));
    }
    Ok(vec![Change::SetLayout { id: table.id, layout }])
}

fn partition_key(table: &Table, key: &Expr) -> Result<PartitionKey> {
    let Expr::Function(function) = key else {
        return Ok(PartitionKey { column: column(table, key)?.id, transform: Transform::Identity });
    };
    let bad = || {
        QueryError::binder(format_args!(
            "a table is partitioned by columns, year(c), month(c), day(c), hour(c) and bucket(n, c), not by {key}"
        ))
    };
    let FunctionArguments::List(list) = &function.args else { return Err(bad()) };
    let arguments: Option<Vec<&Expr>> = list
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect();
    let arguments = arguments.ok_or_else(bad)?;
    let (argument, transform) = match (folded_name(&function.name.to_string()).as_str(), arguments.as_slice()) {
        ("year", [argument]) => (argument, Transform::Year),
        ("month", [argument]) => (argument, Transform::Month),
        ("day", [argument]) => (argument, Transform::Day),
        ("hour", [argument]) => (argument, Transform::Hour),
        ("bucket", [buckets, argument]) => (argument, Transform::Bucket(bucket_count(buckets).ok_or_else(bad)?)),
        _ => return Err(bad()),
    };
    let column = column(table, argument)?;
    check_transform(transform, column)?;
    Ok(PartitionKey { column: column.id, transform })
}

fn bucket_count(expr: &Expr) -> Option<u32> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            digits.parse().ok().filter(|count| *count > 0)
        }
        _ => None,
    }
}

fn check_transform(transform: Transform, column: &Column) -> Result<()> {
    let ty = &column.logical_type;
    let fits = match transform {
        Transform::Identity | Transform::Bucket(_) => !ty.is_nested() && *ty != LogicalType::Interval,
        Transform::Hour => is_point_in_time(ty),
        Transform::Year | Transform::Month | Transform::Day => is_point_in_time(ty) || *ty == LogicalType::Date,
    };
    if fits {
        return Ok(());
    }
    Err(QueryError::binder(format_args!("column \"{}\" of type {ty} has no such part", column.name)))
}

fn is_point_in_time(ty: &LogicalType) -> bool {
    use LogicalType as L;
    matches!(ty, L::Timestamp | L::TimestampTz | L::TimestampS | L::TimestampMs | L::TimestampNs)
}

fn sort_key(table: &Table, key: &OrderByExpr) -> Result<SortKey> {
    if key.with_fill.is_some() {
        return Err(QueryError::binder(format_args!("a table is not sorted by {key}")));
    }
    Ok(SortKey {
        column: column(table, &key.expr)?.id,
        descending: key.options.asc == Some(false),
        nulls_first: key.options.nulls_first == Some(true),
    })
}

fn column<'a>(table: &'a Table, expr: &Expr) -> Result<&'a Column> {
    let Expr::Identifier(ident) = expr else {
        return Err(QueryError::binder(format_args!("expected a column of the table, found {expr}")));
    };
    table
        .schema()
        .column(&ident.value)
        .ok_or_else(|| QueryError::binder(format_args!("Table does not have a column with name \"{}\"", ident.value)))
}
