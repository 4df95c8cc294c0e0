//! A disk that stops taking writes after the first one whose outcome is unknown.
//!
//! After a failed sync nobody can say which bytes reached the disk, and asking again may answer "yes" for bytes the kernel
//! has already dropped. So the first such failure latches: the engine stays readable and acknowledges nothing more until
//! it is opened anew.
//!
//! **Invariants**
//! 1. After a failed `sync` or `sync_dir`, or a failed `write_at` or `allocate`, every later call that changes the disk is
//!    refused with the reason, and does not reach the disk.
//! 2. A full disk latches only where space was already reserved: running out while a file grows is clean.
//! 3. Reads always go on.

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::sync::Arc;

use arrow_buffer::Buffer;
use parking_lot::Mutex;

use super::{Disk, DiskFile, DiskLock, checked_folder};

/// What a latched disk answers.
#[derive(Debug, thiserror::Error)]
#[error("writes are refused until restart: {reason}")]
struct Refusal {
    reason: String,
}

/// Whether an error is a latched disk's refusal, not a failure of the disk itself.
pub(crate) fn is_refusal(error: &Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Refusal>())
}

/// The reason, once there is one.
#[derive(Debug, Default)]
struct Latch {
    reason: Mutex<Option<String>>,
}

impl Latch {
    fn check(&self) -> Result<()> {
        match &*self.reason.lock() {
            Some(reason) => Err(Error::other(Refusal { reason: reason.clone() })),
            None => Ok(()),
        }
    }

    /// The first reason stands: later failures follow from it.
    fn set(&self, reason: impl FnOnce() -> String) {
        self.reason.lock().get_or_insert_with(reason);
    }

    /// Runs a call whose every failure leaves the outcome unknown.
    fn guard<T>(&self, call: impl FnOnce() -> String, run: impl FnOnce() -> Result<T>) -> Result<T> {
        self.check()?;
        run().inspect_err(|error| self.set(|| format!("{} failed: {error}", call())))
    }
}

/// Wraps any disk; share it as `Arc<LatchDisk>` between the engine and everything that writes.
#[derive(Debug)]
pub(crate) struct LatchDisk {
    inner: Arc<dyn Disk>,
    latch: Arc<Latch>,
}

impl LatchDisk {
    pub(crate) fn new(inner: Arc<dyn Disk>) -> Arc<Self> {
        Arc::new(Self { inner, latch: Arc::default() })
    }

    /// Why writes are refused, if they are.
    pub(crate) fn latched(&self) -> Option<String> {
        self.latch.reason.lock().clone()
    }

    /// Latches from outside, for a job that panicked. An earlier reason stands.
    pub(crate) fn latch(&self, reason: impl Into<String>) {
        self.latch.set(|| reason.into());
    }

    fn wrap(&self, path: &str, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(LatchFile { path: path.to_owned(), inner, latch: Arc::clone(&self.latch) })
    }
}

impl Disk for LatchDisk {
    fn create_dir(&self, folder: &str) -> Result<()> {
        self.latch.check()?;
        self.inner.create_dir(folder)
    }

    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        self.latch.check()?;
        Ok(self.wrap(path, self.inner.create(path)?))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>> {
        Ok(self.wrap(path, self.inner.open(path)?))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>> {
        self.inner.list(folder)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.latch.check()?;
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<()> {
        self.latch.check()?;
        self.inner.remove(path)
    }

    /// Changes only the other disk, so the latch has no say in it.
    fn link_to(&self, path: &str, target: &dyn Disk) -> Result<()> {
        self.inner.link_to(path, target)
    }

    fn sync_dir(&self, folder: &str) -> Result<()> {
        // A path that is refused never reaches the disk, and so must not latch.
        checked_folder(folder)?;
        self.latch.guard(|| format!("sync of folder {folder:?}"), || self.inner.sync_dir(folder))
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>> {
        self.inner.lock()
    }

    fn free_bytes(&self) -> Result<u64> {
        self.inner.free_bytes()
    }
}

#[derive(Debug)]
struct LatchFile {
    path: String,
    inner: Arc<dyn DiskFile>,
    latch: Arc<Latch>,
}

impl LatchFile {
    /// Whether a failed write was refused for want of new space: nothing that was there before is in doubt.
    fn ran_out_growing(&self, error: &Error, end: u64) -> bool {
        let full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
        full && self.inner.len().is_ok_and(|length| end > length)
    }

    fn write(&self, call: &str, end: u64, run: impl FnOnce() -> Result<()>) -> Result<()> {
        self.latch.check()?;
        run().inspect_err(|error| {
            if !self.ran_out_growing(error, end) {
                self.latch.set(|| format!("{call} failed: file={}, error={error}", self.path));
            }
        })
    }
}

impl DiskFile for LatchFile {
    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.inner.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, slices: &[IoSlice<'_>]) -> Result<()> {
        let bytes: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
        self.write("write", offset.saturating_add(bytes), || self.inner.write_at(offset, slices))
    }

    fn allocate(&self, len: u64) -> Result<()> {
        self.write("allocation", len, || self.inner.allocate(len))
    }

    fn sync(&self) -> Result<()> {
        self.latch.guard(|| format!("sync of {}", self.path), || self.inner.sync())
    }

    fn map(&self) -> Result<Buffer> {
        self.inner.map()
    }
}

#[cfg(test)]
mod tests;
