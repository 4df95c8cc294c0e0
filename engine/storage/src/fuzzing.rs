//! What every decoder owes to bytes from anywhere: one check per decoder, which panics when the decoder breaks a promise.
//!
//! The fuzz targets call these, and so do this crate's tests, on the corpora that the fuzzer left (`docs/testing.md`).
//!
//! **Invariants**
//! 1. A check panics only for a fault of the decoder: it panicked itself, returned something malformed, or what it returned is not read
//!    back as it is written.
//! 2. Where a format has checksums, the first byte of an input is a set of flags; [`REPAIR`] puts the checksums right before decoding, so
//!    that what lies behind them is reached.
//! 3. The work of a check is bounded by constants, not by what the input asks for.
//!
//! It knows no files: logs and segments are bytes in memory.

use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_buffer::Buffer;

use crate::array_codec::{self, decode_type, decode_value, encode_type, encode_value};
use crate::commit_codec;
use crate::commit_runs::CommitRuns;
use crate::deletions;
use crate::encoding::{self, ALIGNMENT, ChunkForm, Compression, Encoder, Encoding};
use crate::error::Result;
use crate::frame::ByteReader;
use crate::ids::SnapshotId;
use crate::logical_type::LogicalType;
use crate::schema_codec::{decode_name, decode_schema, decode_table, encode_name, encode_schema, encode_table};

pub(crate) mod conditions;
mod files;
#[cfg(test)]
pub(crate) mod seeds;
#[cfg(test)]
mod tests;

pub use files::inspect;

pub use crate::delete_vector::fuzzing::delete_vector;
pub use crate::key_index::fuzzing::key_index;
pub use crate::log::fuzzing::{log_record, log_replay};
pub use crate::manifest::fuzzing::manifest;
pub use crate::segment::fuzzing::{segment, segment_footer, value_filter};

/// A check of one decoder.
pub type Check = fn(&[u8]);

/// Every check of this crate, by the name of its target and corpus.
pub const CHECKS: [(&str, Check); 15] = [
    ("array", array),
    ("commit", commit),
    ("commit_runs", commit_runs),
    ("delete_vector", delete_vector),
    ("deletions", deletions),
    ("encoding", encoding),
    ("inspect", inspect),
    ("key_index", key_index),
    ("log_record", log_record),
    ("log_replay", log_replay),
    ("manifest", manifest),
    ("schema", schema),
    ("segment", segment),
    ("segment_footer", segment_footer),
    ("value_filter", value_filter),
];

/// Flag of an input: put the checksums right before decoding.
pub(crate) const REPAIR: u8 = 1;
/// Flag of an [`encoding`] input: the values have the length that the body leaves for them.
const FIT_VALUES: u8 = 1;
/// Flag of an [`encoding`] input: the body lies at an odd address.
const ODD_ADDRESS: u8 = 2;
/// Most rows that a check asks a decoder for.
const ROWS_MAX: usize = 1 << 16;
/// The file that messages name.
pub(crate) const FILE: &str = "fuzz";

/// Types, values, names, schemas and tables, each from the start of the input.
pub fn schema(bytes: &[u8]) {
    check_canonical(bytes, decode_type, encode_type);
    check_canonical(bytes, decode_value, |value, out| encode_value(value.as_ref(), out));
    check_canonical(bytes, decode_name, encode_name);
    check_canonical(bytes, decode_schema, encode_schema);
    check_canonical(bytes, decode_table, encode_table);
}

/// An input is a type, the number of rows (u32, [`ROWS_MAX`] at most), and the array.
pub fn array(bytes: &[u8]) {
    let mut reader = ByteReader::new(FILE, 0, bytes);
    let Ok(ty) = decode_type(&mut reader) else { return };
    let Ok(rows) = reader.u32() else { return };
    let rows = rows as usize % (ROWS_MAX + 1);
    let Ok(decoded) = array_codec::decode(&ty, rows, &mut reader) else { return };
    check_array(&ty, rows, &decoded);
    let mut written = Vec::new();
    array_codec::encode(&decoded, &mut written);
    let mut reader = ByteReader::new(FILE, 0, &written);
    let again = array_codec::decode(&ty, rows, &mut reader).expect("a written array is read");
    reader.finish().expect("an array is read to its end");
    check_array(&ty, rows, &again);
    assert_eq!(&decoded, &again, "type={ty}");
}

