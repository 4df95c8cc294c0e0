//! The real disk: files of one directory, through `std::fs`, `rustix` and `memmap2`.
//!
//! **Invariants**
//! 1. Every path is checked by the rule of [`super`] before it is joined to the root.
//! 2. A short or interrupted write is continued, never reported as done.
//! 3. A failed `allocate` leaves the file as long as it was.
//!
//! It knows no format and keeps no bytes of its own.

use std::any::Any;
use std::fs::{self, File, OpenOptions};
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow_buffer::Buffer;
use memmap2::Mmap;
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, fdatasync, flock, statvfs};

use super::{Disk, DiskFile, DiskLock, LOCK_FILE, checked_folder, checked_path};

/// Slices per system call; Linux takes no more than 1,024.
const SLICES_MAX: usize = 1024;
/// Zeros written per system call by `allocate`.
const ZEROS: &[u8] = &[0; 1 << 20];

/// A directory of the file system.
#[derive(Debug)]
pub struct OsDisk {
    root: PathBuf,
}

impl OsDisk {
    /// Opens the directory; creates it, durably, if it is missing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(root: &Path) -> Result<Self> {
        let missing: Vec<&Path> = root.ancestors().take_while(|folder| !is_folder(folder)).collect();
        fs::create_dir_all(root)?;
        for created in missing.iter().rev() {
            let parent = created.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(Self { root: root.canonicalize()? })
    }

    /// Opens a directory that is missing or empty, to be filled.
    ///
    /// # Errors
    /// `DirectoryNotEmpty` if anything is in it; those of the file system.
    pub fn open_empty(root: &Path) -> Result<Self> {
        let found = match fs::read_dir(root) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            entries => entries?.next().transpose()?,
        };
        if let Some(found) = found {
            return Err(Error::new(ErrorKind::DirectoryNotEmpty, format!("{:?} is in it", found.file_name())));
        }
        Self::open(root)
    }

    /// A path without symbolic links and steps upward; what of it does not exist yet is taken as it is.
    ///
    /// # Errors
    /// Those of the file system; `InvalidInput` for a step upward from what does not exist.
    pub fn resolved(path: &Path) -> Result<PathBuf> {
        let existing = path.ancestors().find(|folder| !folder.as_os_str().is_empty() && folder.exists());
        let start = existing.unwrap_or(Path::new("."));
        let rest = path.strip_prefix(start).unwrap_or(path);
        if rest.components().any(|part| part == Component::ParentDir) {
            return Err(Error::new(ErrorKind::InvalidInput, "a step upward from a folder that does not exist"));
        }
        Ok(start.canonicalize()?.join(rest))
    }

    /// The directory, as an absolute path without symbolic links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn file_path(&self, path: &str) -> Result<PathBuf> {
        checked_path(path)?;
        Ok(self.root.join(path))
    }

    fn folder_path(&self, folder: &str) -> Result<PathBuf> {
        Ok(self.root.join(checked_folder(folder)?))
    }
}

/// Whether a path names a folder; the empty path is the current one.
fn is_folder(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.is_dir()
}

impl Disk for OsDisk {
    fn create_dir(&self, folder: &str) -> Result<()> {
        let path = self.folder_path(folder)?;
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            outcome => outcome,
        }
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.file_path(path)?)?;
        Ok(Arc::new(OsFile { file }))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.file_path(path)?)?;
        Ok(Arc::new(OsFile { file }))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let entries = match fs::read_dir(self.folder_path(folder)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // Names that are not UTF-8 cannot be ours.
            if let (false, Ok(name)) = (entry.file_type()?.is_dir(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        if folder.is_empty() {
            names.retain(|name| name != LOCK_FILE);
        }
        names.sort_unstable();
        Ok(names)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.file_path(from)?, self.file_path(to)?)
    }

    fn remove(&self, path: &str) -> Result<()> {
        fs::remove_file(self.file_path(path)?)
    }

    fn link_to(&self, path: &str, target: &dyn Disk) -> Result<()> {
        let from = self.file_path(path)?;
        let Some(target) = (target as &dyn Any).downcast_ref::<Self>() else {
            return Err(Error::new(ErrorKind::Unsupported, "the target is not a directory of the file system"));
        };
        fs::hard_link(from, target.file_path(path)?)
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        File::open(self.folder_path(folder)?)?.sync_all()
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>> {
        let path = self.root.join(LOCK_FILE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(OsLock { _file: file }))
    }

    fn free_bytes(&self) -> Result<u64> {
        let system = statvfs(&self.root)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }
}

/// The lock goes with the open file.
#[derive(Debug)]
struct OsLock {
    _file: File,
}

impl DiskLock for OsLock {}

#[derive(Debug)]
struct OsFile {
    file: File,
}

impl OsFile {
    fn write_zeros(&self, from: u64, to: u64) -> Result<()> {
        let mut offset = from;
        while offset < to {
            let count = (to - offset).min(ZEROS.len() as u64);
            self.file.write_all_at(&ZEROS[..count as usize], offset)?;
            offset += count;
        }
        Ok(())
    }
}

impl DiskFile for OsFile {
    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<()> {
        write_fully(offset, slices, |offset, slices| Ok(rustix::io::pwritev(&self.file, slices, offset)?))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        let old = self.len()?;
        if len <= old {
            return Ok(());
        }
        // `fallocate` refuses a full disk at once; the zeros turn its unwritten extents into written ones, so that a later
        // overwrite changes no metadata and its sync is cheap.
        let outcome = match fallocate(&self.file, FallocateFlags::empty(), old, len - old) {
            Err(error) if error != rustix::io::Errno::OPNOTSUPP => Err(error.into()),
            _ => self.write_zeros(old, len),
        };
        if outcome.is_err() {
            self.file.set_len(old)?;
        }
        outcome
    }

    fn sync(&self) -> Result<()> {
        Ok(fdatasync(&self.file)?)
    }

    fn map(&self) -> Result<Buffer> {
        if self.len()? == 0 {
            return Ok(Buffer::from(Vec::<u8>::new()));
        }
        // SAFETY: `map` is only for sealed files, which nobody in this process writes or truncates again; the data
        // directory's lock keeps other engines out.
        let map = unsafe { Mmap::map(&self.file)? };
        let Some(start) = NonNull::new(map.as_ptr().cast_mut()) else {
            return Err(Error::other("a map at address zero"));
        };
        let length = map.len();
        // SAFETY: `start` and `length` are exactly those of `map`, which the buffer owns and unmaps when it is dropped;
        // the memory does not move with the `Mmap` value, and a `Buffer` is never written through.
        Ok(unsafe { Buffer::from_custom_allocation(start, length, Arc::new(map)) })
    }
}

/// Writes all slices with as many calls of `write` as it takes.
fn write_fully(
    mut offset: u64,
    slices: &[IoSlice<'_>],
    mut write: impl FnMut(u64, &[IoSlice<'_>]) -> Result<usize>,
) -> Result<()> {
    let mut slices = slices.to_vec();
    let mut rest = &mut slices[..];
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match write(offset, &rest[..rest.len().min(SLICES_MAX)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => {
                offset += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
