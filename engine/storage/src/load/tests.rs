//! Loads among everything else: visible wholly or not at all, through crashes, failures, full disks, flushes, compactions and backups.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{BooleanArray, Int64Array};

use super::*;
use crate::backup::backup;
use crate::catalog::TableName;
use crate::io::Disk;
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::options::Options;
use crate::row_set::RowSet;
use crate::schema::NewColumn;
use crate::verify::verify;

const ID: ColumnId = ColumnId(1);

fn options() -> Options {
    Options {
        background: false,
        row_group_rows: 4,
        segment_rows_max: 8,
        log_file_bytes: 1 << 16,
        compaction_fanout: 2,
        disk_reserve_bytes: 0,
        ..Options::default()
    }
}

fn open(disk: &SimDisk) -> Engine {
    Engine::open(Arc::new(disk.clone()), options()).unwrap()
}

fn schema() -> Arc<TableSchema> {
    Arc::new(TableSchema::new(vec![NewColumn::new("id", LogicalType::BigInt)], &[]).unwrap())
}

fn name(table: &str) -> TableName {
    TableName::new("LAKE", "main", table)
}

/// Makes the database and the table `t` with ids from 0 to 5 in memory.
fn begin(engine: &Engine) -> TableId {
    let id = engine.new_table_id();
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id, name: name("t"), schema: schema() },
        Change::Append(batch(id, 0..5)),
    ];
    engine.write(Commit::new(changes)).unwrap();
    id
}

fn batch(table: TableId, ids: Range<i64>) -> Batch {
    let ids: Int64Array = ids.collect();
    Batch::new(table, ids.len(), vec![(ID, Arc::new(ids) as ArrayRef)]).unwrap()
}

/// Loads ids, in batches of seven.
fn try_load(engine: &Engine, table: TableId, ids: Range<i64>, before: Vec<Change>) -> Result<SnapshotId> {
    let mut load = engine.load(table, &schema())?;
    let mut start = ids.start;
    while start < ids.end {
        let end = ids.end.min(start + 7);
        load.append(&batch(table, start..end))?;
        start = end;
    }
    load.commit(before, CommitInfo::default()).map(|committed| {
        assert_eq!(committed.rows.inserted, (ids.end - ids.start) as u64);
        committed.snapshot
    })
}

fn load(engine: &Engine, table: TableId, ids: Range<i64>) -> SnapshotId {
    try_load(engine, table, ids, Vec::new()).unwrap()
}

fn ids_at(engine: &Engine, table: TableId, at: SnapshotId) -> Vec<i64> {
    let mut ids = Vec::new();
    for unit in engine.snapshot().table_at(table, at).unwrap().units() {
        ids.extend(unit.read(&[ID]).unwrap()[0].as_primitive::<Int64Type>().values());
    }
    ids.sort_unstable();
    ids
}

fn ids(engine: &Engine, table: TableId) -> Vec<i64> {
    ids_at(engine, table, engine.snapshot().id())
}

fn delete(engine: &Engine, table: TableId, wanted: &[i64]) -> SnapshotId {
    let mut picked = RowSet::empty(table);
    for unit in engine.snapshot().table(table).unwrap().units() {
        let found = unit.read(&[ID]).unwrap();
        let chosen: BooleanArray =
            found[0].as_primitive::<Int64Type>().values().iter().map(|id| Some(wanted.contains(id))).collect();
        picked.extend(unit.row_set(&chosen));
    }
    assert_eq!(picked.rows(), wanted.len() as u64);
    engine.write(Commit::new(vec![Change::Delete(picked)])).unwrap().snapshot
}

fn files(disk: &SimDisk) -> usize {
    disk.list(SEGMENT_FOLDER).unwrap().iter().filter(|name| name.ends_with(".segment")).count()
}

