//! The source of truth: the names of one snapshot, the checkpoint, and which segment files hold each table's rows.
//!
//! **Invariants**
//! 1. A [`Manifest`] is complete: with the log records after its checkpoint it is the whole database.
//! 2. It names each segment's length and footer checksum, so that a well-formed wrong file is caught.
//! 3. It changes only as a whole, by [`store::publish`]: a crash leaves the old one or the new one.

mod codec;
mod describe;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
pub(crate) mod store;

use std::collections::BTreeMap;

pub(crate) use codec::MAGIC;
pub(crate) use describe::describe;
pub(crate) use store::is_manifest;

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
    /// The number that its first row had in memory; `None` if it was made by a compaction or a load.
    pub(crate) first_row: Option<u64>,
    /// The commit of all its rows, where the file itself does not know it: those of a load.
    pub(crate) commit: Option<SnapshotId>,
    /// `None`: no row of it was deleted.
    pub(crate) deletes: Option<DeletesEntry>,
}

/// What the manifest says of a delete vector's file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DeletesEntry {
    /// Tells it from earlier files of the same segment.
    pub(crate) file: SegmentId,
    pub(crate) bytes: u64,
    pub(crate) checksum: u32,
    /// The last commit that may be in it.
    pub(crate) through: SnapshotId,
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
    /// No table has had this id or a greater one, nor has a segment or the file of a delete vector.
    pub(crate) next_table: TableId,
    pub(crate) next_segment: SegmentId,
    /// What keys are hashed with: random, and the same for the life of the database.
    pub(crate) key_secret: [u8; 16],
    /// Segments that took the place of others reflect all deletions up to this commit.
    pub(crate) deletes_through: SnapshotId,
    /// Snapshots before this one can no longer be asked for.
    pub(crate) horizon: SnapshotId,
    /// Per table that ever had rows, how many have entered its memory up to the checkpoint.
    pub(crate) row_counts: BTreeMap<TableId, u64>,
    pub(crate) catalog: Catalog,
    /// In commit order within a table.
    pub(crate) segments: Vec<SegmentEntry>,
}

impl Manifest {
    /// The path of every file it names, with its length.
    pub(crate) fn files(&self) -> impl Iterator<Item = (String, u64)> {
        self.segments.iter().flat_map(|segment| {
            let deletes =
                segment.deletes.as_ref().map(|deletes| (deletes_path(segment.id, deletes.file), deletes.bytes));
            [Some((segment_path(segment.id), segment.bytes)), deletes].into_iter().flatten()
        })
    }
}

/// Folder of segment files.
pub(crate) const SEGMENT_FOLDER: &str = "segments";

pub(crate) fn segment_path(id: SegmentId) -> String {
    format!("{SEGMENT_FOLDER}/{}", segment_name(id))
}

pub(crate) fn segment_name(id: SegmentId) -> String {
    format!("{:016x}.segment", id.0)
}

pub(crate) fn deletes_path(segment: SegmentId, file: SegmentId) -> String {
    format!("{SEGMENT_FOLDER}/{}", deletes_name(segment, file))
}

pub(crate) fn deletes_name(segment: SegmentId, file: SegmentId) -> String {
    format!("{:016x}-{:016x}.deletes", segment.0, file.0)
}

#[cfg(test)]
mod tests;
