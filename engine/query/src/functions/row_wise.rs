//! Functions that compute each row's value from those of its arguments, with fixed types: what most of DuckDB's need.
//!
//! **Invariants**
//! 1. Arguments arrive in the types that the function asks for; what cannot be cast to them is refused while planning.
//! 2. A NULL argument gives NULL without asking the function.
//! 3. A function of constants is computed once.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::types::{Float64Type, Int64Type, IntervalMonthDayNano, TimestampMicrosecondType};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Date32Builder, Float64Array, Float64Builder, Int64Array, Int64Builder,
    IntervalMonthDayNanoBuilder, ListBuilder, StringViewArray, StringViewBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::QueryError;

/// What an argument is cast to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Int,
    Double,
    /// A DATE, a TIMESTAMP, or a TIMESTAMPTZ as the session's clocks show it: microseconds since 1970, without a zone.
    Clock,
}

impl Kind {
    fn target(self, given: &DataType) -> DataType {
        match (self, given) {
            (Self::Text, _) => DataType::Utf8View,
            (Self::Int, _) => DataType::Int64,
            (Self::Double, _) => DataType::Float64,
            (Self::Clock, DataType::Timestamp(_, Some(_))) => {
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
            }
            (Self::Clock, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
        }
    }
}

/// An argument of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Given<'a> {
    Text(&'a str),
    Int(i64),
    Double(f64),
    Clock(i64),
}

impl<'a> Given<'a> {
    pub(super) fn text(self) -> &'a str {
        if let Self::Text(text) = self { text } else { "" }
    }

    pub(super) fn int(self) -> i64 {
        match self {
            Self::Int(number) | Self::Clock(number) => number,
            _ => 0,
        }
    }

    pub(super) fn double(self) -> f64 {
        if let Self::Double(number) = self { number } else { 0.0 }
    }
}

/// A result of one row; `None` in its place is NULL.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Int(i64),
    Double(f64),
    Bool(bool),
    Date(i32),
    /// Microseconds since 1970, of TIMESTAMP and TIMESTAMPTZ alike.
    Time(i64),
    Interval(IntervalMonthDayNano),
    Texts(Vec<Option<String>>),
}

/// A row's value, or why there is none.
pub(super) type Outcome = Result<Option<Value>, QueryError>;

/// One function.
#[derive(Clone, Debug)]
pub(super) struct RowWise {
    pub(super) name: &'static str,
    pub(super) aliases: Vec<String>,
    /// Kinds of the arguments, each way of calling it.
    pub(super) forms: &'static [&'static [Kind]],
    /// Type of the result.
    pub(super) returns: FieldRef,
    pub(super) compute: fn(&[Given<'_>], Tz) -> Outcome,
    signature: Signature,
}

impl PartialEq for RowWise {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for RowWise {}

impl Hash for RowWise {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl RowWise {
    pub(super) fn udf(
        names: &[&'static str],
        forms: &'static [&'static [Kind]],
        returns: Field,
        compute: fn(&[Given<'_>], Tz) -> Outcome,
    ) -> Arc<ScalarUDF> {
        let name = names.first().copied().unwrap_or_default();
        let aliases = names.iter().skip(1).map(|name| (*name).to_owned()).collect();
        // Immutable within a statement, whose zone is fixed.
        let signature = Signature::user_defined(Volatility::Immutable);
        let returns = Arc::new(returns.with_name(name));
        Arc::new(ScalarUDF::new_from_impl(Self { name, aliases, forms, returns, compute, signature }))
    }
}

impl ScalarUDFImpl for RowWise {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let Some(form) = self.forms.iter().find(|form| fits(form, given)) else {
            let types: Vec<String> = given.iter().map(ToString::to_string).collect();
            return plan_err!(
                "No function matches the given name and argument types '{}({})'",
                self.name,
                types.join(", ")
            );
        };
        Ok(form.iter().zip(given).map(|(kind, given)| kind.target(given)).collect())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::clone(&self.returns))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let zone: Tz = args.config_options.execution.time_zone.as_deref().unwrap_or("UTC").parse()?;
        let constant = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| Column::new(arg, rows, zone)).collect::<Result<Vec<_>>>()?;
        let mut values = Vec::with_capacity(rows);
        let mut given = Vec::with_capacity(columns.len());
        for row in 0..rows {
            given.clear();
            given.extend(columns.iter().map_while(|column| column.get(row)));
            let value =
                if given.len() < columns.len() { None } else { (self.compute)(&given, zone).map_err(outside)? };
            values.push(value);
        }
        let array = build(self.returns.data_type(), values)?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)
        } else {
            ColumnarValue::Array(array)
        })
    }
}

