//! Values as DuckDB writes them, and BLOBs from the text it writes them as.
//!
//! **Invariants**
//! 1. Times have no fraction, or one without trailing zeros; a blank is between date and time.
//! 2. Reading a BLOB's text gives the BLOB back.

use std::fmt::Write;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BinaryViewBuilder, PrimitiveArray, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, IntervalMonthDayNanoType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use datafusion::arrow::temporal_conversions::{as_datetime, as_datetime_with_timezone};

use siltstone_storage::interval;

use crate::QueryError;
use crate::error::Result;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Points in time without a zone, in counts of `unit`: `2024-01-15 12:00:00.5`.
pub(crate) fn of_timestamps(array: &ArrayRef, unit: TimeUnit) -> Result<StringViewArray> {
    match unit {
        TimeUnit::Second => of_unzoned(array.as_primitive::<TimestampSecondType>()),
        TimeUnit::Millisecond => of_unzoned(array.as_primitive::<TimestampMillisecondType>()),
        TimeUnit::Microsecond => of_unzoned(array.as_primitive::<TimestampMicrosecondType>()),
        TimeUnit::Nanosecond => of_unzoned(array.as_primitive::<TimestampNanosecondType>()),
    }
}

fn of_unzoned<T: ArrowPrimitiveType<Native = i64>>(array: &PrimitiveArray<T>) -> Result<StringViewArray> {
    of_primitives(array, |count| {
        let moment = as_datetime::<T>(count)?;
        let fraction = match moment.and_utc().timestamp_subsec_nanos() {
            0 => String::new(),
            nanos => format!(".{nanos:09}").trim_end_matches('0').to_owned(),
        };
        Some(format!("{}{fraction}", moment.format("%Y-%m-%d %H:%M:%S")))
    })
}

/// Intervals: `1 year 2 months 3 days 04:05:06.5`.
pub(crate) fn of_intervals(array: &PrimitiveArray<IntervalMonthDayNanoType>) -> StringViewArray {
    let mut builder = StringViewBuilder::with_capacity(array.len());
    let mut text = Vec::new();
    for value in array {
        builder.append_option(value.map(|value| {
            text.clear();
            interval::push(&mut text, value.months, value.days, i128::from(value.nanoseconds));
            String::from_utf8_lossy(&text)
        }));
    }
    builder.finish()
}

/// Points in time as the clocks of `zone` show them: `2024-01-15 12:00:00+05:30`.
pub(crate) fn of_zoned_timestamps(
    array: &PrimitiveArray<TimestampMicrosecondType>,
    zone: Tz,
) -> Result<StringViewArray> {
    of_primitives(array, |micros| {
        let moment = as_datetime_with_timezone::<TimestampMicrosecondType>(micros, zone)?;
        let offset = moment.format("%:z").to_string();
        let offset = offset.strip_suffix(":00").unwrap_or(&offset);
        Some(format!("{}{}{offset}", moment.format("%Y-%m-%d %H:%M:%S"), fraction(micros)))
    })
}

/// Times of day: `13:45:01.5`.
pub(crate) fn of_times(array: &PrimitiveArray<Time64MicrosecondType>) -> Result<StringViewArray> {
    of_primitives(array, |micros| {
        let seconds = micros.div_euclid(MICROS_PER_SECOND);
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        Some(format!("{hours:02}:{minutes:02}:{:02}{}", seconds % 60, fraction(micros)))
    })
}

fn of_primitives<T: ArrowPrimitiveType<Native = i64>>(
    array: &PrimitiveArray<T>,
    text: impl Fn(i64) -> Option<String>,
) -> Result<StringViewArray> {
    let mut builder = StringViewBuilder::with_capacity(array.len());
    for value in array {
        match value {
            None => builder.append_null(),
            Some(value) => {
                let text = text(value).ok_or_else(|| {
                    QueryError::conversion(format_args!("{value} is no point in time: {}", T::DATA_TYPE))
                })?;
                builder.append_value(text);
            }
        }
    }
    Ok(builder.finish())
}

/// The part of a second, with its point; nothing if it is zero.
fn fraction(micros: i64) -> String {
    match micros.rem_euclid(MICROS_PER_SECOND) {
        0 => String::new(),
        part => format!(".{part:06}").trim_end_matches('0').to_owned(),
    }
}

/// Bytes as printable ASCII; other bytes, quotes and backslashes as `\xHH`.
pub(crate) fn of_blobs(array: &BinaryViewArray) -> StringViewArray {
    let mut builder = StringViewBuilder::with_capacity(array.len());
    let mut text = String::new();
    for value in array {
        let Some(bytes) = value else {
            builder.append_null();
            continue;
        };
        text.clear();
        for byte in bytes {
            match byte {
                b'\\' | b'\'' | b'"' | ..b' ' | 0x7f.. => {
                    // Writing to a String cannot fail.
                    let _always_ok = write!(text, "\\x{byte:02X}");
                }
                _ => text.push(char::from(*byte)),
            }
        }
        builder.append_value(&text);
    }
    builder.finish()
}

/// The bytes that [`of_blobs`] writes this way.
///
/// # Errors
/// `Conversion Error` for a character that is not ASCII, and for a backslash without `xHH`.
pub(crate) fn to_blobs(array: &StringViewArray) -> Result<BinaryViewArray> {
    let mut builder = BinaryViewBuilder::with_capacity(array.len());
    for value in array {
        match value {
            None => builder.append_null(),
            Some(text) => builder.append_value(blob(text)?),
        }
    }
    Ok(builder.finish())
}

fn blob(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return Ok(bytes),
            [b'\\', b'x' | b'X', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(hex_digit(*high) << 4 | hex_digit(*low));
                rest = after;
            }
            [b'\\', ..] => {
                return Err(QueryError::conversion(
                    "Invalid hex escape code encountered in string -> blob conversion: a backslash is written \\x5C",
                ));
            }
            [byte, after @ ..] if byte.is_ascii() => {
                bytes.push(*byte);
                rest = after;
            }
            _ => {
                return Err(QueryError::conversion(
                    "Invalid byte encountered in STRING -> BLOB conversion. All non-ascii characters must be escaped \
                     with hex codes (e.g. \\xAA)",
                ));
            }
        }
    }
}

fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}
