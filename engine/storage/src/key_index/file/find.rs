//! Looks up many keys in one index.
//!
//! A look-up waits for memory, not for the processor: one cache line of offsets, one or two of hashes, and for a hit one of positions. So keys
//! are taken some at a time, and each of these steps is done for all of them in a loop without a branch that depends on what it loads: the
//! processor then has many lines under way at once.

use std::hint::black_box;

use super::{SegmentKeyIndex, bucket};
use crate::key_index::keys::Keys;

/// Keys taken at a time: their cache lines (three each) fit the smallest first-level cache of today, 32 KiB.
const GROUP_KEYS: usize = 128;

/// Rows of a bucket that are looked at one by one; a longer one, which only repeated keys make, is searched by halves.
const SCAN_ROWS: usize = 32;

/// A key that is looked for.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    row: u32,
    /// Its bucket.
    start: u32,
    end: u32,
    hash: u64,
}

/// See [`SegmentKeyIndex::find`].
pub(super) fn find(index: &SegmentKeyIndex, keys: &Keys, wanted: &[u32], found: &mut Vec<(u32, u32)>) {
    if index.positions.is_empty() {
        return;
    }
    let mut group = [Wanted::default(); GROUP_KEYS];
    // Row of `keys` and place in the index.
    let mut hits = Vec::with_capacity(wanted.len().min(GROUP_KEYS));
    for rows in wanted.chunks(GROUP_KEYS) {
        let group = &mut group[..rows.len()];
        find_buckets(index, keys, rows, group);
        touch(index, group);
        hits.clear();
        for key in group.iter().filter(|key| key.start < key.end && !keys.is_null(key.row)) {
            scan(index, key, &mut hits);
        }
        if index.second.is_empty() {
            found.extend(hits.iter().map(|(row, place)| (*row, index.positions[*place as usize])));
        } else {
            let same = |&&(row, place): &&(u32, u32)| index.second[place as usize] == keys.second(row);
            found.extend(hits.iter().filter(same).map(|(row, place)| (*row, index.positions[*place as usize])));
        }
    }
}

fn find_buckets(index: &SegmentKeyIndex, keys: &Keys, rows: &[u32], group: &mut [Wanted]) {
    let offsets = index.offsets.as_ref();
    for (key, row) in group.iter_mut().zip(rows) {
        let hash = keys.first(*row);
        let at = bucket(hash, index.bucket_bits);
        *key = Wanted { row: *row, start: offsets[at], end: offsets[at + 1], hash };
    }
}

/// Brings the hashes of the buckets into the cache.
fn touch(index: &SegmentKeyIndex, group: &[Wanted]) {
    let hashes = index.first.as_ref();
    let last = hashes.len() - 1;
    let loaded = group.iter().fold(0, |loaded, key| {
        let (start, end) = (key.start as usize, key.end as usize);
        loaded ^ hashes[start.min(last)] ^ hashes[end.saturating_sub(1)]
    });
    // Nobody needs the value, but the loads are to be made.
    black_box(loaded);
}

/// Adds the places of a bucket that have the key's hash.
fn scan(index: &SegmentKeyIndex, key: &Wanted, hits: &mut Vec<(u32, u32)>) {
    let (start, end) = (key.start as usize, key.end as usize);
    let hashes = &index.first[start..end];
    let skipped = if hashes.len() > SCAN_ROWS { hashes.partition_point(|hash| *hash < key.hash) } else { 0 };
    for (place, hash) in (start as u32 + skipped as u32..).zip(&hashes[skipped..]) {
        if *hash >= key.hash {
            if *hash > key.hash {
                break;
            }
            hits.push((key.row, place));
        }
    }
}
