//! DuckDB's aggregates: under its names where DataFusion has them, in terms of those where it does not.
//!
//! **Invariants**
//! 1. `arg_max` and its siblings, `mode` and `quantile_disc` leave out rows with NULL.
//! 2. An aggregate over no rows is NULL, a count 0.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, new_empty_array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::common::{ScalarValue, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::functions::math::expr_fn::power;
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::functions_nested::expr_fn::{array_concat, make_array};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr, RawBinaryExpr, RawWindowExpr};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprFunctionExt, ExprSchemable, Signature, SortExpr, Volatility,
    WindowFunctionDefinition, cast, lit, when,
};
use datafusion::physical_expr::expressions::Literal;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::json;
use super::sums::Sum;

/// Plans what is a combination of DataFusion's functions, the arrows of JSON, and `^`.
#[derive(Debug)]
pub(crate) struct Combinations;

impl ExprPlanner for Combinations {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &datafusion::common::DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let name = match expr.op {
            BinaryOperator::Plus if is_list(&expr.left, schema) && is_list(&expr.right, schema) => {
                return Ok(PlannerResult::Planned(array_concat(vec![expr.left, expr.right])));
            }
            // The parser reads `^` as an exclusive or.
            BinaryOperator::BitwiseXor => {
                let [base, exponent] = [expr.left, expr.right].map(|side| cast(side, DataType::Float64));
                return Ok(PlannerResult::Planned(power(base, exponent)));
            }
            BinaryOperator::Arrow => json::EXTRACT,
            BinaryOperator::LongArrow => json::EXTRACT_TEXT,
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let function = json::functions().into_iter().find(|function| function.name() == name);
        match function {
            Some(function) => Ok(PlannerResult::Planned(function.call(vec![expr.left, expr.right]))),
            None => plan_err!("{name} is missing"),
        }
    }

    fn plan_aggregate(&self, expr: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        let planned = match (expr.func.name(), expr.args.as_slice()) {
            ("count_if", [condition]) => {
                let counted = count(when(condition.clone(), lit(1_i64)).end()?);
                filtered(counted, expr.filter)?
            }
            (name @ ("arg_max" | "arg_min"), [value, key]) => {
                let order = SortExpr { expr: key.clone(), asc: name == "arg_min", nulls_first: false };
                let both = value.clone().is_not_null().and(key.clone().is_not_null());
                let filter = match expr.filter {
                    Some(filter) => filter.and(both),
                    None => both,
                };
                first_value(value.clone(), Vec::new()).order_by(vec![order]).filter(filter).build()?
            }
            (_, [value, Expr::ScalarFunction(shares)]) if shares.func.name() == "make_array" && takes_share(&expr) => {
                let each = shares.args.iter().map(|share| {
                    let args = vec![value.clone(), share.clone()];
                    rebuilt(RawAggregateExpr { args, ..expr.clone() })
                });
                make_array(each.collect())
            }
            // The least of distinct values is the least of all.
            ("min" | "max", [_]) if expr.distinct => rebuilt(RawAggregateExpr { distinct: false, ..expr }),
            ("approx_distinct", _) => cast(rebuilt(expr), DataType::Int64),
            ("string_agg", [_]) => {
                let mut args = expr.args.clone();
                args.push(lit(","));
                rebuilt(RawAggregateExpr { args, ..expr })
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(planned))
    }

    fn plan_window(&self, expr: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        let is_number = match &expr.func_def {
            WindowFunctionDefinition::WindowUDF(function) => {
                matches!(function.name(), "row_number" | "rank" | "dense_rank" | "ntile")
            }
            WindowFunctionDefinition::AggregateUDF(_) => false,
        };
        if !is_number {
            return Ok(PlannerResult::Original(expr));
        }
        let mut function = datafusion::logical_expr::expr::WindowFunction::new(expr.func_def, expr.args);
        function.params.partition_by = expr.partition_by;
        function.params.order_by = expr.order_by;
        function.params.window_frame = expr.window_frame;
        function.params.filter = expr.filter;
        function.params.null_treatment = expr.null_treatment;
        function.params.distinct = expr.distinct;
        Ok(PlannerResult::Planned(cast(Expr::from(function), DataType::Int64)))
    }
}

/// Whether an aggregate's second argument is a share of the rows; it may be a list of them.
fn takes_share(expr: &RawAggregateExpr) -> bool {
    matches!(expr.func.name(), "percentile_cont" | "quantile_disc" | "approx_percentile_cont")
}

fn is_list(expr: &Expr, schema: &datafusion::common::DFSchema) -> bool {
    matches!(expr.get_type(schema), Ok(DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)))
}

