use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, StringViewArray};

use super::*;
use crate::catalog::TableName;
use crate::commit::{Batch, Change};
use crate::ids::{ColumnId, SnapshotId};
use crate::io::OsDisk;
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::schema::{NewColumn, TableSchema};
use crate::snapshot::TableSnapshot;
use crate::value::Value;

fn stepped() -> Options {
    Options {
        background: false,
        log_file_bytes: 1 << 16,
        disk_reserve_bytes: 0,
        row_group_rows: 100,
        ..Options::default()
    }
}

pub(super) fn open(disk: &SimDisk) -> Engine {
    Engine::open(Arc::new(disk.clone()), stepped()).unwrap()
}

pub(super) fn create(engine: &Engine) -> TableId {
    let id = engine.new_table_id();
    let columns = vec![NewColumn::new("id", LogicalType::BigInt), NewColumn::new("name", LogicalType::Varchar)];
    let schema = Arc::new(TableSchema::new(columns, &[]).unwrap());
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id, name: TableName::new("lake", "MAIN", "Events"), schema },
    ];
    engine.write(Commit::new(changes)).unwrap();
    id
}

fn rows(table: TableId, ids: std::ops::Range<i64>) -> Change {
    let names: ArrayRef =
        Arc::new(StringViewArray::from_iter_values(ids.clone().map(|id| format!("a longer name {id}"))));
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    Change::Append(Batch::new(table, ids.len(), vec![(ColumnId(1), ids), (ColumnId(2), names)]).unwrap())
}

pub(super) fn append(engine: &Engine, table: TableId, ids: std::ops::Range<i64>) -> SnapshotId {
    engine.write(Commit::new(vec![rows(table, ids)])).unwrap().snapshot
}

fn ids_of(table: &TableSnapshot) -> Vec<i64> {
    let read = |unit: &crate::scan_unit::ScanUnit| {
        let columns = unit.read(&[ColumnId(1), ColumnId(2)]).unwrap();
        let ids = columns[0].as_primitive::<Int64Type>().values().to_vec();
        for (id, name) in ids.iter().zip(columns[1].as_string_view()) {
            assert_eq!(name, Some(format!("a longer name {id}").as_str()));
        }
        ids
    };
    table.units().iter().flat_map(read).collect()
}

pub(super) fn current(engine: &Engine, table: TableId) -> Vec<i64> {
    ids_of(&engine.snapshot().table(table).unwrap())
}

/// What is written is read back from memory, from segments, and after every restart, in commit order.
#[test]
fn rows_survive_flush_and_reopen() {
    let disk = SimDisk::new(7);
    let engine = open(&disk);
    let table = create(&engine);
    append(&engine, table, 0..250);
    assert_eq!(current(&engine, table), (0..250).collect::<Vec<_>>());
    engine.flush().unwrap();
    append(&engine, table, 250..260);
    assert_eq!(current(&engine, table), (0..260).collect::<Vec<_>>());
    assert_eq!(engine.metrics().segments, 1);
    drop(engine);

    let engine = open(&disk);
    assert_eq!(current(&engine, table), (0..260).collect::<Vec<_>>());
    let found = engine.snapshot().catalog().table("Lake", "main", "EVENTS").unwrap().name.to_string();
    assert_eq!(found, "LAKE.main.Events");
    engine.flush().unwrap();
    drop(engine);
    let verified = crate::verify::verify(&disk).unwrap();
    // The engine's own table of three commits is among them.
    assert_eq!((verified.tables, verified.segments, verified.segment_rows, verified.log_commits), (1, 4, 263, 0));
    assert_eq!(current(&open(&disk), table), (0..260).collect::<Vec<_>>());
}

/// A snapshot shows what it showed, through appends, flushes and the drop of its table.
#[test]
fn snapshots_do_not_change() {
    let engine = open(&SimDisk::new(8));
    let table = create(&engine);
    append(&engine, table, 0..10);
    let before = engine.snapshot();
    append(&engine, table, 10..20);
    engine.flush().unwrap();
    let flushed = engine.snapshot();
    engine.write(Commit::new(vec![Change::DropTable { id: table }])).unwrap();
    engine.flush().unwrap();
    assert_eq!(ids_of(&before.table(table).unwrap()), (0..10).collect::<Vec<_>>());
    assert_eq!(ids_of(&flushed.table(table).unwrap()), (0..20).collect::<Vec<_>>());
    assert!(engine.snapshot().table(table).is_none());
    assert_eq!(engine.metrics().segments, 0);
}

