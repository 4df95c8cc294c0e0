//! SQL over snapshots: the only crate that names DataFusion.
//!
//! It takes SQL text and gives a stream of Arrow batches. It knows no HTTP, and no files but the spill folder.

use std::path::PathBuf;
use std::pin::Pin;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use siltstone_storage::Engine;

/// Limits and defaults of SQL.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Database of unqualified names.
    pub default_database: String,
    /// Schema of unqualified names.
    pub default_schema: String,
    /// Databases that SQL may read but not change (`system`).
    pub read_only_databases: Vec<String>,
    /// Memory of all queries together, in bytes; past it they spill.
    pub memory_bytes: usize,
    /// Where they spill.
    pub spill_folder: PathBuf,
    /// Partitions of one query.
    pub parallelism: usize,
}

/// What a request brings besides its SQL.
#[derive(Clone, Debug, Default)]
pub struct SessionSettings {
    /// Default database of this request.
    pub database: Option<String>,
    /// Default schema of this request.
    pub schema: Option<String>,
    /// IANA name; `None` is UTC.
    pub timezone: Option<String>,
    /// Whether statements that change anything are refused.
    pub read_only: bool,
}

/// Runs SQL on an engine. Cheap to clone.
#[derive(Clone)]
pub struct QueryEngine {}

/// What kind of result the last statement has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// Rows of a query.
    Rows,
    /// One row `Count`: rows changed.
    Count,
    /// A statement without rows (DDL: an empty `Count` column; SET and the like: an empty `Success` column).
    Nothing,
}

/// A result being computed. Dropping it cancels the query.
pub struct Output {
    /// Column names as DuckDB has them; duplicates stay. Types by `LogicalType::from_field`.
    pub schema: SchemaRef,
    /// What it is.
    pub kind: OutputKind,
    /// The rows.
    pub batches: Pin<Box<dyn Stream<Item = Result<RecordBatch, QueryError>> + Send>>,
}

/// Why SQL failed; the text follows DuckDB (`Catalog Error: Table with name x does not exist!`).
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What a caller can act on.
    pub kind: QueryErrorKind,
    /// With DuckDB's prefix.
    pub message: String,
}

/// What a caller would do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryErrorKind {
    /// The statement is wrong, or wrong for this data.
    User,
    /// Memory or another budget is used up; try later.
    Exhausted,
    /// Writes are impossible right now.
    Unavailable,
    /// Ours.
    Internal,
}

impl QueryEngine {
    /// SQL over this engine.
    pub fn new(_engine: Engine, _options: QueryOptions) -> Result<Self, QueryError> {
        unimplemented!()
    }
    /// Runs the statements of `sql` in order, each autocommitting; the result is the last one's. Must be called within a tokio runtime.
    pub async fn run(&self, _sql: &str, _settings: SessionSettings) -> Result<Output, QueryError> {
        unimplemented!()
    }
}
