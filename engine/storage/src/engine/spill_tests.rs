//! Transactions whose rows go into segments before they commit.

use super::transaction_tests::{ID, SUM, append, batch, create, engine, merge, read, rows_with, set};
use super::*;
use crate::commit::{Change, CommitInfo, Merge, OnMatch};
use crate::io::sim::SimDisk;
use crate::manifest::SEGMENT_FOLDER;
use crate::row_set::RowSet;

fn segments(disk: &SimDisk) -> usize {
    disk.list(SEGMENT_FOLDER).unwrap().iter().filter(|name| name.ends_with(".segment")).count()
}

/// Rows that were spilled are seen, changed and deleted inside as those in memory are, and so they are committed, restarts included.
#[test]
fn spilled_rows_are_rows_like_any_other() {
    let disk = SimDisk::new(1);
    let db = engine(&disk);
    let table = create(&db, &["id".to_owned()]);
    db.write(Commit::new(vec![append(table, &[(1, 10), (2, 20)])])).unwrap();
    let mut transaction = db.begin();
    transaction.apply(append(table, &[(3, 30), (4, 40), (5, 50), (6, 60)])).unwrap();
    set(&mut transaction, table, 3, 31);
    transaction.spill(0).unwrap();
    assert!(segments(&disk) > 0);
    let refused = transaction.apply(append(table, &[(7, 70), (4, 0)])).unwrap_err();
    assert_eq!((refused.kind(), refused.rows()), (ErrorKind::Conflict, &[1][..]));
    set(&mut transaction, table, 4, 41);
    transaction.apply(merge(table, &[(5, 51), (8, 80)])).unwrap();
    transaction.spill(0).unwrap();
    let gone = rows_with(&transaction.snapshot(), table, 6);
    transaction.apply(Change::Delete(gone)).unwrap();
    let after = [(1, 10), (2, 20), (3, 31), (4, 41), (5, 51), (8, 80)];
    assert_eq!(read(&transaction.snapshot(), table), after);
    assert_eq!(read(&db.snapshot(), table), [(1, 10), (2, 20)]);
    transaction.commit(CommitInfo::default()).unwrap();
    assert_eq!(read(&db.snapshot(), table), after);
    drop(db);
    let db = engine(&disk);
    assert_eq!(read(&db.snapshot(), table), after);
    db.flush().unwrap();
    while db.compact().unwrap() {}
    drop(db);
    assert_eq!(read(&engine(&disk).snapshot(), table), after);
}

