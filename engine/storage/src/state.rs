//! What one snapshot holds: its names and, per table, where the rows are.
//!
//! **Invariants**
//! 1. A published [`State`] never changes; the writer changes its own copy and publishes the next. Delete vectors alone are shared between
//!    states: they say which commit made each deletion, and a snapshot leaves aside what came after it.
//! 2. A table's rows are its segments, then its sealed batches, then its active ones: commit order.
//! 3. Every row in a state was written by a commit up to its snapshot.
//! 4. Rows that enter a table's memory are numbered from zero, without gaps; those in memory are the ones from
//!    [`TableRows::memory_base`] on, and a deletion among them stands at the distance from it.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arrow_array::ArrayRef;
use roaring::RoaringBitmap;

use crate::catalog::Catalog;
use crate::chunk_cache::{ChunkCache, SegmentChunks};
use crate::delete_vector::DeleteVector;
use crate::error::Result;
use crate::ids::{ColumnId, SegmentId, SnapshotId, TableId};
use crate::key_tables::SegmentKeys;
use crate::manifest::SegmentEntry;
use crate::memtable::{MemBatch, Memtable};
use crate::overlay::{Overlay, within};
use crate::places::Place;
use crate::segment::Segment;
use crate::table_map::TableMap;

/// A segment file that is part of the database.
#[derive(Debug)]
pub(crate) struct LiveSegment {
    pub(crate) entry: SegmentEntry,
    pub(crate) reader: Segment,
    pub(crate) deletes: DeleteVector,
    pub(crate) keys: SegmentKeys,
    /// Length of the file of its delete vector, as the manifest has it.
    pub(crate) deletes_bytes: AtomicU64,
    /// What took its place, once something did.
    pub(crate) moved: OnceLock<MovedSegment>,
    /// Where its decoded chunks are kept, once it is part of the database.
    pub(crate) chunks: OnceLock<SegmentChunks>,
}

impl LiveSegment {
    /// Bytes of its file and of its delete vector's.
    pub(crate) fn bytes(&self) -> u64 {
        self.entry.bytes + self.deletes_bytes.load(Ordering::Relaxed)
    }

    /// Has its decoded chunks kept there from now on.
    pub(crate) fn keep_chunks(&self, cache: &Arc<ChunkCache>) {
        self.chunks.get_or_init(|| {
            let columns = self.reader.columns().iter().map(|(column, _)| *column).collect();
            SegmentChunks::new(Arc::clone(cache), self.entry.id, self.reader.row_groups(), columns)
        });
    }

    /// The values of a column in a row group, as [`Segment::read`], decoded or kept from an earlier time.
    ///
    /// # Errors
    /// As [`Segment::read`].
    pub(crate) fn read(&self, row_group: usize, column: ColumnId) -> Result<Option<ArrayRef>> {
        if let Some(kept) = self.kept(row_group, column) {
            return Ok(Some(kept));
        }
        let array = self.reader.read(row_group, column)?;
        if let (Some(chunks), Some(array)) = (self.chunks.get(), &array)
            && self.reader.is_decoded(row_group, column)
        {
            chunks.keep(row_group, column, array);
        }
        Ok(array)
    }

    /// The same if it need not be decoded.
    pub(crate) fn kept(&self, row_group: usize, column: ColumnId) -> Option<ArrayRef> {
        self.chunks.get()?.get(row_group, column)
    }

    /// Lowest and highest commit of its rows.
    pub(crate) fn snapshots(&self) -> (SnapshotId, SnapshotId) {
        let groups = (0..self.reader.row_groups()).map(|row_group| self.reader.snapshots(row_group));
        groups.reduce(|all, group| (all.0.min(group.0), all.1.max(group.1))).unwrap_or_default()
    }
}

/// Where the rows of a compacted segment went.
#[derive(Debug)]
pub(crate) struct MovedSegment {
    /// `None` if none of its rows was kept.
    pub(crate) segment: Option<Arc<LiveSegment>>,
    /// New position of the first row that was kept.
    pub(crate) first: u32,
    /// Rows that were dropped.
    pub(crate) dropped: RoaringBitmap,
}

impl MovedSegment {
    /// Where a row is now; `None` if it was dropped.
    pub(crate) fn follow(&self, old: u32) -> Option<(&Arc<LiveSegment>, u32)> {
        let segment = self.segment.as_ref().filter(|_| !self.dropped.contains(old))?;
        Some((segment, self.first + old - self.dropped.rank(old) as u32))
    }
}

/// The rows of one table.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableRows {
    pub(crate) segments: Vec<Arc<LiveSegment>>,
    /// Being flushed.
    pub(crate) sealed: Memtable,
    pub(crate) active: Memtable,
    /// The number of the next row to enter memory.
    pub(crate) next_row: u64,
    /// The number of the first row that is still in memory, or of the next.
    pub(crate) memory_base: u64,
    pub(crate) memory_deletes: Arc<DeleteVector>,
    /// The last commit that changed rows here.
    pub(crate) changed: SnapshotId,
    /// Set in the state of a transaction: what it deleted.
    pub(crate) overlay: Option<Overlay>,
}

