//! Framing shared by all formats: file headers, little-endian numbers, checked reading.
//!
//! **Invariants**
//! 1. Every file starts with a [`FileHeader`]: magic, format version, checksum of the header.
//! 2. A [`ByteReader`] never reads past its bytes and never allocates what a length field asks for before
//!    seeing that so many bytes are there.
//!
//! It does not know any format.

use crate::error::{Error, ErrorKind, Result};

/// Bytes of a file header.
pub(crate) const FILE_HEADER_BYTES: usize = 16;

/// First bytes of a file: 8-byte magic, u32 version, u32 crc32 of the 12 bytes before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileHeader {
    pub(crate) magic: [u8; 8],
    pub(crate) version: u32,
}

impl FileHeader {
    pub(crate) fn encode(self) -> [u8; FILE_HEADER_BYTES] {
        let mut bytes = [0; FILE_HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.magic);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..12]);
        bytes[12..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Checks magic, version and checksum, in that order.
    ///
    /// # Errors
    /// `Corrupt` for wrong magic or checksum, `Unsupported` for another version.
    pub(crate) fn check(self, file: &str, bytes: &[u8]) -> Result<()> {
        let found = bytes.get(..FILE_HEADER_BYTES).ok_or_else(|| {
            Error::corrupt(file, 0, format_args!("{FILE_HEADER_BYTES} header bytes"), format_args!("{}", bytes.len()))
        })?;
        if found[..8] != self.magic {
            return Err(Error::corrupt(
                file,
                0,
                format_args!("magic {:x?}", self.magic),
                format_args!("{:x?}", &found[..8]),
            ));
        }
        let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
        if found[..] == (Self { magic: self.magic, version }).encode() {
            if version == self.version {
                return Ok(());
            }
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("format version not known: file={file}, known={}, found={version}", self.version),
            ));
        }
        Err(Error::corrupt(file, 8, "header checksum", format_args!("{:x?}", &found[8..])))
    }
}

/// Appends little-endian numbers and length-prefixed bytes.
pub(crate) trait PutBytes {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }
    fn put_i128(&mut self, value: i128) {
        self.put(&value.to_le_bytes());
    }
    /// u32 length, then the bytes.
    fn put_sized(&mut self, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).expect("a sized field is below 4 GiB");
        self.put_u32(length);
        self.put(bytes);
    }
}

impl PutBytes for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Reads what [`PutBytes`] wrote. `file` and `base` (the offset of the first byte in it) are for messages.
#[derive(Clone, Debug)]
pub(crate) struct ByteReader<'a> {
    bytes: &'a [u8],
    position: usize,
    file: &'a str,
    base: u64,
}

impl<'a> ByteReader<'a> {
    pub(crate) fn new(file: &'a str, base: u64, bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0, file, base }
    }

    /// `Corrupt` at the current position.
    pub(crate) fn corrupt(&self, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
        Error::corrupt(self.file, self.base + self.position as u64, expected, found)
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The file, for messages.
    pub(crate) fn file(&self) -> &'a str {
        self.file
    }

    /// Where in the file the next byte is, for messages.
    pub(crate) fn offset(&self) -> u64 {
        self.base + self.position as u64
    }

    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let taken =
            self.bytes.get(self.position..).and_then(|rest| rest.get(..count)).ok_or_else(|| {
                self.corrupt(format_args!("{count} bytes"), format_args!("{} bytes", self.remaining()))
            })?;
        self.position += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }
    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }
    pub(crate) fn i64(&mut self) -> Result<i64> {
        self.array().map(i64::from_le_bytes)
    }
    pub(crate) fn i128(&mut self) -> Result<i128> {
        self.array().map(i128::from_le_bytes)
    }

    pub(crate) fn sized(&mut self) -> Result<&'a [u8]> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str> {
        let bytes = self.sized()?;
        std::str::from_utf8(bytes).map_err(|error| self.corrupt("UTF-8 text", error))
    }

    /// A count of items that take at least `item_bytes` each: refused before anything is allocated if they cannot be there.
    pub(crate) fn count(&mut self, item_bytes: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count.saturating_mul(item_bytes.max(1)) > self.remaining() {
            return Err(
                self.corrupt(format_args!("room for {count} items"), format_args!("{} bytes", self.remaining()))
            );
        }
        Ok(count)
    }

    /// Refuses left-over bytes.
    pub(crate) fn finish(self) -> Result<()> {
        if self.remaining() > 0 {
            return Err(self.corrupt("end", format_args!("{} more bytes", self.remaining())));
        }
        Ok(())
    }
}
