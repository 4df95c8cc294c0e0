use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Number, Value};
use siltstone_ingest::{BodyError, Decoded, Framing, Policy, decode};
use siltstone_storage::{LogicalType, NewColumn, TableSchema};

use super::check::{check, policy};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-100i64..100).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(|float| Number::from_f64(float).map_or(Value::Null, Value::Number)),
        any::<String>().prop_map(Value::from),
        select(vec!["", "2024-01-15T10:30:00Z", "true", "7", "a\"b\\c\n\u{0}\u{1f600}"]).prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-cA-C\u{e9}\"]{0,3}", inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Rows over a few names that differ in more than case.
fn rows() -> impl Strategy<Value = Vec<Map<String, Value>>> {
    vec(vec((select(vec!["a", "b", "long_name", "\u{e9}", "with \"quotes\""]), scalar_or_value()), 0..5), 1..12)
        .prop_map(|rows| {
            rows.into_iter()
                .map(|row| row.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                .collect()
        })
}

fn scalar_or_value() -> impl Strategy<Value = Value> {
    prop_oneof![4 => scalar(), 1 => value()]
}

/// JSON text with whitespace and escapes chosen by a seed.
fn render(value: &Value, seed: &mut u64, out: &mut String) {
    blanks(seed, out);
    match value {
        Value::String(text) => render_text(text, seed, out),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                render(item, seed, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (i, (name, member)) in members.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                blanks(seed, out);
                render_text(name, seed, out);
                blanks(seed, out);
                out.push(':');
                render(member, seed, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
    blanks(seed, out);
}

fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

fn blanks(seed: &mut u64, out: &mut String) {
    out.push_str(["", "", "", " ", "\n\t", "\r\n"][next(seed) as usize % 6]);
}

fn render_text(text: &str, seed: &mut u64, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let plain = character >= ' ' && character != '"' && character != '\\';
        if plain && !next(seed).is_multiple_of(8) {
            out.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                *out += &format!("\\u{unit:04X}");
            }
        }
    }
    out.push('"');
}

fn rendered(value: &Value, seed: u64) -> String {
    let (mut out, mut seed) = (String::new(), seed);
    render(value, &mut seed, &mut out);
    out
}

fn generous() -> Policy {
    Policy { row_depth_max: 100, field_bytes_max: 1 << 20, ..policy() }
}

fn column<'d>(decoded: &'d Decoded, schema: &TableSchema, name: &str) -> Option<&'d arrow_array::ArrayRef> {
    let id = schema.column(name)?.id;
    decoded.columns.iter().find(|(column, _)| *column == id).map(|(_, array)| array)
}

/// The inference table, over a tree of values.
fn model_type(values: &[&Value]) -> Option<LogicalType> {
    let values: Vec<_> = values.iter().filter(|value| !value.is_null()).collect();
    let all = |is: fn(&Value) -> bool| values.iter().all(|value| is(value));
    Some(if values.is_empty() {
        return None;
    } else if values.iter().any(|value| value.is_array() || value.is_object()) {
        LogicalType::Json
    } else if all(Value::is_i64) {
        LogicalType::BigInt
    } else if all(|value| value.is_i64() || value.is_u64()) {
        LogicalType::Decimal { precision: 38, scale: 0 }
    } else if all(Value::is_number) {
        LogicalType::Double
    } else if all(Value::is_boolean) {
        LogicalType::Boolean
    } else if all(|value| value.as_str() == Some("2024-01-15T10:30:00Z")) {
        LogicalType::Timestamp
    } else {
        LogicalType::Varchar
    })
}

