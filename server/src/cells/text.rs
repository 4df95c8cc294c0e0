//! Scalars as text: dates, times, decimals, hexadecimal, CSV fields, embedded JSON.

use arrow::array::timezone::Tz;
use arrow::datatypes::TimeUnit;
use chrono::{DateTime, Offset, TimeZone};

use crate::json;

/// Nanoseconds of a day.
pub const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// Nanoseconds of one unit.
pub fn nanos_of(unit: TimeUnit) -> i64 {
    1_000_000_000 / ticks_per_second(unit)
}

fn ticks_per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// How counts of a unit of time are shown.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    per_second: i64,
    has_date: bool,
    zone: Zone,
}

#[derive(Clone, Copy, Debug)]
enum Zone {
    None,
    Utc,
    Other(Tz),
}

impl Clock {
    /// `13:45:00`.
    pub fn time(unit: TimeUnit) -> Self {
        Self { per_second: ticks_per_second(unit), has_date: false, zone: Zone::None }
    }

    /// `2024-01-15T13:45:00`.
    pub fn timestamp(unit: TimeUnit) -> Self {
        Self { has_date: true, ..Self::time(unit) }
    }

    /// `2024-01-15T12:45:00Z`, or with the offset of another zone.
    pub fn instant(unit: TimeUnit, zone: Option<Tz>) -> Self {
        let zone = zone.map_or(Zone::Utc, Zone::Other);
        Self { zone, ..Self::timestamp(unit) }
    }

    /// Appends a count.
    pub fn push(self, out: &mut Vec<u8>, ticks: i64) {
        let seconds = ticks.div_euclid(self.per_second);
        let fraction = ticks.rem_euclid(self.per_second);
        let offset = match self.zone {
            Zone::Other(zone) => offset_seconds(zone, seconds),
            Zone::None | Zone::Utc => 0,
        };
        let local = seconds.saturating_add(i64::from(offset));
        if self.has_date {
            push_date(out, local.div_euclid(86_400));
            out.push(b'T');
        }
        push_time(out, local.rem_euclid(86_400), fraction * (1_000_000_000 / self.per_second));
        match self.zone {
            Zone::None => {}
            Zone::Utc => out.push(b'Z'),
            Zone::Other(_) => {
                out.push(if offset < 0 { b'-' } else { b'+' });
                push_two(out, i64::from(offset.abs() / 3600));
                out.push(b':');
                push_two(out, i64::from(offset.abs() / 60 % 60));
            }
        }
    }
}

/// The zone of that name; `Some(None)` is UTC, `None` is no zone.
pub fn zone(name: &str) -> Option<Option<Tz>> {
    const UTC: [&str; 6] = ["UTC", "Etc/UTC", "GMT", "Z", "Zulu", "+00:00"];
    if UTC.iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
        return Some(None);
    }
    name.parse().ok().map(Some)
}

fn offset_seconds(zone: Tz, seconds: i64) -> i32 {
    DateTime::from_timestamp(seconds, 0)
        .map_or(0, |at| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())
}

fn push_two(out: &mut Vec<u8>, number: i64) {
    out.push(b'0' + (number / 10 % 10) as u8);
    out.push(b'0' + (number % 10) as u8);
}

/// `13:45:00`, with a fraction of 3, 6 or 9 digits if it is not zero.
pub fn push_time(out: &mut Vec<u8>, second_of_day: i64, nanos: i64) {
    push_two(out, second_of_day / 3600);
    out.push(b':');
    push_two(out, second_of_day / 60 % 60);
    out.push(b':');
    push_two(out, second_of_day % 60);
    if nanos == 0 {
        return;
    }
    let (mut rest, digits) = match nanos {
        n if n % 1_000_000 == 0 => (n / 1_000_000, 3),
        n if n % 1_000 == 0 => (n / 1_000, 6),
        n => (n, 9),
    };
    out.push(b'.');
    let start = out.len();
    out.resize(start + digits, b'0');
    for slot in out[start..].iter_mut().rev() {
        *slot = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// `2024-01-15`; years before 1 as `0044-03-15 (BC)`.
pub fn push_date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil(days);
    let shown = if year > 0 { year } else { 1 - year };
    if (0..10_000).contains(&shown) {
        push_two(out, shown / 100);
        push_two(out, shown % 100);
    } else {
        json::push_integer(out, shown);
    }
    out.push(b'-');
    push_two(out, month);
    out.push(b'-');
    push_two(out, day);
    if year <= 0 {
        out.extend_from_slice(b" (BC)");
    }
}

/// Year, month and day of a count of days since 1970, in the proleptic Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year: 146,097 days are 400 years.
fn civil(days: i64) -> (i64, i64, i64) {
    let from_march_0 = days + 719_468;
    let era = from_march_0.div_euclid(146_097);
    let day_of_era = from_march_0.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The shortest text that reads back the same.
pub fn push_f64(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
}

/// The shortest text that reads back the same at single precision.
pub fn push_f32(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(ryu::Buffer::new().format_finite(value).as_bytes());
}

/// Exactly `scale` decimals.
pub fn push_decimal(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs());
    if unscaled < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    if scale == 0 {
        out.extend_from_slice(digits.as_bytes());
        return;
    }
    let whole = digits.len().saturating_sub(scale);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits.as_bytes()[..whole] });
    out.push(b'.');
    out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(&digits.as_bytes()[whole..]);
}

/// Lower-case hexadecimal, no prefix.
pub fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// A JSON column's value as part of a JSON line: compacted if it spans lines, a string if it is not JSON after all.
pub fn push_embedded(out: &mut Vec<u8>, text: &str) {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        json::push_string(out, text);
    } else if text.bytes().any(|byte| byte == b'\n' || byte == b'\r') {
        push_compact(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

/// Valid JSON without the blanks between its tokens.
fn push_compact(out: &mut Vec<u8>, text: &str) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
}

/// A CSV field: quoted when empty or when it holds the delimiter, a quote or a line break.
pub fn push_csv(out: &mut Vec<u8>, field: &[u8], delimiter: u8) {
    let is_special = |byte: &u8| *byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    if !field.is_empty() && !field.iter().any(is_special) {
        out.extend_from_slice(field);
        return;
    }
    out.push(b'"');
    for byte in field {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
