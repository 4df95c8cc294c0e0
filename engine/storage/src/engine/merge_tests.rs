//! Merges, deletions and appends against a plain list of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, StringViewArray};
use proptest::prelude::*;

use super::*;
use crate::catalog::TableName;
use crate::changes::ChangeKind;
use crate::commit::{Batch, Change, Merge, OnMatch};
use crate::ids::{ColumnId, SnapshotId};
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::row_set::RowSet;
use crate::schema::{NewColumn, TableSchema};
use crate::value::Value;

const ID: ColumnId = ColumnId(1);
const PART: ColumnId = ColumnId(2);
const AGE: ColumnId = ColumnId(3);
const NOTE: ColumnId = ColumnId(4);

/// id, part, age, note (default 7).
type Row = (i64, String, Option<i64>, Option<i64>);

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<Given>),
    Merge {
        rows: Vec<Given>,
        composite: bool,
        on_match: OnMatch,
        newer: bool,
        with_note: bool,
    },
    /// Deletes rows with an age of this remainder, as seen so many commits ago.
    Delete {
        remainder: i64,
        ago: usize,
    },
    Flush,
    /// One step of compaction, with so many commits between its reading and its installation.
    Compact {
        meanwhile: usize,
    },
    Reopen,
}

type Given = (i64, u8, Option<i64>, Option<i64>);

fn given() -> impl Strategy<Value = Vec<Given>> {
    let small = || proptest::option::weighted(0.8, 0_i64..5);
    proptest::collection::vec((0_i64..12, 0_u8..2, small(), small()), 1..6)
}

fn step() -> impl Strategy<Value = Step> {
    let on_match =
        prop_oneof![Just(OnMatch::Replace), Just(OnMatch::Update), Just(OnMatch::Keep), Just(OnMatch::Remove)];
    let merge = (given(), any::<bool>(), on_match, any::<bool>(), any::<bool>());
    prop_oneof![
        3 => given().prop_map(Step::Append),
        8 => merge.prop_map(|(rows, composite, on_match, newer, with_note)| Step::Merge { rows, composite, on_match, newer, with_note }),
        2 => (0_i64..3, 0_usize..4).prop_map(|(remainder, ago)| Step::Delete { remainder, ago }),
        3 => Just(Step::Flush),
        3 => (0_usize..4).prop_map(|meanwhile| Step::Compact { meanwhile }),
        1 => Just(Step::Reopen),
    ]
}

fn part(part: u8) -> String {
    ["left", "a rather longer right"][part as usize].to_owned()
}

fn batch(table: TableId, rows: &[Given], with_note: bool) -> Batch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let parts: ArrayRef = Arc::new(StringViewArray::from_iter_values(rows.iter().map(|row| part(row.1))));
    let ages: ArrayRef = Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.2)));
    let mut columns = vec![(ID, ids), (PART, parts), (AGE, ages)];
    if with_note {
        columns.push((NOTE, Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.3)))));
    }
    Batch::new(table, rows.len(), columns).unwrap()
}