/// Whether an aggregate is planned as others, whose name it would take: two of them may be one.
pub(crate) fn is_combination(name: &str) -> bool {
    let names = ["count_if", "countif", "arg_max", "max_by", "argmax", "arg_min", "min_by", "argmin"];
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn filtered(expr: Expr, filter: Option<Box<Expr>>) -> Result<Expr> {
    match filter {
        Some(filter) => expr.filter(*filter).build(),
        None => Ok(expr),
    }
}

fn rebuilt(raw: RawAggregateExpr) -> Expr {
    Expr::AggregateFunction(datafusion::logical_expr::expr::AggregateFunction::new_udf(
        raw.func,
        raw.args,
        raw.distinct,
        raw.filter,
        raw.order_by,
        raw.null_treatment,
    ))
}

/// DataFusion's aggregates under DuckDB's names as well, and those that it lacks.
pub(super) fn adapted(functions: Vec<Arc<AggregateUDF>>) -> Vec<Arc<AggregateUDF>> {
    let adapt = |function: Arc<AggregateUDF>| {
        let aliases: &[&'static str] = match function.name() {
            "array_agg" => &["list"],
            "approx_distinct" => &["approx_count_distinct"],
            "first_value" => &["first", "arbitrary"],
            "last_value" => &["last"],
            "string_agg" => &["group_concat", "listagg"],
            "percentile_cont" => &["quantile_cont"],
            "var" => &["variance"],
            "approx_percentile_cont" => &["approx_quantile"],
            "sum" => return Arc::new(AggregateUDF::from(Sum { inner: function })),
            _ => &[],
        };
        if aliases.is_empty() {
            function
        } else {
            Arc::new(function.as_ref().clone().with_aliases(aliases.iter().copied()))
        }
    };
    let mut functions: Vec<Arc<AggregateUDF>> = functions.into_iter().map(adapt).collect();
    functions.extend([
        planned("count_if", &["countif"], 1),
        planned("arg_max", &["max_by", "argmax"], 2),
        planned("arg_min", &["min_by", "argmin"], 2),
        collected("mode", &[], Pick::Mode, 1),
        collected("quantile_disc", &["quantile"], Pick::Quantile, 2),
    ]);
    functions
}

fn planned(name: &'static str, aliases: &[&str], arguments: usize) -> Arc<AggregateUDF> {
    collected(name, aliases, Pick::Planned, arguments)
}

fn collected(name: &'static str, aliases: &[&str], pick: Pick, arguments: usize) -> Arc<AggregateUDF> {
    let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
    let signature = Signature::any(arguments, Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(Collected { name, aliases, pick, signature }))
}

/// What becomes of the collected values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Pick {
    /// Nothing: [`Combinations`] plans something else in its place.
    Planned,
    /// The most frequent, the first of several.
    Mode,
    /// The one at a share of the sorted values.
    Quantile,
}

/// An aggregate that needs all values at once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Collected {
    name: &'static str,
    aliases: Vec<String>,
    pick: Pick,
    signature: Signature,
}

impl AggregateUDFImpl for Collected {
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
        match types.first() {
            Some(ty) => Ok(ty.clone()),
            None => plan_err!("{} takes a value", self.name),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let share = match self.pick {
            Pick::Planned => return exec_err!("{} cannot be used here", self.name),
            Pick::Mode => 0.0,
            Pick::Quantile => share(&args)?,
        };
        let ty = args.return_field.data_type().clone();
        Ok(Box::new(Values { values: Vec::new(), bytes: 0, ty, pick: self.pick, share }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let item = Field::new("item", args.return_field.data_type().clone(), true);
        Ok(vec![Arc::new(Field::new("values", DataType::List(Arc::new(item)), true))])
    }
}

/// The constant share of `quantile_disc(value, share)`.
fn share(args: &AccumulatorArgs<'_>) -> Result<f64> {
    let literal = args.exprs.get(1).and_then(|expr| expr.downcast_ref::<Literal>());
    let share = literal.and_then(|literal| literal.value().cast_to(&DataType::Float64).ok());
    match share {
        Some(ScalarValue::Float64(Some(share))) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => plan_err!("QUANTILE can only take parameters in the range [0, 1]"),
    }
}

#[derive(Debug)]
struct Values {
    values: Vec<ScalarValue>,
    /// Memory of the values.
    bytes: usize,
    ty: DataType,
    pick: Pick,
    share: f64,
}

impl Values {
    fn add(&mut self, array: &ArrayRef) -> Result<()> {
        for row in 0..array.len() {
            if array.is_valid(row) {
                let value = ScalarValue::try_from_array(array, row)?;
                self.bytes += value.size();
                self.values.push(value);
            }
        }
        Ok(())
    }

    fn mode(&self) -> Option<ScalarValue> {
        let mut counts: HashMap<&ScalarValue, (usize, usize)> = HashMap::new();
        for (i, value) in self.values.iter().enumerate() {
            counts.entry(value).or_insert((0, i)).0 += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, (count, first))| (*count, std::cmp::Reverse(*first)));
        most.map(|(value, _)| value.clone())
    }

    fn quantile(&self) -> Option<ScalarValue> {
        let mut sorted: Vec<&ScalarValue> = self.values.iter().collect();
        sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        let rank = (self.share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.max(1) - 1).map(|value| (*value).clone())
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |array| self.add(array))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let picked = if self.pick == Pick::Mode { self.mode() } else { self.quantile() };
        picked.map_or_else(|| ScalarValue::try_from(&self.ty), Ok)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let array = if self.values.is_empty() {
            new_empty_array(&self.ty)
        } else {
            ScalarValue::iter_to_array(self.values.iter().cloned())?
        };
        Ok(vec![SingleRowListArrayBuilder::new(array).build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first() else {
            return Ok(());
        };
        lists.as_list::<i32>().iter().flatten().try_for_each(|values| self.add(&values))
    }
}
