//! Constant expressions in DDL: column defaults.

use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{Expr as PlannedExpr, Volatility};
use datafusion::sql::sqlparser::ast::{Expr, ExprWithAlias};
use siltstone_storage::{LogicalType, Value};

use crate::QueryError;
use crate::error::Result;
use crate::session::Session;

/// The value of a constant expression in a column of type `ty`; `None` is NULL.
///
/// # Errors
/// `Binder Error` if it names columns, `Not implemented Error` if it can differ from row to row.
pub(crate) fn constant(session: &Session, expr: &Expr, ty: &LogicalType) -> Result<Option<Value>> {
    if ty.is_nested() {
        return Err(QueryError::not_implemented(format_args!(
            "a default of a column of type {ty} is not supported yet"
        )));
    }
    let state = session.constant_state();
    let empty = DFSchema::empty();
    let mut expr = expr.clone();
    crate::literals::make_explicit(&mut expr)?;
    let planned = state.create_logical_expr_from_sql_expr(ExprWithAlias { expr: expr.clone(), alias: None }, &empty)?;
    let zone = session.zone()?;
    let planned = crate::conversions::planned(planned, &empty, zone)?;
    let varies = planned.exists(|part| {
        Ok(match part {
            PlannedExpr::ScalarFunction(function) => function.func.signature().volatility != Volatility::Immutable,
            PlannedExpr::ScalarSubquery(_) | PlannedExpr::Exists(_) | PlannedExpr::InSubquery(_) => true,
            _ => false,
        })
    })?;
    if varies {
        return Err(QueryError::not_implemented(format_args!("only constant defaults are supported, not {expr}")));
    }
    let physical = state.create_physical_expr(planned, &empty)?;
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    let array = crate::cast::to_column(&physical.evaluate(&row)?.into_array(1)?, ty, zone)?;
    Ok(crate::value::value(ty, &array, 0))
}
