//! What a commit asks for: changes that become durable and visible together or not at all.
//!
//! **Invariants**: a [`Batch`] has equal-length columns, sorted by id, each id once.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use crate::catalog::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::load::Loaded;
use crate::row_set::RowSet;
use crate::schema::TableSchema;
use crate::view::{Commented, Layout, View};

/// Rows of one table. A column that is absent has its default (else NULL) in every row.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    table: TableId,
    rows: usize,
    columns: Vec<(ColumnId, ArrayRef)>,
}

impl Batch {
    /// Most rows in one batch: positions are 32-bit.
    pub const ROWS_MAX: usize = 1 << 28;

    /// `rows` rows of `table`; each array holds `rows` values of its column's Arrow form.
    ///
    /// # Errors
    /// `Invalid` if lengths differ, a column is given twice, or there are more than [`Batch::ROWS_MAX`] rows.
    pub fn new(table: TableId, rows: usize, mut columns: Vec<(ColumnId, ArrayRef)>) -> Result<Self> {
        columns.sort_by_key(|(id, _)| *id);
        let equal_lengths = columns.iter().all(|(_, array)| array.len() == rows);
        let distinct = columns.windows(2).all(|pair| pair[0].0 != pair[1].0);
        if !equal_lengths || !distinct || rows > Self::ROWS_MAX {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("malformed batch: table={table}, rows={rows}, columns={}", columns.len()),
            ));
        }
        Ok(Self { table, rows, columns })
    }

    /// Whose rows these are.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A column's values, if they are given.
    pub fn column(&self, id: ColumnId) -> Option<&ArrayRef> {
        self.columns.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| &self.columns[at].1)
    }

    /// The columns present, by id.
    pub fn columns(&self) -> &[(ColumnId, ArrayRef)] {
        &self.columns
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each variant is the SQL statement of the same name")]
pub enum Change {
    CreateDatabase {
        name: String,
    },
    DropDatabase {
        name: String,
    },
    CreateSchema {
        database: String,
        name: String,
    },
    DropSchema {
        database: String,
        name: String,
        cascade: bool,
    },
    /// `id` comes from [`crate::Engine::new_table_id`], so that the same commit can append to it.
    CreateTable {
        id: TableId,
        name: TableName,
        schema: Arc<TableSchema>,
    },
    DropTable {
        id: TableId,
    },
    /// The new name within the same schema.
    RenameTable {
        id: TableId,
        name: String,
    },
    /// The schema must be the direct successor of the current one, else the commit is a `Conflict`.
    SetSchema {
        id: TableId,
        schema: Arc<TableSchema>,
    },
    /// If `replace`, takes the place of the view of its name.
    CreateView {
        view: Arc<View>,
        replace: bool,
    },
    DropView {
        name: TableName,
    },
    /// `None` takes a comment away.
    Comment {
        on: Commented,
        text: Option<String>,
    },
    SetLayout {
        id: TableId,
        layout: Layout,
    },
    /// Rows for a table; every column given must exist there with that type when the commit is made. If the table declares a primary key,
    /// their keys must be new to it, else the commit is a `Conflict`, and [`crate::Error::rows`] names the rows.
    Append(Batch),
    /// Rows for a table, each taking the place of those with its key.
    Merge(Merge),
    /// Deletes rows; a `Conflict` if one of them is not there any more.
    Delete(RowSet),
    /// Rows that are in segments already, as [`crate::Load::finish`] gives them; goes through [`crate::Engine::write`] or a transaction.
    Load(Loaded),
}

impl Change {
    /// The table whose rows it changes.
    pub(crate) fn rows_of(&self) -> Option<TableId> {
        match self {
            Self::Append(batch) => Some(batch.table()),
            Self::Merge(merge) => Some(merge.batch.table()),
            Self::Delete(rows) => Some(rows.table()),
            Self::Load(loaded) => Some(loaded.table()),
            _ => None,
        }
    }
}

/// Rows to merge into a table by key.
///
/// Keys equal as SQL has it, but for floats: NaN equals NaN, and zero equals minus zero. Text compares by its bytes. A NULL in a key column
/// is `Invalid`, and [`crate::Error::rows`] names the rows. Of several rows of the batch with one key the greatest by `newer_by` counts,
/// the last among equals; the others are as if they had not been there.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The rows; it has every column of `key` and of `newer_by`.
    pub batch: Batch,
    /// Columns that identify a row; at least one. They need not be the table's primary key, and then several stored rows may match.
    pub key: Vec<ColumnId>,
    /// What becomes of stored rows with the key of one in the batch.
    pub on_match: OnMatch,
    /// If not empty: a stored row gives way only to one that is strictly newer by these columns, the most significant first. NULL is older
    /// than any value.
    pub newer_by: Vec<ColumnId>,
}

/// What a merge does with a stored row that has the key of one in its batch. Where nothing matches, the row is inserted, except by `Remove`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMatch {
    /// All that match go, and the new row stands in their place; columns it does not have are at their default.
    Replace,
    /// Each that matches gets the batch's columns and keeps its other ones.
    Update,
    /// All that match stay; the new row is not inserted.
    Keep,
    /// All that match go, and nothing is inserted.
    Remove,
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows that are there in addition.
    pub inserted: u64,
    /// Stored rows that were replaced or changed.
    pub updated: u64,
    /// Stored rows that are gone.
    pub deleted: u64,
    /// Rows of a merge that changed nothing.
    pub unchanged: u64,
}

impl RowCounts {
    pub(crate) fn add(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.unchanged += other.unchanged;
    }
}

/// A commit that is durable and visible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// The first snapshot that shows it.
    pub snapshot: SnapshotId,
    /// What became of rows, over all tables.
    pub rows: RowCounts,
}

/// What is said of a commit, to be read back from the list of snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitInfo {
    /// Who made it.
    pub author: Option<String>,
    /// Why.
    pub message: Option<String>,
    /// Anything else, as JSON text.
    pub extra: Option<String>,
}

impl CommitInfo {
    /// Most bytes of the three texts together.
    pub const BYTES_MAX: usize = 64 << 10;

    pub(crate) fn texts(&self) -> [Option<&str>; 3] {
        [self.author.as_deref(), self.message.as_deref(), self.extra.as_deref()]
    }
}

/// Changes applied in order, atomically.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// In the order in which they take effect.
    pub changes: Vec<Change>,
    /// What is said of it.
    pub info: CommitInfo,
    /// Tables whose rows must not have changed since a snapshot, else the commit is a `Conflict`.
    pub unchanged: Vec<(TableId, SnapshotId)>,
}

impl Commit {
    /// A commit of these changes, of which nothing is said.
    pub fn new(changes: Vec<Change>) -> Self {
        Self { changes, ..Self::default() }
    }

    /// The loads among its changes.
    pub fn loads(&self) -> impl Iterator<Item = &Loaded> {
        self.changes.iter().filter_map(|change| match change {
            Change::Load(loaded) => Some(loaded),
            _ => None,
        })
    }
}
