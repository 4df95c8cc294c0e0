//! Columns in, sealed file out.
//!
//! **Invariants**
//! 1. Memory is bounded by two row groups, one gathered and one encoded, plus the footer.
//! 2. Nothing is readable before [`SegmentWriter::finish`]: without its tail a file is refused.

use std::io::IoSlice;
use std::sync::Arc;

use arrow_array::ArrayRef;

use super::footer::{Chunk, Extent, Footer, RowGroup, encode_tail};
use super::{HEADER, ROW_GROUP_ROWS_MAX, SegmentFacts, value_filter};
use crate::commit_runs::CommitRuns;
use crate::concat::concat;
use crate::encoding::{ALIGNMENT, Encoder};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SnapshotId};
use crate::io::{Disk, DiskFile};
use crate::logical_type::LogicalType;

/// Bytes after which what was written is synced. 16 MiB: a sync at the end that covered the whole file would hold up the log's.
const SYNC_EVERY_BYTES: usize = 16 << 20;

/// Writes one segment.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    path: String,
    file: Arc<dyn DiskFile>,
    row_group_rows: usize,
    /// Rows of the next row group, by column.
    gathered: Vec<Vec<ArrayRef>>,
    gathered_commits: CommitRuns,
    encoder: Encoder,
    footer: Footer,
    /// Encoded bytes that go to `position`.
    buffer: Vec<u8>,
    position: u64,
    unsynced_bytes: usize,
    value_filters: bool,
}