/// An input is a set of flags, the tags of encoding and compression, rows and NULLs (u16 each), bytes of the values (u32), a type, and
/// the body of a chunk.
pub fn encoding(bytes: &[u8]) {
    if let Ok(input) = ChunkInput::decode(bytes) {
        input.check();
    }
}

/// What [`encoding`] decodes.
struct ChunkInput<'a> {
    flags: u8,
    form: ChunkForm,
    rows: usize,
    ty: LogicalType,
    body: &'a [u8],
}

impl<'a> ChunkInput<'a> {
    fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = ByteReader::new(FILE, 0, bytes);
        let (flags, encoding, compression) = (reader.u8()?, reader.u8()?, reader.u8()?);
        let counts = reader.u32()?;
        let (rows, null_count) = (counts as u16 as usize, (counts >> 16) as usize);
        let mut value_bytes = u64::from(reader.u32()?);
        let encoding = Encoding::from_tag(encoding).ok_or_else(|| reader.corrupt("an encoding", encoding))?;
        let compression =
            Compression::from_tag(compression).ok_or_else(|| reader.corrupt("a compression", compression))?;
        let ty = decode_type(&mut reader)?;
        // As the footer's decoder sees to it.
        if rows == 0 || null_count > rows {
            return Err(reader.corrupt("rows, and no more NULLs than that", format_args!("{rows} and {null_count}")));
        }
        let body = reader.take(reader.remaining())?;
        if flags & FIT_VALUES > 0 && compression == Compression::None {
            let bitmap = if null_count > 0 && encoding != Encoding::Nested { rows.div_ceil(8) } else { 0 };
            value_bytes = (body.len() as u64).saturating_sub(bitmap.next_multiple_of(ALIGNMENT) as u64);
        }
        let form = ChunkForm { encoding, compression, null_count, value_bytes };
        Ok(Self { flags, form, rows, ty, body })
    }

    fn check(&self) {
        let body = match self.flags & ODD_ADDRESS {
            0 => Buffer::from(self.body),
            _ => Buffer::from_vec([&[0], self.body].concat()).slice(1),
        };
        let decoded = encoding::decode(&self.ty, self.rows, &self.form, &body, FILE, 0);
        self.check_take(&body, decoded.as_ref().ok());
        conditions::check_matches(self, &body, decoded.as_ref().ok());
        let Ok(decoded) = decoded else { return };
        check_chunk(&self.ty, self.rows, &self.form, &decoded);
        let mut written = Vec::new();
        let (form, _) = Encoder::default().encode(&self.ty, &decoded, &mut written);
        let body = Buffer::from(written);
        let again = encoding::decode(&self.ty, self.rows, &form, &body, FILE, 0).expect("a written chunk is read");
        check_chunk(&self.ty, self.rows, &form, &again);
        assert_eq!(&decoded, &again, "type={}, read as {:?}, written as {form:?}", self.ty, self.form);
    }

    /// Single rows are those of the whole chunk. Of one that does not decode, they are valid if they are read at all.
    fn check_take(&self, body: &Buffer, decoded: Option<&ArrayRef>) {
        for step in [1, 2, 97, 1000] {
            let positions: Vec<u32> = (0..self.rows as u32).skip(step / 2).step_by(step).collect();
            let taken = encoding::take(&self.ty, self.rows, &self.form, body, &positions, FILE, 0);
            let Some(decoded) = decoded else {
                drop(taken.map(|taken| check_array(&self.ty, positions.len(), &taken)));
                continue;
            };
            let taken = taken.expect("rows of a chunk that is read");
            check_array(&self.ty, positions.len(), &taken);
            let expected = arrow_select::take::take(decoded, &UInt32Array::from(positions), None);
            let expected = expected.expect("rows of the chunk");
            assert_eq!(&taken, &expected, "type={}, form={:?}, step={step}", self.ty, self.form);
        }
    }
}

