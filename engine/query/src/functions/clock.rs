//! DuckDB's functions of dates and times.
//!
//! **Invariants**
//! 1. They see a TIMESTAMPTZ as the session's clocks show it.
//! 2. Weeks start on Monday.
//! 3. Times out of chrono's range give NULL or an error, never another time.

use std::sync::Arc;

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveDateTime, TimeDelta, TimeZone, Timelike};
use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::types::{IntervalMonthDayNano, TimestampMicrosecondType};
use datafusion::arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion::arrow::temporal_conversions::as_datetime_with_timezone;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use siltstone_storage::LogicalType;

use super::row_wise::Kind::{Clock, Double, Int, Text};
use super::row_wise::{Given, Outcome, RowWise, Value};
use crate::QueryError;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 24 * 3600 * SECOND;

/// The session's clock times of points in time.
pub(super) fn local(array: &ArrayRef, zone: Tz) -> Result<TimestampMicrosecondArray> {
    let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
    let micros = micros.as_primitive::<TimestampMicrosecondType>();
    let local = micros.iter().map(|micros| {
        let moment = as_datetime_with_timezone::<TimestampMicrosecondType>(micros?, zone)?;
        Some(moment.naive_local().and_utc().timestamp_micros())
    });
    Ok(local.collect())
}

/// All functions of this family.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let bigint = || Field::new("", DataType::Int64, true);
    let text = || LogicalType::Varchar.field("", true);
    let timestamp = || LogicalType::Timestamp.field("", true);
    let interval = || Field::new("", DataType::Interval(IntervalUnit::MonthDayNano), true);
    let mut functions = vec![
        RowWise::udf(&["dayname"], &[&[Clock]], text(), |args, _| Ok(moment(args[0]).map(|t| words(t, "%A")))),
        RowWise::udf(&["monthname"], &[&[Clock]], text(), |args, _| Ok(moment(args[0]).map(|t| words(t, "%B")))),
        RowWise::udf(&["last_day"], &[&[Clock]], LogicalType::Date.field("", true), last_day),
        RowWise::udf(&["strftime"], &[&[Clock, Text], &[Text, Clock]], text(), super::time_format::strftime),
        RowWise::udf(&["strptime"], &[&[Text, Text]], timestamp(), super::time_format::strptime),
        RowWise::udf(&["try_strptime"], &[&[Text, Text]], timestamp(), |args, zone| {
            Ok(super::time_format::strptime(args, zone).unwrap_or(None))
        }),
        RowWise::udf(&["date_diff", "datediff"], &[&[Text, Clock, Clock]], bigint(), date_diff),
        RowWise::udf(&["date_sub", "datesub"], &[&[Text, Clock, Clock]], bigint(), date_sub),
        RowWise::udf(&["age"], &[&[Clock, Clock]], interval(), age),
        RowWise::udf(&["make_timestamp"], &[&[Int, Int, Int, Int, Int, Double], &[Int]], timestamp(), make_timestamp),
        RowWise::udf(&["to_timestamp"], &[&[Double]], LogicalType::TimestampTz.field("", true), |args, _| {
            seconds(args[0].double()).map(|micros| Some(Value::Time(micros)))
        }),
        RowWise::udf(&["epoch"], &[&[Clock]], Field::new("", DataType::Float64, true), |args, zone| {
            Ok(utc(args[0], zone).map(|micros| Value::Double(micros as f64 / SECOND as f64)))
        }),
    ];
    functions
        .extend(PARTS.iter().map(|(names, _)| RowWise::udf(names, &[&[Clock]], bigint(), part_function(names[0]))));
    functions.extend(UNITS.iter().map(|(name, _)| RowWise::udf(&[name], &[&[Int]], interval(), unit_function(name))));
    functions
}

type Part = fn(NaiveDateTime) -> i64;

/// Parts of a time, each under all its names.
const PARTS: &[(&[&str], Part)] = &[
    (&["year"], |t| t.year().into()),
    (&["month"], |t| t.month().into()),
    (&["day", "dayofmonth"], |t| t.day().into()),
    (&["hour"], |t| t.hour().into()),
    (&["minute"], |t| t.minute().into()),
    (&["second"], |t| t.second().into()),
    (&["millisecond"], |t| i64::from(t.second()) * 1000 + i64::from(t.nanosecond() / 1_000_000)),
    (&["microsecond"], |t| i64::from(t.second()) * SECOND + i64::from(t.nanosecond() / 1000)),
    (&["quarter"], |t| (t.month0() / 3 + 1).into()),
    (&["week", "weekofyear"], |t| t.iso_week().week().into()),
    (&["isoyear"], |t| t.iso_week().year().into()),
    (&["yearweek"], |t| i64::from(t.iso_week().year()) * 100 + i64::from(t.iso_week().week())),
    (&["dayofweek", "weekday"], |t| t.weekday().num_days_from_sunday().into()),
    (&["isodow"], |t| t.weekday().number_from_monday().into()),
    (&["dayofyear"], |t| t.ordinal().into()),
    (&["decade"], |t| i64::from(t.year()).div_euclid(10)),
    (&["century"], |t| i64::from(t.year() - 1).div_euclid(100) + 1),
    (&["millennium"], |t| i64::from(t.year() - 1).div_euclid(1000) + 1),
    (&["epoch_ms"], |t| t.and_utc().timestamp_millis()),
    (&["epoch_us"], |t| t.and_utc().timestamp_micros()),
    (&["epoch_ns"], |t| t.and_utc().timestamp_micros().saturating_mul(1000)),
];

