//! Bodies whose rows are merged by a key: decoding, and keys that a body has twice.
//!
//! **Invariants**
//! 1. Keys are compared as the table stores them, after coercion: `1` and `"1"` are one key of an INTEGER column.
//! 2. A row takes part if its key can be used, whatever else is wrong with it: whether a body is refused does not depend on other fields.
//! 3. A body that is not rows is told before a key that the table does not have.

use std::fmt;

use arrow::array::{Array, ArrayRef};
use siltstone_ingest::Decoded;
use siltstone_storage::{Column, ColumnId, Engine, ErrorKind, TableSchema};

use super::{IngestError, Part};
use crate::cells::{self, JsonColumns};

/// Keys that are named when a body has some twice, and rows that are named of each.
const NAMED_MAX: usize = 10;

/// Characters shown of a key.
const KEY_CHARS_MAX: usize = 100;

/// Why rows cannot be merged by the key asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The table has no such column.
    #[error("column '{0}' does not exist")]
    Missing(String),
    /// A column of a type that is no key.
    #[error("column '{column}' cannot be a key: its type is {logical_type}")]
    Type {
        /** Its name. */
        column: String,
        /** As SQL names it. */
        logical_type: String,
    },
    /// The body has some keys more than once.
    #[error("{}", RepeatedKey::list(.keys, *.total))]
    Repeated {
        /** The first of them. */
        keys: Vec<RepeatedKey>,
        /** How many there are. */
        total: usize,
        /** Rows in the body. */
        rows: usize,
    },
}

/// A key that a body has more than once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepeatedKey {
    /// Its values as JSON, separated by commas.
    pub key: String,
    /// The first rows that have it; 0-based.
    pub rows: Vec<u32>,
    /// How many rows have it.
    pub total: usize,
}

impl RepeatedKey {
    /// All of them in one sentence.
    fn list(keys: &[Self], total: usize) -> String {
        let mut text = "rows of one request must have distinct primary keys: ".to_owned();
        text.push_str(&keys.iter().map(Self::to_string).collect::<Vec<_>>().join(", "));
        if total > keys.len() {
            text.push_str(&format!(", … (+{} more)", total - keys.len()));
        }
        text
    }
}

impl fmt::Display for RepeatedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<String> = self.rows.iter().map(u32::to_string).collect();
        write!(f, "{} (rows {}", self.key, rows.join(", "))?;
        if self.total > self.rows.len() {
            write!(f, ", … (+{} more)", self.total - self.rows.len())?;
        }
        f.write_str(")")
    }
}

/// Decodes rows to be merged by these columns, and finds the columns.
///
/// # Errors
/// `Body`, `Key`; `Storage` if keys cannot be compared.
pub(super) fn decode(
    engine: &Engine,
    schema: &TableSchema,
    key: &[String],
    part: &Part,
) -> Result<(Decoded, Vec<ColumnId>), IngestError> {
    let columns = match columns(engine, schema, key) {
        Ok(columns) => columns,
        Err(fault) => {
            siltstone_ingest::decode(&part.body, part.framing, Some(schema), &part.policy)?;
            return Err(fault.into());
        }
    };
    let ids: Vec<ColumnId> = columns.iter().map(|column| column.id).collect();
    let decoded = siltstone_ingest::decode_keyed(&part.body, part.framing, schema, &ids, &part.policy)?;
    let arrays = ids.iter().map(|id| decoded.columns.iter().find(|(column, _)| column == id).cloned());
    // A column that no row mentions: no row has a key.
    if let Some(arrays) = arrays.collect::<Option<Vec<_>>>() {
        let repeated = engine.repeated_keys(schema, &arrays)?;
        if !repeated.is_empty() {
            return Err(describe(&columns, &arrays, &repeated, decoded.rows).into());
        }
    }
    Ok((decoded, ids))
}

fn columns<'s>(engine: &Engine, schema: &'s TableSchema, key: &[String]) -> Result<Vec<&'s Column>, KeyError> {
    let mut columns = Vec::with_capacity(key.len());
    for name in key {
        let column = schema.column(name).ok_or_else(|| KeyError::Missing(name.clone()))?;
        let none = arrow::array::new_empty_array(&column.logical_type.arrow());
        match engine.repeated_keys(schema, &[(column.id, none)]) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let logical_type = column.logical_type.to_string();
                return Err(KeyError::Type { column: column.name.clone(), logical_type });
            }
            _ => columns.push(column),
        }
    }
    Ok(columns)
}

/// `repeated` as storage tells it: (first row of a key, row that repeats it), by the latter.
fn describe(columns: &[&Column], arrays: &[(ColumnId, ArrayRef)], repeated: &[(u32, u32)], rows: usize) -> KeyError {
    let mut firsts: Vec<u32> = repeated.iter().map(|(first, _)| *first).collect();
    firsts.sort_unstable();
    firsts.dedup();
    let named = firsts.iter().take(NAMED_MAX).map(|first| {
        let others = repeated.iter().filter(|(key, _)| key == first).map(|(_, row)| *row);
        let all: Vec<u32> = std::iter::once(*first).chain(others).collect();
        let key = key_text(columns, arrays, *first as usize);
        RepeatedKey { key, total: all.len(), rows: all.into_iter().take(NAMED_MAX).collect() }
    });
    KeyError::Repeated { keys: named.collect(), total: firsts.len(), rows }
}

fn key_text(columns: &[&Column], arrays: &[(ColumnId, ArrayRef)], row: usize) -> String {
    let values = columns.iter().zip(arrays).map(|(column, (_, array))| {
        let field = column.logical_type.field(&column.name, true);
        let mut bytes = Vec::new();
        let row_of = array.slice(row, 1);
        cells::Column::new(&field, &row_of, None, JsonColumns::Text).json(0, &mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.chars().count() > KEY_CHARS_MAX {
            text.chars().take(KEY_CHARS_MAX).chain(['…']).collect()
        } else {
            text
        }
    });
    values.collect::<Vec<_>>().join(", ")
}
