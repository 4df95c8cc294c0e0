//! The text of an INTERVAL: `1 year 2 months 3 days 04:05:06.5`, read and written by one set of rules.
//!
//! **Invariants**
//! 1. Months, days and time stay apart, each with its sign; a part that does not fit is refused, never wrapped.
//! 2. What [`parse`] reads has whole microseconds: further digits are cut. What [`push`] writes of such an interval, [`parse`] reads back.
//!
//! It does not know casts or literals of SQL, nor how intervals compare.

use std::io::Write as _;

use arrow_array::types::IntervalMonthDayNano;

#[cfg(test)]
mod tests;

const NANOS_PER_MICRO: i64 = 1_000;
const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
const DAYS_PER_MONTH: i64 = 30;

/// What one of a unit is.
#[derive(Clone, Copy, Debug)]
enum Unit {
    /// So many months; of a fraction the whole months count, of a fraction of one month the whole days.
    Months(i64),
    /// So many days; a fraction is time.
    Days(i64),
    /// So many microseconds.
    Micros(i64),
}

/// The unit of that name, whatever its case.
fn unit(name: &str) -> Option<Unit> {
    let mut lower = [0; 12];
    let lower = lower.get_mut(..name.len())?;
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"mil" | b"millennium" | b"millenniums" | b"millennia" => Unit::Months(12_000),
        b"c" | b"cent" | b"century" | b"centuries" => Unit::Months(1_200),
        b"dec" | b"decs" | b"decade" | b"decades" => Unit::Months(120),
        b"y" | b"yr" | b"yrs" | b"year" | b"years" => Unit::Months(12),
        b"quarter" | b"quarters" => Unit::Months(3),
        b"mon" | b"mons" | b"month" | b"months" => Unit::Months(1),
        b"w" | b"week" | b"weeks" => Unit::Days(7),
        b"d" | b"day" | b"days" => Unit::Days(1),
        b"h" | b"hr" | b"hrs" | b"hour" | b"hours" => Unit::Micros(3_600 * MICROS_PER_SECOND),
        b"m" | b"min" | b"mins" | b"minute" | b"minutes" => Unit::Micros(60 * MICROS_PER_SECOND),
        b"s" | b"sec" | b"secs" | b"second" | b"seconds" => Unit::Micros(MICROS_PER_SECOND),
        b"ms" | b"msec" | b"msecs" | b"millisecond" | b"milliseconds" => Unit::Micros(1_000),
        b"us" | b"usec" | b"usecs" | b"microsecond" | b"microseconds" => Unit::Micros(1),
        _ => return None,
    })
}

/// An interval under construction. Each part is wider than it may end.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    months: i64,
    days: i64,
    micros: i64,
}

impl Parts {
    /// Adds `number` and `fraction` millionths of a unit; both have the sign of the whole.
    fn add(&mut self, unit: Unit, number: i64, fraction: i64) -> Option<()> {
        match unit {
            Unit::Months(months) => {
                self.months = plus(self.months, number, months)?.checked_add(fraction * months / MICROS_PER_SECOND)?;
                let rest = fraction * months % MICROS_PER_SECOND;
                if months <= 3 {
                    self.days = self.days.checked_add(rest * DAYS_PER_MONTH / MICROS_PER_SECOND)?;
                }
            }
            Unit::Days(days) => {
                self.days = plus(self.days, number, days)?.checked_add(fraction * days / MICROS_PER_SECOND)?;
                let rest = fraction * days % MICROS_PER_SECOND;
                self.micros = self.micros.checked_add(rest * (MICROS_PER_DAY / MICROS_PER_SECOND))?;
            }
            Unit::Micros(micros) => {
                let part = i128::from(fraction) * i128::from(micros) / i128::from(MICROS_PER_SECOND);
                self.micros = plus(self.micros, number, micros)?.checked_add(i64::try_from(part).ok()?)?;
            }
        }
        Some(())
    }

    fn finish(self, ago: bool) -> Option<IntervalMonthDayNano> {
        let sign = if ago { -1 } else { 1 };
        Some(IntervalMonthDayNano::new(
            i32::try_from(self.months * sign).ok()?,
            i32::try_from(self.days * sign).ok()?,
            self.micros.checked_mul(NANOS_PER_MICRO * sign)?,
        ))
    }
}

