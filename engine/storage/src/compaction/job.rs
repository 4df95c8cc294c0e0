//! Writes the segment that takes the place of others. Nobody waits for it, and nobody sees it before [`super::install`].
//!
//! **Invariants**
//! 1. Rows keep their order. Left out are those deleted up to the horizon, and of the table of commits those about commits before it.
//! 2. Every column is kept that a snapshot from the horizon on can show, also one that was dropped since.
//! 3. Commits up to the horizon are not told apart any more: their rows count as written by the one at the horizon.
//! 4. A job that gives up for want of space or time removes its files; after any other failure they are left to the next sweep.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use roaring::RoaringBitmap;

use super::pace;
use crate::catalog::Table;
use crate::columns::default_array;
use crate::delete_vector::DeleteVector;
use crate::engine::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::flush::table_of;
use crate::ids::{SegmentId, SnapshotId, TableId};
use crate::io::Disk;
use crate::live_segment::open_segment;
use crate::manifest::{SEGMENT_FOLDER, SegmentEntry, segment_path};
use crate::schema::Column;
use crate::segment::SegmentWriter;
use crate::state::LiveSegment;
use crate::sweep::remove_written;

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) table: TableId,
    /// As it is when the job is given out.
    pub(crate) definition: Arc<Table>,
    /// Neighbours.
    pub(crate) sources: Vec<Arc<LiveSegment>>,
    pub(crate) horizon: SnapshotId,
}

/// What was done: a segment on disk that no manifest names yet.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) table: TableId,
    pub(crate) horizon: SnapshotId,
    pub(crate) sources: Vec<Source>,
    pub(crate) id: SegmentId,
    /// `None` if no row is kept. Its delete vector has what was deleted up to `through`.
    pub(crate) segment: Option<LiveSegment>,
    pub(crate) through: SnapshotId,
    pub(crate) bytes: u64,
}

/// A segment to be replaced.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) segment: Arc<LiveSegment>,
    /// Its rows that are left out.
    pub(crate) dropped: RoaringBitmap,
    /// The new position of the first that is not.
    pub(crate) first: u32,
}

impl Source {
    fn kept_rows(&self) -> u64 {
        self.segment.entry.rows - self.dropped.len()
    }

    /// The rows of a row group that are kept: `None` for all.
    fn kept(&self, row_group: usize) -> Option<BooleanBuffer> {
        let range = positions(&self.segment, row_group);
        if self.dropped.range_cardinality(range.clone()) == 0 {
            return None;
        }
        let mut kept = BooleanBufferBuilder::new(range.len());
        kept.append_n(range.len(), true);
        for position in self.dropped.range(range.clone()) {
            kept.set_bit((position - range.start) as usize, false);
        }
        Some(kept.finish())
    }

    /// What commits after `from`, up to `to`, deleted: the commit and the new position.
    pub(crate) fn deleted_between(&self, from: SnapshotId, to: SnapshotId) -> impl Iterator<Item = (SnapshotId, u32)> {
        let deleted = self.segment.deletes.between(0..self.segment.entry.rows as u32, from, to);
        deleted.into_iter().map(|(snapshot, old)| {
            assert!(!self.dropped.contains(old), "a row that was left out is deleted once");
            (snapshot, self.first + old - self.dropped.rank(old) as u32)
        })
    }
}

/// Marks in the vector of the new segment what was deleted of its sources after `from`, up to `to`; returns how much that was.
pub(crate) fn mark_later(deletes: &DeleteVector, sources: &[Source], from: SnapshotId, to: SnapshotId) -> usize {
    let mut later: Vec<_> = sources.iter().flat_map(|source| source.deleted_between(from, to)).collect();
    later.sort_unstable();
    for run in later.chunk_by(|a, b| a.0 == b.0) {
        let positions: Vec<u32> = run.iter().map(|(_, position)| *position).collect();
        deletes.mark(run[0].0, &positions);
    }
    later.len()
}

fn positions(segment: &LiveSegment, row_group: usize) -> Range<u32> {
    let first = segment.reader.first_row(row_group);
    first..first + segment.reader.rows(row_group) as u32
}

/// How many rows of a segment need not be kept.
pub(crate) fn dead_rows(table: TableId, segment: &LiveSegment, horizon: SnapshotId) -> Result<u64> {
    if table == TableId::HISTORY {
        return Ok(before(segment, horizon)?.len());
    }
    Ok(u64::from(segment.deletes.deleted_rows(0..segment.entry.rows as u32, horizon)))
}

/// The same rows.
fn dropped(table: TableId, segment: &LiveSegment, horizon: SnapshotId) -> Result<RoaringBitmap> {
    if table == TableId::HISTORY {
        return before(segment, horizon);
    }
    let deleted = segment.deletes.deleted(0..segment.entry.rows as u32, horizon);
    Ok(deleted.map_or_else(RoaringBitmap::new, Arc::unwrap_or_clone))
}

/// Rows written before a commit.
fn before(segment: &LiveSegment, horizon: SnapshotId) -> Result<RoaringBitmap> {
    let mut rows = RoaringBitmap::new();
    let Some(last) = horizon.0.checked_sub(1).map(SnapshotId) else { return Ok(rows) };
    for row_group in 0..segment.reader.row_groups() {
        let Range { start, end } = positions(segment, row_group);
        let (earliest, latest) = segment.reader.snapshots(row_group);
        if latest <= last {
            rows.insert_range(start..end);
        } else if earliest <= last {
            for range in segment.reader.commit_runs(row_group)?.visible(last) {
                rows.insert_range(start + range.start as u32..start + range.end as u32);
            }
        }
    }
    Ok(rows)
}