/// Rows of a load are there from its commit on, in that snapshot and not in the one before, over flushes, compactions and restarts.
#[test]
fn loads_are_commits_like_any_other() {
    let disk = SimDisk::new(1);
    let mut engine = open(&disk);
    let table = begin(&engine);
    let before = engine.snapshot();
    let loaded = load(&engine, table, 5..30);
    assert_eq!(loaded, before.id().next());
    assert_eq!(before.table(table).unwrap().rows(), 5, "a snapshot that is held does not change");
    engine.write(Commit::new(vec![Change::Append(batch(table, 30..33))])).unwrap();
    let deleted = delete(&engine, table, &[3, 10, 11, 31]);
    let left: Vec<i64> = (0..33).filter(|id| ![3, 10, 11, 31].contains(id)).collect();
    for turn in 0..4 {
        match turn {
            0 => {}
            1 => {
                drop(engine);
                engine = open(&disk);
            }
            2 => engine.flush().unwrap(),
            _ => {
                while engine.compact().unwrap() {}
                drop(engine);
                verify(&disk).unwrap();
                engine = open(&disk);
            }
        }
        assert_eq!(ids(&engine, table), left, "turn {turn}");
        assert_eq!(ids_at(&engine, table, loaded), (0..30).collect::<Vec<_>>(), "turn {turn}");
        assert_eq!(ids_at(&engine, table, before.id()), (0..5).collect::<Vec<_>>(), "turn {turn}");
        assert_eq!(ids_at(&engine, table, deleted), left, "turn {turn}");
        let changes = engine.snapshot().table_changes(table, before.id(), loaded, &[ID]).unwrap();
        assert_eq!(changes.iter().map(|rows| rows.kinds.len()).sum::<usize>(), 25, "turn {turn}");
    }
}

/// A load makes its table, takes the place of another, and costs no memory for rows.
#[test]
fn loads_make_and_replace_tables() {
    let disk = SimDisk::new(2);
    let engine = open(&disk);
    let old = begin(&engine);
    engine.flush().unwrap();
    let new = engine.new_table_id();
    let before =
        vec![Change::DropTable { id: old }, Change::CreateTable { id: new, name: name("t"), schema: schema() }];
    try_load(&engine, new, 0..100, before).unwrap();
    assert_eq!(ids(&engine, new), (0..100).collect::<Vec<_>>());
    assert!(engine.snapshot().table(old).is_none());
    assert_eq!(engine.metrics().memtable_rows, 0, "rows of a load are not in memory");
    drop(engine);
    let engine = open(&disk);
    assert_eq!(ids(&engine, new), (0..100).collect::<Vec<_>>());
}

/// Cut off at any call, a load is there wholly or not at all; what the engine then writes does not touch its files.
#[test]
fn a_crash_at_any_call_leaves_all_or_nothing() {
    let disk = SimDisk::new(3);
    let engine = open(&disk);
    let table = begin(&engine);
    drop(engine);
    let run = |engine: &Engine| -> Result<SnapshotId> {
        let loaded = try_load(engine, table, 5..30, Vec::new())?;
        engine.flush()?;
        Ok(loaded)
    };
    let clean = disk.fork();
    let engine = open(&clean);
    let start = clean.counts().calls;
    run(&engine).unwrap();
    let calls = clean.counts().calls - start;
    drop(engine);
    assert!(calls > 30, "{calls}");
    let (mut there, mut gone) = (0, 0);
    for call in 0..=calls {
        let cut = disk.fork();
        let engine = open(&cut);
        cut.crash_at_call(cut.counts().calls + call);
        let outcome = run(&engine);
        drop(engine);
        let crashed = cut.crash();
        verify(&crashed).unwrap_or_else(|error| panic!("call {call}: {error}"));
        let engine = open(&crashed);
        let found = ids(&engine, table).len();
        match found {
            5 => gone += 1,
            30 => there += 1,
            _ => panic!("call {call}: {found} rows"),
        }
        assert!(outcome.is_err() || found == 30, "call {call}: what was acknowledged is there");
        // Files of new segments must not take the names of those that the log names.
        load(&engine, table, 30..50);
        drop(engine);
        let engine = open(&crashed);
        assert_eq!(ids(&engine, table).len(), found + 20, "call {call}");
        engine.flush().unwrap();
        while engine.compact().unwrap() {}
        assert_eq!(ids(&engine, table).len(), found + 20, "call {call}");
    }
    assert!(there > 0 && gone > 0, "{there} and {gone}");
}

