//! The footer and the tail of a segment: columns, row groups, where each body lies and what it holds.
//!
//! **Invariants**
//! 1. The tail is the last 16 bytes: offset of the footer (u64), crc32 of the footer, crc32 of the 12 bytes before.
//! 2. A footer that decodes is consistent: bodies lie between the header and the footer at aligned offsets, counts agree, bounds are of
//!    the column's type.

use crate::array_codec::{decode_type, decode_value, encode_type, encode_value};
use crate::encoding::{ALIGNMENT, ChunkForm, Compression, Encoding};
use crate::error::{Error, ErrorKind, Result};
use crate::frame::{ByteReader, PutBytes};
use crate::ids::{ColumnId, SnapshotId};
use crate::logical_type::LogicalType;
use crate::schema::TableSchema;
use crate::segment::{ROW_GROUP_ROWS_MAX, value_filter};
use crate::value::Value;
use crate::zone_map::ZoneMap;

/// Bytes of the tail.
pub(super) const TAIL_BYTES: usize = 16;

/// Fewest bytes of a column in the footer: id and type tag.
const COLUMN_BYTES_MIN: usize = 5;
/// Fewest bytes of a row group in the footer: rows, snapshots, extent of the commit runs.
const ROW_GROUP_BYTES_MIN: usize = 4 + 16 + EXTENT_BYTES;
const EXTENT_BYTES: usize = 20;

/// Where a body lies, and its checksum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) crc: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chunk {
    pub(super) form: ChunkForm,
    pub(super) extent: Extent,
    /// The filter over its values, if it has one.
    pub(super) filter: Option<Extent>,
    pub(super) zone_map: ZoneMap,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct RowGroup {
    pub(super) rows: usize,
    pub(super) first_snapshot: SnapshotId,
    pub(super) last_snapshot: SnapshotId,
    /// The commit runs; empty if all rows are of one commit.
    pub(super) commits: Extent,
    /// One per column, in the order of the columns.
    pub(super) chunks: Vec<Chunk>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Footer {
    pub(super) columns: Vec<(ColumnId, LogicalType)>,
    pub(super) row_groups: Vec<RowGroup>,
}

impl Footer {
    /// Appends the footer.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u32(self.columns.len() as u32);
        for (id, ty) in &self.columns {
            out.put_u32(id.0);
            encode_type(ty, out);
        }
        out.put_u32(u32::try_from(self.row_groups.len()).expect("fewer than 2^32 row groups"));
        for group in &self.row_groups {
            out.put_u32(group.rows as u32);
            out.put_u64(group.first_snapshot.0);
            out.put_u64(group.last_snapshot.0);
            encode_extent(group.commits, out);
            group.chunks.iter().for_each(|chunk| encode_chunk(chunk, out));
        }
    }

    /// Reads and checks a footer that starts at `end_of_bodies` in the file.
    ///
    /// # Errors
    /// `Corrupt` for what [`Footer::encode`] does not write, `Unsupported` for an encoding of a later version.
    pub(super) fn decode(file: &str, end_of_bodies: u64, bytes: &[u8]) -> Result<Self> {
        let mut reader = ByteReader::new(file, end_of_bodies, bytes);
        let columns = decode_columns(&mut reader)?;
        let groups = reader.count(ROW_GROUP_BYTES_MIN)?;
        let mut row_groups = Vec::with_capacity(groups);
        for _ in 0..groups {
            row_groups.push(decode_row_group(&columns, file, end_of_bodies, &mut reader)?);
        }
        reader.finish()?;
        Ok(Self { columns, row_groups })
    }
}

fn decode_columns(reader: &mut ByteReader<'_>) -> Result<Vec<(ColumnId, LogicalType)>> {
    let count = reader.count(COLUMN_BYTES_MIN)?;
    if count > TableSchema::COLUMNS_MAX {
        return Err(reader.corrupt(format_args!("at most {} columns", TableSchema::COLUMNS_MAX), count));
    }
    (0..count).map(|_| Ok((ColumnId(reader.u32()?), decode_type(reader)?))).collect()
}

fn decode_row_group(
    columns: &[(ColumnId, LogicalType)],
    file: &str,
    end_of_bodies: u64,
    reader: &mut ByteReader<'_>,
) -> Result<RowGroup> {
    let rows = reader.u32()? as usize;
    if !(1..=ROW_GROUP_ROWS_MAX).contains(&rows) {
        return Err(reader.corrupt(format_args!("1 to {ROW_GROUP_ROWS_MAX} rows"), rows));
    }
    let (first_snapshot, last_snapshot) = (SnapshotId(reader.u64()?), SnapshotId(reader.u64()?));
    let commits = decode_extent(end_of_bodies, reader)?;
    if first_snapshot > last_snapshot || (commits.bytes == 0) != (first_snapshot == last_snapshot) {
        return Err(reader.corrupt("commit runs if there are several commits", format_args!("{} bytes", commits.bytes)));
    }
    let chunks =
        columns.iter().map(|(_, ty)| decode_chunk(ty, rows, file, end_of_bodies, reader)).collect::<Result<_>>()?;
    Ok(RowGroup { rows, first_snapshot, last_snapshot, commits, chunks })
}

fn encode_extent(extent: Extent, out: &mut Vec<u8>) {
    out.put_u64(extent.offset);
    out.put_u64(extent.bytes);
    out.put_u32(extent.crc);
}

