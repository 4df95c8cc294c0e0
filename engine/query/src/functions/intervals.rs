//! Intervals times a number, and divided by one.
//!
//! **Invariants**
//! 1. A whole factor multiplies months, days and time each; what does not fit is an error.
//! 2. Of any other factor, the fraction of a month becomes days of it, that of a day time. By zero it is NULL.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use datafusion::arrow::compute::cast as cast_array;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, cast,
};

use super::row_wise::outside;
use crate::QueryError;

const NANOS_PER_DAY: f64 = 86_400e9;
const DAYS_PER_MONTH: f64 = 30.0;

/// `interval * factor`; `ty` is the factor's.
pub(super) fn times(interval: Expr, factor: Expr, ty: &DataType) -> Expr {
    let ty = if ty.is_integer() || ty.is_null() { DataType::Int64 } else { DataType::Float64 };
    scaled("interval_times", interval, cast(factor, ty))
}

/// `interval / divisor`.
pub(super) fn divided(interval: Expr, divisor: Expr) -> Expr {
    scaled(DIVIDED, interval, cast(divisor, DataType::Float64))
}

fn scaled(name: &'static str, interval: Expr, factor: Expr) -> Expr {
    let signature = Signature::any(2, Volatility::Immutable);
    ScalarUDF::new_from_impl(Scaled { name, signature }).call(vec![interval, factor])
}

const DIVIDED: &str = "interval_divided";

#[derive(Debug, PartialEq, Eq, Hash)]
struct Scaled {
    name: &'static str,
    signature: Signature,
}

impl Scaled {
    fn of(&self, intervals: &ArrayRef, factors: &ArrayRef) -> Result<ArrayRef> {
        let intervals = cast_array(intervals, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let rows = 0..intervals.len();
        let scaled = rows.map(|row| {
            if intervals.is_null(row) || factors.is_null(row) {
                return Ok(None);
            }
            let interval = intervals.value(row);
            let found = match factors.data_type() {
                DataType::Int64 => by_whole(interval, factors.as_primitive::<Int64Type>().value(row)),
                _ => match factors.as_primitive::<Float64Type>().value(row) {
                    0.0 if self.name == DIVIDED => return Ok(None),
                    divisor if self.name == DIVIDED => by_fraction(interval, |part| part / divisor),
                    factor => by_fraction(interval, |part| part * factor),
                },
            };
            found.map(Some).ok_or_else(|| outside(QueryError::conversion("interval value is out of range")))
        });
        Ok(Arc::new(scaled.collect::<Result<IntervalMonthDayNanoArray>>()?))
    }
}

fn by_whole(interval: IntervalMonthDayNano, factor: i64) -> Option<IntervalMonthDayNano> {
    Some(IntervalMonthDayNano::new(
        i32::try_from(i64::from(interval.months).checked_mul(factor)?).ok()?,
        i32::try_from(i64::from(interval.days).checked_mul(factor)?).ok()?,
        interval.nanoseconds.checked_mul(factor)?,
    ))
}

fn by_fraction(interval: IntervalMonthDayNano, scale: impl Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    let months = scale(f64::from(interval.months));
    let days = scale(f64::from(interval.days)) + months.fract() * DAYS_PER_MONTH;
    let micros = (scale(interval.nanoseconds as f64) + days.fract() * NANOS_PER_DAY) / 1e3;
    let fits = |part: f64, most: f64| part.is_finite() && part.abs() < most;
    let whole = fits(months, 2_147_483_648.0) && fits(days, 2_147_483_648.0) && fits(micros, 9.2e15);
    whole.then(|| IntervalMonthDayNano::new(months as i32, days as i32, micros.round() as i64 * 1_000))
}

impl ScalarUDFImpl for Scaled {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Interval(IntervalUnit::MonthDayNano))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [interval, factor] = args.args.as_slice() else {
            return exec_err!("{} has two arguments", self.name);
        };
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let scaled = self.of(&interval.to_array(rows)?, &factor.to_array(rows)?)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&scaled, 0)?)
        } else {
            ColumnarValue::Array(scaled)
        })
    }
}
