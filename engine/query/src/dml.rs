//! INSERT: the source query's rows as batches of the table, in one commit.
//!
//! **Invariants**
//! 1. A statement's rows become visible together or not at all; a result too large for one commit is refused.
//! 2. Every value is cast to its column's type or the statement fails; NOT NULL is checked before anything is written.
//! 3. When the table changed while the source ran, the statement is planned again from the start.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::DataType;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::sql::sqlparser::ast::{Insert, Query, Statement, TableObject};
use futures::StreamExt;
use siltstone_storage::{Batch, Change, Column, Commit, ErrorKind, Snapshot, Table, TableId, TableSchema};

use crate::error::Result;
use crate::names::{INFORMATION_SCHEMA, Target, find_table, parts};
use crate::session::{PlannedQuery, Session};
use crate::statement::{changed, check_is_query};
use crate::{Output, QueryError};

/// Times a statement is planned anew because the catalog changed underneath.
pub(crate) const ATTEMPTS_MAX: usize = 5;
/// Most bytes of rows in one commit: they are in memory twice while they are logged.
const COMMIT_BYTES_MAX: usize = 256 << 20;
/// Rows of one batch of a commit: a row group, so that what is scanned from memory is as wide as from a segment.
const BATCH_ROWS: usize = 65_536;

/// Runs an INSERT.
pub(crate) async fn insert(session: &Session, insert: Insert) -> Result<Output> {
    check_supported(&insert)?;
    for _ in 0..ATTEMPTS_MAX {
        let snapshot = session.core.engine.snapshot();
        let (changes, rows) = insert_changes(session, snapshot, &insert).await?;
        if rows == 0 {
            return changed(0);
        }
        match session.commit(Commit::new(changes)).await {
            Ok(()) => return changed(rows),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict())
}

/// The statement lost against concurrent changes too often.
pub(crate) fn conflict() -> QueryError {
    siltstone_storage::Error::new(ErrorKind::Conflict, "the catalog kept changing; try again").into()
}

fn check_supported(insert: &Insert) -> Result<()> {
    let refused = [
        (insert.or.is_some() || insert.replace_into || insert.ignore, "INSERT OR …"),
        (insert.on.is_some(), "INSERT … ON CONFLICT"),
        (insert.returning.is_some(), "INSERT … RETURNING"),
        (insert.overwrite || insert.partitioned.is_some(), "INSERT OVERWRITE"),
        (!insert.assignments.is_empty() || !insert.after_columns.is_empty(), "this form of INSERT"),
    ];
    match refused.iter().find(|(present, _)| *present) {
        Some((_, what)) => Err(QueryError::not_implemented(format_args!("{what} is not supported yet"))),
        None => Ok(()),
    }
}

async fn insert_changes(session: &Session, snapshot: Snapshot, insert: &Insert) -> Result<(Vec<Change>, usize)> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(QueryError::not_implemented("INSERT takes the name of a table"));
    };
    let table = match find_table(snapshot.catalog(), &session.defaults, &parts(name)?)? {
        Target::Table(table) => Arc::clone(table),
        Target::Information { .. } => {
            return Err(QueryError::binder(format_args!("{INFORMATION_SCHEMA} cannot be changed")));
        }
    };
    session.check_writable(&table.name.database)?;
    let targets = target_columns(&table, insert)?;
    let Some(source) = &insert.source else {
        let target = RowTarget { id: table.id, schema: table.schema(), columns: &[] };
        target.check_absent_columns()?;
        return Ok((vec![Change::Append(Batch::new(table.id, 1, Vec::new())?)], 1));
    };
    let planned = plan_source(session, snapshot, source).await?;
    let found = planned.schema.fields().len();
    if found != targets.len() {
        return Err(QueryError::binder(format_args!(
            "table {} has {} columns but {found} values were supplied",
            table.name.table,
            targets.len()
        )));
    }
    RowTarget { id: table.id, schema: table.schema(), columns: &targets }.collect(planned).await
}

async fn plan_source(session: &Session, snapshot: Snapshot, source: &Query) -> Result<PlannedQuery> {
    check_is_query(&source.body)?;
    session.plan(snapshot, Statement::Query(Box::new(source.clone()))).await
}

/// The columns that the source's columns go to, in order.
fn target_columns(table: &Table, insert: &Insert) -> Result<Vec<Column>> {
    let schema = table.schema();
    if insert.columns.is_empty() && insert.source.is_some() {
        return Ok(schema.columns().to_vec());
    }
    let mut targets: Vec<Column> = Vec::with_capacity(insert.columns.len());
    for name in &insert.columns {
        let [name] = parts(name)?[..] else {
            return Err(QueryError::binder(format_args!("expected a column name, found {name}")));
        };
        let column = schema.column(name).ok_or_else(|| {
            QueryError::binder(format_args!(
                "Table \"{}\" does not have a column with name \"{name}\"",
                table.name.table
            ))
        })?;
        if targets.iter().any(|other| other.id == column.id) {
            return Err(QueryError::binder(format_args!("Duplicate column name \"{name}\" in INSERT")));
        }
        targets.push(column.clone());
    }
    Ok(targets)
}