/// A function of the part's first name. Function pointers carry no data, so each name has its own.
fn part_function(name: &'static str) -> fn(&[Given<'_>], Tz) -> Outcome {
    macro_rules! parts {
        ($($part:literal),*) => {
            match name {
                $($part => |args: &[Given<'_>], _: Tz| part_value($part, args[0]),)*
                _ => |_: &[Given<'_>], _: Tz| Err(QueryError::internal("a part of a time without a function")),
            }
        };
    }
    parts!(
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "second",
        "millisecond",
        "microsecond",
        "quarter",
        "week",
        "isoyear",
        "yearweek",
        "dayofweek",
        "isodow",
        "dayofyear",
        "decade",
        "century",
        "millennium",
        "epoch_ms",
        "epoch_us",
        "epoch_ns"
    )
}

fn part_value(name: &str, given: Given<'_>) -> Outcome {
    let part = PARTS.iter().find(|(names, _)| names.contains(&name)).map(|(_, part)| part);
    Ok(moment(given).zip(part).map(|(t, part)| Value::Int(part(t))))
}

/// `to_days(n)` and its siblings: months, days and nanoseconds of one.
const UNITS: &[(&str, (i32, i32, i64))] = &[
    ("to_years", (12, 0, 0)),
    ("to_quarters", (3, 0, 0)),
    ("to_months", (1, 0, 0)),
    ("to_weeks", (0, 7, 0)),
    ("to_days", (0, 1, 0)),
    ("to_hours", (0, 0, 3600 * SECOND * 1000)),
    ("to_minutes", (0, 0, 60 * SECOND * 1000)),
    ("to_seconds", (0, 0, SECOND * 1000)),
    ("to_milliseconds", (0, 0, SECOND)),
    ("to_microseconds", (0, 0, 1000)),
];

fn unit_function(name: &'static str) -> fn(&[Given<'_>], Tz) -> Outcome {
    macro_rules! units {
        ($($unit:literal),*) => {
            match name {
                $($unit => |args: &[Given<'_>], _: Tz| unit_value($unit, args[0].int()),)*
                _ => |_: &[Given<'_>], _: Tz| Err(QueryError::internal("a unit of time without a function")),
            }
        };
    }
    units!(
        "to_years",
        "to_quarters",
        "to_months",
        "to_weeks",
        "to_days",
        "to_hours",
        "to_minutes",
        "to_seconds",
        "to_milliseconds",
        "to_microseconds"
    )
}

fn unit_value(name: &str, number: i64) -> Outcome {
    let Some((_, (months, days, nanos))) = UNITS.iter().find(|(unit, _)| *unit == name) else {
        return Ok(None);
    };
    let interval = || {
        let small = i32::try_from(number).ok();
        let of = |unit: &i32| if *unit == 0 { Some(0) } else { small?.checked_mul(*unit) };
        Some(IntervalMonthDayNano::new(
            of(months)?,
            of(days)?,
            if *nanos == 0 { 0 } else { number.checked_mul(*nanos)? },
        ))
    };
    match interval() {
        Some(interval) => Ok(Some(Value::Interval(interval))),
        None => Err(out_of_range(format_args!("interval of {number} {}", name.trim_start_matches("to_")))),
    }
}

fn out_of_range(what: impl std::fmt::Display) -> QueryError {
    QueryError::conversion(format_args!("{what} is out of range"))
}

pub(super) fn moment(given: Given<'_>) -> Option<NaiveDateTime> {
    Some(DateTime::from_timestamp_micros(given.int())?.naive_utc())
}

fn words(moment: NaiveDateTime, format: &str) -> Value {
    Value::Text(moment.format(format).to_string())
}

/// The point in time of a clock time of the session; that of a TIMESTAMP is itself in DuckDB, too, whose zone is then UTC.
fn utc(given: Given<'_>, zone: Tz) -> Option<i64> {
    let local = moment(given)?;
    Some(zone.from_local_datetime(&local).earliest().map_or(given.int(), |moment| moment.timestamp_micros()))
}

fn last_day(args: &[Given<'_>], _: Tz) -> Outcome {
    let day = moment(args[0]).and_then(|t| {
        let first = t.date().with_day(1)?;
        first.checked_add_months(Months::new(1))?.pred_opt()
    });
    Ok(day.map(|day| Value::Date(day.to_epoch_days())))
}

fn seconds(seconds: f64) -> Result<i64, QueryError> {
    let micros = (seconds * SECOND as f64).round();
    if micros.is_finite() && micros.abs() < i64::MAX as f64 {
        Ok(micros as i64)
    } else {
        Err(out_of_range(format_args!("timestamp of {seconds} seconds")))
    }
}

fn make_timestamp(args: &[Given<'_>], _: Tz) -> Outcome {
    if let [micros] = args {
        return Ok(Some(Value::Time(micros.int())));
    }
    let small = |i: usize| args.get(i).and_then(|arg| u32::try_from(arg.int()).ok());
    let made = || {
        let date = NaiveDate::from_ymd_opt(i32::try_from(args[0].int()).ok()?, small(1)?, small(2)?)?;
        let minute = date.and_hms_opt(small(3)?, small(4)?, 0)?;
        let seconds = args[5].double();
        let micros = (0.0..60.0).contains(&seconds).then(|| (seconds * SECOND as f64).round() as i64)?;
        minute.checked_add_signed(TimeDelta::microseconds(micros))
    };
    match made() {
        Some(moment) => Ok(Some(Value::Time(moment.and_utc().timestamp_micros()))),
        None => Err(out_of_range("a part of the timestamp")),
    }
}

/// The units that intervals between times are counted in.
enum Unit {
    Months(i64),
    /// Microseconds.
    Micros(i64),
    Weeks,
}

fn unit(name: &str) -> Result<Unit, QueryError> {
    let name = name.to_ascii_lowercase();
    Ok(match name.strip_suffix('s').unwrap_or(&name) {
        "year" | "yr" | "y" => Unit::Months(12),
        "quarter" => Unit::Months(3),
        "month" | "mon" => Unit::Months(1),
        "decade" => Unit::Months(120),
        "century" | "centurie" => Unit::Months(1200),
        "millennium" | "millennia" => Unit::Months(12_000),
        "week" | "w" => Unit::Weeks,
        "day" | "d" | "dayofmonth" => Unit::Micros(DAY),
        "hour" | "hr" | "h" => Unit::Micros(3600 * SECOND),
        "minute" | "min" | "m" => Unit::Micros(60 * SECOND),
        "second" | "sec" | "" => Unit::Micros(SECOND),
        "millisecond" | "ms" | "msec" => Unit::Micros(1000),
        "microsecond" | "us" | "usec" => Unit::Micros(1),
        _ => return Err(QueryError::conversion(format_args!("extract specifier \"{name}\" not recognized"))),
    })
}

fn months(moment: NaiveDateTime) -> i64 {
    i64::from(moment.year()) * 12 + i64::from(moment.month0())
}

/// Boundaries of the unit between two times.
fn date_diff(args: &[Given<'_>], _: Tz) -> Outcome {
    let (from, to) = (args[1].int(), args[2].int());
    let count = match unit(args[0].text())? {
        Unit::Months(size) => {
            let (Some(from), Some(to)) = (moment(args[1]), moment(args[2])) else {
                return Ok(None);
            };
            // Decades and the like begin with the years that they divide, quarters with January.
            months(to).div_euclid(size) - months(from).div_euclid(size)
        }
        // DuckDB counts these in full, unlike the others.
        Unit::Weeks => (to.div_euclid(DAY) - from.div_euclid(DAY)) / 7,
        Unit::Micros(size) => to.div_euclid(size) - from.div_euclid(size),
    };
    Ok(Some(Value::Int(count)))
}

/// Whole units between two times.
fn date_sub(args: &[Given<'_>], _: Tz) -> Outcome {
    let (Some(from), Some(to)) = (moment(args[1]), moment(args[2])) else {
        return Ok(None);
    };
    let count = match unit(args[0].text())? {
        Unit::Months(size) => whole_months(from, to) / size,
        Unit::Weeks => (args[2].int() - args[1].int()) / (7 * DAY),
        Unit::Micros(size) => (args[2].int() - args[1].int()) / size,
    };
    Ok(Some(Value::Int(count)))
}

/// Months that have passed in full, negative backwards.
fn whole_months(from: NaiveDateTime, to: NaiveDateTime) -> i64 {
    if to < from {
        return -whole_months(to, from);
    }
    let crossed = months(to) - months(from);
    let reached = u32::try_from(crossed).ok().and_then(|n| from.checked_add_months(Months::new(n)));
    if reached.is_some_and(|reached| reached > to) { crossed - 1 } else { crossed }
}

/// `age(to, from)`: months, days and time that lie between.
fn age(args: &[Given<'_>], _: Tz) -> Outcome {
    let (Some(to), Some(from)) = (moment(args[0]), moment(args[1])) else {
        return Ok(None);
    };
    let (earlier, later, sign) = if from <= to { (from, to, 1) } else { (to, from, -1) };
    let whole = whole_months(earlier, later);
    let rest = || {
        let reached = earlier.checked_add_months(Months::new(u32::try_from(whole).ok()?))?;
        let micros = (later - reached).num_microseconds()?;
        let days = i32::try_from(micros / DAY).ok()?;
        let interval = IntervalMonthDayNano::new(
            sign * i32::try_from(whole).ok()?,
            sign * days,
            i64::from(sign) * (micros % DAY) * 1000,
        );
        Some(Value::Interval(interval))
    };
    Ok(rest())
}

#[cfg(test)]
mod tests;