/// Each commit can be read back as of its id, from memory and from segments, with the columns of that time.
#[test]
fn earlier_snapshots_are_readable() {
    let disk = SimDisk::new(9);
    let engine = open(&disk);
    let table = create(&engine);
    let first = append(&engine, table, 0..3);
    engine.flush().unwrap();
    let second = append(&engine, table, 3..150);
    let schema = Arc::clone(engine.snapshot().table(table).unwrap().schema());
    let added = NewColumn { default: Some(Value::Int(5)), ..NewColumn::new("score", LogicalType::Integer) };
    let wider = Arc::new(schema.with_columns(vec![added]).unwrap());
    let third = engine
        .write(Commit::new(vec![Change::SetSchema { id: table, schema: wider }, rows(table, 150..151)]))
        .unwrap()
        .snapshot;
    let mut engine = engine;
    for _ in 0..2 {
        engine.flush().unwrap();
        let at = |snapshot| engine.snapshot().table_at(table, snapshot).unwrap();
        assert_eq!(ids_of(&at(first)), (0..3).collect::<Vec<_>>());
        assert_eq!(ids_of(&at(second)), (0..150).collect::<Vec<_>>());
        assert_eq!(ids_of(&at(third)), (0..151).collect::<Vec<_>>());
        assert_eq!((at(second).schema().columns().len(), at(third).schema().columns().len()), (2, 3));
        let scores = at(third).units()[0].read(&[ColumnId(3)]).unwrap();
        assert!(scores[0].as_primitive::<arrow_array::types::Int32Type>().values().iter().all(|score| *score == 5));
        assert_eq!(engine.snapshot().table_at(table, third.next()).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(engine.snapshot().table_at(table, SnapshotId(0)).unwrap_err().kind(), ErrorKind::NotFound);
        drop(engine);
        engine = open(&disk);
    }
}

/// A commit that does not fit is refused as a whole and leaves no trace.
#[test]
fn refused_commits_leave_nothing() {
    let engine = open(&SimDisk::new(10));
    let table = create(&engine);
    let before = engine.snapshot().id();
    let taken = Change::CreateSchema { database: "lake".into(), name: "Main".into() };
    let fresh = Change::CreateSchema { database: "lake".into(), name: "fresh".into() };
    let error = engine.write(Commit::new(vec![fresh, rows(table, 0..1), taken])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let error = engine.write(Commit::new(vec![rows(TableId(99), 0..1)])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let wrong: ArrayRef = Arc::new(StringViewArray::from(vec!["x"]));
    let batch = Batch::new(table, 1, vec![(ColumnId(1), wrong)]).unwrap();
    assert_eq!(engine.write(Commit::new(vec![Change::Append(batch)])).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(engine.snapshot().id(), before);
    assert!(current(&engine, table).is_empty());
    assert!(engine.snapshot().catalog().database("lake").unwrap().schema("fresh").is_none());
}

/// Two schema changes made from one version: the second is a conflict, not a lost update.
#[test]
fn stale_schema_changes_conflict() {
    let engine = open(&SimDisk::new(11));
    let table = create(&engine);
    let schema = Arc::clone(engine.snapshot().table(table).unwrap().schema());
    let change = |name: &str| Change::SetSchema {
        id: table,
        schema: Arc::new(schema.with_columns(vec![NewColumn::new(name, LogicalType::Double)]).unwrap()),
    };
    engine.write(Commit::new(vec![change("x")])).unwrap();
    assert_eq!(engine.write(Commit::new(vec![change("y")])).unwrap_err().kind(), ErrorKind::Conflict);
}

/// With threads on a real disk: every acknowledged commit of many writers is there, once, also after a restart, with flushes going on.
#[test]
fn concurrent_writers_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options =
        Options { flush_bytes: 200_000, log_file_bytes: 1 << 20, disk_reserve_bytes: 0, ..Options::default() };
    let open = || Engine::open(Arc::new(OsDisk::open(folder.path()).unwrap()), options.clone()).unwrap();
    let engine = open();
    let table = create(&engine);
    let next = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let id = next.fetch_add(10, Ordering::Relaxed) as i64;
                    append(&engine, table, id..id + 10);
                }
            });
        }
    });
    let sorted = |mut ids: Vec<i64>| {
        ids.sort_unstable();
        ids
    };
    let expected: Vec<i64> = (0..16_000).collect();
    assert_eq!(sorted(current(&engine, table)), expected);
    assert!(engine.metrics().flushes > 0);
    assert!(engine.metrics().log_syncs <= 1601);
    engine.close().unwrap();
    assert_eq!(engine.write(Commit::new(vec![rows(table, 0..1)])).unwrap_err().kind(), ErrorKind::Unavailable);
    let second = Engine::open(Arc::new(OsDisk::open(folder.path()).unwrap()), options.clone());
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Unavailable);
    drop(engine);
    assert_eq!(sorted(current(&open(), table)), expected);
}

/// Past the memory budget writers wait for a flush instead of growing memory.
#[test]
fn a_full_memtable_pushes_back() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        flush_bytes: 100_000,
        memtable_bytes_max: 300_000,
        disk_reserve_bytes: 0,
        log_file_bytes: 1 << 20,
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(OsDisk::open(folder.path()).unwrap()), options).unwrap();
    let table = create(&engine);
    for at in 0..100 {
        append(&engine, table, at * 1000..(at + 1) * 1000);
        assert!(engine.metrics().memtable_bytes < 400_000);
    }
    assert_eq!(current(&engine, table).len(), 100_000);
}

/// A flush that finds the disk full loses nothing, gives its space back however often it is tried, and succeeds once there is room.
#[test]
fn a_full_disk_stops_a_flush_cleanly() {
    let disk = SimDisk::new(12);
    let engine = open(&disk);
    let table = create(&engine);
    append(&engine, table, 0..2_000);
    let room = 1 << 30;
    disk.set_capacity(Some(room));
    let taken = room - disk.free_bytes().unwrap();
    disk.set_capacity(Some(taken + 2_000));
    for _ in 0..5 {
        assert_eq!(engine.flush().unwrap_err().kind(), ErrorKind::Exhausted);
        assert_eq!(disk.list("segments").unwrap(), [""; 0]);
    }
    assert_eq!(current(&engine, table), (0..2_000).collect::<Vec<_>>());
    disk.set_capacity(None);
    engine.flush().unwrap();
    assert_eq!(engine.metrics().segment_rows, 2_000);
    drop(engine);
    assert_eq!(current(&open(&disk), table), (0..2_000).collect::<Vec<_>>());
}
