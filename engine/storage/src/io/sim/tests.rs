use std::collections::BTreeSet;

use super::*;

fn write(file: &dyn DiskFile, offset: u64, byte: u8, count: usize) -> Result<()> {
    file.write_at(offset, &[IoSlice::new(&vec![byte; count])])
}

/// A disk with one durable file of 2 KiB of ones.
fn settled(seed: u64) -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::new(seed);
    let file = disk.create("f").unwrap();
    write(&*file, 0, 1, 2048).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    (disk, file)
}

#[test]
fn what_was_synced_survives_and_the_rest_tears_by_unit() {
    // Invariant 1: over many seeds, an overwrite comes back as any mixture of whole units, and each mixture occurs.
    let mut outcomes = BTreeSet::new();
    for seed in 0..300 {
        let (disk, file) = settled(seed);
        write(&*file, 512, 2, 1024).unwrap();
        let bytes = disk.crash().contents("f").unwrap();
        assert!(bytes[..512].iter().chain(&bytes[1536..]).all(|byte| *byte == 1), "synced bytes changed");
        let units: Vec<u8> = bytes[512..1536].chunks(512).map(|unit| unit[0]).collect();
        assert!(
            bytes[512..1536].chunks(512).all(|unit| unit.iter().all(|byte| *byte == unit[0])),
            "torn inside a unit"
        );
        outcomes.insert(units);
        file.read_at(0, &mut [0]).unwrap_err();
    }
    assert_eq!(outcomes.len(), 4, "{outcomes:?}");
}

#[test]
fn growth_may_be_lost_zeroed_or_kept() {
    // A write past the end may leave the old length, the new length with zeros, or the bytes.
    let mut ends = BTreeSet::new();
    for seed in 0..100 {
        let (disk, file) = settled(seed);
        write(&*file, 2048, 2, 512).unwrap();
        ends.insert(disk.crash().contents("f").unwrap().get(2048).copied());
    }
    assert_eq!(ends, BTreeSet::from([None, Some(0), Some(2)]));
}

#[test]
fn name_changes_are_kept_or_dropped_in_order() {
    // Invariant 2: unsynced changes come back in any subset, but never the later one of a name without the earlier.
    let mut outcomes = BTreeSet::new();
    for seed in 0..200 {
        let (disk, _) = settled(seed);
        disk.rename("f", "g").unwrap();
        disk.rename("g", "h").unwrap();
        disk.create("other").unwrap();
        outcomes.insert(disk.crash().list("").unwrap().join(" "));
    }
    let expected = ["f", "f other", "g", "g other", "h", "h other"].map(str::to_owned);
    assert_eq!(outcomes, BTreeSet::from(expected));
}

#[test]
fn a_folder_and_its_files_need_their_own_syncs() {
    // A file is found again only if its folder, its name and its bytes were each made durable.
    let mut kept = 0;
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        disk.create_dir("d").unwrap();
        disk.create("d/f").unwrap();
        disk.sync_dir("d").unwrap();
        kept += disk.crash().list("d").unwrap().len();

        let disk = SimDisk::new(seed);
        disk.create_dir("d").unwrap();
        disk.create("d/f").unwrap();
        disk.sync_dir("").unwrap();
        disk.sync_dir("d").unwrap();
        assert_eq!(disk.crash().list("d").unwrap(), ["f"]);
    }
    assert!((5..45).contains(&kept), "{kept}");
}

#[test]
fn a_rename_between_folders_needs_both_syncs() {
    // One of the two syncs leaves it open; both settle it.
    let mut outcomes = BTreeSet::new();
    for seed in 0..50 {
        let (disk, _) = settled(seed);
        disk.create_dir("d").unwrap();
        disk.sync_dir("").unwrap();
        disk.rename("f", "d/f").unwrap();
        disk.sync_dir("d").unwrap();
        let crashed = disk.restart();
        outcomes.insert(crashed.crash().list("d").unwrap().len());
        let (disk, _) = settled(seed);
        disk.create_dir("d").unwrap();
        disk.rename("f", "d/f").unwrap();
        disk.sync_dir("d").unwrap();
        disk.sync_dir("").unwrap();
        disk.sync_dir("d").unwrap();
        assert_eq!(disk.crash().list("d").unwrap(), ["f"]);
    }
    assert_eq!(outcomes, BTreeSet::from([0, 1]));
}

#[test]
fn a_failed_sync_is_never_made_good_by_a_later_one() {
    // The bytes stay readable, a later sync succeeds, and a crash may still take them.
    let mut outcomes = BTreeSet::new();
    for seed in 0..50 {
        let (disk, file) = settled(seed);
        write(&*file, 0, 2, 512).unwrap();
        disk.fail_sync(disk.counts().syncs + 1);
        file.sync().unwrap_err();
        file.sync().unwrap();
        assert_eq!(disk.contents("f").unwrap()[0], 2);
        let restarted = disk.restart();
        restarted.open("f").unwrap().sync().unwrap();
        outcomes.insert(restarted.crash().contents("f").unwrap()[0]);

        // Written again and synced, the bytes are safe, and what was lost below them stays lost.
        let (disk, file) = settled(seed);
        write(&*file, 0, 2, 1024).unwrap();
        disk.fail_sync(disk.counts().syncs + 1);
        file.sync().unwrap_err();
        write(&*file, 0, 3, 512).unwrap();
        file.sync().unwrap();
        assert_eq!(disk.crash().contents("f").unwrap()[0], 3);
    }
    assert_eq!(outcomes, BTreeSet::from([1, 2]));
}

