//! Sorts the keys of a segment into the bytes of its index.
//!
//! **Invariant**: rows are counted and moved to their buckets; only the few rows of one bucket are compared with each other.

use arrow_buffer::{BooleanBuffer, Buffer, MutableBuffer, ToByteSlice};

use super::layout::{BUCKET_BITS_MAX, Bodies, Description};
use super::{Subject, bucket};
use crate::key_index::keys::Keys;

/// Most rows of a bucket on average: as many first halves of a hash as a cache line holds.
const BUCKET_ROWS: u32 = 8;

/// See [`super::SegmentKeyIndex::build`].
pub(super) fn build(subject: &Subject, keys: &Keys, left_out: Option<&BooleanBuffer>) -> Buffer {
    assert_eq!(keys.rows() as u64, u64::from(subject.segment_rows), "there is one key per row of the segment");
    assert_eq!(keys.form(), subject.layout.form(), "keys are hashed as the subject says");
    assert!(left_out.is_none_or(|rows| rows.len() == keys.rows()), "each row is left out or not");
    let indexed = |row: &u32| !keys.is_null(*row) && left_out.is_none_or(|rows| !rows.value(*row as usize));
    let rows = (0..subject.segment_rows).filter(indexed);
    let count = rows.clone().count() as u32;
    let bucket_bits = bucket_bits(count);
    let offsets = bucket_offsets(keys, rows.clone(), bucket_bits);
    let entries = sorted_entries(keys, rows, &offsets, bucket_bits);
    let description = Description::new(subject, count, bucket_bits);
    assemble(description, keys, &offsets, &entries)
}

/// Bits for buckets of [`BUCKET_ROWS`] or fewer.
fn bucket_bits(rows: u32) -> u8 {
    let buckets = rows.div_ceil(BUCKET_ROWS).max(1).next_power_of_two();
    (buckets.trailing_zeros() as u8).min(BUCKET_BITS_MAX)
}

/// Where each bucket starts, and the end of the last.
fn bucket_offsets(keys: &Keys, rows: impl Iterator<Item = u32>, bucket_bits: u8) -> Vec<u32> {
    let mut offsets = vec![0_u32; (1 << bucket_bits) + 1];
    for row in rows {
        offsets[bucket(keys.first(row), bucket_bits) + 1] += 1;
    }
    let mut end = 0;
    for offset in &mut offsets {
        end += *offset;
        *offset = end;
    }
    offsets
}

/// First half of the hash and position of each row, sorted.
fn sorted_entries(keys: &Keys, rows: impl Iterator<Item = u32>, offsets: &[u32], bucket_bits: u8) -> Vec<(u64, u32)> {
    let mut entries = vec![(0, 0); offsets.last().map_or(0, |end| *end as usize)];
    let mut free = offsets.to_vec();
    for row in rows {
        let hash = keys.first(row);
        let place = &mut free[bucket(hash, bucket_bits)];
        entries[*place as usize] = (hash, row);
        *place += 1;
    }
    for ends in offsets.windows(2) {
        entries[ends[0] as usize..ends[1] as usize].sort_unstable();
    }
    entries
}

/// The file's bytes.
fn assemble(mut description: Description, keys: &Keys, offsets: &[u32], entries: &[(u64, u32)]) -> Buffer {
    let bodies = description.bodies();
    let mut bytes = MutableBuffer::with_capacity(bodies.file_bytes);
    bytes.extend_zeros(bodies.offsets.start);
    bytes.extend_from_slice(offsets.to_byte_slice());
    bytes.extend_zeros(bodies.first.start - bytes.len());
    entries.iter().for_each(|(hash, _)| bytes.push(*hash));
    bytes.extend_zeros(bodies.second.start - bytes.len());
    if !bodies.second.is_empty() {
        entries.iter().for_each(|(_, row)| bytes.push(keys.second(*row)));
    }
    bytes.extend_zeros(bodies.positions.start - bytes.len());
    entries.iter().for_each(|(_, row)| bytes.push(*row));
    bytes.extend_zeros(bodies.file_bytes - bytes.len());
    sign(&mut description, &bodies, &mut bytes);
    bytes.into()
}

/// Puts the description, with the checksums of the bodies, in front of them.
pub(super) fn sign(description: &mut Description, bodies: &Bodies, bytes: &mut [u8]) {
    for (checksum, body) in description.checksums.iter_mut().zip(bodies.in_order()) {
        *checksum = crc32fast::hash(&bytes[body]);
    }
    bytes[..bodies.description_end].copy_from_slice(&description.encode());
}
