//! Looks at one log file record by record, for whoever wants to see it.

use super::{FileReplay, Kind, OpenFile, Replayed, open_file};
use crate::error::{Error, Result};
use crate::ids::SnapshotId;
use crate::io::Disk;
use crate::log::{FOLDER, RECORDS_OFFSET, number_of};

/// Which file to look at, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walk<'a> {
    /// Its path.
    pub(crate) path: &'a str,
    /// Records up to this one are passed without their bodies.
    pub(crate) after: Option<SnapshotId>,
    /// What the next file says came before it: what stands here after that is void.
    pub(crate) next_base: Option<SnapshotId>,
}

/// What stands in a file, front to back.
#[derive(Debug)]
pub(crate) enum Found {
    Header {
        generation: u64,
        base: SnapshotId,
        file_bytes: u64,
    },
    Commit {
        record: Replayed,
        /// Up to where the log was synced when it was written.
        synced: SnapshotId,
    },
    /// A commit that was passed.
    Passed,
    /// The closing mark.
    Close {
        offset: u64,
        snapshot: SnapshotId,
    },
    /// No record follows; nothing proves that there was one.
    End {
        offset: u64,
        expected: String,
        found: String,
    },
}

/// A log file of a directory.
#[derive(Debug)]
pub(crate) struct FileFacts {
    pub(crate) path: String,
    pub(crate) base: SnapshotId,
}

/// The log files of a directory, oldest first.
///
/// # Errors
/// `Corrupt` for a damaged header, `Unsupported` for another version's.
pub(crate) fn files(disk: &dyn Disk) -> Result<Vec<FileFacts>> {
    let names = disk.list(FOLDER).map_err(|error| Error::io("list", FOLDER, error))?;
    let mut files = Vec::new();
    for name in names.iter().filter(|name| number_of(name, "log").is_some()) {
        let path = format!("{FOLDER}/{name}");
        let base = open_file(disk, &path)?.header.base;
        files.push(FileFacts { path, base });
    }
    Ok(files)
}

/// Shows `visit` all that stands in a file.
///
/// # Errors
/// `Corrupt` for damage to what was synced; those of `visit`.
pub(crate) fn walk(disk: &dyn Disk, walk: &Walk<'_>, visit: &mut dyn FnMut(Found) -> Result<()>) -> Result<()> {
    let file: OpenFile = open_file(disk, walk.path)?;
    let (base, generation, file_bytes) = (file.header.base, file.header.generation, file.window.file_bytes);
    visit(Found::Header { generation, base, file_bytes })?;
    let after = walk.after.unwrap_or(base).max(base);
    let mut replay = FileReplay::new(file, after, SnapshotId(u64::MAX), walk.next_base);
    let mut offset = RECORDS_OFFSET;
    while replay.next_base != Some(replay.last) {
        match replay.read(offset)? {
            Ok((header, _)) if header.kind == Kind::Close => {
                replay.check_snapshot(offset, replay.last, header.snapshot)?;
                return visit(Found::Close { offset, snapshot: header.snapshot });
            }
            Ok((header, stored)) => {
                replay.accept(offset, &header)?;
                match stored {
                    Some(stored) => {
                        let record = replay.replayed(offset, &header, stored);
                        visit(Found::Commit { record, synced: header.synced })?;
                    }
                    None => visit(Found::Passed)?,
                }
                offset += header.bytes();
            }
            Err(mismatch) => {
                let (expected, found) = (mismatch.expected.clone(), mismatch.found.clone());
                replay.check_unproven(offset, mismatch)?;
                return visit(Found::End { offset, expected, found });
            }
        }
    }
    Ok(())
}
