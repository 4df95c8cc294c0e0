//! HUGEINT as the name of what is computed from it. DataFusion computes with decimals of 38 digits, and drops the name on the way.
//!
//! **Invariants**
//! 1. Only names change, never a value or how it is held.
//! 2. A DECIMAL(38,0) that was declared, or came of a DECIMAL, stays one.
//! 3. Nothing is wrapped but whole columns of a result and the argument of `typeof`: inside an expression the name does not matter.

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, WindowFunctionDefinition};
use datafusion::optimizer::AnalyzerRule;
use siltstone_storage::LogicalType;

/// The rule; it runs before types are coerced, while whole numbers can still be told from decimals.
#[derive(Debug)]
pub(crate) struct HugeIntegers;

impl AnalyzerRule for HugeIntegers {
    fn name(&self) -> &str {
        "huge_integers"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let analyzed = plan.transform_up_with_subqueries(|plan| {
            let LogicalPlan::Projection(projection) = &plan else {
                return plan.recompute_schema().map(Transformed::yes);
            };
            let known = Known { schema: &merge_schema(&plan.inputs()), input: &projection.input.clone() };
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let expr = known.within(expr)?;
                Ok(expr.transform_data(|expr| known.named(expr))?.update_data(|expr| name.restore(expr)))
            })?
            .map_data(LogicalPlan::recompute_schema)
        })?;
        Ok(analyzed.data)
    }
}

/// What the columns that an expression speaks of are.
struct Known<'a> {
    schema: &'a DFSchema,
    input: &'a LogicalPlan,
}

/// A whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whole {
    /// Of at most 64 bits, or NULL.
    Word,
    Huge,
}

fn is_decimal(ty: &DataType) -> bool {
    matches!(ty, DataType::Decimal128(_, 0))
}

fn of_field(field: &Field) -> Option<Whole> {
    match field.data_type() {
        ty if ty.is_integer() || ty.is_null() => Some(Whole::Word),
        _ => (LogicalType::from_field(field).ok()? == LogicalType::HugeInt).then_some(Whole::Huge),
    }
}

impl Known<'_> {
    /// `typeof(…)` anywhere in an expression, its argument named.
    fn within(&self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| match expr {
            Expr::ScalarFunction(mut call) if call.func.name() == "typeof" => {
                let mut any = false;
                for argument in &mut call.args {
                    let named = self.named(std::mem::take(argument))?;
                    any |= named.transformed;
                    *argument = named.data;
                }
                Ok(Transformed::new_transformed(Expr::ScalarFunction(call), any))
            }
            other => Ok(Transformed::no(other)),
        })
    }

    /// An expression under its name, if it lost it.
    fn named(&self, expr: Expr) -> Result<Transformed<Expr>> {
        // What has no type yet is coercion's to report.
        let Ok((_, field)) = expr.to_field(self.schema) else {
            return Ok(Transformed::no(expr));
        };
        if !is_decimal(field.data_type()) || of_field(&field).is_some() || self.whole(&expr) != Some(Whole::Huge) {
            return Ok(Transformed::no(expr));
        }
        Ok(Transformed::yes(match expr {
            Expr::Alias(mut alias) => {
                alias.expr = Box::new(crate::conversions::named(*alias.expr, &LogicalType::HugeInt));
                Expr::Alias(alias)
            }
            other => crate::conversions::named(other, &LogicalType::HugeInt),
        }))
    }

    /// Whether an expression is a whole number by what it is made of.
    fn whole(&self, expr: &Expr) -> Option<Whole> {
        use Operator::{Divide, Minus, Modulo, Multiply, Plus};
        match expr {
            Expr::Alias(alias) => self.whole(&alias.expr),
            Expr::Negative(value) => self.whole(value),
            Expr::BinaryExpr(binary) if matches!(binary.op, Plus | Minus | Multiply | Divide | Modulo) => {
                self.all([binary.left.as_ref(), binary.right.as_ref()])
            }
            // A division of whole numbers ends in a cast, of no name.
            Expr::Cast(quotient) if is_decimal(quotient.field.data_type()) && of_field(&quotient.field).is_none() => {
                match quotient.expr.as_ref() {
                    divided @ Expr::BinaryExpr(binary) if binary.op == Divide => self.whole(divided),
                    _ => None,
                }
            }
            Expr::Case(case) => {
                let results = case.when_then_expr.iter().map(|(_, then)| then.as_ref());
                self.all(results.chain(case.else_expr.as_deref()))
            }
            Expr::ScalarFunction(call) if keeps_type(call.func.name()) => self.all(&call.args),
            Expr::Column(column) => self.column(column),
            other => of_field(&other.to_field(self.schema).ok()?.1),
        }
    }

    fn all<'e>(&self, parts: impl IntoIterator<Item = &'e Expr>) -> Option<Whole> {
        parts.into_iter().try_fold(Whole::Word, |found, part| Some(found.max(self.whole(part)?)))
    }

    /// A column; one that an aggregate below made is what the aggregate's argument is.
    fn column(&self, column: &Column) -> Option<Whole> {
        let field = self.schema.field_from_column(column).ok()?;
        if !is_decimal(field.data_type()) || of_field(field).is_some() {
            return of_field(field);
        }
        let mut plan = self.input;
        while let LogicalPlan::Filter(_) | LogicalPlan::Sort(_) | LogicalPlan::Limit(_) = plan {
            plan = plan.inputs().first().copied()?;
        }
        let place = plan.schema().maybe_index_of_column(column)?;
        let (made, input) = match plan {
            LogicalPlan::Aggregate(aggregate) => {
                let groups = plan.schema().fields().len().checked_sub(aggregate.aggr_expr.len())?;
                (aggregate.aggr_expr.get(place.checked_sub(groups)?)?, &aggregate.input)
            }
            LogicalPlan::Window(window) => {
                let (given, input) = (window.input.schema().fields().len(), &window.input);
                match place.checked_sub(given) {
                    Some(place) => (window.window_expr.get(place)?, input),
                    None => return Known { schema: input.schema(), input }.column(column),
                }
            }
            _ => return None,
        };
        let below = Known { schema: input.schema(), input };
        let (name, arguments) = match made.clone().unalias() {
            Expr::AggregateFunction(call) => (call.func.name().to_owned(), call.params.args),
            Expr::WindowFunction(call) => match &call.fun {
                WindowFunctionDefinition::AggregateUDF(function) => (function.name().to_owned(), call.params.args),
                WindowFunctionDefinition::WindowUDF(function) => (function.name().to_owned(), call.params.args),
            },
            _ => return None,
        };
        let value = arguments.first().filter(|_| keeps_type_of_first(&name))?;
        below.whole(value)
    }
}

/// Functions whose result has the type that their arguments have in common.
fn keeps_type(name: &str) -> bool {
    matches!(name, "abs" | "coalesce" | "greatest" | "least" | "nullif" | "nvl" | "round" | "ceil" | "floor" | "trunc")
}

/// Aggregates and functions of windows whose result has the type of their first argument.
fn keeps_type_of_first(name: &str) -> bool {
    matches!(
        name,
        "sum" | "min" | "max" | "first_value" | "last_value" | "nth_value" | "any_value" | "mode" | "lag" | "lead"
    )
}
