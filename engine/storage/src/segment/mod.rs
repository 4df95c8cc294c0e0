//! Segments: immutable columnar files. `docs/formats/segment.md` has the bytes.
//!
//! **Invariants**
//! 1. A segment never changes once [`SegmentWriter::finish`] has returned; it describes itself.
//! 2. Every byte is covered: the header by its checksum, bodies by checksums in the footer, the footer by one in the tail and in the
//!    manifest, padding by being zero (which only [`Segment::verify`] looks at).
//! 3. Bodies start at multiples of 64 bytes, so that plain numbers are used where the file is mapped.
//! 4. A row group has at least one row, and all but the last have the same number.
//!
//! It does not know tables, names, current schemas or which segments are live.

mod describe;
mod footer;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod reader;
mod value_filter;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use describe::describe;
pub(crate) use reader::Segment;
pub(crate) use writer::SegmentWriter;

use crate::frame::FileHeader;
use crate::ids::SnapshotId;

/// First bytes of a segment.
pub(crate) const HEADER: FileHeader = FileHeader { magic: *b"\x93SLTseg\n", version: 2 };

/// Most rows of a row group that a reader takes; it bounds what one chunk can make it allocate.
pub(crate) const ROW_GROUP_ROWS_MAX: usize = 1 << 20;

/// Most rows of a segment: positions are 32-bit.
pub(crate) const ROWS_MAX: u64 = u32::MAX as u64;

/// What the manifest has to know about a finished segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentFacts {
    /// Length of the file.
    pub(crate) bytes: u64,
    /// Number of rows.
    pub(crate) rows: u64,
    /// crc32 of the footer, and by way of the checksums in it, of everything.
    pub(crate) checksum: u32,
    /// Lowest commit of its rows; zero without rows.
    pub(crate) first_snapshot: SnapshotId,
    /// Highest commit of its rows; zero without rows.
    pub(crate) last_snapshot: SnapshotId,
}
