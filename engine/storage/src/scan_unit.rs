//! A horizontal slice of a table that is read on its own: a row group of a segment, or a batch in memory.
//!
//! **Invariants**
//! 1. What a unit shows never changes: deletions made after its snapshot are not among those it was made with.
//! 2. Its rows are the stored ones written up to its snapshot, less those deleted up to it, in stored order.
//!
//! It does not know how the units of a table are found.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, UInt64Array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use roaring::RoaringBitmap;

use crate::columns::{default_array, default_zone_map};
use crate::commit_runs::CommitRuns;
use crate::concat::concat;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::memtable::MemBatch;
use crate::row_set::RowSet;
use crate::schema::{Column, TableSchema};
use crate::state::LiveSegment;
use crate::zone_map::ZoneMap;

mod selected;

pub use selected::Selected;

/// Where the rows of a unit lie.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    RowGroup { segment: Arc<LiveSegment>, row_group: usize },
    Memory(Arc<MemBatch>),
}

impl Source {
    /// Which commit wrote each row.
    pub(crate) fn commits(&self) -> Result<Cow<'_, CommitRuns>> {
        Ok(match self {
            Self::RowGroup { segment, row_group } => Cow::Owned(segment.reader.commit_runs(*row_group)?),
            Self::Memory(batch) => Cow::Borrowed(batch.commits()),
        })
    }

    /// Lowest and highest commit of its rows.
    pub(crate) fn snapshots(&self) -> (SnapshotId, SnapshotId) {
        match self {
            Self::RowGroup { segment, row_group } => segment.reader.snapshots(*row_group),
            Self::Memory(batch) => {
                (batch.commits().first().unwrap_or_default(), batch.commits().last().unwrap_or_default())
            }
        }
    }

    fn stored_rows(&self) -> usize {
        match self {
            Self::RowGroup { segment, row_group } => segment.reader.rows(*row_group),
            Self::Memory(batch) => batch.rows(),
        }
    }

    /// `None`: these rows were written before the column existed.
    pub(crate) fn read(&self, column: ColumnId) -> Result<Option<ArrayRef>> {
        match self {
            Self::RowGroup { segment, row_group } => segment.read(*row_group, column),
            Self::Memory(batch) => Ok(batch.column(column).cloned()),
        }
    }

    /// The same if it takes no decoding.
    fn kept(&self, column: ColumnId) -> Option<ArrayRef> {
        match self {
            Self::RowGroup { segment, row_group } => segment.kept(*row_group, column),
            Self::Memory(batch) => batch.column(column).cloned(),
        }
    }
}

/// A horizontal slice of a table that is read on its own: a row group of a segment, or a batch in memory.
#[derive(Clone, Debug)]
pub struct ScanUnit {
    table: TableId,
    /// Among the units of its table, in their order.
    number: u32,
    source: Source,
    schema: Arc<TableSchema>,
    rows: usize,
    /// Stored rows that were written by then; `None`: all.
    written: Option<Vec<Range<usize>>>,
    /// Those of them that were deleted by then; `None`: none.
    deleted: Option<Arc<RoaringBitmap>>,
}

impl ScanUnit {
    /// `None` if nothing of it can be seen at `at`. `deleted`: stored rows deleted by then.
    pub(crate) fn as_of(
        table: TableId,
        source: Source,
        deleted: Option<Arc<RoaringBitmap>>,
        schema: &Arc<TableSchema>,
        at: SnapshotId,
    ) -> Result<Option<Self>> {
        let (first, last) = source.snapshots();
        if first > at {
            return Ok(None);
        }
        let written = if last <= at { None } else { Some(source.commits()?.visible(at)) };
        let written_rows: usize =
            written.as_ref().map_or(source.stored_rows(), |ranges| ranges.iter().map(ExactSizeIterator::len).sum());
        let rows = written_rows - deleted.as_ref().map_or(0, |deleted| deleted.len() as usize);
        let unit = Self { table, number: 0, source, schema: Arc::clone(schema), rows, written, deleted };
        Ok(Some(unit).filter(|unit| unit.rows > 0))
    }

    /// Numbers the units of a table.
    pub(crate) fn number(units: &mut [Self]) {
        for (number, unit) in (0..).zip(units) {
            unit.number = number;
        }
    }