#[test]
fn faults_strike_the_call_they_were_set_for() {
    // Reads and writes fail once, at their number; a failed write may have done a part.
    let (disk, file) = settled(1);
    disk.fail_write(3);
    write(&*file, 0, 2, 10).unwrap();
    write(&*file, 0, 3, 2000).unwrap_err();
    write(&*file, 0, 4, 1).unwrap();
    let bytes = disk.contents("f").unwrap();
    assert_eq!((bytes[0], bytes[1999]), (4, 1));
    disk.fail_read(2);
    file.read_at(0, &mut [0]).unwrap();
    file.map().unwrap_err();
    file.map().unwrap();
}

#[test]
fn power_goes_off_at_the_call_and_stays_off() {
    // The cut write is pending, so it may be there; every later call fails, until the next boot.
    let mut outcomes = BTreeSet::new();
    for seed in 0..50 {
        let (disk, file) = settled(seed);
        let held = disk.lock().unwrap();
        disk.crash_at_call(disk.counts().calls + 2);
        file.len().unwrap();
        write(&*file, 0, 2, 512).unwrap_err();
        assert!(disk.is_off());
        disk.open("f").unwrap_err();
        file.sync().unwrap_err();
        let next = disk.crash();
        next.lock().unwrap();
        drop(held);
        outcomes.insert(next.contents("f").unwrap()[0]);
    }
    assert_eq!(outcomes, BTreeSet::from([1, 2]));
}

#[test]
fn a_full_disk_refuses_growth_only() {
    // Overwriting and reading go on; growth fails with `StorageFull` and does nothing; removal gives space back.
    let (disk, file) = settled(1);
    disk.set_capacity(Some(3000));
    assert_eq!(disk.free_bytes().unwrap(), 952);
    assert_eq!(file.allocate(4096).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(write(&*file, 2000, 2, 1001).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 2048);
    write(&*file, 0, 2, 2048).unwrap();
    write(&*file, 2000, 2, 1000).unwrap();
    disk.remove("f").unwrap();
    disk.create("g").unwrap().allocate(3000).unwrap();
}

#[test]
fn a_flipped_bit_is_durable_and_a_lie_is_not() {
    // `flip_bit` survives a crash; what a lying disk synced may not.
    let (disk, _) = settled(1);
    disk.flip_bit("f", 100, 3).unwrap();
    assert_eq!(disk.crash().contents("f").unwrap()[100], 1 ^ 8);
    assert_eq!(disk.flip_bit("f", 2048, 0).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    let kept = (0..50).filter(|seed| {
        let (disk, file) = settled(*seed);
        disk.lie_about_sync(true);
        write(&*file, 0, 2, 512).unwrap();
        file.sync().unwrap();
        disk.crash().contents("f").unwrap()[0] == 2
    });
    assert!((5..45).contains(&kept.count()));
}

#[test]
fn one_seed_one_outcome() {
    // Invariant 3: the same seed and calls give the same disk, another seed another one.
    let run = |seed| {
        let (disk, file) = settled(seed);
        for i in 0..40 {
            write(&*file, i * 700, i as u8, 900).unwrap();
            disk.create(&format!("{i}")).unwrap();
        }
        let disk = disk.crash();
        (disk.contents("f").unwrap(), disk.list("").unwrap(), disk.crash().counts())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn any_call_can_fail_and_name_changes_may_be_done_all_the_same() {
    // `fail_call` counts all calls; over many seeds a failed rename is done or not, a failed read short or empty.
    let (mut names, mut reads) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..50 {
        let (disk, file) = settled(seed);
        for offset in 1..=3 {
            disk.fail_call(disk.counts().calls + offset);
        }
        disk.rename("f", "g").unwrap_err();
        disk.list("").unwrap_err();
        let mut buffer = [0; 64];
        let error = file.read_at(0, &mut buffer).unwrap_err();
        reads.insert((error.kind() == ErrorKind::UnexpectedEof, buffer[0] == 1));
        assert_eq!(disk.counts().faults, 3);
        names.insert(disk.list("").unwrap());
        disk.fail_call(disk.counts().calls + 1);
        disk.heal();
        file.len().unwrap();
    }
    assert_eq!(names, BTreeSet::from([vec!["f".to_owned()], vec!["g".to_owned()]]));
    assert!(reads.contains(&(false, false)) && reads.contains(&(true, true)), "{reads:?}");
}

#[test]
fn a_killed_process_may_leave_half_a_write() {
    // The process dies in the middle of a write: a reader after the restart sees any part of it, from the front.
    let mut written = BTreeSet::new();
    for seed in 0..60 {
        let (disk, file) = settled(seed);
        disk.crash_at_call(disk.counts().calls + 1);
        write(&*file, 0, 2, 4).unwrap_err();
        let bytes = disk.restart().contents("f").unwrap();
        written.insert(bytes.iter().take_while(|byte| **byte == 2).count());
    }
    assert_eq!(written, BTreeSet::from([0, 1, 2, 3, 4]));
}

#[test]
fn a_fork_goes_its_own_way() {
    // Both have what is durable and what is pending; neither sees what the other does next.
    let (disk, file) = settled(3);
    write(&*file, 0, 2, 512).unwrap();
    disk.rename("f", "g").unwrap();
    let fork = disk.fork();
    assert_eq!(fork.files(), [("g".to_owned(), 2048)]);
    fork.flip_bit("g", 0, 0).unwrap();
    fork.remove("g").unwrap();
    assert_eq!(disk.contents("g").unwrap()[0], 2);
    let mut outcomes = BTreeSet::new();
    for _ in 0..40 {
        let crashed = disk.fork();
        crashed.create("unrelated").unwrap();
        outcomes.insert(crashed.crash().list("").unwrap().join(" "));
        disk.fork().sync_dir("").unwrap();
    }
    assert!(outcomes.iter().all(|names| names.contains(['f', 'g'])), "{outcomes:?}");
}
