//! Files that a query reads as tables: `read_parquet('a/*.parquet')`, `read_csv`, `read_json`, `FROM 'a.csv'`; and those that COPY
//! writes.
//!
//! ```text
//! calls     the calls of a statement, and the tables that stand for them
//! options   their arguments
//! table     such a table, and its scan
//! ```
//!
//! **Invariants**
//! 1. Without a [`FileAccess`] no statement touches a file; with one, only through it.
//! 2. A query reads the files that were there when it was planned; one that changed since is an error.
//! 3. An argument that is not honoured is refused by name.
//!
//! It knows neither folders nor formats' bytes.

mod calls;
mod options;
mod table;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use siltstone_storage::{NewColumn, TableSchema};

use crate::QueryError;
use crate::error::Result;
use crate::session::Session;

pub(crate) use calls::{FileTables, is_file_table, lower};
pub(crate) use options::format_of_path;

/// A format of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Rows of separated values.
    Csv,
    /// An array of objects, or objects one after the other.
    Json,
    /// Apache Parquet.
    Parquet,
}

/// How files are read.
#[derive(Clone, Debug)]
pub struct FileReading {
    /// What they are.
    pub format: FileFormat,
    /// Of CSV: what separates fields; `None` is found out.
    pub delimiter: Option<u8>,
    /// Of CSV: what encloses fields.
    pub quote: u8,
    /// Of CSV: whether the first line names the columns; `None` is found out.
    pub header: Option<bool>,
    /// Of CSV: whether all columns are VARCHAR.
    pub all_text: bool,
    /// Of CSV and JSON: the columns, whatever the files say.
    pub columns: Option<Vec<NewColumn>>,
    /// Whether files may lack columns that others have.
    pub union_by_name: bool,
}

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub struct FileWriting {
    /// What it is.
    pub format: FileFormat,
    /// Of CSV: whether the first line names the columns.
    pub header: bool,
    /// Of CSV: what separates fields.
    pub delimiter: u8,
    /// Of JSON: whether the rows are one array, not one line each.
    pub array: bool,
}

/// A file being written; dropped before it is finished, it leaves nothing. All calls block.
pub trait FileWriter: Send {
    /// Adds rows.
    ///
    /// # Errors
    /// `IO Error`, `Conversion Error` for a value that the format cannot hold.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), QueryError>;

    /// Ends the file and puts it in its place.
    ///
    /// # Errors
    /// `IO Error`.
    fn finish(self: Box<Self>) -> Result<(), QueryError>;
}

/// A file that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFile {
    /// What SQL calls it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// When it was changed last, if the disk says so.
    pub modified: Option<SystemTime>,
}

/// Some rows of a file.
#[derive(Clone, Debug)]
pub struct FileRows {
    /// How many.
    pub rows: usize,
    /// The columns that were asked for, in the Arrow form of their types; `None` where the file has none of the name.
    pub columns: Vec<Option<ArrayRef>>,
}

/// Rows of a file, batch by batch; each blocks.
pub type FileBatches = Box<dyn Iterator<Item = Result<FileRows, QueryError>> + Send>;

/// The files that SQL may use. All calls block.
pub trait FileAccess: fmt::Debug + Send + Sync {
    /// The files of a path or pattern (`*`, `?`, `[…]`, `**`), ordered by name; at least one.
    ///
    /// # Errors
    /// `Permission Error` for what is none of SQL's business, `IO Error` if there is nothing.
    fn find(&self, pattern: &str) -> Result<Vec<FoundFile>, QueryError>;

    /// The columns that the files have together.
    ///
    /// # Errors
    /// `Invalid Input Error` for files that are not what they should be, or do not fit together.
    fn columns(&self, files: &[FoundFile], reading: &FileReading) -> Result<Vec<NewColumn>, QueryError>;

    /// A file to be written, in the place of one that may be there. It appears when it is finished.
    ///
    /// # Errors
    /// `Permission Error` for what is none of SQL's business, `IO Error` if the folder is not there, `Not implemented Error` if the format
    /// has no form for the schema.
    fn create(
        &self,
        path: &str,
        writing: &FileWriting,
        schema: &SchemaRef,
        zone: Tz,
    ) -> Result<Box<dyn FileWriter>, QueryError>;

    /// The rows of a file, with these of its columns. Memory is bounded whatever the file.
    ///
    /// # Errors
    /// As before; `IO Error` if the file is another one by now. What is wrong further down comes with the rows.
    fn read(&self, file: &FoundFile, reading: &FileReading, columns: &TableSchema) -> Result<FileBatches, QueryError>;
}

/// The files of a session's server.
///
/// # Errors
/// `Permission Error` naming the path if there are none.
pub(crate) fn access(session: &Session, path: &str) -> Result<Arc<dyn FileAccess>> {
    session.core.options.files.clone().ok_or_else(|| {
        QueryError::permission(format_args!(
            "Cannot access file \"{path}\" - file system operations are disabled by configuration"
        ))
    })
}
