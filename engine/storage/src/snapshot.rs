//! An immutable view of the database, pinned while held.
//!
//! **Invariants**
//! 1. What a snapshot shows never changes, whatever is written, flushed or dropped meanwhile.
//! 2. Holding one blocks nobody; it costs the memory and disk space of what it still shows.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use crate::catalog::{Catalog, Table};
use crate::columns::{default_array, default_zone_map};
use crate::concat::concat;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::memtable::MemBatch;
use crate::schema::{Column, TableSchema};
use crate::state::{LiveSegment, State};
use crate::zone_map::ZoneMap;

/// Everything up to one commit. Cheap to clone; readers never block writers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: Arc<State>,
}

impl Snapshot {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// The last commit in it.
    pub fn id(&self) -> SnapshotId {
        self.state.snapshot
    }

    /// When that commit was logged, in microseconds since 1970-01-01 UTC; never less than for an earlier one.
    pub fn time_us(&self) -> i64 {
        self.state.time_us
    }

    /// Its names.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.state.catalog
    }

    /// A table's rows; `None` if it does not exist.
    pub fn table(&self, id: TableId) -> Option<TableSnapshot> {
        let table = Arc::clone(self.state.catalog.table_by_id(id)?);
        let schema = Arc::clone(table.schema());
        let units = self.sources(id).into_iter().map(|source| ScanUnit::whole(source, &schema)).collect();
        Some(TableSnapshot { table, schema, units })
    }

    /// A table's columns and rows as of an earlier snapshot.
    ///
    /// # Errors
    /// `NotFound` if the table does not exist now or did not then; `Invalid` for a snapshot of the future; `Corrupt` for
    /// damaged bytes.
    pub fn table_at(&self, id: TableId, at: SnapshotId) -> Result<TableSnapshot> {
        if at > self.id() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("snapshot does not exist yet: newest={}, asked={at}", self.id()),
            ));
        }
        let missing = || Error::new(ErrorKind::NotFound, format!("table does not exist: id={id}, snapshot={at}"));
        let table = Arc::clone(self.state.catalog.table_by_id(id).ok_or_else(missing)?);
        let schema = Arc::clone(table.schema_at(at).ok_or_else(missing)?);
        let mut units = Vec::new();
        for source in self.sources(id) {
            units.extend(ScanUnit::as_of(source, &schema, at)?);
        }
        Ok(TableSnapshot { table, schema, units })
    }

    /// Where a table's rows are, in commit order.
    fn sources(&self, id: TableId) -> Vec<Source> {
        let Some(rows) = self.state.rows.get(&id) else { return Vec::new() };
        let segments = rows.segments.iter().flat_map(|segment| {
            (0..segment.reader.row_groups())
                .map(|row_group| Source::RowGroup { segment: Arc::clone(segment), row_group })
        });
        let batches = rows.sealed.batches().iter().chain(rows.active.batches());
        segments.chain(batches.map(|batch| Source::Memory(Arc::clone(batch)))).collect()
    }
}

/// One table of a snapshot.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    table: Arc<Table>,
    schema: Arc<TableSchema>,
    units: Vec<ScanUnit>,
}

impl TableSnapshot {
    /// What it is.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Its columns as of this snapshot.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// Exact number of visible rows.
    pub fn rows(&self) -> u64 {
        self.units.iter().map(|unit| unit.rows() as u64).sum()
    }

    /// Horizontal slices that together are the table, in commit order: at most a row group each; none is empty.
    pub fn units(&self) -> &[ScanUnit] {
        &self.units
    }
}

#[derive(Clone, Debug)]
enum Source {
    RowGroup { segment: Arc<LiveSegment>, row_group: usize },
    Memory(Arc<MemBatch>),
}

impl Source {
    /// Lowest and highest commit of its rows.
    fn snapshots(&self) -> (SnapshotId, SnapshotId) {
        match self {
            Self::RowGroup { segment, row_group } => segment.reader.snapshots(*row_group),
            Self::Memory(batch) => {
                (batch.commits().first().unwrap_or_default(), batch.commits().last().unwrap_or_default())
            }
        }
    }

    /// Row positions written up to `at`.
    fn visible(&self, at: SnapshotId) -> Result<Vec<Range<usize>>> {
        Ok(match self {
            Self::RowGroup { segment, row_group } => segment.reader.commit_runs(*row_group)?.visible(at),
            Self::Memory(batch) => batch.commits().visible(at),
        })
    }