/// One that is rolled back, or that loses against another commit, leaves no file.
#[test]
fn spilled_rows_of_no_commit_leave_nothing() {
    let disk = SimDisk::new(2);
    let db = engine(&disk);
    let table = create(&db, &["id".to_owned()]);
    let mut given_up = db.begin();
    given_up.apply(append(table, &[(1, 10)])).unwrap();
    given_up.spill(0).unwrap();
    assert_eq!(segments(&disk), 1);
    drop(given_up);
    assert_eq!(segments(&disk), 0);

    let mut late = db.begin();
    late.apply(append(table, &[(1, 10)])).unwrap();
    late.spill(0).unwrap();
    db.write(Commit::new(vec![append(table, &[(1, 11)])])).unwrap();
    assert_eq!(late.commit(CommitInfo::default()).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!((segments(&disk), read(&db.snapshot(), table)), (0, vec![(1, 11)]));
}

/// A load is part of a transaction: seen at once, changed by what follows, with columns that are dropped before the end.
#[test]
fn a_load_is_a_change_of_a_transaction() {
    let disk = SimDisk::new(3);
    let db = engine(&disk);
    let table = create(&db, &[]);
    let schema = || Arc::clone(db.snapshot().catalog().table_by_id(table).unwrap().schema());
    let mut load = db.load(table, &schema()).unwrap();
    load.append(&batch(table, &[(1, 10), (2, 20), (3, 30), (4, 40)])).unwrap();
    let loaded = Change::Load(load.finish().unwrap().unwrap());
    let mut transaction = db.begin();
    assert_eq!(transaction.apply(loaded.clone()).unwrap().inserted, 4);
    assert_eq!(read(&transaction.snapshot(), table).len(), 4);
    set(&mut transaction, table, 2, 21);
    transaction.commit(CommitInfo::default()).unwrap();
    let after = [(1, 10), (2, 21), (3, 30), (4, 40)];
    assert_eq!(read(&db.snapshot(), table), after);
    assert_eq!(db.write(Commit::new(vec![loaded])).unwrap_err().kind(), ErrorKind::Invalid, "once");

    let mut load = db.load(table, &schema()).unwrap();
    load.append(&batch(table, &[(5, 50)])).unwrap();
    let mut transaction = db.begin();
    transaction.apply(Change::Load(load.finish().unwrap().unwrap())).unwrap();
    let narrower = Arc::new(schema().without_column("sum").unwrap());
    transaction.apply(Change::SetSchema { id: table, schema: narrower }).unwrap();
    transaction.commit(CommitInfo::default()).unwrap();
    let rows = |db: &Engine| db.snapshot().table(table).unwrap().rows();
    assert_eq!(rows(&db), 5);
    drop(db);
    assert_eq!(rows(&engine(&disk)), 5);
}

/// Of rows with one key that come in pieces that one counts which would count in one piece, spilled in between or not.
#[test]
fn pieces_of_a_merge_count_as_one() {
    for spilled in [false, true] {
        let disk = SimDisk::new(4);
        let db = engine(&disk);
        let table = create(&db, &[]);
        db.write(Commit::new(vec![append(table, &[(1, 5), (2, 5)])])).unwrap();
        // A third column tells rows apart that are equally new.
        let schema = Arc::clone(db.snapshot().catalog().table_by_id(table).unwrap().schema());
        let column = crate::schema::NewColumn::new("piece", crate::logical_type::LogicalType::BigInt);
        let schema = Arc::new(schema.with_columns(vec![column]).unwrap());
        let piece_id = schema.column("piece").unwrap().id;
        db.write(Commit::new(vec![Change::SetSchema { id: table, schema }])).unwrap();
        let piece = |rows: &[(i64, i64)], number: i64| {
            let mut columns = batch(table, rows).columns().to_vec();
            columns.push((piece_id, Arc::new(arrow_array::Int64Array::from(vec![number; rows.len()]))));
            let batch = crate::commit::Batch::new(table, rows.len(), columns).unwrap();
            Merge { batch, key: vec![ID], on_match: OnMatch::Update, newer_by: vec![SUM] }
        };
        let mut transaction = db.begin();
        for (number, rows) in [(1, &[(1, 5), (2, 6), (3, 7)]), (2, &[(2, 6), (3, 6), (1, 4)])] {
            transaction.merge_on(piece(rows, number)).unwrap();
            if spilled {
                transaction.spill(0).unwrap();
            }
        }
        transaction.commit(CommitInfo::default()).unwrap();
        let mut found = Vec::new();
        for unit in db.snapshot().table(table).unwrap().units() {
            let columns = unit.read(&[ID, SUM, piece_id]).unwrap();
            let numbers = |column: usize| {
                let column =
                    arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(&columns[column]);
                column.iter().collect::<Vec<Option<i64>>>()
            };
            for ((id, sum), piece) in numbers(0).into_iter().zip(numbers(1)).zip(numbers(2)) {
                found.push((id.unwrap(), sum.unwrap(), piece));
            }
        }
        found.sort_unstable();
        // 1: what is stored is as new; 2: the later of equals; 3: the newer, though earlier.
        assert_eq!(found, [(1, 5, None), (2, 6, Some(2)), (3, 7, Some(1))], "spilled: {spilled}");
    }
}

/// Rows to be deleted that were picked before a spill are not found after it: the statement is to be decided again.
#[test]
fn picked_rows_do_not_outlive_a_spill() {
    let disk = SimDisk::new(5);
    let db = engine(&disk);
    let table = create(&db, &[]);
    let mut transaction = db.begin();
    transaction.apply(append(table, &[(1, 10)])).unwrap();
    let picked: RowSet = rows_with(&transaction.snapshot(), table, 1);
    transaction.spill(0).unwrap();
    assert_eq!(transaction.apply(Change::Delete(picked)).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(read(&transaction.snapshot(), table), [(1, 10)]);
}
