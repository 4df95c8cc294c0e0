//! The check of a manifest's decoder, for [`crate::fuzzing`].

use super::codec;
use crate::frame::PutBytes;
use crate::fuzzing::{FILE, REPAIR};

/// An input is a set of flags, then a whole manifest, or with [`REPAIR`] its body alone.
pub fn manifest(bytes: &[u8]) {
    let [flags, rest @ ..] = bytes else { return };
    let framed;
    let file = if flags & REPAIR > 0 {
        framed = framed_body(rest);
        &framed[..]
    } else {
        rest
    };
    let Ok(manifest) = codec::decode(FILE, file) else { return };
    let written = codec::encode(&manifest);
    let again = codec::decode(FILE, &written).expect("a written manifest is read");
    // Not the manifests: a default may be NaN, which equals nothing.
    assert_eq!(codec::encode(&again), written);
    assert_eq!(manifest.segments, again.segments);
}

/// A file with this body and the right checksums.
pub(crate) fn framed_body(body: &[u8]) -> Vec<u8> {
    let mut file = codec::HEADER.encode().to_vec();
    file.put_u32(body.len() as u32);
    file.put_u32(crc32fast::hash(body));
    file.put(body);
    file
}

/// Manifests, whole and as bodies.
#[cfg(test)]
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    use super::{DeletesEntry, Manifest, SegmentEntry};
    use crate::frame::FILE_HEADER_BYTES;
    use crate::fuzzing::seeds::catalog;
    use crate::ids::{SegmentId, SnapshotId, TableId};

    let entry = |id, first_row, deletes| SegmentEntry {
        id: SegmentId(id),
        table: TableId(1),
        rows: 10,
        bytes: 999,
        checksum: 77,
        first_row,
        commit: if first_row.is_none() { Some(SnapshotId(6)) } else { None },
        deletes,
    };
    let deletes = DeletesEntry { file: SegmentId(4), bytes: 60, checksum: 5, through: SnapshotId(8) };
    let full = Manifest {
        generation: 3,
        checkpoint: SnapshotId(9),
        checkpoint_time_us: 1_700_000_000_000_000,
        next_table: TableId(5),
        next_segment: SegmentId(7),
        deletes_through: SnapshotId(7),
        horizon: SnapshotId(2),
        row_counts: [(TableId(1), 30), (TableId(2), 0)].into(),
        catalog: catalog(),
        segments: vec![entry(5, None, Some(deletes)), entry(6, Some(20), None)],
        ..Manifest::default()
    };
    let without_catalog = Manifest { catalog: Default::default(), ..full.clone() };
    let files = [Manifest::default(), without_catalog, full].map(|manifest| codec::encode(&manifest));
    let whole = files.iter().map(|file| [&[0], &file[..]].concat());
    let bodies = files.iter().map(|file| [&[REPAIR], &file[FILE_HEADER_BYTES + 8..]].concat());
    whole.chain(bodies).collect()
}
