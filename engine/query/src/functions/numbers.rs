//! DuckDB's functions of numbers that DataFusion lacks.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;

use super::row_wise::Kind::{Double, Int};
use super::row_wise::{RowWise, Value};

/// All functions of this family.
pub(super) fn functions() -> Vec<Arc<ScalarUDF>> {
    let bool = || Field::new("", DataType::Boolean, true);
    let bigint = || Field::new("", DataType::Int64, true);
    vec![
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
