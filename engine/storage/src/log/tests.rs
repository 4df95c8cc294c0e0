//! The log as a whole on a simulated disk: every crash, every flipped bit, a full disk, a lying one.

use std::sync::Arc;

use proptest::prelude::*;

use super::reader::ReplayEnd;
use super::*;
use crate::error::ErrorKind;
use crate::io::Disk;
use crate::io::sim::SimDisk;

pub(super) const OPTIONS: LogOptions = LogOptions { file_bytes: 16 << 10, spare_files_max: 1, disk_reserve_bytes: 0 };

/// A small generator, so that a workload follows from its seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// The body that snapshot `id` must have: its bytes follow from the id, half of them compressible.
pub(super) fn body_of(id: u64) -> Vec<u8> {
    let mut dice = Dice(id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let length = match dice.below(40) {
        0 => 20_000,
        1..6 => 0,
        6..20 => dice.below(100),
        _ => dice.below(3000),
    };
    let values = if id.is_multiple_of(2) { 3 } else { 256 };
    (0..length).map(|_| dice.below(values) as u8).collect()
}

/// Appends commits `first..=last` as one group.
pub(super) fn append(writer: &mut LogWriter, first: u64, last: u64) -> Result<()> {
    let bodies: Vec<Body> = (first..=last).map(|id| Body::new(body_of(id))).collect();
    let records: Vec<Record<'_>> = (first..=last)
        .zip(&bodies)
        .map(|(id, body)| Record { snapshot: SnapshotId(id), time_us: id as i64 * 10, body })
        .collect();
    writer.append(&records)
}

/// A snapshot id and its body.
type Commit = (u64, Vec<u8>);

/// Replays everything after `after` and returns the ids and bodies.
pub(super) fn read_all(disk: &dyn Disk, after: u64) -> Result<(Vec<Commit>, ReplayEnd)> {
    let mut found = Vec::new();
    let end = replay(disk, SnapshotId(after), &mut |records: Vec<Replayed>| {
        for record in records {
            assert_eq!(record.time_us, record.snapshot.0 as i64 * 10);
            found.push((record.snapshot.0, record.raw()?.into_owned()));
        }
        Ok(())
    })?;
    Ok((found, end))
}

pub(super) fn open(disk: &SimDisk, after: u64) -> Result<LogWriter> {
    let (_, end) = read_all(disk, after)?;
    LogWriter::start(Arc::new(disk.clone()), OPTIONS, end)
}

/// What a client of the log knows.
#[derive(Clone, Copy, Debug, Default)]
struct Model {
    checkpoint: u64,
    acknowledged: u64,
    attempted: u64,
}

impl Model {
    /// Appends, rolls, releases and prepares as the dice say, until done or the first failure.
    fn work(&mut self, disk: &SimDisk, dice: &mut Dice, steps: u64) -> Result<()> {
        let mut writer = open(disk, self.checkpoint)?;
        self.acknowledged = writer.last().0;
        for _ in 0..steps {
            match dice.below(12) {
                0 => writer.roll()?,
                1 => writer.spares().prepare()?,
                2 | 3 => {
                    // The manifest is durable before the log hears of it.
                    self.checkpoint += dice.below(self.acknowledged - self.checkpoint + 1);
                    writer.release(SnapshotId(self.checkpoint))?;
                }
                _ => {
                    self.attempted = self.acknowledged + 1 + dice.below(4);
                    append(&mut writer, self.acknowledged + 1, self.attempted)?;
                    self.acknowledged = self.attempted;
                }
            }
        }
        if dice.below(2) == 0 { writer.close() } else { Ok(()) }
    }

    /// Whether the log holds all that was acknowledged, nothing by halves, nothing made up. Returns its last commit.
    fn check(&self, disk: &SimDisk) -> Result<u64, String> {
        let (found, end) = read_all(disk, self.checkpoint).map_err(|error| error.to_string())?;
        let expected: Vec<_> = (self.checkpoint + 1..=end.last.0).map(|id| (id, body_of(id))).collect();
        if found != expected {
            let ids: Vec<u64> = found.iter().map(|(id, _)| *id).collect();
            return Err(format!("wrong records: {self:?}, end={}, found={ids:?}", end.last));
        }
        if !(self.acknowledged..=self.attempted.max(self.acknowledged)).contains(&end.last.0) {
            return Err(format!("wrong end: {self:?}, end={}", end.last));
        }
        Ok(end.last.0)
    }
}

/// What ends a workload at the call where it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    PowerCut,
    /// The process dies, the machine goes on until the power cut in the recovery.
    Kill,
    /// A power cut on a disk whose syncs do nothing.
    PowerCutLying,
}

