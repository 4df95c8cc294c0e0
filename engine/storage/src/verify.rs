//! A full check of a data directory: every byte that is read at open or by a query.
//!
//! It holds the directory's lock, changes nothing, and stops at the first damage.

use crate::error::{Error, ErrorKind, Result};
use crate::io::Disk;
use crate::log;
use crate::manifest::store;
use crate::recovery;
use crate::write::{self, LoggedCommit};

/// What was found whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Tables at the newest commit.
    pub tables: usize,
    /// Segments, each with all its column chunks.
    pub segments: usize,
    /// Rows in those segments.
    pub segment_rows: u64,
    /// Of these, rows that were deleted.
    pub deleted_rows: u64,
    /// Commits in the log after the checkpoint.
    pub log_commits: u64,
}

/// Reads and checks manifest, segments and log.
///
/// # Errors
/// `Corrupt` or `Unsupported` naming the file; `Unavailable` if the directory is open elsewhere; `NotFound` if it holds no database.
pub fn verify(disk: &dyn Disk) -> Result<Verified> {
    let _lock = disk
        .lock()
        .map_err(|error| Error::with_source(ErrorKind::Unavailable, "the data directory is in use", error))?;
    let manifest =
        store::load(disk)?.ok_or_else(|| Error::new(ErrorKind::NotFound, "the directory holds no database"))?;
    let mut state = recovery::load(disk, &manifest)?;
    let mut verified = Verified::default();
    for segment in state.rows.values().flat_map(|rows| &rows.segments) {
        segment.reader.verify()?;
        verified.segments += 1;
        verified.segment_rows += segment.entry.rows;
        verified.deleted_rows += segment.deletes.count();
    }
    log::replay(disk, manifest.checkpoint, &mut |records| {
        for record in &records {
            let mut commit = LoggedCommit::decode(record)?;
            commit.open_segments(disk)?;
            for loaded in commit.loaded() {
                loaded.verify()?;
                verified.segments += loaded.entries().count();
                verified.segment_rows += loaded.rows();
            }
            write::replay(&mut state, &[(record.snapshot, record.time_us, commit)], manifest.deletes_through)?;
            verified.log_commits += 1;
        }
        state.forget_memory();
        Ok(())
    })?;
    verified.tables = state.catalog.tables().count();
    Ok(verified)
}
