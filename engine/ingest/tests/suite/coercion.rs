use arrow_array::cast::AsArray;
use arrow_array::types::IntervalMonthDayNanoType;
use arrow_array::{Array, ArrayRef, make_array};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use siltstone_ingest::{ErrorCode, Fractions, Framing, Policy, decode};
use siltstone_storage::{LogicalType, NewColumn, TableSchema, interval};

use super::check::policy;

const PAGE: &str = include_str!("../../../../docs/coercion.md");

/// Every type there is, under the name the page gives it.
fn types() -> Vec<(String, LogicalType)> {
    let structure =
        LogicalType::Struct(vec![("x".to_owned(), LogicalType::Integer), ("y".to_owned(), LogicalType::Varchar)]);
    let types = [
        LogicalType::Boolean,
        LogicalType::TinyInt,
        LogicalType::SmallInt,
        LogicalType::Integer,
        LogicalType::BigInt,
        LogicalType::UTinyInt,
        LogicalType::USmallInt,
        LogicalType::UInteger,
        LogicalType::UBigInt,
        LogicalType::Real,
        LogicalType::Double,
        LogicalType::Decimal { precision: 5, scale: 2 },
        LogicalType::Varchar,
        LogicalType::Blob,
        LogicalType::Date,
        LogicalType::Time,
        LogicalType::Timestamp,
        LogicalType::TimestampTz,
        LogicalType::Uuid,
        LogicalType::Json,
        LogicalType::List(Box::new(LogicalType::Integer)),
        structure,
        LogicalType::HugeInt,
        LogicalType::TimestampS,
        LogicalType::TimestampMs,
        LogicalType::TimestampNs,
        LogicalType::Interval,
        LogicalType::Bit,
        LogicalType::enumeration(vec!["new".to_owned(), "1".to_owned(), String::new()]).expect("distinct values"),
        LogicalType::Array(Box::new(LogicalType::Integer), 2),
        LogicalType::Map(Box::new((LogicalType::Varchar, LogicalType::Integer))),
        LogicalType::Map(Box::new((LogicalType::BigInt, LogicalType::Varchar))),
    ];
    types.into_iter().map(|ty| (ty.to_string(), ty)).collect()
}

/// What becomes of a value, in the page's words.
fn outcome(json: &str, ty: &LogicalType, fractions: Fractions) -> String {
    let table = TableSchema::new(vec![NewColumn::new("c", ty.clone())], &[]).expect("a valid schema");
    let policy = Policy { fractions, ..policy() };
    let decoded = decode(format!("{{\"c\":{json}}}").as_bytes(), Framing::Document, Some(&table), &policy).expect(json);
    let errors = decoded.errors.first(1).0;
    match errors.first().map(|error| error.code) {
        None => format!("`{}`", shown(&decoded.columns[0].1)),
        Some(ErrorCode::InvalidCast) => "✗".to_owned(),
        Some(ErrorCode::OutOfRange) => "✗ range".to_owned(),
        Some(other) => format!("{other:?}"),
    }
}

fn shown(array: &ArrayRef) -> String {
    assert!(array.is_valid(0));
    if let DataType::Timestamp(unit, Some(_)) = array.data_type() {
        // The formatter knows no zone names; the stored instant is UTC.
        let utc =
            array.to_data().into_builder().data_type(DataType::Timestamp(*unit, None)).build().expect("same form");
        return shown(&make_array(utc)) + "Z";
    }
    if let DataType::Interval(_) = array.data_type() {
        let value = array.as_primitive::<IntervalMonthDayNanoType>().value(0);
        let mut text = Vec::new();
        interval::push(&mut text, value.months, value.days, value.nanoseconds.into());
        return String::from_utf8(text).expect("ASCII");
    }
    let options = FormatOptions::default();
    ArrayFormatter::try_new(array.as_ref(), &options).expect("a formatter").value(0).to_string()
}

/// The examples of a line: (json, outcome).
fn examples(line: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(arrow) = rest.find("` → ") {
        let start = rest[..arrow].rfind("`").expect("a quoted value") + 1;
        let after = &rest[arrow + "` → ".len()..];
        let length = match after.strip_prefix('`') {
            Some(quoted) => quoted.find('`').expect("a closing quote") + 2,
            None => after.find([',', '|']).expect("an end"),
        };
        found.push((&rest[start..arrow], after[..length].trim_end()));
        rest = &after[length..];
    }
    found
}

fn section(title: &str) -> &'static str {
    let start = PAGE.find(title).expect(title) + title.len();
    let rest = &PAGE[start..];
    &rest[..rest.find("\n## ").unwrap_or(rest.len())]
}

/// Lines of a section's table with the type in their first cell.
fn lines(title: &str) -> Vec<(LogicalType, &'static str)> {
    let types = types();
    let typed = |line: &'static str| {
        let name = line.strip_prefix("| ")?.split(" |").next()?;
        let (_, ty) = types.iter().find(|(known, _)| known == name)?;
        Some((ty.clone(), line))
    };
    section(title).lines().filter_map(typed).collect()
}

/// Whether a JSON text is of some kind.
type IsKind = fn(&str) -> bool;

#[test]
fn every_cell_of_the_documented_table() {
    // Proves that the page and the code agree, for each type and each kind of value.
    let lines = lines("## The table");
    for (name, ty) in types() {
        let (_, line) = lines.iter().find(|(known, _)| *known == ty).unwrap_or_else(|| panic!("no line for {name}"));
        let examples = examples(line);
        for (json, expected) in &examples {
            assert_eq!(outcome(json, &ty, Fractions::Round), *expected, "{json} into {name}");
        }
        let kinds: [(&str, IsKind); 6] = [
            ("boolean", |json| json == "true" || json == "false"),
            ("integer", |json| json.parse::<f64>().is_ok() && !json.contains(['.', 'e'])),
            ("fraction", |json| json.parse::<f64>().is_ok() && json.contains(['.', 'e'])),
            ("string", |json| json.starts_with('"')),
            ("array", |json| json.starts_with('[')),
            ("object", |json| json.starts_with('{')),
        ];
        for (kind, is_kind) in kinds {
            assert!(examples.iter().any(|(json, _)| is_kind(json)), "no {kind} for {name}");
        }
        assert_eq!(outcome("[NaN]", &ty, Fractions::Round) == "✗", !takes_nan_inside(&ty), "[NaN] into {name}");
    }
}

fn takes_nan_inside(ty: &LogicalType) -> bool {
    *ty == LogicalType::Varchar
}

#[test]
fn the_table_of_rejected_fractions() {
    // Proves the one knob.
    let lines = lines("## With `Fractions::Reject`");
    assert_eq!(lines.len(), 2);
    for (ty, line) in lines {
        for (json, expected) in examples(line) {
            assert_eq!(outcome(json, &ty, Fractions::Reject), expected, "{json} into {ty}");
        }
    }
}

#[test]
fn tokens_that_json_does_not_have() {
    // Proves NaN and the infinities in every type.
    for (name, ty) in types() {
        let expected = match ty {
            LogicalType::Real | LogicalType::Double => ["`NaN`", "`inf`", "`-inf`"],
            LogicalType::Varchar => ["`nan`", "`inf`", "`-inf`"],
            _ => ["✗"; 3],
        };
        let outcomes = ["NaN", "Infinity", "-Infinity"].map(|json| outcome(json, &ty, Fractions::Round));
        assert_eq!(outcomes, expected, "{name}");
    }
}
