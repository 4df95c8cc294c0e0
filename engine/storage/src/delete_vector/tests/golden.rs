//! The golden file of format version 1: settled positions, several commits, several chunks.
//!
//! `tests/golden/delete-vector/v1/settled_and_tagged.deletes` is written once, by
//! `cargo test -p siltstone-storage --lib -- --ignored make_golden_delete_vector`, and never again once the version is released. What is
//! deleted in it is [`model`].

use super::*;

const PATH: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/delete-vector/v1/settled_and_tagged.deletes");
const CHECKSUM: u32 = 2_109_214_765;
const GOLDEN_ROWS: u32 = 1_000_000;
const HORIZON: u64 = 40;

/// Commits 10, 20 and so on to 90 delete every 3,001st row, in turn, and a run of 700 each.
fn model() -> Model {
    let mut model = Model::new();
    for (i, tag) in (1..10).map(|i| (i, 10 * u64::from(i))) {
        let spread = (i..GOLDEN_ROWS).step_by(9 * 3001);
        let run = 100_000 * i..100_000 * i + 700;
        for position in spread.chain(run) {
            model.entry(position).or_insert(tag);
        }
    }
    model
}

/// Writes the golden file and prints what [`CHECKSUM`] has to be.
#[test]
#[ignore = "makes the golden file of a new format version"]
fn make_golden_delete_vector() {
    let (vector, model) = (DeleteVector::new(), model());
    for tag in (10..100).step_by(10) {
        let positions = model.iter().filter(|(_, of)| **of == tag).map(|(position, _)| *position);
        vector.mark(SnapshotId(tag), &positions.collect::<Vec<_>>());
    }
    vector.settle(SnapshotId(HORIZON));
    let (bytes, checksum) = encoded(&vector, GOLDEN_ROWS, 100);
    std::fs::create_dir_all(std::path::Path::new(PATH).parent().unwrap()).unwrap();
    std::fs::write(PATH, bytes).unwrap();
    println!("{checksum}");
}

/// Proves that bytes written by version 1 are read as the deletions that were written.
#[test]
fn version_1_is_read() {
    let vector = DeleteVector::decode(FILE, &std::fs::read(PATH).unwrap(), GOLDEN_ROWS, CHECKSUM).unwrap();
    let mut model = model();
    model.values_mut().filter(|tag| **tag <= HORIZON).for_each(|tag| *tag = 0);
    for at in [HORIZON, 50, 89, 90, 1000] {
        check(&vector, &model, 0..GOLDEN_ROWS, HORIZON, at);
    }
    assert_eq!((vector.count(), vector.last()), (model.len() as u64, Some(SnapshotId(90))));
}

/// Proves that cut and changed copies of the golden file are refused.
#[test]
fn damaged_copies_are_refused() {
    let bytes = std::fs::read(PATH).unwrap();
    for end in (0..bytes.len()).step_by(61).chain(bytes.len() - 40..bytes.len()) {
        corrupt(DeleteVector::decode(FILE, &bytes[..end], GOLDEN_ROWS, CHECKSUM));
    }
    for at in (0..bytes.len()).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        corrupt(DeleteVector::decode(FILE, &damaged, GOLDEN_ROWS, CHECKSUM));
    }
    let mut newer = bytes;
    let header = crate::frame::FileHeader { magic: newer[..8].try_into().unwrap(), version: 2 };
    newer[..16].copy_from_slice(&header.encode());
    let error = DeleteVector::decode(FILE, &newer, GOLDEN_ROWS, CHECKSUM).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
