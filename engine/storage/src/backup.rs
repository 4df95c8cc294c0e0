//! Backup and restore: copies of a data directory that open as the database was at one commit.
//!
//! **Invariants**
//! 1. The source is only read.
//! 2. What is copied is one manifest, the files that it and the log name, and the log's records after its checkpoint up to one commit: just what
//!    recovery would find after a crash at that commit. So whatever recovery promises holds for the copy.
//! 3. No file goes away or changes while it is copied. Log files are released only under the flusher's lock, which is held while the log is
//!    copied; the other files are sealed and not swept while their manifest is held.
//! 4. The copy has a log before anything else and a manifest after everything else: until it is whole it is refused
//!    as a data directory whose manifest is missing, or is still an empty one.
//!
//! A copy that shares files with its source (hard links) does not survive damage to them: it guards against mistakes, and
//! is the instant first half of a copy to another disk.

use std::io::IoSlice;
use std::sync::Arc;

use crate::engine::{Shared, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::SnapshotId;
use crate::io::{Disk, DiskLock};
use crate::live_segment::open_segment;
use crate::log;
use crate::manifest::{Manifest, SEGMENT_FOLDER, store};
use crate::recovery::loaded_by;
use crate::verify::{Verified, verify};
use crate::write::LoggedCommit;

/// Bytes copied at a time.
const COPY_BYTES: u64 = 4 << 20;

/// What a backup consists of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupReport {
    /// The commit at which the database was copied.
    pub snapshot: SnapshotId,
    /// Files that are shared with the source.
    pub linked_files: u64,
    /// Files that were copied, without the log and the manifest.
    pub copied_files: u64,
    /// Bytes of the copied files.
    pub copied_bytes: u64,
    /// Commits in the copy's log, which the first start replays.
    pub log_commits: u64,
}

/// Whether sealed files may be shared between source and target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    WherePossible,
    Never,
}

/// Copies the database of a directory that no engine has open to an empty one, as [`crate::Engine::backup`] does for one that is open.
///
/// # Errors
/// `NotFound` if there is no database, `Unavailable` if either directory is in use, `Invalid` if the target is not empty, `Exhausted` if
/// its disk is full, `Corrupt` or `Unsupported` for what cannot be read.
pub fn backup(source: &dyn Disk, target: &Arc<dyn Disk>) -> Result<BackupReport> {
    copy_closed(source, target, Sharing::WherePossible)
}

/// Makes an empty directory the database that a backup holds: checks every byte of the backup, copies it, checks the copy. They share no file.
///
/// # Errors
/// As for [`backup`]; the backup is never changed.
pub fn restore(backup: &dyn Disk, target: &Arc<dyn Disk>) -> Result<Verified> {
    verify(backup)?;
    copy_closed(backup, target, Sharing::Never)?;
    verify(target.as_ref())
}

pub(crate) fn backup_running(shared: &Shared, target: &Arc<dyn Disk>) -> Result<BackupReport> {
    let target = Target::claim(target)?;
    let mut flusher = shared.flusher.lock();
    // The standing manifest has nothing that is newer than this: whatever changes a manifest holds the flusher's lock.
    let through = shared.writer.lock().log.last();
    target.copy_log(shared.disk.as_ref(), &flusher.manifest, Some(through))?;
    let manifest = flusher.manifest.clone();
    let held = flusher.hold();
    drop(flusher);
    target.complete(shared.disk.as_ref(), &manifest, &held, through, Sharing::WherePossible)
}

fn copy_closed(source: &dyn Disk, target: &Arc<dyn Disk>, sharing: Sharing) -> Result<BackupReport> {
    let _lock = lock(source)?;
    let manifest =
        store::load(source)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "the directory holds no database"))?;
    let target = Target::claim(target)?;
    let last = target.copy_log(source, &manifest, None)?;
    let held = with_loads(source, &manifest)?;
    target.complete(source, &manifest, &held, last, sharing)
}

