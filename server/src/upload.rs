//! Files of any size into tables: from a request's body to one commit.
//!
//! ```text
//! spool    the body in a file of its own, decompressed, within limits
//! plan     mode and what is there -> what is to be done
//! load     the rows of the file -> one commit
//! ```
//!
//! **Invariants**
//! 1. A file lands wholly or not at all, the creation of its table and schema included.
//! 2. Memory is bounded whatever the size of a file; so is the number of files that are read at once.
//! 3. A spooled file has no name: it goes with the process, however that ends.
//! 4. An error means that nothing was written.
//!
//! It knows no dialect: modes are what the table is to go through, not words of a query string.

mod load;
mod plan;
mod spool;

use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use siltstone_ingest::{FileError, FileFormat};
use siltstone_storage::{CommitInfo, Engine, Error, SnapshotId, TableName};
use tokio::sync::Semaphore;

pub use spool::{SpoolError, Spooled};

use spool::Spool;

/// What is to become of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is made of the file, and must not be there.
    Create,
    /// The rows are added to it; it must be there.
    Append,
    /// The rows are added to it; it is made if it is missing.
    CreateAppend,
    /// It is made of the file, in the place of the one that may be there.
    Overwrite,
    /// The rows take the place of those with their key; it is made if it is missing.
    Upsert,
}

/// Where a file goes, and how.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The table.
    pub table: TableName,
    /// What becomes of it.
    pub mode: Mode,
    /// Names of the columns that tell rows apart; at least one for [`Mode::Upsert`].
    pub key: Vec<String>,
    /// For [`Mode::Upsert`]: a stored row gives way only to one that is newer by these columns, the most significant first.
    pub newer_by: Vec<String>,
    /// What the file is, if its sender says so.
    pub format: Option<FileFormat>,
    /// What is said of the commit.
    pub info: CommitInfo,
}

/// What became of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The commit; if there was nothing to write, the newest one.
    pub snapshot: SnapshotId,
    /// Whether there was something to write.
    pub changed: bool,
    /// Rows in the file.
    pub rows: u64,
}

/// Why a file did not land; nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The file is not what it should be, or cannot be read.
    #[error("{0}")]
    File(#[from] FileError),
    /// The request does not fit what is there: a sentence for its sender.
    #[error("{0}")]
    Refused(String),
    /// More rows than can be merged at once.
    #[error(
        "the rows take more than {limit} bytes, which is the most that can be merged into a table with a key at once: send them in parts"
    )]
    TooLarge {
        /** In bytes, as columns in memory. */
        limit: usize,
    },
    /// The storage engine refused.
    #[error("{0}")]
    Storage(#[from] Error),
    /// Our own fault.
    #[error("reading the file failed")]
    Panicked,
}

/// Bounds on files.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// Bytes of a file, as sent and after decompression.
    pub file_bytes_max: u64,
    /// Bytes of rows, as columns in memory, that go through memory and log as one commit.
    pub commit_bytes_max: usize,
    /// Where files are kept while they are read.
    pub folder: PathBuf,
    /// Files that are read at once.
    pub at_once: usize,
    /// Bytes of the disk that a spooled file leaves free.
    pub disk_reserve_bytes: u64,
}

/// Takes files. One per server.
#[derive(Debug)]
pub struct Uploads {
    engine: Engine,
    spool: Spool,
    commit_bytes_max: usize,
    readers: Arc<Semaphore>,
}

impl Uploads {
    /// Into this engine, within these limits.
    pub fn new(engine: Engine, limits: UploadLimits) -> Self {
        Self {
            engine,
            spool: Spool::new(limits.folder, limits.file_bytes_max, limits.disk_reserve_bytes),
            commit_bytes_max: limits.commit_bytes_max,
            readers: Arc::new(Semaphore::new(limits.at_once.max(1))),
        }
    }

    /// Takes a request's body. Codings that its headers declare are undone, then a gzip or zstd wrapping that they do not.
    ///
    /// # Errors
    /// [`SpoolError`]; what was not read is discarded in the background.
    pub async fn receive(&self, headers: &HeaderMap, body: Body) -> Result<Spooled, SpoolError> {
        self.spool.read(headers, body).await
    }

    /// Reads a file and commits its rows; waits for its turn.
    ///
    /// # Errors
    /// [`UploadError`]; nothing was written.
    pub async fn load(&self, upload: Upload, file: Spooled) -> Result<Uploaded, UploadError> {
        let turn = Arc::clone(&self.readers).acquire_owned().await.map_err(|_| UploadError::Panicked)?;
        let (engine, commit_bytes_max) = (self.engine.clone(), self.commit_bytes_max);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            load::load(&engine, &upload, &file, commit_bytes_max)
        });
        work.await.unwrap_or(Err(UploadError::Panicked))
    }
}