    fn stored_rows(&self) -> usize {
        match self {
            Self::RowGroup { segment, row_group } => segment.reader.rows(*row_group),
            Self::Memory(batch) => batch.rows(),
        }
    }

    /// `None`: these rows were written before the column existed.
    fn read(&self, column: ColumnId) -> Result<Option<ArrayRef>> {
        match self {
            Self::RowGroup { segment, row_group } => segment.reader.read(*row_group, column),
            Self::Memory(batch) => Ok(batch.column(column).cloned()),
        }
    }
}

/// A horizontal slice of a table that is read on its own: a row group of a segment, or a batch in memory.
#[derive(Clone, Debug)]
pub struct ScanUnit {
    source: Source,
    schema: Arc<TableSchema>,
    rows: usize,
    /// `None`: all stored rows are visible.
    visible: Option<Vec<Range<usize>>>,
}

impl ScanUnit {
    fn whole(source: Source, schema: &Arc<TableSchema>) -> Self {
        Self { rows: source.stored_rows(), source, schema: Arc::clone(schema), visible: None }
    }

    /// `None` if nothing of it was there yet.
    fn as_of(source: Source, schema: &Arc<TableSchema>, at: SnapshotId) -> Result<Option<Self>> {
        let (first, last) = source.snapshots();
        if first > at {
            return Ok(None);
        }
        if last <= at {
            return Ok(Some(Self::whole(source, schema)));
        }
        let visible = source.visible(at)?;
        let rows = visible.iter().map(ExactSizeIterator::len).sum();
        Ok(Some(Self { source, schema: Arc::clone(schema), rows, visible: Some(visible) }).filter(|unit| unit.rows > 0))
    }

    /// Exact number of visible rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What is known of a column; `None`: nothing. Bounds and null count cover at least the visible rows; they are
    /// exact statistics only for a unit read as of the newest snapshot.
    pub fn zone_map(&self, column: ColumnId) -> Option<ZoneMap> {
        let column = self.schema.column_by_id(column)?;
        let zone_map = match &self.source {
            Source::Memory(batch) if batch.column(column.id).is_some() => return None,
            Source::RowGroup { segment, row_group } if segment.reader.column_type(column.id).is_some() => {
                segment.reader.zone_map(*row_group, column.id)?
            }
            Source::Memory(_) | Source::RowGroup { .. } => default_zone_map(column, self.source.stored_rows()),
        };
        let exact = zone_map.exact && self.visible.is_none();
        Some(ZoneMap { exact, ..zone_map })
    }

    /// Whether all stored rows are visible, so that null counts of [`ScanUnit::zone_map`] are exact.
    pub fn is_whole(&self) -> bool {
        self.visible.is_none()
    }

    /// Bytes that reading these columns would fetch, roughly.
    pub fn bytes(&self, columns: &[ColumnId]) -> u64 {
        match &self.source {
            Source::RowGroup { segment, row_group } => {
                columns.iter().map(|column| segment.reader.chunk_bytes(*row_group, *column)).sum()
            }
            Source::Memory(batch) => batch.bytes() as u64,
        }
    }

    /// The visible rows of these columns, in that order, each of length [`ScanUnit::rows`], in the Arrow form of the
    /// table's schema. Blocks on disk.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes, `NotFound` for a column the schema does not have.
    pub fn read(&self, columns: &[ColumnId]) -> Result<Vec<ArrayRef>> {
        columns.iter().map(|column| self.read_column(*column)).collect()
    }

    /// Where it comes from, for EXPLAIN: `memory` or `segment`.
    pub fn source(&self) -> &'static str {
        match self.source {
            Source::RowGroup { .. } => "segment",
            Source::Memory(_) => "memory",
        }
    }

    fn read_column(&self, id: ColumnId) -> Result<ArrayRef> {
        let column = self
            .schema
            .column_by_id(id)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("column does not exist: id={id}")))?;
        match self.source.read(id)? {
            None => default_array(column, self.rows),
            Some(stored) => self.visible_rows(column, stored),
        }
    }

    fn visible_rows(&self, column: &Column, stored: ArrayRef) -> Result<ArrayRef> {
        match self.visible.as_deref() {
            None => Ok(stored),
            Some([range]) => Ok(stored.slice(range.start, range.len())),
            Some(ranges) => {
                let slices: Vec<ArrayRef> = ranges.iter().map(|range| stored.slice(range.start, range.len())).collect();
                concat(&column.logical_type, &slices)
            }
        }
    }
}
