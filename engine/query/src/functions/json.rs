//! DuckDB's functions of JSON text.
//!
//! **Invariants**
//! 1. Text that is not JSON is an error, except to `json_valid`; a path that leads nowhere gives NULL.
//! 2. What is taken out of a value keeps its digits and the order of its keys.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;
use serde::Deserialize;
use serde_json::value::RawValue;
use siltstone_storage::LogicalType;

use super::row_wise::Kind::{Int, Text};
use super::row_wise::{Given, Outcome, RowWise, Value};
use crate::QueryError;

/// `->`.
pub(super) const EXTRACT: &str = "json_extract";
/// `->>`.
pub(super) const EXTRACT_TEXT: &str = "json_extract_string";

/// All functions of this family.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let json = || LogicalType::Json.field("", true);
    let text = || LogicalType::Varchar.field("", true);
    let texts = || LogicalType::List(Box::new(LogicalType::Varchar)).field("", true);
    let bigint = || Field::new("", DataType::Int64, true);
    let bool = || Field::new("", DataType::Boolean, true);
    vec![
        RowWise::udf(&[EXTRACT, "json_extract_path"], &[&[Text, Text], &[Text, Int]], json(), |args, _| {
            Ok(at(args)?.map(|found| Value::Text(found.get().to_owned())))
        }),
        RowWise::udf(&[EXTRACT_TEXT, "json_extract_path_text"], &[&[Text, Text], &[Text, Int]], text(), |args, _| {
            at(args)?.map_or(Ok(None), as_text)
        }),
        RowWise::udf(&["json_value"], &[&[Text, Text], &[Text, Int]], text(), |args, _| {
            let scalar = at(args)?.filter(|found| !matches!(kind(found), "OBJECT" | "ARRAY"));
            scalar.map_or(Ok(None), as_text)
        }),
        RowWise::udf(&["json_exists"], &[&[Text, Text], &[Text, Int]], bool(), |args, _| {
            Ok(Some(Value::Bool(at(args)?.is_some())))
        }),
        RowWise::udf(&["json_type"], &[&[Text], &[Text, Text]], text(), |args, _| {
            Ok(at(args)?.map(|found| Value::Text(kind(found).to_owned())))
        }),
        RowWise::udf(&["json_array_length"], &[&[Text], &[Text, Text]], bigint(), |args, _| {
            let Some(found) = at(args)? else {
                return Ok(None);
            };
            Ok(Some(Value::Int(if kind(found) == "ARRAY" { items(found)?.len() as i64 } else { 0 })))
        }),
        RowWise::udf(&["json_keys"], &[&[Text], &[Text, Text]], texts(), |args, _| {
            let Some(found) = at(args)? else {
                return Ok(None);
            };
            let keys = if kind(found) == "OBJECT" { members(found)? } else { Vec::new() };
            Ok(Some(Value::Texts(keys.into_iter().map(|(key, _)| Some(key.into_owned())).collect())))
        }),
        RowWise::udf(&["json_valid"], &[&[Text]], bool(), |args, _| {
            Ok(Some(Value::Bool(parse(args[0].text()).is_ok())))
        }),
        RowWise::udf(&["json"], &[&[Text]], json(), |args, _| {
            let value: serde_json::Value = serde_json::from_str(args[0].text()).map_err(malformed)?;
            Ok(Some(Value::Text(value.to_string())))
        }),
    ]
}

fn malformed(error: impl std::fmt::Display) -> QueryError {
    QueryError::invalid_input(format_args!("Malformed JSON: {error}"))
}

fn parse(text: &str) -> Result<&RawValue, QueryError> {
    serde_json::from_str(text).map_err(malformed)
}

/// The value that the second argument, if there is one, leads to in the first.
fn at<'a>(args: &[Given<'a>]) -> Result<Option<&'a RawValue>, QueryError> {
    let root = parse(args[0].text())?;
    match args.get(1) {
        None => Ok(Some(root)),
        Some(Given::Int(index)) => step(root, &Step::Index(*index)),
        Some(path) => {
            let mut found = root;
            for part in steps(path.text())? {
                match step(found, &part)? {
                    Some(next) => found = next,
                    None => return Ok(None),
                }
            }
            Ok(Some(found))
        }
    }
}

/// A part of a path.
#[derive(Debug, PartialEq)]
enum Step<'a> {
    Key(Cow<'a, str>),
    /// From the end if negative.
    Index(i64),
}