/// The manifest with the segments that the log names besides.
fn with_loads(source: &dyn Disk, manifest: &Manifest) -> Result<Manifest> {
    let mut held = manifest.clone();
    log::replay(source, manifest.checkpoint, &mut |records| {
        for record in &records {
            let commit = LoggedCommit::decode(record)?;
            held.segments.extend(loaded_by(record, &commit).map(|(_, entry)| entry));
        }
        Ok(())
    })?;
    Ok(held)
}

/// A directory that becomes a copy, locked meanwhile.
struct Target<'a> {
    disk: &'a Arc<dyn Disk>,
    _lock: Box<dyn DiskLock>,
}

impl<'a> Target<'a> {
    fn claim(disk: &'a Arc<dyn Disk>) -> Result<Self> {
        let lock = lock(disk.as_ref())?;
        for folder in ["", log::FOLDER, SEGMENT_FOLDER] {
            let found = disk.list(folder).map_err(|error| Error::io("list", folder, error))?;
            if let Some(name) = found.first() {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    format!("the target is not empty: folder={folder:?}, found={name:?}"),
                ));
            }
        }
        Ok(Self { disk, _lock: lock })
    }

    /// Makes the target's log; returns its last commit.
    fn copy_log(&self, source: &dyn Disk, manifest: &Manifest, through: Option<SnapshotId>) -> Result<SnapshotId> {
        log::copy(source, self.disk, manifest.checkpoint, through, manifest.checkpoint_time_us as u64)
    }

    /// Adds the files of all segments that are `held`, then the manifest, which names them or leaves that to the log.
    fn complete(
        &self,
        source: &dyn Disk,
        manifest: &Manifest,
        held: &Manifest,
        snapshot: SnapshotId,
        sharing: Sharing,
    ) -> Result<BackupReport> {
        let log_commits = snapshot.0 - manifest.checkpoint.0;
        let mut report = BackupReport { snapshot, log_commits, ..BackupReport::default() };
        let disk = self.disk.as_ref();
        disk.create_dir(SEGMENT_FOLDER).map_err(|error| Error::io("create", SEGMENT_FOLDER, error))?;
        disk.sync_dir("").map_err(|error| Error::io("sync the folder of", SEGMENT_FOLDER, error))?;
        for (path, bytes) in held.files() {
            if sharing == Sharing::WherePossible && link(source, &path, disk)? {
                report.linked_files += 1;
            } else {
                copy_file(source, &path, bytes, disk)?;
                report.copied_files += 1;
                report.copied_bytes += bytes;
            }
        }
        disk.sync_dir(SEGMENT_FOLDER).map_err(|error| Error::io("sync", SEGMENT_FOLDER, error))?;
        for entry in &held.segments {
            open_segment(disk, entry.clone())?;
        }
        store::publish(disk, manifest)?;
        Ok(report)
    }
}

/// Whether the file could be shared.
fn link(source: &dyn Disk, path: &str, target: &dyn Disk) -> Result<bool> {
    use std::io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    match source.link_to(path, target) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported) => {
            Ok(false)
        }
        Err(error) => Err(Error::io("link", path, error)),
    }
}

fn copy_file(source: &dyn Disk, path: &str, bytes: u64, target: &dyn Disk) -> Result<()> {
    let from = source.open(path).map_err(|error| Error::io("open", path, error))?;
    let found = from.len().map_err(|error| Error::io("measure", path, error))?;
    if found != bytes {
        return Err(Error::corrupt(path, 0, format_args!("{bytes} bytes"), found));
    }
    let to = target.create(path).map_err(|error| Error::io("create the copy of", path, error))?;
    let mut buffer = vec![0; COPY_BYTES.min(bytes) as usize];
    let mut offset = 0;
    while offset < bytes {
        let piece = &mut buffer[..COPY_BYTES.min(bytes - offset) as usize];
        from.read_at(offset, piece).map_err(|error| Error::io("read", path, error))?;
        to.write_at(offset, &[IoSlice::new(piece)]).map_err(|error| Error::io("write the copy of", path, error))?;
        offset += piece.len() as u64;
    }
    to.sync().map_err(|error| Error::io("sync the copy of", path, error))
}

#[cfg(test)]
mod tests;
