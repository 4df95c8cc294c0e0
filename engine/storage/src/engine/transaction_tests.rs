//! Transactions: own writes, isolation, conflicts, atomicity.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray, Int64Array};

use super::*;
use crate::catalog::TableName;
use crate::commit::{Batch, Change, CommitInfo, Merge, OnMatch};
use crate::ids::ColumnId;
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::row_set::RowSet;
use crate::schema::{NewColumn, TableSchema};
use crate::transaction::Transaction;

pub(super) const ID: ColumnId = ColumnId(1);
pub(super) const SUM: ColumnId = ColumnId(2);

fn options() -> Options {
    Options { background: false, row_group_rows: 3, disk_reserve_bytes: 0, ..Options::default() }
}

pub(super) fn engine(disk: &SimDisk) -> Engine {
    Engine::open(Arc::new(disk.clone()), options()).unwrap()
}

fn accounts(name: &str, id: TableId, primary_key: &[String]) -> Change {
    let columns = vec![NewColumn::new("id", LogicalType::BigInt), NewColumn::new("sum", LogicalType::BigInt)];
    let schema = Arc::new(TableSchema::new(columns, primary_key).unwrap());
    Change::CreateTable { id, name: TableName::new("LAKE", "main", name), schema }
}

pub(super) fn create(engine: &Engine, primary_key: &[String]) -> TableId {
    let id = engine.new_table_id();
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        accounts("accounts", id, primary_key),
    ];
    engine.write(Commit::new(changes)).unwrap();
    id
}

pub(super) fn batch(table: TableId, rows: &[(i64, i64)]) -> Batch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)));
    let sums: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.1)));
    Batch::new(table, rows.len(), vec![(ID, ids), (SUM, sums)]).unwrap()
}

pub(super) fn append(table: TableId, rows: &[(i64, i64)]) -> Change {
    Change::Append(batch(table, rows))
}

pub(super) fn merge(table: TableId, rows: &[(i64, i64)]) -> Change {
    let batch = batch(table, rows);
    Change::Merge(Merge { batch, key: vec![ID], on_match: OnMatch::Replace, newer_by: Vec::new() })
}

pub(super) fn read(snapshot: &Snapshot, table: TableId) -> Vec<(i64, i64)> {
    let mut rows = Vec::new();
    for unit in snapshot.table(table).unwrap().units() {
        let columns = unit.read(&[ID, SUM]).unwrap();
        let numbers = |column: usize| columns[column].as_primitive::<Int64Type>().values().to_vec();
        rows.extend(numbers(0).into_iter().zip(numbers(1)));
    }
    rows.sort();
    rows
}

pub(super) fn rows_with(snapshot: &Snapshot, table: TableId, id: i64) -> RowSet {
    let mut picked = RowSet::empty(table);
    for unit in snapshot.table(table).unwrap().units() {
        let ids = unit.read(&[ID]).unwrap();
        let chosen: BooleanArray =
            ids[0].as_primitive::<Int64Type>().iter().map(|found| Some(found == Some(id))).collect();
        picked.extend(unit.row_set(&chosen));
    }
    picked
}

/// UPDATE, as SQL does it.
pub(super) fn set(transaction: &mut Transaction, table: TableId, id: i64, sum: i64) {
    let rows = rows_with(&transaction.snapshot(), table, id);
    transaction.apply(Change::Delete(rows)).unwrap();
    transaction.apply(append(table, &[(id, sum)])).unwrap();
}

/// Own changes are seen inside and nowhere else; after the commit all of them are there at once, restarts included.
#[test]
fn changes_of_several_tables_come_together() {
    let disk = SimDisk::new(1);
    let db = engine(&disk);
    let table = create(&db, &["id".to_owned()]);
    db.write(Commit::new(vec![append(table, &[(1, 10), (2, 20), (3, 30), (4, 40)])])).unwrap();
    db.flush().unwrap();
    db.write(Commit::new(vec![append(table, &[(5, 50)])])).unwrap();

    let mut transaction = db.begin();
    let other = db.new_table_id();
    transaction.apply(accounts("others", other, &[])).unwrap();
    transaction.apply(append(other, &[(7, 70), (8, 80)])).unwrap();
    set(&mut transaction, table, 1, 11);
    set(&mut transaction, table, 5, 55);
    set(&mut transaction, table, 5, 56);
    let refused = transaction.apply(append(table, &[(2, 0)])).unwrap_err();
    assert_eq!((refused.kind(), refused.rows()), (ErrorKind::Conflict, &[0][..]));
    let gone = rows_with(&transaction.snapshot(), other, 7);
    assert_eq!(transaction.apply(Change::Delete(gone)).unwrap().deleted, 1);
    let after = [(1, 11), (2, 20), (3, 30), (4, 40), (5, 56)];
    assert_eq!(read(&transaction.snapshot(), table), after);
    assert_eq!(read(&transaction.snapshot(), other), [(8, 80)]);
    assert_eq!(read(&db.snapshot(), table), [(1, 10), (2, 20), (3, 30), (4, 40), (5, 50)]);
    assert!(db.snapshot().table(other).is_none());

    let before = db.snapshot().id();
    let info = CommitInfo { author: Some("me".to_owned()), ..CommitInfo::default() };
    assert_eq!(transaction.commit(info).unwrap().snapshot, before.next());
    assert_eq!((read(&db.snapshot(), table), read(&db.snapshot(), other)), (after.to_vec(), vec![(8, 80)]));
    drop(db);
    let db = engine(&disk);
    assert_eq!((read(&db.snapshot(), table), read(&db.snapshot(), other)), (after.to_vec(), vec![(8, 80)]));
}

