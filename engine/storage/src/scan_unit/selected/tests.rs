use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray};
use proptest::prelude::*;

use super::*;
use crate::catalog::TableName;
use crate::commit::{Batch, Change, Commit};
use crate::engine::Engine;
use crate::ids::TableId;
use crate::io::sim::SimDisk;
use crate::logical_type::LogicalType;
use crate::options::Options;
use crate::predicate::Comparison;
use crate::schema::{NewColumn, TableSchema};
use crate::test_arrays::{ArraySpec, Numbers, any_array, any_predicate};
use crate::value::Value;

/// An engine with a table of these columns, which keeps so many bytes of decoded chunks.
fn engine_with(types: &[LogicalType], chunk_cache_bytes: u64) -> (Engine, TableId) {
    let options = Options {
        background: false,
        log_file_bytes: 1 << 16,
        disk_reserve_bytes: 0,
        row_group_rows: 200,
        chunk_cache_bytes,
        ..Options::default()
    };
    let engine = Engine::open(Arc::new(SimDisk::new(1)), options).unwrap();
    let columns = types.iter().enumerate().map(|(i, ty)| NewColumn::new(format!("c{i}"), ty.clone())).collect();
    let id = engine.new_table_id();
    let changes = vec![
        Change::CreateDatabase { name: "LAKE".into() },
        Change::CreateSchema { database: "LAKE".into(), name: "main".into() },
        Change::CreateTable {
            id,
            name: TableName::new("LAKE", "main", "t"),
            schema: Arc::new(TableSchema::new(columns, &[]).unwrap()),
        },
    ];
    engine.write(Commit::new(changes)).unwrap();
    (engine, id)
}

fn append(engine: &Engine, table: TableId, columns: &[ArrayRef]) {
    let columns: Vec<_> = (1..).map(ColumnId).zip(columns.iter().cloned()).collect();
    let batch = Batch::new(table, columns[0].1.len(), columns).unwrap();
    engine.write(Commit::new(vec![Change::Append(batch)])).unwrap();
}

/// Deletes about a third of the rows.
fn delete_some(engine: &Engine, table: TableId, numbers: &mut Numbers) {
    let view = engine.snapshot().table(table).unwrap();
    let deletions = view.units().iter().map(|unit| {
        let chosen = BooleanArray::from((0..unit.rows()).map(|_| numbers.below(3) == 0).collect::<Vec<_>>());
        Change::Delete(unit.row_set(&chosen))
    });
    engine.write(Commit::new(deletions.collect())).unwrap();
}

/// What filtering and reading late is to be equal to: read all, test, select.
fn expected(unit: &ScanUnit, predicates: &[Predicate], columns: &[ColumnId]) -> (usize, Vec<ArrayRef>) {
    let mut kept = BooleanBuffer::new_set(unit.rows());
    for predicate in predicates {
        let column = unit.column(predicate.column()).unwrap();
        let values = unit.read(&[column.id]).unwrap().remove(0);
        kept = &kept & &Condition::new(predicate, &column.logical_type).unwrap().test(&values);
    }
    let mask = BooleanArray::new(kept, None);
    let all = unit.read(columns).unwrap();
    (mask.true_count(), all.iter().map(|array| arrow_select::filter::filter(array, &mask).unwrap()).collect())
}

