//! Logged rows that are not yet in a segment, readable as columns.
//!
//! **Invariants**
//! 1. A [`MemBatch`] never changes; a [`Memtable`] is a cheap list of them, so a snapshot keeps the list it saw.
//! 2. Batches are in commit order.
//! 3. At most [`FANOUT`] - 1 batches of each size tier: a thousand one-row commits scan like a handful of batches, and a
//!    row is copied once per tier.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;

use crate::columns::default_array;
use crate::commit::Batch;
use crate::commit_runs::CommitRuns;
use crate::concat::{array_bytes, concat};
use crate::error::Result;
use crate::ids::{ColumnId, SnapshotId};
use crate::schema::TableSchema;

/// Batches of one tier that are merged into one of the next. Eight: five tiers up to the largest, five copies per row at most.
const FANOUT: usize = 8;
/// Rows at which a batch is left alone ([`FANOUT`] to the fourth): a query reads batches of about this size anyway.
const SETTLED_ROWS: usize = 4096;

/// Rows of one table with the commits that wrote them.
#[derive(Debug)]
pub(crate) struct MemBatch {
    rows: usize,
    columns: Vec<(ColumnId, ArrayRef)>,
    commits: CommitRuns,
    bytes: usize,
}

impl MemBatch {
    pub(crate) fn new(batch: &Batch, snapshot: SnapshotId) -> Self {
        Self::from_parts(batch.rows(), batch.columns().to_vec(), CommitRuns::of(snapshot, batch.rows()))
    }

    fn from_parts(rows: usize, columns: Vec<(ColumnId, ArrayRef)>, commits: CommitRuns) -> Self {
        let bytes = columns.iter().map(|(_, array)| array_bytes(array)).sum();
        Self { rows, columns, commits, bytes }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn commits(&self) -> &CommitRuns {
        &self.commits
    }

    /// The column's values; `None` if these rows do not say.
    pub(crate) fn column(&self, id: ColumnId) -> Option<&ArrayRef> {
        self.columns.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &self.columns[at].1)
    }

    /// One batch of all rows of `batches`, in that order, with the columns that `schema` still has.
    fn merge(batches: &[Arc<Self>], schema: &TableSchema) -> Result<Self> {
        let rows = batches.iter().map(|batch| batch.rows).sum();
        let mut commits = CommitRuns::default();
        for batch in batches {
            commits.append(&batch.commits);
        }
        let mut columns = Vec::new();
        for column in schema.columns() {
            if batches.iter().all(|batch| batch.column(column.id).is_none()) {
                continue;
            }
            let arrays = batches
                .iter()
                .map(|batch| match batch.column(column.id) {
                    Some(array) => Ok(Arc::clone(array)),
                    None => default_array(column, batch.rows),
                })
                .collect::<Result<Vec<_>>>()?;
            columns.push((column.id, concat(&column.logical_type, &arrays)?));
        }
        columns.sort_by_key(|(id, _)| *id);
        Ok(Self::from_parts(rows, columns, commits))
    }
}

/// The rows of one table in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memtable {
    batches: Vec<Arc<MemBatch>>,
}

impl Memtable {
    pub(crate) fn batches(&self) -> &[Arc<MemBatch>] {
        &self.batches
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub(crate) fn rows(&self) -> usize {
        self.batches.iter().map(|batch| batch.rows).sum()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.batches.iter().map(|batch| batch.bytes).sum()
    }

    pub(crate) fn push(&mut self, batch: MemBatch) {
        self.batches.push(Arc::new(batch));
    }

    /// Takes over another's batches, which were committed after these.
    pub(crate) fn append(&mut self, later: &mut Self) {
        self.batches.append(&mut later.batches);
    }

    /// Merges small batches until invariant 3 holds. Batches that Arrow cannot join (offsets past 32 bits) stay apart:
    /// they are as readable as before.
    pub(crate) fn consolidate(&mut self, schema: &TableSchema) {
        while let Some(range) = mergeable(&self.batches) {
            let Ok(merged) = MemBatch::merge(&self.batches[range.clone()], schema) else { return };
            self.batches.splice(range, [Arc::new(merged)]);
        }
    }
}

/// The newest run of batches that should become one: [`FANOUT`] or more neighbours of one tier or below.
fn mergeable(batches: &[Arc<MemBatch>]) -> Option<Range<usize>> {
    let mut start = batches.len();
    let mut tier_rows = 1;
    while tier_rows < SETTLED_ROWS {
        tier_rows *= FANOUT;
        while start > 0 && batches[start - 1].rows < tier_rows {
            start -= 1;
        }
        if batches.len() - start >= FANOUT {
            return Some(start..bounded_end(batches, start));
        }
    }
    None
}

/// End of the run from `start` that together has at most twice [`SETTLED_ROWS`]; at least two batches.
fn bounded_end(batches: &[Arc<MemBatch>], start: usize) -> usize {
    let mut rows = 0;
    let mut end = start;
    while end < batches.len() && (rows + batches[end].rows <= 2 * SETTLED_ROWS || end - start < 2) {
        rows += batches[end].rows;
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests;
