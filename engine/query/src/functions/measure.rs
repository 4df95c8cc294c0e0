//! Functions that make as much as they are told to (`repeat`, `lpad`, `range`, …) are told how much is too much.
//!
//! The argument that says how much goes through [`Measure`], which gives it back unless the call would make more than
//! [`BYTES_MAX`]: such a value is not counted against the query's memory while it is made, and could take all of the machine's.
//!
//! **Invariants**: names and types of columns stay; what is small enough is computed as ever.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::compute::kernels::length::length;
use datafusion::arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, resources_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Most bytes that one call may make for one batch of rows.
pub(super) const BYTES_MAX: i128 = 256 << 20;
/// Bytes of an element of a list, roughly.
const ITEM_BYTES: i128 = 8;
/// Most bytes of a character.
const CHARACTER_BYTES: i128 = 4;
/// The name of the function that measures.
const NAME: &str = "measured";

/// What is made of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Made {
    /// As many copies of the text beside it.
    Copies,
    /// As many characters.
    Characters,
    /// As many elements of a list.
    Items,
    /// The elements from a start (beside it) to it, by steps (beside it).
    Steps,
}

/// Puts [`Measure`] around the arguments that say how much.
#[derive(Debug)]
pub(crate) struct Measured;

impl FunctionRewrite for Measured {
    fn name(&self) -> &str {
        NAME
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(mut call) = expr else {
            return Ok(Transformed::no(expr));
        };
        let Some((made, at)) = made(call.func.name(), call.args.len()) else {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        };
        if matches!(&call.args[at], Expr::ScalarFunction(inner) if inner.func.name() == NAME) {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
        let mut arguments = vec![call.args[at].clone()];
        arguments.extend(call.args.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, other)| other.clone()));
        let function = call.func.name().to_owned();
        let measure = Measure { function, made, signature: Signature::variadic_any(Volatility::Immutable) };
        let measure = Arc::new(ScalarUDF::new_from_impl(measure));
        call.args[at] = Expr::ScalarFunction(ScalarFunction::new_udf(measure, arguments));
        Ok(Transformed::yes(Expr::ScalarFunction(call)))
    }
}

/// What a function makes, and which argument says how much of it.
fn made(function: &str, arguments: usize) -> Option<(Made, usize)> {
    let (made, at) = match (function, arguments) {
        ("repeat", 2) => (Made::Copies, 1),
        ("lpad" | "rpad", 2 | 3) => (Made::Characters, 1),
        ("array_repeat", 2) | ("array_resize", 2 | 3) => (Made::Items, 1),
        ("range" | "generate_series", 1) => (Made::Steps, 0),
        ("range" | "generate_series", 2 | 3) => (Made::Steps, 1),
        _ => return None,
    };
    Some((made, at))
}

/// Gives its first argument back, or an error if what comes of it and the others is too much.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Measure {
    function: String,
    made: Made,
    signature: Signature,
}

impl ScalarUDFImpl for Measure {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // A call with constants only is made once, whatever the number of rows.
        let constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let bytes = bytes(self.made, &arrays, rows);
        if bytes > BYTES_MAX {
            return resources_err!(
                "{} would make about {bytes} bytes at once; at most {BYTES_MAX} are allowed",
                self.function
            );
        }
        match args.args.into_iter().next() {
            Some(first) => Ok(first),
            None => resources_err!("{} was measured without arguments", self.function),
        }
    }
}

/// Bytes that a call makes for some rows. What cannot be understood counts as nothing: the function itself will refuse it.
fn bytes(made: Made, arguments: &[ArrayRef], rows: usize) -> i128 {
    let numbers = |at: usize| arguments.get(at).and_then(number);
    let Some(counts) = numbers(0) else {
        return 0;
    };
    let beside = match made {
        Made::Copies => arguments.get(1).and_then(|texts| number(&length(texts.as_ref()).ok()?)),
        Made::Steps => numbers(1),
        Made::Characters | Made::Items => None,
    };
    let steps = numbers(2);
    let at = |values: &Option<Int64Array>, row: usize, default: i128| {
        values.as_ref().map_or(default, |values| if values.is_null(row) { 0 } else { i128::from(values.value(row)) })
    };
    let of_row = |row: usize| {
        if counts.is_null(row) {
            return 0;
        }
        let count = i128::from(counts.value(row));
        match made {
            Made::Copies => count.max(0) * at(&beside, row, 1),
            Made::Characters => count.max(0) * CHARACTER_BYTES,
            Made::Items => count.max(0) * ITEM_BYTES,
            Made::Steps => {
                let span = count - at(&beside, row, 0);
                // A step of zero is refused by the function.
                span.abs() / at(&steps, row, 1).abs().max(1) * ITEM_BYTES
            }
        }
    };
    (0..rows).map(of_row).sum()
}

/// Numbers as they are, times and intervals in microseconds; `None` for what is neither.
fn number(values: &ArrayRef) -> Option<Int64Array> {
    let to_micros = |interval: IntervalMonthDayNano| {
        let days = i64::from(interval.months) * 28 + i64::from(interval.days);
        days.saturating_mul(86_400_000_000).saturating_add(interval.nanoseconds / 1000)
    };
    match values.data_type() {
        DataType::Interval(_) => {
            let intervals = cast(values, &DataType::Interval(IntervalUnit::MonthDayNano)).ok()?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            Some(intervals.iter().map(|interval| interval.map(to_micros)).collect())
        }
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => {
            let times = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, None)).ok()?;
            number(&cast(&times, &DataType::Int64).ok()?)
        }
        _ => Some(cast(values, &DataType::Int64).ok()?.as_primitive::<Int64Type>().clone()),
    }
}