fn read(snapshot: &Snapshot, table: TableId, at: SnapshotId) -> Vec<Row> {
    let mut rows = Vec::new();
    for unit in snapshot.table_at(table, at).unwrap().units() {
        let columns = unit.read(&[ID, PART, AGE, NOTE]).unwrap();
        let number = |column: usize, row: usize| {
            let column = columns[column].as_primitive::<Int64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        for row in 0..unit.rows() {
            let part = columns[1].as_string_view().value(row).to_owned();
            rows.push((number(0, row).unwrap(), part, number(2, row), number(3, row)));
        }
    }
    rows.sort();
    rows
}

/// The rows as of `from` with the changes up to `to` applied.
fn with_changes(snapshot: &Snapshot, table: TableId, from: SnapshotId, to: SnapshotId) -> Vec<Row> {
    let mut rows = read(snapshot, table, from);
    let mut gone = Vec::new();
    for changed in snapshot.table_changes(table, from, to, &[ID, PART, AGE, NOTE]).unwrap() {
        let number = |column: usize, row: usize| {
            let column = changed.columns[column].as_primitive::<Int64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        for (row, kind) in changed.kinds.iter().enumerate() {
            assert!(from < changed.snapshots[row] && changed.snapshots[row] <= to);
            let part = changed.columns[1].as_string_view().value(row).to_owned();
            let values = (number(0, row).unwrap(), part, number(2, row), number(3, row));
            match kind {
                ChangeKind::Insert | ChangeKind::UpdateAfter => rows.push(values),
                ChangeKind::Delete | ChangeKind::UpdateBefore => gone.push(values),
            }
        }
    }
    for row in gone {
        let at = rows.iter().position(|there| *there == row).expect("what went was there");
        rows.swap_remove(at);
    }
    rows.sort();
    rows
}

/// What a merge does, one row of the batch after the other.
fn merge_into(model: &mut Vec<Row>, rows: &[Given], composite: bool, on_match: OnMatch, newer: bool, with_note: bool) {
    let mut winners: BTreeMap<(i64, String), Given> = BTreeMap::new();
    for row in rows {
        let key = (row.0, if composite { part(row.1) } else { String::new() });
        let loses = winners.get(&key).is_some_and(|best| newer && row.2 < best.2);
        if !loses {
            winners.insert(key, *row);
        }
    }
    for (key, row) in winners {
        let matches = |stored: &Row| stored.0 == key.0 && (!composite || stored.1 == key.1);
        let any = model.iter().any(&matches);
        let outdone = |stored: &Row| newer && row.2 <= stored.2;
        let any_outdone = model.iter().any(|stored| matches(stored) && outdone(stored));
        let whole = (row.0, part(row.1), row.2, if with_note { row.3 } else { Some(7) });
        match on_match {
            OnMatch::Keep if any => {}
            OnMatch::Update if any => {
                for stored in model.iter_mut().filter(|stored| matches(stored) && !outdone(stored)) {
                    let note = if with_note { row.3 } else { stored.3 };
                    *stored = (row.0, part(row.1), row.2, note);
                }
            }
            OnMatch::Remove if any_outdone => {}
            OnMatch::Remove => model.retain(|stored| !matches(stored)),
            OnMatch::Replace if any_outdone => {}
            _ => {
                model.retain(|stored| !matches(stored));
                model.push(whole);
            }
        }
    }
}

fn options() -> Options {
    Options {
        background: false,
        row_group_rows: 3,
        segment_rows_max: 20,
        compaction_fanout: 2,
        disk_reserve_bytes: 0,
        ..Options::default()
    }
}

fn create(engine: &Engine, primary_key: &[String]) -> TableId {
    let id = engine.new_table_id();
    let note = NewColumn { default: Some(Value::Int(7)), ..NewColumn::new("note", LogicalType::BigInt) };
    let columns = vec![
        NewColumn::new("id", LogicalType::BigInt),
        NewColumn::new("part", LogicalType::Varchar),
        NewColumn::new("age", LogicalType::BigInt),
        note,
    ];
    let schema = Arc::new(TableSchema::new(columns, primary_key).unwrap());
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id, name: TableName::new("LAKE", "main", "t"), schema },
    ];
    engine.write(Commit::new(changes)).unwrap();
    id
}

