//! Memory to segments: sealed memtable, segment, manifest, then the log is released.
//!
//! **Invariants**
//! 1. Flushes run one at a time; commits and reads go on meanwhile, but for the instants of sealing and installing.
//! 2. Rows leave memory only after a durable manifest names the segments that hold them; a failed flush changes nothing
//!    that a reader or a restart can see.
//! 3. A segment file that no manifest names is never read, and is removed by the next sweep.

use std::sync::Arc;

use arrow_array::ArrayRef;

use crate::catalog::{Catalog, Table};
use crate::columns::default_array;
use crate::engine::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{SegmentId, SnapshotId, TableId};
use crate::io::Disk;
use crate::manifest::{Manifest, SEGMENT_FOLDER, SegmentEntry, segment_path, store};
use crate::memtable::{MemBatch, Memtable};
use crate::schema::Column;
use crate::segment::{Segment, SegmentWriter};
use crate::state::LiveSegment;
use crate::sweep::sweep;

/// The manifest that stands. There is one, behind a lock that also serialises flushes.
pub(crate) struct Flusher {
    pub(crate) manifest: Manifest,
}

/// Everything up to one commit, as the writer handed it over.
struct Sealed {
    checkpoint: SnapshotId,
    time_us: i64,
    catalog: Arc<Catalog>,
    tables: Vec<(TableId, Memtable)>,
}

/// Writes all rows in memory to segments and releases the log.
///
/// # Errors
/// `Exhausted` when the disk is full; the rows stay in memory and the log, and a later flush takes them along.
pub(crate) fn flush(shared: &Shared) -> Result<()> {
    let mut flusher = shared.flusher.lock();
    let Some(sealed) = seal(shared, flusher.manifest.checkpoint)? else { return Ok(()) };
    let mut manifest = Manifest {
        generation: flusher.manifest.generation + 1,
        checkpoint: sealed.checkpoint,
        checkpoint_time_us: sealed.time_us,
        next_table: shared.next_table(),
        next_segment: flusher.manifest.next_segment,
        segments: flusher.manifest.segments.clone(),
        catalog: sealed.catalog.as_ref().clone(),
    };
    manifest.segments.retain(|segment| sealed.catalog.table_by_id(segment.table).is_some());
    let published = write_tables(shared, &sealed, &mut manifest.next_segment).and_then(|written| {
        manifest.segments.extend(written.iter().map(|segment| segment.entry.clone()));
        store::publish(shared.disk.as_ref(), &manifest).map(|()| written)
    });
    // Ids of files that may exist are not given again, whatever became of the files.
    flusher.manifest.next_segment = manifest.next_segment;
    let written = match published {
        Ok(written) => written,
        Err(error) => return Err(abandon(shared, &flusher.manifest, error)),
    };
    flusher.manifest = manifest;
    install(shared, &sealed, written)?;
    sweep(shared.disk.as_ref(), &flusher.manifest)?;
    shared.counters.flush_done();
    Ok(())
}

/// Gives back the space of a flush that found the disk full, or trying again would only fill it further. After any other failure
/// nothing is touched: the new manifest may be the one that stands after a restart.
fn abandon(shared: &Shared, standing: &Manifest, error: Error) -> Error {
    if error.kind() == ErrorKind::Exhausted {
        // What cannot be removed now is swept by the next flush; the cause is what matters to the caller.
        drop(sweep(shared.disk.as_ref(), standing));
    }
    error
}

/// Freezes what is in memory; `None` if the manifest already says everything.
fn seal(shared: &Shared, checkpoint: SnapshotId) -> Result<Option<Sealed>> {
    let mut writer = shared.writer.lock();
    if writer.state.snapshot == checkpoint {
        return Ok(None);
    }
    match writer.log.roll() {
        Ok(()) => {}
        // Without space for another file the current one goes on; it is released by a later flush.
        Err(error) if error.kind() == ErrorKind::Exhausted => {}
        Err(error) => return Err(error),
    }
    let mut tables = Vec::new();
    for (id, rows) in &mut writer.state.rows {
        let rows = Arc::make_mut(rows);
        rows.sealed.append(&mut rows.active);
        if !rows.sealed.is_empty() {
            tables.push((*id, rows.sealed.clone()));
        }
    }
    shared.publish(&writer.state);
    Ok(Some(Sealed {
        checkpoint: writer.state.snapshot,
        time_us: writer.state.time_us,
        catalog: Arc::clone(&writer.state.catalog),
        tables,
    }))
}

