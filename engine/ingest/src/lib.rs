//! Request bodies to typed columns, error vectors and schema changes.
//!
//! [`decode`] reads a JSON body once, straight into column builders; [`DataFile`] reads files of any size, batch by batch. It knows no HTTP,
//! no paths, no SQL.
//!
//! **Invariants**
//! 1. Bytes become columns in one pass; no tree of values is built.
//! 2. A body is refused as a whole ([`BodyError`]) or its rows are accepted and rejected one by one ([`ErrorVectors`]).
//! 3. Whatever the bytes: no panic, no unbounded recursion, memory within a small multiple of the body.
mod coerce;
mod error_vector;
mod files;
mod infer;
mod json;

pub use error_vector::{ErrorCode, ErrorVectors, RowError};
pub use files::{CsvForm, CsvHeader, DataFile, FileBatch, FileBytes, FileError, FileFormat, Rows, Survey, Wanted};

use arrow_array::{ArrayRef, BooleanArray};
use siltstone_storage::{Batch, ColumnId, TableId, TableSchema};

/// How rows are laid out in a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One object, or an array of objects; nothing but whitespace after it.
    Document,
    /// Objects one after the other, separated by whitespace or nothing (NDJSON).
    Sequence,
}

/// What happens to a fraction on its way into an integer column: the one knob on which the dialects' coercion differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fractions {
    /// Half away from zero, from the literal's digits, with a warning.
    Round,
    /// A row error, unless the fraction is zero.
    Reject,
}

/// What happens to a field that the table has no column for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownFields {
    /// A column is added, typed from the values of the accepted rows.
    Add,
    /// The value is dropped with a warning.
    Ignore,
    /// A row error.
    Reject,
}

/// What happens when two keys of one object name one column (same key twice in the same spelling: the last always wins).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseTwins {
    /// The last wins.
    LastWins,
    /// A row error.
    Reject,
}

/// A dialect's rules and limits.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Fractions into integer columns.
    pub fractions: Fractions,
    /// Fields without a column.
    pub unknown_fields: UnknownFields,
    /// `id` and `ID` in one object.
    pub case_twins: CaseTwins,
    /// Whether the tokens `NaN`, `Infinity`, `-Infinity` are numbers.
    pub nan_tokens: bool,
    /// Rows per body.
    pub rows_max: usize,
    /// Bytes of one top-level field: a string after unescaping, a number's literal, compact JSON text of the rest.
    pub field_bytes_max: usize,
    /// Containers on the deepest path of a row, the row itself being 1; past it a row error.
    pub row_depth_max: usize,
    /// Columns one body may add.
    pub new_columns_max: usize,
}

/// Containers on the deepest path of a whole body; past it the body is refused.
pub const BODY_DEPTH_MAX: usize = 128;

/// A body as columns.
#[derive(Debug)]
pub struct Decoded {
    /// Rows in the body, bad ones included.
    pub rows: usize,
    /// One array of `rows` values per column that any row mentions. Rows that do not mention it hold the column's default;
    /// what a rejected row holds means nothing, except in the key columns of [`decode_keyed`].
    pub columns: Vec<(ColumnId, ArrayRef)>,
    /// The table's next schema version, if this body adds columns; version 1 for a new table. `None` for a new table
    /// means that no accepted row names a field, so that there is nothing to make it of.
    pub schema: Option<TableSchema>,
    /// Which rows are refused, and why.
    pub errors: ErrorVectors,
    /// For people: columns added, values rounded, fields ignored.
    pub warnings: Vec<Warning>,
}

/// Something the sender may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// A column was added.
    ColumnAdded {
        /** Its name. */
        column: String,
        /** Its type. */
        logical_type: siltstone_storage::LogicalType,
    },
    /// Values lost their fraction.
    Rounded {
        /** Where. */
        column: String,
        /** How many. */
        values: usize,
    },
    /// Values of a field were dropped.
    FieldIgnored {
        /** Its name. */
        field: String,
    },
}

impl Decoded {
    /// The accepted rows as a batch for `table`; `None` if there are none.
    pub fn batch(&self, table: TableId) -> Option<Batch> {
        let rejected = self.errors.rejected_rows();
        if rejected >= self.rows {
            return None;
        }
        let columns = if rejected == 0 { self.columns.clone() } else { self.accepted() };
        let batch = Batch::new(table, self.rows - rejected, columns);
        Some(batch.expect("decoding gives each column once, all of them of the same length"))
    }

    /// The columns without the rejected rows.
    fn accepted(&self) -> Vec<(ColumnId, ArrayRef)> {
        let mut keep = vec![true; self.rows];
        for row in &self.errors.rejected() {
            keep[row as usize] = false;
        }
        let keep = BooleanArray::from(keep);
        let filtered = |(id, array): &(ColumnId, ArrayRef)| {
            let array = arrow_select::filter::filter(array, &keep);
            (*id, array.expect("the mask has one bit per row, and every column type can be filtered"))
        };
        self.columns.iter().map(filtered).collect()
    }
}

/// Why a whole body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON.
    #[error("invalid JSON at byte {offset} of record {record}: {reason}")]
    Syntax {
        /** From the start of the body. */
        offset: usize,
        /** 0-based row or record. */
        record: usize,
        /** What was expected. */
        reason: String,
    },
    /// JSON, but neither an object nor an array (of objects).
    #[error("expected a JSON object or an array of objects, found {found}")]
    Shape {
        /** What it is instead. */
        found: &'static str,
    },
    /// Nothing but whitespace.
    #[error("the body is empty")]
    Empty,
    /// Deeper than [`BODY_DEPTH_MAX`].
    #[error("nesting deeper than {BODY_DEPTH_MAX} at byte {offset}")]
    Depth {
        /** From the start of the body. */
        offset: usize,
    },
    /// Past `rows_max`.
    #[error("more than {limit} rows")]
    Rows {
        /** The limit. */
        limit: usize,
    },
}

/// Decodes a body against a table (`None`: the table is yet to be created from it).
///
/// # Errors
/// [`BodyError`] refuses the body as a whole; faults of single rows are in [`Decoded::errors`].
pub fn decode(
    body: &[u8],
    framing: Framing,
    table: Option<&TableSchema>,
    policy: &Policy,
) -> Result<Decoded, BodyError> {
    json::decode(body, framing, table, &[], policy)
}

/// Decodes a body whose rows are merged into a table by these of its columns: a row without a value for one of them is refused, also if
/// the column has a default. In a key column every row holds its value, rejected or not, and NULL if it has none that can be used.
///
/// # Errors
/// As [`decode`].
pub fn decode_keyed(
    body: &[u8],
    framing: Framing,
    table: &TableSchema,
    key: &[ColumnId],
    policy: &Policy,
) -> Result<Decoded, BodyError> {
    json::decode(body, framing, Some(table), key, policy)
}

/// A member of a JSON object, as its raw text.
#[derive(Clone, Debug, PartialEq)]
pub struct Member<'a> {
    /// Unescaped.
    pub key: String,
    /// The value's text, surrounding whitespace removed.
    pub value: &'a [u8],
}

/// Splits a JSON object into its members without looking deeper: how a dialect opens its envelope. Arrays and objects
/// among the values are only found to be closed; whether they are JSON is for their reader to say.
///
/// # Errors
/// As [`decode`]; `Shape` if it is not an object, `Syntax` also past 65,536 members.
pub fn members(body: &[u8]) -> Result<Vec<Member<'_>>, BodyError> {
    json::members(body)
}
