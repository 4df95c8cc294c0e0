//! DuckDB's functions of numbers that DataFusion lacks.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Field, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{ScalarValue, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::row_wise::Kind::{Double, Int};
use super::row_wise::{RowWise, Value};

/// `~x`: all bits the other way round, in the number's own type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct BitwiseNot {
    signature: Signature,
}

impl ScalarUDFImpl for BitwiseNot {
    fn name(&self) -> &str {
        "bitwise_not"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        match types {
            [ty] if ty.is_integer() || ty.is_null() => Ok(ty.clone()),
            other => plan_err!("~ takes a whole number, not {other:?}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.first() else {
            return plan_err!("~ takes a number");
        };
        let is_constant = matches!(value, ColumnarValue::Scalar(_));
        let array = value.to_array(if is_constant { 1 } else { args.number_rows })?;
        macro_rules! inverted {
            ($($ty:ident => $kind:ty),*) => {
                match array.data_type() {
                    $(DataType::$ty => {
                        Arc::new(array.as_primitive::<$kind>().unary::<_, $kind>(|number| !number)) as ArrayRef
                    })*
                    _ => array,
                }
            };
        }
        let inverted = inverted!(
            Int8 => Int8Type, Int16 => Int16Type, Int32 => Int32Type, Int64 => Int64Type,
            UInt8 => UInt8Type, UInt16 => UInt16Type, UInt32 => UInt32Type, UInt64 => UInt64Type
        );
        Ok(if is_constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&inverted, 0)?)
        } else {
            ColumnarValue::Array(inverted)
        })
    }
}

/// All functions of this family.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let bool = || Field::new("", DataType::Boolean, true);
    let bigint = || Field::new("", DataType::Int64, true);
    let bitwise_not = BitwiseNot { signature: Signature::any(1, Volatility::Immutable) };
    vec![
        Arc::new(ScalarUDF::new_from_impl(bitwise_not)),
        RowWise::udf(&["isinf"], &[&[Double]], bool(), |args, _| Ok(Some(Value::Bool(args[0].double().is_infinite())))),
        RowWise::udf(&["isfinite"], &[&[Double]], bool(), |args, _| {
            Ok(Some(Value::Bool(args[0].double().is_finite())))
        }),
        RowWise::udf(&["bit_count"], &[&[Int]], bigint(), |args, _| {
            Ok(Some(Value::Int(args[0].int().count_ones().into())))
        }),
        RowWise::udf(&["xor"], &[&[Int, Int]], bigint(), |args, _| Ok(Some(Value::Int(args[0].int() ^ args[1].int())))),
        RowWise::udf(&["even"], &[&[Double]], Field::new("", DataType::Float64, true), |args, _| {
            // Away from zero, to the next even number.
            let number = args[0].double();
            Ok(Some(Value::Double(((number.abs() / 2.0).ceil() * 2.0).copysign(number))))
        }),
    ]
}
