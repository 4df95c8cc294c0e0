//! Rows of a file in memory, on their way to a commit.
//!
//! **Invariants**: rows are numbered from 0 in the file, whatever was taken before.

use arrow::array::{Array, ArrayRef};
use siltstone_ingest::FileBatch;
use siltstone_storage::{Batch, ColumnId, Error, ErrorKind, TableId, TableSchema};

use super::UploadError;
use super::plan::refused;

/// Rows that a message names.
const ROWS_SHOWN: usize = 10;

/// Rows of a file, a piece at a time.
#[derive(Default)]
pub(super) struct Gathered {
    /// The piece.
    batches: Vec<FileBatch>,
    /// Of the piece.
    pub(super) bytes: usize,
    /// Of all pieces.
    pub(super) rows: u64,
    /// Rows without a whole key, of all pieces.
    keyless: Vec<u64>,
}

impl Gathered {
    pub(super) fn push(&mut self, batch: FileBatch, key: &[ColumnId]) {
        self.rows += batch.rows as u64;
        self.bytes += batch.columns.iter().map(|(_, array)| array.get_array_memory_size()).sum::<usize>();
        let keys: Vec<&ArrayRef> =
            batch.columns.iter().filter(|(id, _)| key.contains(id)).map(|(_, array)| array).collect();
        if keys.iter().any(|array| array.null_count() > 0) {
            let nulls = (0..batch.rows).filter(|row| keys.iter().any(|array| array.is_null(*row)));
            self.keyless.extend(nulls.map(|row| batch.first_row + row as u64));
        }
        self.batches.push(batch);
    }

    /// Whether every row so far has a whole key.
    pub(super) fn is_keyed(&self) -> bool {
        self.keyless.is_empty()
    }

    /// # Errors
    /// `Refused` naming the rows without a whole key.
    pub(super) fn check_keys(&self, schema: &TableSchema, key: &[ColumnId]) -> Result<(), UploadError> {
        if self.is_keyed() {
            return Ok(());
        }
        let names: Vec<&str> =
            key.iter().filter_map(|id| schema.column_by_id(*id)).map(|column| column.name.as_str()).collect();
        let rows = named(self.keyless.iter().copied());
        Err(refused(format!("NULL in the primary key ({}): {rows}", names.join(", "))))
    }

    /// The number of the piece's first row.
    pub(super) fn first_row(&self) -> u64 {
        self.batches.first().map_or(self.rows, |batch| batch.first_row)
    }

    /// The piece; the next one begins.
    pub(super) fn take(&mut self) -> Vec<FileBatch> {
        self.bytes = 0;
        std::mem::take(&mut self.batches)
    }

    /// The piece as one batch.
    pub(super) fn take_joined(&mut self, table: TableId) -> Result<Batch, UploadError> {
        let mut batches = self.take();
        if batches.len() == 1
            && let Some(only) = batches.pop()
        {
            return Ok(Batch::new(table, only.rows, only.columns)?);
        }
        let rows = batches.iter().map(|batch| batch.rows).sum();
        let ids: Vec<ColumnId> =
            batches.first().map_or(Vec::new(), |batch| batch.columns.iter().map(|(id, _)| *id).collect());
        let mut columns = Vec::with_capacity(ids.len());
        for id in ids {
            let parts: Vec<&dyn Array> = batches
                .iter()
                .filter_map(|batch| batch.columns.iter().find(|(found, _)| *found == id))
                .map(|(_, array)| array.as_ref())
                .collect();
            let joined = arrow::compute::concat(&parts).map_err(|error| {
                Error::with_source(ErrorKind::Internal, "the batches of a file cannot be joined", error)
            })?;
            columns.push((id, joined));
        }
        Ok(Batch::new(table, rows, columns)?)
    }
}

/// `rows 1, 5 and 7 more`.
pub(super) fn named(rows: impl ExactSizeIterator<Item = u64>) -> String {
    let more = rows.len().saturating_sub(ROWS_SHOWN);
    let shown: Vec<String> = rows.take(ROWS_SHOWN).map(|row| row.to_string()).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("rows {}{rest}", shown.join(", "))
}