impl TableRows {
    /// Whether a row is deleted: by any commit so far, or, in a transaction, by one up to its start or by itself.
    pub(crate) fn is_deleted(&self, place: Place) -> bool {
        match (place, &self.overlay) {
            (Place::Segment(at, position), None) => self.segments[at as usize].deletes.is_deleted(position),
            (Place::Memory(row), None) => self.memory_deletes.is_deleted(self.memory_position(row)),
            (Place::Segment(at, position), Some(overlay)) => {
                let segment = &self.segments[at as usize];
                segment.deletes.deleted_rows(position..position + 1, overlay.base) > 0
                    || overlay.segment(segment.entry.id).is_some_and(|own| own.contains(position))
            }
            (Place::Memory(row), Some(overlay)) => {
                let position = self.memory_position(row);
                self.memory_deletes.deleted_rows(position..position + 1, overlay.base) > 0
                    || overlay.memory.contains(position)
            }
        }
    }

    /// Positions in a row group, counted from its start, that are deleted as of a snapshot.
    pub(crate) fn deleted_in(
        &self,
        segment: &LiveSegment,
        range: Range<u32>,
        at: SnapshotId,
    ) -> Option<Arc<RoaringBitmap>> {
        let Some(overlay) = &self.overlay else { return segment.deletes.deleted(range, at) };
        let shared = segment.deletes.deleted(range.clone(), at.min(overlay.base));
        match overlay.segment(segment.entry.id) {
            None => shared,
            Some(own) => Some(Arc::new(within(own, range, shared.as_deref()))).filter(|deleted| !deleted.is_empty()),
        }
    }

    /// The same of a batch in memory.
    pub(crate) fn deleted_of(&self, batch: &MemBatch, at: SnapshotId) -> Option<Arc<RoaringBitmap>> {
        let range = self.memory_range(batch);
        let Some(overlay) = &self.overlay else { return self.memory_deletes.deleted(range, at) };
        let shared = self.memory_deletes.deleted(range.clone(), at.min(overlay.base));
        if overlay.memory.is_empty() {
            return shared;
        }
        Some(Arc::new(within(&overlay.memory, range, shared.as_deref()))).filter(|deleted| !deleted.is_empty())
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.sealed.bytes() + self.active.bytes()
    }

    /// Rows in memory, in commit order.
    pub(crate) fn batches(&self) -> impl Iterator<Item = &Arc<MemBatch>> {
        self.sealed.batches().iter().chain(self.active.batches())
    }

    /// The batch with a row of that number, if it is in memory.
    pub(crate) fn batch_of(&self, row: u64) -> Option<&Arc<MemBatch>> {
        self.active.batch_of(row).or_else(|| self.sealed.batch_of(row))
    }

    /// Where a row in memory stands in [`TableRows::memory_deletes`].
    pub(crate) fn memory_position(&self, row: u64) -> u32 {
        u32::try_from(row - self.memory_base).expect("memory holds fewer than 2^32 rows of a table")
    }

    /// The same for all rows of a batch.
    pub(crate) fn memory_range(&self, batch: &MemBatch) -> Range<u32> {
        self.memory_position(batch.first_row())..self.memory_position(batch.end_row())
    }

    /// Its place among the segments, if it is one of them.
    pub(crate) fn segment(&self, id: SegmentId) -> Option<&Arc<LiveSegment>> {
        self.segments.iter().find(|segment| segment.entry.id == id)
    }

    /// The segment that a flush wrote a row into, and the row's position there; `None` if the row is in memory, or has been compacted.
    pub(crate) fn flushed(&self, row: u64) -> Option<(&Arc<LiveSegment>, u32)> {
        self.segments.iter().rev().find_map(|segment| {
            let position = row.checked_sub(segment.entry.first_row?)?;
            (position < segment.entry.rows).then_some((segment, position as u32))
        })
    }
}

/// One snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) snapshot: SnapshotId,
    /// When its last commit was logged, in microseconds since 1970 UTC; never goes back.
    pub(crate) time_us: i64,
    /// Snapshots before this one can no longer be asked for.
    pub(crate) horizon: SnapshotId,
    pub(crate) catalog: Arc<Catalog>,
    /// A table without an entry has no rows.
    pub(crate) rows: TableMap,
}

impl State {
    pub(crate) fn rows_mut(&mut self, table: TableId) -> &mut TableRows {
        self.rows.get_mut(table)
    }

    /// Forgets the rows of tables that are no longer in the catalog. Returns whether any of them were in segments.
    pub(crate) fn drop_orphans(&mut self) -> bool {
        let catalog = &self.catalog;
        let mut had_segments = false;
        self.rows.retain(|table, rows| {
            let stays = *table == TableId::HISTORY || catalog.table_by_id(*table).is_some();
            had_segments |= !stays && !rows.segments.is_empty();
            stays
        });
        had_segments
    }

    /// Lets go of the values of rows in memory, for whoever only counts what comes.
    pub(crate) fn forget_memory(&mut self) {
        self.rows.update(|_| true, |rows| (rows.sealed, rows.active) = (Memtable::default(), Memtable::default()));
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.rows.values().map(|rows| rows.memory_bytes()).sum()
    }
}