fn pick(snapshot: &Snapshot, table: TableId, remainder: i64) -> (RowSet, usize) {
    let mut picked = RowSet::empty(table);
    for unit in snapshot.table(table).unwrap().units() {
        let ages = unit.read(&[AGE]).unwrap();
        let ages = ages[0].as_primitive::<Int64Type>();
        let chosen: BooleanArray = ages.iter().map(|age| age.map(|age| age % 3 == remainder)).collect();
        picked.extend(unit.row_set(&chosen));
    }
    let rows = picked.rows() as usize;
    (picked, rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Any sequence of appends, merges, deletions, flushes, compactions and restarts leaves the rows that the rules call for, and every
    /// earlier snapshot that is kept as it was.
    #[test]
    fn merges_agree_with_a_list(steps in proptest::collection::vec(step(), 1..25), keeps_history: bool) {
        let disk = SimDisk::new(5);
        let options = || if keeps_history { options() } else { Options { retention_ms: 0, ..options() } };
        let mut engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
        let mut begun: Option<(usize, compaction::Written)> = None;
        let table = create(&engine, &[]);
        let mut model: Vec<Row> = Vec::new();
        let mut history: Vec<(SnapshotId, Vec<Row>)> = vec![(engine.snapshot().id(), Vec::new())];
        let mut pinned = vec![engine.snapshot()];
        for step in steps {
            if let Some((meanwhile, written)) = begun.take() {
                match meanwhile.checked_sub(1) {
                    Some(rest) => begun = Some((rest, written)),
                    None => prop_assert!(compaction::finish(engine.shared(), written).unwrap()),
                }
            }
            match step {
                Step::Append(rows) => {
                    engine.write(Commit::new(vec![Change::Append(batch(table, &rows, true))])).unwrap();
                    model.extend(rows.iter().map(|row| (row.0, part(row.1), row.2, row.3)));
                }
                Step::Merge { rows, composite, on_match, newer, with_note } => {
                    let merge = Merge {
                        batch: batch(table, &rows, with_note),
                        key: if composite { vec![PART, ID] } else { vec![ID] },
                        on_match,
                        newer_by: if newer { vec![AGE] } else { Vec::new() },
                    };
                    let before = model.len() as i64;
                    let counts = engine.write(Commit::new(vec![Change::Merge(merge)])).unwrap().rows;
                    merge_into(&mut model, &rows, composite, on_match, newer, with_note);
                    prop_assert_eq!(before + counts.inserted as i64 - counts.deleted as i64, model.len() as i64);
                }
                Step::Delete { remainder, ago } => {
                    let seen = &pinned[pinned.len().saturating_sub(1 + ago)];
                    let (picked, rows) = pick(seen, table, remainder);
                    let now = engine.snapshot();
                    match engine.write(Commit::new(vec![Change::Delete(picked)])) {
                        Ok(done) => {
                            prop_assert_eq!(done.rows.deleted, rows as u64);
                            if seen.id() == now.id() {
                                model.retain(|row| row.2.is_none_or(|age| age % 3 != remainder));
                            } else {
                                // Rows that came since may have the remainder too; those picked were all still there.
                                let before = model.len();
                                model = read(&engine.snapshot(), table, engine.snapshot().id());
                                prop_assert_eq!(before - model.len(), rows);
                            }
                        }
                        Err(error) => {
                            prop_assert_eq!(error.kind(), ErrorKind::Conflict);
                            prop_assert!(seen.id() < now.id());
                            prop_assert_eq!(engine.snapshot().id(), now.id());
                        }
                    }
                }
                Step::Flush => engine.flush().unwrap(),
                Step::Compact { meanwhile } => {
                    if begun.is_none() {
                        begun = compaction::begin(engine.shared()).unwrap().map(|written| (meanwhile, written));
                    }
                }
                Step::Reopen => {
                    pinned.clear();
                    begun = None;
                    drop(engine);
                    engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
                }
            }
            model.sort();
            let snapshot = engine.snapshot();
            prop_assert_eq!(&read(&snapshot, table, snapshot.id()), &model);
            history.push((snapshot.id(), model.clone()));
            for (at, rows) in &history {
                if *at < snapshot.horizon() {
                    prop_assert_eq!(snapshot.table_at(table, *at).unwrap_err().kind(), ErrorKind::NotFound);
                    continue;
                }
                prop_assert_eq!(&read(&snapshot, table, *at), rows, "as of {}", at);
            }
            let last = history.len() - 1;
            for from in [0, last / 2, last.saturating_sub(1)] {
                let (from, to) = (history[from].0, history[last].0);
                if from < snapshot.horizon() {
                    continue;
                }
                prop_assert_eq!(&with_changes(&snapshot, table, from, to), &history[last].1, "{} to {}", from, to);
            }
            for seen in &pinned {
                let rows = &history.iter().rev().find(|(at, _)| *at == seen.id()).unwrap().1;
                prop_assert_eq!(&read(seen, table, seen.id()), rows, "pinned at {}", seen.id());
            }
            pinned.push(snapshot);
        }
    }
}

/// A declared key is kept unique by appends and by merges on other columns; a refused commit leaves nothing, and others of its group stand.
#[test]
fn a_primary_key_is_unique() {
    let engine = Engine::open(Arc::new(SimDisk::new(3)), options()).unwrap();
    let table = create(&engine, &["id".to_owned()]);
    let append = |rows: &[Given]| Commit::new(vec![Change::Append(batch(table, rows, true))]);
    engine.write(append(&[(1, 0, None, None), (2, 0, None, None)])).unwrap();
    engine.flush().unwrap();
    let refused = engine.write(append(&[(3, 0, None, None), (2, 1, None, None), (3, 1, None, None)])).unwrap_err();
    assert_eq!((refused.kind(), refused.rows()), (ErrorKind::Conflict, &[1, 2][..]));
    let outcomes = engine.write_group(vec![
        append(&[(4, 0, None, None)]),
        append(&[(4, 1, None, None)]),
        append(&[(5, 0, None, None)]),
    ]);
    let kinds: Vec<_> =
        outcomes.iter().map(|outcome| outcome.as_ref().map(|_| ()).map_err(|error| error.kind())).collect();
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::Conflict), Ok(())]);
    let by_part = Merge {
        batch: batch(table, &[(1, 1, None, None)], true),
        key: vec![PART],
        on_match: OnMatch::Replace,
        newer_by: Vec::new(),
    };
    assert_eq!(engine.write(Commit::new(vec![Change::Merge(by_part)])).unwrap_err().kind(), ErrorKind::Conflict);
    let snapshot = engine.snapshot();
    let ids: Vec<i64> = read(&snapshot, table, snapshot.id()).iter().map(|row| row.0).collect();
    assert_eq!(ids, [1, 2, 4, 5]);
    let disk_full = engine.write(append(&[(5, 1, None, None)])).unwrap_err();
    assert_eq!(disk_full.kind(), ErrorKind::Conflict);
}

