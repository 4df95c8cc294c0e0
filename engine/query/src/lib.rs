//! SQL over snapshots: the only crate that names DataFusion.
//!
//! It takes SQL text and gives a stream of Arrow batches. It knows no HTTP, and no files but the spill folder and what it is given as
//! [`FileAccess`].
//!
//! A statement goes through `dialect` (text to syntax tree), `statement` (what is it?), and then one of three ways:
//! queries through `expansion` (`COLUMNS`, `PIVOT`), `time_travel` (older snapshots), `files`, `views` (planned first), `joins`, `literals` (their types), `names` (spellings),
//! `catalog` (names to tables of one snapshot), DataFusion's planner, `table_provider` → `access_plan` → `scan_exec` → `scan_stream`; changes through `ddl` and
//! `dml` into storage commits, or into the open `transaction`; settings into the `session`.
//!
//! **Invariants**
//! 1. A query sees one snapshot from planning to its last batch.
//! 2. A statement that changes anything is exactly one storage commit, or none; all statements of a transaction are one.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::Stream;
use siltstone_storage::{Engine, TableName};

mod access_plan;
mod alter;
mod arrows;
mod blocking;
mod by_name;
mod cast;
mod catalog;
mod checking;
mod comments;
mod completion;
mod constant;
mod conversions;
mod copy;
mod copy_syntax;
mod ddl;
mod dialect;
mod dml;
mod duckdb_catalog;
mod error;
mod expansion;
mod files;
mod from_first;
mod functions;
mod history;
mod idioms;
mod indexes;
mod information_schema;
mod joins;
mod lake_syntax;
mod layout;
mod literals;
mod map_types;
mod merge_syntax;
mod names;
mod output_names;
mod pivot_syntax;
mod plan_size;
mod pruning;
mod pushdown;
mod query_memory;
mod rules;
mod scan_exec;
mod scan_stream;
mod session;
mod show;
mod sql_session;
mod statement;
mod statistics;
mod summarize;
mod syntax;
mod system_tables;
mod table_form;
mod table_provider;
mod text;
mod time_travel;
mod transaction;
mod types;
mod value;
mod views;
mod vocabulary;
mod volatile;
mod watch;
mod yielding;

pub use checking::{Explained, PlanNode, ScanEstimate};
pub use completion::{Suggestion, SuggestionKind};
pub use files::{FileAccess, FileBatches, FileFormat, FileReading, FileRows, FileWriter, FileWriting, FoundFile};
pub use sql_session::SqlSession;
pub use watch::{Figures, Watch};

/// Limits and defaults of SQL.
#[derive(Clone, Debug)]
pub struct QueryOptions {
    /// Database of unqualified names.
    pub default_database: String,
    /// Schema of unqualified names.
    pub default_schema: String,
    /// Databases that SQL may read but not change (`system`).
    pub read_only_databases: Vec<String>,
    /// Tables whose rows no statement sees: to SQL they do not exist.
    pub hidden_tables: Vec<TableName>,
    /// Memory of all queries together, in bytes; past it they spill.
    pub memory_bytes: usize,
    /// Memory of one query, in bytes; past it, it spills.
    pub query_memory_bytes: usize,
    /// Where they spill.
    pub spill_folder: PathBuf,
    /// Bytes that all queries together may have there; past it they fail.
    pub spill_bytes_max: u64,
    /// Partitions of one query.
    pub parallelism: usize,
    /// The files that SQL may use; `None`: none.
    pub files: Option<Arc<dyn FileAccess>>,
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
    /// Who is said, in the list of snapshots, to have made the request's commits.
    pub author: Option<String>,
}

/// Runs SQL on an engine. Cheap to clone.
#[derive(Clone)]
pub struct QueryEngine {
    core: Arc<session::Core>,
}

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
    /// How far it is; `None` where nothing is left to compute.
    pub watch: Option<Watch>,
}

/// Why SQL failed; the text follows DuckDB (`Catalog Error: Table with name x does not exist!`).
#[derive(Clone, Debug, thiserror::Error)]
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
    /// SQL over this engine. The spill folder is made if it is missing.
    ///
    /// # Errors
    /// `Internal` if the spill folder cannot be used.
    pub fn new(engine: Engine, options: QueryOptions) -> Result<Self, QueryError> {
        Ok(Self { core: Arc::new(session::Core::new(engine, options)?) })
    }

    /// A session with the defaults of the options. Dropping it rolls back what it left open.
    pub fn session(&self) -> SqlSession {
        SqlSession::new(Arc::clone(&self.core))
    }

    /// Runs SQL in a session of its own, so that a transaction left open is rolled back: [`SqlSession::run`].
    ///
    /// # Errors
    /// As there.
    pub async fn run(&self, sql: &str, settings: SessionSettings) -> Result<Output, QueryError> {
        self.session().run(sql, settings).await
    }
}

#[cfg(test)]
mod tests;
