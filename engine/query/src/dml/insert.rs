//! INSERT: the source query's rows as batches of the table, refused, left out or merged where a key is there already.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Insert, Query, Statement, TableObject};
use siltstone_storage::{Batch, Column, Snapshot, Table};

use super::on_conflict::OnConflict;
use super::rows::RowTarget;
use super::{Count, RowChanges, assignments, merge};
use crate::QueryError;
use crate::error::Result;
use crate::names::{parts, stored_table};
use crate::session::{PlannedQuery, Session};
use crate::statement::check_is_query;

pub(super) async fn plan(session: &Session, snapshot: Snapshot, insert: &Insert, by_name: bool) -> Result<RowChanges> {
    check_supported(insert)?;
    let TableObject::TableName(name) = &insert.table else {
        return Err(QueryError::not_implemented("INSERT takes the name of a table"));
    };
    let table = Arc::clone(stored_table(snapshot.catalog(), &session.defaults, name)?);
    session.check_writable(&table.name.database)?;
    let columns = match (&insert.source, by_name) {
        (Some(source), true) => named_columns(session, &snapshot, &table, insert, source).await?,
        _ => target_columns(&table, insert)?,
    };
    let on_conflict = OnConflict::of(&table, &columns, insert)?;
    if let OnConflict::General(merge) = on_conflict {
        return merge::plan(session, snapshot, &merge).await;
    }
    let together = !matches!(on_conflict, OnConflict::Refuse);
    let target = RowTarget { together, ..RowTarget::new(table.id, table.schema(), columns) };
    let Some(source) = &insert.source else {
        target.check_absent_columns()?;
        let row = Batch::new(table.id, 1, Vec::new())?;
        return on_conflict.changes(table, vec![row]);
    };
    let planned = plan_source(session, snapshot, source).await?;
    assignments::check_width(&table, target.columns.len(), planned.schema.fields().len())?;
    let rows = target.collect(&session.core.engine, planned).await?;
    match on_conflict {
        OnConflict::Refuse => {
            let count = Count::Known(rows.len());
            Ok(RowChanges { table, changes: rows.into_changes().await?, count })
        }
        on_conflict => on_conflict.changes(table, rows.into_batches()?),
    }
}

fn check_supported(insert: &Insert) -> Result<()> {
    let refused = [
        (insert.replace_into || insert.ignore, "this form of INSERT"),
        (insert.returning.is_some() || insert.output.is_some(), "INSERT … RETURNING"),
        (insert.overwrite || insert.partitioned.is_some(), "INSERT OVERWRITE"),
        (!insert.assignments.is_empty() || !insert.after_columns.is_empty(), "this form of INSERT"),
    ];
    match refused.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(QueryError::not_implemented(format_args!("{what} is not supported yet"))),
        None => Ok(()),
    }
}

async fn plan_source(session: &Session, snapshot: Snapshot, source: &Query) -> Result<PlannedQuery> {
    check_is_query(&source.body)?;
    session.plan(snapshot, Statement::Query(Box::new(source.clone()))).await
}

/// The columns that are called as the source's are, in its order.
async fn named_columns(
    session: &Session,
    snapshot: &Snapshot,
    table: &Table,
    insert: &Insert,
    source: &Query,
) -> Result<Vec<Column>> {
    if !insert.columns.is_empty() {
        return Err(QueryError::binder("INSERT BY NAME takes no list of columns"));
    }
    let planned = plan_source(session, snapshot.clone(), source).await?;
    assignments::of_names(table, planned.schema.fields().iter().map(|field| field.name().as_str()))
}

/// The columns that the source's columns go to, in order; none for DEFAULT VALUES.
fn target_columns(table: &Table, insert: &Insert) -> Result<Vec<Column>> {
    if insert.source.is_none() {
        return Ok(Vec::new());
    }
    let mut names = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
        let [name] = parts(name)?[..] else {
            return Err(QueryError::binder(format_args!("expected a column name, found {name}")));
        };
        names.push(name);
    }
    assignments::of_names(table, names)
}
