//! Memory to segments: sealed memtable, segment, manifest, then the log is released.
//!
//! **Invariants**
//! 1. Flushes run one at a time; commits and reads go on meanwhile, but for the instants of sealing and installing.
//! 2. Rows leave memory only after a durable manifest names the segments that hold them; a failed flush changes nothing
//!    that a reader or a restart can see.
//! 3. A segment file that no manifest names is never read, and is removed by the next sweep.
//! 4. With the manifest go all deletions up to its checkpoint, of rows in memory and in older segments: the log does not bring them back.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use arrow_array::ArrayRef;

use crate::catalog::{Catalog, Table};
use crate::columns::default_array;
use crate::delete_vector::DeleteVector;
use crate::engine::Shared;
use crate::error::{Error, ErrorKind, Result};
use crate::history;
use crate::ids::{SegmentId, SnapshotId, TableId};
use crate::io::Disk;
use crate::key_tables::Key;
use crate::live_segment::{open_segment, write_deletes};
use crate::manifest::{Manifest, SEGMENT_FOLDER, SegmentEntry, segment_path, store};
use crate::memtable::{MemBatch, Memtable, Moved};
use crate::schema::Column;
use crate::segment::SegmentWriter;
use crate::state::{LiveSegment, TableRows};
use crate::sweep::{remove_written, sweep};
use crate::write::Writer;

/// The manifest that stands. There is one, behind a lock that also serialises flushes and the ends of compactions.
pub(crate) struct Flusher {
    pub(crate) manifest: Manifest,
    /// Segments that a compaction is writing.
    pub(crate) unfinished: BTreeSet<SegmentId>,
    /// Segments that a load handed to the log and no manifest has listed yet: the log may name them. Without a commit where its outcome is not
    /// known yet.
    pub(crate) loaded: BTreeMap<SegmentId, SegmentEntry>,
    /// Manifests whose files are being copied, for as long as somebody has them.
    held: Vec<Weak<Manifest>>,
}

impl Flusher {
    pub(crate) fn new(manifest: Manifest, loaded: BTreeMap<SegmentId, SegmentEntry>) -> Self {
        Self { manifest, unfinished: BTreeSet::new(), loaded, held: Vec::new() }
    }

    /// The manifest that stands, with the segments that the log may name besides. No file of these is swept until the last clone of it is gone.
    pub(crate) fn hold(&mut self) -> Arc<Manifest> {
        let mut manifest = self.manifest.clone();
        let listed: HashSet<SegmentId> = manifest.segments.iter().map(|segment| segment.id).collect();
        manifest.segments.extend(self.loaded.values().filter(|entry| !listed.contains(&entry.id)).cloned());
        let manifest = Arc::new(manifest);
        self.held.push(Arc::downgrade(&manifest));
        manifest
    }

    /// Lets go of the loads that the manifest lists, or whose tables it knows to be gone.
    fn forget_listed(&mut self) {
        let Self { manifest, loaded, .. } = self;
        let listed: HashSet<SegmentId> = manifest.segments.iter().map(|segment| segment.id).collect();
        loaded
            .retain(|id, entry| !listed.contains(id) && entry.commit.is_none_or(|commit| commit > manifest.checkpoint));
    }

    /// Removes the files that nothing needs.
    pub(crate) fn sweep(&mut self, disk: &dyn Disk) -> Result<()> {
        self.held.retain(|held| held.strong_count() > 0);
        let held: Vec<Arc<Manifest>> = self.held.iter().filter_map(Weak::upgrade).collect();
        let manifests = held.iter().map(AsRef::as_ref).chain([&self.manifest]);
        let kept = self.unfinished.iter().chain(self.loaded.keys()).copied().collect();
        sweep(disk, manifests, &kept)
    }
}

/// Everything up to one commit, as the writer handed it over.
struct Sealed {
    checkpoint: SnapshotId,
    time_us: i64,
    catalog: Arc<Catalog>,
    tables: Vec<SealedTable>,
}

/// One table of it.
struct SealedTable {
    table: Arc<Table>,
    horizon: SnapshotId,
    rows: Arc<TableRows>,
    keys: Vec<Key>,
}

