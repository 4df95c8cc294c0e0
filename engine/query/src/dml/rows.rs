//! Rows on their way into a table: cast to its columns, held within bounds, cut into batches or written to segments.
//!
//! **Invariants**
//! 1. Every value is cast to its column's type or the statement fails; NOT NULL is checked before anything is written.
//! 2. What is held counts against the memory budget of queries. Where keys are looked at all rows of a statement are held, up to a limit;
//!    elsewhere they go to segments a piece at a time.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use futures::StreamExt;
use siltstone_storage::{Batch, Change, Column, ColumnId, Engine, Load, TableId, TableSchema};

use crate::QueryError;
use crate::blocking::off_thread;
use crate::error::Result;
use crate::session::PlannedQuery;

/// Most bytes of rows that are held for one commit: they are in memory twice while they are logged.
const COMMIT_BYTES_MAX: usize = 256 << 20;
/// Bytes of rows past which they go to segments. 16 MiB: less than a flush is worth, and a group of commits in the log.
const PIECE_BYTES: usize = 16 << 20;
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

    /// Runs the query and takes its rows.
    pub(crate) async fn collect(self, engine: &Engine, planned: PlannedQuery) -> Result<Rows> {
        let mut rows = Rows::new(engine, self, &planned)?;
        let mut stream = planned.execute()?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            rows.push(batch.columns(), batch.num_rows()).await?;
        }
        Ok(rows)
    }

    /// Whether rows may go to segments before they are committed.
    fn takes_loads(&self) -> bool {
        !self.together && self.schema.primary_key().is_empty()
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
    engine: Engine,
    target: RowTarget,
    zone: Tz,
    budget: MemoryReservation,
    /// In memory.
    batches: Vec<(usize, Vec<ArrayRef>)>,
    /// The others, in segments.
    load: Option<Load>,
    rows: usize,
}

impl Rows {
    /// None yet, of a query that is about to run.
    ///
    /// # Errors
    /// `Constraint Error` if rows without the target's other columns cannot be.
    pub(crate) fn new(engine: &Engine, target: RowTarget, planned: &PlannedQuery) -> Result<Self> {
        target.check_absent_columns()?;
        let budget = MemoryConsumer::new("commit").register(&planned.task.runtime_env().memory_pool);
        let engine = engine.clone();
        Ok(Self { engine, target, zone: planned.zone, budget, batches: Vec::new(), load: None, rows: 0 })
    }

    /// Number of rows so far.
    pub(crate) fn len(&self) -> usize {
        self.rows
    }

    /// Takes rows, given as the target's columns in their order.
    pub(crate) async fn push(&mut self, arrays: &[ArrayRef], rows: usize) -> Result<()> {
        if rows == 0 {
            return Ok(());
        }
        // Views share their buffers with other batches: each keeps only its own bytes, here and in the table's memory.
        let arrays: Vec<ArrayRef> = self.target.cast(arrays, self.zone)?.into_iter().map(compacted).collect();
        let bytes: usize = arrays.iter().map(|array| array.get_buffer_memory_size()).sum();
        self.budget.try_grow(bytes)?;
        self.rows += rows;
        self.batches.push((rows, arrays));
        if self.target.takes_loads() {
            if self.budget.size() > PIECE_BYTES {
                self.write_segments().await?;
            }
        } else if self.budget.size() > COMMIT_BYTES_MAX {
            return Err(QueryError::exhausted(format_args!(
                "the rows of one statement for a table with a primary key are limited to {COMMIT_BYTES_MAX} bytes; write them in \
                 several statements"
            )));
        }
        Ok(())
    }

    /// Writes the rows in memory to segments.
    async fn write_segments(&mut self) -> Result<()> {
        let batches = self.take_batches()?;
        let mut load = match self.load.take() {
            Some(load) => load,
            None => self.engine.load(self.target.id, &self.target.schema)?,
        };
        let load = off_thread(move || {
            batches.iter().try_for_each(|batch| load.append(batch))?;
            Ok(load)
        });
        self.load = Some(load.await?);
        self.budget.free();
        Ok(())
    }

    /// The changes that bring the rows.
    pub(crate) async fn into_changes(mut self) -> Result<Vec<Change>> {
        if self.load.is_some() {
            self.write_segments().await?;
        }
        match self.load.take() {
            None => Ok(self.take_batches()?.into_iter().map(Change::Append).collect()),
            Some(load) => Ok(off_thread(move || Ok(load.finish()?)).await?.map(Change::Load).into_iter().collect()),
        }
    }

    /// All rows of a target that wants them together: one batch, as long as there are not too many for one.
    pub(crate) fn into_batches(mut self) -> Result<Vec<Batch>> {
        self.take_batches()
    }

    /// The rows in memory as batches of up to a row group each.
    fn take_batches(&mut self) -> Result<Vec<Batch>> {
        let rows_max = self.target.batch_rows();
        let mut batches = Vec::new();
        let mut group: Vec<Vec<ArrayRef>> = Vec::new();
        let mut group_rows = 0;
        for (rows, batch) in std::mem::take(&mut self.batches) {
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
