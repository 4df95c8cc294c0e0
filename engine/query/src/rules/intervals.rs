//! Intervals compared by how long they are: a month has 30 days, a day 24 hours, as in DuckDB. Arrow would compare months first, whatever
//! the days.
//!
//! **Invariants**
//! 1. Comparisons, BETWEEN, IN, ORDER BY (of windows and aggregates, too), `min` and `max` agree with each other.
//! 2. Grouping, DISTINCT, set operations and joins by USING tell `1 month` from `30 days`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprFunctionExt, ExprSchemable, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, SortExpr, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use siltstone_storage::LogicalType;

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// The rule; it runs before types are coerced.
#[derive(Debug)]
pub(crate) struct ComparedIntervals;

impl AnalyzerRule for ComparedIntervals {
    fn name(&self) -> &str {
        "compared_intervals"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            let sorts = matches!(plan, LogicalPlan::Sort(_));
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let compared = expr.transform_up(|expr| compare(expr, &schema))?;
                let ordered = compared.transform_data(|expr| {
                    let of_length = sorts && is_interval(&expr, &schema);
                    Ok(if of_length { Transformed::yes(length(expr)) } else { Transformed::no(expr) })
                })?;
                Ok(ordered.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(analyzed.data)
    }
}

/// Whether an expression is an interval, or the span between two times. What has no type yet is coercion's to report.
fn is_interval(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::Interval(_) | DataType::Duration(_)))
}

fn compare(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let any = |parts: &[&Expr]| parts.iter().any(|part| is_interval(part, schema));
    Ok(match expr {
        Expr::BinaryExpr(mut binary) if binary.op.supports_propagation() && any(&[&binary.left, &binary.right]) => {
            binary.left = Box::new(side(*binary.left, schema));
            binary.right = Box::new(side(*binary.right, schema));
            Transformed::yes(Expr::BinaryExpr(binary))
        }
        Expr::Between(mut between) if any(&[&between.expr, &between.low, &between.high]) => {
            between.expr = Box::new(side(*between.expr, schema));
            between.low = Box::new(side(*between.low, schema));
            between.high = Box::new(side(*between.high, schema));
            Transformed::yes(Expr::Between(between))
        }
        Expr::InList(mut list) if is_interval(&list.expr, schema) => {
            list.expr = Box::new(side(*list.expr, schema));
            list.list = list.list.into_iter().map(|value| side(value, schema)).collect();
            Transformed::yes(Expr::InList(list))
        }
        Expr::AggregateFunction(call) => aggregate(call, schema)?,
        Expr::WindowFunction(mut call) => {
            let any = by_length(&mut call.params.order_by, schema);
            Transformed::new_transformed(Expr::WindowFunction(call), any)
        }
        other => Transformed::no(other),
    })
}

fn aggregate(mut call: AggregateFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let any = by_length(&mut call.params.order_by, schema);
    match (call.func.name(), call.params.args.as_slice()) {
        (name @ ("min" | "max"), [value]) if is_interval(value, schema) => {
            let value = crate::conversions::named(value.clone(), &LogicalType::Interval);
            let order = SortExpr { expr: length(value.clone()), asc: name == "min", nulls_first: false };
            let present = value.clone().is_not_null();
            let filter = match call.params.filter {
                Some(filter) => filter.and(present),
                None => present,
            };
            Ok(Transformed::yes(first_value(value, Vec::new()).order_by(vec![order]).filter(filter).build()?))
        }
        _ => Ok(Transformed::new_transformed(Expr::AggregateFunction(call), any)),
    }
}

fn by_length(order: &mut [SortExpr], schema: &DFSchema) -> bool {
    let mut any = false;
    for key in order.iter_mut().filter(|key| is_interval(&key.expr, schema)) {
        key.expr = length(std::mem::take(&mut key.expr));
        any = true;
    }
    any
}

/// One side of a comparison with an interval; text is read as one.
fn side(expr: Expr, schema: &DFSchema) -> Expr {
    match expr.get_type(schema) {
        Ok(DataType::Interval(_) | DataType::Duration(_)) => length(expr),
        Ok(ty) if ty.is_string() || ty.is_null() => length(crate::conversions::named(expr, &LogicalType::Interval)),
        _ => expr,
    }
}

fn length(interval: Expr) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(Length { signature }).call(vec![interval])
}

/// How long an interval is, in nanoseconds: a number that orders as intervals do.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Length {
    signature: Signature,
}

impl Length {
    fn of(array: &ArrayRef) -> Result<ArrayRef> {
        let intervals = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let lengths = intervals.as_primitive::<IntervalMonthDayNanoType>().iter().map(|interval| {
            let interval = interval?;
            let days = i128::from(interval.months) * 30 + i128::from(interval.days);
            Some(days * NANOS_PER_DAY + i128::from(interval.nanoseconds))
        });
        Ok(Arc::new(lengths.collect::<Decimal128Array>().with_precision_and_scale(38, 0)?))
    }
}

impl ScalarUDFImpl for Length {
    fn name(&self) -> &str {
        "_interval_length"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(38, 0))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(array)] => Ok(ColumnarValue::Array(Self::of(array)?)),
            [ColumnarValue::Scalar(value)] => {
                let length = Self::of(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&length, 0)?))
            }
            _ => exec_err!("the length of an interval has one argument"),
        }
    }
}
