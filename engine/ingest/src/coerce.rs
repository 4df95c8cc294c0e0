//! The coercion table: JSON kind x column type -> value or error code. `docs/coercion.md` is the same table in words.
//!
//! **Invariants**
//! 1. Pure: a value's outcome depends on the value, the type and [`Fractions`] alone.
//! 2. Digits that a type can hold reach it as written; nothing passes through a float but what ends as one.
//!
//! Nested types are put together in `json::nested`; this module knows single values.

pub(crate) mod decimal;
pub(crate) mod float_text;
pub(crate) mod temporal;
pub(crate) mod text;

use crate::Fractions;
use crate::error_vector::ErrorCode;
use crate::json::number::Number;
use crate::json::scanner::Token;
use decimal::Decimal;
use siltstone_storage::LogicalType;

/// What coercion is told, and what it has to say besides the value.
#[derive(Debug)]
pub(crate) struct Context {
    pub fractions: Fractions,
    /// Set when a value lost a fraction.
    pub rounded: bool,
    /// Struct members that the type does not have.
    pub dropped: Vec<String>,
    /// For text that has to be put together.
    pub scratch: String,
}

impl Context {
    pub(crate) fn new(fractions: Fractions) -> Self {
        Self { fractions, rounded: false, dropped: Vec::new(), scratch: String::new() }
    }

    /// Notes a struct member that the type does not have.
    pub(crate) fn drop_member(&mut self, name: &str) {
        if self.dropped.len() < DROPPED_MAX && !self.dropped.iter().any(|dropped| dropped == name) {
            self.dropped.push(name.to_owned());
        }
    }
}

/// Most dropped members that are told apart; who drops more has the idea by then.
const DROPPED_MAX: usize = 100;

type Outcome<T> = Result<T, ErrorCode>;

/// BOOLEAN.
pub(crate) fn boolean(token: &Token<'_>) -> Outcome<bool> {
    match token {
        Token::Bool(value) => Ok(*value),
        Token::Number(number) => Ok(!is_zero(number)),
        Token::Text(text) => text::boolean(text).ok_or(ErrorCode::InvalidCast),
        _ => Err(ErrorCode::InvalidCast),
    }
}

fn is_zero(number: &Number<'_>) -> bool {
    if number.fits {
        return number.mantissa == 0;
    }
    let digits = number.text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E'));
    digits.filter(u8::is_ascii_digit).all(|digit| digit == b'0')
}

/// Integers of any width.
#[inline]
pub(crate) fn integer<T: TryFrom<i128>>(token: &Token<'_>, context: &mut Context) -> Outcome<T> {
    let value = match token {
        Token::Number(number) if number.integral && number.fits => {
            let magnitude = i128::from(number.mantissa);
            if number.negative() { -magnitude } else { magnitude }
        }
        _ => whole(token, context)?,
    };
    T::try_from(value).map_err(|_| ErrorCode::OutOfRange)
}

/// An integer from something else than a short integer literal.
#[cold]
fn whole(token: &Token<'_>, context: &mut Context) -> Outcome<i128> {
    let decimal = match token {
        Token::Bool(value) => return Ok(i128::from(*value)),
        Token::Number(number) => Decimal::parse(number.text),
        Token::Text(text) => Decimal::parse(text.trim_ascii()),
        _ => None,
    }
    .ok_or(ErrorCode::InvalidCast)?;
    let (value, exact) = decimal.scaled(0).ok_or(ErrorCode::OutOfRange)?;
    if !exact {
        match context.fractions {
            Fractions::Reject => return Err(ErrorCode::InvalidCast),
            Fractions::Round => context.rounded = true,
        }
    }
    Ok(value)
}