fn decode_extent(end_of_bodies: u64, reader: &mut ByteReader<'_>) -> Result<Extent> {
    let extent = Extent { offset: reader.u64()?, bytes: reader.u64()?, crc: reader.u32()? };
    let end = extent.offset.checked_add(extent.bytes);
    let aligned = extent.offset.is_multiple_of(ALIGNMENT as u64) && extent.offset >= ALIGNMENT as u64;
    if !aligned || end.is_none_or(|end| end > end_of_bodies) {
        return Err(reader.corrupt(
            format_args!("a body at a multiple of {ALIGNMENT} before {end_of_bodies}"),
            format_args!("offset={}, bytes={}", extent.offset, extent.bytes),
        ));
    }
    Ok(extent)
}

fn encode_chunk(chunk: &Chunk, out: &mut Vec<u8>) {
    out.put_u8(chunk.form.encoding as u8);
    out.put_u8(chunk.form.compression as u8);
    out.put_u8(u8::from(chunk.zone_map.exact));
    out.put_u32(chunk.form.null_count as u32);
    out.put_u64(chunk.form.value_bytes);
    encode_extent(chunk.extent, out);
    out.put_u8(u8::from(chunk.filter.is_some()));
    if let Some(filter) = chunk.filter {
        encode_extent(filter, out);
    }
    encode_value(chunk.zone_map.min.as_ref(), out);
    encode_value(chunk.zone_map.max.as_ref(), out);
}

fn decode_chunk(
    ty: &LogicalType,
    rows: usize,
    file: &str,
    end_of_bodies: u64,
    reader: &mut ByteReader<'_>,
) -> Result<Chunk> {
    let (encoding, compression) = (reader.u8()?, reader.u8()?);
    let exact = match reader.u8()? {
        0 => false,
        1 => true,
        found => return Err(reader.corrupt("0 or 1 for exact bounds", found)),
    };
    let encoding = Encoding::from_tag(encoding).ok_or_else(|| unknown("encoding", encoding, file))?;
    let compression = Compression::from_tag(compression).ok_or_else(|| unknown("compression", compression, file))?;
    let null_count = reader.u32()? as usize;
    if null_count > rows {
        return Err(reader.corrupt(format_args!("at most {rows} NULLs"), null_count));
    }
    let form = ChunkForm { encoding, compression, null_count, value_bytes: reader.u64()? };
    let extent = decode_extent(end_of_bodies, reader)?;
    let filter = decode_filter(rows, end_of_bodies, reader)?;
    let (min, max) = (decode_bound(ty, reader)?, decode_bound(ty, reader)?);
    if exact && (min.is_none() || max.is_none()) {
        return Err(reader.corrupt("bounds that are called exact", "none"));
    }
    Ok(Chunk { form, extent, filter, zone_map: ZoneMap { min, max, exact, null_count: null_count as u64 } })
}

fn decode_filter(rows: usize, end_of_bodies: u64, reader: &mut ByteReader<'_>) -> Result<Option<Extent>> {
    match reader.u8()? {
        0 => Ok(None),
        1 => {
            let extent = decode_extent(end_of_bodies, reader)?;
            match value_filter::is_length(extent.bytes, rows) {
                true => Ok(Some(extent)),
                false => {
                    Err(reader
                        .corrupt(format_args!("a filter over {rows} rows"), format_args!("{} bytes", extent.bytes)))
                }
            }
        }
        found => Err(reader.corrupt("0 or 1 for a filter", found)),
    }
}

fn unknown(what: &str, tag: u8, file: &str) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{what} not known: file={file}, tag={tag}"))
}

fn decode_bound(ty: &LogicalType, reader: &mut ByteReader<'_>) -> Result<Option<Value>> {
    let bound = decode_value(reader)?;
    let has_bounds = !matches!(ty, LogicalType::Json | LogicalType::Interval);
    match bound.as_ref().is_none_or(|value| has_bounds && value.is_of(ty)) {
        true => Ok(bound),
        false => Err(reader.corrupt(format_args!("a bound of {ty}"), format_args!("{bound:?}"))),
    }
}

/// The tail of a file whose footer starts at `offset`.
pub(super) fn encode_tail(offset: u64, footer_crc: u32) -> [u8; TAIL_BYTES] {
    let mut tail = [0; TAIL_BYTES];
    tail[..8].copy_from_slice(&offset.to_le_bytes());
    tail[8..12].copy_from_slice(&footer_crc.to_le_bytes());
    let crc = crc32fast::hash(&tail[..12]);
    tail[12..].copy_from_slice(&crc.to_le_bytes());
    tail
}

/// Offset and checksum of the footer, from a whole file.
///
/// # Errors
/// `Corrupt` if the tail is damaged or names no place in the file.
pub(super) fn decode_tail(file: &str, bytes: &[u8]) -> Result<(u64, u32)> {
    let start = bytes.len().saturating_sub(TAIL_BYTES);
    let mut reader = ByteReader::new(file, start as u64, &bytes[start..]);
    let (offset, footer_crc) = (reader.u64()?, reader.u32()?);
    let (expected, found) = (crc32fast::hash(&bytes[start..start + 12]), reader.u32()?);
    if expected != found {
        return Err(reader.corrupt(format_args!("tail checksum {expected:#010x}"), format_args!("{found:#010x}")));
    }
    if offset > start as u64 || offset < ALIGNMENT as u64 || !offset.is_multiple_of(ALIGNMENT as u64) {
        return Err(reader.corrupt(format_args!("a footer before {start}"), offset));
    }
    Ok((offset, footer_crc))
}
