//! Casts that mean something else in DuckDB than in DataFusion: times, intervals and BLOBs to text, text to BLOB, UUID, JSON, BIT, ENUM and
//! INTERVAL, values to types that check them, numbers with a fraction to whole ones, timestamps to those of another unit.
//!
//! **Invariants**
//! 1. Each becomes a call that does what INSERT does ([`crate::cast`]); TRY_CAST gives NULL where that fails.
//! 2. Only casts that the statement spells out check and decode text; those that DataFusion adds so that operands and
//!    arguments fit change nothing but how times are written.

use std::sync::Arc;

use datafusion::arrow::array::timezone::Tz;
use datafusion::arrow::array::{Array, ArrayRef, AsArray, new_null_array};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Cast, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;
use siltstone_storage::LogicalType;

/// Which casts a pass looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Those of the statement, before types are coerced.
    Written,
    /// Also those that coercion added.
    Coerced,
}

/// Replaces casts in plans.
#[derive(Debug)]
pub(crate) struct Conversions {
    pub(crate) stage: Stage,
}

impl AnalyzerRule for Conversions {
    fn name(&self) -> &str {
        match self.stage {
            Stage::Written => "written_conversions",
            Stage::Coerced => "coerced_conversions",
        }
    }

    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone: Tz = config.execution.time_zone.as_deref().unwrap_or("UTC").parse()?;
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            let mut schema = merge_schema(&plan.inputs());
            if let LogicalPlan::TableScan(scan) = &plan {
                let columns = scan.source.schema();
                schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &columns)?);
            }
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let replaced = replace(expr, &schema, zone, self.stage)?;
                Ok(replaced.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(analyzed.data)
    }
}

/// An expression outside any plan, its casts replaced.
pub(crate) fn planned(expr: Expr, schema: &DFSchema, zone: Tz) -> Result<Expr> {
    Ok(replace(expr, schema, zone, Stage::Written)?.data)
}

/// A value as one of `ty`, under its name. Not for types whose text depends on the zone.
pub(crate) fn named(expr: Expr, ty: &LogicalType) -> Expr {
    let conversion = Conversion::new(ty.clone(), Arc::new(ty.field("", true)), "UTC");
    ScalarUDF::new_from_impl(conversion).call(vec![expr])
}

fn replace(expr: Expr, schema: &DFSchema, zone: Tz, stage: Stage) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| {
        let (Expr::Cast(Cast { expr: source, field }) | Expr::TryCast(TryCast { expr: source, field })) = &expr else {
            return Ok(Transformed::no(expr));
        };
        // What has no type yet is coercion's to report.
        let Ok((_, source_field)) = source.to_field(schema) else {
            return Ok(Transformed::no(expr));
        };
        refuse(&source_field, field, stage)?;
        let Some(ty) = converted(&source_field, field, stage) else {
            return Ok(Transformed::no(expr));
        };
        let null_on_failure = matches!(expr, Expr::TryCast(_));
        let conversion = Conversion { null_on_failure, ..Conversion::new(ty, Arc::clone(field), &zone.to_string()) };
        Ok(Transformed::yes(ScalarUDF::new_from_impl(conversion).call(vec![source.as_ref().clone()])))
    })
}

/// The type to convert to, if a cast from `source` to `target` is one of ours.
fn converted(source: &Field, target: &Field, stage: Stage) -> Option<LogicalType> {
    use LogicalType as L;
    if source.data_type().is_null() {
        return None;
    }
    let (from, to) = (LogicalType::from_field(source).ok()?, LogicalType::from_field(target).ok()?);
    let ours = match (&from, &to) {
        (
            L::Timestamp | L::TimestampTz | L::TimestampS | L::TimestampMs | L::TimestampNs | L::Time | L::Interval,
            L::Varchar,
        ) => true,
        // Spelled out, each is one of ours; its name goes with it.
        (from, L::HugeInt | L::Interval) if !from.is_nested() => stage == Stage::Written,
        // Nothing but the name changes, which a cast of DataFusion's would keep.
        (L::HugeInt, L::Decimal { precision: L::HUGEINT_DIGITS, scale: 0 }) => stage == Stage::Written,
        // Arrow's lists know the names of what they hold.
        (L::List(_), to @ L::List(_)) if from != *to && holds_huge(to) => stage == Stage::Written,
        (L::Varchar, L::TimestampS | L::TimestampMs | L::TimestampNs) => stage == Stage::Written,
        (from, to) if from != to && is_unzoned(from) && is_unzoned(to) => stage == Stage::Written,
        // These are text already, but are no longer to be called so.
        (L::Blob | L::Uuid | L::Json | L::Bit | L::Enum(_), L::Varchar)
        | (L::Varchar | L::Uuid | L::Json, L::Blob | L::Uuid | L::Json) => stage == Stage::Written,
        (L::Bit | L::Enum(_), L::Blob | L::Uuid | L::Json) => stage == Stage::Written,
        (from, to @ (L::Bit | L::Enum(_) | L::Array(..) | L::Map(_))) => stage == Stage::Written && from != to,
        (from, to) if to.is_nested() && crate::cast::is_checked(to) => stage == Stage::Written && from != to,
        // A list is no longer to be called an array.
        (L::Array(..), L::List(_)) => stage == Stage::Written,
        // Fractions round; DataFusion cuts them.
        (L::Real | L::Double | L::Decimal { .. }, to) if to.arrow().is_integer() => stage == Stage::Written,
        _ => false,
    };
    ours.then_some(to)
}

