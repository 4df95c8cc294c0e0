//! The key index of one segment: an immutable file that is used where it is mapped. `docs/formats/key-index.md` has its bytes.
//!
//! **Invariants**
//! 1. It is made of a segment and nothing else, so it can always be made again: a missing or damaged one costs time, not data.
//! 2. Every byte is covered: the header by its checksum, the description by one that it ends in, bodies by checksums in the description,
//!    padding by being zero. All of it is checked once, when the file is opened; afterwards no look-up can fail or leave the bodies.
//! 3. It says what it was made of (segment, its rows and checksum, key columns, their kinds, the database's secret), and is refused for
//!    anything else.
//! 4. Bodies start at multiples of 64 bytes. Within a bucket, and so in the whole file, rows are sorted by the first half of the hash, then by
//!    position.
//!
//! It does not know which rows are deleted or who needs the index.

mod build;
mod find;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod layout;
#[cfg(test)]
mod tests;

use std::io::IoSlice;

pub(crate) use layout::describe;

use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, ScalarBuffer};
use siphasher::sip::SipHasher24;

use self::layout::{Bodies, Description};
use super::keys::{KeyForm, KeyLayout, Keys};
use crate::error::{Error, Result};
use crate::frame::{FileHeader, PutBytes};
use crate::ids::{ColumnId, SegmentId};
use crate::io::Disk;

/// First bytes of a key index.
const HEADER: FileHeader = FileHeader { magic: *b"\x93SLTkey\n", version: 1 };

/// First bytes of a key index.
pub(crate) const MAGIC: [u8; 8] = HEADER.magic;

/// Bytes after which what was written is synced. 16 MiB: a sync at the end that covered the whole file would hold up the log's.
const SYNC_EVERY_BYTES: usize = 16 << 20;

/// What a key index is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The segment whose rows it finds.
    pub(crate) segment: SegmentId,
    /// Rows of that segment.
    pub(crate) segment_rows: u32,
    /// Checksum of its footer, as in the manifest: ids are unique in a data directory only.
    pub(crate) segment_checksum: u32,
    /// The key columns, in the order of the key.
    pub(crate) columns: Vec<ColumnId>,
    /// How keys become hashes.
    pub(crate) layout: KeyLayout,
    /// What the rows hold in key columns that the segment does not have: ids and defaults. The same id may be given to another column with
    /// another default, if the first one's commit was refused or its transaction rolled back.
    pub(crate) absent: Vec<u8>,
}

impl Subject {
    /// Name of the file in the folder of segments: the segment's id, a dash, a hash of the key columns, of how they are hashed, and of the
    /// defaults of those that the segment does not have. So a column that was changed to another kind has an index of another name.
    pub(crate) fn file_name(&self) -> String {
        let mut described = Vec::new();
        self.columns.iter().for_each(|column| described.put_u32(column.0));
        self.layout.encode(&mut described);
        described.put(&self.absent);
        format!("{:016x}-{:016x}.keys", self.segment.0, SipHasher24::new().hash(&described))
    }
}

/// An open key index.
#[derive(Debug)]
pub(crate) struct SegmentKeyIndex {
    form: KeyForm,
    bucket_bits: u8,
    /// Where each bucket starts, and the end of the last.
    offsets: ScalarBuffer<u32>,
    first: ScalarBuffer<u64>,
    /// Other halves of wide hashes; empty for exact ones.
    second: ScalarBuffer<u64>,
    positions: ScalarBuffer<u32>,
    bytes: usize,
}

impl SegmentKeyIndex {
    /// The bytes of an index of a segment whose rows have these keys, in order of position. Left out are rows without a key and those set in
    /// `left_out` (deleted for every reader to come).
    ///
    /// # Panics
    /// If the keys, or `left_out`, are not as many as the segment has rows, or of another form than the subject's.
    pub(crate) fn build(subject: &Subject, keys: &Keys, left_out: Option<&BooleanBuffer>) -> Buffer {
        build::build(subject, keys, left_out)
    }