/// What is dropped unfinished leaves nothing, and one without changes makes no commit.
#[test]
fn rolling_back_leaves_nothing() {
    let db = engine(&SimDisk::new(2));
    let table = create(&db, &[]);
    db.write(Commit::new(vec![append(table, &[(1, 10)])])).unwrap();
    let before = db.snapshot().id();
    let mut transaction = db.begin();
    set(&mut transaction, table, 1, 11);
    transaction.apply(merge(table, &[(1, 12), (2, 22)])).unwrap();
    assert_eq!(read(&transaction.snapshot(), table), [(1, 12), (2, 22)]);
    drop(transaction);
    assert_eq!(db.begin().commit(CommitInfo::default()).unwrap().snapshot, before);
    assert_eq!(read(&db.snapshot(), table), [(1, 10)]);
    db.write(Commit::new(vec![merge(table, &[(1, 13)])])).unwrap();
    assert_eq!((read(&db.snapshot(), table), db.snapshot().id()), (vec![(1, 13)], before.next()));
}

/// Of two that change one row, whatever moved it meanwhile, the first to commit wins; changes of different rows both stand.
#[test]
fn the_first_to_commit_wins() {
    let db = engine(&SimDisk::new(3));
    let table = create(&db, &[]);
    for id in 0..20 {
        db.write(Commit::new(vec![append(table, &[(id, 0)])])).unwrap();
    }
    let mut first = db.begin();
    let mut second = db.begin();
    let mut third = db.begin();
    set(&mut first, table, 3, 1);
    set(&mut second, table, 3, 2);
    set(&mut third, table, 4, 3);
    // The rows go to a segment while the transactions are open.
    db.flush().unwrap();
    first.commit(CommitInfo::default()).unwrap();
    db.write(Commit::new(vec![append(table, &[(20, 0)])])).unwrap();
    assert_eq!(second.commit(CommitInfo::default()).unwrap_err().kind(), ErrorKind::Conflict);
    third.commit(CommitInfo::default()).unwrap();
    let expected: Vec<_> = (0..21)
        .map(|id| {
            (
                id,
                match id {
                    3 => 1,
                    4 => 3,
                    _ => 0,
                },
            )
        })
        .collect();
    assert_eq!(read(&db.snapshot(), table), expected);
}

/// Two that merge the same new key, change one schema, or take one name: the second is a conflict.
#[test]
fn keys_schemas_and_names_conflict() {
    let db = engine(&SimDisk::new(4));
    let table = create(&db, &[]);
    let schema = Arc::clone(db.snapshot().table(table).unwrap().schema());
    let wider = |name: &str| {
        let added = vec![NewColumn::new(name, LogicalType::BigInt)];
        Change::SetSchema { id: table, schema: Arc::new(schema.with_columns(added).unwrap()) }
    };
    let pairs = [
        (merge(table, &[(1, 1)]), merge(table, &[(1, 2)])),
        (wider("a"), wider("b")),
        (accounts("new", db.new_table_id(), &[]), accounts("NEW", db.new_table_id(), &[])),
    ];
    for (one, other) in pairs {
        let (mut first, mut second) = (db.begin(), db.begin());
        first.apply(one).unwrap();
        second.apply(other).unwrap();
        first.commit(CommitInfo::default()).unwrap();
        let before = db.snapshot().id();
        assert_eq!(second.commit(CommitInfo::default()).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(db.snapshot().id(), before);
    }
    assert_eq!(read(&db.snapshot(), table), [(1, 1)]);
}
