//! Single segments for benchmarks: columns in, a file, columns out, with no engine around it. Feature `bench`; no part of the
//! public surface.

use std::sync::Arc;

use arrow_array::ArrayRef;

use crate::commit_runs::CommitRuns;
use crate::error::{Error, Result};
use crate::ids::{ColumnId, SnapshotId};
use crate::io::Disk;
use crate::logical_type::LogicalType;
use crate::options::Options;
use crate::segment::{Segment, SegmentWriter};

/// A segment that was written and mapped.
#[derive(Debug)]
pub struct BenchSegment {
    segment: Segment,
    columns: usize,
    bytes: u64,
}

impl BenchSegment {
    /// Writes batches of columns of these types as one segment with the row groups of [`Options`], all of one commit, and opens it.
    ///
    /// # Errors
    /// Those of the disk; `Internal` for columns that are not of these types or not of one length.
    pub fn write(
        disk: &Arc<dyn Disk>,
        path: &str,
        types: &[LogicalType],
        batches: impl Iterator<Item = Vec<ArrayRef>>,
    ) -> Result<Self> {
        let columns: Vec<_> = (1..).map(ColumnId).zip(types.iter().cloned()).collect();
        let mut writer = SegmentWriter::create(disk, path, &columns, Options::default().row_group_rows)?;
        for batch in batches {
            let rows = batch.first().map_or(0, |column| column.len());
            writer.append(rows, &batch, &CommitRuns::of(SnapshotId(1), rows))?;
        }
        let facts = writer.finish()?;
        let file = disk.open(path).map_err(|error| Error::io("open", path, error))?;
        let map = file.map().map_err(|error| Error::io("map", path, error))?;
        let segment = Segment::open(path, map, facts.bytes, facts.checksum)?;
        Ok(Self { segment, columns: columns.len(), bytes: facts.bytes })
    }

    /// Length of the file.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Rows of the segment.
    pub fn rows(&self) -> u64 {
        self.segment.total_rows()
    }

    /// Bytes of a column's chunks, the first column being 0.
    pub fn column_bytes(&self, column: usize) -> u64 {
        let id = ColumnId(column as u32 + 1);
        (0..self.segment.row_groups()).map(|group| self.segment.chunk_bytes(group, id)).sum()
    }

    /// The form of a column's first chunk, for people.
    pub fn column_form(&self, column: usize) -> String {
        self.segment.chunk_form(0, ColumnId(column as u32 + 1))
    }

    /// Decodes a column and hands on each chunk; the first read of a chunk checks its checksum, later ones do not.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes.
    pub fn scan(&self, column: usize, mut each: impl FnMut(ArrayRef)) -> Result<()> {
        for group in 0..self.segment.row_groups() {
            self.segment.read(group, ColumnId(column as u32 + 1))?.map(&mut each);
        }
        Ok(())
    }

    /// Decodes all columns, row group by row group, and hands on the chunks.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes.
    pub fn scan_all(&self, mut each: impl FnMut(ArrayRef)) -> Result<()> {
        for group in 0..self.segment.row_groups() {
            for column in 0..self.columns {
                self.segment.read(group, ColumnId(column as u32 + 1))?.map(&mut each);
            }
        }
        Ok(())
    }
}