/// Runs a workload up to call `cut`, recovers with a power cut at `cut_again`, and goes on.
fn crash_twice(seed: u64, cut: u64, cut_again: u64, end: End) -> Result<(), String> {
    let disk = SimDisk::new(seed ^ cut << 20);
    disk.lie_about_sync(end == End::PowerCutLying);
    disk.crash_at_call(cut);
    let mut model = Model::default();
    let outcome = model.work(&disk, &mut Dice(seed | 1), 24);
    assert!(outcome.is_ok() || disk.is_off(), "{outcome:?}");

    let disk = if end == End::Kill { disk.restart() } else { disk.crash() };
    let last = model.check(&disk)?;
    disk.crash_at_call(disk.counts().calls + cut_again);
    let outcome = open(&disk, model.checkpoint);
    assert!(outcome.is_ok() || disk.is_off(), "{outcome:?}");

    let disk = disk.crash();
    let again = model.check(&disk)?;
    // After a kill, what was not acknowledged is safe only once the recovery is complete.
    if again != last && (end != End::Kill || outcome.is_ok() || again > last) {
        return Err(format!("the second recovery differs: first={last}, second={again}"));
    }
    model.attempted = again;
    let outcome = model.work(&disk, &mut Dice(seed | 1), 8);
    outcome.map_err(|error| error.to_string())?;
    model.check(&disk.crash())?;
    Ok(())
}

fn calls_of_clean_run(seed: u64) -> u64 {
    let disk = SimDisk::new(seed);
    let mut model = Model::default();
    model.work(&disk, &mut Dice(seed | 1), 24).unwrap();
    model.check(&disk.crash()).unwrap();
    disk.counts().calls
}

#[test]
fn a_crash_at_any_call_loses_no_acknowledged_commit() {
    // Invariants 1 to 5: power cuts at every call of many workloads, and again at some call of each recovery.
    for seed in 1..=24 {
        for cut in 1..=calls_of_clean_run(seed) + 1 {
            for end in [End::PowerCut, End::Kill] {
                if let Err(problem) = crash_twice(seed, cut, 1 + cut % 37, end) {
                    panic!("seed={seed}, cut={cut}, end={end:?}: {problem}");
                }
            }
        }
    }
}

#[test]
fn canary_a_disk_that_lies_about_sync_is_caught() {
    // The checker above can fail: on a disk whose syncs do nothing, it does, and often.
    let caught = (1..=40).filter(|seed| crash_twice(*seed, 60, 1000, End::PowerCutLying).is_err()).count();
    assert!(caught > 20, "caught only {caught} of 40");
}

#[test]
fn a_failed_sync_and_a_restart_make_nothing_durable_by_looking() {
    // Invariant 4: bytes whose sync failed are readable until the power goes; what recovery shows must outlive that.
    for seed in 1..200 {
        let disk = SimDisk::new(seed);
        let mut writer = open(&disk, 0).unwrap();
        append(&mut writer, 1, 3).unwrap();
        disk.fail_sync(disk.counts().syncs + 1);
        assert_eq!(append(&mut writer, 4, 6).unwrap_err().kind(), ErrorKind::Internal);
        assert_eq!(append(&mut writer, 4, 6).unwrap_err().kind(), ErrorKind::Latched, "a failed sync is not retried");

        let disk = disk.restart();
        let mut writer = open(&disk, 0).unwrap();
        assert_eq!(writer.last(), SnapshotId(6));
        append(&mut writer, 7, 7).unwrap();
        let (found, _) = read_all(&disk.crash(), 0).unwrap_or_else(|error| panic!("seed={seed}: {error}"));
        assert_eq!(found, (1..=7).map(|id| (id, body_of(id))).collect::<Vec<_>>());
    }
}

