use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};

use super::*;
use crate::catalog::TableName;
use crate::commit::{Batch, Change, Commit, Merge, OnMatch};
use crate::engine::Engine;
use crate::ids::{ColumnId, TableId};
use crate::io::OsDisk;
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::options::Options;
use crate::schema::{NewColumn, TableSchema};

fn stepped() -> Options {
    Options { background: false, log_file_bytes: 1 << 16, disk_reserve_bytes: 0, ..Options::default() }
}

fn open(disk: &SimDisk) -> Result<Engine> {
    Engine::open(Arc::new(disk.clone()), stepped())
}

fn create(engine: &Engine) -> TableId {
    let id = engine.new_table_id();
    let schema = Arc::new(TableSchema::new(vec![NewColumn::new("id", LogicalType::BigInt)], &[]).unwrap());
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id, name: TableName::new("LAKE", "main", "t"), schema },
    ];
    engine.write(Commit::new(changes)).unwrap();
    id
}

fn batch(table: TableId, id: i64) -> Batch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values([id]));
    Batch::new(table, 1, vec![(ColumnId(1), ids)]).unwrap()
}

fn append(engine: &Engine, table: TableId, id: i64) {
    engine.write(Commit::new(vec![Change::Append(batch(table, id))])).unwrap();
}

fn remove(engine: &Engine, table: TableId, id: i64) {
    let merge =
        Merge { batch: batch(table, id), key: vec![ColumnId(1)], on_match: OnMatch::Remove, newer_by: Vec::new() };
    let committed = engine.write(Commit::new(vec![Change::Merge(merge)])).unwrap();
    assert_eq!(committed.rows.deleted, 1);
}

fn ids(engine: &Engine, table: TableId) -> Vec<i64> {
    let snapshot = engine.snapshot().table(table).unwrap();
    let read =
        |unit: &crate::ScanUnit| unit.read(&[ColumnId(1)]).unwrap()[0].as_primitive::<Int64Type>().values().to_vec();
    snapshot.units().iter().flat_map(read).collect()
}

/// A database of two segments, one with a delete vector on disk, and a log tail that adds rows and deletes some of a segment and of memory.
fn source(disk: &SimDisk) -> (Engine, TableId) {
    let engine = open(disk).unwrap();
    let table = create(&engine);
    for id in 0..30 {
        append(&engine, table, id);
        if id == 12 {
            remove(&engine, table, REMOVED[0]);
        }
        if id == 9 || id == 19 {
            engine.flush().unwrap();
        }
    }
    remove(&engine, table, REMOVED[1]);
    remove(&engine, table, REMOVED[2]);
    (engine, table)
}

/// Rows of [`source`] that are not there: deleted before a flush, and after it in a segment and in memory.
const REMOVED: [i64; 3] = [3, 15, 25];

/// Rows of [`source`].
fn rows() -> impl Iterator<Item = i64> {
    (0..30).filter(|id| !REMOVED.contains(id))
}

fn target(seed: u64, links: bool) -> (SimDisk, Arc<dyn Disk>) {
    let disk = SimDisk::new(seed);
    disk.set_links(links);
    (disk.clone(), Arc::new(disk))
}

#[test]
fn a_copy_opens_as_the_database_was() {
    // Segments and log tail arrive, linked or copied; what is written later to either is not in the other; new ids go on.
    for links in [true, false] {
        let (engine, table) = source(&SimDisk::new(1));
        let (copy, disk) = target(2, links);
        let report = engine.backup(&disk).unwrap();
        let files = (report.linked_files, report.copied_files);
        // Two flushes of two tables (the history of commits is one), and a delete vector.
        assert_eq!((files, report.log_commits), (if links { (5, 0) } else { (0, 5) }, 12));
        assert_eq!(report.copied_bytes > 0, !links);
        assert_eq!(report.snapshot, engine.snapshot().id());
        append(&engine, table, 100);
        engine.flush().unwrap();

        assert_eq!(verify(&copy).unwrap().log_commits, 12);
        let restored = open(&copy).unwrap();
        assert_eq!(ids(&restored, table), rows().collect::<Vec<_>>());
        append(&restored, table, 200);
        restored.flush().unwrap();
        drop(restored);
        let restored = open(&copy).unwrap();
        assert_eq!(ids(&restored, table), rows().chain([200]).collect::<Vec<_>>());
        assert_eq!(ids(&engine, table), rows().chain([100]).collect::<Vec<_>>());
        verify(&copy.crash()).unwrap();
    }
}

