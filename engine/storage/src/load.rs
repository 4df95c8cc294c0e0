//! Bulk loads: rows that go straight into segments, and become part of their table by one small commit.
//!
//! A load takes any number of batches and writes them as a flush would. Its commit names the files it wrote; the log record of that commit is
//! what makes them part of the database. Until a flush lists them in a manifest, the log is what names them
//! (`docs/decisions/0009-bulk-load.md`).
//!
//! **Invariants**
//! 1. Readers see all rows of a load or none, and so does a restart: the files are durable, names included, before the record is written.
//! 2. Memory is bounded by what one segment writer gathers, however many rows are loaded.
//! 3. The files say that their rows are of commit 0; which commit it was, the log and the manifest know.
//!
//! It does not check primary keys: to a table that declares one only a transaction loads, which has checked them.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use crate::columns::default_array;
use crate::commit::{Batch, Change, Commit, CommitInfo, Committed};
use crate::commit_runs::CommitRuns;
use crate::concat::array_bytes;
use crate::engine::{Engine, Shared};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SegmentId, SnapshotId, TableId};
use crate::live_segment::open_segment;
use crate::manifest::{SEGMENT_FOLDER, SegmentEntry, segment_path};
use crate::schema::{Column, TableSchema};
use crate::segment::SegmentWriter;

mod files;
mod loaded;
#[cfg(test)]
mod tests;

pub(crate) use files::{hand_over, settle};
pub use loaded::Loaded;

use files::{LoadedFiles, let_go};
use loaded::LoadedSegment;

/// Bytes of a row group in the making past which the segment ends with it. 128 MiB: rows of a few KiB still fill their row groups.
const GROUP_BYTES_MAX: usize = 128 << 20;

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
        Ok(self.load_checked(table, schema))
    }

    /// The same for rows whose keys are known to be new.
    pub(crate) fn load_checked(&self, table: TableId, schema: &TableSchema) -> Load {
        let columns = schema.columns().to_vec();
        Load { engine: self.clone(), table, columns, current: None, written: Vec::new() }
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
            self.end_segment(current)?;
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
    fn end_segment(&mut self, current: Current) -> Result<()> {
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
            Ok(LoadedSegment::open(entry, reader))
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

    /// Ends it: what a commit or a transaction adds to the table, once; `None` without rows. The files go unless that is done. Blocks.
    ///
    /// # Errors
    /// As [`Load::append`].
    pub fn finish(mut self) -> Result<Option<Loaded>> {
        if let Some(current) = self.current.take() {
            self.end_segment(current)?;
        }
        if self.written.is_empty() {
            return Ok(None);
        }
        let disk = self.engine.disk();
        disk.sync_dir(SEGMENT_FOLDER).map_err(|error| Error::io("sync", SEGMENT_FOLDER, error))?;
        let segments = std::mem::take(&mut self.written);
        let files = LoadedFiles::new(self.engine.clone(), segments.iter().map(|segment| segment.entry.id).collect());
        Ok(Some(Loaded::new(self.table, segments, files)))
    }

    /// Makes the rows part of the database together with the changes of `before`, which come first. Blocks.
    ///
    /// # Errors
    /// As [`Engine::write`]; nothing was written then, but after `Latched`.
    pub fn commit(self, before: Vec<Change>, info: CommitInfo) -> Result<Committed> {
        let engine = self.engine.clone();
        let mut changes = before;
        changes.extend(self.finish()?.map(Change::Load));
        engine.write(Commit { info, ..Commit::new(changes) })
    }

    /// Lets go of a file that is of no use.
    fn abandon(&self, id: SegmentId) {
        let_go(self.engine.shared(), &[id]);
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let current = self.current.take().map(|current| current.id);
        let written = self.written.iter().map(|segment| segment.entry.id);
        let ids: Vec<SegmentId> = written.chain(current).collect();
        let_go(self.engine.shared(), &ids);
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
