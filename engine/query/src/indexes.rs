//! `CREATE INDEX`: checked, and without effect. What reading may skip, the zone maps of every column say already.
//!
//! **Invariants**
//! 1. An index that would change answers (`UNIQUE`, one over a part of the rows) is refused.
//! 2. None is kept: a name may be given again, and `DROP INDEX` finds nothing to do.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{CreateIndex, Expr, visit_expressions};
use siltstone_storage::same_name;

use crate::error::Result;
use crate::names::stored_table;
use crate::session::Session;
use crate::statement::changed_nothing;
use crate::{Output, QueryError};

/// Checks an index.
///
/// # Errors
/// `Catalog Error` for a table that does not exist, `Binder Error` for a column, `Not implemented Error` for what would have an effect.
pub(crate) fn create(session: &Session, create: &CreateIndex) -> Result<Output> {
    if create.unique {
        return Err(QueryError::not_implemented(
            "UNIQUE indexes are not supported; a PRIMARY KEY keeps the rows of a table unique",
        ));
    }
    let is_plain = create.predicate.is_none()
        && create.include.is_empty()
        && create.with.is_empty()
        && create.index_options.is_empty()
        && create.alter_options.is_empty()
        && create.nulls_distinct.is_none()
        && !create.concurrently;
    if !is_plain {
        return Err(QueryError::not_implemented(format_args!("{create} is not supported")));
    }
    let snapshot = session.snapshot();
    let table = stored_table(snapshot.catalog(), &session.defaults, &create.table_name)?;
    session.check_writable(&table.name.database)?;
    let unknown = |expr: &Expr| match expr {
        Expr::Identifier(name)
            if !table.schema().columns().iter().any(|column| same_name(&column.name, &name.value)) =>
        {
            ControlFlow::Break(name.value.clone())
        }
        _ => ControlFlow::Continue(()),
    };
    for column in &create.columns {
        if let ControlFlow::Break(name) = visit_expressions(&column.column.expr, unknown) {
            let table = &table.name.table;
            return Err(QueryError::binder(format_args!("Table \"{table}\" does not have a column named \"{name}\"")));
        }
    }
    Ok(changed_nothing())
}
