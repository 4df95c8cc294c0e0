//! Looking things up in a MAP by key: `m[key]`, `map_extract`, `map_contains`.
//!
//! **Invariants**
//! 1. A key is cast to the type of the map's keys; one that cannot be, or is NULL, is in no map.
//! 2. Looked-up values keep their type: what was an ENUM stays one.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListArray, MapArray, UInt32Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::kernels::cmp::eq;
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// What is said of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    /// Its value, else NULL.
    Value,
    /// A list of its value, else an empty one.
    List,
    /// Whether it is there.
    Contained,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct LookUp {
    name: &'static str,
    aliases: Vec<String>,
    answer: Answer,
    signature: Signature,
}

/// All functions of this family.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let function = |name, aliases: &[&str], answer| {
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        let signature = Signature::any(2, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(LookUp { name, aliases, answer, signature }))
    };
    vec![
        value_of(),
        function("map_extract", &["element_at"], Answer::List),
        function("map_contains", &[], Answer::Contained),
    ]
}

/// `map_extract_value(map, key)`, which `map[key]` is.
pub(super) fn value_of() -> Arc<ScalarUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    let aliases = Vec::new();
    Arc::new(ScalarUDF::new_from_impl(LookUp { name: "map_extract_value", aliases, answer: Answer::Value, signature }))
}

impl ScalarUDFImpl for LookUp {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let fields: Vec<FieldRef> = types.iter().map(|ty| Arc::new(Field::new("", ty.clone(), true))).collect();
        Ok(self.result(&fields)?.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.result(args.arg_fields)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.return_field.data_type().is_null() {
            return Ok(ColumnarValue::Scalar(ScalarValue::Null));
        }
        let [map, key] = args.args.as_slice() else {
            return plan_err!("{} takes a map and a key", self.name);
        };
        let (map, key) = (map.to_array(args.number_rows)?, key.to_array(args.number_rows)?);
        let maps = map.as_map();
        let places = places(maps, &key)?;
        Ok(ColumnarValue::Array(match self.answer {
            Answer::Value => take(maps.values(), &places, None)?,
            Answer::Contained => {
                let found = places.iter().map(|place| place.is_some()).collect();
                Arc::new(BooleanArray::new(found, maps.nulls().cloned()))
            }
            Answer::List => {
                let DataType::List(item) = args.return_field.data_type() else {
                    return plan_err!("{} makes lists", self.name);
                };
                let offsets = OffsetBuffer::from_lengths(places.iter().map(|place| usize::from(place.is_some())));
                let found: UInt32Array = places.iter().flatten().map(Some).collect();
                let values = take(maps.values(), &found, None)?;
                Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, None)?)
            }
        }))
    }
}

impl LookUp {
    /// The result's field, from those of the arguments.
    fn result(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let value = match fields.first().map(|field| field.data_type()) {
            Some(DataType::Null) => return Ok(Arc::new(Field::new(self.name, DataType::Null, true))),
            Some(DataType::Map(entries, _)) => match entries.data_type() {
                DataType::Struct(parts) if parts.len() == 2 => Arc::clone(&parts[1]),
                _ => return plan_err!("{} takes a map", self.name),
            },
            Some(other) => return plan_err!("{} takes a map, not {other}", self.name),
            None => return plan_err!("{} takes a map and a key", self.name),
        };
        let value = value.as_ref().clone().with_nullable(true);
        Ok(Arc::new(match self.answer {
            Answer::Value => value.with_name(self.name),
            Answer::List => Field::new_list(self.name, value.with_name("item"), true),
            Answer::Contained => Field::new(self.name, DataType::Boolean, true),
        }))
    }
}

/// Where the value of each row's key is among the values of all maps; NULL where the map has no such key or is none.
fn places(maps: &MapArray, keys: &ArrayRef) -> Result<UInt32Array> {
    let keys = cast(keys, maps.keys().data_type())?;
    let ends = maps.value_offsets();
    let first = ends[0] as usize;
    // The row of each entry, so that its key is compared with the one that is looked for.
    let rows: UInt32Array =
        ends.windows(2).zip(0_u32..).flat_map(|(ends, row)| (ends[0]..ends[1]).map(move |_| row)).collect();
    let same = eq(&maps.keys().slice(first, rows.len()), &take(&keys, &rows, None)?)?;
    Ok((0..maps.len())
        .map(|row| {
            let entries = ends[row] as usize..ends[row + 1] as usize;
            let is_it = |at: &usize| same.is_valid(at - first) && same.value(at - first);
            entries.into_iter().find(|at| maps.is_valid(row) && is_it(at)).map(|at| at as u32)
        })
        .collect())
}
