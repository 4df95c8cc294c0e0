//! The type of a new column, from the values that the accepted rows give it.
//!
//! **Invariants**
//! 1. Pure: the type depends on the set of kinds seen, not on their order or number.
//! 2. Every value of the kinds seen coerces into the type inferred from them.
//!
//! `docs/coercion.md` has the table.

use siltstone_storage::LogicalType;

use crate::coerce::{self, temporal};
use crate::error_vector::ErrorCode;
use crate::json::scanner::Token;

/// A set of kinds of values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kinds(u16);

impl Kinds {
    /// Integers within 64 bits signed.
    const INTEGER: Self = Self(1);
    /// Integers beyond that, up to 38 digits.
    const LONG_INTEGER: Self = Self(1 << 1);
    /// Numbers that only a double holds.
    const FLOAT: Self = Self(1 << 2);
    /// `NaN` and the infinities, alone or inside a container.
    const NON_FINITE: Self = Self(1 << 3);
    const BOOLEAN: Self = Self(1 << 4);
    /// RFC 3339 date-times with an offset.
    const DATE_TIME: Self = Self(1 << 5);
    /// All other strings.
    const TEXT: Self = Self(1 << 6);
    const CONTAINER: Self = Self(1 << 7);

    /// What a value is; empty for null.
    ///
    /// # Errors
    /// `OutOfRange` for a number that no double is near to.
    pub(crate) fn of(token: &Token<'_>) -> Result<Self, ErrorCode> {
        Ok(match token {
            Token::Null => Self::default(),
            Token::Bool(_) => Self::BOOLEAN,
            Token::NonFinite(_) => Self::NON_FINITE,
            Token::Number(number) => {
                if number.integral && coerce::decimal(token, 38, 0).is_ok() {
                    let within_word = number.text.parse::<i64>().is_ok();
                    return Ok(if within_word { Self::INTEGER } else { Self::LONG_INTEGER });
                }
                coerce::double(token)?;
                Self::FLOAT
            }
            Token::Text(text) if temporal::is_rfc3339(text) => Self::DATE_TIME,
            Token::Text(_) => Self::TEXT,
            Token::Array(container) | Token::Object(container) if container.non_finite => {
                Self::CONTAINER.and(Self::NON_FINITE)
            }
            Token::Array(_) | Token::Object(_) => Self::CONTAINER,
        })
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn only(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }
}

/// The type for these kinds; `None` if there was nothing but null.
pub(crate) fn infer(kinds: Kinds) -> Option<LogicalType> {
    let numbers = Kinds::INTEGER.and(Kinds::LONG_INTEGER).and(Kinds::FLOAT).and(Kinds::NON_FINITE);
    Some(if kinds.is_empty() {
        return None;
    } else if kinds.has(Kinds::CONTAINER) {
        // A token that JSON cannot write would not survive as JSON.
        if kinds.has(Kinds::NON_FINITE) { LogicalType::Varchar } else { LogicalType::Json }
    } else if kinds.only(Kinds::INTEGER) {
        LogicalType::BigInt
    } else if kinds.only(Kinds::INTEGER.and(Kinds::LONG_INTEGER)) {
        LogicalType::Decimal { precision: 38, scale: 0 }
    } else if kinds.only(numbers) {
        LogicalType::Double
    } else if kinds.only(Kinds::BOOLEAN) {
        LogicalType::Boolean
    } else if kinds.only(Kinds::DATE_TIME) {
        LogicalType::Timestamp
    } else {
        LogicalType::Varchar
    })
}

#[cfg(test)]
mod tests;
