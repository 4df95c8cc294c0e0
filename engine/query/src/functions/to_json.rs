//! `to_json(value)`, `json_object(key, value, …)` and `json_array(value, …)`: values of any type as JSON text.
//!
//! **Invariants**
//! 1. What comes out is JSON: numbers that it has not (NaN, infinities) are null, as in results.
//! 2. Numbers keep their digits; JSON within stays as it is.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, StringViewArray, StringViewBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use siltstone_storage::LogicalType;

use super::row_wise::outside;
use crate::QueryError;

/// What is made of the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Shape {
    Value,
    Object,
    Array,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToJson {
    name: &'static str,
    aliases: Vec<String>,
    shape: Shape,
    signature: Signature,
}

/// All functions of this family.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |name, aliases: &[&str], shape| {
        let signature = match shape {
            Shape::Value => Signature::any(1, Volatility::Immutable),
            _ => Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Immutable),
        };
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        Arc::new(ScalarUDF::new_from_impl(ToJson { name, aliases, shape, signature }))
    };
    vec![
        function("to_json", &["row_to_json", "array_to_json"], Shape::Value),
        function("json_object", &[], Shape::Object),
        function("json_array", &[], Shape::Array),
    ]
}

impl ScalarUDFImpl for ToJson {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(LogicalType::Json.arrow())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        if self.shape == Shape::Object {
            if !args.arg_fields.len().is_multiple_of(2) {
                return plan_err!("json_object() requires an even number of arguments");
            }
            if let Some(key) = args.arg_fields.iter().step_by(2).find(|key| !key.data_type().is_string()) {
                return plan_err!("json_object() keys must be VARCHAR, not {}", key.data_type());
            }
        }
        Ok(Arc::new(LogicalType::Json.field(self.name, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone: Tz = args.config_options.execution.time_zone.as_deref().unwrap_or("UTC").parse()?;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let mut writers = Vec::with_capacity(args.args.len());
        for (value, field) in args.args.iter().zip(&args.arg_fields) {
            writers.push(Writer::new(&value.to_array(rows)?, field, zone).map_err(outside)?);
        }
        let mut builder = StringViewBuilder::with_capacity(rows);
        let mut text = String::new();
        for row in 0..rows {
            text.clear();
            match self.shape {
                Shape::Value => match writers.as_slice() {
                    [value] if value.is_null(row) => {
                        builder.append_null();
                        continue;
                    }
                    [value] => value.write(row, &mut text),
                    _ => return exec_err!("to_json takes one argument"),
                },
                Shape::Array => list(&mut text, writers.iter(), |writer, text| writer.write(row, text)),
                Shape::Object => object(&mut text, &writers, row)?,
            }
            builder.append_value(&text);
        }
        let written = builder.finish();
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&written, 0)?)
        } else {
            ColumnarValue::Array(Arc::new(written))
        })
    }
}

fn list<T>(text: &mut String, items: impl Iterator<Item = T>, mut write: impl FnMut(T, &mut String)) {
    text.push('[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            text.push(',');
        }
        write(item, text);
    }
    text.push(']');
}

fn object(text: &mut String, members: &[Writer], row: usize) -> Result<()> {
    text.push('{');
    for (i, member) in members.chunks_exact(2).enumerate() {
        if i > 0 {
            text.push(',');
        }
        if member[0].is_null(row) {
            return exec_err!("json_object() keys must not be NULL");
        }
        member[0].write(row, text);
        text.push(':');
        member[1].write(row, text);
    }
    text.push('}');
    Ok(())
}

/// Writes the values of a column.
enum Writer {
    Null,
    Bool(BooleanArray),
    /// As they are.
    Plain(StringViewArray),
    /// In quotes.
    Text(StringViewArray),
    /// Numbers as they are, null where they are none.
    Float(StringViewArray),
    List(ListArray, Box<Writer>),
    /// Names in quotes.
    Struct(ArrayRef, Vec<(String, Writer)>),
    /// Keys as texts.
    Map(MapArray, StringViewArray, Box<Writer>),
}

impl Writer {
    fn new(array: &ArrayRef, field: &Field, zone: Tz) -> Result<Self, QueryError> {
        let text = |array: &ArrayRef| -> Result<StringViewArray, QueryError> {
            Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone())
        };
        Ok(match (array.data_type(), LogicalType::from_field(field)) {
            (DataType::Null, _) => Self::Null,
            (DataType::Boolean, _) => Self::Bool(array.as_boolean().clone()),
            (_, Ok(LogicalType::Json)) => Self::Plain(text(array)?),
            (DataType::Float16 | DataType::Float32 | DataType::Float64, _) => Self::Float(text(array)?),
            (ty, _) if ty.is_numeric() => Self::Plain(text(array)?),
            (
                DataType::List(item)
                | DataType::LargeList(item)
                | DataType::FixedSizeList(item, _)
                | DataType::ListView(item)
                | DataType::LargeListView(item),
                _,
            ) => {
                let item = Arc::clone(item);
                let lists = cast(array, &DataType::List(Arc::clone(&item)))?.as_list::<i32>().clone();
                let values = Self::new(lists.values(), &item, zone)?;
                Self::List(lists, Box::new(values))
            }
            (DataType::Map(..), _) => {
                let maps = array.as_map().clone();
                let (key, value) = maps.entries_fields();
                let keys = match Self::new(maps.keys(), key, zone)? {
                    Self::Text(keys) => keys,
                    _ => text(&crate::cast::to_column(maps.keys(), &LogicalType::Varchar, zone)?)?,
                };
                let values = Self::new(maps.values(), value, zone)?;
                Self::Map(maps, keys, Box::new(values))
            }
            (DataType::Struct(fields), _) => {
                let columns = array.as_struct().columns().iter().zip(fields);
                let members =
                    columns.map(|(column, field)| Ok((quoted(field.name()), Self::new(column, field, zone)?)));
                Self::Struct(Arc::clone(array), members.collect::<Result<_, QueryError>>()?)
            }
            _ => Self::Text(text(&crate::cast::to_column(array, &LogicalType::Varchar, zone)?)?),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(array) => array.is_null(row),
            Self::Plain(array) | Self::Text(array) | Self::Float(array) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
            Self::Struct(array, _) => array.is_null(row),
            Self::Map(array, ..) => array.is_null(row),
        }
    }

    fn write(&self, row: usize, text: &mut String) {
        if self.is_null(row) {
            text.push_str("null");
            return;
        }
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(array) => text.push_str(if array.value(row) { "true" } else { "false" }),
            Self::Plain(array) => text.push_str(array.value(row)),
            Self::Text(array) => text.push_str(&quoted(array.value(row))),
            Self::Float(array) => match array.value(row) {
                number if number.ends_with(|c: char| c.is_ascii_digit()) => text.push_str(number),
                _ => text.push_str("null"),
            },
            Self::List(lists, values) => {
                let offsets = lists.value_offsets();
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                list(text, start..end, |at, text| values.write(at, text));
            }
            Self::Map(maps, keys, values) => {
                let (start, end) = (maps.value_offsets()[row] as usize, maps.value_offsets()[row + 1] as usize);
                text.push('{');
                for at in start..end {
                    if at > start {
                        text.push(',');
                    }
                    text.push_str(&quoted(keys.value(at)));
                    text.push(':');
                    values.write(at, text);
                }
                text.push('}');
            }
            Self::Struct(_, members) => {
                text.push('{');
                for (i, (name, values)) in members.iter().enumerate() {
                    if i > 0 {
                        text.push(',');
                    }
                    text.push_str(name);
                    text.push(':');
                    values.write(row, text);
                }
                text.push('}');
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
