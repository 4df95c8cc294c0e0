//! The golden file of format version 1: every encoding, both compressions, NULLs, several row groups and commits.
//!
//! `tests/golden/segment/v1/all.seg` is made once, by `cargo test -p siltstone-storage --lib -- --ignored make_golden_segment`, and is never
//! made again for a released version.

use super::*;

const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/segment/v1/all.seg");
const FACTS: SegmentFacts = SegmentFacts {
    bytes: 0,
    rows: 600,
    checksum: 0,
    first_snapshot: SnapshotId(100),
    last_snapshot: SnapshotId(105),
};

fn columns() -> Vec<TestColumn> {
    Vec::new()
}
