//! The folder whose files SQL may use.
//!
//! ```text
//! paths    names in SQL -> files in the folder
//! read     files -> columns and rows, by the readers of uploads
//! write    rows -> files, by the writers of results
//! ```
//!
//! **Invariants**
//! 1. What is opened lies in the folder: a path that leads out, by `..`, from the root or over a link, is refused as one that is not
//!    allowed, whether there is something at its end or not.
//! 2. Only regular files are opened: a pipe or a device would hold a thread for ever.
//! 3. The folder and those that the server keeps its own files in have nothing in common.
//!
//! It knows no SQL.

mod paths;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use arrow::array::timezone::Tz;
use arrow::datatypes::SchemaRef;
use siltstone_query::{
    FileAccess, FileBatches, FileReading, FileWriter, FileWriting, FoundFile, QueryError, QueryErrorKind,
};
use siltstone_storage::{NewColumn, TableSchema};

/// The folder. Files may come, go and change in it at any time.
#[derive(Debug)]
pub struct FilesFolder {
    /// As configured.
    given: PathBuf,
    /// The same without links.
    root: PathBuf,
    /// Bytes of its disk that writing leaves free.
    disk_reserve_bytes: u64,
}

impl FilesFolder {
    /// The folder at a path; `ours` are folders that are none of SQL's business. Writing leaves so much of the disk free.
    ///
    /// # Errors
    /// If it is not there, is no folder, or lies within one of `ours` or around it.
    pub fn open(folder: &Path, ours: &[PathBuf], disk_reserve_bytes: u64) -> io::Result<Self> {
        let root = folder.canonicalize()?;
        if !root.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it is no folder"));
        }
        for other in ours {
            // One that is not there yet has no files that could be read.
            let Ok(other) = other.canonicalize() else { continue };
            if other.starts_with(&root) || root.starts_with(&other) {
                let reason = format!("it overlaps with the server's own {}", other.display());
                return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
            }
        }
        Ok(Self { given: folder.to_owned(), root, disk_reserve_bytes })
    }
}

impl FileAccess for FilesFolder {
    fn find(&self, pattern: &str) -> Result<Vec<FoundFile>, QueryError> {
        self.found(pattern)
    }

    fn columns(&self, files: &[FoundFile], reading: &FileReading) -> Result<Vec<NewColumn>, QueryError> {
        read::columns(self, files, reading)
    }

    fn create(
        &self,
        path: &str,
        writing: &FileWriting,
        schema: &SchemaRef,
        zone: Tz,
    ) -> Result<Box<dyn FileWriter>, QueryError> {
        Ok(Box::new(write::NewFile::create(self, path, *writing, schema, zone)?))
    }

    fn read(&self, file: &FoundFile, reading: &FileReading, columns: &TableSchema) -> Result<FileBatches, QueryError> {
        read::rows(self, file, reading, columns)
    }
}

fn error(kind: QueryErrorKind, message: String) -> QueryError {
    QueryError { kind, message }
}

/// A path that SQL has no business with.
fn forbidden(path: &str) -> QueryError {
    let text = format!(
        "Permission Error: Cannot access file \"{path}\" - only files in the folder of the setting query.files_folder are allowed"
    );
    error(QueryErrorKind::User, text)
}

/// A disk that fails, or a file that is not as it should be.
fn unreadable(path: &str, cause: &io::Error) -> QueryError {
    tracing::warn!(path, %cause, "a file of SQL's cannot be used");
    error(QueryErrorKind::User, format!("IO Error: Cannot open file \"{path}\": {}", cause.kind()))
}

/// Something about the contents.
fn invalid(path: &str, what: impl std::fmt::Display) -> QueryError {
    error(QueryErrorKind::User, format!("Invalid Input Error: {what} (file \"{path}\")"))
}