impl SegmentWriter {
    /// Creates the file, to hold these columns in this order.
    ///
    /// # Errors
    /// Those of the disk; `Invalid` for a row group of no rows or more than [`ROW_GROUP_ROWS_MAX`].
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        path: &str,
        columns: &[(ColumnId, LogicalType)],
        row_group_rows: usize,
    ) -> Result<Self> {
        if !(1..=ROW_GROUP_ROWS_MAX).contains(&row_group_rows) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("rows of a row group: expected=1 to {ROW_GROUP_ROWS_MAX}, found={row_group_rows}"),
            ));
        }
        let file = disk.create(path).map_err(|error| Error::io("create", path, error))?;
        let mut buffer = HEADER.encode().to_vec();
        align(&mut buffer);
        Ok(Self {
            path: path.to_owned(),
            file,
            row_group_rows,
            gathered: vec![Vec::new(); columns.len()],
            gathered_commits: CommitRuns::default(),
            encoder: Encoder::default(),
            footer: Footer { columns: columns.to_vec(), row_groups: Vec::new() },
            buffer,
            position: 0,
            unsynced_bytes: 0,
            value_filters: true,
        })
    }

    /// Whether column chunks get filters over their values, where such a filter pays; they do unless told.
    pub(crate) fn with_value_filters(self, value_filters: bool) -> Self {
        Self { value_filters, ..self }
    }

    /// Bytes written to the file so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.position
    }

    /// Adds rows; `columns` are in the order given to [`SegmentWriter::create`], each of `rows` values.
    ///
    /// # Errors
    /// Those of the disk, `Internal` if the columns do not fit. The file is then of no use and is to be removed.
    pub(crate) fn append(&mut self, rows: usize, columns: &[ArrayRef], commits: &CommitRuns) -> Result<()> {
        let fits = columns.len() == self.gathered.len()
            && commits.rows() == rows
            && columns.iter().all(|column| column.len() == rows);
        if !fits {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("rows do not fit the segment: file={}, rows={rows}, columns={}", self.path, columns.len()),
            ));
        }
        let mut start = 0;
        while start < rows {
            let count = (rows - start).min(self.row_group_rows - self.gathered_commits.rows());
            for (gathered, column) in self.gathered.iter_mut().zip(columns) {
                gathered.push(column.slice(start, count));
            }
            self.gathered_commits.append(&commits.slice(start..start + count));
            start += count;
            if self.gathered_commits.rows() == self.row_group_rows {
                self.write_row_group()?;
            }
        }
        Ok(())
    }

    /// Writes what is left, the footer and the tail. The contents are durable on return; the name is when the caller has synced the folder.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn finish(mut self) -> Result<SegmentFacts> {
        if self.gathered_commits.rows() > 0 {
            self.write_row_group()?;
        }
        let footer_offset = self.position + self.buffer.len() as u64;
        let start = self.buffer.len();
        self.footer.encode(&mut self.buffer);
        let checksum = crc32fast::hash(&self.buffer[start..]);
        self.buffer.extend_from_slice(&encode_tail(footer_offset, checksum));
        self.write_buffer()?;
        self.sync()?;
        let groups = &self.footer.row_groups;
        Ok(SegmentFacts {
            bytes: self.position,
            rows: groups.iter().map(|group| group.rows as u64).sum(),
            checksum,
            first_snapshot: groups.iter().map(|group| group.first_snapshot).min().unwrap_or_default(),
            last_snapshot: groups.iter().map(|group| group.last_snapshot).max().unwrap_or_default(),
        })
    }

    fn write_row_group(&mut self) -> Result<()> {
        let mut chunks = Vec::with_capacity(self.gathered.len());
        for i in 0..self.gathered.len() {
            chunks.push(self.encode_column(i)?);
        }
        let commits = std::mem::take(&mut self.gathered_commits);
        let (first_snapshot, last_snapshot) = (bound(commits.first()), bound(commits.last()));
        let commits_extent = self.put_body(|_, body| {
            if first_snapshot != last_snapshot {
                commits.encode(body);
            }
        });
        self.footer.row_groups.push(RowGroup {
            rows: commits.rows(),
            first_snapshot,
            last_snapshot,
            commits: commits_extent.1,
            chunks,
        });
        self.write_buffer()?;
        match self.unsynced_bytes > SYNC_EVERY_BYTES {
            true => self.sync(),
            false => Ok(()),
        }
    }

    fn encode_column(&mut self, column: usize) -> Result<Chunk> {
        let parts = std::mem::take(&mut self.gathered[column]);
        let ty = self.footer.columns[column].1.clone();
        let array = match <[ArrayRef; 1]>::try_from(parts) {
            Ok([only]) if *only.data_type() == ty.arrow() => only,
            Ok(only) => concat(&ty, &only)?,
            Err(parts) => concat(&ty, &parts)?,
        };
        let ((form, zone_map), extent) = self.put_body(|encoder, body| encoder.encode(&ty, &array, body));
        let filter = self.value_filters.then(|| value_filter::build(&ty, form.encoding, &array)).flatten();
        let filter = filter.map(|filter| self.put_body(|_, body| body.extend_from_slice(&filter)).1);
        Ok(Chunk { form, extent, filter, zone_map })
    }

    /// Appends a body and pads it to the next aligned place.
    fn put_body<T>(&mut self, put: impl FnOnce(&mut Encoder, &mut Vec<u8>) -> T) -> (T, Extent) {
        let start = self.buffer.len();
        let said = put(&mut self.encoder, &mut self.buffer);
        let body = &self.buffer[start..];
        let extent =
            Extent { offset: self.position + start as u64, bytes: body.len() as u64, crc: crc32fast::hash(body) };
        align(&mut self.buffer);
        (said, extent)
    }

    fn write_buffer(&mut self) -> Result<()> {
        let written = self.file.write_at(self.position, &[IoSlice::new(&self.buffer)]);
        written.map_err(|error| Error::io("write", &self.path, error))?;
        self.position += self.buffer.len() as u64;
        self.unsynced_bytes += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.unsynced_bytes = 0;
        self.file.sync().map_err(|error| Error::io("sync", &self.path, error))
    }
}

/// Pads with zeros; the buffer itself starts at an aligned place of the file.
fn align(buffer: &mut Vec<u8>) {
    buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
}

fn bound(snapshot: Option<SnapshotId>) -> SnapshotId {
    snapshot.expect("a row group has rows")
}
