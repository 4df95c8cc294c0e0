//! Column chunks as arrays, kept in memory once they are decoded, while there is room.
//!
//! **Invariants**
//! 1. What is kept is what decoding gives: a chunk never changes, and the segments of a database have different ids.
//! 2. The arrays kept weigh at most the budget. An array may keep the mapped file of its segment alive, so a segment that is no longer
//!    in use takes its chunks with it.
//!
//! Which chunk goes when room is needed is the library's to say: one that was asked for once goes before one that was asked for again, so
//! that a look at a whole large table does not empty the cache.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};
use arrow_data::ArrayData;
use quick_cache::{Weighter, sync::Cache};

use crate::ids::{ColumnId, SegmentId};

/// Rows of a chunk times bytes of a value, by and large: what tells the cache how many chunks to expect.
const CHUNK_BYTES: u64 = 512 << 10;

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct ChunkPlace {
    segment: SegmentId,
    row_group: u32,
    column: ColumnId,
}

/// Decoded column chunks of all tables of a database.
pub(crate) struct ChunkCache {
    chunks: Cache<ChunkPlace, ArrayRef, Bytes>,
}

impl std::fmt::Debug for ChunkCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl ChunkCache {
    /// Room for so many bytes.
    pub(crate) fn new(bytes_max: u64) -> Self {
        let items = usize::try_from(bytes_max / CHUNK_BYTES).unwrap_or(usize::MAX).max(16);
        Self { chunks: Cache::with_weighter(items, bytes_max, Bytes) }
    }

    /// What the chunks weigh.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.weight()
    }
}

/// The chunks of one segment; they go with it.
#[derive(Debug)]
pub(crate) struct SegmentChunks {
    cache: Arc<ChunkCache>,
    segment: SegmentId,
    row_groups: u32,
    columns: Vec<ColumnId>,
}

impl SegmentChunks {
    /// Of a segment with so many row groups and these columns.
    pub(crate) fn new(cache: Arc<ChunkCache>, segment: SegmentId, row_groups: usize, columns: Vec<ColumnId>) -> Self {
        Self { cache, segment, row_groups: row_groups as u32, columns }
    }

    /// The chunk, if it is kept.
    pub(crate) fn get(&self, row_group: usize, column: ColumnId) -> Option<ArrayRef> {
        self.cache.chunks.get(&self.place(row_group as u32, column))
    }

    /// Keeps a chunk, if there is room for it at all.
    pub(crate) fn keep(&self, row_group: usize, column: ColumnId, array: &ArrayRef) {
        self.cache.chunks.insert(self.place(row_group as u32, column), Arc::clone(array));
    }

    fn place(&self, row_group: u32, column: ColumnId) -> ChunkPlace {
        ChunkPlace { segment: self.segment, row_group, column }
    }
}

impl Drop for SegmentChunks {
    /// Nobody can ask for them any more, and they may keep the file.
    fn drop(&mut self) {
        for row_group in 0..self.row_groups {
            for column in &self.columns {
                self.cache.chunks.remove(&self.place(row_group, *column));
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<ChunkPlace, ArrayRef> for Bytes {
    fn weight(&self, _: &ChunkPlace, array: &ArrayRef) -> u64 {
        // One of no bytes at all would be kept for ever.
        (bytes_of(&array.to_data()) + size_of::<ChunkPlace>()) as u64
    }
}

/// Bytes that an array shows; not those of a whole buffer, which may be a file's.
fn bytes_of(array: &ArrayData) -> usize {
    let nulls = array.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
    let buffers: usize = array.buffers().iter().map(arrow_buffer::Buffer::len).sum();
    nulls + buffers + array.child_data().iter().map(bytes_of).sum::<usize>()
}

#[cfg(test)]
mod tests;
