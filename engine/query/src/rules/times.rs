//! Dates and texts beside timestamps, as timestamps of the same unit. DataFusion would make both nanoseconds, which lack most years.
//!
//! **Invariants**
//! 1. Comparisons, BETWEEN, IN, CASE, COALESCE and their like, and set operations of a timestamp without zone keep its unit, the finest of several.
//! 2. Text is read as a cast to that type reads it; in comparisons only.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Union, cast};
use datafusion::optimizer::AnalyzerRule;
use siltstone_storage::LogicalType;

/// The rule; it runs before types are coerced.
#[derive(Debug)]
pub(crate) struct TimesOfOneUnit;

impl AnalyzerRule for TimesOfOneUnit {
    fn name(&self) -> &str {
        "times_of_one_unit"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            if let LogicalPlan::Union(union) = plan {
                return united(union);
            }
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let aligned = expr.transform_up(|expr| align(expr, &schema))?;
                Ok(aligned.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(analyzed.data)
    }
}

/// The finest unit of the timestamps without zone among these, if there are dates beside them.
fn common<'a>(types: impl IntoIterator<Item = &'a DataType>) -> Option<TimeUnit> {
    let (mut any_date, mut finest) = (false, None);
    for ty in types {
        match ty {
            DataType::Date32 => any_date = true,
            DataType::Timestamp(unit, None) => finest = finest.max(Some(*unit)),
            _ => {}
        }
    }
    finest.filter(|_| any_date)
}

fn timestamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, None)
}

/// A set operation whose columns of dates are timestamps where others' are.
fn united(union: Union) -> Result<Transformed<LogicalPlan>> {
    let schemas: Vec<_> = union.inputs.iter().map(|input| Arc::clone(input.schema())).collect();
    let columns = schemas.first().map_or(0, |schema| schema.fields().len());
    let of_column = |column: usize| schemas.iter().filter_map(move |schema| schema.fields().get(column));
    let targets: Vec<_> = (0..columns).map(|column| common(of_column(column).map(|field| field.data_type()))).collect();
    if targets.iter().all(Option::is_none) {
        return LogicalPlan::Union(union).recompute_schema().map(Transformed::yes);
    }
    let inputs = union.inputs.iter().map(|input| {
        let projected = input.schema().iter().zip(&targets).map(|((qualifier, field), target)| {
            let column = Expr::from((qualifier, field));
            match target {
                Some(unit) if *field.data_type() == DataType::Date32 => {
                    cast(column, timestamp(*unit)).alias_qualified(qualifier.cloned(), field.name())
                }
                _ => column,
            }
        });
        let projected: Vec<Expr> = projected.collect();
        LogicalPlanBuilder::from(input.as_ref().clone()).project(projected)?.build().map(Arc::new)
    });
    let united = Union::try_new_with_loose_types(inputs.collect::<Result<_>>()?)?;
    Ok(Transformed::yes(LogicalPlan::Union(united)))
}

/// A date or text as a timestamp of that unit.
fn as_time(expr: &mut Expr, unit: TimeUnit, schema: &DFSchema) -> bool {
    let Ok(ty) = expr.get_type(schema) else {
        return false;
    };
    if ty != DataType::Date32 && !ty.is_string() {
        return false;
    }
    let value = std::mem::take(expr);
    *expr = match unit {
        // These round.
        TimeUnit::Second if ty.is_string() => crate::conversions::named(value, &LogicalType::TimestampS),
        TimeUnit::Millisecond if ty.is_string() => crate::conversions::named(value, &LogicalType::TimestampMs),
        _ => cast(value, timestamp(unit)),
    };
    true
}

/// What the parts of a comparison with a timestamp without zone are compared as: the unit of that.
fn unit_of(expr: &Expr, schema: &DFSchema) -> Option<TimeUnit> {
    match expr.get_type(schema) {
        Ok(DataType::Timestamp(unit, None)) => Some(unit),
        _ => None,
    }
}

fn align(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let mut any = false;
    let expr = match expr {
        Expr::BinaryExpr(mut binary) if binary.op.supports_propagation() => {
            match (unit_of(&binary.left, schema), unit_of(&binary.right, schema)) {
                (Some(unit), None) => any = as_time(&mut binary.right, unit, schema),
                (None, Some(unit)) => any = as_time(&mut binary.left, unit, schema),
                _ => {}
            }
            Expr::BinaryExpr(binary)
        }
        Expr::Between(mut between) => {
            if let Some(unit) = unit_of(&between.expr, schema) {
                any = as_time(&mut between.low, unit, schema) | as_time(&mut between.high, unit, schema);
            }
            Expr::Between(between)
        }
        Expr::InList(mut list) => {
            if let Some(unit) = unit_of(&list.expr, schema) {
                list.list.iter_mut().for_each(|value| any |= as_time(value, unit, schema));
            }
            Expr::InList(list)
        }
        Expr::Case(mut case) => {
            let results = || case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
            if let Some(unit) = common_of(results().map(AsRef::as_ref), schema) {
                let results = case.when_then_expr.iter_mut().map(|(_, then)| then).chain(&mut case.else_expr);
                any = dates_as(results.map(AsMut::as_mut), unit, schema);
            }
            Expr::Case(case)
        }
        Expr::ScalarFunction(mut call)
            if matches!(call.func.name(), "coalesce" | "greatest" | "least" | "nullif" | "nvl") =>
        {
            if let Some(unit) = common_of(&call.args, schema) {
                any = dates_as(&mut call.args, unit, schema);
            }
            Expr::ScalarFunction(call)
        }
        other => other,
    };
    Ok(Transformed::new_transformed(expr, any))
}

/// [`common`] of expressions; none if one has no type yet.
fn common_of<'a>(parts: impl IntoIterator<Item = &'a Expr>, schema: &DFSchema) -> Option<TimeUnit> {
    let types = parts.into_iter().map(|part| part.get_type(schema)).collect::<Result<Vec<_>>>().ok()?;
    common(&types)
}

fn dates_as<'a>(parts: impl IntoIterator<Item = &'a mut Expr>, unit: TimeUnit, schema: &DFSchema) -> bool {
    let mut any = false;
    for part in parts {
        if matches!(part.get_type(schema), Ok(DataType::Date32)) {
            any |= as_time(part, unit, schema);
        }
    }
    any
}
