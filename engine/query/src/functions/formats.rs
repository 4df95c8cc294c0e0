//! `format('{:.2f}', x)` and `printf('%.2f', x)`: values written into a template.
//!
//! **Invariants**
//! 1. A template that is the same for all rows is read once for each of them, but refused before anything is written if it is wrong.
//! 2. What one batch of rows becomes is bounded; a NULL among the arguments gives NULL.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::types::{Decimal128Type, Float64Type};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use siltstone_storage::LogicalType;

use super::format_spec::{Align, Given, Spec, length};
use super::measure::BYTES_MAX;
use super::row_wise::outside;
use crate::QueryError;

/// A part of a template.
#[derive(Debug, PartialEq)]
enum Piece<'a> {
    Text(&'a str),
    /// The argument at this place.
    Value(usize, Spec),
}

type Parse = for<'a> fn(&'a str) -> Result<Vec<Piece<'a>>, QueryError>;

#[derive(Debug)]
struct Format {
    name: &'static str,
    parse: Parse,
    signature: Signature,
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

impl std::hash::Hash for Format {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Both functions.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |name, parse: Parse| {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(Format { name, parse, signature }))
    };
    vec![function("format", braces), function("printf", percents)]
}

impl ScalarUDFImpl for Format {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone: Tz = args.config_options.execution.time_zone.as_deref().unwrap_or("UTC").parse()?;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let written = self.write(&arrays, rows, zone).map_err(outside)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&written, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(written))
        })
    }
}

impl Format {
    fn write(&self, arrays: &[ArrayRef], rows: usize, zone: Tz) -> Result<StringViewArray, QueryError> {
        let columns = arrays.iter().map(|array| Column::new(array, zone)).collect::<Result<Vec<_>, _>>()?;
        let mut builder = StringViewBuilder::with_capacity(rows);
        let (mut text, mut bytes) = (String::new(), 0_usize);
        let mut given = Vec::with_capacity(columns.len());
        for row in 0..rows {
            given.clear();
            given.extend(columns.iter().map_while(|column| column.get(row)));
            let Some((template, values)) = given.split_first().filter(|_| given.len() == columns.len()) else {
                builder.append_null();
                continue;
            };
            let Given::Text(template) = *template else {
                return Err(QueryError::binder(format_args!("{} takes a text first", self.name)));
            };
            text.clear();
            for piece in (self.parse)(template)? {
                match piece {
                    Piece::Text(part) => text.push_str(part),
                    Piece::Value(place, spec) => {
                        let out_of_range = || format!("Argument index \"{place}\" out of range");
                        let value = values.get(place).ok_or_else(|| QueryError::invalid_input(out_of_range()))?;
                        spec.write(*value, &mut text)?;
                    }
                }
                if (bytes + text.len()) as i128 > BYTES_MAX {
                    return Err(QueryError::exhausted(format_args!("{} makes too much at once", self.name)));
                }
            }
            bytes += text.len();
            builder.append_value(&text);
        }
        Ok(builder.finish())
    }
}

/// An argument's values for all rows.
enum Column {
    Bool(BooleanArray),
    Int(Decimal128Array),
    Float(Float64Array),
    Text(StringViewArray),
}

impl Column {
    fn new(array: &ArrayRef, zone: Tz) -> Result<Self, QueryError> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::Decimal128(_, scale) if *scale > 0 => Self::Float(floats(array)?),
            ty if ty.is_integer() || matches!(ty, DataType::Decimal128(..)) => {
                Self::Int(cast(array, &DataType::Decimal128(38, 0))?.as_primitive::<Decimal128Type>().clone())
            }
            ty if ty.is_numeric() => Self::Float(floats(array)?),
            _ => {
                let shown = crate::cast::to_column(array, &LogicalType::Varchar, zone)?;
                Self::Text(cast(&shown, &DataType::Utf8View)?.as_string_view().clone())
            }
        })
    }

    fn get(&self, row: usize) -> Option<Given<'_>> {
        match self {
            Self::Bool(array) => array.is_valid(row).then(|| Given::Bool(array.value(row))),
            Self::Int(array) => array.is_valid(row).then(|| Given::Int(array.value(row))),
            Self::Float(array) => array.is_valid(row).then(|| Given::Float(array.value(row))),
            Self::Text(array) => array.is_valid(row).then(|| Given::Text(array.value(row))),
        }
    }
}

