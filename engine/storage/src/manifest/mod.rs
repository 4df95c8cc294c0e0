//! The source of truth: the names of one snapshot, the checkpoint, and which segment files hold each table's rows.
//!
//! **Invariants**
//! 1. A [`Manifest`] is complete: with the log records after its checkpoint it is the whole database.
//! 2. It names each segment's length and footer checksum, so that a well-formed wrong file is caught.
//! 3. It changes only as a whole, by [`store::publish`]: a crash leaves the old one or the new one.

mod codec;
pub(crate) mod store;

use crate::catalog::Catalog;
use crate::ids::{SegmentId, SnapshotId, TableId};

/// What the manifest says of a segment file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SegmentEntry {
    pub(crate) id: SegmentId,
    pub(crate) table: TableId,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Of the file's footer.
    pub(crate) checksum: u32,
}

/// The database at its checkpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    /// Counts published manifests, from 1.
    pub(crate) generation: u64,
    /// Everything up to this commit is in here and in the segments; the log is needed only after it.
    pub(crate) checkpoint: SnapshotId,
    /// When that commit was logged.
    pub(crate) checkpoint_time_us: i64,
    /// No table or segment has had this id or a greater one.
    pub(crate) next_table: TableId,
    pub(crate) next_segment: SegmentId,
    pub(crate) catalog: Catalog,
    /// In commit order within a table.
    pub(crate) segments: Vec<SegmentEntry>,
}

/// Folder of segment files.
pub(crate) const SEGMENT_FOLDER: &str = "segments";

pub(crate) fn segment_path(id: SegmentId) -> String {
    format!("{SEGMENT_FOLDER}/{}", segment_name(id))
}

pub(crate) fn segment_name(id: SegmentId) -> String {
    format!("{:016x}.segment", id.0)
}

#[cfg(test)]
mod tests;