/// `$.a."b c"[0][#-1]`, `/a/0`, or a plain key.
fn steps(path: &str) -> Result<Vec<Step<'_>>, QueryError> {
    if let Some(pointer) = path.strip_prefix('/') {
        return Ok(pointer
            .split('/')
            .map(|part| match part.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => Step::Key(part.replace("~1", "/").replace("~0", "~").into()),
            })
            .collect());
    }
    let Some(mut rest) = path.strip_prefix('$') else {
        return Ok(vec![Step::Key(path.into())]);
    };
    let bad = || QueryError::binder(format_args!("JSON path error: \"{path}\""));
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix(".\"") {
            let (key, after) = quoted.split_once('"').ok_or_else(bad)?;
            steps.push(Step::Key(key.into()));
            rest = after;
        } else if let Some(key) = rest.strip_prefix('.') {
            let end = key.find(['.', '[']).unwrap_or(key.len());
            let (key, after) = key.split_at(end);
            if key.is_empty() || key == "*" {
                return Err(bad());
            }
            steps.push(Step::Key(key.into()));
            rest = after;
        } else {
            let (index, after) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(bad)?;
            let index = index.strip_prefix('#').filter(|index| index.starts_with('-')).unwrap_or(index);
            steps.push(Step::Index(index.parse().map_err(|_| bad())?));
            rest = after;
        }
    }
    Ok(steps)
}

fn step<'a>(value: &'a RawValue, step: &Step<'_>) -> Result<Option<&'a RawValue>, QueryError> {
    match (kind(value), step) {
        ("OBJECT", Step::Key(key)) => {
            Ok(members(value)?.into_iter().find(|(found, _)| found == key).map(|(_, member)| member))
        }
        ("OBJECT", Step::Index(index)) => {
            let key = index.to_string();
            Ok(members(value)?.into_iter().find(|(found, _)| *found == key).map(|(_, member)| member))
        }
        ("ARRAY", Step::Index(index)) => {
            let items = items(value)?;
            let from_end = || items.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
            let position = if *index < 0 { from_end() } else { usize::try_from(*index).ok() };
            Ok(position.and_then(|position| items.get(position).copied()))
        }
        _ => Ok(None),
    }
}

fn items(value: &RawValue) -> Result<Vec<&RawValue>, QueryError> {
    serde_json::from_str(value.get()).map_err(malformed)
}

/// A key that borrows where it has no escapes.
#[derive(Deserialize, PartialEq, Eq, Hash)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// An object's members in order, keys that come twice included.
fn members(value: &RawValue) -> Result<Vec<(Cow<'_, str>, &RawValue)>, QueryError> {
    struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);
    impl<'de> Deserialize<'de> for Members<'de> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = Members<'de>;

                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("an object")
                }

                fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                    let mut members = Vec::new();
                    while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                        members.push((key.0, value));
                    }
                    Ok(Members(members))
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    let members: Members<'_> = serde_json::from_str(value.get()).map_err(malformed)?;
    Ok(members.0)
}

/// DuckDB's name of a value's kind.
fn kind(value: &RawValue) -> &'static str {
    let text = value.get();
    match text.bytes().next() {
        Some(b'{') => "OBJECT",
        Some(b'[') => "ARRAY",
        Some(b'"') => "VARCHAR",
        Some(b't' | b'f') => "BOOLEAN",
        Some(b'n') => "NULL",
        _ if text.contains(['.', 'e', 'E']) => "DOUBLE",
        Some(b'-') => "BIGINT",
        _ => "UBIGINT",
    }
}

/// A value as plain text: that of a string without quotes; JSON's null is NULL.
fn as_text(value: &RawValue) -> Outcome {
    Ok(match kind(value) {
        "NULL" => None,
        "VARCHAR" => Some(Value::Text(serde_json::from_str(value.get()).map_err(malformed)?)),
        _ => Some(Value::Text(value.get().to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_duckdb_takes_them() {
        // Keys, quoted keys, indexes from both ends, pointers and plain keys; what leads nowhere is NULL.
        let json = r#"{"a": {"b c": [10, 20, {"d": null}]}, "$": 1, "x/y": 2}"#;
        let find =
            |path: &str| at(&[Given::Text(json), Given::Text(path)]).map(|found| found.map(|v| v.get().to_owned()));
        for (path, found) in [
            ("$.a.\"b c\"[0]", Some("10")),
            ("$.a.\"b c\"[-1].d", Some("null")),
            ("$.a.\"b c\"[#-2]", Some("20")),
            ("$.a.\"b c\"[3]", None),
            ("/a/b c/1", Some("20")),
            ("/x~1y", Some("2")),
            ("a", Some(r#"{"b c": [10, 20, {"d": null}]}"#)),
            ("$.nothing.at[2].all", None),
            ("$", Some(json)),
        ] {
            assert_eq!(find(path).expect("a good path").as_deref(), found, "{path}");
        }
        for path in ["$.", "$[", "$[x]", "$.\"a", "$a", "$.*"] {
            assert!(find(path).is_err(), "{path}");
        }
    }
}
