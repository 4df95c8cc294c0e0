//! What conditions say of a column chunk, on its encoded values and in its filter.
//!
//! It knows the values of single rows and how they compare; not how they are stored.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef};
use arrow_buffer::Buffer;

use super::{ChunkInput, FILE};
use crate::condition::Condition;
use crate::encoding::{self, Matches};
use crate::ids::ColumnId;
use crate::logical_type::LogicalType;
use crate::predicate::{Comparison, Predicate};
use crate::value::Value;
use crate::zone_map::ZoneMap;

/// The column that every condition is about.
const COLUMN: ColumnId = ColumnId(1);
const OPERATORS: [Comparison; 6] = [
    Comparison::Equal,
    Comparison::NotEqual,
    Comparison::Less,
    Comparison::LessOrEqual,
    Comparison::Greater,
    Comparison::GreaterOrEqual,
];
/// Past so many rows only a few conditions are tried: many small chunks tell more than few long ones.
const LONG_ROWS: usize = 4096;
/// As many as that.
const LONG_CONDITIONS: usize = 4;
/// Rows of which the value itself is compared; the others are compared as arrays.
const COMPARED_ROWS: usize = 40;

/// The value of a row, if its type has single values and it is not NULL.
pub(crate) fn value_at(ty: &LogicalType, array: &ArrayRef, row: usize) -> Option<Value> {
    match ty {
        _ if array.is_null(row) => None,
        ty if ty.is_text() => Some(Value::Text(array.as_string_view().value(row).to_owned())),
        LogicalType::Blob => Some(Value::Bytes(array.as_binary_view().value(row).to_vec())),
        LogicalType::Real => Some(Value::Float(array.as_primitive::<Float32Type>().value(row).into())),
        LogicalType::Double => Some(Value::Float(array.as_primitive::<Float64Type>().value(row))),
        _ => ZoneMap::of(ty, &array.slice(row, 1)).min,
    }
}

/// Conditions on a column: whether there is a value, how it compares with a few of the column's own, and with some that may be strange to it.
pub(crate) fn conditions_on(ty: &LogicalType, array: Option<&ArrayRef>) -> Vec<Predicate> {
    let strange = [
        Value::Bool(true),
        Value::Int(-1),
        Value::Int(i64::MAX),
        Value::UInt(7),
        Value::Decimal(1 << 70),
        Value::Float(-0.0),
        Value::Float(f64::NAN),
        Value::Text("550e8400-e29b-41d4-a716-446655440000".to_owned()),
        Value::Bytes(vec![0xff]),
    ];
    let own = array.into_iter().flat_map(|array| {
        let rows = array.len();
        [0, rows / 3, rows / 2, rows.saturating_sub(1)].into_iter().filter_map(|row| value_at(ty, array, row))
    });
    let values: Vec<Value> = own.chain(strange.into_iter().filter(|value| value.is_of(ty))).collect();
    let mut conditions = vec![Predicate::IsNull(COLUMN), Predicate::IsNotNull(COLUMN)];
    if !values.is_empty() {
        conditions.push(Predicate::In { column: COLUMN, values: values.clone() });
    }
    for (index, value) in values.into_iter().enumerate() {
        // All operators on one value, two of them on each of the others.
        let operators = if index == 0 { 0..OPERATORS.len() } else { index * 2 % 6..index * 2 % 6 + 2 };
        conditions.extend(OPERATORS[operators].iter().map(|op| Predicate::Compare {
            column: COLUMN,
            op: *op,
            value: value.clone(),
        }));
    }
    conditions
}

/// Whether a value meets a condition: the definition, without keys or encodings.
fn meets(predicate: &Predicate, value: Option<&Value>) -> bool {
    // Both zeros are one value.
    let one_zero = |value: &Value| match value {
        Value::Float(0.0) => Value::Float(0.0),
        other => other.clone(),
    };
    let order =
        |value: &Value, other: &Value| one_zero(value).compare(&one_zero(other)).expect("values of one type compare");
    match (predicate, value) {
        (Predicate::IsNull(_), value) => value.is_none(),
        (_, None) => false,
        (Predicate::IsNotNull(_), Some(_)) => true,
        (Predicate::In { values, .. }, Some(value)) => values.iter().any(|other| order(value, other).is_eq()),
        (Predicate::Compare { op, value: other, .. }, Some(value)) => match (op, order(value, other)) {
            (Comparison::Equal, order) => order == Ordering::Equal,
            (Comparison::NotEqual, order) => order != Ordering::Equal,
            (Comparison::Less, order) => order == Ordering::Less,
            (Comparison::LessOrEqual, order) => order != Ordering::Greater,
            (Comparison::Greater, order) => order == Ordering::Greater,
            (Comparison::GreaterOrEqual, order) => order != Ordering::Less,
        },
    }
}

/// Conditions on encoded values say what they say of decoded ones. Of a chunk that does not decode, they say something of every row, or
/// report the damage.
pub(super) fn check_matches(chunk: &ChunkInput<'_>, body: &Buffer, decoded: Option<&ArrayRef>) {
    let (ty, rows, form) = (&chunk.ty, chunk.rows, &chunk.form);
    // Nested values and intervals meet no conditions but those on NULL, and are no values here.
    let incomparable = ty.is_nested() || *ty == LogicalType::Interval;
    let most = if rows > LONG_ROWS { LONG_CONDITIONS } else { usize::MAX };
    for predicate in conditions_on(ty, decoded).into_iter().take(most) {
        let condition = Condition::new(&predicate, ty).expect("a condition on values of that type");
        let found = match encoding::matches(&condition, ty, rows, form, body, FILE, 0) {
            Ok(found) => found,
            Err(error) => {
                assert!(decoded.is_none(), "{predicate:?} on a chunk that is read: {error}");
                continue;
            }
        };
        let holds = |row: usize| match &found {
            Matches::None => false,
            Matches::All => true,
            Matches::Some(bits) => bits.value(row),
        };
        if let Matches::Some(bits) = &found {
            assert_eq!(bits.len(), rows);
        }
        let Some(decoded) = decoded else { continue };
        let expected = condition.test(decoded);
        assert!((0..rows).all(|row| holds(row) == expected.value(row)), "{predicate:?}, type={ty}, form={form:?}");
        if incomparable {
            continue;
        }
        for row in (0..rows).step_by(rows.div_ceil(COMPARED_ROWS)) {
            let value = value_at(ty, decoded, row);
            // The many NaNs of REAL change their order when they become DOUBLE.
            if *ty == LogicalType::Real && matches!(value, Some(Value::Float(float)) if float.is_nan()) {
                continue;
            }
            assert_eq!(holds(row), meets(&predicate, value.as_ref()), "{predicate:?}, type={ty}, value={value:?}");
        }
    }
}