/// An input is the number of rows (u32, [`ROWS_MAX`] at most) and their runs.
pub fn commit_runs(bytes: &[u8]) {
    let mut reader = ByteReader::new(FILE, 0, bytes);
    let Ok(rows) = reader.u32() else { return };
    let rows = rows as usize % (ROWS_MAX + 1);
    let Ok(runs) = CommitRuns::decode(rows, &mut reader) else { return };
    check_commit_runs(rows, &runs);
    let mut written = Vec::new();
    runs.encode(&mut written);
    let mut reader = ByteReader::new(FILE, 0, &written);
    let again = CommitRuns::decode(rows, &mut reader).expect("written runs are read");
    reader.finish().expect("runs are read to their end");
    assert_eq!(runs, again);
}

/// What holds for runs of so many rows.
pub(crate) fn check_commit_runs(rows: usize, runs: &CommitRuns) {
    assert_eq!(runs.rows(), rows);
    assert_eq!(runs.iter().map(|(_, rows)| rows.len()).sum::<usize>(), rows);
    assert_eq!(runs.iter().map(|(snapshot, _)| snapshot).min(), runs.first());
    assert_eq!(runs.iter().map(|(snapshot, _)| snapshot).max(), runs.last());
    for at in [runs.first(), runs.last(), Some(SnapshotId(0)), Some(SnapshotId(u64::MAX))].into_iter().flatten() {
        let visible = runs.visible(at);
        assert!(visible.windows(2).all(|pair| pair[0].end < pair[1].start), "ranges with gaps: {visible:?}");
        assert!(visible.last().is_none_or(|last| last.end <= rows), "ranges within {rows} rows: {visible:?}");
        let expected: usize = runs.iter().filter(|(snapshot, _)| *snapshot <= at).map(|(_, rows)| rows.len()).sum();
        assert_eq!(visible.iter().map(ExactSizeIterator::len).sum::<usize>(), expected, "rows seen at {at}");
    }
}

/// The body of a log record, without its tail.
pub fn commit(bytes: &[u8]) {
    let Ok(commit) = commit_codec::decode(FILE, bytes) else { return };
    let written = commit_codec::encode(&commit).expect("a commit that was read is written");
    let again = commit_codec::decode(FILE, &written).expect("a written commit is read");
    // Not the commits: a default may be NaN, which equals nothing.
    assert_eq!(commit_codec::encode(&again).expect("the same commit"), written);
    assert_eq!(commit.changes.len(), again.changes.len());
}

/// The tail of a log record: what its commit deleted.
pub fn deletions(bytes: &[u8]) {
    let Ok(tables) = deletions::decode(&mut ByteReader::new(FILE, 0, bytes)) else { return };
    for (_, table) in &tables {
        let ascending = table.segments.iter().all(|(_, positions)| positions.is_sorted_by(|a, b| a < b));
        assert!(ascending && table.memory.is_sorted_by(|a, b| a < b), "rows ascend");
    }
    let mut written = Vec::new();
    deletions::encode(&tables, &mut written);
    if !tables.is_empty() {
        let mut reader = ByteReader::new(FILE, 0, &written);
        assert_eq!(deletions::decode(&mut reader).expect("written deletions are read"), tables);
        reader.finish().expect("deletions are read to their end");
    }
}

/// What holds for an array of so many values of a type.
pub(crate) fn check_array(ty: &LogicalType, rows: usize, array: &ArrayRef) {
    assert_eq!(array.len(), rows);
    assert_eq!(array.data_type(), &ty.arrow());
    array.to_data().validate_full().expect("an array that Arrow finds valid");
}

/// What holds for the array of a chunk of that form.
pub(crate) fn check_chunk(ty: &LogicalType, rows: usize, form: &ChunkForm, array: &ArrayRef) {
    check_array(ty, rows, array);
    assert_eq!(array.null_count(), form.null_count, "type={ty}, form={form:?}");
}

/// For formats that can say a thing in one way only: what is read must be written as the bytes it was read from.
pub(crate) fn check_canonical<T>(
    bytes: &[u8],
    decode: impl Fn(&mut ByteReader<'_>) -> Result<T>,
    encode: impl Fn(&T, &mut Vec<u8>),
) {
    let mut reader = ByteReader::new(FILE, 0, bytes);
    let Ok(decoded) = decode(&mut reader) else { return };
    let mut written = Vec::new();
    encode(&decoded, &mut written);
    assert_eq!(written, bytes[..reader.position()]);
}