fn plus(sum: i64, number: i64, times: i64) -> Option<i64> {
    // Far past what any part may be, far from where a sign cannot be changed.
    number.checked_mul(times)?.checked_add(sum).filter(|sum| *sum > i64::MIN / 2 && *sum < i64::MAX / 2)
}

/// Reads numbers with units (`1 year 2 months`, `90 minutes`, `1.5 days`, `1d 2h`), then a time of any length (`-04:05:06.5`) or `ago`,
/// which turns the whole around. Blanks may stand between all of these, an `@` before them. `None` for anything else, a number without
/// unit among it, and for an interval out of range.
pub fn parse(text: &str) -> Option<IntervalMonthDayNano> {
    let mut rest = text.trim_ascii();
    rest = rest.strip_prefix('@').unwrap_or(rest).trim_ascii_start();
    let mut parts = Parts::default();
    let mut any = false;
    while !rest.is_empty() {
        if rest.eq_ignore_ascii_case("ago") {
            return parts.finish(true).filter(|_| any);
        }
        let (sign, unsigned) = match rest.strip_prefix('-') {
            Some(unsigned) => (-1, unsigned),
            None => (1, rest),
        };
        let (whole, after) = split_while(unsigned, |byte| byte.is_ascii_digit());
        if whole.is_empty() {
            return None;
        }
        if after.starts_with(':') {
            parts.micros = parts.micros.checked_add(sign * time(unsigned)?)?;
            return parts.finish(false);
        }
        let (fraction, after) = fraction(after);
        let (name, after) = split_while(after.trim_ascii_start(), |byte| byte.is_ascii_alphabetic());
        parts.add(unit(name)?, sign * whole.parse::<i64>().ok()?, sign * fraction)?;
        any = true;
        rest = after.trim_ascii_start();
    }
    parts.finish(false).filter(|_| any)
}

fn split_while(text: &str, of: impl Fn(u8) -> bool) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !of(byte)).unwrap_or(text.len()))
}

/// A point and its digits as millionths, further digits cut; and what follows.
fn fraction(text: &str) -> (i64, &str) {
    let Some(after) = text.strip_prefix('.') else {
        return (0, text);
    };
    let (digits, rest) = split_while(after, |byte| byte.is_ascii_digit());
    let digit = |i| digits.as_bytes().get(i).map_or(0, |digit| i64::from(digit - b'0'));
    ((0..6).fold(0, |value, i| value * 10 + digit(i)), rest)
}

/// `HH:MM[:SS[.f]]` with any number of hours, in microseconds.
fn time(text: &str) -> Option<i64> {
    let (hours, rest) = split_while(text, |byte| byte.is_ascii_digit());
    let (minutes, rest) = sixty(rest)?;
    let (seconds, micros) = match rest {
        "" => (0, 0),
        _ => {
            let (seconds, rest) = sixty(rest)?;
            let (micros, rest) = fraction(rest);
            if !rest.is_empty() {
                return None;
            }
            (seconds, micros)
        }
    };
    let hours = hours.parse::<i64>().ok()?.checked_mul(3_600)?;
    let seconds = hours.checked_add(minutes * 60 + seconds)?;
    seconds.checked_mul(MICROS_PER_SECOND)?.checked_add(micros)
}

/// `:` and one or two digits below 60; and what follows.
fn sixty(text: &str) -> Option<(i64, &str)> {
    let (digits, rest) = split_while(text.strip_prefix(':')?, |byte| byte.is_ascii_digit());
    let number = digits.parse::<i64>().ok().filter(|number| digits.len() <= 2 && *number < 60)?;
    Some((number, rest))
}

/// Appends `1 year 2 months 3 days 04:05:06.5`. Of the time below a microsecond all digits are shown.
pub fn push(out: &mut Vec<u8>, months: i32, days: i32, nanos: i128) {
    let start = out.len();
    for (count, unit) in [(months / 12, "year"), (months % 12, "month"), (days, "day")] {
        if count != 0 {
            let plural = if count == 1 || count == -1 { "" } else { "s" };
            let separator = if out.len() > start { " " } else { "" };
            // Writing to a vector cannot fail.
            let _ = write!(out, "{separator}{count} {unit}{plural}");
        }
    }
    if nanos == 0 && out.len() > start {
        return;
    }
    if out.len() > start {
        out.push(b' ');
    }
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    let (seconds, fraction) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        let _ = write!(out, ".{}", digits.trim_end_matches('0'));
    }
}