#[test]
fn an_empty_database_can_be_copied() {
    // Nothing at all is a database, too: it opens, and is not taken for a new directory.
    let engine = open(&SimDisk::new(1)).unwrap();
    let (copy, disk) = target(2, true);
    let report = engine.backup(&disk).unwrap();
    assert_eq!(report, BackupReport::default());
    assert_eq!(verify(&copy).unwrap(), Verified::default());
    let table = create(&open(&copy).unwrap());
    assert_eq!(table, TableId(1));
}

#[test]
fn only_an_empty_and_unused_target_is_taken() {
    // A directory with anything of ours in it, or open elsewhere, is refused before it is changed; a copy of a copy works.
    let (engine, _) = source(&SimDisk::new(1));
    let (copy, disk) = target(2, true);
    engine.backup(&disk).unwrap();
    let before = copy.counts();
    assert_eq!(engine.backup(&disk).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(copy.counts().writes, before.writes);

    let (_, held) = target(3, true);
    let lock = held.lock().unwrap();
    assert_eq!(engine.backup(&held).unwrap_err().kind(), ErrorKind::Unavailable);
    drop(lock);
    assert_eq!(backup(&copy, &held).unwrap().log_commits, 12);

    let (empty, _) = target(4, true);
    let (_, other) = target(5, true);
    assert_eq!(backup(&empty, &other).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_closed_directory_is_copied_with_its_torn_tail_cut() {
    // What a crash leaves can be copied as it is, without opening it; the source keeps every byte.
    let source_disk = SimDisk::new(1);
    let (engine, table) = source(&source_disk);
    drop(engine);
    let crashed = source_disk.crash();
    let writes = crashed.counts().writes;
    let (copy, disk) = target(2, false);
    assert_eq!(backup(&crashed, &disk).unwrap().snapshot.0, 34);
    assert_eq!(crashed.counts().writes, writes);
    assert_eq!(ids(&open(&copy).unwrap(), table), rows().collect::<Vec<_>>());
}

/// What became of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Refused,
    Whole,
}

fn look(disk: &SimDisk, table: TableId) -> Found {
    let empty = ["", "log", "segments"].iter().all(|folder| disk.list(folder).unwrap().is_empty());
    if empty {
        return Found::Nothing;
    }
    match open(disk) {
        Ok(engine) => {
            assert_eq!(ids(&engine, table), rows().collect::<Vec<_>>(), "half a copy opens");
            Found::Whole
        }
        Err(error) => {
            assert!(error.message().contains("manifest is missing"), "{error}");
            Found::Refused
        }
    }
}

#[test]
fn an_interrupted_copy_is_refused() {
    // The power goes off in each call of the target in turn, with and without links: what is left is nothing, refused, or
    // whole; the source is none the worse.
    for links in [true, false] {
        let source_disk = SimDisk::new(1);
        let (engine, table) = source(&source_disk);
        let (clean, disk) = target(2, links);
        engine.backup(&disk).unwrap();
        let calls = clean.counts().calls;
        let mut found = Vec::new();
        for call in 1..=calls {
            for seed in 0..4 {
                let (copy, disk) = target(seed * 1000 + call, links);
                copy.crash_at_call(call);
                let outcome = engine.backup(&disk);
                assert!(copy.is_off());
                let left = [look(&copy.crash(), table), look(&copy.restart(), table)];
                // The call may be one whose failure does not matter any more.
                assert!(outcome.is_err() || left == [Found::Whole; 2], "call {call}: {left:?}");
                found.extend(left);
            }
        }
        for outcome in [Found::Nothing, Found::Refused, Found::Whole] {
            assert!(found.contains(&outcome), "{outcome:?} never happened in {calls} calls");
        }
        append(&engine, table, 30);
        engine.flush().unwrap();
        drop(engine);
        verify(&source_disk.crash()).unwrap();
    }
}

#[test]
fn a_failing_target_is_reported() {
    // A failed write, a failed sync, a full disk: an error, a target that is refused, and a source that goes on.
    let (engine, table) = source(&SimDisk::new(1));
    let (clean, disk) = target(2, false);
    engine.backup(&disk).unwrap();
    let counts = clean.counts();
    for k in 1..=counts.writes {
        let (copy, disk) = target(3, false);
        copy.fail_write(k);
        engine.backup(&disk).unwrap_err();
        assert_ne!(look(&copy.crash(), table), Found::Whole, "write {k}");
    }
    for k in 1..=counts.syncs {
        let (copy, disk) = target(4, false);
        copy.fail_sync(k);
        engine.backup(&disk).unwrap_err();
        look(&copy.crash(), table);
    }
    let (copy, disk) = target(5, false);
    copy.set_capacity(Some((1 << 20) + 100));
    assert_eq!(engine.backup(&disk).unwrap_err().kind(), ErrorKind::Exhausted);
    assert_eq!(look(&copy, table), Found::Refused);
    append(&engine, table, 30);
    engine.health().unwrap();
}

#[test]
fn a_failing_source_is_reported() {
    // A read that fails while the copy is made ends it, and changes nothing here: the next attempt is whole.
    let source_disk = SimDisk::new(1);
    let (engine, table) = source(&source_disk);
    let before = source_disk.counts();
    engine.backup(&target(2, false).1).unwrap();
    let reads = source_disk.counts().reads - before.reads;
    assert_eq!(source_disk.counts().writes, before.writes, "the source is only read");
    assert_eq!(source_disk.counts().syncs, before.syncs);
    assert!(reads >= 5, "two segments, a delete vector and a log: {reads} reads");
    for k in 1..=reads {
        let (copy, disk) = target(3, false);
        source_disk.fail_read(source_disk.counts().reads + k);
        engine.backup(&disk).unwrap_err();
        assert_ne!(look(&copy, table), Found::Whole, "read {k}");
    }
    let (copy, disk) = target(4, false);
    engine.backup(&disk).unwrap();
    assert_eq!(look(&copy, table), Found::Whole);
}

#[test]
fn a_latched_engine_and_a_full_disk_can_be_copied() {
    // The very moments at which a copy is wanted: after a failed sync, and when nothing more can be written.
    let source_disk = SimDisk::new(1);
    let (engine, table) = source(&source_disk);
    source_disk.set_capacity(Some(0));
    let (copy, disk) = target(2, false);
    engine.backup(&disk).unwrap();
    assert_eq!(look(&copy, table), Found::Whole);

    source_disk.set_capacity(None);
    source_disk.fail_sync(source_disk.counts().syncs + 1);
    engine.write(Commit::new(vec![Change::Append(batch(table, 99))])).unwrap_err();
    assert_eq!(engine.health().unwrap_err().kind(), ErrorKind::Latched);
    let (copy, disk) = target(3, false);
    engine.backup(&disk).unwrap();
    assert_eq!(look(&copy, table), Found::Whole, "the commit of unknown outcome is not in the copy");
}

#[test]
fn held_files_are_not_swept() {
    // While a manifest is held its files stay, whatever is dropped and flushed; afterwards they go.
    let disk = SimDisk::new(1);
    let (engine, table) = source(&disk);
    let held = engine.shared().flusher.lock().hold();
    let own = held.segments.iter().filter(|segment| segment.table == table).count();
    let there = |files: &[(String, u64)]| {
        files.iter().filter(|(path, bytes)| disk.contents(path).is_ok_and(|found| found.len() as u64 == *bytes)).count()
    };
    let files: Vec<(String, u64)> = held.files().collect();
    engine.write(Commit::new(vec![Change::DropTable { id: table }])).unwrap();
    engine.flush().unwrap();
    assert_eq!((own, there(&files)), (2, files.len()));
    drop(held);
    create_another(&engine);
    engine.flush().unwrap();
    // Two segments and a delete vector; what is left is the history's.
    assert_eq!(there(&files), files.len() - 3);
}

fn create_another(engine: &Engine) {
    let schema = Arc::new(TableSchema::new(vec![NewColumn::new("id", LogicalType::BigInt)], &[]).unwrap());
    let name = TableName::new("LAKE", "main", "another");
    let change = Change::CreateTable { id: engine.new_table_id(), name, schema };
    engine.write(Commit::new(vec![change])).unwrap();
}

#[test]
fn restored_is_what_was_backed_up() {
    // The whole circle; the restored directory shares no file with the backup: damage to one leaves the other whole.
    let (engine, table) = source(&SimDisk::new(1));
    let (copy, disk) = target(2, true);
    engine.backup(&disk).unwrap();
    let (restored, disk) = target(3, true);
    assert_eq!(restore(&copy, &disk).unwrap(), verify(&copy).unwrap());
    assert_eq!(restore(&copy, &disk).unwrap_err().kind(), ErrorKind::Invalid);
    let names = copy.list(SEGMENT_FOLDER).unwrap();
    let segment = names.iter().find(|name| name.ends_with(".segment")).map(|name| format!("{SEGMENT_FOLDER}/{name}"));
    let segment = segment.unwrap();
    copy.flip_bit(&segment, 100, 3).unwrap();
    assert_eq!(look(&restored, table), Found::Whole);
    let (damaged, disk) = target(4, true);
    let error = restore(&copy, &disk).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.message().contains(&segment), "{error}");
    assert_eq!(look(&damaged, table), Found::Nothing);
}

#[test]
fn copies_are_whole_while_four_write() {
    // Real files and threads, small limits so that flushes, sweeps and log releases go on all the time: each copy has every commit that
    // was acknowledged before it began, and of each writer a prefix of what it wrote.
    const WRITERS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { flush_bytes: 1 << 12, log_file_bytes: 1 << 16, disk_reserve_bytes: 0, ..Options::default() };
    let engine = Engine::open(Arc::new(OsDisk::open(&folder.path().join("source")).unwrap()), options).unwrap();
    let table = create(&engine);
    let stop = AtomicBool::new(false);
    let acknowledged: [std::sync::atomic::AtomicI64; WRITERS] = Default::default();
    thread::scope(|scope| {
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let (engine, stop) = (&engine, &stop);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    append(engine, table, (writer as i64) << 32 | n);
                    acknowledged.store(n + 1, Ordering::SeqCst);
                }
            });
        }
        for round in 0..12 {
            let before: Vec<i64> = acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect();
            let path = folder.path().join(format!("copy-{round}"));
            let copy: Arc<dyn Disk> = Arc::new(OsDisk::open_empty(&path).unwrap());
            let report = engine.backup(&copy).unwrap();
            assert_eq!(report.copied_files, 0, "one file system: everything is linked");
            verify(copy.as_ref()).unwrap();
            let opened = Engine::open(copy, stepped()).unwrap();
            assert_eq!(opened.snapshot().id(), report.snapshot);
            let found = ids(&opened, table);
            for (writer, before) in before.iter().enumerate() {
                let own: Vec<i64> =
                    found.iter().filter(|id| **id >> 32 == writer as i64).map(|id| id & 0xffff_ffff).collect();
                assert!(own.len() as i64 >= *before, "round {round}: writer {writer} lacks rows");
                assert!(own.iter().copied().eq(0..own.len() as i64), "round {round}: writer {writer} has gaps");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(engine.metrics().flushes > 0, "nothing was flushed meanwhile");
}