/// An error of ours inside DataFusion.
pub(super) fn outside(error: QueryError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

fn fits(form: &[Kind], given: &[DataType]) -> bool {
    form.len() == given.len()
        && form.iter().zip(given).all(|(kind, given)| match kind {
            _ if given.is_null() => true,
            Kind::Text => given.is_string(),
            Kind::Int => given.is_integer(),
            Kind::Double => given.is_numeric(),
            Kind::Clock => {
                given.is_string()
                    || given.is_temporal() && !matches!(given, DataType::Interval(_) | DataType::Duration(_))
            }
        })
}

/// An argument's values for all rows.
enum Column {
    /// The same for every row.
    Constant(Box<Column>),
    Text(StringViewArray),
    Int(Int64Array),
    Double(Float64Array),
    Clock(TimestampMicrosecondArray),
}

impl Column {
    fn new(value: &ColumnarValue, rows: usize, zone: Tz) -> Result<Self> {
        if let ColumnarValue::Scalar(scalar) = value {
            return Ok(Self::Constant(Box::new(Self::of(&scalar.to_array()?, zone)?)));
        }
        Self::of(&value.to_array(rows)?, zone)
    }

    fn of(array: &ArrayRef, zone: Tz) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Int64 => Self::Int(array.as_primitive::<Int64Type>().clone()),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>().clone()),
            DataType::Timestamp(_, Some(_)) => Self::Clock(super::clock::local(array, zone)?),
            DataType::Timestamp(_, None) => Self::Clock(array.as_primitive::<TimestampMicrosecondType>().clone()),
            DataType::Date32 => {
                let times = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
                Self::Clock(times.as_primitive::<TimestampMicrosecondType>().clone())
            }
            _ => Self::Text(cast(array, &DataType::Utf8View)?.as_string_view().clone()),
        })
    }

    fn get(&self, row: usize) -> Option<Given<'_>> {
        match self {
            Self::Constant(value) => value.get(0),
            Self::Text(array) => array.is_valid(row).then(|| Given::Text(array.value(row))),
            Self::Int(array) => array.is_valid(row).then(|| Given::Int(array.value(row))),
            Self::Double(array) => array.is_valid(row).then(|| Given::Double(array.value(row))),
            Self::Clock(array) => array.is_valid(row).then(|| Given::Clock(array.value(row))),
        }
    }
}

/// Values as a column; one of another kind than the type is NULL, which no function gives.
fn build(ty: &DataType, values: Vec<Option<Value>>) -> Result<ArrayRef> {
    macro_rules! column {
        ($builder:expr, $kind:path) => {{
            let mut builder = $builder;
            for value in values {
                match value {
                    Some($kind(value)) => builder.append_value(value),
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish()) as ArrayRef
        }};
    }
    Ok(match ty {
        DataType::Boolean => column!(BooleanBuilder::new(), Value::Bool),
        DataType::Int64 => column!(Int64Builder::new(), Value::Int),
        DataType::Float64 => column!(Float64Builder::new(), Value::Double),
        DataType::Date32 => column!(Date32Builder::new(), Value::Date),
        DataType::Interval(_) => column!(IntervalMonthDayNanoBuilder::new(), Value::Interval),
        DataType::Timestamp(..) => {
            column!(TimestampMicrosecondBuilder::new().with_data_type(ty.clone()), Value::Time)
        }
        DataType::List(item) => {
            let mut builder = ListBuilder::new(StringViewBuilder::new()).with_field(Arc::clone(item));
            for value in values {
                match value {
                    Some(Value::Texts(texts)) => builder.append_value(texts),
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        _ => column!(StringViewBuilder::new(), Value::Text),
    })
}
