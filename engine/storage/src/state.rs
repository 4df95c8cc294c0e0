//! What one snapshot holds: its names and, per table, where the rows are.
//!
//! **Invariants**
//! 1. A published [`State`] never changes; the writer changes its own copy and publishes the next.
//! 2. A table's rows are its segments, then its sealed batches, then its active ones: commit order.
//! 3. Every row in a state was written by a commit up to its snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::ids::{SnapshotId, TableId};
use crate::manifest::SegmentEntry;
use crate::memtable::Memtable;
use crate::segment::Segment;

/// A segment file that is part of the database.
#[derive(Debug)]
pub(crate) struct LiveSegment {
    pub(crate) entry: SegmentEntry,
    pub(crate) reader: Segment,
}

/// The rows of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableRows {
    pub(crate) segments: Vec<Arc<LiveSegment>>,
    /// Being flushed.
    pub(crate) sealed: Memtable,
    pub(crate) active: Memtable,
}

impl TableRows {
    pub(crate) fn memory_bytes(&self) -> usize {
        self.sealed.bytes() + self.active.bytes()
    }
}

/// One snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) snapshot: SnapshotId,
    /// When its last commit was logged, in microseconds since 1970 UTC; never goes back.
    pub(crate) time_us: i64,
    pub(crate) catalog: Arc<Catalog>,
    /// A table without an entry has no rows.
    pub(crate) rows: BTreeMap<TableId, Arc<TableRows>>,
}

impl State {
    pub(crate) fn rows_mut(&mut self, table: TableId) -> &mut TableRows {
        Arc::make_mut(self.rows.entry(table).or_default())
    }

    /// Forgets the rows of tables that are no longer in the catalog.
    pub(crate) fn drop_orphans(&mut self) {
        let catalog = &self.catalog;
        self.rows.retain(|table, _| catalog.table_by_id(*table).is_some());
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.rows.values().map(|rows| rows.memory_bytes()).sum()
    }
}