fn write_tables(shared: &Shared, sealed: &Sealed, next: &mut SegmentId) -> Result<Vec<Arc<LiveSegment>>> {
    let mut written = Vec::new();
    for (id, memtable) in &sealed.tables {
        if let Some(table) = sealed.catalog.table_by_id(*id) {
            write_table(shared, table, memtable, next, &mut written)?;
        }
    }
    if !written.is_empty() {
        shared.disk.sync_dir(SEGMENT_FOLDER).map_err(|error| Error::io("sync", SEGMENT_FOLDER, error))?;
    }
    Ok(written)
}

fn write_table(
    shared: &Shared,
    table: &Table,
    memtable: &Memtable,
    next: &mut SegmentId,
    written: &mut Vec<Arc<LiveSegment>>,
) -> Result<()> {
    // A column that no row mentions is not stored: it reads as its default.
    let columns: Vec<&Column> = table
        .schema()
        .columns()
        .iter()
        .filter(|column| memtable.batches().iter().any(|batch| batch.column(column.id).is_some()))
        .collect();
    let mut rest = memtable.batches();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(segment_batches(rest, shared.options.segment_rows_max));
        let id = *next;
        *next = next.next();
        written.push(Arc::new(write_segment(shared, id, table.id, &columns, now)?));
        rest = later;
    }
    Ok(())
}

/// How many of the batches go into one segment; at least one.
fn segment_batches(batches: &[Arc<MemBatch>], rows_max: usize) -> usize {
    let mut rows = 0;
    let fitting = batches.iter().take_while(|batch| {
        rows += batch.rows();
        rows <= rows_max
    });
    fitting.count().max(1)
}

fn write_segment(
    shared: &Shared,
    id: SegmentId,
    table: TableId,
    columns: &[&Column],
    batches: &[Arc<MemBatch>],
) -> Result<LiveSegment> {
    let path = segment_path(id);
    let stored: Vec<_> = columns.iter().map(|column| (column.id, column.logical_type.clone())).collect();
    let mut writer = SegmentWriter::create(&shared.disk(), &path, &stored, shared.options.row_group_rows)?;
    for batch in batches {
        let arrays = columns.iter().map(|column| column_of(batch, column)).collect::<Result<Vec<_>>>()?;
        writer.append(batch.rows(), &arrays, batch.commits())?;
    }
    let facts = writer.finish()?;
    let entry = SegmentEntry { id, table, rows: facts.rows, bytes: facts.bytes, checksum: facts.checksum };
    open_segment(shared.disk.as_ref(), entry)
}

fn column_of(batch: &MemBatch, column: &Column) -> Result<ArrayRef> {
    match batch.column(column.id) {
        Some(array) => Ok(Arc::clone(array)),
        None => default_array(column, batch.rows()),
    }
}

/// Maps a segment file and checks that it is the one the manifest means.
pub(crate) fn open_segment(disk: &dyn Disk, entry: SegmentEntry) -> Result<LiveSegment> {
    let path = segment_path(entry.id);
    let file = disk.open(&path).map_err(|error| Error::io("open", &path, error))?;
    let map = file.map().map_err(|error| Error::io("map", &path, error))?;
    let reader = Segment::open(&path, map, entry.bytes, entry.checksum)?;
    if reader.total_rows() != entry.rows {
        return Err(Error::corrupt(&path, 0, format_args!("{} rows", entry.rows), reader.total_rows()));
    }
    Ok(LiveSegment { entry, reader })
}

/// Puts the segments in the place of the sealed batches.
fn install(shared: &Shared, sealed: &Sealed, written: Vec<Arc<LiveSegment>>) -> Result<()> {
    let mut writer = shared.writer.lock();
    for (id, _) in &sealed.tables {
        if writer.state.catalog.table_by_id(*id).is_some() {
            writer.state.rows_mut(*id).sealed = Memtable::default();
        }
    }
    for segment in written {
        if writer.state.catalog.table_by_id(segment.entry.table).is_some() {
            writer.state.rows_mut(segment.entry.table).segments.push(segment);
        }
    }
    shared.publish(&writer.state);
    writer.log.release(sealed.checkpoint)
}
