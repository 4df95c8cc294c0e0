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

mod gathered;
mod load;
mod plan;
mod spool;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use http::HeaderMap;
use siltstone_ingest::{FileError, FileFormat};
use siltstone_storage::{Change, CommitInfo, Engine, Error, SnapshotId, TableName};
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
    /// What else the commit holds; then there is one even if no row is written.
    pub addition: Option<FileAddition>,
}

type MakeChange = dyn Fn(u64) -> siltstone_storage::Result<Change> + Send + Sync;

/// One more change for the commit of a file, made of the number of its rows.
#[derive(Clone)]
pub struct FileAddition(Arc<MakeChange>);

impl FileAddition {
    /// May be made anew if the file has to be read again; the last one made is committed.
    pub fn new(make: impl Fn(u64) -> siltstone_storage::Result<Change> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for FileAddition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileAddition")
    }
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
    /// Bytes of rows, as columns in memory, that are looked up by key at a time.
    pub piece_bytes: usize,
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
    piece_bytes: usize,
    readers: Arc<Semaphore>,
}

impl Uploads {
    /// Into this engine, within these limits.
    pub fn new(engine: Engine, limits: UploadLimits) -> Self {
        Self {
            engine,
            spool: Spool::new(limits.folder, limits.file_bytes_max, limits.disk_reserve_bytes),
            piece_bytes: limits.piece_bytes,
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
        let (engine, piece_bytes) = (self.engine.clone(), self.piece_bytes);
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            load::load(&engine, &upload, &file, piece_bytes)
        });
        work.await.unwrap_or(Err(UploadError::Panicked))
    }
}
