//! JSON files: cut into pieces of whole records, each decoded like a request's body.
//!
//! **Invariants**
//! 1. The pieces together say what the whole file says: what is cut away is one comma, or nothing.
//! 2. The type of a new column depends on all its values, not on how the file was cut.

pub(crate) mod pieces;

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::Array;
use siltstone_storage::{LogicalType, NewColumn, TableSchema, folded_name};

use super::{FileBatch, FileBytes, FileError, Result, policy};
use crate::{BodyError, Decoded, UnknownFields};
use pieces::{Piece, Pieces};

/// Bad rows that a message names.
const BAD_ROWS_SHOWN: usize = 3;

/// The columns with the types that `/append` would give them for all rows at once.
pub(super) fn types(bytes: &Arc<dyn FileBytes>) -> Result<Vec<NewColumn>> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut columns: Vec<(String, Option<LogicalType>)> = Vec::new();
    for decoded in decoded(bytes, None, UnknownFields::Add) {
        let decoded = decoded?;
        let Some(schema) = &decoded.schema else { continue };
        for column in schema.columns() {
            let seen = decoded.columns.iter().any(|(id, array)| *id == column.id && array.null_count() < array.len());
            let found = seen.then(|| column.logical_type.clone());
            match known.get(&folded_name(&column.name)) {
                Some(place) => columns[*place].1 = joined(columns[*place].1.take(), found),
                None => {
                    known.insert(folded_name(&column.name), columns.len());
                    columns.push((column.name.clone(), found));
                }
            }
        }
    }
    // A column of nothing but NULL is not made, unless there is no other.
    let all_null = columns.iter().all(|(_, found)| found.is_none());
    let kept = columns.into_iter().filter(|(_, found)| all_null || found.is_some());
    Ok(kept.map(|(name, found)| NewColumn::new(name, found.unwrap_or(LogicalType::Varchar))).collect())
}

/// The type that holds what both hold.
pub(super) fn joined(a: Option<LogicalType>, b: Option<LogicalType>) -> Option<LogicalType> {
    use LogicalType::{BigInt, Decimal, Double, Json, Varchar};
    let (Some(a), Some(b)) = (a.clone(), b.clone()) else { return a.or(b) };
    let is_number = |ty: &LogicalType| matches!(ty, BigInt | Decimal { .. } | Double);
    Some(if a == b {
        a
    } else if a == Json || b == Json {
        Json
    } else if !is_number(&a) || !is_number(&b) {
        Varchar
    } else if a == Double || b == Double {
        Double
    } else {
        Decimal { precision: 38, scale: 0 }
    })
}

/// The columns of a table that any row mentions.
pub(super) fn names(bytes: &Arc<dyn FileBytes>, table: &TableSchema) -> Result<Vec<NewColumn>> {
    let mut mentioned = vec![false; table.columns().len()];
    for decoded in decoded(bytes, Some(table), UnknownFields::Reject) {
        let decoded = decoded?;
        for (mentioned, column) in mentioned.iter_mut().zip(table.columns()) {
            *mentioned |= decoded.columns.iter().any(|(id, _)| *id == column.id);
        }
    }
    let mentioned = table.columns().iter().zip(mentioned).filter(|(_, mentioned)| *mentioned);
    Ok(mentioned.map(|(column, _)| NewColumn::new(&column.name, column.logical_type.clone())).collect())
}

/// The rows as those of a table.
pub(super) fn rows(
    bytes: &Arc<dyn FileBytes>,
    table: &TableSchema,
    unknown_fields: UnknownFields,
) -> impl Iterator<Item = Result<FileBatch>> + Send + use<> {
    let batches = decoded(bytes, Some(table), unknown_fields).map(|decoded| {
        let decoded = decoded?;
        Ok(FileBatch { rows: decoded.rows, first_row: 0, columns: decoded.columns })
    });
    batches.filter(|batch| batch.as_ref().map_or(true, |batch| batch.rows > 0))
}

/// Every piece of a file, decoded; bad rows are an error.
fn decoded(
    bytes: &Arc<dyn FileBytes>,
    table: Option<&TableSchema>,
    unknown_fields: UnknownFields,
) -> impl Iterator<Item = Result<Decoded>> + Send + use<> {
    let table = table.cloned();
    let mut pieces = Pieces::new(bytes);
    let policy = policy(unknown_fields);
    let mut first_row = 0;
    std::iter::from_fn(move || {
        let piece = pieces.next().transpose()?;
        Some(piece.and_then(|piece| {
            let decoded = crate::decode(&piece.text, piece.framing, table.as_ref(), &policy)
                .map_err(|error| refused(error, &piece, first_row))?;
            check_rows(&decoded, first_row)?;
            first_row += decoded.rows;
            Ok(decoded)
        }))
    })
}

fn refused(error: BodyError, piece: &Piece, first_row: usize) -> FileError {
    FileError::invalid(match error {
        BodyError::Syntax { offset, record, reason } => {
            let error = BodyError::Syntax { offset: piece.place(offset), record: first_row + record, reason };
            error.to_string()
        }
        BodyError::Depth { offset } => BodyError::Depth { offset: piece.place(offset) }.to_string(),
        error => error.to_string(),
    })
}

fn check_rows(decoded: &Decoded, first_row: usize) -> Result<()> {
    let (first, total) = decoded.errors.first(BAD_ROWS_SHOWN);
    if total == 0 {
        return Ok(());
    }
    let one = |error: &crate::RowError| {
        let field = error.field.as_ref().map(|field| format!(", column \"{field}\"")).unwrap_or_default();
        format!("row {}{field}: {}", first_row + error.row, error.message)
    };
    let mut message = first.iter().map(one).collect::<Vec<_>>().join("; ");
    if total > first.len() {
        message.push_str("; and more");
    }
    Err(FileError::Invalid(message))
}
