//! What a commit asks for: changes that become durable and visible together or not at all.
//!
//! **Invariants**: a [`Batch`] has equal-length columns, sorted by id, each id once.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use crate::catalog::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, TableId};
use crate::schema::TableSchema;

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
    /// Rows for a table; every column given must exist there with that type when the commit is made.
    Append(Batch),
}

/// Changes applied in order, atomically.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Commit {
    /// In the order in which they take effect.
    pub changes: Vec<Change>,
}

impl Commit {
    /// A commit of these changes.
    pub fn new(changes: Vec<Change>) -> Self {
        Self { changes }
    }
}
