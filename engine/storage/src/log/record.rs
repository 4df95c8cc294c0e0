//! Bytes of one record: a fixed header, the body, zeros up to a multiple of 8.
//!
//! **Invariants**
//! 1. A header decodes only with the salt and generation of its file, and only if every field is one a writer could
//!    have put there.
//! 2. `raw_bytes` is at most [`Body::RAW_BYTES_MAX`] and no more than the stored bytes can expand to.

use std::fmt;

use crate::frame::PutBytes;
use crate::ids::SnapshotId;

/// Bytes of a record's header.
pub(super) const RECORD_HEADER_BYTES: usize = 56;
/// Records start at multiples of this.
pub(super) const ALIGNMENT: u64 = 8;
/// First bytes of a record, not text.
const MAGIC: u32 = 0x8a5e_c0d1;
/// Bodies below this are not worth compressing.
const COMPRESS_BYTES_MIN: usize = 128;
/// Bytes of a tail's length.
pub(super) const TAIL_LENGTH_BYTES: usize = 4;
/// An lz4 length byte stands for at most this many bytes.
const LZ4_EXPANSION_MAX: u64 = 255;

const _: () = assert!((RECORD_HEADER_BYTES as u64).is_multiple_of(ALIGNMENT));

/// The commit of one record, ready to be written: compressed where that pays, with its checksum. Made on the thread of
/// whoever commits, so that the committer only copies.
#[derive(Debug)]
pub(crate) struct Body {
    stored: Vec<u8>,
    raw_bytes: usize,
    crc: u32,
    compression: Compression,
    has_tail: bool,
}

/// How a body is stored. The numbers are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Compression {
    Plain = 0,
    Lz4 = 1,
}

impl Body {
    /// Largest body before compression: 1 GiB, which also bounds what replay allocates for one record.
    pub(crate) const RAW_BYTES_MAX: usize = 1 << 30;

    /// Compresses where it saves at least an eighth. [`super::LogWriter::append`] refuses a body of more than
    /// [`Body::RAW_BYTES_MAX`].
    pub(crate) fn new(raw: Vec<u8>) -> Self {
        let raw_bytes = raw.len();
        let worth_trying = (COMPRESS_BYTES_MIN..=Self::RAW_BYTES_MAX).contains(&raw_bytes);
        let compressed = worth_trying.then(|| lz4_flex::block::compress(&raw));
        let (stored, compression) = match compressed {
            Some(compressed) if compressed.len() <= raw_bytes - raw_bytes / 8 => (compressed, Compression::Lz4),
            _ => (raw, Compression::Plain),
        };
        let crc = crc32fast::hash(&stored);
        Self { stored, raw_bytes, crc, compression, has_tail: false }
    }

    /// Adds what only the committer knows. It is stored as it is, behind the body, with its length (u32) after it.
    ///
    /// # Panics
    /// If there is a tail already.
    #[must_use]
    pub(crate) fn with_tail(mut self, tail: &[u8]) -> Self {
        assert!(!self.has_tail, "a body has one tail");
        let before = self.stored.len();
        self.stored.extend_from_slice(tail);
        self.stored.put_u32(u32::try_from(tail.len()).expect("a tail is shorter than its commit"));
        let mut hasher = crc32fast::Hasher::new_with_initial_len(self.crc, before as u64);
        hasher.update(&self.stored[before..]);
        Self { crc: hasher.finalize(), has_tail: true, ..self }
    }

    /// A body that was read from a log, where its checksum and lengths were checked.
    pub(super) fn from_stored(stored: Vec<u8>, compression: Compression, has_tail: bool, raw_bytes: usize) -> Self {
        let crc = crc32fast::hash(&stored);
        Self { stored, raw_bytes, crc, compression, has_tail }
    }

    /// Bytes in the log, without header and padding.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.stored.len()
    }

    pub(super) fn stored(&self) -> &[u8] {
        &self.stored
    }

    pub(super) fn fits(&self) -> bool {
        self.raw_bytes <= Self::RAW_BYTES_MAX && self.stored.len() <= 2 * Self::RAW_BYTES_MAX
    }
}

/// One commit to append.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// One more than the record before it.
    pub(crate) snapshot: SnapshotId,
    /// When the commit was made, in microseconds since 1970 UTC.
    pub(crate) time_us: i64,
    pub(crate) body: &'a Body,
}

/// Bytes of a record with a body of this size.
pub(super) fn record_bytes(stored_bytes: usize) -> u64 {
    (RECORD_HEADER_BYTES as u64 + stored_bytes as u64).next_multiple_of(ALIGNMENT)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A commit.
    Commit = 1,
    /// The log was closed here: everything before it is synced. No body.
    Close = 2,
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) kind: Kind,
    pub(super) compression: Compression,
    pub(super) has_tail: bool,
    pub(super) stored_bytes: u32,
    pub(super) raw_bytes: u32,
    pub(super) body_crc: u32,
    pub(super) snapshot: SnapshotId,
    pub(super) generation: u64,
    pub(super) time_us: i64,
    /// Everything up to here was synced when this was written.
    pub(super) synced: SnapshotId,
}

impl RecordHeader {
    /// Of a commit whose body [`Body::fits`].
    pub(super) fn commit(record: &Record<'_>, generation: u64, synced: SnapshotId) -> Self {
        let body = record.body;
        assert!(body.fits(), "a body that was checked has 32-bit lengths");
        Self {
            kind: Kind::Commit,
            compression: body.compression,
            has_tail: body.has_tail,
            stored_bytes: body.stored.len() as u32,
            raw_bytes: body.raw_bytes as u32,
            body_crc: body.crc,
            snapshot: record.snapshot,
            generation,
            time_us: record.time_us,
            synced,
        }
    }

