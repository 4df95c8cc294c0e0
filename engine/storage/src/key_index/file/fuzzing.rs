//! The check of a key index's decoder, for [`crate::fuzzing`].

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use arrow_buffer::Buffer;

use super::layout::Description;
use super::{SegmentKeyIndex, Subject};
use crate::frame::ByteReader;
use crate::fuzzing::{FILE, REPAIR};
use crate::ids::{ColumnId, SegmentId};
use crate::key_index::keys::{KeyHasher, Keys};
use crate::logical_type::LogicalType;

/// Flag of an input: keys are text.
const WIDE: u8 = 2;
/// Most bucket bits of a repaired file, which bounds its length.
const BUCKET_BITS_MAX: u8 = 6;
const SECRET: [u8; 16] = *b"sixteen bytes ok";

/// An input is a set of flags, the segment's rows (u16), and a file; or with [`REPAIR`] in place of the file the rows in the index (u16),
/// bucket bits (a byte) and the bodies, one after the other.
pub fn key_index(bytes: &[u8]) {
    let mut reader = ByteReader::new(FILE, 0, bytes);
    let (Ok(flags), Ok(low), Ok(high)) = (reader.u8(), reader.u8(), reader.u8()) else { return };
    let segment_rows = u32::from(u16::from_le_bytes([low, high]));
    let keys = keys(flags & WIDE > 0, (0..i64::from(segment_rows.min(100))).map(Some));
    let subject = subject(segment_rows, &keys.0);
    let file = match flags & REPAIR {
        0 => reader.take(reader.remaining()).ok().map(<[u8]>::to_vec),
        _ => repaired(&subject, &mut reader),
    };
    let Some(file) = file else { return };
    let Ok(index) = SegmentKeyIndex::open(FILE, Buffer::from_vec(file), &subject) else { return };
    check_look_ups(&index, &keys.1, segment_rows);
}

/// As [`key_index`] reads its input with [`REPAIR`], for keys that are numbers.
pub(crate) fn repaired_file(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = ByteReader::new(FILE, 0, bytes);
    let segment_rows = u32::from(u16::from_le_bytes([reader.u8().ok()?, reader.u8().ok()?]));
    let (hasher, _) = keys(false, std::iter::empty());
    repaired(&subject(segment_rows, &hasher), &mut reader)
}

/// A file with these bodies and the right description, checksums and padding; missing bytes are zeros.
fn repaired(subject: &Subject, reader: &mut ByteReader<'_>) -> Option<Vec<u8>> {
    let rows = u16::from_le_bytes([reader.u8().ok()?, reader.u8().ok()?]);
    let bucket_bits = reader.u8().ok()? % (BUCKET_BITS_MAX + 1);
    let mut description = Description::new(subject, u32::from(rows), bucket_bits);
    let bodies = description.bodies();
    let mut file = vec![0; bodies.file_bytes];
    for (checksum, body) in description.checksums.iter_mut().zip(bodies.in_order()) {
        let given = reader.take(body.len().min(reader.remaining())).ok()?;
        file[body.start..body.start + given.len()].copy_from_slice(given);
        *checksum = crc32fast::hash(&file[body]);
    }
    let described = description.encode();
    file[..described.len()].copy_from_slice(&described);
    Some(file)
}

/// Every row that is found is one of the segment, and found for a row that was asked for.
fn check_look_ups(index: &SegmentKeyIndex, keys: &Keys, segment_rows: u32) {
    let wanted: Vec<u32> = (0..keys.rows() as u32).step_by(3).collect();
    let mut found = Vec::new();
    index.find(keys, &wanted, &mut found);
    assert!(found.is_sorted_by_key(|(row, _)| *row), "in the order asked for");
    assert!(found.iter().all(|(row, position)| wanted.contains(row) && *position < segment_rows));
    assert!(index.rows() <= segment_rows as usize);
}

/// How numbers become keys, and these.
fn keys(wide: bool, values: impl Iterator<Item = Option<i64>>) -> (KeyHasher, Keys) {
    let (ty, column): (_, ArrayRef) = if wide {
        let texts = values.map(|value| value.map(|value| format!("key {value}")));
        (LogicalType::Varchar, Arc::new(texts.collect::<StringViewArray>()))
    } else {
        (LogicalType::BigInt, Arc::new(values.collect::<Int64Array>()))
    };
    let hasher = KeyHasher::new(&[ty], SECRET).expect("a type that can be a key");
    let keys = hasher.hash(&[column]).expect("the columns of the key");
    (hasher, keys)
}

fn subject(segment_rows: u32, hasher: &KeyHasher) -> Subject {
    Subject {
        segment: SegmentId(42),
        segment_rows,
        segment_checksum: 0xfeed_beef,
        columns: vec![ColumnId(3)],
        layout: hasher.layout().clone(),
        absent: Vec::new(),
    }
}

/// Whole files.
#[cfg(test)]
pub(crate) fn file_seeds() -> Vec<Vec<u8>> {
    let whole = seeds().into_iter().filter(|input| input[0] & REPAIR == 0);
    whole.map(|input| input[3..].to_vec()).collect()
}

/// Indexes of both forms: empty, of one row, of repeated keys and NULLs, of several buckets; whole and as bodies.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for (wide, rows) in [false, true].into_iter().flat_map(|wide| [0_u16, 1, 9, 60, 150].map(|rows| (wide, rows))) {
        let values = (0..i64::from(rows)).map(|row| (row % 11 != 5).then_some(if row > 30 { row / 40 } else { row }));
        let (hasher, keys) = keys(wide, values);
        let subject = subject(u32::from(rows), &hasher);
        let file = SegmentKeyIndex::build(&subject, &keys, None);
        let flags = if wide { WIDE } else { 0 };
        inputs.push([&[flags], &rows.to_le_bytes()[..], &file].concat());
        let description = Description::read(FILE, &file, &subject).unwrap();
        let indexed = SegmentKeyIndex::open(FILE, file.clone(), &subject).unwrap().rows() as u16;
        let mut input = [&[flags | REPAIR], &rows.to_le_bytes()[..], &indexed.to_le_bytes()].concat();
        input.push(description.bucket_bits);
        description.bodies().in_order().into_iter().for_each(|body| input.extend_from_slice(&file[body]));
        inputs.push(input);
    }
    inputs
}
