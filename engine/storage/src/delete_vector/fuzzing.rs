//! The check of a delete vector's decoder, for [`crate::fuzzing`].

use super::DeleteVector;
use super::codec::frame;
use crate::frame::ByteReader;
use crate::fuzzing::{FILE, REPAIR};
use crate::ids::SnapshotId;

/// Most rows of a segment here.
const ROWS_MAX: u32 = 1 << 18;

/// An input is a set of flags and the file of a delete vector, or with [`REPAIR`] its body alone, which starts with the number of rows.
pub fn delete_vector(bytes: &[u8]) {
    let [flags, rest @ ..] = bytes else { return };
    let file = if flags & REPAIR > 0 { framed(rest) } else { rest.to_vec() };
    // The manifest and the segment name checksum and rows; here they agree with the file.
    let Some(body) = file.get(super::codec::BODY_START..) else { return };
    let checksum = crc32fast::hash(body);
    let rows = ByteReader::new(FILE, 0, body).u32().unwrap_or(0);
    if rows > ROWS_MAX {
        return;
    }
    let Ok(vector) = DeleteVector::decode(FILE, &file, rows, checksum) else { return };
    let last = vector.last().unwrap_or_default();
    check_answers(&vector, rows, last);
    let mut written = Vec::new();
    let checksum = vector.encode(rows, last, &mut written);
    let again = DeleteVector::decode(FILE, &written, rows, checksum).expect("a written vector is read");
    check_answers(&again, rows, last);
    assert_eq!(again.between(0..rows, SnapshotId(0), last), vector.between(0..rows, SnapshotId(0), last));
    let mut rewritten = Vec::new();
    again.encode(rows, last, &mut rewritten);
    assert_eq!(written, rewritten);
}

/// A file with this body and the right checksums.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    frame(body, &mut file);
    file
}

/// All ways to ask for what was deleted give the same answer.
fn check_answers(vector: &DeleteVector, rows: u32, last: SnapshotId) {
    let count = vector.count();
    assert!(count <= u64::from(rows), "{count} of {rows} rows");
    assert_eq!(u64::from(vector.deleted_rows(0..rows, last)), count);
    assert_eq!(vector.deleted(0..rows, last).map_or(0, |deleted| deleted.len()), count);
    assert!(vector.deleted(0..rows, last).is_none_or(|deleted| deleted.iter().all(|row| vector.is_deleted(row))));
}

/// Vectors without tags, with tags, with both, over one chunk and several; whole and as bodies.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let every = |step: usize, from: u32, to: u32| -> Vec<u32> { (from..to).step_by(step).collect() };
    let vector = |rows: u32, marks: &[(u64, Vec<u32>)], horizon: u64| {
        let vector = DeleteVector::new();
        marks.iter().for_each(|(tag, positions)| vector.mark(SnapshotId(*tag), positions));
        vector.settle(SnapshotId(horizon));
        let mut file = Vec::new();
        vector.encode(rows, SnapshotId(1 << 40), &mut file);
        file
    };
    let files = [
        vector(0, &[], 0),
        vector(10, &[(3, vec![0, 9])], 0),
        vector(10, &[(3, vec![0, 9]), (5, vec![2])], 3),
        vector(1000, &[(3, every(1, 0, 600)), (5, every(7, 600, 1000)), (9, vec![601])], 4),
        vector(200_000, &[(1, every(997, 0, 200_000)), (1 << 30, vec![1, 70_000, 199_999])], 1),
        vector(70_000, &[(2, every(1, 65_000, 66_000)), (3, every(2, 0, 2000)), (4, vec![1])], 3),
        vector(70, &(1..=60).map(|tag| (tag * tag, vec![69 - tag as u32])).collect::<Vec<_>>(), 100),
    ];
    let whole = files.iter().map(|file| [&[0], &file[..]].concat());
    whole.chain(files.iter().map(|file| [&[REPAIR], &file[super::codec::BODY_START..]].concat())).collect()
}
