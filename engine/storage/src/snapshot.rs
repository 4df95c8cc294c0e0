//! An immutable view of the database, pinned while held.
use crate::catalog::{Catalog, Table};
use crate::error::Result;
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::schema::TableSchema;
use crate::zone_map::ZoneMap;
use arrow_array::ArrayRef;
use std::sync::Arc;

/// Everything up to one commit. Cheap to clone; readers never block writers.
#[derive(Clone, Debug)]
pub struct Snapshot {}

impl Snapshot {
    /// The last commit in it.
    pub fn id(&self) -> SnapshotId {
        unimplemented!()
    }
    /// Its names.
    pub fn catalog(&self) -> &Arc<Catalog> {
        unimplemented!()
    }
    /// A table's rows; `None` if it does not exist.
    pub fn table(&self, _id: TableId) -> Option<TableSnapshot> {
        unimplemented!()
    }
    /// A table's columns and rows as of an earlier snapshot.
    /// # Errors
    /// `NotFound` before the table was created or beyond what is kept; `Invalid` for a snapshot of the future.
    pub fn table_at(&self, _id: TableId, _at: SnapshotId) -> Result<TableSnapshot> {
        unimplemented!()
    }
}

/// One table of a snapshot.
#[derive(Clone, Debug)]
pub struct TableSnapshot {}

impl TableSnapshot {
    /// What it is.
    pub fn table(&self) -> &Arc<Table> {
        unimplemented!()
    }
    /// Its columns as of this snapshot.
    pub fn schema(&self) -> &Arc<TableSchema> {
        unimplemented!()
    }
    /// Exact number of visible rows.
    pub fn rows(&self) -> u64 {
        unimplemented!()
    }
    /// Horizontal slices that together are the table, in commit order: at most a row group each.
    pub fn units(&self) -> Vec<ScanUnit> {
        unimplemented!()
    }
}

/// A horizontal slice of a table that is read on its own: a row group of a segment, or a batch in memory.
#[derive(Clone, Debug)]
pub struct ScanUnit {}

impl ScanUnit {
    /// Exact number of visible rows.
    pub fn rows(&self) -> usize {
        unimplemented!()
    }
    /// What is known of a column; `None`: nothing. Covers at least the visible rows.
    pub fn zone_map(&self, _column: ColumnId) -> Option<ZoneMap> {
        unimplemented!()
    }
    /// Bytes that reading these columns would fetch, roughly.
    pub fn bytes(&self, _columns: &[ColumnId]) -> u64 {
        unimplemented!()
    }
    /// The visible rows of these columns, in that order, each of length [`ScanUnit::rows`], in the Arrow form of the table's schema.
    /// Blocks on disk.
    /// # Errors
    /// `Corrupt` for damaged bytes, `NotFound` for a column the schema does not have.
    pub fn read(&self, _columns: &[ColumnId]) -> Result<Vec<ArrayRef>> {
        unimplemented!()
    }
    /// Where it comes from, for EXPLAIN: `memory` or `segment`.
    pub fn source(&self) -> &'static str {
        unimplemented!()
    }
}