/// Where the rows of a query go: into these columns of this table.
pub(crate) struct RowTarget<'a> {
    pub(crate) id: TableId,
    pub(crate) schema: &'a TableSchema,
    pub(crate) columns: &'a [Column],
}

impl RowTarget<'_> {
    /// Runs the query and turns its rows into appends; also returns how many rows there are.
    pub(crate) async fn collect(&self, planned: PlannedQuery) -> Result<(Vec<Change>, usize)> {
        self.check_absent_columns()?;
        let budget = MemoryConsumer::new("commit").register(&planned.task.runtime_env().memory_pool);
        let mut pending = Pending { budget, batches: Vec::new(), bytes: 0 };
        let zone = planned.zone;
        let mut stream = planned.execute()?;
        while let Some(batch) = stream.next().await {
            let batch = batch?;
            if batch.num_rows() > 0 {
                pending.push(self.cast(&batch, zone)?)?;
            }
        }
        pending.into_changes(self.id, self.columns)
    }

    /// Columns that are not given need a default or allow NULL.
    fn check_absent_columns(&self) -> Result<()> {
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

    fn cast(&self, batch: &RecordBatch, zone: Tz) -> Result<Vec<ArrayRef>> {
        self.columns
            .iter()
            .zip(batch.columns())
            .map(|(column, array)| {
                let array = crate::cast::to_column(array, &column.logical_type, zone)?;
                if !column.nullable && array.null_count() > 0 {
                    return Err(not_null(column));
                }
                Ok(array)
            })
            .collect()
    }
}

fn not_null(column: &Column) -> QueryError {
    QueryError::constraint(format_args!("NOT NULL constraint failed: {}", column.name))
}

/// Rows waiting for their commit.
struct Pending {
    budget: MemoryReservation,
    batches: Vec<Vec<ArrayRef>>,
    bytes: usize,
}

impl Pending {
    fn push(&mut self, arrays: Vec<ArrayRef>) -> Result<()> {
        // Views share their buffers with other batches: each keeps only its own bytes, here and in the table's memory.
        let arrays: Vec<ArrayRef> = arrays.into_iter().map(compacted).collect();
        let bytes: usize = arrays.iter().map(|array| array.get_buffer_memory_size()).sum();
        self.bytes += bytes;
        if self.bytes > COMMIT_BYTES_MAX {
            return Err(QueryError::exhausted(format_args!(
                "the rows of one statement are limited to {COMMIT_BYTES_MAX} bytes; insert them in several statements"
            )));
        }
        self.budget.try_grow(bytes)?;
        self.batches.push(arrays);
        Ok(())
    }

    /// Appends of up to a row group each.
    fn into_changes(self, table: TableId, columns: &[Column]) -> Result<(Vec<Change>, usize)> {
        let mut changes = Vec::new();
        let mut rows_total = 0;
        let mut group: Vec<Vec<ArrayRef>> = Vec::new();
        let mut group_rows = 0;
        for batch in self.batches {
            let rows = batch.first().map_or(0, |array| array.len());
            if group_rows > 0 && group_rows + rows > BATCH_ROWS {
                changes.push(append(table, columns, &std::mem::take(&mut group), group_rows)?);
                group_rows = 0;
            }
            rows_total += rows;
            group_rows += rows;
            group.push(batch);
        }
        if group_rows > 0 {
            changes.push(append(table, columns, &group, group_rows)?);
        }
        Ok((changes, rows_total))
    }
}

fn append(table: TableId, columns: &[Column], group: &[Vec<ArrayRef>], rows: usize) -> Result<Change> {
    let mut arrays = Vec::with_capacity(columns.len());
    for (i, column) in columns.iter().enumerate() {
        let pieces: Vec<&dyn Array> = group.iter().map(|batch| batch[i].as_ref()).collect();
        let array = if let [_] = pieces.as_slice() { Arc::clone(&group[0][i]) } else { concat(&pieces)? };
        arrays.push((column.id, array));
    }
    Ok(Change::Append(Batch::new(table, rows, arrays)?))
}

fn compacted(array: ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Utf8View => Arc::new(array.as_string_view().gc()),
        DataType::BinaryView => Arc::new(array.as_binary_view().gc()),
        _ => array,
    }
}
