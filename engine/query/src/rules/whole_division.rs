//! `sum(x) // 4`: sums of whole numbers are decimals, whose division gives a fraction; it has to be that of whole numbers all the same.
//!
//! **Invariants**: divisions that have a fraction in DuckDB are of floating point numbers by now, and are not touched.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, binary_expr, cast};
use datafusion::optimizer::AnalyzerRule;

/// The rule; it runs before types are coerced.
#[derive(Debug)]
pub(crate) struct WholeDivision;

impl AnalyzerRule for WholeDivision {
    fn name(&self) -> &str {
        "whole_division"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let divided = expr.transform_up(|expr| match expr {
                    Expr::BinaryExpr(division) if division.op == Operator::Divide => divide(division, &schema),
                    other => Ok(Transformed::no(other)),
                })?;
                Ok(divided.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(analyzed.data)
    }
}

fn divide(division: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let is_whole = |ty: &DataType| ty.is_integer() || matches!(ty, DataType::Decimal128(_, 0));
    // What has no type yet is coercion's to report.
    let (Ok(left), Ok(right)) = (division.left.get_type(schema), division.right.get_type(schema)) else {
        return Ok(Transformed::no(Expr::BinaryExpr(division)));
    };
    if !is_whole(&left) || !is_whole(&right) || left.is_integer() && right.is_integer() {
        return Ok(Transformed::no(Expr::BinaryExpr(division)));
    }
    // What remains is taken away first, so that the quotient has no fraction to round.
    let (dividend, divisor) = (*division.left, *division.right);
    let rest = binary_expr(dividend.clone(), Operator::Modulo, divisor.clone());
    let quotient = binary_expr(binary_expr(dividend, Operator::Minus, rest), Operator::Divide, divisor);
    Ok(Transformed::yes(cast(quotient, DataType::Decimal128(38, 0))))
}