/// DECIMAL(precision, scale), unscaled.
pub(crate) fn decimal(token: &Token<'_>, precision: u8, scale: u8) -> Outcome<i128> {
    let scale = u32::from(scale);
    let value = match token {
        Token::Bool(value) => 10i128.pow(scale) * i128::from(*value),
        Token::Number(number) if number.fits && number.fraction_digits <= scale => {
            let magnitude = i128::from(number.mantissa)
                .checked_mul(10i128.pow(scale - number.fraction_digits))
                .ok_or(ErrorCode::OutOfRange)?;
            if number.negative() { -magnitude } else { magnitude }
        }
        Token::Number(Number { text, .. }) | Token::Text(text) => {
            let decimal = Decimal::parse(text.trim_ascii()).ok_or(ErrorCode::InvalidCast)?;
            decimal.scaled(scale).ok_or(ErrorCode::OutOfRange)?.0
        }
        _ => return Err(ErrorCode::InvalidCast),
    };
    if value.unsigned_abs() < 10u128.pow(u32::from(precision)) { Ok(value) } else { Err(ErrorCode::OutOfRange) }
}

/// HUGEINT: an integer of at most [`LogicalType::HUGEINT_DIGITS`].
pub(crate) fn hugeint(token: &Token<'_>, context: &mut Context) -> Outcome<i128> {
    let value: i128 = integer(token, context)?;
    let most = 10u128.pow(u32::from(LogicalType::HUGEINT_DIGITS));
    if value.unsigned_abs() < most { Ok(value) } else { Err(ErrorCode::OutOfRange) }
}

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// DOUBLE: the nearest one.
#[inline]
pub(crate) fn double(token: &Token<'_>) -> Outcome<f64> {
    match token {
        Token::Number(number) => {
            // Both operands are exact, so the one division rounds once: the result is the nearest double.
            if number.fits
                && number.mantissa <= 1 << 53
                && let Some(power) = EXACT_POWERS.get(number.fraction_digits as usize)
            {
                let magnitude = number.mantissa as f64 / power;
                return Ok(if number.negative() { -magnitude } else { magnitude });
            }
            parsed_float(number.text)
        }
        _ => float(token),
    }
}

/// REAL: the nearest one.
pub(crate) fn real(token: &Token<'_>) -> Outcome<f32> {
    float(token)
}

fn float<T: Float>(token: &Token<'_>) -> Outcome<T> {
    match token {
        Token::Number(number) => parsed_float(number.text),
        Token::NonFinite(value) => Ok(T::from_double(value.value())),
        Token::Bool(value) => Ok(T::from_double(f64::from(u8::from(*value)))),
        Token::Text(text) => {
            let text = text.trim_ascii();
            if let Some(value) = text::non_finite(text) {
                return Ok(T::from_double(value));
            }
            Decimal::parse(text).ok_or(ErrorCode::InvalidCast)?;
            parsed_float(text.strip_prefix('+').unwrap_or(text))
        }
        _ => Err(ErrorCode::InvalidCast),
    }
}

/// A float from text that is known to be a number.
fn parsed_float<T: Float>(text: &str) -> Outcome<T> {
    let value: T = fast_float2::parse(text).map_err(|_| ErrorCode::InvalidCast)?;
    if value.is_finite() { Ok(value) } else { Err(ErrorCode::OutOfRange) }
}

trait Float: fast_float2::FastFloat {
    fn from_double(value: f64) -> Self;
    fn is_finite(self) -> bool;
}

impl Float for f64 {
    fn from_double(value: f64) -> Self {
        value
    }
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }
}

impl Float for f32 {
    fn from_double(value: f64) -> Self {
        value as f32
    }
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

/// DATE, TIME, INTERVAL and all timestamps but those of nanoseconds are read from text alone.
#[inline]
pub(crate) fn temporal<T>(token: &Token<'_>, read: impl Fn(&str) -> Option<T>) -> Outcome<T> {
    match token {
        Token::Text(text) => read(text.trim_ascii()).ok_or(ErrorCode::InvalidCast),
        _ => Err(ErrorCode::InvalidCast),
    }
}

/// TIMESTAMP_NS, which has not every year.
pub(crate) fn timestamp_ns(token: &Token<'_>) -> Outcome<i64> {
    let Token::Text(text) = token else { return Err(ErrorCode::InvalidCast) };
    temporal::timestamp_ns(text.trim_ascii()).ok_or(ErrorCode::InvalidCast)?.ok_or(ErrorCode::OutOfRange)
}

#[cfg(test)]
mod tests;
