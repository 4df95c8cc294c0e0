//! Log files made ahead or kept for reuse, so that starting the next file costs no allocation.
//!
//! **Invariants**
//! 1. A `.spare` file has the standard length and all its space reserved; its contents mean nothing.
//! 2. A file being made is called `.new`; one found at start is from a crash and is removed.

use std::sync::Arc;

use parking_lot::Mutex;

use super::{FOLDER, LogOptions, number_of};
use crate::error::{Error, ErrorKind, Result};
use crate::io::Disk;

/// The spare files, shared by the writer and a background thread.
#[derive(Debug)]
pub(crate) struct Spares {
    disk: Arc<dyn Disk>,
    options: LogOptions,
    shelf: Mutex<Shelf>,
    /// Held while a spare is made ahead, so that only one is.
    preparing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Shelf {
    paths: Vec<String>,
    next_number: u64,
}

impl Spares {
    /// Finds usable spares and removes all others.
    pub(super) fn load(disk: Arc<dyn Disk>, options: LogOptions) -> Result<Self> {
        let mut shelf = Shelf::default();
        let names = disk.list(FOLDER).map_err(|error| Error::io("list", FOLDER, error))?;
        for name in names {
            let path = format!("{FOLDER}/{name}");
            let spare = number_of(&name, "spare");
            let Some(number) = spare.or_else(|| number_of(&name, "new")) else { continue };
            shelf.next_number = shelf.next_number.max(number + 1);
            let wanted = spare.is_some() && shelf.paths.len() < options.spare_files_max;
            if wanted && length_of(&*disk, &path)? == options.file_bytes {
                shelf.paths.push(path);
            } else {
                disk.remove(&path).map_err(|error| Error::io("remove", &path, error))?;
            }
        }
        Ok(Self { disk, options, shelf: Mutex::new(shelf), preparing: Mutex::default() })
    }

    /// Makes one zero-filled spare if there is none. For a background thread: it writes and syncs a whole file.
    ///
    /// # Errors
    /// `Exhausted` if the disk has no room for it, which changes nothing; `Internal` and `Latched` for failed calls.
    pub(crate) fn prepare(&self) -> Result<()> {
        let _preparing = self.preparing.lock();
        if self.options.spare_files_max == 0 || !self.shelf.lock().paths.is_empty() {
            return Ok(());
        }
        let made = self.make(self.options.file_bytes)?;
        self.keep(&made)
    }

    /// Whether one more file may be kept.
    pub(super) fn has_room(&self) -> bool {
        self.shelf.lock().paths.len() < self.options.spare_files_max
    }

    /// Renames a file of standard length to a spare.
    pub(super) fn keep(&self, path: &str) -> Result<()> {
        let spare = self.new_path("spare");
        self.disk.rename(path, &spare).map_err(|error| Error::io("rename", path, error))?;
        self.shelf.lock().paths.push(spare);
        Ok(())
    }

    /// Takes a spare, or makes a file if there is none or it would be too short.
    ///
    /// # Errors
    /// `Exhausted` if the reserve could not stay free; nothing changed then.
    pub(super) fn take(&self, file_bytes: u64) -> Result<String> {
        if file_bytes != self.options.file_bytes {
            return self.make(file_bytes);
        }
        self.check_free(0)?;
        let spare = self.shelf.lock().paths.pop();
        spare.map_or_else(|| self.make(file_bytes), Ok)
    }

    fn new_path(&self, extension: &str) -> String {
        let mut shelf = self.shelf.lock();
        let number = shelf.next_number;
        shelf.next_number += 1;
        format!("{FOLDER}/{number:010}.{extension}")
    }

    /// Makes a file of zeros, its space reserved and its contents durable. The name is not.
    fn make(&self, file_bytes: u64) -> Result<String> {
        self.check_free(file_bytes)?;
        let path = self.new_path("new");
        let outcome = self.fill(&path, file_bytes);
        if outcome.is_err() {
            // Best effort: what stays is removed at the next start.
            self.disk.remove(&path).ok();
        }
        outcome.map(|()| path)
    }

    fn fill(&self, path: &str, file_bytes: u64) -> Result<()> {
        let file = self.disk.create(path).map_err(|error| Error::io("create", path, error))?;
        file.allocate(file_bytes).map_err(|error| Error::io("allocate", path, error))?;
        file.sync().map_err(|error| Error::io("sync", path, error))
    }

    fn check_free(&self, file_bytes: u64) -> Result<()> {
        let free = self.disk.free_bytes().map_err(|error| Error::io("ask for free space", FOLDER, error))?;
        let needed = self.options.disk_reserve_bytes.saturating_add(file_bytes);
        if free >= needed {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Exhausted, format!("the disk is full: needed_bytes={needed}, free_bytes={free}")))
    }
}

fn length_of(disk: &dyn Disk, path: &str) -> Result<u64> {
    let file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
    file.len().map_err(|error| Error::io("read the length of", path, error))
}