    pub(super) fn close(last: SnapshotId, generation: u64, time_us: i64) -> Self {
        Self {
            kind: Kind::Close,
            compression: Compression::Plain,
            has_tail: false,
            stored_bytes: 0,
            raw_bytes: 0,
            body_crc: 0,
            snapshot: last,
            generation,
            time_us,
            synced: last,
        }
    }

    /// Bytes of the whole record.
    pub(super) fn bytes(&self) -> u64 {
        record_bytes(self.stored_bytes as usize)
    }

    /// Appends [`RECORD_HEADER_BYTES`] bytes.
    pub(super) fn encode(&self, salt: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.put_u32(MAGIC);
        out.put_u32(0);
        out.put_u32(self.stored_bytes);
        out.put_u32(self.raw_bytes);
        out.put_u32(self.body_crc);
        out.put_u8(self.kind as u8);
        out.put_u8(self.compression as u8);
        out.put_u8(u8::from(self.has_tail));
        out.put_u8(0);
        out.put_u64(self.snapshot.0);
        out.put_u64(self.generation);
        out.put_i64(self.time_us);
        out.put_u64(self.synced.0);
        let crc = header_crc(salt, &out[start + 8..]);
        out[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    /// Whether a header could start here; cheap, for the search after damage.
    pub(super) fn may_start(bytes: &[u8; RECORD_HEADER_BYTES]) -> bool {
        bytes.starts_with(&MAGIC.to_le_bytes())
    }

    /// # Errors
    /// What is wrong, when this is not the header of a record of that file.
    pub(super) fn decode(bytes: &[u8; RECORD_HEADER_BYTES], salt: u64, generation: u64) -> Result<Self, Mismatch> {
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        check("record magic", MAGIC, u32_at(0))?;
        check("record header checksum", header_crc(salt, &bytes[8..]), u32_at(4))?;
        check("generation", generation, u64_at(32))?;
        check("reserved byte", 0, bytes[23])?;
        let kind = match bytes[20] {
            1 => Kind::Commit,
            2 => Kind::Close,
            other => return Err(Mismatch::new("record kind 1 or 2", other)),
        };
        let compression = match bytes[21] {
            0 => Compression::Plain,
            1 => Compression::Lz4,
            other => return Err(Mismatch::new("compression 0 or 1", other)),
        };
        let has_tail = match bytes[22] {
            0 => false,
            1 => true,
            other => return Err(Mismatch::new("0 or 1 for a tail", other)),
        };
        let header = Self {
            kind,
            compression,
            has_tail,
            stored_bytes: u32_at(8),
            raw_bytes: u32_at(12),
            body_crc: u32_at(16),
            snapshot: SnapshotId(u64_at(24)),
            generation,
            time_us: u64_at(40) as i64,
            synced: SnapshotId(u64_at(48)),
        };
        header.check_lengths()?;
        header.check_synced()?;
        Ok(header)
    }

    fn check_lengths(&self) -> Result<(), Mismatch> {
        let (stored, raw) = (u64::from(self.stored_bytes), u64::from(self.raw_bytes));
        let possible = match (self.kind, self.compression) {
            (Kind::Close, compression) => {
                compression == Compression::Plain && stored == 0 && raw == 0 && !self.has_tail
            }
            (Kind::Commit, Compression::Plain) if self.has_tail => stored >= raw + TAIL_LENGTH_BYTES as u64,
            (Kind::Commit, Compression::Lz4) if self.has_tail => raw <= stored * LZ4_EXPANSION_MAX,
            (Kind::Commit, Compression::Plain) => stored == raw,
            (Kind::Commit, Compression::Lz4) => stored < raw && raw <= stored * LZ4_EXPANSION_MAX,
        };
        if possible && raw <= Body::RAW_BYTES_MAX as u64 {
            return Ok(());
        }
        Err(Mismatch::new("possible lengths", format_args!("stored {stored} and raw {raw} bytes")))
    }

    fn check_synced(&self) -> Result<(), Mismatch> {
        let possible = match self.kind {
            Kind::Commit => self.synced < self.snapshot,
            Kind::Close => self.synced == self.snapshot,
        };
        if possible {
            return Ok(());
        }
        Err(Mismatch::new("a possible synced snapshot", self.synced))
    }
}

fn header_crc(salt: u64, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Makes the header of a record out of bytes that need not be one, for fuzzing: the fields stay, but for the magic, the generation and
/// the checksums, that of the body only if it is at hand.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn repair_header(bytes: &mut [u8; RECORD_HEADER_BYTES], salt: u64, generation: u64, body: Option<&[u8]>) {
    bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
    if let Some(body) = body {
        bytes[16..20].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
    }
    bytes[32..40].copy_from_slice(&generation.to_le_bytes());
    let crc = header_crc(salt, &bytes[8..]);
    bytes[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Why bytes are not a record.
#[derive(Debug)]
pub(super) struct Mismatch {
    pub(super) expected: String,
    pub(super) found: String,
}

impl Mismatch {
    pub(super) fn new(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self { expected: expected.to_string(), found: found.to_string() }
    }
}

/// Compares a field, reporting both values.
pub(super) fn check<T: PartialEq + fmt::LowerHex>(what: &str, expected: T, found: T) -> Result<(), Mismatch> {
    if expected == found {
        return Ok(());
    }
    Err(Mismatch::new(format_args!("{what} {expected:#x}"), format_args!("{found:#x}")))
}

#[cfg(test)]
mod tests;
