//! DELETE and TRUNCATE: the rows that a query picks, or all.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{Delete, FromTable, Query, Statement, TableFactor, Truncate, With};
use futures::StreamExt;
use siltstone_storage::{Change, RowSet, Snapshot};

use super::target::{Picked, Target, all_rows};
use super::{Count, RowChanges};
use crate::QueryError;
use crate::error::Result;
use crate::session::Session;
use crate::syntax;

pub(super) async fn plan(
    session: &Session,
    snapshot: Snapshot,
    delete: &Delete,
    with: Option<&With>,
) -> Result<RowChanges> {
    let target = Target::of(session, &snapshot, table(delete)?)?;
    if delete.selection.is_none() && delete.using.is_none() {
        let rows = all_rows(&target.rows);
        return Ok(deletion(target, rows));
    }
    let mut from = vec![syntax::alone(target.factor.clone())];
    from.extend(delete.using.iter().flatten().cloned());
    let select = syntax::select(vec![target.address()], from, delete.selection.clone());
    let query = Query { with: with.cloned(), ..syntax::query(select) };
    let planned = session.plan(snapshot, Statement::Query(Box::new(query))).await?;
    let mut picked = Picked::new(&target.rows);
    let mut stream = planned.execute()?;
    while let Some(batch) = stream.next().await {
        // A row that is joined with several others comes several times.
        let _fresh = picked.pick(&batch?)?;
    }
    let rows = picked.into_row_set();
    Ok(deletion(target, rows))
}

pub(super) fn plan_truncate(session: &Session, snapshot: &Snapshot, truncate: &Truncate) -> Result<RowChanges> {
    let refused = truncate.partitions.is_some()
        || truncate.if_exists
        || truncate.identity.is_some()
        || truncate.cascade.is_some()
        || truncate.on_cluster.is_some();
    let [name] = truncate.table_names.as_slice() else {
        return Err(QueryError::not_implemented("TRUNCATE takes one table"));
    };
    if refused || name.only || name.has_asterisk {
        return Err(QueryError::not_implemented(format_args!("{truncate} is not supported")));
    }
    let target = Target::of(session, snapshot, &syntax::table(name.name.clone(), None, None))?;
    let rows = all_rows(&target.rows);
    Ok(deletion(target, rows))
}

/// The table of a DELETE, if it has the form we know.
fn table(delete: &Delete) -> Result<&TableFactor> {
    let refused = [
        (delete.returning.is_some() || delete.output.is_some(), "DELETE … RETURNING"),
        (!delete.tables.is_empty() || !delete.order_by.is_empty() || delete.limit.is_some(), "this form of DELETE"),
    ];
    if let Some((_, what)) = refused.iter().find(|(present, _)| *present) {
        return Err(QueryError::not_implemented(format_args!("{what} is not supported yet")));
    }
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    match from.as_slice() {
        [table] if table.joins.is_empty() => Ok(&table.relation),
        _ => Err(QueryError::parser("DELETE takes one table; others come after USING")),
    }
}

fn deletion(target: Target, rows: RowSet) -> RowChanges {
    let count = Count::Known(usize::try_from(rows.rows()).unwrap_or(usize::MAX));
    let changes = if rows.rows() == 0 { Vec::new() } else { vec![Change::Delete(rows)] };
    RowChanges { table: Arc::clone(&target.table), changes, count }
}
