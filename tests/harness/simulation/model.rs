//! What the database must contain: tables as lists of rows in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use siltstone_storage::{SnapshotId, TableId, TableSchema};

/// A value, comparable without rounding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// SQL NULL.
    Null,
    /// BOOLEAN.
    Bool(bool),
    /// BIGINT.
    Int(i64),
    /// DOUBLE, as its bits.
    Double(u64),
    /// VARCHAR.
    Text(String),
}

/// A row and the commit that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Position of the commit among all commits of the workload, from 0.
    pub commit: usize,
    /// Values of the columns that existed then.
    pub cells: Vec<Cell>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct ModelTable {
    /// The engine's id.
    pub id: TableId,
    /// Its columns now.
    pub schema: Arc<TableSchema>,
    /// Its rows in the order in which they were committed.
    pub rows: Vec<Row>,
}

impl ModelTable {
    /// Rows up to a commit, each as wide as the table is now.
    pub fn rows_until(&self, commit: usize) -> Vec<Vec<Cell>> {
        let width = self.schema.columns().len();
        let visible = self.rows.iter().filter(|row| row.commit <= commit);
        visible
            .map(|row| {
                let mut cells = row.cells.clone();
                cells.resize(width, Cell::Null);
                cells
            })
            .collect()
    }
}

/// All tables by name, and the snapshots of all acknowledged commits.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By table name; all are in `LAKE.main`.
    pub tables: BTreeMap<String, ModelTable>,
    /// Acknowledged commits: position in the workload and snapshot. A commit that was in doubt and turned out to be there has none.
    pub acknowledged: Vec<(usize, SnapshotId)>,
}

impl Model {
    /// The current rows of every table.
    pub fn contents(&self) -> BTreeMap<String, Vec<Vec<Cell>>> {
        self.tables.iter().map(|(name, table)| (name.clone(), table.rows_until(usize::MAX))).collect()
    }

    /// The newest acknowledged snapshot.
    pub fn last_acknowledged(&self) -> SnapshotId {
        self.acknowledged.last().map_or(SnapshotId(0), |(_, snapshot)| *snapshot)
    }
}