/// Writes all rows in memory to segments and releases the log.
///
/// # Errors
/// `Exhausted` when the disk is full; the rows stay in memory and the log, and a later flush takes them along.
pub(crate) fn flush(shared: &Shared) -> Result<()> {
    let mut flusher = shared.flusher.lock();
    let Some(sealed) = seal(shared, flusher.manifest.checkpoint)? else { return Ok(()) };
    let standing = &flusher.manifest;
    let mut manifest = Manifest {
        generation: standing.generation + 1,
        checkpoint: sealed.checkpoint,
        checkpoint_time_us: sealed.time_us,
        next_table: shared.next_table(),
        next_segment: standing.next_segment,
        key_secret: standing.key_secret,
        deletes_through: standing.deletes_through,
        horizon: standing.horizon,
        row_counts: sealed.tables.iter().map(|sealed| (sealed.table.id, sealed.rows.next_row)).collect(),
        segments: standing.segments.clone(),
        catalog: sealed.catalog.as_ref().clone(),
    };
    let there = |table: TableId| table == TableId::HISTORY || sealed.catalog.table_by_id(table).is_some();
    manifest.segments.retain(|segment| there(segment.table));
    manifest.segments.extend(loaded_since(&sealed, standing.checkpoint));
    let published = write_tables(shared, &sealed, &mut manifest)
        .and_then(|written| store::publish(shared.disk.as_ref(), &manifest).map(|()| written));
    let files = flusher.manifest.next_segment..manifest.next_segment;
    // Ids of files that may exist are not given again, whatever became of the files.
    flusher.manifest.next_segment = manifest.next_segment;
    let written = match published {
        Ok(written) => written,
        Err(error) => return Err(abandon(shared, files, error)),
    };
    flusher.manifest = manifest;
    flusher.forget_listed();
    shared.compactor.list_through(sealed.checkpoint);
    install(shared, &sealed, written)?;
    flusher.sweep(shared.disk.as_ref())?;
    shared.counters.flush_done();
    drop(flusher);
    shared.request_compaction();
    Ok(())
}

/// Segments that loads made after a commit: the manifest does not list them yet.
fn loaded_since(sealed: &Sealed, checkpoint: SnapshotId) -> impl Iterator<Item = SegmentEntry> + '_ {
    let segments = sealed.tables.iter().flat_map(|table| &table.rows.segments);
    let is_new = move |entry: &&SegmentEntry| entry.commit.is_some_and(|commit| commit > checkpoint);
    segments.map(|segment| &segment.entry).filter(is_new).cloned()
}

