//! Simple conditions on single columns that a scan evaluates by itself.
//!
//! **Invariants**
//! 1. A NULL satisfies nothing but [`Predicate::IsNull`], as a WHERE clause has it.
//! 2. Values compare as the query engine has it: numbers by size, text and bytes bytewise, floats by IEEE total order with the two zeros
//!    equal. So NaN equals itself and, without a sign, is above every number.
//!
//! It does not know how columns are stored.

use std::fmt;

use crate::ids::ColumnId;
use crate::value::Value;

/// How a column's value relates to a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// A condition on one column. Its values are of the column's type, as [`Value`] says.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// The value relates to `value` like that.
    Compare {
        /// The column.
        column: ColumnId,
        /// Column on the left, value on the right.
        op: Comparison,
        /// What it is compared with.
        value: Value,
    },
    /// The value is one of these; of none, no row is.
    In {
        /// The column.
        column: ColumnId,
        /// In any order, repeated or not.
        values: Vec<Value>,
    },
    /// The row has no value.
    IsNull(ColumnId),
    /// The row has a value.
    IsNotNull(ColumnId),
}

impl Predicate {
    /// The column it is about.
    pub fn column(&self) -> ColumnId {
        match self {
            Self::Compare { column, .. } | Self::In { column, .. } | Self::IsNull(column) | Self::IsNotNull(column) => {
                *column
            }
        }
    }
}

/// The SQL operator.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}
