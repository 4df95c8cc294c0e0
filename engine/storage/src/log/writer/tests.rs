use super::*;
use crate::io::latch::LatchDisk;
use crate::io::sim::SimDisk;
use crate::log::replay;
use crate::log::tests::{OPTIONS, append, body_of, open, read_all};

fn names(disk: &SimDisk) -> Vec<String> {
    disk.list(FOLDER).unwrap()
}

#[test]
fn a_torn_group_is_never_resurrected() {
    // Log invariant 3: records that survive behind a tear stay void, even when the tear later reads as whole.
    let disk = SimDisk::new(1);
    append(&mut open(&disk, 0).unwrap(), 1, 3).unwrap();
    let second = RECORDS_OFFSET + record_bytes(Body::new(body_of(1)).stored_bytes());
    disk.flip_bit("log/0000000001.log", second, 0).unwrap();

    let mut writer = open(&disk, 0).unwrap();
    assert_eq!(writer.last(), SnapshotId(1));
    let body = Body::new(b"another second commit".to_vec());
    writer.append(&[Record { snapshot: SnapshotId(2), time_us: 20, body: &body }]).unwrap();
    disk.flip_bit("log/0000000001.log", second, 0).unwrap();
    let (found, end) = read_all(&disk.crash(), 0).unwrap();
    assert_eq!(found, [(1, body_of(1)), (2, b"another second commit".to_vec())]);
    assert_eq!(end.last, SnapshotId(2));
}

#[test]
fn a_failed_write_stops_the_log_for_good() {
    // Invariant 2: after a failed append or a failed start of a file, the writer and everybody else is refused.
    for roll in [false, true] {
        let sim = SimDisk::new(1);
        let disk = LatchDisk::new(Arc::new(sim.clone()));
        let end = replay(&*disk, SnapshotId(0), &mut |_| Ok(())).unwrap();
        let mut writer = LogWriter::start(disk.clone(), OPTIONS, end).unwrap();
        append(&mut writer, 1, 1).unwrap();
        writer.spares().prepare().unwrap();
        sim.fail_write(sim.counts().writes + 1);
        let outcome = if roll { writer.roll() } else { append(&mut writer, 2, 2) };
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Internal);
        assert!(disk.latched().is_some());
        assert_eq!(append(&mut writer, 2, 2).unwrap_err().kind(), ErrorKind::Latched);
        assert_eq!(writer.roll().unwrap_err().kind(), ErrorKind::Latched);
        assert_eq!(writer.close().unwrap_err().kind(), ErrorKind::Latched);
        assert_eq!(disk.create("x").unwrap_err().kind(), std::io::ErrorKind::Other);
        assert_eq!(read_all(&sim, 0).unwrap().0[0], (1, body_of(1)), "reads go on");
    }
}

#[test]
fn a_ready_spare_makes_a_roll_cheap() {
    // `prepare` makes one spare and no second; a roll then allocates nothing: one write and two syncs.
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, 0).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.spares().prepare().unwrap();
    writer.spares().prepare().unwrap();
    assert_eq!(names(&disk).len(), 2);
    let before = disk.counts();
    writer.roll().unwrap();
    let after = disk.counts();
    assert_eq!((after.writes - before.writes, after.syncs - before.syncs), (1, 2));
    writer.roll().unwrap();
    assert_eq!(disk.counts(), after, "an empty file is not rolled");
    assert_eq!(names(&disk), ["0000000001.log", "0000000002.log"]);
}

#[test]
fn released_files_become_spares_up_to_the_limit() {
    // Only files wholly below the checkpoint go; the first is kept for reuse, the others are removed.
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, 0).unwrap();
    for id in 1..=4 {
        append(&mut writer, id, id).unwrap();
        writer.roll().unwrap();
    }
    let full = writer.bytes();
    writer.release(SnapshotId(0)).unwrap();
    assert_eq!(names(&disk).len(), 5);
    writer.release(SnapshotId(3)).unwrap();
    let left = names(&disk);
    assert_eq!(left.iter().filter(|name| name.ends_with(".log")).count(), 2, "{left:?}");
    assert_eq!(left.iter().filter(|name| name.ends_with(".spare")).count(), 1, "{left:?}");
    assert!(writer.bytes() < full);
    assert_eq!(read_all(&disk.crash(), 3).unwrap().0, [(4, body_of(4))]);
}

#[test]
fn start_clears_what_a_crash_left() {
    // Half-made files and spares of another size are removed, whole spares are used, released files are recycled.
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, 0).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.spares().prepare().unwrap();
    disk.create("log/0000000090.new").unwrap();
    disk.create("log/0000000091.spare").unwrap().allocate(100).unwrap();
    disk.create("log/notes.txt").unwrap();
    let writer = open(&disk.restart(), 1).unwrap();
    assert_eq!(names_of(&writer), ["0000000002.log", "0000000092.spare", "notes.txt"]);
}

fn names_of(writer: &LogWriter) -> Vec<String> {
    writer.disk.list(FOLDER).unwrap()
}

#[test]
fn the_reserve_stays_free() {
    // Log invariant 6: a file is started only if the reserve stays free afterwards, with a spare at hand or without.
    let disk = SimDisk::new(1);
    let options = LogOptions { disk_reserve_bytes: 10_000, ..OPTIONS };
    disk.set_capacity(Some(2 * OPTIONS.file_bytes + 10_000));
    let end = read_all(&disk, 0).unwrap().1;
    let mut writer = LogWriter::start(Arc::new(disk.clone()), options, end).unwrap();
    append(&mut writer, 1, 1).unwrap();
    writer.spares().prepare().unwrap();
    disk.create("other").unwrap().allocate(1).unwrap();
    assert_eq!(writer.roll().unwrap_err().kind(), ErrorKind::Exhausted);
    append(&mut writer, 2, 2).unwrap();
    disk.remove("other").unwrap();
    writer.roll().unwrap();
    assert_eq!(writer.spares().prepare().unwrap_err().kind(), ErrorKind::Exhausted);
}

#[test]
fn a_commit_that_is_too_large_is_refused_before_it_is_written() {
    // The bound of the format: `Invalid`, and the log goes on.
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, 0).unwrap();
    let before = disk.counts();
    let body = Body::new(vec![0; Body::RAW_BYTES_MAX + 1]);
    let outcome = writer.append(&[Record { snapshot: SnapshotId(1), time_us: 10, body: &body }]);
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(disk.counts(), before);
    append(&mut writer, 1, 1).unwrap();
}

#[test]
#[should_panic(expected = "snapshot ids in the log have no gap")]
fn a_gap_is_a_bug_of_the_caller() {
    // Log invariant 1 is asserted before anything is written.
    append(&mut open(&SimDisk::new(1), 0).unwrap(), 2, 2).unwrap();
}

#[test]
fn the_closing_mark_always_fits() {
    // Invariant 3: whatever is left of a file, closing needs no other one.
    for groups in 1..60 {
        let disk = SimDisk::new(groups);
        let mut writer = open(&disk, 0).unwrap();
        (1..=groups).for_each(|id| append(&mut writer, id, id).unwrap());
        let before = names(&disk);
        writer.close().unwrap();
        assert_eq!(names(&disk), before);
        let (found, end) = read_all(&disk.crash(), 0).unwrap();
        assert_eq!(found.len() as u64, groups);
        assert_eq!(end.unproven, None);
    }
}