#[test]
fn a_flipped_bit_in_what_was_synced_is_reported_or_harmless() {
    // Invariant 5: with every byte proven by the closing mark, no flip anywhere may lose or change a commit unnoticed.
    let disk = SimDisk::new(1);
    let mut writer = open(&disk, 0).unwrap();
    for (first, last) in [(1, 3), (4, 4), (5, 9), (10, 12)] {
        append(&mut writer, first, last).unwrap();
    }
    writer.roll().unwrap();
    append(&mut writer, 13, 15).unwrap();
    append(&mut writer, 16, 16).unwrap();
    writer.close().unwrap();
    let whole = read_all(&disk, 0).unwrap().0;
    assert_eq!(whole.len(), 16);
    let mut reported = 0;
    for name in disk.list(FOLDER).unwrap() {
        let path = format!("{FOLDER}/{name}");
        for offset in 0..disk.contents(&path).unwrap().len() as u64 {
            let bit = (offset % 8) as u8;
            disk.flip_bit(&path, offset, bit).unwrap();
            match read_all(&disk, 0) {
                Ok((found, _)) => assert!(found == whole, "{path} at {offset}: commits lost or changed unnoticed"),
                Err(error) => {
                    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{error}");
                    assert!(error.message().contains(&path), "{error}");
                    reported += 1;
                }
            }
            disk.flip_bit(&path, offset, bit).unwrap();
        }
    }
    assert!(reported > 5000, "{reported}");
}

