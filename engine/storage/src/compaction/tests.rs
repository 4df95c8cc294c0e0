//! Compaction while everything else goes on.

mod faults;
mod threads;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array};

use super::*;
use crate::catalog::TableName;
use crate::commit::{Batch, Change, Commit, Merge, OnMatch};
use crate::engine::Engine;
use crate::ids::ColumnId;
use crate::io::Disk;
use crate::io::sim::{SimDisk, set_clock_us};
use crate::logical_type::LogicalType;
use crate::row_set::RowSet;
use crate::schema::{NewColumn, TableSchema};
use crate::snapshot::Snapshot;
use crate::verify::verify;

const ID: ColumnId = ColumnId(1);
const VALUE: ColumnId = ColumnId(2);

/// Two segments of a size are merged already.
fn options() -> Options {
    Options {
        background: false,
        row_group_rows: 4,
        log_file_bytes: 1 << 16,
        compaction_fanout: 2,
        disk_reserve_bytes: 0,
        ..Options::default()
    }
}

fn open(disk: &SimDisk) -> Engine {
    open_with(disk, options())
}

fn open_with(disk: &SimDisk, options: Options) -> Engine {
    Engine::open(Arc::new(disk.clone()), options).unwrap()
}

fn create(engine: &Engine) -> TableId {
    let id = engine.new_table_id();
    let columns = vec![NewColumn::new("id", LogicalType::BigInt), NewColumn::new("value", LogicalType::BigInt)];
    let schema = Arc::new(TableSchema::new(columns, &["id".to_owned()]).unwrap());
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id, name: TableName::new("LAKE", "main", "t"), schema },
    ];
    engine.write(Commit::new(changes)).unwrap();
    id
}

/// Sets the value of these ids.
fn upsert(engine: &Engine, table: TableId, ids: impl IntoIterator<Item = i64>, value: i64) -> SnapshotId {
    let ids: Vec<i64> = ids.into_iter().collect();
    let values: ArrayRef = Arc::new(Int64Array::from(vec![value; ids.len()]));
    let batch = Batch::new(table, ids.len(), vec![(ID, Arc::new(Int64Array::from(ids)) as ArrayRef), (VALUE, values)]);
    let merge = Merge { batch: batch.unwrap(), key: vec![ID], on_match: OnMatch::Replace, newer_by: Vec::new() };
    engine.write(Commit::new(vec![Change::Merge(merge)])).unwrap().snapshot
}

type Rows = BTreeMap<i64, i64>;

fn read(snapshot: &Snapshot, table: TableId, at: SnapshotId) -> Rows {
    let mut rows = Rows::new();
    for unit in snapshot.table_at(table, at).unwrap().units() {
        let columns = unit.read(&[ID, VALUE]).unwrap();
        let [ids, values] = [0, 1].map(|at: usize| columns[at].as_primitive::<Int64Type>().clone());
        for row in 0..unit.rows() {
            assert_eq!(rows.insert(ids.value(row), values.value(row)), None, "an id is there once");
        }
    }
    rows
}

fn current(engine: &Engine, table: TableId) -> Rows {
    let snapshot = engine.snapshot();
    read(&snapshot, table, snapshot.id())
}

/// The rows of some ids, as a snapshot has them.
fn pick(snapshot: &Snapshot, table: TableId, wanted: &[i64]) -> RowSet {
    let mut picked = RowSet::empty(table);
    for unit in snapshot.table(table).unwrap().units() {
        let ids = unit.read(&[ID]).unwrap();
        let chosen: BooleanArray =
            ids[0].as_primitive::<Int64Type>().values().iter().map(|id| Some(wanted.contains(id))).collect();
        picked.extend(unit.row_set(&chosen));
    }
    assert_eq!(picked.rows(), wanted.len() as u64);
    picked
}

fn all(rows: &[(std::ops::Range<i64>, i64)]) -> Rows {
    rows.iter().flat_map(|(ids, value)| ids.clone().map(|id| (id, *value))).collect()
}

fn segments(engine: &Engine, table: TableId) -> usize {
    engine.snapshot().segments().iter().filter(|segment| segment.table == table).count()
}

fn compact_all(engine: &Engine) -> usize {
    let mut steps = 0;
    while engine.compact().unwrap() {
        steps += 1;
        assert!(steps < 1000, "compaction comes to an end");
    }
    steps
}

/// Four flushes of ten rows each, of which each but the first replaces some.
fn four_segments(engine: &Engine) -> (TableId, Vec<(SnapshotId, Rows)>) {
    let table = create(engine);
    let mut model = Rows::new();
    let mut history = Vec::new();
    for round in 0..4 {
        let ids: Vec<i64> = (round * 7..round * 7 + 10).collect();
        let snapshot = upsert(engine, table, ids.clone(), round);
        model.extend(ids.iter().map(|id| (*id, round)));
        history.push((snapshot, model.clone()));
        engine.flush().unwrap();
    }
    (table, history)
}

