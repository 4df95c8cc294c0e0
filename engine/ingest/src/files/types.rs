//! The type of a CSV column, from all its values.
//!
//! **Invariants**
//! 1. The type is the first of the list that every non-empty value fits; it does not depend on their order.
//! 2. Text that a type would not give back is not of that type: numbers have no leading zeros, signs or blanks around them.

use siltstone_storage::LogicalType;

use crate::coerce::decimal::Decimal;
use crate::coerce::temporal;

/// Which types the values seen so far fit, as bits in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fits(u8);

const BOOLEAN: u8 = 1;
const BIGINT: u8 = 1 << 1;
const DOUBLE: u8 = 1 << 2;
const DATE: u8 = 1 << 3;
const TIMESTAMP: u8 = 1 << 4;
const TIMESTAMPTZ: u8 = 1 << 5;
/// No value was seen.
const UNSEEN: u8 = u8::MAX;

impl Default for Fits {
    fn default() -> Self {
        Self(UNSEEN)
    }
}

impl Fits {
    /// Takes a value into account; an empty one is NULL and fits everything.
    pub(super) fn see(&mut self, value: &str) {
        if !value.is_empty() && self.0 != 0 {
            self.0 &= fitting(value);
        }
    }

    /// Whether there was a value that was not empty.
    pub(super) fn saw_any(self) -> bool {
        self.0 != UNSEEN
    }

    /// The type; VARCHAR where nothing was seen, too.
    pub(super) fn logical_type(self) -> LogicalType {
        let has = |bit: u8| self.0 != UNSEEN && self.0 & bit != 0;
        if has(BOOLEAN) {
            LogicalType::Boolean
        } else if has(BIGINT) {
            LogicalType::BigInt
        } else if has(DOUBLE) {
            LogicalType::Double
        } else if has(DATE) {
            LogicalType::Date
        } else if has(TIMESTAMP) {
            LogicalType::Timestamp
        } else if has(TIMESTAMPTZ) {
            LogicalType::TimestampTz
        } else {
            LogicalType::Varchar
        }
    }
}

/// Whether a value could only be text.
pub(super) fn is_text(value: &str) -> bool {
    value.is_empty() || fitting(value) == 0
}

fn fitting(value: &str) -> u8 {
    match value.as_bytes()[0] {
        b't' | b'T' | b'f' | b'F' => {
            let known = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
            if known { BOOLEAN } else { 0 }
        }
        b'0'..=b'9' if value.as_bytes().get(4) == Some(&b'-') => moment(value),
        b'0'..=b'9' | b'-' | b'.' => number(value),
        _ => 0,
    }
}

fn number(value: &str) -> u8 {
    let digits = value.strip_prefix('-').unwrap_or(value).as_bytes();
    if matches!(digits, [b'0', b'0'..=b'9', ..]) {
        return 0;
    }
    if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
        return if value.parse::<i64>().is_ok() { BIGINT | DOUBLE } else { DOUBLE };
    }
    let finite = Decimal::parse(value).is_some() && value.parse::<f64>().is_ok_and(f64::is_finite);
    if finite { DOUBLE } else { 0 }
}

/// ISO dates and times alone: `YYYY-MM-DD`, then `T` or a blank and a time of day, with a zone or without.
fn moment(value: &str) -> u8 {
    let bytes = value.as_bytes();
    if bytes.get(7) != Some(&b'-') || temporal::timestamp(value).is_none() {
        return 0;
    }
    match bytes.get(10..) {
        Some([]) => DATE | TIMESTAMP,
        Some(clock) if clock.iter().any(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-')) => TIMESTAMPTZ,
        Some(_) => TIMESTAMP,
        None => 0,
    }
}
