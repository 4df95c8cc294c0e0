//! The bytes of a file, wherever they are.
//!
//! **Invariants**: reading never asks for more memory than the file has bytes.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// A file that does not change any more.
pub trait FileBytes: fmt::Debug + Send + Sync {
    /// Its length.
    fn length(&self) -> u64;

    /// Reads from a place on; fewer bytes than asked for only at the end.
    ///
    /// # Errors
    /// Those of the disk.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A file in memory.
impl FileBytes for Vec<u8> {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let start = usize::try_from(offset).map_or(self.len(), |offset| offset.min(self.len()));
        let count = buffer.len().min(self.len() - start);
        buffer[..count].copy_from_slice(&self[start..start + count]);
        Ok(count)
    }
}

/// Reads a file from a place to its end.
#[derive(Debug)]
pub(super) struct Cursor {
    bytes: Arc<dyn FileBytes>,
    at: u64,
}

impl Cursor {
    pub(super) fn new(bytes: &Arc<dyn FileBytes>, at: u64) -> Self {
        Self { bytes: Arc::clone(bytes), at }
    }
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read_at(self.at, buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// A stretch of the file, whole.
///
/// # Errors
/// `UnexpectedEof` if the file is shorter; then nothing is allocated.
pub(super) fn stretch(bytes: &dyn FileBytes, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let within = offset.checked_add(length as u64).is_some_and(|end| end <= bytes.length());
    if !within {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut buffer = vec![0; length];
    let mut filled = 0;
    while filled < length {
        match bytes.read_at(offset + filled as u64, &mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(buffer)
}
