//! UPDATE: the rows that a query picks go, and come back changed.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::filter_record_batch;
use datafusion::sql::sqlparser::ast::{Query, Statement, Update, UpdateTableFromKind, With};
use futures::StreamExt;
use siltstone_storage::{Change, Snapshot};

use super::assignments::{self, NewRow};
use super::rows::Rows;
use super::target::{Picked, Target};
use super::{Count, RowChanges};
use crate::QueryError;
use crate::error::Result;
use crate::session::Session;
use crate::syntax;

pub(super) async fn plan(
    session: &Session,
    snapshot: Snapshot,
    update: &Update,
    with: Option<&With>,
) -> Result<RowChanges> {
    check_supported(update)?;
    let target = Target::of(session, &snapshot, &update.table.relation)?;
    let assigned = assignments::of_set(&target.table, &target.alias, &update.assignments)?;
    let NewRow { target: columns, values } = assignments::updated(&target, assigned);
    let mut items = vec![target.address()];
    items.extend(values.into_iter().enumerate().map(|(i, value)| syntax::item(value, &format!("\0value {i}"))));
    let mut from = vec![syntax::alone(target.factor.clone())];
    if let Some(UpdateTableFromKind::BeforeSet(others) | UpdateTableFromKind::AfterSet(others)) = &update.from {
        from.extend(others.iter().cloned());
    }
    let select = syntax::select(items, from, update.selection.clone());
    let query = Query { with: with.cloned(), ..syntax::query(select) };
    let planned = session.plan(snapshot, Statement::Query(Box::new(query))).await?;
    let mut picked = Picked::new(&target.rows);
    let mut rows = Rows::new(&session.core.engine, columns, &planned)?;
    let mut stream = planned.execute()?;
    while let Some(batch) = stream.next().await {
        let fresh = pick_fresh(&mut picked, batch?)?;
        rows.push(&fresh.columns()[1..], fresh.num_rows()).await?;
    }
    let count = Count::Known(picked.len());
    let mut changes = Vec::new();
    if picked.len() > 0 {
        changes.push(Change::Delete(picked.into_row_set()));
        changes.extend(rows.into_changes().await?);
    }
    Ok(RowChanges { table: Arc::clone(&target.table), changes, count })
}

/// Picks the rows of a batch and keeps those that were not picked before.
pub(super) fn pick_fresh(picked: &mut Picked<'_>, batch: RecordBatch) -> Result<RecordBatch> {
    let fresh = picked.pick(&batch)?;
    if fresh.true_count() == batch.num_rows() {
        return Ok(batch);
    }
    Ok(filter_record_batch(&batch, &fresh)?)
}

fn check_supported(update: &Update) -> Result<()> {
    let refused = [
        (update.returning.is_some() || update.output.is_some(), "UPDATE … RETURNING"),
        (update.or.is_some() || !update.order_by.is_empty() || update.limit.is_some(), "this form of UPDATE"),
        (!update.table.joins.is_empty(), "UPDATE of a join"),
    ];
    match refused.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(QueryError::not_implemented(format_args!("{what} is not supported yet"))),
        None => Ok(()),
    }
}
