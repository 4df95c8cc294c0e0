//! Rows on their way into a table: cast to its columns, held within bounds, cut into batches.
//!
//! **Invariants**
//! 1. Every value is cast to its column's type or the statement fails; NOT NULL is checked before anything is written.
//! 2. What is held counts against the memory budget of queries, and is limited per statement.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use futures::StreamExt;
use siltstone_storage::{Batch, Column, ColumnId, TableId, TableSchema};

use crate::QueryError;
use crate::error::Result;
use crate::session::PlannedQuery;

/// Most bytes of rows in one commit: they are in memory twice while they are logged.
const COMMIT_BYTES_MAX: usize = 256 << 20;
/// Rows of one batch of a commit: a row group, so that what is scanned from memory is as wide as from a segment.
const BATCH_ROWS: usize = 65_536;

/// Where rows go: into these columns of this table.
#[derive(Clone, Debug)]
pub(crate) struct RowTarget {
    pub(crate) id: TableId,
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) columns: Vec<Column>,
    /// Columns whose values come from the table itself and need no cast.
    pub(crate) unchanged: Vec<ColumnId>,
    /// Whether all rows go into one batch: what repeats a key is looked for within a batch.
    pub(crate) together: bool,
}

impl RowTarget {
    /// New rows with these columns.
    pub(crate) fn new(id: TableId, schema: &Arc<TableSchema>, columns: Vec<Column>) -> Self {
        Self { id, schema: Arc::clone(schema), columns, unchanged: Vec::new(), together: false }
    }

    /// Runs the query and turns its rows into batches.
    pub(crate) async fn collect(self, planned: PlannedQuery) -> Result<Vec<Batch>> {
        let mut rows = Rows::new(self, &planned)?;
        let mut stream = planned.execute()?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows.push(batch.columns(), batch.num_rows())?;
        }
        rows.into_batches()
    }

    /// Columns that are not given need a default or allow NULL.
    pub(crate) fn check_absent_columns(&self) -> Result<()> {
        let is_given = |column: &Column| self.columns.iter().any(|given| given.id == column.id);
        let broken = self
            .schema
            .columns()
            .iter()
            .find(|column| !column.nullable && column.default.is_none() && !is_given(column));
        match broken {
            Some(column) => Err(not_null(column)),
            None => Ok(()),
        }
    }

    fn cast(&self, arrays: &[ArrayRef], zone: Tz) -> Result<Vec<ArrayRef>> {
        self.columns
            .iter()
            .zip(arrays)
            .map(|(column, array)| {
                if self.unchanged.contains(&column.id) {
                    return Ok(Arc::clone(array));
                }
                let array = crate::cast::to_column(array, &column.logical_type, zone)?;
                if !column.nullable && array.null_count() > 0 {
                    return Err(not_null(column));
                }
                Ok(array)
            })
            .collect()
    }

    /// Most rows of one batch.
    fn batch_rows(&self) -> usize {
        if self.together { Batch::ROWS_MAX } else { BATCH_ROWS }
    }
}

fn not_null(column: &Column) -> QueryError {
    QueryError::constraint(format_args!("NOT NULL constraint failed: {}", column.name))
}

/// Rows waiting for their commit.
pub(crate) struct Rows {
    target: RowTarget,
    zone: Tz,
    budget: MemoryReservation,
    batches: Vec<(usize, Vec<ArrayRef>)>,
    rows: usize,
    bytes: usize,
}

impl Rows {
    /// None yet, of a query that is about to run.
    ///
    /// # Errors
    /// `Constraint Error` if rows without the target's other columns cannot be.
    pub(crate) fn new(target: RowTarget, planned: &PlannedQuery) -> Result<Self> {
        target.check_absent_columns()?;
        let budget = MemoryConsumer::new("commit").register(&planned.task.runtime_env().memory_pool);
        Ok(Self { target, zone: planned.zone, budget, batches: Vec::new(), rows: 0, bytes: 0 })
    }

    /// Number of rows so far.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Takes rows, given as the target's columns in their order.
    pub(crate) fn push(&mut self, arrays: &[ArrayRef], rows: usize) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        // Views share their buffers with other batches: each keeps only its own bytes, here and in the table's memory.
        let arrays: Vec<ArrayRef> = self.target.cast(arrays, self.zone)?.into_iter().map(compacted).collect();
        let bytes: usize = arrays.iter().map(|array| array.get_buffer_memory_size()).sum();
        self.bytes += bytes;
        if self.bytes > COMMIT_BYTES_MAX {
            return Err(QueryError::exhausted(format_args!(
                "the rows of one statement are limited to {COMMIT_BYTES_MAX} bytes; write them in several statements"
            )));
        }
        self.budget.try_grow(bytes)?;
        self.rows += rows;
        self.batches.push((rows, arrays));
        Ok(())
    }

    /// Batches of up to a row group each.
    pub(crate) fn into_batches(self) -> Result<Vec<Batch>> {
        let rows_max = self.target.batch_rows();
        let mut batches = Vec::new();
        let mut group: Vec<Vec<ArrayRef>> = Vec::new();
        let mut group_rows = 0;
        for (rows, batch) in self.batches {
            if group_rows > 0 && group_rows + rows > rows_max {
                batches.push(joined(&self.target, &std::mem::take(&mut group), group_rows)?);
                group_rows = 0;
            }
            group_rows += rows;
            group.push(batch);
        }
        if group_rows > 0 {
            batches.push(joined(&self.target, &group, group_rows)?);
        }
        Ok(batches)
    }
}

fn joined(target: &RowTarget, group: &[Vec<ArrayRef>], rows: usize) -> Result<Batch> {
    let mut arrays = Vec::with_capacity(target.columns.len());
    for (i, column) in target.columns.iter().enumerate() {
        let pieces: Vec<&dyn Array> = group.iter().map(|batch| batch[i].as_ref()).collect();
        let array = if let [_] = pieces.as_slice() { Arc::clone(&group[0][i]) } else { concat(&pieces)? };
        arrays.push((column.id, array));
    }
    Ok(Batch::new(target.id, rows, arrays)?)
}

fn compacted(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => array,
    }
}
