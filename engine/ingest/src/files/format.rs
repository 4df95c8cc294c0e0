//! What a file is.
//!
//! **Invariants**: the answer depends on the bytes alone; every file that is not blank has one.

use std::fmt;
use std::io;

use super::FileBytes;

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// First bytes of a Parquet file.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Bytes looked at a time for the first that is not blank.
const WINDOW_BYTES: usize = 4096;

/// A format that files come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// A header line and rows of separated values.
    Csv,
    /// An array of objects, or objects one after the other.
    Json,
    /// Apache Parquet.
    Parquet,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Parquet => "Parquet",
        })
    }
}

/// Tells the format by the first bytes: Parquet's magic, then `{` or `[` as the first byte that is not blank, else CSV. `None`: there is
/// nothing but blanks.
///
/// # Errors
/// Those of reading.
pub(super) fn sniff(bytes: &dyn FileBytes) -> io::Result<Option<FileFormat>> {
    let mut window = [0; WINDOW_BYTES];
    let mut offset = 0;
    loop {
        let read = bytes.read_at(offset, &mut window)?;
        if read == 0 {
            return Ok(None);
        }
        let mut seen = &window[..read];
        if offset == 0 {
            if seen.starts_with(PARQUET_MAGIC) {
                return Ok(Some(FileFormat::Parquet));
            }
            seen = seen.strip_prefix(BOM).unwrap_or(seen);
        }
        match seen.iter().find(|byte| !byte.is_ascii_whitespace()) {
            None => offset += read as u64,
            Some(b'{' | b'[') => return Ok(Some(FileFormat::Json)),
            Some(_) => return Ok(Some(FileFormat::Csv)),
        }
    }
}