fn floats(array: &ArrayRef) -> Result<Float64Array, QueryError> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// The pieces of a template of `format`.
fn braces(template: &str) -> Result<Vec<Piece<'_>>, QueryError> {
    let (mut pieces, mut rest, mut next) = (Vec::new(), template, 0);
    while let Some(at) = rest.find(['{', '}']) {
        let (text, brace) = rest.split_at(at);
        pieces.push(Piece::Text(text));
        let (brace, after) = brace.split_at(1);
        if after.starts_with(brace) {
            pieces.push(Piece::Text(brace));
            rest = &after[1..];
            continue;
        }
        if brace == "}" {
            return Err(QueryError::invalid_input("unmatched '}' in format string"));
        }
        let Some((inside, after)) = after.split_once('}') else {
            return Err(QueryError::invalid_input("invalid format string"));
        };
        let (place, spec) = inside.split_once(':').unwrap_or((inside, ""));
        let place = match place {
            "" => {
                next += 1;
                next - 1
            }
            place => place.parse().map_err(|_| QueryError::invalid_input("invalid format string"))?,
        };
        pieces.push(Piece::Value(place, brace_spec(spec)?));
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// `[[fill]align][sign][#][0][width][grouping][.precision][kind]`.
fn brace_spec(text: &str) -> Result<Spec, QueryError> {
    let mut spec = Spec::default();
    let mut rest = text;
    let mut chars = rest.chars();
    if let (Some(first), second) = (chars.next(), chars.next()) {
        match (align(first), second.and_then(align)) {
            (_, Some(found)) => {
                spec = Spec { fill: first, align: Some(found), ..spec };
                rest = &rest[first.len_utf8() + 1..];
            }
            (Some(found), None) => {
                spec.align = Some(found);
                rest = &rest[1..];
            }
            (None, None) => {}
        }
    }
    if let Some(sign) = rest.chars().next().filter(|c| matches!(c, '+' | '-' | ' ')) {
        spec.sign = Some(sign).filter(|sign| *sign != '-');
        rest = &rest[1..];
    }
    rest = taken(rest, '#', &mut spec.alternate);
    rest = taken(rest, '0', &mut spec.zeros);
    let (width, after) = digits(rest);
    if !width.is_empty() {
        spec.width = length(width)?;
    }
    rest = after;
    if let Some(group) = rest.chars().next().filter(|c| matches!(c, ',' | '_' | '\'')) {
        spec.group = Some(group);
        rest = &rest[1..];
    }
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after);
        spec.precision = Some(length(precision)?);
        rest = after;
    }
    let mut kind = rest.chars();
    spec.kind = kind.next();
    match (spec.kind, kind.next()) {
        (_, Some(_)) | (Some('c'), None) => Err(QueryError::invalid_input("invalid format string")),
        _ => Ok(spec),
    }
}

fn align(c: char) -> Option<Align> {
    match c {
        '<' => Some(Align::Left),
        '>' => Some(Align::Right),
        '^' => Some(Align::Middle),
        _ => None,
    }
}

/// The rest behind a mark, and whether it was there.
fn taken<'a>(text: &'a str, mark: char, found: &mut bool) -> &'a str {
    let rest = text.strip_prefix(mark);
    *found = rest.is_some();
    rest.unwrap_or(text)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The pieces of a template of `printf`.
fn percents(template: &str) -> Result<Vec<Piece<'_>>, QueryError> {
    let (mut pieces, mut rest, mut next) = (Vec::new(), template, 0);
    while let Some((text, after)) = rest.split_once('%') {
        pieces.push(Piece::Text(text));
        if let Some(after) = after.strip_prefix('%') {
            pieces.push(Piece::Text("%"));
            rest = after;
            continue;
        }
        let (place, spec, after) = percent_spec(after)?;
        let place = place.unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        pieces.push(Piece::Value(place, spec));
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    Ok(pieces)
}

/// `[place$][flags][width][.precision][length]kind`, and what follows.
fn percent_spec(text: &str) -> Result<(Option<usize>, Spec, &str), QueryError> {
    let bad = || QueryError::invalid_input("invalid format string");
    let mut spec = Spec { align: Some(Align::Right), ..Spec::default() };
    let mut rest = text;
    let mut place = None;
    let (number, after) = digits(rest);
    if let Some(after) = after.strip_prefix('$') {
        let number: usize = number.parse().map_err(|_| bad())?;
        place = Some(number.checked_sub(1).ok_or_else(bad)?);
        rest = after;
    }
    while let Some(flag) = rest.chars().next().filter(|c| matches!(c, '-' | '+' | ' ' | '#' | '0' | ',' | '\'' | '_')) {
        match flag {
            '-' => spec.align = Some(Align::Left),
            '+' | ' ' => spec.sign = Some(flag),
            '#' => spec.alternate = true,
            '0' => spec.zeros = true,
            group => spec.group = Some(group),
        }
        rest = &rest[1..];
    }
    let (width, after) = digits(rest);
    if !width.is_empty() {
        spec.width = length(width)?;
    }
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = digits(after);
        spec.precision = Some(if precision.is_empty() { 0 } else { length(precision)? });
        rest = after;
    }
    rest = rest.trim_start_matches(['l', 'h', 'j', 'z', 't']);
    let kind = rest.chars().next().ok_or_else(bad)?;
    spec.kind = match kind {
        'd' | 'i' | 'u' => Some('d'),
        kind => Some(kind),
    };
    Ok((place, spec, &rest[kind.len_utf8()..]))
}
