//! Bugs that the simulation found, each as the shortest way to it. The seed is the one that found it then.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};
use siltstone_storage::io::sim::SimDisk;
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, CommitInfo, Engine, ErrorKind, LogicalType, Merge, NewColumn, OnMatch, Options,
    SnapshotId, TableId, TableName, TableSchema, Value,
};

fn open(disk: &SimDisk) -> Engine {
    Engine::open(Arc::new(disk.clone()), Options { background: false, log_file_bytes: 1 << 14, ..Options::default() })
        .expect("a healthy disk")
}

fn commit(engine: &Engine, changes: Vec<Change>) -> SnapshotId {
    engine.write(Commit::new(changes)).expect("a commit that fits").snapshot
}

/// A table of integer columns in a new database.
fn table(engine: &Engine, columns: &[&str], key: &[&str]) -> TableId {
    let id = engine.new_table_id();
    let columns = columns.iter().map(|name| NewColumn::new(*name, LogicalType::BigInt)).collect();
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    let schema = Arc::new(TableSchema::new(columns, &key).expect("a schema"));
    commit(
        engine,
        vec![
            Change::CreateDatabase { name: "LAKE".to_owned() },
            Change::CreateSchema { database: "LAKE".to_owned(), name: "main".to_owned() },
            Change::CreateTable { id, name: TableName::new("LAKE", "main", "t"), schema },
        ],
    );
    id
}

/// Rows of integer columns; the first column has id 1.
fn rows(table: TableId, columns: &[&[i64]]) -> Batch {
    let arrays = columns
        .iter()
        .enumerate()
        .map(|(place, values)| (ColumnId(place as u32 + 1), Arc::new(Int64Array::from(values.to_vec())) as ArrayRef));
    Batch::new(table, columns[0].len(), arrays.collect()).expect("equal lengths")
}

/// Takes a column out of a table's schema.
fn drop_column(engine: &Engine, table: TableId, name: &str) {
    let schema = Arc::clone(engine.snapshot().catalog().table_by_id(table).expect("the table").schema());
    let without = Arc::new(schema.without_column(name).expect("a column that can go"));
    commit(engine, vec![Change::SetSchema { id: table, schema: without }]);
}

/// Rows to merge by one column, changing those that match.
fn update(batch: Batch, key: u32) -> Change {
    Change::Merge(Merge { batch, key: vec![ColumnId(key)], on_match: OnMatch::Update, newer_by: Vec::new() })
}

/// A column of a table as of a snapshot, NULL as `None`.
fn column_at(engine: &Engine, table: TableId, at: SnapshotId, column: ColumnId) -> Vec<Option<i64>> {
    let found = engine.snapshot().table_at(table, at).expect("a snapshot that is kept");
    let mut values = Vec::new();
    for unit in found.units() {
        values.extend(unit.read(&[column]).expect("whole files")[0].as_primitive::<Int64Type>().iter());
    }
    values
}

#[test]
fn the_past_keeps_the_values_of_a_dropped_column() {
    // Seed 0: consolidation and flush stored only the columns of the newest schema, so that an earlier snapshot showed NULLs.
    let disk = SimDisk::new(0);
    let engine = open(&disk);
    let table = table(&engine, &["a", "b"], &[]);
    let then = commit(&engine, vec![Change::Append(rows(table, &[&[1, 2], &[10, 20]]))]);
    drop_column(&engine, table, "b");
    for number in 0..20 {
        commit(&engine, vec![Change::Append(rows(table, &[&[number]]))]);
    }
    assert_eq!(column_at(&engine, table, then, ColumnId(2)), [Some(10), Some(20)], "consolidated");
    engine.flush().expect("a healthy disk");
    assert_eq!(column_at(&engine, table, then, ColumnId(2)), [Some(10), Some(20)], "flushed");
}

#[test]
fn a_key_whose_column_is_gone_does_not_stop_the_flush() {
    // Seed 31: a merge had asked for an index by a column that was dropped since, and every flush from then on failed to make it.
    let disk = SimDisk::new(31);
    let engine = open(&disk);
    let table = table(&engine, &["a", "b"], &[]);
    commit(&engine, vec![update(rows(table, &[&[1], &[10]]), 2)]);
    drop_column(&engine, table, "b");
    engine.flush().expect("a flush without that index");
    assert_eq!(column_at(&engine, table, engine.snapshot().id(), ColumnId(1)), [Some(1)]);
}

#[test]
fn a_refused_merge_names_rows_of_the_batch_that_was_sent() {
    // Seed 61: rows that a merge by another column came to had no primary key, and the error counted among those, not in the batch.
    let disk = SimDisk::new(61);
    let engine = open(&disk);
    let table = table(&engine, &["a", "b"], &["a"]);
    commit(&engine, vec![Change::Append(rows(table, &[&[1], &[10]]))]);
    let values: ArrayRef = Arc::new(Int64Array::from(vec![10, 99]));
    let batch = Batch::new(table, 2, vec![(ColumnId(2), values)]).expect("a batch");
    let merge = Merge { batch, key: vec![ColumnId(2)], on_match: OnMatch::Keep, newer_by: Vec::new() };
    let error = engine.write(Commit::new(vec![Change::Merge(merge)])).expect_err("a row without primary key");
    assert_eq!((error.kind(), error.rows()), (ErrorKind::Invalid, [1].as_slice()));
}

#[test]
fn a_refused_commit_is_no_conflict_to_a_transaction() {
    // Found by reading, when the simulation learned of transactions: a commit that was refused after its first rows were applied left word of a change that never was.
    let disk = SimDisk::new(9);
    let engine = open(&disk);
    let table = table(&engine, &["a", "b"], &["a"]);
    commit(&engine, vec![Change::Append(rows(table, &[&[1], &[10]]))]);
    let mut transaction = engine.begin();
    transaction.apply(update(rows(table, &[&[1], &[10]]), 2)).expect("a merge by another column than the key");
    let refused = vec![Change::Append(rows(table, &[&[2], &[20]])), Change::Append(rows(table, &[&[1], &[30]]))];
    engine.write(Commit::new(refused)).expect_err("a key that exists");
    transaction.commit(CommitInfo::default()).expect("nobody else changed the table");
}

#[test]
fn a_column_that_never_was_leaves_no_key_index() {
    // Seed 6003592: a transaction added a column, merged by it and was given up. The next column got the same id and another default, and a
    // merge by it asked the index that the transaction had left with the segment.
    let disk = SimDisk::new(6_003_592);
    let engine = open(&disk);
    let table = table(&engine, &["a"], &[]);
    commit(&engine, vec![Change::Append(rows(table, &[&[1, 2]]))]);
    engine.flush().expect("a healthy disk");
    let with_default = |value: i64| {
        let schema = Arc::clone(engine.snapshot().catalog().table_by_id(table).expect("the table").schema());
        let column = NewColumn { default: Some(Value::Int(value)), ..NewColumn::new("b", LogicalType::BigInt) };
        Change::SetSchema { id: table, schema: Arc::new(schema.with_columns(vec![column]).expect("a new name")) }
    };
    let mut transaction = engine.begin();
    transaction.apply(with_default(10)).expect("a new column");
    transaction.apply(update(rows(table, &[&[3], &[10]]), 2)).expect("a merge by it");
    drop(transaction);
    commit(&engine, vec![with_default(20)]);
    let merged = engine.write(Commit::new(vec![update(rows(table, &[&[7], &[20]]), 2)])).expect("a merge that fits");
    assert_eq!((merged.rows.updated, merged.rows.inserted), (2, 0), "both rows hold the default");
}
