//! What a segment is, for people and programs that look at how a table is stored.

use crate::compaction;
use crate::ids::{SegmentId, SnapshotId, TableId};
use crate::snapshot::Snapshot;
use crate::state::LiveSegment;

/// One segment of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Whose rows are in it; 0 for the table of commits.
    pub table: TableId,
    /// Its own id: its file is `segments/<id as 16 hex digits>.segment`.
    pub segment: SegmentId,
    /// Rows in it, deleted ones included.
    pub rows: u64,
    /// Of these, rows that were deleted up to now.
    pub deleted_rows: u64,
    /// Length of its file.
    pub bytes: u64,
    /// Length of the file of its delete vector as of the last flush or compaction that wrote it; 0 without one.
    pub deletes_bytes: u64,
    /// Length of the files of its key indexes that were used since the engine was opened.
    pub key_index_bytes: u64,
    /// Lowest commit of its rows; commits before the horizon may count as the one at it.
    pub first_snapshot: SnapshotId,
    /// Highest commit of its rows.
    pub last_snapshot: SnapshotId,
    /// Its size as a power of eight KiB: 0 below 8 KiB, 1 below 64 KiB and so on.
    pub tier: u32,
}

impl SegmentInfo {
    fn of(table: TableId, live: &LiveSegment) -> Self {
        let (first_snapshot, last_snapshot) = live.snapshots();
        Self {
            table,
            segment: live.entry.id,
            rows: live.entry.rows,
            deleted_rows: live.deletes.count(),
            bytes: live.entry.bytes,
            deletes_bytes: live.bytes() - live.entry.bytes,
            key_index_bytes: live.keys.bytes(),
            first_snapshot,
            last_snapshot,
            tier: compaction::tier(live.entry.bytes),
        }
    }
}

impl Snapshot {
    /// The segments of all tables, by table id and in commit order.
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let tables = self.state().rows.iter();
        tables.flat_map(|(table, rows)| rows.segments.iter().map(|live| SegmentInfo::of(*table, live))).collect()
    }
}
