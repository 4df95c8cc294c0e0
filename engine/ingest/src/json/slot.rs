//! A column of the table while a body's rows come in.
//!
//! **Invariants**: `filled` counts the rows in the builder; it lags behind while rows do not mention the column.
//!
//! It does not know how a column's values are found in a row.

use siltstone_storage::{Column, Value};

use super::builders::Builder;
use super::faults::{FaultId, RowFaults, Words};
use super::fields::Target;
use super::scanner::Token;
use crate::Policy;
use crate::error_vector::{ErrorCode, ErrorVectors};

/// A field as the row at hand has shown it so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sight {
    /// One past the row that mentioned it last.
    pub row_end: usize,
    /// Where its key stands in the body.
    pub key_at: usize,
    /// Its fault in that row.
    pub fault: Option<FaultId>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    pub column: &'a Column,
    /// What rows hold that do not mention the column.
    pub default: Option<&'a Value>,
    /// What a NULL in it is, if it is a fault.
    pub null_fault: Option<ErrorCode>,
    /// Made when a row mentions the column.
    pub builder: Option<Builder>,
    /// Rows in the builder.
    pub filled: usize,
    pub sight: Sight,
    /// The value of the row at hand lost its fraction.
    pub rounded: bool,
    pub rounded_values: usize,
}

impl<'a> Slot<'a> {
    /// `is_key`: rows are merged by it, so that each has to give it.
    pub(crate) fn new(column: &'a Column, is_key: bool) -> Self {
        let null_fault = match is_key {
            true => Some(ErrorCode::NullPrimaryKey),
            false => (!column.nullable).then_some(ErrorCode::NotNullViolation),
        };
        Slot {
            column,
            default: column.default.as_ref().filter(|_| !is_key),
            null_fault,
            builder: None,
            filled: 0,
            sight: Sight::default(),
            rounded: false,
            rounded_values: 0,
        }
    }

    /// Whether every row must mention the column.
    pub(crate) fn is_required(&self) -> bool {
        self.null_fault.is_some() && self.default.is_none()
    }

    /// Puts NULL in the place of the value of `row`, the last one in the builder.
    pub(crate) fn forget_value(&mut self, row: usize) {
        if let Some(builder) = &mut self.builder {
            builder.truncate(row);
            builder.push_nulls(1);
        }
    }

    /// Puts NULL in the place of a refused value and notes the fault.
    #[cold]
    pub(crate) fn refuse(&mut self, code: ErrorCode, token: &Token<'_>, row: usize, notes: Notes<'_>) {
        if let Some(builder) = self.builder.as_mut().filter(|builder| builder.len() == row) {
            builder.push_nulls(1);
        }
        if !notes.faults.is_ambiguous(self.sight.fault) {
            let ty = &self.column.logical_type;
            let wanted = notes.faults.wants_words(notes.errors);
            let words = wanted.then(|| Words::refused_value(code, token, ty, notes.policy));
            self.sight.fault = Some(notes.faults.note(self.sight.fault, notes.target, code, words));
        }
    }
}

/// Where a fault is noted, and what its words depend on.
pub(crate) struct Notes<'n> {
    pub target: Target,
    pub faults: &'n mut RowFaults,
    pub errors: &'n ErrorVectors,
    pub policy: &'n Policy,
}
