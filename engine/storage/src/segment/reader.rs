//! A segment as it is read: the footer at once, then only the column chunks asked for.
//!
//! **Invariants**
//! 1. Magic, version, length and checksum are checked in that order before anything is allocated by what the file says.
//! 2. A body's checksum is checked the first time the body is read. That its bytes decode is checked every time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;
use arrow_schema::DataType;

use super::footer::{Extent, Footer, TAIL_BYTES, decode_tail};
use super::{HEADER, ROWS_MAX, value_filter};
use crate::commit_runs::CommitRuns;
use crate::condition::{Condition, Decision};
use crate::encoding::{self, Compression, Encoding, Matches};
use crate::error::{Error, Result};
use crate::frame::{ByteReader, FILE_HEADER_BYTES};
use crate::ids::{ColumnId, SnapshotId};
use crate::logical_type::LogicalType;
use crate::zone_map::ZoneMap;

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    file: String,
    buffer: Buffer,
    footer: Footer,
    /// Where a column is among the chunks of a row group.
    places: HashMap<ColumnId, usize>,
    rows: u64,
    /// Per row group, the position of its first row.
    first_rows: Vec<u32>,
    footer_offset: u64,
    /// Which bodies have been checked: per row group the chunks, then the commit runs, then the filters of the chunks.
    checked: Vec<AtomicBool>,
}

impl Segment {
    /// Opens a mapped file of which the manifest says `bytes` and `checksum`.
    ///
    /// # Errors
    /// `Corrupt` if the file is damaged or another one than the manifest means, `Unsupported` for a later format.
    pub(crate) fn open(file: &str, buffer: Buffer, bytes: u64, checksum: u32) -> Result<Self> {
        HEADER.check(file, &buffer)?;
        if buffer.len() as u64 != bytes {
            return Err(Error::corrupt(file, 0, format_args!("{bytes} bytes"), buffer.len()));
        }
        let (footer_offset, named) = decode_tail(file, &buffer)?;
        let footer_bytes = &buffer[footer_offset as usize..buffer.len() - TAIL_BYTES];
        let found = crc32fast::hash(footer_bytes);
        if found != checksum || found != named {
            return Err(Error::corrupt(
                file,
                footer_offset,
                format_args!("footer checksum {checksum:#010x}"),
                format_args!("{found:#010x}"),
            ));
        }
        let footer = Footer::decode(file, footer_offset, footer_bytes)?;
        let places: HashMap<_, _> = footer.columns.iter().enumerate().map(|(i, (id, _))| (*id, i)).collect();
        if places.len() != footer.columns.len() {
            return Err(Error::corrupt(file, footer_offset, "distinct column ids", "one twice"));
        }
        let rows = footer.row_groups.iter().map(|group| group.rows as u64).sum();
        if rows > ROWS_MAX {
            return Err(Error::corrupt(file, footer_offset, format_args!("at most {ROWS_MAX} rows"), rows));
        }
        let first_rows = footer.row_groups.iter().scan(0, |next, group| {
            let first = *next;
            *next += group.rows as u32;
            Some(first)
        });
        let bodies = footer.row_groups.len() * (2 * footer.columns.len() + 1);
        Ok(Self {
            file: file.to_owned(),
            rows,
            first_rows: first_rows.collect(),
            checked: (0..bodies).map(|_| AtomicBool::new(false)).collect(),
            buffer,
            footer,
            places,
            footer_offset,
        })
    }

    /// The same rows as those of one commit. The file says of them that they are of commit 0.
    ///
    /// # Errors
    /// `Corrupt` if it says anything else.
    pub(crate) fn of_commit(&self, commit: SnapshotId) -> Result<Self> {
        let mut footer = self.footer.clone();
        for group in &mut footer.row_groups {
            if (group.first_snapshot, group.last_snapshot) != (SnapshotId(0), SnapshotId(0)) {
                let found = format_args!("{} to {}", group.first_snapshot, group.last_snapshot);
                return Err(Error::corrupt(&self.file, self.footer_offset, "rows of commit 0", found));
            }
            (group.first_snapshot, group.last_snapshot) = (commit, commit);
        }
        Ok(Self {
            file: self.file.clone(),
            buffer: self.buffer.clone(),
            footer,
            places: self.places.clone(),
            rows: self.rows,
            first_rows: self.first_rows.clone(),
            footer_offset: self.footer_offset,
            checked: self.checked.iter().map(|_| AtomicBool::new(false)).collect(),
        })
    }