fn holds_huge(ty: &LogicalType) -> bool {
    match ty {
        LogicalType::List(item) => holds_huge(item),
        ty => *ty == LogicalType::HugeInt,
    }
}

fn is_unzoned(ty: &LogicalType) -> bool {
    use LogicalType as L;
    matches!(ty, L::Timestamp | L::TimestampS | L::TimestampMs | L::TimestampNs)
}

/// What has the form of text but another meaning is not read as text.
fn refuse(source: &Field, target: &Field, stage: Stage) -> Result<()> {
    use LogicalType as L;
    let (Ok(from), Ok(to)) = (LogicalType::from_field(source), LogicalType::from_field(target)) else {
        return Ok(());
    };
    if stage == Stage::Written && from == L::Bit && !to.is_text() {
        return plan_err!("Unimplemented type for cast ({from} -> {to})");
    }
    Ok(())
}

/// One such cast as a function of one argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Conversion {
    ty: LogicalType,
    /// What the cast gives.
    field: FieldRef,
    zone: String,
    null_on_failure: bool,
    signature: Signature,
}

impl Conversion {
    fn new(ty: LogicalType, field: FieldRef, zone: &str) -> Self {
        let signature = Signature::any(1, Volatility::Immutable);
        Self { ty, field, zone: zone.to_owned(), null_on_failure: false, signature }
    }

    fn convert(&self, array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
        let converted = crate::cast::to_column(array, &self.ty, zone)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        if converted.data_type() == self.field.data_type() {
            return Ok(converted);
        }
        Ok(cast(&converted, self.field.data_type())?)
    }

    /// Row by row, NULL where it fails.
    fn convert_what_can_be(&self, array: &ArrayRef, zone: Tz) -> Result<ArrayRef> {
        let rows: Vec<ArrayRef> = (0..array.len())
            .map(|row| {
                self.convert(&array.slice(row, 1), zone).unwrap_or_else(|_| new_null_array(self.field.data_type(), 1))
            })
            .collect();
        let rows: Vec<&dyn Array> = rows.iter().map(AsRef::as_ref).collect();
        Ok(concat(&rows)?)
    }
}

impl ScalarUDFImpl for Conversion {
    fn name(&self) -> &str {
        "conversion"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.field.data_type().clone())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(self.field.as_ref().clone().with_name(self.name()).with_nullable(true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [argument] = args.args.as_slice() else {
            return exec_err!("a conversion has one argument");
        };
        let zone: Tz = self.zone.parse()?;
        let is_constant = matches!(argument, ColumnarValue::Scalar(_));
        let rows = if is_constant { 1 } else { args.number_rows };
        let array = argument.to_array(rows)?;
        let converted = match self.convert(&array, zone) {
            Err(_) if self.null_on_failure => self.convert_what_can_be(&array, zone)?,
            converted => converted?,
        };
        if is_constant {
            return Ok(ColumnarValue::Scalar(match converted.as_list_opt::<i32>() {
                // Taken from the array, a list would lose the names of what it holds.
                Some(list) => ScalarValue::List(Arc::new(list.clone())),
                None => ScalarValue::try_from_array(&converted, 0)?,
            }));
        }
        Ok(ColumnarValue::Array(converted))
    }
}