/// Compares a decoded column with the values it was made from.
fn assert_holds(array: &arrow_array::ArrayRef, ty: &LogicalType, values: &[&Value]) {
    for (row, value) in values.iter().enumerate() {
        assert_eq!(array.is_null(row), value.is_null(), "row {row}: {value}");
        if value.is_null() {
            continue;
        }
        match ty {
            LogicalType::BigInt => assert_eq!(Some(array.as_primitive::<Int64Type>().value(row)), value.as_i64()),
            LogicalType::Double => assert_eq!(Some(array.as_primitive::<Float64Type>().value(row)), value.as_f64()),
            LogicalType::Boolean => assert_eq!(Some(array.as_boolean().value(row)), value.as_bool()),
            LogicalType::Varchar => {
                let text = array.as_string_view().value(row);
                match value {
                    Value::String(expected) => assert_eq!(text, expected),
                    Value::Number(number) if number.is_f64() => assert_eq!(text.parse().ok(), number.as_f64()),
                    other => assert_eq!(text, other.to_string()),
                }
            }
            LogicalType::Json => {
                let stored: Value = serde_json::from_str(array.as_string_view().value(row)).expect("valid JSON");
                let spelled = value.as_str().and_then(|text| serde_json::from_str(text).ok());
                assert_eq!(stored, spelled.unwrap_or_else(|| (*value).clone()));
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn any_rows_become_the_columns_of_a_plain_model(rows in rows(), seed: u64) {
        // Proves decoding and inference of a new table against trees of serde_json, whatever escapes and blanks.
        let body = rendered(&Value::Array(rows.iter().cloned().map(Value::Object).collect()), seed);
        let decoded = decode(body.as_bytes(), Framing::Document, None, &generous()).expect(&body);
        prop_assert_eq!(decoded.rows, rows.len());
        prop_assert!(decoded.errors.is_empty());
        let mut by_name: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for name in rows.iter().flat_map(Map::keys) {
            by_name.insert(name, rows.iter().map(|row| row.get(name).unwrap_or(&Value::Null)).collect());
        }
        let all_null = by_name.values().all(|values| model_type(values).is_none());
        for (name, values) in &by_name {
            match (model_type(values), &decoded.schema) {
                (Some(ty), Some(schema)) => {
                    prop_assert_eq!(&schema.column(name).expect(name).logical_type, &ty);
                    assert_holds(column(&decoded, schema, name).expect(name), &ty, values);
                }
                (None, Some(schema)) => prop_assert_eq!(schema.column(name).is_some(), all_null),
                (ty, None) => prop_assert!(false, "no schema, though {} is {:?}", name, ty),
            }
        }
    }

    #[test]
    fn any_value_reaches_text_and_json_columns(value in value(), seed: u64) {
        // Proves that VARCHAR and JSON columns lose nothing of any value.
        let columns = vec![NewColumn::new("t", LogicalType::Varchar), NewColumn::new("j", LogicalType::Json)];
        let table = TableSchema::new(columns, &[]).expect("a valid schema");
        let body = format!("{{\"t\":{0},\"j\":{0}}}", rendered(&value, seed));
        let decoded = decode(body.as_bytes(), Framing::Sequence, Some(&table), &generous()).expect(&body);
        assert_holds(column(&decoded, &table, "j").expect("j"), &LogicalType::Json, &[&value]);
        if value.is_array() || value.is_object() {
            let text = column(&decoded, &table, "t").expect("t").as_string_view().value(0).to_owned();
            prop_assert_eq!(serde_json::from_str::<Value>(&text).expect("valid JSON"), value);
        } else {
            assert_holds(column(&decoded, &table, "t").expect("t"), &LogicalType::Varchar, &[&value]);
        }
    }

    #[test]
    fn schemas_only_grow(bodies in vec(rows(), 1..5)) {
        // Proves that columns keep id, name and type over many bodies, that each change is the next version, and that
        // what an accepted row names is stored.
        let mut schema: Option<TableSchema> = None;
        for rows in bodies {
            let body = rendered(&Value::Array(rows.iter().cloned().map(Value::Object).collect()), 1);
            let decoded = decode(body.as_bytes(), Framing::Document, schema.as_ref(), &generous()).expect(&body);
            if let (Some(before), Some(after)) = (&schema, &decoded.schema) {
                prop_assert_eq!(after.version(), before.version().next());
                prop_assert!(after.columns().len() > before.columns().len());
                prop_assert!(after.columns().starts_with(before.columns()));
            }
            let rejected = decoded.errors.rejected();
            let after = decoded.schema.as_ref().or(schema.as_ref());
            for (row, members) in rows.iter().enumerate().filter(|(row, _)| !rejected.contains(*row as u32)) {
                for (name, _) in members.iter().filter(|(_, value)| !value.is_null()) {
                    let array = after.and_then(|schema| column(&decoded, schema, name)).expect(name);
                    prop_assert!(array.is_valid(row), "row {} lost its {}", row, name);
                }
            }
            schema = decoded.schema.or(schema);
        }
    }

    #[test]
    fn the_same_texts_are_json_as_for_serde(tokens in vec(select(TOKENS.to_vec()), 0..24)) {
        // Proves that exactly valid JSON is accepted, and that neither it nor anything else panics.
        let body = tokens.concat();
        check(&body);
        let strict = Policy { nan_tokens: false, rows_max: usize::MAX, ..generous() };
        let refused = match decode(&body, Framing::Document, None, &strict) {
            Err(BodyError::Syntax { .. } | BodyError::Empty) => true,
            Err(BodyError::Shape { .. }) => return Ok(()),
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
            Ok(_) => false,
        };
        match serde_json::from_slice::<Value>(body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&body)) {
            Err(error) if error.to_string().contains("number out of range") => {}
            other => prop_assert_eq!(refused, other.is_err(), "{}: {:?}", body.escape_ascii(), other),
        }
    }

    #[test]
    fn any_bytes(body in vec(any::<u8>(), 0..64)) {
        // Proves that arbitrary bytes never panic.
        check(&body);
    }
}

/// Pieces of JSON, whole and broken.
const TOKENS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\"",
    b"\"a\"",
    b"\"b\":",
    b"\"A\":",
    b"{\"a\":1}",
    b"[{",
    b"}]",
    b"\\",
    b"\\u",
    b"d83d",
    b"\\ude00",
    b"\\n",
    b"0",
    b"-",
    b"12",
    b".",
    b"5",
    b"e",
    b"E+",
    b"1e999",
    b"null",
    b"true",
    b"false",
    b"NaN",
    b" ",
    b"\n",
    b"\xC3\xA9",
    b"\xFF",
    b"\x00",
    b"\xEF\xBB\xBF",
];
