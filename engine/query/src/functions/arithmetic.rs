//! DuckDB's division: `/` is always floating point, `//` is whole-number division, and dividing whole numbers by zero with
//! `//` or `%` is NULL. Intervals are multiplied and divided by numbers.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::nullif;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, binary_expr, cast, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use siltstone_storage::LogicalType;

/// Plans `/`, `//` and `%` of numbers, and `*` and `/` of an interval and a number.
#[derive(Debug)]
pub(crate) struct Division {
    /// Whether `/` divides whole numbers as `//` does: DuckDB's setting `integer_division`.
    pub(crate) whole: bool,
}

impl ExprPlanner for Division {
    fn plan_binary_op(&self, raw: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let raw = with_intervals(raw, schema)?;
        if !matches!(
            raw.op,
            BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::DuckIntegerDivide
                | BinaryOperator::Modulo
        ) {
            return Ok(PlannerResult::Original(raw));
        }
        let (left, right) = (raw.left.get_type(schema)?, raw.right.get_type(schema)?);
        let (of_left, of_right) = (matches!(left, DataType::Interval(_)), matches!(right, DataType::Interval(_)));
        match raw.op {
            BinaryOperator::Multiply if of_left && is_number(&right) => {
                return Ok(PlannerResult::Planned(super::intervals::times(raw.left, raw.right, &right)));
            }
            BinaryOperator::Multiply if of_right && is_number(&left) => {
                return Ok(PlannerResult::Planned(super::intervals::times(raw.right, raw.left, &left)));
            }
            BinaryOperator::Divide if of_left && is_number(&right) => {
                return Ok(PlannerResult::Planned(super::intervals::divided(raw.left, raw.right)));
            }
            BinaryOperator::Multiply => return Ok(PlannerResult::Original(raw)),
            _ => {}
        }
        if !is_number(&left) || !is_number(&right) {
            return Ok(PlannerResult::Original(raw));
        }
        let RawBinaryExpr { op, left: dividend, right: divisor } = raw;
        let whole = is_whole(&left) && is_whole(&right);
        Ok(PlannerResult::Planned(match op {
            BinaryOperator::Divide if !(whole && self.whole) => {
                binary_expr(float(dividend, &left), Operator::Divide, float(divisor, &right))
            }
            BinaryOperator::Modulo if !whole => binary_expr(dividend, Operator::Modulo, divisor),
            BinaryOperator::Modulo => binary_expr(dividend, Operator::Modulo, not_zero(divisor, &right)?),
            _ if whole => binary_expr(dividend, Operator::Divide, not_zero(divisor, &right)?),
            // Of numbers with a fraction, `//` is nothing but a division.
            _ => binary_expr(float(dividend, &left), Operator::Divide, float(divisor, &right)),
        }))
    }
}

/// Text beside an interval is one; but not where it is put together with others.
fn with_intervals(raw: RawBinaryExpr, schema: &DFSchema) -> Result<RawBinaryExpr> {
    if raw.op == BinaryOperator::StringConcat {
        return Ok(raw);
    }
    let (left, right) = (raw.left.get_type(schema)?, raw.right.get_type(schema)?);
    let interval = |expr: Expr| crate::conversions::named(expr, &LogicalType::Interval);
    Ok(match (&left, &right) {
        (DataType::Interval(_), text) if text.is_string() => RawBinaryExpr { right: interval(raw.right), ..raw },
        (text, DataType::Interval(_)) if text.is_string() => RawBinaryExpr { left: interval(raw.left), ..raw },
        _ => raw,
    })
}

fn is_number(ty: &DataType) -> bool {
    ty.is_numeric() || ty.is_null()
}

/// A sum of whole numbers is one, too: DECIMAL(38,0) is what HUGEINT is here.
fn is_whole(ty: &DataType) -> bool {
    ty.is_integer() || matches!(ty, DataType::Decimal128(38, 0))
}

/// As a floating point number; one already is.
fn float(expr: Expr, ty: &DataType) -> Expr {
    if ty.is_floating() { expr } else { cast(expr, DataType::Float64) }
}

/// NULL instead of zero. A literal needs no check at run time.
fn not_zero(divisor: Expr, ty: &DataType) -> Result<Expr> {
    if let Expr::Literal(value, _) = &divisor
        && !value.is_null()
        && *value != ScalarValue::new_zero(ty)?
    {
        return Ok(divisor);
    }
    Ok(nullif(divisor, cast(lit(0_i64), ty.clone())))
}