fn check(unit: &ScanUnit, predicates: &[Predicate], columns: &[ColumnId]) {
    let (rows, arrays) = expected(unit, predicates, columns);
    let selected = unit.filter(predicates).unwrap();
    assert_eq!(selected.rows(), rows, "{predicates:?}");
    assert_eq!(unit.read_selected(columns, &selected).unwrap(), arrays, "{predicates:?}");
    // Every other one of them.
    let kept = BooleanArray::from((0..rows).map(|i| i % 2 == 0).collect::<Vec<_>>());
    let fewer = unit.read_selected(columns, &selected.narrowed(unit, &kept)).unwrap();
    let half: Vec<ArrayRef> = arrays.iter().map(|array| arrow_select::filter::filter(array, &kept).unwrap()).collect();
    assert_eq!(fewer, half, "{predicates:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Proves invariants 1 and 3 for every type, in segments and in memory, with rows deleted, now and as of an earlier snapshot, with a
    /// column that older rows do not have, with decoded chunks kept and without.
    #[test]
    fn selecting_is_reading_and_filtering(
        specs in prop::collection::vec(any_array(700), 1..4),
        cuts in prop::collection::vec(1..300_usize, 1..4),
        seed: u64,
    ) {
        let types: Vec<LogicalType> = specs.iter().map(|spec| spec.ty.clone()).collect();
        // Without chunks kept, or with room for a few, so that they come and go between two reads.
        let (engine, table) = engine_with(&types, (seed % 3) * (16 << 10));
        let mut snapshots = Vec::new();
        let mut numbers = Numbers(seed);
        for rows in cuts {
            let arrays: Vec<ArrayRef> =
                specs.iter().map(|spec| ArraySpec { rows, seed: numbers.next(), ..spec.clone() }.array()).collect();
            append(&engine, table, &arrays);
            snapshots.push(engine.snapshot().id());
            if numbers.below(2) == 0 {
                engine.flush().unwrap();
            }
            if numbers.below(2) == 0 {
                delete_some(&engine, table, &mut numbers);
            }
        }
        let mut added = NewColumn::new("added", LogicalType::Varchar);
        added.default = (seed % 2 == 0).then(|| Value::Text("a default that is long enough".into()));
        let schema = engine.snapshot().table(table).unwrap().schema().with_columns(vec![added]).unwrap();
        engine.write(Commit::new(vec![Change::SetSchema { id: table, schema: Arc::new(schema) }])).unwrap();
        let late = ColumnId(1 + types.len() as u32);

        let now = engine.snapshot();
        let views = snapshots.iter().map(|at| now.table_at(table, *at).unwrap()).chain(now.table(table));
        for view in views {
            let mut columns: Vec<ColumnId> = view.schema().columns().iter().map(|column| column.id).collect();
            columns.push(ColumnId::ADDRESS);
            for unit in view.units() {
                for _ in 0..4 {
                    let mut predicates = Vec::new();
                    for (column, ty) in columns.iter().zip(&types) {
                        let values = unit.read(&[*column]).unwrap().remove(0);
                        if numbers.below(3) > 0 {
                            let predicate = any_predicate(ty, &values, &mut numbers);
                            predicates.extend(predicate.map(|predicate| on(predicate, *column)));
                        }
                    }
                    if columns.contains(&late) && numbers.below(3) == 0 {
                        predicates.push(Predicate::Compare {
                            column: late,
                            op: Comparison::GreaterOrEqual,
                            value: Value::Text("a".into()),
                        });
                    }
                    check(unit, &predicates, &columns);
                }
            }
        }
    }
}

/// The predicate on another column.
fn on(predicate: Predicate, column: ColumnId) -> Predicate {
    match predicate {
        Predicate::Compare { op, value, .. } => Predicate::Compare { column, op, value },
        Predicate::In { values, .. } => Predicate::In { column, values },
        Predicate::IsNull(_) => Predicate::IsNull(column),
        Predicate::IsNotNull(_) => Predicate::IsNotNull(column),
    }
}

/// Proves that few rows are read one by one and many by whole columns, and what a filter does with what it cannot know.
#[test]
fn the_cost_decides_how_rows_are_read() {
    let (engine, table) = engine_with(&[LogicalType::BigInt], 0);
    let ints: ArrayRef = Arc::new(arrow_array::Int64Array::from_iter_values((0..200).map(|i| (i * 7) % 200)));
    append(&engine, table, &[ints]);
    engine.flush().unwrap();
    let view = engine.snapshot().table(table).unwrap();
    let unit = &view.units()[0];
    let below = |value| {
        let predicate = Predicate::Compare { column: ColumnId(1), op: Comparison::Less, value: Value::Int(value) };
        unit.filter(&[predicate]).unwrap()
    };
    assert!(unit.is_late(&below(25)) && below(25).rows() == 25);
    assert!(!unit.is_late(&below(26)) && below(26).rows() == 26);
    assert!(!unit.is_late(&unit.all()));
    assert_eq!(below(-1).rows(), 0);
    let unknown = unit.filter(&[Predicate::IsNull(ColumnId(9))]).unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let misfit = unit.filter(&[Predicate::In { column: ColumnId(1), values: vec![Value::Bool(true)] }]).unwrap_err();
    assert_eq!(misfit.kind(), ErrorKind::Invalid);
}

/// Proves that a chunk is kept once it is decoded, that what is kept is what a query gets, and that it goes with its table.
#[test]
fn decoded_chunks_are_kept_as_long_as_their_table() {
    let (engine, table) = engine_with(&[LogicalType::BigInt], 1 << 20);
    let ints: ArrayRef = Arc::new(arrow_array::Int64Array::from_iter_values((0..1000).map(|i| (i * 7) % 200)));
    append(&engine, table, std::slice::from_ref(&ints));
    engine.flush().unwrap();
    let read = || -> Vec<ArrayRef> {
        let view = engine.snapshot().table(table).unwrap();
        view.units().iter().map(|unit| unit.read(&[ColumnId(1)]).unwrap().remove(0)).collect()
    };
    assert_eq!(engine.metrics().chunk_cache_bytes, 0);
    let (first, second) = (read(), read());
    assert!(engine.metrics().chunk_cache_bytes >= 8000, "{}", engine.metrics().chunk_cache_bytes);
    let shares = |(a, b): (&ArrayRef, &ArrayRef)| Arc::ptr_eq(a, b);
    assert!(first.len() == 5 && first.iter().zip(&second).all(shares), "decoded once");
    let all: Vec<&dyn Array> = first.iter().map(|array| array.as_ref()).collect();
    assert_eq!(&arrow_select::concat::concat(&all).unwrap(), &ints);
    engine.write(Commit::new(vec![Change::DropTable { id: table }])).unwrap();
    engine.flush().unwrap();
    assert_eq!(engine.metrics().chunk_cache_bytes, 0);
}
