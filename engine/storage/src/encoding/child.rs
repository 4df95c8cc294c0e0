//! A column chunk within a column chunk: a dictionary's entries, the items of a LIST, the fields of a STRUCT, the values between NULLs.
//!
//! Encoding (u8), compression (u8), NULLs (u32), bytes of the values before compression (u64), bytes of the body (u64), the body.
//!
//! **Invariant**: a child has at most the rows its parent says; whoever reads one sees to it that these are in proportion to the bytes at hand.

use arrow_array::ArrayRef;
use arrow_buffer::Buffer;

use super::{ChunkForm, Compression, Encoding};
use crate::error::Result;
use crate::frame::{ByteReader, PutBytes};
use crate::logical_type::LogicalType;

/// Bytes before the body.
const HEADER_BYTES: usize = 22;

/// Appends a child whose body `put` appends.
pub(crate) fn encode<T>(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>) -> (ChunkForm, T)) -> T {
    let start = out.len();
    out.resize(start + HEADER_BYTES, 0);
    let (form, said) = put(out);
    let body_bytes = (out.len() - start - HEADER_BYTES) as u64;
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.put_u8(form.encoding as u8);
    header.put_u8(form.compression as u8);
    header.put_u32(u32::try_from(form.null_count).expect("Arrow lengths are 32-bit"));
    header.put_u64(form.value_bytes);
    header.put_u64(body_bytes);
    out[start..start + HEADER_BYTES].copy_from_slice(&header);
    said
}

/// A child that is not yet decoded.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) form: ChunkForm,
    body: Buffer,
    offset: u64,
}

impl Child {
    /// Reads a child of `rows` rows; `reader` reads `whole`.
    ///
    /// # Errors
    /// `Corrupt` for unknown tags, more NULLs than rows, or a body that is not there.
    pub(crate) fn read(rows: usize, whole: &Buffer, reader: &mut ByteReader<'_>) -> Result<Self> {
        let (encoding, compression) = (reader.u8()?, reader.u8()?);
        let encoding = Encoding::from_tag(encoding).ok_or_else(|| reader.corrupt("a known encoding", encoding))?;
        let compression =
            Compression::from_tag(compression).ok_or_else(|| reader.corrupt("a known compression", compression))?;
        let null_count = reader.u32()? as usize;
        if null_count > rows {
            return Err(reader.corrupt(format_args!("at most {rows} NULLs"), null_count));
        }
        let (value_bytes, body_bytes) = (reader.u64()?, reader.u64()?);
        let offset = reader.offset();
        let body = super::take_buffer(whole, body_bytes, reader)?;
        Ok(Self { form: ChunkForm { encoding, compression, null_count, value_bytes }, body, offset })
    }

    /// The `rows` values of `ty`.
    ///
    /// # Errors
    /// As [`decode`](super::decode).
    pub(crate) fn decode(&self, ty: &LogicalType, rows: usize, file: &str) -> Result<ArrayRef> {
        super::decode(ty, rows, &self.form, &self.body, file, self.offset)
    }
}