    /// Columns and their types.
    pub(crate) fn columns(&self) -> &[(ColumnId, LogicalType)] {
        &self.footer.columns
    }

    /// Number of row groups.
    pub(crate) fn row_groups(&self) -> usize {
        self.footer.row_groups.len()
    }

    /// Rows of all row groups.
    pub(crate) fn total_rows(&self) -> u64 {
        self.rows
    }

    /// The type that a column has here; `None` if the segment does not have it.
    pub(crate) fn column_type(&self, column: ColumnId) -> Option<&LogicalType> {
        self.places.get(&column).map(|place| &self.footer.columns[*place].1)
    }

    /// Rows of a row group. Like all calls that take one, it panics past the last.
    pub(crate) fn rows(&self, row_group: usize) -> usize {
        self.footer.row_groups[row_group].rows
    }

    /// Position in the segment of a row group's first row.
    pub(crate) fn first_row(&self, row_group: usize) -> u32 {
        self.first_rows[row_group]
    }

    /// The row group of a position, and the place in it. Panics past the last row.
    pub(crate) fn locate(&self, position: u32) -> (usize, u32) {
        let row_group = self.first_rows.partition_point(|first| *first <= position) - 1;
        (row_group, position - self.first_rows[row_group])
    }

    /// Lowest and highest commit of a row group's rows: what they alone decide needs no [`Segment::commit_runs`].
    pub(crate) fn snapshots(&self, row_group: usize) -> (SnapshotId, SnapshotId) {
        let group = &self.footer.row_groups[row_group];
        (group.first_snapshot, group.last_snapshot)
    }

    /// What is known of a column chunk; `None` if the segment does not have the column.
    pub(crate) fn zone_map(&self, row_group: usize, column: ColumnId) -> Option<ZoneMap> {
        let place = *self.places.get(&column)?;
        Some(self.footer.row_groups[row_group].chunks[place].zone_map.clone())
    }

    /// Bytes of a column chunk in the file; 0 if the segment does not have the column.
    pub(crate) fn chunk_bytes(&self, row_group: usize, column: ColumnId) -> u64 {
        self.places.get(&column).map_or(0, |place| self.footer.row_groups[row_group].chunks[*place].extent.bytes)
    }

    /// Encoding and compression of a column chunk, for people; empty if the segment does not have the column.
    #[cfg(feature = "bench")]
    pub(crate) fn chunk_form(&self, row_group: usize, column: ColumnId) -> String {
        let Some(place) = self.places.get(&column) else { return String::new() };
        let form = self.footer.row_groups[row_group].chunks[*place].form;
        format!("{:?}, {:?}", form.encoding, form.compression)
    }

    /// Which commit wrote each row of a row group.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes.
    pub(crate) fn commit_runs(&self, row_group: usize) -> Result<CommitRuns> {
        let group = &self.footer.row_groups[row_group];
        if group.first_snapshot == group.last_snapshot {
            return Ok(CommitRuns::of(group.first_snapshot, group.rows));
        }
        let body = self.body(row_group, group.chunks.len(), group.commits)?;
        let mut reader = ByteReader::new(&self.file, group.commits.offset, &body);
        let runs = CommitRuns::decode(group.rows, &mut reader)?;
        let (first, last) = (Some(group.first_snapshot), Some(group.last_snapshot));
        if (runs.first(), runs.last()) != (first, last) {
            return Err(reader.corrupt(
                format_args!("commits {} to {}", group.first_snapshot, group.last_snapshot),
                format_args!("{:?} to {:?}", runs.first(), runs.last()),
            ));
        }
        reader.finish()?;
        Ok(runs)
    }