/// After compaction one segment shows every snapshot what several showed, before and after a restart; the old files are gone.
#[test]
fn snapshots_show_the_same_after_compaction() {
    let disk = SimDisk::new(1);
    let engine = open(&disk);
    let (table, history) = four_segments(&engine);
    let before = engine.snapshot();
    assert_eq!(segments(&engine, table), 4);
    assert!(compact_all(&engine) >= 2);
    assert_eq!(segments(&engine, table), 1);
    let metrics = engine.metrics();
    assert!(metrics.compaction_bytes_written > 0 && metrics.compaction_bytes_read > 0);
    assert!(metrics.pinned_bytes > 0, "the snapshot from before holds the old segments");
    for (at, rows) in &history {
        assert_eq!(read(&before, table, *at), *rows);
        assert_eq!(read(&engine.snapshot(), table, *at), *rows);
    }
    drop(before);
    assert_eq!(engine.metrics().pinned_bytes, 0);
    let names = disk.list("segments").unwrap();
    let count = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).count();
    assert_eq!((count(".segment"), count(".keys"), count(".deletes")), (2, 1, 1), "{names:?}");
    drop(engine);
    verify(&disk).unwrap();
    let engine = open(&disk);
    for (at, rows) in &history {
        assert_eq!(read(&engine.snapshot(), table, *at), *rows);
    }
    assert!(!engine.compact().unwrap());
}

/// What is written, deleted and flushed while a segment is being written is in it once it is installed, also after a crash before the next
/// flush: records about the old segments are covered.
#[test]
fn commits_go_on_while_a_segment_is_written() {
    for flushes in [false, true] {
        let disk = SimDisk::new(2);
        let engine = open(&disk);
        let (table, mut history) = four_segments(&engine);
        let picked = pick(&engine.snapshot(), table, &[3, 25]);
        let mut model = history.last().unwrap().1.clone();
        let written = loop {
            let written = begin(engine.shared()).unwrap().unwrap();
            if written.table == table {
                break written;
            }
            assert!(finish(engine.shared(), written).unwrap());
        };
        let snapshot = upsert(&engine, table, [0, 12, 99], 50);
        model.extend([(0, 50), (12, 50), (99, 50)]);
        history.push((snapshot, model.clone()));
        if flushes {
            engine.flush().unwrap();
        }
        let snapshot = upsert(&engine, table, [1, 99], 51);
        model.extend([(1, 51), (99, 51)]);
        history.push((snapshot, model.clone()));
        assert!(finish(engine.shared(), written).unwrap());
        // Picked before, deleted after.
        let snapshot = engine.write(Commit::new(vec![Change::Delete(picked.clone())])).unwrap().snapshot;
        model.retain(|id, _| ![3, 25].contains(id));
        history.push((snapshot, model.clone()));
        let again = engine.write(Commit::new(vec![Change::Delete(picked)])).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let check = |engine: &Engine| {
            for (at, rows) in &history {
                assert_eq!(read(&engine.snapshot(), table, *at), *rows, "as of {at}");
            }
        };
        check(&engine);
        let crashed = disk.crash();
        verify(&crashed).unwrap();
        let engine = open(&crashed);
        check(&engine);
        compact_all(&engine);
        engine.flush().unwrap();
        compact_all(&engine);
        check(&engine);
        check(&open(&crashed.crash()));
    }
}

/// Past the retention deleted rows and old commits go, snapshots of before can no longer be asked for, and one that is held shows on.
#[test]
fn history_past_the_retention_is_dropped() {
    const DAY_US: i64 = 86_400_000_000;
    let disk = SimDisk::new(6);
    set_clock_us(Some(DAY_US));
    let engine = open(&disk);
    let (table, history) = four_segments(&engine);
    compact_all(&engine);
    let held = engine.snapshot();
    let stored = |engine: &Engine| {
        let rows = engine.snapshot().segments();
        rows.iter().filter(|segment| segment.table == table).map(|segment| segment.rows).sum::<u64>()
    };
    assert_eq!(stored(&engine), 40);
    set_clock_us(Some(5 * DAY_US));
    let late = upsert(&engine, table, 0..31, 80);
    engine.flush().unwrap();
    compact_all(&engine);
    assert_eq!((stored(&engine), engine.snapshot().horizon()), (71, SnapshotId(0)));
    set_clock_us(Some(9 * DAY_US));
    compact_all(&engine);
    // The last commit of the first day was the newest seven days ago.
    let (last, rows) = history.last().unwrap();
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.horizon(), *last);
    assert_eq!(stored(&engine), 31 + 31);
    assert_eq!(read(&snapshot, table, *last), *rows);
    assert_eq!(read(&snapshot, table, late), all(&[(0..31, 80)]));
    assert_eq!(snapshot.table_at(table, history[2].0).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(snapshot.history().rows(), late.0 - last.0 + 1);
    for (at, rows) in &history {
        assert_eq!(read(&held, table, *at), *rows);
    }
    set_clock_us(Some(20 * DAY_US));
    compact_all(&engine);
    assert_eq!((stored(&engine), engine.snapshot().horizon()), (31, late));
    drop((engine, held, snapshot));
    verify(&disk).unwrap();
    let engine = open(&disk);
    assert_eq!(current(&engine, table), all(&[(0..31, 80)]));
    assert_eq!(engine.snapshot().horizon(), late);
    // With nothing left of it the segment goes too, and the clock does not bring the horizon back.
    let gone = pick(&engine.snapshot(), table, &(0..31).collect::<Vec<_>>());
    engine.write(Commit::new(vec![Change::Delete(gone)])).unwrap();
    engine.flush().unwrap();
    set_clock_us(Some(40 * DAY_US));
    compact_all(&engine);
    assert_eq!((segments(&engine, table), current(&engine, table).len()), (0, 0));
    let horizon = engine.snapshot().horizon();
    upsert(&engine, table, 0..5, 1);
    engine.flush().unwrap();
    set_clock_us(Some(DAY_US));
    compact_all(&engine);
    assert_eq!(engine.snapshot().horizon(), horizon);
    set_clock_us(None);
}

