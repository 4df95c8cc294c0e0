use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array};
use proptest::prelude::*;

use super::*;
use crate::ids::ColumnId;
use crate::test_arrays::{ArraySpec, Numbers, Shape};

const COLUMN: ColumnId = ColumnId(1);

fn compare(op: Comparison, value: Value) -> Predicate {
    Predicate::Compare { column: COLUMN, op, value }
}

const OPS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];

fn holds(op: Comparison, order: Ordering) -> bool {
    match op {
        Comparison::Equal => order.is_eq(),
        Comparison::NotEqual => order.is_ne(),
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
    }
}

fn selected(condition: &Condition, array: &dyn Array) -> Vec<usize> {
    condition.test(array).set_indices().collect()
}

/// Proves invariant 2 of predicates for floats: total order, but for the zeros.
#[test]
fn floats_compare_as_in_queries() {
    let values = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1.5, f64::INFINITY, f64::NAN];
    let doubles = Float64Array::from(values.to_vec());
    let reals = Float32Array::from_iter_values(values.iter().map(|value| *value as f32));
    for op in OPS {
        for value in values {
            let order = |other: f64| match (other == 0.0, value == 0.0) {
                (true, true) => Ordering::Equal,
                _ => other.total_cmp(&value),
            };
            let expected: Vec<usize> = (0..values.len()).filter(|i| holds(op, order(values[*i]))).collect();
            let predicate = compare(op, Value::Float(value));
            assert_eq!(selected(&Condition::new(&predicate, &LogicalType::Double).unwrap(), &doubles), expected);
            assert_eq!(selected(&Condition::new(&predicate, &LogicalType::Real).unwrap(), &reals), expected);
        }
    }
    let below_all = Condition::new(&compare(Comparison::Less, Value::Float(f64::NEG_INFINITY)), &LogicalType::Double);
    assert_eq!(selected(&below_all.unwrap(), &Float64Array::from(vec![-f64::NAN])), [0]);
}

/// Proves that constants beyond a type's range, and at its ends, keep their meaning.
#[test]
fn constants_beyond_the_range_keep_their_meaning() {
    let values = [i64::MIN, -1, 0, i64::MAX];
    let ints = Int64Array::from(values.to_vec());
    let bytes = arrow_array::UInt8Array::from(vec![0, 1, 255]);
    for op in OPS {
        for value in values {
            let condition = Condition::new(&compare(op, Value::Int(value)), &LogicalType::BigInt).unwrap();
            let expected: Vec<usize> = (0..4).filter(|i| holds(op, values[*i].cmp(&value))).collect();
            assert_eq!(selected(&condition, &ints), expected, "{op} {value}");
        }
        let condition = Condition::new(&compare(op, Value::UInt(1000)), &LogicalType::UTinyInt).unwrap();
        let all = matches!(op, Comparison::NotEqual | Comparison::Less | Comparison::LessOrEqual);
        assert_eq!(selected(&condition, &bytes), if all { vec![0, 1, 2] } else { vec![] }, "{op} 1000");
    }
    let list = Predicate::In { column: COLUMN, values: vec![Value::Int(0), Value::Int(i64::MAX), Value::Int(0)] };
    assert_eq!(selected(&Condition::new(&list, &LogicalType::BigInt).unwrap(), &ints), [2, 3]);
    let none = Predicate::In { column: COLUMN, values: Vec::new() };
    assert!(selected(&Condition::new(&none, &LogicalType::BigInt).unwrap(), &ints).is_empty());
}

/// Proves that a value of another type is refused, not misread.
#[test]
fn misfits_are_refused() {
    for (ty, value) in [
        (LogicalType::BigInt, Value::Text("7".to_owned())),
        (LogicalType::BigInt, Value::UInt(7)),
        (LogicalType::Varchar, Value::Bytes(vec![7])),
        (LogicalType::Real, Value::Float(0.1)),
        (LogicalType::Decimal { precision: 9, scale: 2 }, Value::Int(7)),
    ] {
        let error = Condition::new(&compare(Comparison::Equal, value), &ty).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

fn any_condition(ty: &LogicalType, array: &ArrayRef, numbers: &mut Numbers) -> Option<Condition> {
    let predicate = crate::test_arrays::any_predicate(ty, array, numbers)?;
    Some(Condition::new(&predicate, ty).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Proves invariant 2: what zone maps decide is what a look at the rows finds.
    #[test]
    fn zone_maps_decide_truly(spec in crate::test_arrays::any_array(300).prop_filter("rows", |spec| spec.rows > 0), seed: u64) {
        let array = spec.array();
        let zone_map = ZoneMap::of(&spec.ty, &array);
        let mut numbers = Numbers(seed);
        for _ in 0..10 {
            let Some(condition) = any_condition(&spec.ty, &array, &mut numbers) else { break };
            let found = condition.test(&array);
            let count = found.count_set_bits();
            match condition.decide(&spec.ty, spec.rows, &zone_map) {
                Decision::None => prop_assert_eq!(count, 0),
                Decision::All => prop_assert_eq!(count, spec.rows),
                Decision::NotNull => prop_assert_eq!(count, spec.rows - array.null_count()),
                Decision::Unknown => {}
            }
        }
    }
}

/// Proves that zone maps decide where they can: the cases a scan lives by.
#[test]
fn zone_maps_decide_the_common_cases() {
    let ascending =
        ArraySpec { ty: LogicalType::BigInt, rows: 100, shape: Shape::Ascending, nulls_percent: 0, margin: 0, seed: 1 };
    let array = ascending.array();
    let (first, last) = (array.as_primitive::<Int64Type>().value(0), array.as_primitive::<Int64Type>().value(99));
    let zone_map = ZoneMap::of(&ascending.ty, &array);
    let decide = |op, value| {
        Condition::new(&compare(op, Value::Int(value)), &ascending.ty).unwrap().decide(&ascending.ty, 100, &zone_map)
    };
    assert_eq!(decide(Comparison::Equal, first - 1), Decision::None);
    assert_eq!(decide(Comparison::NotEqual, last + 1), Decision::All);
    assert_eq!(decide(Comparison::Less, last), Decision::Unknown);
    assert_eq!(decide(Comparison::Less, last + 1), Decision::All);
    assert_eq!(decide(Comparison::Greater, last), Decision::None);
    assert_eq!(decide(Comparison::GreaterOrEqual, first), Decision::All);

    let some_null: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let zone_map = ZoneMap::of(&LogicalType::BigInt, &some_null);
    let decide = |predicate: &Predicate| {
        Condition::new(predicate, &LogicalType::BigInt).unwrap().decide(&LogicalType::BigInt, 3, &zone_map)
    };
    assert_eq!(decide(&compare(Comparison::Less, Value::Int(4))), Decision::NotNull);
    assert_eq!(decide(&Predicate::IsNull(COLUMN)), Decision::Unknown);
    assert_eq!(decide(&Predicate::IsNotNull(COLUMN)), Decision::NotNull);
}
