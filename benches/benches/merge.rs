//! Merging batches into a growing table through the engine's API, each with its sync.
//!
//! `cargo bench -p siltstone-benches --bench merge -- [rows to start from ...]` (default: 1000000 10000000). For each size it fills a table, merges
//! batches of 1,000 rows of which half have a key that is there already (uniformly) for ten seconds, and prints rows per second, what a merge
//! takes, and what the key indexes take in memory. Not a Criterion bench: a merge changes what the next one works on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, Float64Array, Int64Array, StringViewArray, TimestampMicrosecondArray};
use siltstone_storage::io::OsDisk;
use siltstone_storage::{
    Batch, Change, ColumnId, Commit, Engine, LogicalType, Merge, NewColumn, OnMatch, Options, TableId, TableName,
    TableSchema,
};
use tempfile::TempDir;

const BATCH_ROWS: usize = 1000;
const FILL_ROWS: usize = 50_000;
const MEASURED: Duration = Duration::from_secs(10);

fn main() {
    let sizes: Vec<i64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![1_000_000, 10_000_000] } else { sizes };
    println!(
        "{:>12} {:>12} {:>10} {:>10} {:>14} {:>14}",
        "rows", "rows/s", "p50 µs", "p99 µs", "index bytes", "per row"
    );
    for size in sizes {
        run(size);
    }
}

fn run(size: i64) {
    let folder = TempDir::new().expect("a temporary folder");
    let engine =
        Engine::open(Arc::new(OsDisk::open(folder.path()).expect("a folder")), Options::default()).expect("an engine");
    let table = create(&engine);
    let mut next = 0;
    while next < size {
        let ids: Vec<i64> = (next..size.min(next + FILL_ROWS as i64)).collect();
        next += ids.len() as i64;
        engine.write(Commit::new(vec![Change::Append(batch(table, &ids))])).expect("a commit");
    }
    engine.flush().expect("a flush");
    let mut random = fastrand::Rng::with_seed(7);
    // The first merge makes the key indexes of what is there.
    for _ in 0..20 {
        next = merge(&engine, table, next, &mut random);
    }
    let mut times = Vec::new();
    let start = Instant::now();
    while start.elapsed() < MEASURED {
        let one = Instant::now();
        next = merge(&engine, table, next, &mut random);
        times.push(one.elapsed());
    }
    let seconds = start.elapsed().as_secs_f64();
    let rows = times.len() * BATCH_ROWS;
    times.sort();
    let at = |part: f64| times[(times.len() as f64 * part) as usize].as_micros();
    let index = engine.metrics().key_index_bytes;
    let per_row = index as f64 / next as f64;
    println!("{size:>12} {:>12.0} {:>10} {:>10} {index:>14} {per_row:>14.2}", rows as f64 / seconds, at(0.5), at(0.99));
    engine.close().expect("a clean end");
}

/// Merges one batch: half of it keys below `next`, half new ones. Returns the next new key.
fn merge(engine: &Engine, table: TableId, next: i64, random: &mut fastrand::Rng) -> i64 {
    let half = BATCH_ROWS as i64 / 2;
    let mut ids: Vec<i64> = (next..next + half).collect();
    while ids.len() < BATCH_ROWS {
        ids.push(random.i64(0..next));
    }
    let merge =
        Merge { batch: batch(table, &ids), key: vec![ColumnId(1)], on_match: OnMatch::Replace, newer_by: Vec::new() };
    engine.write(Commit::new(vec![Change::Merge(merge)])).expect("a commit");
    next + half
}

fn create(engine: &Engine) -> TableId {
    let id = engine.new_table_id();
    let columns = vec![
        NewColumn::new("id", LogicalType::BigInt),
        NewColumn::new("at", LogicalType::Timestamp),
        NewColumn::new("amount", LogicalType::Double),
        NewColumn::new("state", LogicalType::Varchar),
        NewColumn::new("customer", LogicalType::Varchar),
    ];
    let schema = Arc::new(TableSchema::new(columns, &["id".to_owned()]).expect("a schema"));
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable { id, name: TableName::new("LAKE", "main", "orders"), schema },
    ];
    engine.write(Commit::new(changes)).expect("a new table");
    id
}

fn batch(table: TableId, ids: &[i64]) -> Batch {
    let states = ["open", "paid", "shipped", "returned"];
    let columns: Vec<(ColumnId, ArrayRef)> = vec![
        (ColumnId(1), Arc::new(Int64Array::from(ids.to_vec()))),
        (ColumnId(2), Arc::new(TimestampMicrosecondArray::from_iter_values(ids.iter().map(|id| id * 1000)))),
        (ColumnId(3), Arc::new(Float64Array::from_iter_values(ids.iter().map(|id| (id % 10_000) as f64 / 100.0)))),
        (ColumnId(4), Arc::new(StringViewArray::from_iter_values(ids.iter().map(|id| states[(id % 4) as usize])))),
        (
            ColumnId(5),
            Arc::new(StringViewArray::from_iter_values(ids.iter().map(|id| format!("customer {:08}", id % 100_000)))),
        ),
    ];
    Batch::new(table, ids.len(), columns).expect("columns of one length")
}