/// Commits of one group that replace each other's rows come out as if they had come one after the other.
#[test]
fn repeated_keys_are_told_with_their_first_row() {
    // Proves that a batch's own duplicates are found by what keys are equal by, and that NULLs are none.
    let engine = Engine::open(Arc::new(SimDisk::new(1)), options()).expect("open");
    let table = create(&engine, &[]);
    let schema = Arc::clone(engine.snapshot().catalog().table_by_id(table).expect("the table").schema());
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(1), Some(3), None, Some(3), Some(1)]));
    assert_eq!(engine.repeated_keys(&schema, &[(ID, Arc::clone(&ids))]).expect("keys"), [(0, 3), (0, 5), (2, 6)]);
    let parts: ArrayRef = Arc::new(StringViewArray::from(vec!["a", "a", "a", "b", "a", "a", "b"]));
    assert_eq!(engine.repeated_keys(&schema, &[(PART, parts), (ID, ids)]).expect("keys"), [(0, 5)]);
    let error = engine.repeated_keys(&schema, &[]).expect_err("no key at all");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[test]
fn merges_in_one_group_see_each_other() {
    let disk = SimDisk::new(4);
    let engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    let table = create(&engine, &[]);
    let merge = |age: i64| {
        let batch = batch(table, &[(1, 0, Some(age), None)], true);
        Commit::new(vec![Change::Merge(Merge {
            batch,
            key: vec![ID],
            on_match: OnMatch::Replace,
            newer_by: Vec::new(),
        })])
    };
    assert!(engine.write_group((0..20).map(merge).collect()).iter().all(Result::is_ok));
    let check = |engine: &Engine| {
        let snapshot = engine.snapshot();
        assert_eq!(read(&snapshot, table, snapshot.id()), [(1, part(0), Some(19), None)]);
    };
    check(&engine);
    drop(engine);
    check(&Engine::open(Arc::new(disk), options()).unwrap());
}