/// A call that fails once leaves an engine that goes on or refuses writes, and no half of a load.
#[test]
fn a_failed_call_leaves_all_or_nothing() {
    let disk = SimDisk::new(4);
    let engine = open(&disk);
    let table = begin(&engine);
    drop(engine);
    let clean = disk.fork();
    let engine = open(&clean);
    let start = clean.counts().calls;
    load(&engine, table, 5..30);
    let calls = clean.counts().calls - start;
    drop(engine);
    for call in 0..calls {
        let disk = disk.fork();
        let engine = open(&disk);
        disk.fail_call(disk.counts().calls + call);
        let outcome = try_load(&engine, table, 5..30, Vec::new());
        let acknowledged = if outcome.is_ok() { 30 } else { 5 };
        assert_eq!(ids(&engine, table).len(), acknowledged, "call {call}");
        drop(engine);
        let crashed = disk.crash();
        verify(&crashed).unwrap_or_else(|error| panic!("call {call}: {error}"));
        let engine = open(&crashed);
        let found = ids(&engine, table).len();
        assert!(found == 30 || (found == 5 && outcome.is_err()), "call {call}: {found} rows");
    }
}

/// A load that is given up, refused, or finds the disk full leaves no file.
#[test]
fn loads_that_come_to_nothing_leave_nothing() {
    let disk = SimDisk::new(5);
    let engine = open(&disk);
    let table = begin(&engine);
    engine.flush().unwrap();
    let before = files(&disk);
    let mut given_up = engine.load(table, &schema()).unwrap();
    given_up.append(&batch(table, 0..50)).unwrap();
    assert!(files(&disk) > before);
    drop(given_up);
    assert_eq!(files(&disk), before);
    let taken = vec![Change::CreateTable { id: engine.new_table_id(), name: name("t"), schema: schema() }];
    assert_eq!(try_load(&engine, table, 0..50, taken).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(files(&disk), before);
    let room = 1 << 30;
    disk.set_capacity(Some(room));
    let free = disk.free_bytes().unwrap();
    let mut failures = 0;
    for spare in (0..40_000).step_by(250) {
        disk.set_capacity(Some(room - free + spare));
        match try_load(&engine, table, 5..30, Vec::new()) {
            Ok(_) => break,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Exhausted, "{error}");
                assert_eq!(files(&disk), before, "spare {spare}");
                failures += 1;
            }
        }
    }
    assert!(failures > 3, "{failures}");
    disk.set_capacity(None);
    let wrong = Batch::new(table, 1, vec![(ColumnId(9), Arc::new(Int64Array::from(vec![1])) as ArrayRef)]).unwrap();
    assert_eq!(engine.load(table, &schema()).unwrap().append(&wrong).unwrap_err().kind(), ErrorKind::Invalid);
    let keyed = TableSchema::new(vec![NewColumn::new("id", LogicalType::BigInt)], &["id".into()]).unwrap();
    assert_eq!(engine.load(table, &keyed).unwrap_err().kind(), ErrorKind::Invalid);
}

/// A table that is dropped before its load was listed in a manifest does not keep the directory from opening, and its files go.
#[test]
fn a_load_whose_table_is_dropped_is_replayed() {
    let disk = SimDisk::new(6);
    let engine = open(&disk);
    let table = begin(&engine);
    load(&engine, table, 5..30);
    engine.write(Commit::new(vec![Change::DropTable { id: table }])).unwrap();
    for _ in 0..2 {
        drop(disk.fork());
        let crashed = disk.crash();
        verify(&crashed).unwrap();
        drop(open(&crashed));
        let engine = open(&crashed);
        assert!(engine.snapshot().table(table).is_none());
        engine.flush().unwrap();
        assert!(files(&crashed) <= 1, "the list of commits alone");
        drop(engine);
        drop(open(&crashed));
    }
}

/// A copy made between a load and the flush that lists it has the rows, whether the engine runs or not; compaction waits for the flush.
#[test]
fn backups_have_what_only_the_log_names() {
    let disk = SimDisk::new(7);
    let engine = open(&disk);
    let table = begin(&engine);
    engine.flush().unwrap();
    load(&engine, table, 5..30);
    while engine.compact().unwrap() {}
    let running: Arc<dyn Disk> = Arc::new(SimDisk::new(8));
    engine.backup(&running).unwrap();
    assert_eq!(ids(&engine, table).len(), 30);
    drop(engine);
    let closed: Arc<dyn Disk> = Arc::new(SimDisk::new(9));
    backup(&disk, &closed).unwrap();
    for copy in [running, closed] {
        verify(copy.as_ref()).unwrap();
        let engine = Engine::open(copy, options()).unwrap();
        assert_eq!(ids(&engine, table), (0..30).collect::<Vec<_>>());
    }
}
