//! Logged rows that are not yet in a segment, readable as columns.
//!
//! **Invariants**
//! 1. A [`MemBatch`] never changes; a [`Memtable`] is a cheap list of them, so a snapshot keeps the list it saw.
//! 2. Batches are in commit order.
//! 3. Rows are numbered in commit order, without gaps from batch to batch.
//! 4. At most [`FANOUT`] - 1 batches of each size tier: a thousand one-row commits scan like a handful of batches, and a
//!    row is copied once per tier.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow_array::ArrayRef;

use crate::columns::default_array;
use crate::commit::Batch;
use crate::commit_runs::CommitRuns;
use crate::concat::{array_bytes, concat};
use crate::error::Result;
use crate::ids::{ColumnId, SnapshotId};
use crate::schema::Column;
use crate::state::LiveSegment;

/// Batches of one tier that are merged into one of the next. Eight: five tiers up to the largest, five copies per row at most.
const FANOUT: usize = 8;
/// Rows at which a batch is left alone ([`FANOUT`] to the fourth): a query reads batches of about this size anyway.
const SETTLED_ROWS: usize = 4096;

/// Where a batch's rows went.
#[derive(Debug)]
pub(crate) enum Moved {
    /// Into a larger batch.
    Batch(Arc<MemBatch>),
    /// Into a segment: the position of the first.
    Segment(Arc<LiveSegment>, u32),
}

/// Rows of one table with the commits that wrote them.
#[derive(Debug)]
pub(crate) struct MemBatch {
    /// The first row's number in its table.
    first_row: u64,
    rows: usize,
    columns: Vec<(ColumnId, ArrayRef)>,
    commits: CommitRuns,
    bytes: usize,
    moved: OnceLock<Moved>,
}

impl MemBatch {
    pub(crate) fn new(first_row: u64, batch: &Batch, snapshot: SnapshotId) -> Self {
        let commits = CommitRuns::of(snapshot, batch.rows());
        Self::from_parts(first_row, batch.rows(), batch.columns().to_vec(), commits)
    }

    /// Rows of several commits, columns sorted by id.
    pub(crate) fn from_parts(
        first_row: u64,
        rows: usize,
        columns: Vec<(ColumnId, ArrayRef)>,
        commits: CommitRuns,
    ) -> Self {
        let bytes = columns.iter().map(|(_, array)| array_bytes(array)).sum();
        Self { first_row, rows, columns, commits, bytes, moved: OnceLock::new() }
    }

    /// The number in its table of the first row.
    pub(crate) fn first_row(&self) -> u64 {
        self.first_row
    }

    /// The number after the last row's.
    pub(crate) fn end_row(&self) -> u64 {
        self.first_row + self.rows as u64
    }

    /// Where the rows are by now; `None`: here.
    pub(crate) fn moved(&self) -> Option<&Moved> {
        self.moved.get()
    }

    /// Says where the rows went. A batch moves once: a flush that failed leaves its batches where they are.
    pub(crate) fn move_to(&self, place: Moved) {
        self.moved.set(place).expect("a batch moves once");
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

    /// One batch of all rows of `batches`, in that order, with those of `columns_kept` that any of them has.
    fn merge(batches: &[Arc<Self>], columns_kept: &[&Column]) -> Result<Self> {
        let first_row = batches.first().map_or(0, |batch| batch.first_row);
        let rows = batches.iter().map(|batch| batch.rows).sum();
        let mut commits = CommitRuns::default();
        for batch in batches {
            commits.append(&batch.commits);
        }
        let mut columns = Vec::new();
        for column in columns_kept {
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
        Ok(Self::from_parts(first_row, rows, columns, commits))
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

    /// The batch with a row of that number, if it is here.
    pub(crate) fn batch_of(&self, row: u64) -> Option<&Arc<MemBatch>> {
        let after = self.batches.partition_point(|batch| batch.first_row <= row);
        self.batches[..after].last().filter(|batch| row < batch.end_row())
    }

    /// Takes back the newest batches, so that none has a row from `row` on.
    pub(crate) fn truncate(&mut self, row: u64) {
        let kept = self.batches.partition_point(|batch| batch.first_row < row);
        self.batches.truncate(kept);
    }

    /// Takes over another's batches, which were committed after these.
    pub(crate) fn append(&mut self, later: &mut Self) {
        self.batches.append(&mut later.batches);
    }

    /// Merges small batches until invariant 4 holds, with the columns that are to be kept. Batches that Arrow cannot join (offsets past 32
    /// bits) stay apart: they are as readable as before.
    pub(crate) fn consolidate<'a>(&mut self, columns: impl Fn() -> Vec<&'a Column>) {
        while let Some(range) = mergeable(&self.batches) {
            let Ok(merged) = MemBatch::merge(&self.batches[range.clone()], &columns()) else { return };
            let merged = Arc::new(merged);
            for batch in &self.batches[range.clone()] {
                batch.move_to(Moved::Batch(Arc::clone(&merged)));
            }
            self.batches.splice(range, [merged]);
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