/// A row without a key is refused, and named.
#[test]
fn a_key_is_not_null() {
    let engine = Engine::open(Arc::new(SimDisk::new(6)), options()).unwrap();
    let table = create(&engine, &[]);
    let merge = Merge {
        batch: batch(table, &[(1, 0, Some(1), None), (2, 0, None, None)], true),
        key: vec![ID, AGE],
        on_match: OnMatch::Update,
        newer_by: Vec::new(),
    };
    let refused = engine.write(Commit::new(vec![Change::Merge(merge)])).unwrap_err();
    assert_eq!((refused.kind(), refused.rows()), (ErrorKind::Invalid, &[1][..]));
    assert_eq!(engine.snapshot().table(table).unwrap().rows(), 0);
}

/// The feed tells updates of a declared key from insertions and deletions, and leaves out what one commit both added and deleted.
#[test]
fn updates_are_told_by_the_primary_key() {
    let engine = Engine::open(Arc::new(SimDisk::new(8)), options()).unwrap();
    let table = create(&engine, &["id".to_owned()]);
    let rows = [(1, 0, Some(1), None), (2, 0, Some(2), None)];
    let from = engine.write(Commit::new(vec![Change::Append(batch(table, &rows, true))])).unwrap().snapshot;
    engine.flush().unwrap();
    let merge = |rows: &[Given], on_match| {
        Change::Merge(Merge { batch: batch(table, rows, true), key: vec![ID], on_match, newer_by: Vec::new() })
    };
    let both = vec![
        merge(&[(1, 0, Some(10), None), (3, 0, Some(30), None)], OnMatch::Replace),
        merge(&[(2, 0, None, None)], OnMatch::Remove),
        merge(&[(3, 0, Some(31), None)], OnMatch::Replace),
    ];
    let to = engine.write(Commit::new(both)).unwrap().snapshot;
    let mut seen = Vec::new();
    for changed in engine.snapshot().table_changes(table, from, to, &[ID, AGE]).unwrap() {
        let number = |column: usize, row: usize| changed.columns[column].as_primitive::<Int64Type>().value(row);
        seen.extend(changed.kinds.iter().enumerate().map(|(row, kind)| (number(0, row), *kind, number(1, row))));
    }
    seen.sort();
    let expected = [
        (1, ChangeKind::UpdateBefore, 1),
        (1, ChangeKind::UpdateAfter, 10),
        (2, ChangeKind::Delete, 2),
        (3, ChangeKind::Insert, 31),
    ];
    assert_eq!(seen, expected);
}

/// Each commit is in the list of snapshots with what was said of it, and found by its time, from memory, segments and after a restart.
#[test]
fn snapshots_are_found_by_time() {
    let disk = SimDisk::new(9);
    let mut engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
    let table = create(&engine, &[]);
    let mut made = Vec::new();
    for i in 0..40 {
        let mut commit = Commit::new(vec![Change::Append(batch(table, &[(i, 0, None, None)], true))]);
        commit.info.author = (i % 3 == 0).then(|| format!("author {i}"));
        let id = engine.write(commit).unwrap().snapshot;
        made.push((id, engine.snapshot().time_us()));
        match i {
            15 => engine.flush().unwrap(),
            25 => {
                drop(engine);
                engine = Engine::open(Arc::new(disk.clone()), options()).unwrap();
            }
            _ => {}
        }
    }
    let snapshot = engine.snapshot();
    for (id, time) in &made {
        let found = snapshot.snapshot_at(*time).unwrap();
        assert!(found >= *id && made.iter().any(|(id, at)| *id == found && at == time), "{id} at {time}: {found}");
        let before = snapshot.snapshot_at(*time - 1);
        assert!(before.is_ok_and(|before| before < *id) || id.0 <= 2);
    }
    assert_eq!(snapshot.snapshot_at(0).unwrap_err().kind(), ErrorKind::NotFound);
    let history = snapshot.history();
    assert_eq!(history.rows(), 41);
    let author = history.schema().column("author").unwrap().id;
    let authors: usize = history
        .units()
        .iter()
        .map(|unit| {
            unit.read(&[author]).unwrap()[0]
                .as_string_view()
                .iter()
                .flatten()
                .filter(|text| text.starts_with("author"))
                .count()
        })
        .sum();
    assert_eq!(authors, 14);
}
