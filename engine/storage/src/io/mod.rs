//! The seam through which the engine touches files.
//!
//! **Invariants**
//! 1. Nothing else in this crate names `std::fs` or `memmap2`; a test can put any [`Disk`] under the engine.
//! 2. Paths are relative to the data directory, use `/`, and hold at most one folder: `log/0000000001.log`. Any other
//!    path is refused with `InvalidInput` before the disk is touched, so nothing outside the directory can be reached.
//! 3. What a call promises about durability is written at the call; the engine leans on nothing else.

pub(crate) mod latch;
mod os;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::sync::Arc;

use arrow_buffer::Buffer;

pub use os::OsDisk;

/// Name of the lock file in the data directory. Reserved: the calls of [`Disk`] neither show nor touch it.
const LOCK_FILE: &str = "LOCK";

/// A data directory. Held as `Arc<dyn Disk>`.
pub trait Disk: fmt::Debug + Send + Sync + Any {
    /// Makes a folder if it is missing. Durable after [`Disk::sync_dir`] of its parent (`""` is the data directory).
    fn create_dir(&self, folder: &str) -> Result<()>;

    /// Creates an empty file; fails with `AlreadyExists` if there is one. The *name* is durable after `sync_dir`
    /// of the folder, the *contents* after [`DiskFile::sync`].
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>>;

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>>;

    /// Names of the files in a folder, sorted, without the folder. A missing folder is an empty list.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Renames a file, replacing the target atomically. Durable after `sync_dir` of both folders.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file. Open files and maps of it stay readable. Durable after `sync_dir`.
    fn remove(&self, path: &str) -> Result<()>;

    /// Gives a sealed, synced file the same name in another data directory as well, without copying it. Durable after
    /// `sync_dir` of the folder there. Fails with `AlreadyExists` if there is such a file, and with `Unsupported`,
    /// `CrossesDevices`, `PermissionDenied` or `TooManyLinks` where the two cannot share this file: then it has to be copied.
    fn link_to(&self, path: &str, target: &dyn Disk) -> Result<()> {
        checked_path(path)?;
        Err(Error::new(ErrorKind::Unsupported, format!("files cannot be shared with {target:?}")))
    }

    /// Makes earlier creations, renames and removals in this folder durable.
    fn sync_dir(&self, folder: &str) -> Result<()>;

    /// Takes the directory's exclusive lock, held until the guard drops or the process dies.
    /// Fails with `WouldBlock` if another process holds it.
    fn lock(&self) -> Result<Box<dyn DiskLock>>;

    /// Bytes that can still be written, as the file system reports it.
    fn free_bytes(&self) -> Result<u64>;
}

/// Holds the lock of a data directory until dropped.
pub trait DiskLock: fmt::Debug + Send + Sync {}

/// An open file. All offsets and lengths are in bytes.
#[expect(clippy::len_without_is_empty, reason = "nobody asks whether a file is empty, and len can fail")]
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Current length.
    fn len(&self) -> Result<u64>;

    /// Fills the whole buffer or fails (`UnexpectedEof` past the end).
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()>;

    /// Writes all slices, one after the other, from `offset`. Durable after [`DiskFile::sync`]; until then a crash may keep any
    /// part of it, in units of 512 bytes. Writing at the end grows the file.
    fn write_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<()>;

    /// Grows the file to `len` with written zeros, so that later overwrites in that range need no new space.
    /// A full disk fails here and leaves the length as it was.
    fn allocate(&self, len: u64) -> Result<()>;

    /// Makes all earlier writes to this file durable, its length included. After a failure nothing may be assumed about any of them.
    fn sync(&self) -> Result<()>;

    /// The whole file as read-only memory. Only for sealed files: they never change again. The map outlives the file's removal.
    fn map(&self) -> Result<Buffer>;
}

/// Splits a file path into folder (`""` is the data directory) and name.
fn checked_path(path: &str) -> Result<(&str, &str)> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let folder_given = path.len() > name.len();
    if !is_name(name) || (folder_given && !is_name(folder)) || (!folder_given && name == LOCK_FILE) {
        return Err(Error::new(ErrorKind::InvalidInput, format!("not a path of a data directory: {path:?}")));
    }
    Ok((folder, name))
}

/// Accepts the name of one folder, or `""` for the data directory itself.
fn checked_folder(folder: &str) -> Result<&str> {
    if folder.is_empty() || is_name(folder) {
        return Ok(folder);
    }
    Err(Error::new(ErrorKind::InvalidInput, format!("not a folder of a data directory: {folder:?}")))
}

/// One path component that cannot climb out of its parent.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0'])
}