    /// The values of a column in a row group, in the Arrow form of [`Segment::column_type`]; `None` if the segment does not have the column.
    /// Blocks on disk; the array may keep the mapped file alive.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes.
    pub(crate) fn read(&self, row_group: usize, column: ColumnId) -> Result<Option<ArrayRef>> {
        self.places.get(&column).map(|place| self.read_place(row_group, *place)).transpose()
    }

    /// Whether reading a column chunk is work: not if its values are shown as they lie in the mapped file.
    pub(crate) fn is_decoded(&self, row_group: usize, column: ColumnId) -> bool {
        self.places.get(&column).is_some_and(|place| {
            let form = &self.footer.row_groups[row_group].chunks[*place].form;
            let is_text = matches!(self.footer.columns[*place].1.arrow(), DataType::Utf8View | DataType::BinaryView);
            form.encoding != Encoding::Plain || form.compression != Compression::None || is_text
        })
    }

    /// The values of a column at these row positions of a row group, which ascend strictly and are below [`Segment::rows`], without
    /// decoding the others where the encoding allows it; else as [`Segment::read`]. The array has memory of its own.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes.
    pub(crate) fn take(&self, row_group: usize, column: ColumnId, positions: &[u32]) -> Result<Option<ArrayRef>> {
        let Some(place) = self.places.get(&column).copied() else { return Ok(None) };
        let group = &self.footer.row_groups[row_group];
        let chunk = &group.chunks[place];
        let body = self.body(row_group, place, chunk.extent)?;
        let ty = &self.footer.columns[place].1;
        encoding::take(ty, group.rows, &chunk.form, &body, positions, &self.file, chunk.extent.offset).map(Some)
    }

    /// What is known, without reading the column, of the rows of a row group that meet a condition made for [`Segment::column_type`];
    /// `Unknown` if the segment does not have the column.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes.
    pub(crate) fn decide(&self, row_group: usize, column: ColumnId, condition: &Condition) -> Result<Decision> {
        let Some(place) = self.places.get(&column).copied() else { return Ok(Decision::Unknown) };
        let group = &self.footer.row_groups[row_group];
        let chunk = &group.chunks[place];
        let decision = condition.decide(&self.footer.columns[place].1, group.rows, &chunk.zone_map);
        let (Decision::Unknown, Some(extent), Some(wanted)) = (decision, chunk.filter, condition.wanted_bytes()) else {
            return Ok(decision);
        };
        let filter = self.body(row_group, group.chunks.len() + 1 + place, extent)?;
        match wanted.iter().any(|value| value_filter::may_contain(&filter, value)) {
            true => Ok(Decision::Unknown),
            false => Ok(Decision::None),
        }
    }

    /// Which rows of a row group meet a condition made for [`Segment::column_type`], by the encoded values; `None` if the segment does not
    /// have the column.
    ///
    /// # Errors
    /// `Corrupt` for damaged bytes.
    pub(crate) fn matches(&self, row_group: usize, column: ColumnId, condition: &Condition) -> Result<Option<Matches>> {
        let Some(place) = self.places.get(&column).copied() else { return Ok(None) };
        let group = &self.footer.row_groups[row_group];
        let chunk = &group.chunks[place];
        let body = self.body(row_group, place, chunk.extent)?;
        let ty = &self.footer.columns[place].1;
        encoding::matches(condition, ty, group.rows, &chunk.form, &body, &self.file, chunk.extent.offset).map(Some)
    }

    fn read_place(&self, row_group: usize, place: usize) -> Result<ArrayRef> {
        let group = &self.footer.row_groups[row_group];
        let chunk = &group.chunks[place];
        let body = self.body(row_group, place, chunk.extent)?;
        let ty = &self.footer.columns[place].1;
        encoding::decode(ty, group.rows, &chunk.form, &body, &self.file, chunk.extent.offset)
    }

    /// A body's bytes, checked the first time.
    fn body(&self, row_group: usize, place: usize, extent: Extent) -> Result<Buffer> {
        let body = self.buffer.slice_with_length(extent.offset as usize, extent.bytes as usize);
        let checked = &self.checked[row_group * (2 * self.footer.columns.len() + 1) + place];
        // Relaxed: the flag guards no other memory; at worst two readers check at once.
        if !checked.load(Ordering::Relaxed) {
            self.check_body(&body, extent)?;
            checked.store(true, Ordering::Relaxed);
        }
        Ok(body)
    }

