//! What a catalog holds beside tables and their columns: views, comments, and how a table would have its rows lie.
//!
//! **Invariants**
//! 1. None of it changes what a stored row means: it is read back as it was given.
//! 2. Columns of a table are named by id, so that a rename costs nothing.
//!
//! It knows no SQL: a view's text is kept, never understood.

use crate::catalog::TableName;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, TableId};
use crate::schema::{TableSchema, check_name};

/// A query under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Where it is found; it shares its name space with tables.
    pub name: TableName,
    /// The query as written.
    pub query: String,
    /// Database of the unqualified names in it.
    pub home_database: String,
    /// Schema of the unqualified names in it.
    pub home_schema: String,
    /// Whether its columns were named when it was made; else they are called as the query calls them.
    pub columns_named: bool,
    /// Its columns as they were when it was made.
    pub columns: Vec<ViewColumn>,
    /// What is said of it.
    pub comment: Option<String>,
}

/// A column of a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewColumn {
    /// Spelling as given.
    pub name: String,
    /// Name of its type.
    pub type_name: String,
    /// What is said of it.
    pub comment: Option<String>,
}

impl View {
    /// Longest query, in bytes.
    pub const QUERY_BYTES_MAX: usize = 1 << 20;

    pub(crate) fn check(&self) -> Result<()> {
        check_name(&self.name.table)?;
        if self.query.len() > Self::QUERY_BYTES_MAX || self.columns.len() > TableSchema::COLUMNS_MAX {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "view too large: limits={} bytes, {} columns; found={} bytes, {} columns",
                    Self::QUERY_BYTES_MAX,
                    TableSchema::COLUMNS_MAX,
                    self.query.len(),
                    self.columns.len()
                ),
            ));
        }
        Ok(())
    }
}

/// What a comment is about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is what it is called")]
pub enum Commented {
    Schema { database: String, name: String },
    Table(TableId),
    Column(TableId, ColumnId),
}

/// Longest comment, in bytes.
pub const COMMENT_BYTES_MAX: usize = 64 << 10;

pub(crate) fn check_comment(text: Option<&str>) -> Result<()> {
    match text {
        Some(text) if text.len() > COMMENT_BYTES_MAX => Err(Error::new(
            ErrorKind::Invalid,
            format!("comment too long: limit_bytes={COMMENT_BYTES_MAX}, found={}", text.len()),
        )),
        _ => Ok(()),
    }
}

/// How a table would have its rows lie: declared, and kept for those who ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Rows with the same values of these belong together; empty: not partitioned.
    pub partitioned_by: Vec<PartitionKey>,
    /// In which order; empty: as they come.
    pub sorted_by: Vec<SortKey>,
}

/// One part of what rows are partitioned by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionKey {
    /// Of the table.
    pub column: ColumnId,
    /// What of its values counts.
    pub transform: Transform,
}

/// What of a value counts for its partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant is the function of the same name")]
pub enum Transform {
    /// The value itself.
    Identity,
    Year,
    Month,
    Day,
    Hour,
    /// A hash of it, in so many buckets.
    Bucket(u32),
}

/// One part of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// Of the table.
    pub column: ColumnId,
    /// From the greatest.
    pub descending: bool,
    /// NULLs before all others.
    pub nulls_first: bool,
}

impl Layout {
    /// Most keys of either kind.
    pub const KEYS_MAX: usize = 64;

    /// The columns it names.
    pub fn columns(&self) -> impl Iterator<Item = ColumnId> {
        let partitions = self.partitioned_by.iter().map(|key| key.column);
        partitions.chain(self.sorted_by.iter().map(|key| key.column))
    }

    /// Whether a table of this schema can have it.
    pub(crate) fn check(&self, schema: &TableSchema) -> Result<()> {
        if self.partitioned_by.len() > Self::KEYS_MAX || self.sorted_by.len() > Self::KEYS_MAX {
            return Err(Error::new(ErrorKind::Invalid, format!("too many keys: limit={}", Self::KEYS_MAX)));
        }
        if self.partitioned_by.iter().any(|key| key.transform == Transform::Bucket(0)) {
            return Err(Error::new(ErrorKind::Invalid, "a number of buckets is at least 1"));
        }
        match self.columns().find(|id| schema.column_by_id(*id).is_none()) {
            None => Ok(()),
            Some(id) => Err(Error::new(
                ErrorKind::Invalid,
                format!("a column that the table is partitioned or sorted by is not there: column id={id}"),
            )),
        }
    }
}