/// Gives back the space of a flush that found the disk full, or trying again would only fill it further. After any other failure
/// nothing is touched: the new manifest may be the one that stands after a restart. That is also why it removes the files of this attempt
/// only: an earlier one may have failed in that way.
fn abandon(shared: &Shared, files: Range<SegmentId>, error: Error) -> Error {
    if error.kind() == ErrorKind::Exhausted {
        // What cannot be removed now is swept by the next flush; the cause is what matters to the caller.
        drop(remove_written(shared.disk.as_ref(), files));
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
    writer.state.rows.update(|rows| !rows.active.is_empty(), |rows| rows.sealed.append(&mut rows.active));
    shared.publish(&writer.state);
    let state = &writer.state;
    let sealed = state.rows.iter().filter_map(|(id, rows)| {
        let table = table_of(&state.catalog, *id)?;
        Some(SealedTable {
            table: Arc::clone(table),
            horizon: state.horizon,
            rows: Arc::clone(rows),
            keys: writer.keys.of(*id, table.schema()),
        })
    });
    Ok(Some(Sealed {
        checkpoint: state.snapshot,
        time_us: state.time_us,
        catalog: Arc::clone(&state.catalog),
        tables: sealed.collect(),
    }))
}

/// A table by its id, the engine's own one included.
pub(crate) fn table_of(catalog: &Catalog, id: TableId) -> Option<&Arc<Table>> {
    if id == TableId::HISTORY { Some(history::table()) } else { catalog.table_by_id(id) }
}

/// Segments that a flush wrote, by table.
type Written = BTreeMap<TableId, Vec<LiveSegment>>;

/// Writes the segments, key indexes and delete vectors, and names them in the manifest.
fn write_tables(shared: &Shared, sealed: &Sealed, manifest: &mut Manifest) -> Result<Written> {
    let mut written = Written::new();
    for sealed_table in &sealed.tables {
        let segments = write_table(shared, sealed_table, &mut manifest.next_segment)?;
        for segment in &segments {
            for key in &sealed_table.keys {
                let index = segment.key_index(shared.disk.as_ref(), sealed_table.table.schema(), key)?;
                shared.counters.flush_written(index.bytes() as u64);
            }
        }
        manifest.segments.extend(segments.iter().map(|segment| segment.entry.clone()));
        written.insert(sealed_table.table.id, segments);
    }
    for sealed_table in &sealed.tables {
        let written = &written[&sealed_table.table.id];
        write_all_deletes(shared, &sealed_table.rows, written, sealed.checkpoint, manifest)?;
    }
    shared.disk.sync_dir(SEGMENT_FOLDER).map_err(|error| Error::io("sync", SEGMENT_FOLDER, error))?;
    Ok(written)
}

/// Writes the delete vectors of a table's segments that its manifest entries do not have in full.
fn write_all_deletes(
    shared: &Shared,
    rows: &TableRows,
    written: &[LiveSegment],
    checkpoint: SnapshotId,
    manifest: &mut Manifest,
) -> Result<()> {
    let moved: Vec<(&LiveSegment, DeleteVector)> =
        written.iter().map(|segment| (segment, moved_deletes(rows, &segment.entry))).collect();
    let older = rows.segments.iter().map(|segment| (segment.as_ref(), &segment.deletes));
    for (segment, deletes) in older.chain(moved.iter().map(|(segment, deletes)| (*segment, deletes))) {
        let Some(entry) = manifest.segments.iter_mut().find(|entry| entry.id == segment.entry.id) else { continue };
        let through = entry.deletes.as_ref().map_or(SnapshotId(0), |known| known.through);
        if deletes.last().is_some_and(|last| last > through) {
            let file = manifest.next_segment;
            manifest.next_segment = file.next();
            let deletes = write_deletes(shared.disk.as_ref(), entry, deletes, file, checkpoint)?;
            shared.counters.flush_written(deletes.bytes);
            segment.deletes_bytes.store(deletes.bytes, Ordering::Relaxed);
            entry.deletes = Some(deletes);
        }
    }
    Ok(())
}

/// What was deleted of the rows that a flush wrote into a segment.
fn moved_deletes(rows: &TableRows, entry: &SegmentEntry) -> DeleteVector {
    let first = rows.memory_position(entry.first_row.expect("a flush knows the numbers of its rows"));
    rows.memory_deletes.mapped(|at| at.checked_sub(first).filter(|position| u64::from(*position) < entry.rows))
}

fn write_table(shared: &Shared, sealed: &SealedTable, next: &mut SegmentId) -> Result<Vec<LiveSegment>> {
    let memtable = &sealed.rows.sealed;
    // A column that no row mentions is not stored: it reads as its default.
    let columns: Vec<&Column> = sealed
        .table
        .columns_since(sealed.horizon)
        .into_iter()
        .filter(|column| memtable.batches().iter().any(|batch| batch.column(column.id).is_some()))
        .collect();
    let mut written = Vec::new();
    let mut rest = memtable.batches();
    while !rest.is_empty() {
        let (now, later) = rest.split_at(segment_batches(rest, shared.options.segment_rows_max));
        let id = *next;
        *next = next.next();
        written.push(write_segment(shared, id, sealed.table.id, &columns, now)?);
        rest = later;
    }
    Ok(written)
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
    let mut writer = SegmentWriter::create(&shared.disk(), &path, &stored, shared.options.row_group_rows)?
        .with_value_filters(shared.options.value_filters);
    for batch in batches {
        let arrays = columns.iter().map(|column| column_of(batch, column)).collect::<Result<Vec<_>>>()?;
        writer.append(batch.rows(), &arrays, batch.commits())?;
    }
    let facts = writer.finish()?;
    let entry = SegmentEntry {
        id,
        table,
        rows: facts.rows,
        bytes: facts.bytes,
        checksum: facts.checksum,
        first_row: batches.first().map(|batch| batch.first_row()),
        commit: None,
        deletes: None,
    };
    shared.counters.flush_written(facts.bytes);
    open_segment(shared.disk.as_ref(), entry)
}

fn column_of(batch: &MemBatch, column: &Column) -> Result<ArrayRef> {
    match batch.column(column.id) {
        Some(array) => Ok(Arc::clone(array)),
        None => default_array(column, batch.rows()),
    }
}

/// Puts the segments in the place of the sealed batches.
fn install(shared: &Shared, sealed: &Sealed, mut written: Written) -> Result<()> {
    let mut writer = shared.writer.lock();
    let Writer { state, keys, log, .. } = &mut *writer;
    for SealedTable { table, rows: sealed_rows, .. } in &sealed.tables {
        if table_of(&state.catalog, table.id).is_none() || sealed_rows.sealed.is_empty() {
            continue;
        }
        let rows = state.rows_mut(table.id);
        let mut segments = Vec::new();
        for mut segment in written.remove(&table.id).unwrap_or_default() {
            segment.deletes = moved_deletes(rows, &segment.entry);
            segments.push(Arc::new(segment));
        }
        shared.opened(&segments);
        move_batches(sealed_rows.sealed.batches(), &segments);
        rows.segments.extend(segments);
        let base = sealed_rows.next_row;
        let kept = rows.memory_position(base);
        rows.memory_deletes = Arc::new(rows.memory_deletes.mapped(|at| at.checked_sub(kept)));
        rows.memory_base = base;
        rows.sealed = Memtable::default();
        keys.flushed(table.id, base);
    }
    shared.publish(state);
    log.release(sealed.checkpoint)
}

/// Leaves word in each batch where its rows went. None of them spans two segments.
fn move_batches(batches: &[Arc<MemBatch>], segments: &[Arc<LiveSegment>]) {
    for batch in batches {
        let found = segments.iter().find_map(|segment| {
            let position = batch.first_row().checked_sub(segment.entry.first_row?)?;
            (position < segment.entry.rows).then_some((segment, position as u32))
        });
        let (segment, first) = found.expect("every sealed row was written");
        batch.move_to(Moved::Segment(Arc::clone(segment), first));
    }
}