/// A column that was dropped is kept for as long as a snapshot that has it, and one that only some segments have is filled in.
#[test]
fn columns_follow_the_schema_of_kept_snapshots() {
    let disk = SimDisk::new(7);
    set_clock_us(Some(0));
    let engine = open(&disk);
    let (table, history) = four_segments(&engine);
    let (with_value, rows) = history.last().unwrap().clone();
    let schema = Arc::clone(engine.snapshot().table(table).unwrap().schema());
    let schema = Arc::new(schema.without_column("value").unwrap());
    engine.write(Commit::new(vec![Change::SetSchema { id: table, schema: Arc::clone(&schema) }])).unwrap();
    let added = NewColumn { default: Some(crate::Value::Int(5)), ..NewColumn::new("more", LogicalType::BigInt) };
    let schema = Arc::new(schema.with_columns(vec![added]).unwrap());
    engine.write(Commit::new(vec![Change::SetSchema { id: table, schema }])).unwrap();
    let more = ColumnId(3);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(100..140));
    let batch = Batch::new(table, 40, vec![(ID, Arc::clone(&ids)), (more, ids)]).unwrap();
    engine.write(Commit::new(vec![Change::Append(batch)])).unwrap();
    engine.flush().unwrap();
    compact_all(&engine);
    assert_eq!(segments(&engine, table), 1);
    assert_eq!(read(&engine.snapshot(), table, with_value), rows);
    let now = |engine: &Engine| {
        let units = engine.snapshot().table(table).unwrap().units().to_vec();
        let values =
            units.iter().flat_map(|unit| unit.read(&[more]).unwrap()[0].as_primitive::<Int64Type>().values().to_vec());
        values.fold((0, 0), |(fives, sum), value| (fives + u64::from(value == 5), sum + value))
    };
    assert_eq!(now(&engine), (31, 31 * 5 + (100..140).sum::<i64>()));
    // Past the retention the next rewriting leaves it out.
    set_clock_us(Some(8 * 86_400_000_000));
    engine
        .write(Commit::new(vec![Change::Delete(pick(&engine.snapshot(), table, &(0..31).collect::<Vec<_>>()))]))
        .unwrap();
    engine.flush().unwrap();
    let wide = engine.snapshot().segments().iter().map(|segment| segment.bytes).sum::<u64>();
    set_clock_us(Some(16 * 86_400_000_000));
    compact_all(&engine);
    assert!(engine.snapshot().segments().iter().map(|segment| segment.bytes).sum::<u64>() < wide);
    assert_eq!(now(&engine), (0, (100..140).sum::<i64>()));
    set_clock_us(None);
}

/// A dropped table gives its files back with the next manifest; a reader that holds it reads on. A job under way is of no use then.
#[test]
fn dropped_tables_give_their_space_back() {
    let disk = SimDisk::new(8);
    let engine = open(&disk);
    let (table, history) = four_segments(&engine);
    let held = engine.snapshot();
    let written = loop {
        let written = begin(engine.shared()).unwrap().unwrap();
        if written.table == table {
            break written;
        }
        assert!(finish(engine.shared(), written).unwrap());
    };
    engine.write(Commit::new(vec![Change::DropTable { id: table }])).unwrap();
    assert!(!finish(engine.shared(), written).unwrap());
    engine.flush().unwrap();
    let names = disk.list("segments").unwrap();
    let of_table = held.segments().into_iter().filter(|segment| segment.table == table);
    for segment in of_table {
        assert!(!names.iter().any(|name| name.starts_with(&format!("{:016x}", segment.segment.0))), "{names:?}");
    }
    assert!(engine.metrics().pinned_bytes > 0);
    let (at, rows) = history.last().unwrap();
    assert_eq!(read(&held, table, *at), *rows);
    drop(held);
    assert_eq!(engine.metrics().pinned_bytes, 0);
    drop(engine);
    verify(&disk).unwrap();
}
