//! Bulk loads: rows that go straight into segments, and become part of their table by one small commit.
//!
//! A load takes any number of batches and writes them as a flush would. Its commit names the files it wrote; the log record of that commit is
//! what makes them part of the database. Until a flush lists them in a manifest, the log is what names them
//! (`docs/decisions/0009-bulk-load.md`).
//!
//! **Invariants**
//! 1. Readers see all rows of a load or none, and so does a restart: the files are durable, names included, before the record is written.
//! 2. A file that a log record may name is not swept until a manifest with that commit in its checkpoint stands.
//! 3. Memory is bounded by what one segment writer gathers, however many rows are loaded.
//! 4. The files say that their rows are of commit 0; which commit it was, the log and the manifest know.
//!
//! It does not check primary keys: a table that declares one takes no loads.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use crate::catalog::Table;
use crate::columns::default_array;
use crate::commit::{Batch, Change, Commit, CommitInfo, Committed};
use crate::commit_runs::CommitRuns;
use crate::concat::array_bytes;
use crate::delete_vector::DeleteVector;
use crate::engine::{Engine, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{ByteReader, PutBytes};
use crate::ids::{ColumnId, SegmentId, SnapshotId, TableId};
use crate::io::Disk;
use crate::key_tables::SegmentKeys;
use crate::live_segment::open_segment;
use crate::logical_type::LogicalType;
use crate::manifest::{SEGMENT_FOLDER, SegmentEntry, segment_path};
use crate::schema::{Column, TableSchema};
use crate::segment::{Segment, SegmentWriter};
use crate::state::LiveSegment;
use crate::sweep::remove_written;

#[cfg(test)]
mod tests;

/// Bytes of a row group in the making past which the segment ends with it. 128 MiB: rows of a few KiB still fill their row groups.
const GROUP_BYTES_MAX: usize = 128 << 20;

/// Segments that a commit adds to a table.
#[derive(Clone, Debug)]
pub struct Loaded {
    table: TableId,
    segments: Vec<LoadedSegment>,
}

#[derive(Clone, Debug)]
struct LoadedSegment {
    entry: SegmentEntry,
    /// Opened; `None` as it comes from the log.
    reader: Option<Arc<Segment>>,
}

impl PartialEq for Loaded {
    fn eq(&self, other: &Self) -> bool {
        self.table == other.table && self.entries().eq(other.entries())
    }
}

impl Loaded {
    /// Whose rows these are.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.entries().map(|entry| entry.rows).sum()
    }

    /// The files.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &SegmentEntry> {
        self.segments.iter().map(|segment| &segment.entry)
    }

    /// Whether the rows fit the table as it is named and typed now.
    ///
    /// # Errors
    /// `Conflict` for a column that is not there or has another type, `Invalid` if the table declares a primary key.
    pub(crate) fn check(&self, table: &Table) -> Result<()> {
        let schema = table.schema();
        if !schema.primary_key().is_empty() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("a table with a primary key takes no loads: table={}", table.name),
            ));
        }
        let fits = |(id, ty): &(ColumnId, LogicalType)| {
            schema.column_by_id(*id).is_some_and(|column| column.logical_type == *ty)
        };
        let mut columns =
            self.segments.iter().filter_map(|segment| segment.reader.as_ref()).flat_map(|reader| reader.columns());
        match columns.find(|column| !fits(column)) {
            None => Ok(()),
            Some((id, _)) => Err(Error::new(
                ErrorKind::Conflict,
                format!("loaded rows do not fit the table: table={}, column id={id}", table.name),
            )),
        }
    }

    /// Opens the files.
    ///
    /// # Errors
    /// Those of opening a segment.
    pub(crate) fn open(&mut self, disk: &dyn Disk) -> Result<()> {
        for segment in &mut self.segments {
            segment.reader = Some(Arc::new(open_segment(disk, segment.entry.clone())?.reader));
        }
        Ok(())
    }

    /// The segments as parts of the database, once it is known which commit they come with.
    ///
    /// # Errors
    /// `Corrupt` if the rows of a file know another commit; `Internal` before [`Loaded::open`].
    pub(crate) fn segments(&self, commit: SnapshotId) -> Result<Vec<Arc<LiveSegment>>> {
        let live = |segment: &LoadedSegment| {
            let reader = segment
                .reader
                .as_ref()
                .ok_or_else(|| Error::new(ErrorKind::Internal, "a loaded segment is not open"))?;
            Ok(Arc::new(LiveSegment {
                entry: SegmentEntry { commit: Some(commit), ..segment.entry.clone() },
                reader: reader.of_commit(commit)?,
                deletes: DeleteVector::new(),
                keys: SegmentKeys::default(),
                deletes_bytes: 0.into(),
                moved: std::sync::OnceLock::new(),
                chunks: std::sync::OnceLock::new(),
            }))
        };
        self.segments.iter().map(live).collect()
    }

    /// Reads every byte of the files.
    ///
    /// # Errors
    /// `Corrupt` naming the file; `Internal` before [`Loaded::open`].
    pub(crate) fn verify(&self) -> Result<()> {
        self.segments.iter().filter_map(|segment| segment.reader.as_ref()).try_for_each(|reader| reader.verify())
    }

    /// Appends what the log has of it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.table.0);
        out.put_u32(self.segments.len() as u32);
        for entry in self.entries() {
            out.put_u64(entry.id.0);
            out.put_u64(entry.rows);
            out.put_u64(entry.bytes);
            out.put_u32(entry.checksum);
        }
    }

    /// # Errors
    /// `Corrupt` for what [`Loaded::encode`] does not write.
    pub(crate) fn decode(reader: &mut ByteReader<'_>) -> Result<Self> {
        let table = TableId(reader.u64()?);
        let segment = |reader: &mut ByteReader<'_>| {
            let (id, rows) = (SegmentId(reader.u64()?), reader.u64()?);
            let (bytes, checksum) = (reader.u64()?, reader.u32()?);
            let entry = SegmentEntry { id, table, rows, bytes, checksum, first_row: None, commit: None, deletes: None };
            Ok(LoadedSegment { entry, reader: None })
        };
        let segments = (0..reader.count(LOADED_BYTES)?).map(|_| segment(reader)).collect::<Result<_>>()?;
        Ok(Self { table, segments })
    }
}

