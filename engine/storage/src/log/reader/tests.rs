use std::io::IoSlice;

use super::*;
use crate::error::ErrorKind;
use crate::io::sim::SimDisk;
use crate::log::record::{Body, record_bytes};
use crate::log::tests::{append, body_of, open, read_all};

const FIRST: &str = "log/0000000001.log";

/// A log of groups 1-2, 3, 4-6 in one file that was not closed.
fn three_groups() -> SimDisk {
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, 0).unwrap();
    for (first, last) in [(1, 2), (3, 3), (4, 6)] {
        append(&mut writer, first, last).unwrap();
    }
    disk
}

/// Offset of the record of this snapshot in the first file.
fn offset_of(snapshot: u64) -> u64 {
    RECORDS_OFFSET + (1..snapshot).map(|id| record_bytes(Body::new(body_of(id)).stored_bytes())).sum::<u64>()
}

fn ids(disk: &SimDisk, after: u64) -> Vec<u64> {
    read_all(disk, after).unwrap().0.into_iter().map(|(id, _)| id).collect()
}

/// The error of a replay that must fail, naming a file.
fn failure(disk: &dyn Disk, after: u64, path: &str) -> Error {
    let error = read_all(disk, after).map(|(found, _)| found.len()).unwrap_err();
    assert!(error.message().contains(&format!("file={path}")), "{error}");
    error
}

#[test]
fn a_torn_tail_is_cut_at_the_last_whole_record() {
    // Invariant 2: in the last group, whose sync nothing proves, damage ends the log without an error.
    for damaged in 4..=6 {
        let disk = three_groups();
        disk.flip_bit(FIRST, offset_of(damaged) + 9, 0).unwrap();
        assert_eq!(ids(&disk, 0), (1..damaged).collect::<Vec<_>>());
    }
}

#[test]
fn damage_to_what_was_synced_is_corruption() {
    // Invariant 2: before the last group, a later record's word proves the sync; file and offset are named.
    for damaged in 1..=3 {
        let disk = three_groups();
        disk.flip_bit(FIRST, offset_of(damaged) + 9, 0).unwrap();
        let error = failure(&disk, 0, FIRST);
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains(&format!("offset={}", offset_of(damaged))), "{error}");
    }
}

#[test]
fn the_checkpoint_proves_what_is_below_it() {
    // Invariant 2: a body below the checkpoint is not needed, but the way past it is; the tail may be cut only above.
    let with_body = (1..=6).rev().find(|id| !body_of(*id).is_empty()).unwrap();
    let disk = three_groups();
    disk.flip_bit(FIRST, offset_of(with_body) + RECORD_HEADER_BYTES as u64, 0).unwrap();
    assert_eq!(ids(&disk, 6), Vec::<u64>::new());
    let disk = three_groups();
    disk.flip_bit(FIRST, offset_of(6) + 9, 0).unwrap();
    assert_eq!(failure(&disk, 6, FIRST).kind(), ErrorKind::Corrupt);
    assert_eq!(ids(&disk, 5), Vec::<u64>::new());
}

#[test]
fn the_next_file_proves_what_came_before() {
    // Invariant 2: damage at the very end of an older file is corruption, a missing file too; what it holds past the
    // next file's base is void.
    let disk = three_groups();
    let mut writer = open(&disk, 0).unwrap();
    append(&mut writer, 7, 8).unwrap();
    writer.roll().unwrap();
    append(&mut writer, 9, 9).unwrap();
    assert_eq!(ids(&disk, 2), (3..=9).collect::<Vec<_>>());
    disk.flip_bit(FIRST, offset_of(6) + 9, 0).unwrap();
    assert_eq!(failure(&disk, 2, FIRST).kind(), ErrorKind::Corrupt);
    assert_eq!(ids(&disk, 6), [7, 8, 9], "a file below the checkpoint is not read");
    disk.flip_bit(FIRST, offset_of(6) + 9, 0).unwrap();
    disk.remove("log/0000000002.log").unwrap();
    assert_eq!(failure(&disk, 0, FIRST).kind(), ErrorKind::Corrupt);
    disk.remove(FIRST).unwrap();
    assert_eq!(failure(&disk, 7, "log/0000000003.log").kind(), ErrorKind::Corrupt);
    disk.remove("log/0000000003.log").unwrap();
    assert_eq!(failure(&disk, 7, "log").kind(), ErrorKind::Corrupt);
    assert_eq!(ids(&disk, 0), Vec::<u64>::new());
}

