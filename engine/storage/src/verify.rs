//! A full check of a data directory: every byte that is read at open or by a query.
//!
//! It holds the directory's lock, changes nothing, and stops at the first damage.

use crate::commit_codec;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::open_segment;
use crate::io::Disk;
use crate::log;
use crate::manifest::store;
use crate::state::State;
use crate::write;

/// What was found whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Tables at the newest commit.
    pub tables: usize,
    /// Segments, each with all its column chunks.
    pub segments: usize,
    /// Rows in those segments.
    pub segment_rows: u64,
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
    let mut verified = Verified::default();
    for entry in &manifest.segments {
        let segment = open_segment(disk, entry.clone())?;
        segment.reader.verify()?;
        verified.segments += 1;
        verified.segment_rows += entry.rows;
    }
    let mut state =
        State { snapshot: manifest.checkpoint, catalog: manifest.catalog.clone().into(), ..State::default() };
    log::replay(disk, manifest.checkpoint, &mut |records| {
        for record in &records {
            let commit = commit_codec::decode(record.place().0, &record.raw()?)?;
            write::replay(&mut state, &commit, record.snapshot, record.time_us)?;
            // Only names matter from here on; rows were checked by decoding them.
            state.rows.clear();
            verified.log_commits += 1;
        }
        Ok(())
    })?;
    verified.tables = state.catalog.tables().count();
    Ok(verified)
}
