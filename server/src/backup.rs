//! Backups as people ask for them: a path that is fit to hold one, the copy, and the check that it can be read.
//!
//! **Invariants**: a target is empty or missing, and is not inside the data directory, however its path is written.

use std::path::{Component, Path};
use std::sync::Arc;

use siltstone_storage::io::{Disk, OsDisk};
use siltstone_storage::{BackupReport, Error, ErrorKind, Result, Verified, verify};

/// A backup that was made.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// What was copied.
    pub report: BackupReport,
    /// What was read back; `None` if that was not asked for.
    pub verified: Option<Verified>,
}

/// Opens a directory to be filled, making it if it is missing. `data` is the directory it must not be inside of.
///
/// # Errors
/// `Invalid` if it is not empty or inside `data`; `Internal` and `Exhausted` for failed file operations.
pub fn empty_directory(path: &Path, data: &Path) -> Result<OsDisk> {
    let invalid = |why: &str| Error::new(ErrorKind::Invalid, format!("{why}: directory={}", path.display()));
    let resolve = |path: &Path| {
        OsDisk::resolved(path).map_err(|error| Error::io("resolve the path of", &path.display().to_string(), error))
    };
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(invalid("a path with steps upward is not taken"));
    }
    if resolve(path)?.starts_with(resolve(data)?) {
        return Err(invalid("a directory inside the data directory is not taken"));
    }
    OsDisk::open_empty(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::DirectoryNotEmpty => invalid(&format!("the directory is not empty ({error})")),
        std::io::ErrorKind::NotADirectory => invalid("not a directory"),
        _ => Error::io("open the directory", &path.display().to_string(), error),
    })
}

/// Makes a backup with `copy`, and reads it back if `check` is set. Blocks.
///
/// # Errors
/// Those of `copy` and of [`verify`].
pub fn make(target: OsDisk, check: bool, copy: impl FnOnce(&Arc<dyn Disk>) -> Result<BackupReport>) -> Result<Made> {
    let target: Arc<dyn Disk> = Arc::new(target);
    let report = copy(&target)?;
    let verified = check.then(|| verify(target.as_ref())).transpose()?;
    Ok(Made { report, verified })
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let BackupReport { snapshot, linked_files, copied_files, copied_bytes, log_commits } = self.report;
        let checked = if self.verified.is_some() { "every byte checked" } else { "not checked" };
        write!(
            f,
            "snapshot {snapshot}: {linked_files} files linked, {copied_files} copied ({copied_bytes} bytes), \
             {log_commits} commits in the log, {checked}"
        )
    }
}