    /// Exact number of visible rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What is known of a column; `None`: nothing. Bounds and null count cover at least the visible rows; they are
    /// exact statistics only if all stored rows are visible.
    pub fn zone_map(&self, column: ColumnId) -> Option<ZoneMap> {
        let column = self.schema.column_by_id(column)?;
        let zone_map = match &self.source {
            Source::Memory(batch) if batch.column(column.id).is_some() => return None,
            Source::RowGroup { segment, row_group } if segment.reader.column_type(column.id).is_some() => {
                segment.reader.zone_map(*row_group, column.id)?
            }
            Source::Memory(_) | Source::RowGroup { .. } => default_zone_map(column, self.source.stored_rows()),
        };
        let exact = zone_map.exact && self.is_whole();
        Some(ZoneMap { exact, ..zone_map })
    }

    /// Whether all stored rows are visible, so that null counts of [`ScanUnit::zone_map`] are exact.
    pub fn is_whole(&self) -> bool {
        self.written.is_none() && self.deleted.is_none()
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
        let mask = self.deleted.as_ref().map(|_| self.mask());
        columns.iter().map(|column| self.read_column(*column, mask.as_ref())).collect()
    }

    /// Where it comes from, for EXPLAIN: `memory` or `segment`.
    pub fn source(&self) -> &'static str {
        match self.source {
            Source::RowGroup { .. } => "segment",
            Source::Memory(_) => "memory",
        }
    }

    /// The rows where `selected` is true, to be deleted by a commit: one value per visible row, in the order of [`ScanUnit::read`].
    ///
    /// # Panics
    /// If there are more or fewer values than visible rows.
    pub fn row_set(&self, selected: &BooleanArray) -> RowSet {
        assert_eq!(selected.len(), self.rows, "one value per visible row");
        let chosen = |row: usize| selected.is_valid(row) && selected.value(row);
        let positions = match self.is_whole() {
            true => (0..self.rows).filter(|row| chosen(*row)).map(|row| row as u32).collect(),
            false => {
                let mask = self.mask();
                let visible = mask.set_indices().enumerate();
                visible.filter(|(row, _)| chosen(*row)).map(|(_, position)| position as u32).collect()
            }
        };
        RowSet::of(self.table, self.source.clone(), positions)
    }

    /// One bit per stored row: whether it is visible.
    fn mask(&self) -> BooleanBuffer {
        let stored = self.source.stored_rows();
        let mut bits = BooleanBufferBuilder::new(stored);
        match &self.written {
            None => bits.append_n(stored, true),
            Some(ranges) => {
                for range in ranges {
                    bits.append_n(range.start - bits.len(), false);
                    bits.append_n(range.len(), true);
                }
                bits.append_n(stored - bits.len(), false);
            }
        }
        for position in self.deleted.iter().flat_map(|deleted| deleted.iter()) {
            bits.set_bit(position as usize, false);
        }
        bits.finish()
    }

    fn first_address(&self) -> u64 {
        u64::from(self.number) << 32
    }

    fn addresses(&self) -> ArrayRef {
        let first = self.first_address();
        Arc::new(UInt64Array::from_iter_values(first..first + self.rows as u64))
    }

    fn read_column(&self, id: ColumnId, mask: Option<&BooleanBuffer>) -> Result<ArrayRef> {
        if id == ColumnId::ADDRESS {
            return Ok(self.addresses());
        }
        let column = self
            .schema
            .column_by_id(id)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("column does not exist: id={id}")))?;
        match (self.source.read(id)?, mask) {
            (None, _) => default_array(column, self.rows),
            (Some(stored), None) => self.written_rows(column, stored),
            (Some(stored), Some(mask)) => filtered(&stored, mask),
        }
    }

    fn written_rows(&self, column: &Column, stored: ArrayRef) -> Result<ArrayRef> {
        match self.written.as_deref() {
            None => Ok(stored),
            Some([range]) => Ok(stored.slice(range.start, range.len())),
            Some(ranges) => {
                let slices: Vec<ArrayRef> = ranges.iter().map(|range| stored.slice(range.start, range.len())).collect();
                concat(&column.logical_type, &slices)
            }
        }
    }
}

fn filtered(stored: &ArrayRef, mask: &BooleanBuffer) -> Result<ArrayRef> {
    arrow_select::filter::filter(stored, &BooleanArray::new(mask.clone(), None))
        .map_err(|error| Error::with_source(ErrorKind::Internal, "rows cannot be filtered", error))
}
