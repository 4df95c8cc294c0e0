//! Deletions that only one transaction sees.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;

use crate::ids::{SegmentId, SnapshotId};

/// What a transaction deleted in one table, on top of the snapshot it started from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Overlay {
    /// Of the deletions that all share, those up to this commit count.
    pub(crate) base: SnapshotId,
    /// Rows in memory from this number on are the transaction's own.
    pub(crate) first_own_row: u64,
    /// Segments that are the transaction's own.
    pub(crate) own_segments: BTreeSet<SegmentId>,
    /// Whether its own rows give way to rows that are as new as they are.
    pub(crate) own_yield: bool,
    /// Positions, by segment.
    pub(crate) segments: BTreeMap<SegmentId, RoaringBitmap>,
    /// Rows in memory, as they stand in the table's delete vector.
    pub(crate) memory: RoaringBitmap,
}

impl Overlay {
    /// Nothing is deleted or added since `base`.
    pub(crate) fn on(base: SnapshotId, next_row: u64) -> Self {
        Self { base, first_own_row: next_row, ..Self::default() }
    }

    pub(crate) fn segment(&self, id: SegmentId) -> Option<&RoaringBitmap> {
        self.segments.get(&id)
    }
}

/// The positions of `all` within a range, counted from its start, and those of `more`.
pub(crate) fn within(all: &RoaringBitmap, range: std::ops::Range<u32>, more: Option<&RoaringBitmap>) -> RoaringBitmap {
    let mut found = more.cloned().unwrap_or_default();
    found.extend(all.range(range.clone()).map(|position| position - range.start));
    found
}
