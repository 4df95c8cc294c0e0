//! `strftime` and `strptime`, in DuckDB's format.
//!
//! **Invariants**: an unknown specifier is an error; a time that lacks parts is that of 1900-01-01 00:00:00 with the parts it has.

use std::fmt::Write;

use chrono::format::{Item, Parsed, StrftimeItems, parse};
use chrono::{NaiveDate, NaiveTime};
use datafusion::arrow::array::timezone::Tz;

use super::clock::moment;
use super::row_wise::{Given, Outcome, Value};
use crate::QueryError;

/// `strftime(time, format)`, in either order.
pub(super) fn strftime(args: &[Given<'_>], _: Tz) -> Outcome {
    let (time, format) = match args {
        [Given::Text(format), time] => (*time, *format),
        [time, Given::Text(format)] => (*time, *format),
        _ => return Err(QueryError::internal("strftime without a format")),
    };
    let Some(moment) = moment(time) else {
        return Ok(None);
    };
    let format = chrono_format(format, Use::Write);
    let items = items(&format)?;
    let mut text = String::new();
    match write!(text, "{}", moment.format_with_items(items.into_iter())) {
        Ok(()) => Ok(Some(Value::Text(text))),
        Err(_) => Err(bad_format(&format)),
    }
}

/// `strptime(text, format)`.
pub(super) fn strptime(args: &[Given<'_>], _: Tz) -> Outcome {
    let (text, written) = (args[0].text(), args[1].text());
    let format = chrono_format(written, Use::Read);
    let items = items(&format)?;
    let mut parsed = Parsed::new();
    let moment = match parse(&mut parsed, text, items.into_iter()) {
        Ok(()) => assemble(&mut parsed),
        Err(_) => None,
    };
    match moment {
        Some(micros) => Ok(Some(Value::Time(micros))),
        None => Err(QueryError::invalid_input(format_args!(
            "Could not parse string \"{text}\" according to format specifier \"{written}\""
        ))),
    }
}

/// Microseconds since 1970 of what was parsed.
fn assemble(parsed: &mut Parsed) -> Option<i64> {
    if let Some(seconds) = parsed.timestamp() {
        return seconds.checked_mul(1_000_000);
    }
    let date = parsed.to_naive_date().ok().or_else(|| {
        let year = parsed.year().or_else(|| parsed.year_mod_100()).unwrap_or(1900);
        NaiveDate::from_ymd_opt(year, parsed.month().unwrap_or(1), parsed.day().unwrap_or(1))
    })?;
    let hour = match (parsed.hour_div_12(), parsed.hour_mod_12()) {
        (Some(half), Some(hour)) => half * 12 + hour,
        (None, Some(hour)) => hour,
        _ => 0,
    };
    let (second, nano) = (parsed.second().unwrap_or(0), parsed.nanosecond().unwrap_or(0));
    let time = NaiveTime::from_hms_nano_opt(hour, parsed.minute().unwrap_or(0), second, nano)?;
    let offset = i64::from(parsed.offset().unwrap_or(0));
    date.and_time(time).and_utc().timestamp_micros().checked_sub(offset * 1_000_000)
}

fn items(format: &str) -> Result<Vec<Item<'_>>, QueryError> {
    let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) { Err(bad_format(format)) } else { Ok(items) }
}

fn bad_format(format: &str) -> QueryError {
    QueryError::invalid_input(format_args!("Failed to parse format specifier {format}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Write,
}

/// DuckDB's specifiers as chrono's, where they differ.
fn chrono_format(format: &str, purpose: Use) -> String {
    let mut out = String::with_capacity(format.len() + 8);
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        // Reading, chrono takes any number of digits only together with the point.
        if c == '.' && purpose == Use::Read && format_follows(&chars, "%f") {
            chars.nth(1);
            out.push_str("%.f");
            continue;
        }
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('f') => out.push_str("%6f"),
            Some('g') => out.push_str("%3f"),
            Some('n') => out.push_str("%9f"),
            Some('c') => out.push_str("%Y-%m-%d %H:%M:%S"),
            Some('x') => out.push_str("%Y-%m-%d"),
            Some('X') => out.push_str("%H:%M:%S"),
            // A naive time has no zone; DuckDB writes UTC's.
            Some('z') if purpose == Use::Write => out.push_str("+00"),
            Some('Z') if purpose == Use::Write => {}
            Some(other) => {
                out.push('%');
                out.push(other);
            }
            // A lone % at the end: chrono reports it.
            None => out.push('%'),
        }
    }
    out
}

fn format_follows(chars: &std::iter::Peekable<std::str::Chars<'_>>, text: &str) -> bool {
    let mut rest = chars.clone();
    text.chars().all(|c| rest.next() == Some(c))
}