/// Bytes of a segment in the log.
const LOADED_BYTES: usize = 28;

/// A load in the making. Dropping it leaves nothing behind.
pub struct Load {
    engine: Engine,
    table: TableId,
    columns: Vec<Column>,
    current: Option<Current>,
    written: Vec<LoadedSegment>,
}

/// The segment that is being written.
struct Current {
    id: SegmentId,
    writer: SegmentWriter,
    rows: usize,
    /// Of the row group that is being gathered.
    group_rows: usize,
    group_bytes: usize,
}

impl Engine {
    /// Begins to load rows into a table of this schema, which need not be there yet: the load's commit may create it.
    ///
    /// # Errors
    /// `Invalid` for a schema with a primary key; `Latched` after a failed write.
    pub fn load(&self, table: TableId, schema: &TableSchema) -> Result<Load> {
        self.check_writable()?;
        if !schema.primary_key().is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "a table with a primary key takes no loads"));
        }
        let columns = schema.columns().to_vec();
        Ok(Load { engine: self.clone(), table, columns, current: None, written: Vec::new() })
    }
}

impl Load {
    /// Adds rows; a column that they lack has its default in them. Blocks while they are written.
    ///
    /// # Errors
    /// `Invalid` for rows of another table, columns it does not have or values of another type; `Exhausted` when the disk is full;
    /// `Unavailable` once the engine is closing. The load is then of no use.
    pub fn append(&mut self, batch: &Batch) -> Result<()> {
        let is_known = |(id, array): &(ColumnId, ArrayRef)| {
            self.columns.iter().any(|column| column.id == *id && column.logical_type.arrow() == *array.data_type())
        };
        if batch.table() != self.table || !batch.columns().iter().all(is_known) {
            return Err(Error::new(ErrorKind::Invalid, format!("rows do not fit the load: table={}", self.table)));
        }
        let arrays = self.columns.iter().map(|column| match batch.column(column.id) {
            Some(array) => Ok(Arc::clone(array)),
            None => default_array(column, batch.rows()),
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let mut start = 0;
        while start < batch.rows() {
            start = self.append_some(&arrays, start..batch.rows())?;
        }
        Ok(())
    }

    /// Adds rows up to the end of the row group at hand; returns where to go on.
    fn append_some(&mut self, arrays: &[ArrayRef], rows: Range<usize>) -> Result<usize> {
        let shared = Arc::clone(self.engine.shared());
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.start(&shared)?,
        };
        let group_rows = shared.options.row_group_rows;
        let count = rows.len().min(group_rows - current.group_rows);
        let slices: Vec<ArrayRef> = arrays.iter().map(|array| array.slice(rows.start, count)).collect();
        let written = current.writer.append(count, &slices, &CommitRuns::of(SnapshotId(0), count));
        if let Err(error) = written {
            self.abandon(current.id);
            return Err(error);
        }
        current.rows += count;
        current.group_rows += count;
        // Slices of a batch share what it points to: their share of it is what counts.
        let share = |array: &ArrayRef| array_bytes(array) * count / array.len().max(1);
        current.group_bytes += arrays.iter().map(share).sum::<usize>();
        let group_is_full = current.group_rows == group_rows;
        if group_is_full {
            (current.group_rows, current.group_bytes) = (0, 0);
            if let Err(error) = self.engine.check_room() {
                self.abandon(current.id);
                return Err(error);
            }
        }
        let segment_is_full = current.rows + group_rows > shared.options.segment_rows_max
            || current.writer.bytes() >= shared.options.segment_bytes_max;
        if current.group_bytes >= GROUP_BYTES_MAX || (group_is_full && segment_is_full) {
            self.finish(current)?;
        } else {
            self.current = Some(current);
        }
        Ok(rows.start + count)
    }

    fn start(&self, shared: &Shared) -> Result<Current> {
        self.engine.check_room()?;
        let id = {
            let mut flusher = shared.flusher.lock();
            let id = flusher.manifest.next_segment;
            flusher.manifest.next_segment = id.next();
            flusher.unfinished.insert(id);
            id
        };
        let stored: Vec<_> = self.columns.iter().map(|column| (column.id, column.logical_type.clone())).collect();
        match SegmentWriter::create(&shared.disk(), &segment_path(id), &stored, shared.options.row_group_rows) {
            Ok(writer) => Ok(Current {
                id,
                writer: writer.with_value_filters(shared.options.value_filters),
                rows: 0,
                group_rows: 0,
                group_bytes: 0,
            }),
            Err(error) => {
                self.abandon(id);
                Err(error)
            }
        }
    }

    /// Ends the segment at hand.
    fn finish(&mut self, current: Current) -> Result<()> {
        let Current { id, writer, .. } = current;
        let disk = self.engine.disk();
        let finished = writer.finish().and_then(|facts| {
            let entry = SegmentEntry {
                id,
                table: self.table,
                rows: facts.rows,
                bytes: facts.bytes,
                checksum: facts.checksum,
                first_row: None,
                commit: None,
                deletes: None,
            };
            let reader = open_segment(disk.as_ref(), entry.clone())?.reader;
            Ok(LoadedSegment { entry, reader: Some(Arc::new(reader)) })
        });
        match finished {
            Ok(segment) => {
                self.engine.shared().counters.flush_written(segment.entry.bytes);
                self.written.push(segment);
                Ok(())
            }
            Err(error) => {
                self.abandon(id);
                Err(error)
            }
        }
    }

    /// Makes the rows part of the database together with the changes of `before`, which come first. Blocks.
    ///
    /// # Errors
    /// As [`Engine::write`]; nothing was written then, but after `Latched`.
    pub fn commit(mut self, before: Vec<Change>, info: CommitInfo) -> Result<Committed> {
        if let Some(current) = self.current.take() {
            self.finish(current)?;
        }
        let mut changes = before;
        if !self.written.is_empty() {
            let disk = self.engine.disk();
            disk.sync_dir(SEGMENT_FOLDER).map_err(|error| Error::io("sync", SEGMENT_FOLDER, error))?;
            changes.push(Change::Load(Loaded { table: self.table, segments: self.written.clone() }));
        }
        self.hand_over();
        let outcome = self.engine.write(Commit { info, ..Commit::new(changes) });
        self.settle(&outcome);
        outcome
    }

    /// From here on the log may name the files.
    fn hand_over(&self) {
        let mut flusher = self.engine.shared().flusher.lock();
        for segment in &self.written {
            flusher.unfinished.remove(&segment.entry.id);
            flusher.loaded.insert(segment.entry.id, segment.entry.clone());
        }
    }

    /// The log names the files, or never will, or that is in doubt until a restart.
    fn settle(&mut self, outcome: &Result<Committed>) {
        let written = std::mem::take(&mut self.written);
        let shared = self.engine.shared();
        match outcome {
            Ok(committed) => {
                let mut flusher = shared.flusher.lock();
                for segment in &written {
                    if let Some(entry) = flusher.loaded.get_mut(&segment.entry.id) {
                        entry.commit = Some(committed.snapshot);
                    }
                }
                drop(flusher);
                let state = shared.current();
                let live = state.rows.get(&self.table).map_or(&[][..], |rows| &rows.segments);
                shared.opened(live.iter().filter(|live| written.iter().any(|new| new.entry.id == live.entry.id)));
                shared.request_flush();
            }
            Err(error) if error.kind() == ErrorKind::Latched => {}
            Err(_) => {
                let mut flusher = shared.flusher.lock();
                for segment in &written {
                    flusher.loaded.remove(&segment.entry.id);
                }
                // What cannot be removed now is swept later; the cause is what matters to the caller.
                drop(flusher.sweep(shared.disk.as_ref()));
            }
        }
    }

    /// Lets go of a file that is of no use.
    fn abandon(&self, id: SegmentId) {
        let shared = self.engine.shared();
        shared.flusher.lock().unfinished.remove(&id);
        // What cannot be removed now is swept later.
        drop(remove_written(shared.disk.as_ref(), id..id.next()));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let current = self.current.take().map(|current| current.id);
        let written: Vec<SegmentId> = self.written.iter().map(|segment| segment.entry.id).collect();
        for id in written.into_iter().chain(current) {
            self.abandon(id);
        }
    }
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load")
            .field("table", &self.table)
            .field("segments", &self.written.len())
            .finish_non_exhaustive()
    }
}
