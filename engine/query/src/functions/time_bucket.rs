//! `time_bucket(width, time [, from])`: the start of the span of time that a time falls into.
//!
//! **Invariants**
//! 1. Spans follow each other without gaps, back and forth from a Monday (months: from the first of one), or from `from`; an interval
//!    in its place moves all of them.
//! 2. A TIMESTAMPTZ is put into spans of UTC. What is out of range is an error, never another time.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeDelta};
use datafusion::arrow::array::types::{IntervalMonthDayNano, IntervalMonthDayNanoType, TimestampMicrosecondType};
use datafusion::arrow::array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::row_wise::outside;
use crate::QueryError;

const DAY_MICROS: i64 = 86_400_000_000;
/// 2000-01-03, a Monday.
const MONDAY_MICROS: i64 = 946_857_600_000_000;
/// 2000-01, in months since the year 0.
const MONTH: i64 = 2000 * 12;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const MICROS: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeBucket {
    signature: Signature,
}

/// `time_bucket`.
pub(super) fn time_bucket() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(TimeBucket { signature: Signature::user_defined(Volatility::Immutable) }))
}

impl ScalarUDFImpl for TimeBucket {
    fn name(&self) -> &str {
        "time_bucket"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_time = |ty: &DataType| matches!(ty, DataType::Date32 | DataType::Timestamp(..));
        let given: Vec<DataType> = given.iter().map(|ty| if ty.is_null() { MICROS } else { ty.clone() }).collect();
        match given.as_slice() {
            [DataType::Interval(_), time] if is_time(time) => Ok(vec![INTERVAL, time.clone()]),
            [DataType::Interval(_), time, DataType::Interval(_)] if is_time(time) => {
                Ok(vec![INTERVAL, time.clone(), INTERVAL])
            }
            [DataType::Interval(_), time, from] if is_time(time) && is_time(from) => {
                Ok(vec![INTERVAL, time.clone(), from.clone()])
            }
            other => {
                let types: Vec<String> = other.iter().map(ToString::to_string).collect();
                plan_err!("No function matches the given name and argument types 'time_bucket({})'", types.join(", "))
            }
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.get(1).cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let buckets = buckets(&arrays, rows)?;
        let buckets = cast(&buckets, args.return_field.data_type())?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&buckets, 0)?)
        } else {
            ColumnarValue::Array(buckets)
        })
    }
}

fn micros(array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    // By way of the zone's own type, so that points in time keep their place.
    let array = match array.data_type() {
        DataType::Timestamp(_, Some(_)) => {
            let utc = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
            cast(&utc, &DataType::Int64)?
        }
        _ => cast(array, &MICROS)?,
    };
    Ok(cast(&array, &MICROS)?.as_primitive::<TimestampMicrosecondType>().clone())
}

fn buckets(arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let [widths, times, from @ ..] = arguments else {
        return plan_err!("time_bucket takes a width and a time");
    };
    let is_zoned = matches!(times.data_type(), DataType::Timestamp(_, Some(_)));
    let widths = cast(widths, &INTERVAL)?;
    let (widths, times) = (widths.as_primitive::<IntervalMonthDayNanoType>(), micros(times)?);
    let offsets = from.first().filter(|from| matches!(from.data_type(), DataType::Interval(_)));
    let origins = from.first().filter(|_| offsets.is_none()).map(micros).transpose()?;
    let offsets = offsets.map(|offsets| cast(offsets, &INTERVAL)).transpose()?;
    let offsets = offsets.as_ref().map(|offsets| offsets.as_primitive::<IntervalMonthDayNanoType>());
    let mut found = Vec::with_capacity(rows);
    for row in 0..rows {
        let is_null = widths.is_null(row)
            || times.is_null(row)
            || origins.as_ref().is_some_and(|origins| origins.is_null(row))
            || offsets.is_some_and(|offsets| offsets.is_null(row));
        if is_null {
            found.push(None);
            continue;
        }
        let (width, time) = (widths.value(row), times.value(row));
        let start = match offsets {
            Some(offsets) => moved_start(width, time, offsets.value(row)),
            None => start(width, time, origins.as_ref().map(|origins| origins.value(row))),
        };
        let out_of_range = || QueryError::conversion("a time bucket is out of range");
        found.push(Some(start.and_then(|start| start.ok_or_else(out_of_range)).map_err(outside)?));
    }
    let found = TimestampMicrosecondArray::from(found);
    Ok(if is_zoned { Arc::new(found.with_timezone("UTC")) } else { Arc::new(found) })
}

/// The start of a time's bucket, in microseconds; `None` if it is out of range.
fn start(width: IntervalMonthDayNano, time: i64, origin: Option<i64>) -> Result<Option<i64>, QueryError> {
    if width.months != 0 {
        if width.days != 0 || width.nanoseconds != 0 {
            return Err(QueryError::not_implemented("Month intervals cannot have day or time component"));
        }
        if width.months < 0 {
            return Err(QueryError::not_implemented("Period must be greater than 0"));
        }
        let origin = match origin {
            Some(origin) => month(origin),
            None => Some(MONTH),
        };
        let months = month(time).zip(origin);
        return Ok(
            months.and_then(|(month, origin)| first_of(month - (month - origin).rem_euclid(i64::from(width.months))))
        );
    }
    let width =
        i64::from(width.days).checked_mul(DAY_MICROS).and_then(|days| days.checked_add(width.nanoseconds / 1000));
    let width = width.filter(|width| *width > 0);
    let Some(width) = width else {
        return Err(QueryError::not_implemented("Period must be greater than 0"));
    };
    let since = i128::from(time) - i128::from(origin.unwrap_or(MONDAY_MICROS));
    Ok(i64::try_from(i128::from(time) - since.rem_euclid(i128::from(width))).ok())
}

/// [`start`], where all buckets are moved by an interval.
fn moved_start(width: IntervalMonthDayNano, time: i64, by: IntervalMonthDayNano) -> Result<Option<i64>, QueryError> {
    let Some(time) = moved(time, by, -1) else {
        return Ok(None);
    };
    Ok(start(width, time, None)?.and_then(|start| moved(start, by, 1)))
}

/// The month of a time, since the year 0.
fn month(micros: i64) -> Option<i64> {
    let date = DateTime::from_timestamp_micros(micros)?;
    Some(i64::from(date.year()) * 12 + i64::from(date.month0()))
}

fn first_of(month: i64) -> Option<i64> {
    let year = i32::try_from(month.div_euclid(12)).ok()?;
    let date = NaiveDate::from_ymd_opt(year, u32::try_from(month.rem_euclid(12)).ok()? + 1, 1)?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros())
}

/// A time plus an interval, or minus it.
fn moved(micros: i64, interval: IntervalMonthDayNano, sign: i32) -> Option<i64> {
    let months = interval.months.checked_mul(sign)?;
    let date = DateTime::from_timestamp_micros(micros)?;
    let date = match u32::try_from(months) {
        Ok(months) => date.checked_add_months(Months::new(months))?,
        Err(_) => date.checked_sub_months(Months::new(months.unsigned_abs()))?,
    };
    let days = TimeDelta::try_days(i64::from(interval.days) * i64::from(sign))?;
    let rest = TimeDelta::microseconds((interval.nanoseconds / 1000).checked_mul(i64::from(sign))?);
    Some(date.checked_add_signed(days)?.checked_add_signed(rest)?.timestamp_micros())
}
