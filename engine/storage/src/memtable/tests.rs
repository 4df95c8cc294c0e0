use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array};

use super::*;
use crate::ids::TableId;
use crate::logical_type::LogicalType;
use crate::schema::{NewColumn, TableSchema};
use crate::value::Value;

fn schema() -> TableSchema {
    TableSchema::new(vec![NewColumn::new("a", LogicalType::BigInt)], &[]).unwrap()
}

fn batch(values: Vec<i64>, snapshot: u64) -> MemBatch {
    let array: ArrayRef = Arc::new(Int64Array::from(values));
    let batch = Batch::new(TableId(1), array.len(), vec![(ColumnId(1), array)]).unwrap();
    // These tests do not ask for rows by number.
    MemBatch::new(0, &batch, SnapshotId(snapshot))
}

fn values(table: &Memtable) -> Vec<i64> {
    table
        .batches()
        .iter()
        .flat_map(|batch| batch.column(ColumnId(1)).unwrap().as_primitive::<Int64Type>().values().to_vec())
        .collect()
}

/// Thousands of one-row commits stay a handful of batches, in order, each row with its commit.
#[test]
fn one_row_commits_are_merged() {
    let (mut table, schema) = (Memtable::default(), schema());
    for i in 0..20_000 {
        table.push(batch(vec![i], i as u64 + 1));
        table.consolidate(|| schema.columns().iter().collect());
    }
    assert_eq!(values(&table), (0..20_000).collect::<Vec<_>>());
    assert!(table.batches().len() <= 20_000 / SETTLED_ROWS + 4 * (FANOUT - 1), "{}", table.batches().len());
    let visible: usize = table.batches().iter().map(|batch| batch.commits().visible_rows(SnapshotId(7777))).sum();
    assert_eq!(visible, 7777);
}

/// Batches of a thousand rows are settled after one merge: nothing large is copied again and again.
#[test]
fn settled_batches_are_left_alone() {
    let (mut table, schema) = (Memtable::default(), schema());
    for i in 0..64 {
        table.push(batch(vec![i; 1000], i as u64 + 1));
        table.consolidate(|| schema.columns().iter().collect());
    }
    assert_eq!(table.rows(), 64_000);
    assert!(table.batches().iter().all(|batch| batch.rows() <= 2 * SETTLED_ROWS));
    assert!(table.batches().len() < 16 + FANOUT);
}

/// Rows written before a column existed read as its default once merged with rows that have it.
#[test]
fn merging_fills_in_defaults() {
    let first = schema();
    let added = NewColumn { default: Some(Value::Int(9)), ..NewColumn::new("b", LogicalType::BigInt) };
    let second = first.with_columns(vec![added]).unwrap();
    let mut table = Memtable::default();
    for i in 0..7 {
        table.push(batch(vec![i], i as u64 + 1));
    }
    let both: Vec<(ColumnId, ArrayRef)> =
        vec![(ColumnId(1), Arc::new(Int64Array::from(vec![7]))), (ColumnId(2), Arc::new(Int64Array::from(vec![70])))];
    table.push(MemBatch::new(0, &Batch::new(TableId(1), 1, both).unwrap(), SnapshotId(8)));
    table.consolidate(|| second.columns().iter().collect());
    assert_eq!(table.batches().len(), 1);
    let b = table.batches()[0].column(ColumnId(2)).unwrap().as_primitive::<Int64Type>().values().to_vec();
    assert_eq!(b, [9, 9, 9, 9, 9, 9, 9, 70]);
}
