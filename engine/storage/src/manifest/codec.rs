//! Bytes of a manifest (`docs/formats/manifest.md`).

use std::collections::BTreeMap;

use super::{DeletesEntry, Manifest, SegmentEntry};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::frame::{ByteReader, FILE_HEADER_BYTES, FileHeader, PutBytes};
use crate::ids::{SegmentId, SnapshotId, TableId};
use crate::schema_codec::{decode_flag, decode_table, encode_table};
use crate::view_codec::{decode_optional_text, decode_view, encode_optional_text, encode_view};

pub(super) const HEADER: FileHeader = FileHeader { magic: *b"\x89SILTMAN", version: 3 };

/// First bytes of a manifest.
pub(crate) const MAGIC: [u8; 8] = HEADER.magic;

/// Header, then u32 body length, u32 body crc32, body.
pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut body = Vec::new();
    body.put_u64(manifest.generation);
    body.put_u64(manifest.checkpoint.0);
    body.put_i64(manifest.checkpoint_time_us);
    body.put_u64(manifest.next_table.0);
    body.put_u64(manifest.next_segment.0);
    body.put(&manifest.key_secret);
    body.put_u64(manifest.deletes_through.0);
    body.put_u64(manifest.horizon.0);
    body.put_u32(manifest.row_counts.len() as u32);
    for (table, rows) in &manifest.row_counts {
        body.put_u64(table.0);
        body.put_u64(*rows);
    }
    encode_catalog(&manifest.catalog, &mut body);
    body.put_u32(manifest.segments.len() as u32);
    for segment in &manifest.segments {
        encode_segment(segment, &mut body);
    }
    let mut bytes = HEADER.encode().to_vec();
    bytes.put_u32(body.len() as u32);
    bytes.put_u32(crc32fast::hash(&body));
    bytes.put(&body);
    bytes
}

pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<Manifest> {
    HEADER.check(file, bytes)?;
    let mut frame = ByteReader::new(file, FILE_HEADER_BYTES as u64, &bytes[FILE_HEADER_BYTES..]);
    let length = frame.u32()? as usize;
    let checksum = frame.u32()?;
    let body = frame.take(length)?;
    let found = crc32fast::hash(body);
    if found != checksum {
        return Err(frame.corrupt(format_args!("crc32 {checksum:08x}"), format_args!("{found:08x}")));
    }
    frame.finish()?;
    decode_body(ByteReader::new(file, FILE_HEADER_BYTES as u64 + 8, body))
}

fn decode_body(mut reader: ByteReader<'_>) -> Result<Manifest> {
    let generation = reader.u64()?;
    let checkpoint = SnapshotId(reader.u64()?);
    let checkpoint_time_us = reader.i64()?;
    let next_table = TableId(reader.u64()?);
    let next_segment = SegmentId(reader.u64()?);
    let mut key_secret = [0; 16];
    key_secret.copy_from_slice(reader.take(16)?);
    let deletes_through = SnapshotId(reader.u64()?);
    let horizon = SnapshotId(reader.u64()?);
    let row_counts = (0..reader.count(16)?)
        .map(|_| Ok((TableId(reader.u64()?), reader.u64()?)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    let catalog = decode_catalog(&mut reader)?;
    let segments =
        (0..reader.count(SEGMENT_BYTES_MIN)?).map(|_| decode_segment(&mut reader)).collect::<Result<Vec<_>>>()?;
    reader.finish()?;
    Ok(Manifest {
        generation,
        checkpoint,
        checkpoint_time_us,
        next_table,
        next_segment,
        key_secret,
        deletes_through,
        horizon,
        row_counts,
        catalog,
        segments,
    })
}

/// Fewest bytes of a view: the lengths of six texts, two flags, the number of columns.
const VIEW_BYTES_MIN: usize = 30;
/// Fewest bytes of a segment's entry: five numbers, three flags.
const SEGMENT_BYTES_MIN: usize = 39;

fn encode_segment(segment: &SegmentEntry, out: &mut Vec<u8>) {
    out.put_u64(segment.id.0);
    out.put_u64(segment.table.0);
    out.put_u64(segment.rows);
    out.put_u64(segment.bytes);
    out.put_u32(segment.checksum);
    out.put_u8(u8::from(segment.first_row.is_some()));
    if let Some(row) = segment.first_row {
        out.put_u64(row);
    }
    out.put_u8(u8::from(segment.commit.is_some()));
    if let Some(commit) = segment.commit {
        out.put_u64(commit.0);
    }
    out.put_u8(u8::from(segment.deletes.is_some()));
    if let Some(deletes) = &segment.deletes {
        out.put_u64(deletes.file.0);
        out.put_u64(deletes.bytes);
        out.put_u32(deletes.checksum);
        out.put_u64(deletes.through.0);
    }
}

fn decode_segment(reader: &mut ByteReader<'_>) -> Result<SegmentEntry> {
    Ok(SegmentEntry {
        id: SegmentId(reader.u64()?),
        table: TableId(reader.u64()?),
        rows: reader.u64()?,
        bytes: reader.u64()?,
        checksum: reader.u32()?,
        first_row: decode_flag(reader)?.then(|| reader.u64()).transpose()?,
        commit: decode_flag(reader)?.then(|| reader.u64().map(SnapshotId)).transpose()?,
        deletes: decode_flag(reader)?.then(|| decode_deletes(reader)).transpose()?,
    })
}

fn decode_deletes(reader: &mut ByteReader<'_>) -> Result<DeletesEntry> {
    Ok(DeletesEntry {
        file: SegmentId(reader.u64()?),
        bytes: reader.u64()?,
        checksum: reader.u32()?,
        through: SnapshotId(reader.u64()?),
    })
}

fn encode_catalog(catalog: &Catalog, out: &mut Vec<u8>) {
    out.put_u32(catalog.databases().count() as u32);
    for database in catalog.databases() {
        out.put_sized(database.name().as_bytes());
        out.put_u32(database.schemas().count() as u32);
        for schema in database.schemas() {
            out.put_sized(schema.name().as_bytes());
            encode_optional_text(schema.comment(), out);
        }
    }
    out.put_u32(catalog.tables().count() as u32);
    for table in catalog.tables() {
        encode_table(table, out);
    }
    let views = || catalog.databases().flat_map(|database| database.schemas()).flat_map(|schema| schema.views());
    out.put_u32(views().count() as u32);
    views().for_each(|view| encode_view(view, out));
}

fn decode_catalog(reader: &mut ByteReader<'_>) -> Result<Catalog> {
    let mut catalog = Catalog::default();
    for _ in 0..reader.count(8)? {
        let database = reader.text()?;
        catalog.insert_database(database).map_err(|error| reader.corrupt("a new database", error))?;
        for _ in 0..reader.count(5)? {
            let schema = reader.text()?;
            let comment = decode_optional_text(reader)?;
            let inserted = catalog.insert_schema(database, schema, comment.as_deref());
            inserted.map_err(|error| reader.corrupt("a new schema", error))?;
        }
    }
    for _ in 0..reader.count(24)? {
        let table = decode_table(reader)?;
        catalog.insert_table(table).map_err(|error| reader.corrupt("a new table", error))?;
    }
    for _ in 0..reader.count(VIEW_BYTES_MIN)? {
        let view = decode_view(reader)?;
        catalog.insert_view(view).map_err(|error| reader.corrupt("a new view", error))?;
    }
    Ok(catalog)
}
