//! The storage engine inside a program: a table of visits, written in batches, upserted by key, read as of two snapshots, and there again after
//! the program was started anew.
//!
//! `cargo run -p siltstone-storage --example embed -- DIR` keeps it in a directory.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, StringViewArray};
use siltstone_storage::io::OsDisk;
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, CommitInfo, Engine, LogicalType, Merge, NewColumn, OnMatch, Options, TableId,
    TableName, TableSchema, TableSnapshot,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os().nth(1).ok_or("expected a directory that is missing or empty")?;
    run(Path::new(&folder))
}

fn run(folder: &Path) -> Result<(), Box<dyn Error>> {
    // A data directory belongs to one engine at a time. `OsDisk` is the real file system; `io::Disk` is the seam for any other.
    let engine = Engine::open(Arc::new(OsDisk::open(folder)?), Options::default())?;
    let visits = create_table(&engine)?;
    let columns = columns_of(&engine, visits)?;

    // A commit is durable and visible, wholly, when `write` returns. Rows come as Arrow arrays, one per column.
    let rows = batch(visits, &columns, &["/", "/docs", "/blog"], &[10, 20, 30])?;
    let first = engine.write(Commit::new(vec![Change::Append(rows)]))?;
    assert_eq!(first.rows.inserted, 3);

    // An upsert by key: "/docs" is there and gets the new count, "/api" is not and is inserted.
    let merge = Merge {
        batch: batch(visits, &columns, &["/docs", "/api"], &[21, 1])?,
        key: vec![columns[0]],
        on_match: OnMatch::Replace,
        newer_by: Vec::new(),
    };
    let merged = engine.write(Commit::new(vec![Change::Merge(merge)]))?;
    assert_eq!((merged.rows.inserted, merged.rows.updated), (1, 1));

    // A transaction sees its own changes, others see them only once it is committed.
    let mut transaction = engine.begin();
    transaction.apply(Change::Append(batch(visits, &columns, &["/about"], &[5])?))?;
    let inside = transaction.snapshot().table(visits).ok_or("no table")?;
    assert_eq!(sum(&inside, &columns)?, 10 + 21 + 30 + 1 + 5);
    transaction.commit(CommitInfo { author: Some("example".to_owned()), ..CommitInfo::default() })?;

    // A snapshot never changes; older ones can be asked for by number.
    let now = engine.snapshot();
    assert_eq!(now.table(visits).ok_or("no table")?.rows(), 5);
    assert_eq!(sum(&now.table_at(visits, first.snapshot)?, &columns)?, 60);
    engine.close()?;
    drop(engine);

    // Opening again finds everything: what was acknowledged is on disk.
    let engine = Engine::open(Arc::new(OsDisk::open(folder)?), Options::default())?;
    let snapshot = engine.snapshot();
    let table = snapshot.catalog().table("shop", "main", "visits").ok_or("no table")?.id;
    let total = sum(&snapshot.table(table).ok_or("no table")?, &columns)?;
    assert_eq!(total, 67);
    println!("{total} visits in all");
    engine.close()?;
    Ok(())
}

/// Makes `shop.main.visits (path VARCHAR PRIMARY KEY, count BIGINT)` in one commit.
fn create_table(engine: &Engine) -> siltstone_storage::Result<TableId> {
    let id = engine.new_table_id();
    let columns = vec![NewColumn::new("path", LogicalType::Varchar), NewColumn::new("count", LogicalType::BigInt)];
    let schema = Arc::new(TableSchema::new(columns, &["path".to_owned()])?);
    engine.write(Commit::new(vec![
        Change::CreateDatabase { name: "shop".to_owned() },
        Change::CreateSchema { database: "shop".to_owned(), name: "main".to_owned() },
        Change::CreateTable { id, name: TableName::new("shop", "main", "visits"), schema },
    ]))?;
    Ok(id)
}

/// Columns are named by ids, which renames and reorders leave alone.
fn columns_of(engine: &Engine, table: TableId) -> Result<Vec<ColumnId>, Box<dyn Error>> {
    let table = engine.snapshot().table(table).ok_or("no table")?;
    Ok(table.schema().columns().iter().map(|column| column.id).collect())
}

fn batch(table: TableId, columns: &[ColumnId], paths: &[&str], counts: &[i64]) -> siltstone_storage::Result<Batch> {
    let paths_array: ArrayRef = Arc::new(StringViewArray::from_iter_values(paths));
    let counts: ArrayRef = Arc::new(Int64Array::from_iter_values(counts.iter().copied()));
    Batch::new(table, paths.len(), vec![(columns[0], paths_array), (columns[1], counts)])
}

/// A scan: a table is a list of units, each read on its own, on as many threads as one likes.
fn sum(table: &TableSnapshot, columns: &[ColumnId]) -> siltstone_storage::Result<i64> {
    let mut total = 0;
    for unit in table.units() {
        let arrays = unit.read(&columns[1..])?;
        total += arrays[0].as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
    }
    Ok(total)
}

#[cfg(test)]
#[test]
fn the_example_does_what_it_says() {
    // Its own assertions hold, in a directory of its own.
    let folder = tempfile::tempdir().unwrap();
    run(&folder.path().join("data")).unwrap();
}
