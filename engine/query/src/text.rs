//! Values as DuckDB writes them, and BLOBs from the text it writes them as.
//!
//! **Invariants**
//! 1. Times have no fraction, or one without trailing zeros; a blank is between date and time.
//! 2. Reading a BLOB's text gives the BLOB back.

use std::fmt::Write;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    Array, BinaryViewArray, BinaryViewBuilder, PrimitiveArray, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, Time64MicrosecondType, TimestampMicrosecondType};
use datafusion::arrow::temporal_conversions::{as_datetime, as_datetime_with_timezone};

use crate::QueryError;
use crate::error::Result;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// Points in time without a zone: `2024-01-15 12:00:00.5`.
pub(crate) fn of_timestamps(array: &PrimitiveArray<TimestampMicrosecondType>) -> Result<StringViewArray> {
    of_primitives(array, |micros| {
        let moment = as_datetime::<TimestampMicrosecondType>(micros)?;
        Some(format!("{}{}", moment.format("%Y-%m-%d %H:%M:%S"), fraction(micros)))
    })
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
                let text = text(value)
                    .ok_or_else(|| QueryError::conversion(format_args!("{value} microseconds are no point in time")))?;
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