/// Does the part of a job that takes time.
///
/// # Errors
/// `Exhausted` when the disk is full, `Unavailable` once the engine is closing; those of reading.
pub(crate) fn write(shared: &Shared, job: Job) -> Result<Written> {
    let id = {
        let mut flusher = shared.flusher.lock();
        let id = flusher.manifest.next_segment;
        flusher.manifest.next_segment = id.next();
        flusher.unfinished.insert(id);
        id
    };
    write_files(shared, job, id).map_err(|error| give_up(shared, id, error))
}

/// Lets go of the files of a job that failed.
pub(crate) fn give_up(shared: &Shared, id: SegmentId, error: Error) -> Error {
    let mut flusher = shared.flusher.lock();
    flusher.unfinished.remove(&id);
    if matches!(error.kind(), ErrorKind::Exhausted | ErrorKind::Unavailable) {
        // What cannot be removed now is swept later; the cause is what matters to the caller.
        drop(remove_written(shared.disk.as_ref(), id..id.next()));
    }
    error
}

fn write_files(shared: &Shared, job: Job, id: SegmentId) -> Result<Written> {
    let mut sources = Vec::with_capacity(job.sources.len());
    let mut rows = 0;
    for segment in &job.sources {
        let dropped = dropped(job.table, segment, job.horizon)?;
        let source = Source { segment: Arc::clone(segment), dropped, first: rows as u32 };
        rows += source.kept_rows();
        sources.push(source);
    }
    let segment = if rows == 0 { None } else { Some(write_segment(shared, &job, &sources, id)?) };
    let mut bytes = segment.as_ref().map_or(0, |segment| segment.entry.bytes);
    if let Some(segment) = &segment {
        bytes += write_key_indexes(shared, job.table, segment)?;
        shared.disk.sync_dir(SEGMENT_FOLDER).map_err(|error| Error::io("sync", SEGMENT_FOLDER, error))?;
    }
    let through = shared.current().snapshot;
    if let Some(segment) = &segment {
        mark_later(&segment.deletes, &sources, job.horizon, through);
    }
    Ok(Written { table: job.table, horizon: job.horizon, sources, id, segment, through, bytes })
}

fn write_segment(shared: &Shared, job: &Job, sources: &[Source], id: SegmentId) -> Result<LiveSegment> {
    let is_stored =
        |column: &Column| sources.iter().any(|source| source.segment.reader.column_type(column.id).is_some());
    let columns = job.definition.columns_since(job.horizon).into_iter().filter(|column| is_stored(column));
    let columns: Vec<&Column> = columns.collect();
    let stored: Vec<_> = columns.iter().map(|column| (column.id, column.logical_type.clone())).collect();
    let path = segment_path(id);
    let mut writer = SegmentWriter::create(&shared.disk(), &path, &stored, shared.options.row_group_rows)?
        .with_value_filters(shared.options.value_filters);
    for source in sources {
        for row_group in 0..source.segment.reader.row_groups() {
            copy(shared, source, row_group, &columns, job.horizon, &mut writer)?;
        }
    }
    let facts = writer.finish()?;
    let entry = SegmentEntry {
        id,
        table: job.table,
        rows: facts.rows,
        bytes: facts.bytes,
        checksum: facts.checksum,
        first_row: None,
        commit: None,
        deletes: None,
    };
    open_segment(shared.disk.as_ref(), entry)
}

/// Copies what is kept of a row group.
fn copy(
    shared: &Shared,
    source: &Source,
    row_group: usize,
    columns: &[&Column],
    horizon: SnapshotId,
    writer: &mut SegmentWriter,
) -> Result<()> {
    let reader = &source.segment.reader;
    let kept = source.kept(row_group);
    let rows = kept.as_ref().map_or(reader.rows(row_group), BooleanBuffer::count_set_bits);
    if rows == 0 {
        return Ok(());
    }
    let bytes = columns.iter().map(|column| reader.chunk_bytes(row_group, column.id)).sum();
    pace(shared, bytes)?;
    shared.counters.compaction_read(bytes);
    let read = |column: &&Column| match (reader.read(row_group, column.id)?, &kept) {
        (None, _) => default_array(column, rows),
        (Some(array), None) => Ok(array),
        (Some(array), Some(kept)) => filtered(&array, kept),
    };
    let arrays = columns.iter().map(read).collect::<Result<Vec<_>>>()?;
    writer.append(rows, &arrays, &reader.commit_runs(row_group)?.kept(kept.as_ref(), horizon))
}

fn filtered(array: &ArrayRef, kept: &BooleanBuffer) -> Result<ArrayRef> {
    arrow_select::filter::filter(array, &BooleanArray::new(kept.clone(), None))
        .map_err(|error| Error::with_source(ErrorKind::Internal, "rows cannot be filtered", error))
}

/// Writes the key indexes that merges ask for now; one that is asked for later is made then. Returns their bytes.
fn write_key_indexes(shared: &Shared, table: TableId, segment: &LiveSegment) -> Result<u64> {
    let (schema, keys) = {
        let writer = shared.writer.lock();
        let Some(table) = table_of(&writer.state.catalog, table) else { return Ok(0) };
        (Arc::clone(table.schema()), writer.keys.of(table.id, table.schema()))
    };
    let mut bytes = 0;
    for key in &keys {
        bytes += segment.key_index(shared.disk.as_ref(), &schema, key)?.bytes() as u64;
    }
    Ok(bytes)
}