    fn check_body(&self, body: &[u8], extent: Extent) -> Result<()> {
        let found = crc32fast::hash(body);
        if found != extent.crc {
            return Err(Error::corrupt(
                &self.file,
                extent.offset,
                format_args!("checksum {:#010x} of {} bytes", extent.crc, extent.bytes),
                format_args!("{found:#010x}"),
            ));
        }
        Ok(())
    }

    /// Reads and checks everything, padding included.
    ///
    /// # Errors
    /// `Corrupt` at the first damage.
    pub(crate) fn verify(&self) -> Result<()> {
        for row_group in 0..self.row_groups() {
            for place in 0..self.footer.columns.len() {
                self.verify_chunk(row_group, place)?;
            }
            self.verify_commits(row_group)?;
        }
        self.verify_gaps()
    }

    pub(super) fn footer(&self) -> &Footer {
        &self.footer
    }

    /// Reads and checks one column chunk, and its filter if it has one.
    pub(super) fn verify_chunk(&self, row_group: usize, place: usize) -> Result<()> {
        let chunk = &self.footer.row_groups[row_group].chunks[place];
        self.check_body(&self.buffer[range(chunk.extent)], chunk.extent)?;
        let array = self.read_place(row_group, place)?;
        chunk.filter.map_or(Ok(()), |filter| self.verify_filter(filter, &array))
    }

    /// Reads and checks the commit runs of a row group.
    pub(super) fn verify_commits(&self, row_group: usize) -> Result<()> {
        let extent = self.footer.row_groups[row_group].commits;
        self.check_body(&self.buffer[range(extent)], extent)?;
        self.commit_runs(row_group).map(drop)
    }

    /// Checks that bodies follow each other.
    pub(super) fn verify_gaps(&self) -> Result<()> {
        let mut extents = vec![Extent { offset: 0, bytes: FILE_HEADER_BYTES as u64, crc: 0 }];
        for group in &self.footer.row_groups {
            extents.extend(group.chunks.iter().flat_map(|chunk| [Some(chunk.extent), chunk.filter]).flatten());
            extents.push(group.commits);
        }
        extents.push(Extent { offset: self.footer_offset, ..Extent::default() });
        self.check_gaps(extents)
    }

    /// A filter denies no value of its chunk.
    fn verify_filter(&self, extent: Extent, array: &ArrayRef) -> Result<()> {
        let filter = &self.buffer[range(extent)];
        self.check_body(filter, extent)?;
        let texts = array
            .as_string_view_opt()
            .ok_or_else(|| Error::corrupt(&self.file, extent.offset, "a filter over text", array.data_type()))?;
        match texts.iter().flatten().find(|text| !value_filter::may_contain(filter, text.as_bytes())) {
            None => Ok(()),
            Some(denied) => Err(Error::corrupt(
                &self.file,
                extent.offset,
                "a filter that knows all values",
                format_args!("one that denies {denied:?}"),
            )),
        }
    }

    /// Bodies follow each other, with nothing but zeros between them.
    fn check_gaps(&self, mut extents: Vec<Extent>) -> Result<()> {
        extents.sort_by_key(|extent| (extent.offset, extent.bytes));
        for pair in extents.windows(2) {
            let (end, next) = (range(pair[0]).end, pair[1].offset as usize);
            if end > next {
                return Err(Error::corrupt(&self.file, next as u64, "bodies apart", "bodies that overlap"));
            }
            if let Some(at) = self.buffer[end..next].iter().position(|byte| *byte != 0) {
                return Err(Error::corrupt(
                    &self.file,
                    (end + at) as u64,
                    "zeros between bodies",
                    self.buffer[end + at],
                ));
            }
        }
        Ok(())
    }
}

pub(super) fn range(extent: Extent) -> std::ops::Range<usize> {
    extent.offset as usize..(extent.offset + extent.bytes) as usize
}