#[test]
fn a_full_disk_refuses_cleanly_and_recovers() {
    // Invariant 6: `Exhausted` writes nothing; the same commit succeeds once space returns; what was there stays.
    let disk = SimDisk::new(7);
    disk.set_capacity(Some(OPTIONS.file_bytes + 100));
    let mut writer = open(&disk, 0).unwrap();
    let mut last = 0;
    let error = loop {
        match append(&mut writer, last + 1, last + 1) {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(last > 2);
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    assert_eq!(append(&mut writer, last + 1, last + 1).unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!(disk.list(FOLDER).unwrap().len(), 1, "no half-made file stays");

    let reopened = disk.restart();
    let mut writer = open(&reopened, 0).unwrap();
    assert_eq!(writer.last(), SnapshotId(last), "a full disk opens");
    assert_eq!(append(&mut writer, last + 1, last + 1).unwrap_err().kind(), ErrorKind::Exhausted);
    reopened.set_capacity(None);
    append(&mut writer, last + 1, last + 2).unwrap();
    let (found, _) = read_all(&reopened.crash(), 0).unwrap();
    assert_eq!(found, (1..=last + 2).map(|id| (id, body_of(id))).collect::<Vec<_>>());
}

#[test]
fn files_are_recycled_and_bounded() {
    // Invariant 2: a log that is released as it grows keeps a bounded number of files and never shows a stale record.
    let disk = SimDisk::new(3);
    let mut writer = open(&disk, 0).unwrap();
    for id in 1..=200 {
        append(&mut writer, id, id).unwrap();
        if id % 10 == 0 {
            writer.release(SnapshotId(id - 3)).unwrap();
            assert!(disk.list(FOLDER).unwrap().len() <= 5, "{:?}", disk.list(FOLDER));
            assert!(writer.bytes() < 6 * OPTIONS.file_bytes);
            let (found, _) = read_all(&disk, id - 3).unwrap();
            assert_eq!(found.len(), 3);
        }
    }
}

#[test]
fn a_large_commit_gets_a_file_of_its_own_size() {
    // Invariant 8: a group larger than a file is one record in one file, and that file is not kept as a spare.
    let disk = SimDisk::new(3);
    let mut writer = open(&disk, 0).unwrap();
    let raw: Vec<u8> = (0..100_000_u64).flat_map(mixed_bytes).collect();
    let body = Body::new(raw.clone());
    writer.append(&[Record { snapshot: SnapshotId(1), time_us: 10, body: &body }]).unwrap();
    append(&mut writer, 2, 9).unwrap();
    let (found, _) = read_all(&disk, 0).unwrap();
    assert_eq!(found[0].1, raw);
    assert_eq!(found.len(), 9);
    writer.roll().unwrap();
    writer.release(SnapshotId(9)).unwrap();
    for name in disk.list(FOLDER).unwrap() {
        assert_eq!(disk.contents(&format!("{FOLDER}/{name}")).unwrap().len() as u64, OPTIONS.file_bytes);
    }
}

fn mixed_bytes(value: u64) -> [u8; 8] {
    value.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).to_le_bytes()
}

#[test]
fn a_group_costs_one_write_and_one_sync() {
    // Invariant 8: 64 small commits are one write and one sync, and nothing else touches the disk.
    let disk = SimDisk::new(3);
    let options = LogOptions { file_bytes: 1 << 20, ..OPTIONS };
    let (_, end) = read_all(&disk, 0).unwrap();
    let mut writer = LogWriter::start(Arc::new(disk.clone()), options, end).unwrap();
    for group in 0..4 {
        let before = disk.counts();
        append(&mut writer, group * 64 + 1, group * 64 + 64).unwrap();
        let after = disk.counts();
        assert_eq!((after.writes - before.writes, after.syncs - before.syncs, after.calls - before.calls), (1, 1, 2));
    }
}

/// A log of two files, the newer one not closed, as file images.
fn images() -> Vec<(String, Vec<u8>)> {
    let disk = SimDisk::new(5);
    let mut writer = open(&disk, 0).unwrap();
    append(&mut writer, 1, 4).unwrap();
    writer.roll().unwrap();
    append(&mut writer, 5, 6).unwrap();
    append(&mut writer, 7, 9).unwrap();
    let names = disk.list(FOLDER).unwrap().into_iter().map(|name| format!("{FOLDER}/{name}"));
    names.map(|path| (path.clone(), disk.contents(&path).unwrap())).collect()
}

fn disk_of(images: &[(String, Vec<u8>)]) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir(FOLDER).unwrap();
    for (path, bytes) in images {
        disk.create(path).unwrap().write_at(0, &[std::io::IoSlice::new(bytes)]).unwrap();
    }
    disk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn replay_bears_any_bytes(
        edits in prop::collection::vec((0usize..2, 0usize..16384, any::<[u8; 4]>(), 1usize..5), 1..6),
        lengths in prop::array::uniform2(prop::option::weighted(0.2, 0usize..20_000)),
        after in 0u64..12,
    ) {
        // Invariant 7: whatever a file holds, replay answers, and what it delivers is an unbroken, unaltered row of commits.
        let mut images = images();
        for (file, offset, bytes, count) in edits {
            images[file].1[offset..].iter_mut().zip(&bytes[..count.min(4)]).for_each(|(old, new)| *old = *new);
        }
        for (image, length) in images.iter_mut().zip(lengths) {
            if let Some(length) = length {
                image.1.resize(length, 0xaa);
            }
        }
        if let Ok((found, end)) = read_all(&disk_of(&images), after) {
            prop_assert!(end.last.0 >= after);
            let expected: Vec<_> = (after + 1..=end.last.0).map(|id| (id, body_of(id))).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn any_groups_come_back(groups in prop::collection::vec(1u64..6, 1..20), checkpoint in 0u64..20, close: bool) {
        // Invariants 1 and 8: groups of any shape replay as they were, from any checkpoint, closed or not.
        let disk = SimDisk::new(9);
        let mut writer = open(&disk, 0).unwrap();
        let mut last = 0;
        for group in groups {
            append(&mut writer, last + 1, last + group).unwrap();
            last += group;
        }
        if close {
            writer.close().unwrap();
            prop_assert_eq!(append(&mut writer, last + 1, last + 1).unwrap_err().kind(), ErrorKind::Unavailable);
        }
        let checkpoint = checkpoint.min(last);
        let (found, end) = read_all(&disk.crash(), checkpoint).unwrap();
        prop_assert_eq!(end.unproven.is_none(), close);
        prop_assert_eq!(found, (checkpoint + 1..=last).map(|id| (id, body_of(id))).collect::<Vec<_>>());
    }
}

#[test]
fn the_header_page_is_that_of_the_format_page() {
    // Pins version 3: the fields and their order; every flipped bit is seen.
    let header = LogHeader { generation: 7, base: SnapshotId(0x0102), salt: 3 };
    let bytes = header.encode();
    let fields = [
        &b"\x89slLOG\r\n"[..],
        &[3, 0, 0, 0],
        &crc32fast::hash(&bytes[..12]).to_le_bytes(),
        &[7, 0, 0, 0, 0, 0, 0, 0],
        &[2, 1, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &crc32fast::hash(&bytes[..40]).to_le_bytes(),
        &[0, 0, 0, 0],
    ];
    assert_eq!(bytes[..], fields.concat());
    assert_eq!(LogHeader::decode("f", &bytes).unwrap(), header);
    for bit in 0..LOG_HEADER_BYTES * 8 {
        let mut flipped = bytes;
        flipped[bit / 8] ^= 1 << (bit % 8);
        LogHeader::decode("f", &flipped).unwrap_err();
    }
    assert_eq!(number_of("0000000007.log", "log"), Some(7));
    for name in
        ["7.log", "0000000007.spare", "000000000x.log", "0000000007", "+000000007.log", "99999999999999999999999.log"]
    {
        assert_eq!(number_of(name, "log"), None, "{name}");
    }
}