#[test]
fn another_version_is_refused_by_name() {
    // A file of a later format is `Unsupported`, never read as damage.
    let disk = three_groups();
    let mut bytes = disk.contents(FIRST).unwrap();
    bytes[..16].copy_from_slice(&crate::frame::FileHeader { version: 99, ..crate::log::FILE_HEADER }.encode());
    disk.open(FIRST).unwrap().write_at(0, &[IoSlice::new(&bytes)]).unwrap();
    assert_eq!(failure(&disk, 0, FIRST).kind(), ErrorKind::Unsupported);
}

#[test]
fn a_failed_read_is_no_end_of_log() {
    // Every read of a replay in turn fails: the failure is reported, never taken for a torn tail.
    let clean = three_groups();
    let before = clean.counts().reads;
    assert_eq!(ids(&clean, 0).len(), 6);
    for read in 1..=clean.counts().reads - before {
        let disk = three_groups();
        disk.fail_read(disk.counts().reads + read);
        assert_eq!(failure(&disk, 0, FIRST).kind(), ErrorKind::Internal);
    }
}

#[test]
fn a_record_inside_a_body_proves_nothing_without_the_salt() {
    // A client may send bytes that look like a record: behind a torn header they must not turn a torn tail into corruption.
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, 0).unwrap();
    let mut forged = Vec::new();
    for salt in 0..100 {
        RecordHeader::close(SnapshotId(50), 1, 0).encode(salt, &mut forged);
    }
    let body = Body::new(forged);
    writer.append(&[crate::log::Record { snapshot: SnapshotId(1), time_us: 10, body: &body }]).unwrap();
    disk.flip_bit(FIRST, RECORDS_OFFSET, 0).unwrap();
    assert_eq!(ids(&disk, 0), Vec::<u64>::new());
}

#[test]
fn proof_is_found_wherever_it_stands() {
    // The search crosses its own reading windows: a proof several windows behind the damage is seen.
    let disk = SimDisk::new(1);
    let options = crate::log::LogOptions { file_bytes: 20 << 20, spare_files_max: 1, disk_reserve_bytes: 0 };
    let end = read_all(&disk, 0).unwrap().1;
    let mut writer = crate::log::LogWriter::start(Arc::new(disk.clone()), options, end).unwrap();
    for padding in [0, 8, 24, 48, 56] {
        let noise: Vec<u8> = (0..(WINDOW_BYTES + padding) / 8)
            .flat_map(|i| (i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17).to_le_bytes())
            .collect();
        let body = Body::new(noise);
        let snapshot = writer.last().next();
        let record = crate::log::Record { snapshot, time_us: snapshot.0 as i64 * 10, body: &body };
        writer.append(&[record]).unwrap();
    }
    let large = 5;
    append(&mut writer, large + 1, large + 1).unwrap();
    let replayed = |disk: &SimDisk| {
        let mut places = Vec::new();
        replay(disk, SnapshotId(0), &mut |records| {
            places.extend(records.iter().map(|record| (record.place().0.to_owned(), record.place().1)));
            Ok(())
        })
        .map(|_| places)
    };
    let places = replayed(&disk).unwrap();
    assert_eq!(places.len(), 6);
    for (path, offset) in places {
        disk.flip_bit(&path, offset, 0).unwrap();
        // Only the last group of the last file has no proof.
        let last_group = path.ends_with("2.log") && offset > RECORDS_OFFSET;
        assert_eq!(replayed(&disk).is_err(), !last_group, "{path} {offset}");
        disk.flip_bit(&path, offset, 0).unwrap();
    }
}
