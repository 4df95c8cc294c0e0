//! Where everything in the file is, and the description that says so.
//!
//! **Invariant**: places follow from the number of rows and buckets and from the form alone, so that there is nothing to disagree with.

mod describe;

use std::ops::Range;

pub(crate) use describe::describe;

use super::{HEADER, Subject};
use crate::error::{Error, Result};
use crate::frame::{ByteReader, FILE_HEADER_BYTES, PutBytes};
use crate::key_index::keys::KeyForm;

/// Bodies start at multiples of this many bytes, and the file ends at one.
const ALIGNMENT: usize = 64;

/// Where the description starts.
pub(super) const DESCRIPTION_OFFSET: usize = FILE_HEADER_BYTES;

/// Most bits of a bucket that a reader takes: buckets of eight rows for every row a segment can have.
pub(super) const BUCKET_BITS_MAX: u8 = 29;

/// What the file says about itself and its bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Description {
    form: KeyForm,
    /// Bytes that name the subject; they are compared, not taken apart.
    subject: Vec<u8>,
    /// Rows in the index.
    rows: u32,
    /// The number of buckets is 2 to the power of this.
    pub(super) bucket_bits: u8,
    /// Of the bodies, in their order.
    pub(super) checksums: [u32; 4],
}

impl Description {
    pub(super) fn new(subject: &Subject, rows: u32, bucket_bits: u8) -> Self {
        Self { form: subject.layout.form(), subject: subject_bytes(subject), rows, bucket_bits, checksums: [0; 4] }
    }

    /// The header and the description, without padding.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = HEADER.encode().to_vec();
        bytes.put_sized(&self.subject);
        bytes.put_u32(self.rows);
        bytes.put_u8(self.bucket_bits);
        self.checksums.iter().for_each(|checksum| bytes.put_u32(*checksum));
        let checksum = crc32fast::hash(&bytes[DESCRIPTION_OFFSET..]);
        bytes.put_u32(checksum);
        bytes
    }

    /// Reads the description of an index that is to be of `subject`.
    ///
    /// # Errors
    /// `Corrupt` if it is damaged or of anything else.
    pub(super) fn read(file: &str, buffer: &[u8], subject: &Subject) -> Result<Self> {
        let bytes = &buffer[DESCRIPTION_OFFSET..];
        let mut reader = ByteReader::new(file, DESCRIPTION_OFFSET as u64, bytes);
        let named = reader.sized()?;
        let rows = reader.u32()?;
        let bucket_bits = reader.u8()?;
        let checksums = [reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?];
        let found = crc32fast::hash(&bytes[..reader.position()]);
        let checksum = reader.u32()?;
        if found != checksum {
            return Err(reader.corrupt(format_args!("checksum {checksum:#010x}"), format_args!("{found:#010x}")));
        }
        let expected = Self { checksums, ..Self::new(subject, rows, bucket_bits) };
        if named != expected.subject {
            return Err(reader.corrupt(format_args!("an index of {subject:?}"), "one of something else"));
        }
        if bucket_bits > BUCKET_BITS_MAX || rows > subject.segment_rows {
            return Err(reader.corrupt(
                format_args!("at most {BUCKET_BITS_MAX} bucket bits and {} rows", subject.segment_rows),
                format_args!("{bucket_bits} and {rows}"),
            ));
        }
        Ok(expected)
    }

    /// Where the bodies are.
    pub(super) fn bodies(&self) -> Bodies {
        let rows = self.rows as usize;
        let second = if self.form == KeyForm::Wide { rows } else { 0 };
        let description_end = self.encode().len();
        let offsets = body(description_end, ((1 << self.bucket_bits) + 1) * size_of::<u32>());
        let first = body(offsets.end, rows * size_of::<u64>());
        let second = body(first.end, second * size_of::<u64>());
        let positions = body(second.end, rows * size_of::<u32>());
        let file_bytes = positions.end.next_multiple_of(ALIGNMENT);
        Bodies { description_end, offsets, first, second, positions, file_bytes }
    }
}

fn body(after: usize, bytes: usize) -> Range<usize> {
    let start = after.next_multiple_of(ALIGNMENT);
    start..start + bytes
}

/// What identifies a subject.
fn subject_bytes(subject: &Subject) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_u64(subject.segment.0);
    bytes.put_u32(subject.segment_rows);
    bytes.put_u32(subject.segment_checksum);
    subject.layout.encode(&mut bytes);
    subject.columns.iter().for_each(|column| bytes.put_u32(column.0));
    bytes
}

/// Where the bodies are in the file, in bytes.
#[derive(Clone, Debug)]
pub(super) struct Bodies {
    pub(super) description_end: usize,
    pub(super) offsets: Range<usize>,
    pub(super) first: Range<usize>,
    pub(super) second: Range<usize>,
    pub(super) positions: Range<usize>,
    pub(super) file_bytes: usize,
}

impl Bodies {
    /// The bodies, in their order in the file.
    pub(super) fn in_order(&self) -> [Range<usize>; 4] {
        [self.offsets.clone(), self.first.clone(), self.second.clone(), self.positions.clone()]
    }

    /// Checks the file's length, the checksums of the bodies, and that all between them is zero.
    ///
    /// # Errors
    /// `Corrupt` at the first damage.
    pub(super) fn check(&self, file: &str, buffer: &[u8], description: &Description) -> Result<()> {
        if buffer.len() != self.file_bytes {
            return Err(Error::corrupt(file, 0, format_args!("{} bytes", self.file_bytes), buffer.len()));
        }
        let mut end = self.description_end;
        for (body, checksum) in self.in_order().into_iter().zip(description.checksums) {
            check_zeros(file, buffer, end..body.start)?;
            end = body.end;
            let start = body.start as u64;
            let found = crc32fast::hash(&buffer[body]);
            if found != checksum {
                let (expected, found) = (format!("checksum {checksum:#010x}"), format!("{found:#010x}"));
                return Err(Error::corrupt(file, start, expected, found));
            }
        }
        check_zeros(file, buffer, end..self.file_bytes)
    }
}

fn check_zeros(file: &str, buffer: &[u8], padding: Range<usize>) -> Result<()> {
    match padding.clone().find(|at| buffer[*at] != 0) {
        None => Ok(()),
        Some(at) => Err(Error::corrupt(file, at as u64, "zeros between bodies", buffer[at])),
    }
}
