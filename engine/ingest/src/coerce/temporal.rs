//! Dates, times and timestamps from text.
//!
//! **Invariants**
//! 1. The calendar is the proleptic Gregorian one, years 0000 to 9999; no leap seconds.
//! 2. Digits beyond microseconds (beyond nanoseconds for TIMESTAMP_NS) are cut; coarser timestamps are rounded from microseconds, half
//!    away from 1970. An offset is applied, so that what is stored is UTC.

const DAY_US: i64 = 24 * 3600 * 1_000_000;

/// `YYYY-MM-DD` (also `/`, one-digit month and day); of a date-time the date as written. Days since 1970-01-01.
pub(crate) fn date(text: &str) -> Option<i32> {
    let (days, rest) = leading_date(text.as_bytes())?;
    if !rest.is_empty() {
        clock_and_zone(rest)?;
    }
    Some(days)
}

/// `HH:MM[:SS[.f]]`. Microseconds since midnight.
pub(crate) fn time(text: &str) -> Option<i64> {
    let (micros, rest) = clock(text.as_bytes())?;
    rest.is_empty().then_some(micros)
}

/// `YYYY-MM-DD[T or blank]HH:MM[:SS[.f]][Z or offset]`, or a bare date. Microseconds since 1970-01-01, offset applied.
#[inline]
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    let (days, rest) = leading_date(text.as_bytes())?;
    let midnight = i64::from(days) * DAY_US;
    if rest.is_empty() {
        return Some(midnight);
    }
    let (micros, offset) = clock_and_zone(rest)?;
    Some(midnight + micros - offset.unwrap_or(0))
}

/// As [`timestamp`], in seconds.
pub(crate) fn timestamp_s(text: &str) -> Option<i64> {
    timestamp(text).map(|micros| rounded(micros, 1_000_000))
}

/// As [`timestamp`], in milliseconds.
pub(crate) fn timestamp_ms(text: &str) -> Option<i64> {
    timestamp(text).map(|micros| rounded(micros, 1_000))
}

/// As [`timestamp`], in nanoseconds, `Some(None)` for a point in time that is out of their range.
pub(crate) fn timestamp_ns(text: &str) -> Option<Option<i64>> {
    let micros = timestamp(text)?;
    // The only point in what is a timestamp is that of the seconds.
    let digits = text.split_once('.').map_or("", |(_, fraction)| fraction).as_bytes();
    let digits = &digits[..digits.iter().take_while(|digit| digit.is_ascii_digit()).count()];
    let below = (6..9).fold(0, |value, i| value * 10 + digits.get(i).map_or(0, |digit| i64::from(digit - b'0')));
    Some(i64::try_from(i128::from(micros) * 1_000 + i128::from(below)).ok())
}

/// Half away from 1970. Years to 9999 are far from where this could overflow.
fn rounded(micros: i64, per_unit: i64) -> i64 {
    (micros + micros.signum() * per_unit / 2) / per_unit
}

/// Whether the text is an RFC 3339 date-time: `T`, seconds, and `Z` or an offset.
pub(crate) fn is_rfc3339(text: &str) -> bool {
    let bytes = text.as_bytes();
    let fixed = bytes.len() >= 20
        && bytes[4] == b'-'
        && bytes[7] == b'-'
        && matches!(bytes[10], b'T' | b't')
        && bytes[13] == b':'
        && bytes[16] == b':';
    let zone = matches!(bytes.last(), Some(b'Z' | b'z'))
        || matches!(bytes.len().checked_sub(6).map(|at| (bytes[at], bytes[at + 3])), Some((b'+' | b'-', b':')));
    fixed && zone && timestamp(text).is_some()
}

fn two_digits(bytes: &[u8]) -> Option<(i64, &[u8])> {
    match bytes {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', rest @ ..] => Some((i64::from((a - b'0') * 10 + (b - b'0')), rest)),
        _ => None,
    }
}

fn one_or_two_digits(bytes: &[u8]) -> Option<(i64, &[u8])> {
    two_digits(bytes).or(match bytes {
        [a @ b'0'..=b'9', rest @ ..] => Some((i64::from(a - b'0'), rest)),
        _ => None,
    })
}

fn leading_date(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (century, rest) = two_digits(bytes)?;
    let (year, rest) = two_digits(rest)?;
    let (separator, rest) = rest.split_first()?;
    if !matches!(separator, b'-' | b'/') {
        return None;
    }
    let (month, rest) = one_or_two_digits(rest)?;
    let rest = rest.strip_prefix(std::slice::from_ref(separator))?;
    let (day, rest) = one_or_two_digits(rest)?;
    Some((days_since_epoch(century * 100 + year, month, day)?, rest))
}

/// Days from 1970-01-01 to a date; `None` if there is no such day. Counts from March, so that a leap day comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i32> {
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let march_year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let leap_days = march_year.div_euclid(4) - march_year.div_euclid(100) + march_year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    i32::try_from(march_year * 365 + leap_days + day_of_year - 719_468).ok()
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `[T or blank]HH:MM[:SS[.f]][zone]`: microseconds of the day, and the offset in microseconds if one is given.
fn clock_and_zone(bytes: &[u8]) -> Option<(i64, Option<i64>)> {
    let rest = match bytes {
        [b'T' | b't' | b' ', rest @ ..] => rest,
        _ => return None,
    };
    let (micros, rest) = clock(rest)?;
    Some((micros, zone(rest)?))
}

/// `HH:MM[:SS[.f]]` at the start: microseconds, and what follows.
fn clock(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, rest) = two_digits(bytes)?;
    let (minute, rest) = two_digits(rest.strip_prefix(b":")?)?;
    if hour > 23 || minute > 59 {
        return None;
    }
    let minutes_us = (hour * 60 + minute) * 60_000_000;
    let Some(rest) = rest.strip_prefix(b":") else {
        return Some((minutes_us, rest));
    };
    let (second, rest) = two_digits(rest)?;
    if second > 59 {
        return None;
    }
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => fraction_us(rest)?,
        None => (0, rest),
    };
    Some((minutes_us + second * 1_000_000 + fraction, rest))
}

/// The digits of a fraction of a second, as microseconds; those beyond the sixth are cut.
fn fraction_us(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if length == 0 {
        return None;
    }
    let micros =
        (0..6).fold(0, |value, i| value * 10 + bytes[..length].get(i).map_or(0, |digit| i64::from(digit - b'0')));
    Some((micros, &bytes[length..]))
}

/// Nothing, `Z`, `±HH`, `±HH:MM` or `±HHMM`: the offset in microseconds, if one is given.
fn zone(bytes: &[u8]) -> Option<Option<i64>> {
    let (sign, rest) = match bytes {
        [] => return Some(None),
        [b'Z' | b'z'] => return Some(Some(0)),
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let (hours, rest) = two_digits(rest)?;
    let minutes = match rest {
        [] => 0,
        _ => {
            let (minutes, rest) = two_digits(rest.strip_prefix(b":").unwrap_or(rest))?;
            rest.is_empty().then_some(minutes)?
        }
    };
    (hours <= 23 && minutes <= 59).then_some(Some(sign * (hours * 60 + minutes) * 60_000_000))
}
