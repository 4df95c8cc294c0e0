//! The append log: what makes an acknowledged commit durable before it is in a segment (`docs/formats/log.md`).
//!
//! A log is a row of files, `log/0000000001.log` and up. Each is allocated with zeros, overwritten from front to back, and
//! recycled once its records are in segments. A commit is one record; the committer writes a group of them at once.
//!
//! **Invariants**
//! 1. Records are aligned to 8 bytes, little-endian, and carry checksums of header and body; their snapshot ids have no gap.
//! 2. A file's number is its generation and is never used again; every record names it, so what a recycled file held
//!    before is never taken for new.
//! 3. A `.log` name appears only after the file's header is durable, and nothing in the file is acknowledged before its
//!    name is. The header declares the last snapshot id of all files before it; what an older file holds past that is void.
//! 4. A writer never puts anything new into a file it did not start. The records at the old end that nothing proves to be
//!    synced are written again, the same bytes, and synced before a new file vouches for them.
//! 5. The longest whole prefix of the last file stands; a bad record after which the log is proven to have been synced is
//!    corruption. Proof is a later record's or closing mark's word, the next file's header, or the checkpoint.
//! 6. Space is reserved before a record is written: a full disk refuses the whole group and changes nothing.
//! 7. No bytes make replay panic, or allocate more than the files hold.
//! 8. A group costs one write and one sync; a group that does not fit gets a file of its own size.
//!
//! It does not know what is in a body, when to flush, or that there are tables.

mod copy;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod reader;
mod record;
mod spares;
mod writer;

#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::frame::{ByteReader, FileHeader, PutBytes};
use crate::ids::SnapshotId;

pub(crate) use copy::copy;
pub(crate) use reader::{Found, Replayed, Walk, files, replay, walk};
pub(crate) use record::{Body, Record};
pub(crate) use spares::Spares;
pub(crate) use writer::LogWriter;

/// The folder of all log files.
pub(crate) const FOLDER: &str = "log";

/// Where records start: the header has a page of its own, so that no write of a record touches it.
const RECORDS_OFFSET: u64 = 4096;

/// Magic and version of a log file.
const FILE_HEADER: FileHeader = FileHeader { magic: *b"\x89slLOG\r\n", version: 3 };

/// First bytes of a log file.
pub(crate) const MAGIC: [u8; 8] = FILE_HEADER.magic;

/// Bytes of a header: the common 16, generation, base, salt, checksum, reserved.
const LOG_HEADER_BYTES: usize = 48;

/// Sizes of the log.
#[derive(Clone, Debug)]
pub(crate) struct LogOptions {
    /// Length of a log file.
    pub(crate) file_bytes: u64,
    /// Files kept for reuse.
    pub(crate) spare_files_max: usize,
    /// Bytes that stay free on the disk when a file is started.
    pub(crate) disk_reserve_bytes: u64,
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LogHeader {
    /// The number in its name.
    generation: u64,
    /// The last snapshot id of all files before it.
    base: SnapshotId,
    /// Goes into every record's header checksum: a client's bytes can hardly pass for a record.
    salt: u64,
}

impl LogHeader {
    fn encode(&self) -> [u8; LOG_HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(LOG_HEADER_BYTES);
        bytes.put(&FILE_HEADER.encode());
        bytes.put_u64(self.generation);
        bytes.put_u64(self.base.0);
        bytes.put_u64(self.salt);
        bytes.put_u32(crc32fast::hash(&bytes));
        bytes.put_u32(0);
        let mut header = [0; LOG_HEADER_BYTES];
        header.copy_from_slice(&bytes);
        header
    }

    /// # Errors
    /// `Corrupt` for damage, `Unsupported` for another version.
    fn decode(path: &str, bytes: &[u8]) -> Result<Self> {
        FILE_HEADER.check(path, bytes)?;
        let mut reader = ByteReader::new(path, 0, bytes);
        reader.take(crate::frame::FILE_HEADER_BYTES)?;
        let header = Self { generation: reader.u64()?, base: SnapshotId(reader.u64()?), salt: reader.u64()? };
        let expected = crc32fast::hash(&bytes[..reader.position()]);
        let found = (reader.u32()?, reader.u32()?);
        if found != (expected, 0) {
            let found = format_args!("{:#010x} and {}", found.0, found.1);
            return Err(Error::corrupt(path, 40, format_args!("header checksum {expected:#010x} and 0"), found));
        }
        Ok(header)
    }
}

/// A log file that is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LogFile {
    generation: u64,
    base: SnapshotId,
    /// Its length.
    file_bytes: u64,
    /// Bytes of its records; for a file that replay did not read, all it could hold.
    record_bytes: u64,
}

impl LogFile {
    fn path(&self) -> String {
        log_path(self.generation)
    }
}

fn log_path(generation: u64) -> String {
    format!("{FOLDER}/{generation:010}.log")
}

/// The number of a file of ours with this extension.
fn number_of(name: &str, extension: &str) -> Option<u64> {
    let (stem, found) = name.rsplit_once('.')?;
    let digits = stem.len() >= 10 && stem.bytes().all(|byte| byte.is_ascii_digit());
    if found == extension && digits { stem.parse().ok() } else { None }
}
