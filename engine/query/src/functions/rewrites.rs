//! Calls that mean another expression, once the types of their arguments are known.
//!
//! **Invariants**
//! 1. The expression keeps the call's name.
//! 2. Arithmetic of constants does not wrap around.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::nullif;
use datafusion::functions_nested::expr_fn::{array_compact, array_distinct, array_length};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, binary_expr, cast, lit, when,
};

/// The rewrites.
#[derive(Debug)]
pub(crate) struct Rewrites;

impl FunctionRewrite for Rewrites {
    fn name(&self) -> &str {
        "duckdb_functions"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        match expr {
            Expr::ScalarFunction(call) => scalar(call, schema),
            Expr::BinaryExpr(sum) if matches!(sum.op, Operator::Plus | Operator::Minus | Operator::Multiply) => {
                check_literals(&sum)?;
                date_and_interval(sum, schema)
            }
            Expr::AggregateFunction(mut call) => {
                let changed = retype_argument(call.func.name(), &mut call.params.args, schema)?;
                Ok(Transformed::new_transformed(Expr::AggregateFunction(call), changed))
            }
            Expr::WindowFunction(mut call) => {
                let changed = retype_argument(call.fun.name(), &mut call.params.args, schema)?;
                Ok(Transformed::new_transformed(Expr::WindowFunction(call), changed))
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// Gives an aggregate's argument the type that makes its result DuckDB's: averages and medians of whole numbers and decimals are
/// DOUBLE.
fn retype_argument(aggregate: &str, args: &mut [Expr], schema: &DFSchema) -> Result<bool> {
    let [value] = args else {
        return Ok(false);
    };
    let Some(target) = argument_type(aggregate, &value.get_type(schema)?) else {
        return Ok(false);
    };
    *value = cast(std::mem::take(value), target);
    Ok(true)
}

/// The type that an aggregate's argument gets; `None`: it keeps its own.
pub(super) fn argument_type(aggregate: &str, ty: &DataType) -> Option<DataType> {
    match (aggregate, ty) {
        ("avg", DataType::Decimal128(..)) => Some(DataType::Float64),
        ("median", ty) if ty.is_integer() || matches!(ty, DataType::Decimal128(..)) => Some(DataType::Float64),
        _ => None,
    }
}

/// Folding constants wraps around; DuckDB does not.
fn check_literals(sum: &BinaryExpr) -> Result<()> {
    let (Expr::Literal(ScalarValue::Int64(Some(left)), _), Expr::Literal(ScalarValue::Int64(Some(right)), _)) =
        (sum.left.as_ref(), sum.right.as_ref())
    else {
        return Ok(());
    };
    let (name, result) = match sum.op {
        Operator::Plus => ("addition", left.checked_add(*right)),
        Operator::Minus => ("subtraction", left.checked_sub(*right)),
        _ => ("multiplication", left.checked_mul(*right)),
    };
    match result {
        Some(_) => Ok(()),
        None => {
            let text = format!("Overflow in {name} of INT64 ({left} {} {right})!", sum.op);
            Err(ArrowError::ArithmeticOverflow(text).into())
        }
    }
}

fn scalar(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let replaced = match (call.func.name(), call.args.as_slice()) {
        (DATE_ADD, [time, interval]) => {
            let sum = BinaryExpr::new(Box::new(time.clone()), Operator::Plus, Box::new(interval.clone()));
            return Ok(Transformed::yes(date_and_interval(sum, schema)?.data));
        }
        (MOD, [dividend, divisor]) => {
            let zero = cast(lit(0_i64), divisor.get_type(schema)?);
            binary_expr(dividend.clone(), Operator::Modulo, nullif(divisor.clone(), zero))
        }
        // Lists have lengths as well.
        ("character_length", [list]) if matches!(list.get_type(schema)?, DataType::List(_)) => {
            cast(array_length(list.clone()), DataType::Int64)
        }
        // DataFusion compares keys as they are, whatever their types.
        ("get_field", [map, key]) if matches!(map.get_type(schema)?, DataType::Map(..)) => {
            super::maps::value_of().call(vec![map.clone(), key.clone()])
        }
        // NULLs last, unless said otherwise.
        ("array_sort", [list]) => call.func.call(vec![list.clone(), lit("ASC"), lit("NULLS LAST")]),
        ("array_sort", [list, order]) => call.func.call(vec![list.clone(), order.clone(), lit("NULLS LAST")]),
        (LIST_DISTINCT, [list]) => array_distinct(array_compact(list.clone())),
        ("epoch_ns", [time]) if time.get_type(schema)? == DataType::Timestamp(TimeUnit::Nanosecond, None) => {
            cast(time.clone(), DataType::Int64)
        }
        ("make_time", _) => cast(Expr::ScalarFunction(call), DataType::Time64(TimeUnit::Microsecond)),
        (IF, [condition, yes, no]) => when(condition.clone(), yes.clone()).otherwise(no.clone())?,
        // A day, week, month … is a DATE.
        ("date_trunc", [unit, time])
            if !is_shorter_than_a_day(unit)
                && matches!(time.get_type(schema)?, DataType::Date32 | DataType::Timestamp(_, None)) =>
        {
            cast(Expr::ScalarFunction(call), DataType::Date32)
        }
        ("date_trunc", [unit, date]) if date.get_type(schema)? == DataType::Date32 => {
            call.func.call(vec![unit.clone(), cast(date.clone(), DataType::Timestamp(TimeUnit::Microsecond, None))])
        }
        ("date_part", _) if Expr::ScalarFunction(call.clone()).get_type(schema)? == DataType::Int32 => {
            cast(Expr::ScalarFunction(call), DataType::Int64)
        }
        _ => return Ok(Transformed::no(Expr::ScalarFunction(call))),
    };
    Ok(Transformed::yes(replaced))
}

fn is_shorter_than_a_day(unit: &Expr) -> bool {
    let Expr::Literal(unit, _) = unit else {
        return true;
    };
    let unit = unit.try_as_str().flatten().unwrap_or_default().to_ascii_lowercase();
    !["day", "week", "month", "quarter", "year"].contains(&unit.as_str())
}

/// A DATE or a coarser timestamp and an interval that may hold hours make a TIMESTAMP; DataFusion would drop what their unit has not. A date and whole days stay a DATE,
/// so that it still compares with columns of dates directly.
fn date_and_interval(sum: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let left = sum.left.get_type(schema);
    let is_coarse = matches!(left, Ok(DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, None)));
    if is_coarse && matches!(sum.right.get_type(schema), Ok(DataType::Interval(_))) {
        let time = cast(*sum.left, DataType::Timestamp(TimeUnit::Microsecond, None));
        return Ok(Transformed::yes(binary_expr(time, sum.op, *sum.right)));
    }
    let is_date = matches!(left, Ok(DataType::Date32));
    if !is_date || !matches!(sum.right.get_type(schema), Ok(DataType::Interval(_))) || is_whole_days(&sum.right) {
        return Ok(Transformed::no(Expr::BinaryExpr(sum)));
    }
    let time = cast(*sum.left, DataType::Timestamp(TimeUnit::Microsecond, None));
    Ok(Transformed::yes(binary_expr(time, sum.op, *sum.right)))
}

fn is_whole_days(interval: &Expr) -> bool {
    matches!(interval, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) if interval.nanoseconds == 0)
}

const DATE_ADD: &str = "date_add";
const MOD: &str = "mod";
const IF: &str = "if";
const LIST_DISTINCT: &str = "list_distinct";

/// A function that is always replaced.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Replaced {
    name: &'static str,
    /// Which argument has the type of the result.
    like: usize,
    signature: Signature,
}

/// The functions that exist only to be replaced.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |name, like, arguments| {
        let signature = Signature::any(arguments, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Replaced { name, like, signature }))
    };
    vec![function(DATE_ADD, 0, 2), function(MOD, 0, 2), function(IF, 1, 3), function(LIST_DISTINCT, 0, 1)]
}

impl ScalarUDFImpl for Replaced {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.get(self.like).cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{} cannot be used here", self.name)
    }
}
