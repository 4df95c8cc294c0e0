//! DuckDB's functions of text that DataFusion lacks.
//!
//! **Invariants**: a pattern is compiled once for a run of rows that share it; patterns are bounded by the regex crate's own limits.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;
use regex::{Regex, RegexBuilder};
use siltstone_storage::LogicalType;

use super::row_wise::Kind::{Int, Text};
use super::row_wise::{Given, Outcome, RowWise, Value};
use crate::QueryError;

/// All functions of this family.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let text = || LogicalType::Varchar.field("", true);
    let bool = || Field::new("", DataType::Boolean, true);
    let texts = || LogicalType::List(Box::new(LogicalType::Varchar)).field("", true);
    vec![
        RowWise::udf(&["strlen"], &[&[Text]], Field::new("", DataType::Int64, true), |args, _| {
            Ok(Some(Value::Int(args[0].text().len() as i64)))
        }),
        RowWise::udf(&["prefix"], &[&[Text, Text]], bool(), |args, _| {
            Ok(Some(Value::Bool(args[0].text().starts_with(args[1].text()))))
        }),
        RowWise::udf(&["suffix"], &[&[Text, Text]], bool(), |args, _| {
            Ok(Some(Value::Bool(args[0].text().ends_with(args[1].text()))))
        }),
        RowWise::udf(&["string_split", "str_split", "split"], &[&[Text, Text]], texts(), string_split),
        RowWise::udf(
            &["string_split_regex", "str_split_regex", "regexp_split_to_array"],
            &[&[Text, Text], &[Text, Text, Text]],
            texts(),
            |args, _| {
                let parts = with_regex(args[1].text(), options(args, 2), |regex| {
                    regex.split(args[0].text()).map(|part| Some(part.to_owned())).collect()
                })?;
                Ok(Some(Value::Texts(parts)))
            },
        ),
        RowWise::udf(&["regexp_matches"], &[&[Text, Text], &[Text, Text, Text]], bool(), |args, _| {
            Ok(Some(Value::Bool(with_regex(args[1].text(), options(args, 2), |regex| regex.is_match(args[0].text()))?)))
        }),
        RowWise::udf(&["regexp_full_match"], &[&[Text, Text], &[Text, Text, Text]], bool(), |args, _| {
            let whole = format!(r"\A(?:{})\z", args[1].text());
            Ok(Some(Value::Bool(with_regex(&whole, options(args, 2), |regex| regex.is_match(args[0].text()))?)))
        }),
        RowWise::udf(
            &["regexp_extract"],
            &[&[Text, Text], &[Text, Text, Int], &[Text, Text, Int, Text]],
            text(),
            regexp_extract,
        ),
        RowWise::udf(
            &["regexp_extract_all"],
            &[&[Text, Text], &[Text, Text, Int], &[Text, Text, Int, Text]],
            texts(),
            regexp_extract_all,
        ),
    ]
}

fn options<'a>(args: &[Given<'a>], i: usize) -> &'a str {
    args.get(i).map_or("", |options| options.text())
}

/// Runs `f` with a compiled pattern: the one before, if it is the same.
fn with_regex<T>(pattern: &str, options: &str, f: impl FnOnce(&Regex) -> T) -> Result<T, QueryError> {
    thread_local! {
        static LAST: RefCell<Option<(String, String, Regex)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((known, with, regex)) = last.as_ref()
            && known == pattern
            && with == options
        {
            return Ok(f(regex));
        }
        let regex = compile(pattern, options)?;
        let result = f(&regex);
        *last = Some((pattern.to_owned(), options.to_owned(), regex));
        Ok(result)
    })
}

fn compile(pattern: &str, options: &str) -> Result<Regex, QueryError> {
    let literal = options.contains('l').then(|| regex::escape(pattern));
    let mut builder = RegexBuilder::new(literal.as_deref().unwrap_or(pattern));
    for option in options.chars() {
        match option {
            'c' | 'l' | 'g' => {}
            'i' => _ = builder.case_insensitive(true),
            'm' | 'n' | 'p' => _ = builder.multi_line(true),
            's' => _ = builder.dot_matches_new_line(true),
            other => {
                return Err(QueryError::invalid_input(format_args!("Unrecognized Regex option {other}")));
            }
        }
    }
    builder.build().map_err(|error| QueryError::invalid_input(error.to_string()))
}

fn group(args: &[Given<'_>]) -> Result<usize, QueryError> {
    let Some(group) = args.get(2) else {
        return Ok(0);
    };
    match usize::try_from(group.int()) {
        Ok(group) if group <= 9 => Ok(group),
        _ => Err(QueryError::invalid_input("Group index must be between 0 and 9!")),
    }
}

/// The first match, or the group of it; an empty text if there is none.
fn regexp_extract(args: &[Given<'_>], _: Tz) -> Outcome {
    let group = group(args)?;
    let found = with_regex(args[1].text(), options(args, 3), |regex| {
        let found = regex.captures(args[0].text())?;
        Some(found.get(group)?.as_str().to_owned())
    })?;
    Ok(Some(Value::Text(found.unwrap_or_default())))
}

fn regexp_extract_all(args: &[Given<'_>], _: Tz) -> Outcome {
    let group = group(args)?;
    let found = with_regex(args[1].text(), options(args, 3), |regex| {
        let matches = regex.captures_iter(args[0].text());
        matches.map(|found| found.get(group).map(|found| found.as_str().to_owned())).collect()
    })?;
    Ok(Some(Value::Texts(found)))
}

/// Parts between separators; an empty separator splits into characters.
fn string_split(args: &[Given<'_>], _: Tz) -> Outcome {
    let (text, separator) = (args[0].text(), args[1].text());
    let parts = if separator.is_empty() {
        text.chars().map(|c| Some(c.to_string())).collect()
    } else {
        text.split(separator).map(|part| Some(part.to_owned())).collect()
    };
    Ok(Some(Value::Texts(parts)))
}