    /// Writes and syncs the bytes of an index, in place of any file of that name. The contents are durable on return; the name is when the
    /// caller has synced the folder. A crash on the way can leave a part, which [`SegmentKeyIndex::open`] refuses.
    ///
    /// # Errors
    /// Those of the disk.
    pub(crate) fn write(disk: &dyn Disk, path: &str, bytes: &[u8]) -> Result<()> {
        let file = match disk.create(path) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                disk.remove(path).map_err(|error| Error::io("remove", path, error))?;
                disk.create(path)
            }
            created => created,
        };
        let file = file.map_err(|error| Error::io("create", path, error))?;
        let mut offset = 0;
        for part in bytes.chunks(SYNC_EVERY_BYTES) {
            file.write_at(offset, &[IoSlice::new(part)]).map_err(|error| Error::io("write", path, error))?;
            file.sync().map_err(|error| Error::io("sync", path, error))?;
            offset += part.len() as u64;
        }
        Ok(())
    }

    /// Opens the bytes of a file, and checks all of them; `file` is for messages.
    ///
    /// # Errors
    /// `Corrupt` if the file is damaged or of anything but this subject, `Unsupported` for a later format.
    pub(crate) fn open(file: &str, buffer: Buffer, subject: &Subject) -> Result<Self> {
        HEADER.check(file, &buffer)?;
        let description = Description::read(file, &buffer, subject)?;
        let bodies = description.bodies();
        bodies.check(file, &buffer, &description)?;
        let index = Self {
            form: subject.layout.form(),
            bucket_bits: description.bucket_bits,
            offsets: numbers(&buffer, &bodies.offsets),
            first: numbers(&buffer, &bodies.first),
            second: numbers(&buffer, &bodies.second),
            positions: numbers(&buffer, &bodies.positions),
            bytes: buffer.len(),
        };
        index.check(file, &bodies, subject)?;
        Ok(index)
    }

    /// Number of rows in the index.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn rows(&self) -> usize {
        self.positions.len()
    }

    /// Length of the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends to `found`, for each of the `wanted` rows of `keys`, every position of the segment with its key: (row of `keys`, position), in
    /// order of `wanted`, then of position. Rows without a key find nothing.
    ///
    /// # Panics
    /// If the keys are of another form than the index, or have no such row.
    pub(crate) fn find(&self, keys: &Keys, wanted: &[u32], found: &mut Vec<(u32, u32)>) {
        assert_eq!(keys.form(), self.form, "keys and index are of the same columns");
        find::find(self, keys, wanted, found);
    }

    /// What checksums cannot tell: that whoever wrote the bodies wrote an index.
    fn check(&self, file: &str, bodies: &Bodies, subject: &Subject) -> Result<()> {
        let rows = self.first.len();
        let ascend = self.offsets.windows(2).all(|pair| pair[0] <= pair[1]);
        let ends = (self.offsets.first(), self.offsets.last());
        if !ascend || ends != (Some(&0), Some(&(rows as u32))) {
            let expected = format_args!("buckets that ascend from 0 to {rows}");
            return Err(Error::corrupt(file, bodies.offsets.start as u64, expected, format_args!("{ends:?}")));
        }
        let sorted = self.first.windows(2).all(|pair| pair[0] <= pair[1]);
        // The hashes ascend, so the ends of a bucket speak for all of it.
        let in_place = self.offsets.windows(2).enumerate().filter(|(_, pair)| pair[0] < pair[1]).all(|(at, pair)| {
            let ends = [self.first[pair[0] as usize], self.first[pair[1] as usize - 1]];
            ends.iter().all(|hash| bucket(*hash, self.bucket_bits) == at)
        });
        if !sorted || !in_place {
            return Err(Error::corrupt(file, bodies.first.start as u64, "hashes sorted into buckets", "others"));
        }
        let highest = self.positions.iter().copied().max();
        if highest.is_some_and(|position| position >= subject.segment_rows) {
            let expected = format_args!("positions below {}", subject.segment_rows);
            return Err(Error::corrupt(file, bodies.positions.start as u64, expected, format_args!("{highest:?}")));
        }
        Ok(())
    }
}

/// The bucket of a hash: its highest bits. In two steps, because there may be no bits.
#[inline]
fn bucket(hash: u64, bits: u8) -> usize {
    ((hash >> 1) >> (63 - bits)) as usize
}

/// Numbers in place, or in a copy if they do not lie at a multiple of their size.
fn numbers<N: ArrowNativeType>(buffer: &Buffer, body: &std::ops::Range<usize>) -> ScalarBuffer<N> {
    let bytes = buffer.slice_with_length(body.start, body.len());
    let aligned = bytes.as_ptr().align_offset(align_of::<N>()) == 0;
    let bytes = if aligned { bytes } else { Buffer::from(bytes.as_slice()) };
    ScalarBuffer::new(bytes, 0, body.len() / size_of::<N>())
}
