//! Subqueries that DataFusion cannot plan, as joins: correlated scalar subqueries of any shape, and `IN`, `EXISTS`, `ANY` and `ALL` as
//! values rather than as conditions of a WHERE.
//!
//! **Invariants**
//! 1. What DataFusion does right and fast is left to it: conditions of a WHERE that stand alone, and scalar subqueries whose
//!    aggregate is correlated by equalities only.
//! 2. `IN`, `ANY` and `ALL` are three-valued: NULL where NULLs leave the answer open.
//! 3. A scalar subquery with more than one row is an error, not a row too many.
//! 4. Only the plan's own columns come out; names and types stay.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, ScalarValue, Spans};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{count, first_value};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{conjunction, split_conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprSchemable, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator,
    Projection, Sort, Subquery, Window, binary_expr, cast, lit, not, when,
};
use datafusion::optimizer::AnalyzerRule;

use super::domain::{Domain, same};
use crate::functions::error::error;

/// The rule.
#[derive(Debug)]
pub(crate) struct PlanSubqueries;

impl AnalyzerRule for PlanSubqueries {
    fn name(&self) -> &str {
        "plan_subqueries"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Subqueries { names: 0 }.rewrite(plan)
    }
}

/// One run of the rule.
#[derive(Debug)]
pub(super) struct Subqueries {
    /// Names given so far.
    names: usize,
}

impl Subqueries {
    /// A name that nothing else in the query has: none that a user writes holds a NUL.
    pub(super) fn fresh(&mut self, what: &str) -> String {
        self.names += 1;
        format!("\0{what}{}", self.names)
    }

    fn rewrite(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let rewritten = plan.transform_up(|node| {
            if !has_subquery(&node) {
                return Ok(Transformed::no(node));
            }
            let node = node.map_expressions(|expr| {
                expr.transform_up(|expr| match expr {
                    Expr::SetComparison(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::ScalarSubquery(_) => {
                        map_subquery(as_in(expr), &mut |plan| self.rewrite(plan)).map(Transformed::yes)
                    }
                    other => Ok(Transformed::no(other)),
                })
            })?;
            self.node(node.data).map(Transformed::yes)
        })?;
        Ok(rewritten.data)
    }

    /// A node without the subqueries in its expressions that are ours to plan.
    pub(super) fn node(&mut self, node: LogicalPlan) -> Result<LogicalPlan> {
        let mut claimed = false;
        node.apply_expressions(|expr| {
            claimed |= claims(expr, &node)?;
            Ok(TreeNodeRecursion::Continue)
        })?;
        if !claimed {
            return Ok(node);
        }
        match node {
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Projection(projection) => {
                let mut input = Arc::unwrap_or_clone(projection.input);
                let exprs = self.replace_all(projection.expr, &mut input)?;
                Ok(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?))
            }
            LogicalPlan::Aggregate(aggregate) => {
                let mut input = Arc::unwrap_or_clone(aggregate.input);
                let groups = self.replace_all(aggregate.group_expr, &mut input)?;
                let aggregates = self.replace_all(aggregate.aggr_expr, &mut input)?;
                Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), groups, aggregates)?))
            }
            LogicalPlan::Window(window) => {
                let visible = window.schema.columns();
                let mut input = Arc::unwrap_or_clone(window.input);
                let exprs = self.replace_all(window.window_expr, &mut input)?;
                only(LogicalPlan::Window(Window::try_new(exprs, Arc::new(input))?), visible)
            }
            LogicalPlan::Sort(sort) => {
                let mut input = Arc::unwrap_or_clone(sort.input);
                let visible = input.schema().columns();
                let mut keys = Vec::with_capacity(sort.expr.len());
                for mut key in sort.expr {
                    key.expr = self.replace(key.expr, &mut input)?;
                    keys.push(key);
                }
                only(LogicalPlan::Sort(Sort { expr: keys, input: Arc::new(input), fetch: sort.fetch }), visible)
            }
            LogicalPlan::Join(join) => self.join(join),
            other => Ok(other),
        }
    }

    fn filter(&mut self, filter: Filter) -> Result<LogicalPlan> {
        let mut input = Arc::unwrap_or_clone(filter.input);
        let visible = input.schema().columns();
        let mut conditions = Vec::new();
        for condition in split_conjunction_owned(filter.predicate) {
            let ours = claims_condition(&condition)?;
            conditions.push(if ours { self.replace(condition, &mut input)? } else { condition });
        }
        let Some(predicate) = conjunction(conditions) else {
            return Ok(input);
        };
        only(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(input))?), visible)
    }

    /// A join's condition is one on all pairs of rows; that of an outer join may ask for subqueries of one side.
    fn join(&mut self, mut join: Join) -> Result<LogicalPlan> {
        let Some(condition) = join.filter.take() else {
            return Ok(LogicalPlan::Join(join));
        };
        if join.join_type == JoinType::Inner {
            let filter = Filter::try_new(condition, Arc::new(LogicalPlan::Join(join)))?;
            return self.filter(filter);
        }
        let visible = join.schema.columns();
        let mut conditions = Vec::new();
        for condition in split_conjunction_owned(condition) {
            let columns = all_columns(&condition)?;
            let is_of = |side: &LogicalPlan| columns.iter().all(|column| side.schema().has_column(column));
            if !claims_value(&condition)? {
                conditions.push(condition);
            } else if is_of(&join.left) {
                let mut left = join.left.as_ref().clone();
                conditions.push(self.replace(condition, &mut left)?);
                join.left = Arc::new(left);
            } else if is_of(&join.right) {
                let mut right = join.right.as_ref().clone();
                conditions.push(self.replace(condition, &mut right)?);
                join.right = Arc::new(right);
            } else {
                conditions.push(condition);
            }
        }
        let joined = Join::try_new(
            join.left,
            join.right,
            join.on,
            conjunction(conditions),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        only(LogicalPlan::Join(joined), visible)
    }

    fn replace_all(&mut self, exprs: Vec<Expr>, input: &mut LogicalPlan) -> Result<Vec<Expr>> {
        let names = NamePreserver::new_for_projection();
        exprs
            .into_iter()
            .map(|expr| {
                let name = names.save(&expr);
                Ok(name.restore(self.replace(expr, input)?))
            })
            .collect()
    }

    /// An expression over `input`, its subqueries replaced by columns that `input` gets for them.
    fn replace(&mut self, expr: Expr, input: &mut LogicalPlan) -> Result<Expr> {
        let replaced = expr.transform_up(|expr| {
            Ok(Transformed::yes(match expr {
                Expr::ScalarSubquery(subquery) => self.scalar(subquery.subquery, input)?,
                Expr::Exists(Exists { subquery, negated }) => {
                    let found = self.any(&subquery.subquery, None, input)?;
                    if negated { not(found) } else { found }
                }
                Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                    let found = self.is_in(*expr, &subquery.subquery, input)?;
                    if negated { not(found) } else { found }
                }
                Expr::SetComparison(comparison) => self.compare_with_set(comparison, input)?,
                other => return Ok(Transformed::no(other)),
            }))
        })?;
        Ok(replaced.data)
    }

    /// Whether the subquery has a row for which `condition` is true.
    fn any(&mut self, plan: &Arc<LogicalPlan>, condition: Option<Expr>, input: &mut LogicalPlan) -> Result<Expr> {
        let mut builder = LogicalPlanBuilder::from(plan.as_ref().clone());
        if let Some(condition) = condition {
            builder = builder.filter(condition)?;
        }
        let number = count(lit(1_i64)).alias(self.fresh("count"));
        let plan = builder.aggregate(Vec::<Expr>::new(), vec![number])?.build()?;
        Ok(self.scalar(Arc::new(plan), input)?.gt(lit(0_i64)))
    }

    /// `expr IN (plan)`.
    fn is_in(&mut self, expr: Expr, plan: &Arc<LogicalPlan>, input: &mut LogicalPlan) -> Result<Expr> {
        let member = first_column(plan);
        let outer = as_outer(expr.clone(), input)?;
        let found = self.any(plan, Some(outer.eq(member.clone())), input)?;
        let null_expr =
            if expr.nullable(input.schema())? { expr.is_null().and(self.any(plan, None, input)?) } else { lit(false) };
        let null_member =
            if member.nullable(plan.schema())? { self.any(plan, Some(member.is_null()), input)? } else { lit(false) };
        three_valued(found, null_expr.or(null_member))
    }

    /// `expr op ANY (plan)` and `expr op ALL (plan)`.
    fn compare_with_set(&mut self, comparison: SetComparison, input: &mut LogicalPlan) -> Result<Expr> {
        let SetComparison { expr, subquery, op, quantifier } = comparison;
        let compared = binary_expr(as_outer(*expr, input)?, op, first_column(&subquery.subquery));
        let (wanted, decides) = match quantifier {
            SetQuantifier::Any => (compared.clone(), false),
            SetQuantifier::All => (not(compared.clone()), true),
        };
        let found = self.any(&subquery.subquery, Some(wanted), input)?;
        let unknown = self.any(&subquery.subquery, Some(compared.is_null()), input)?;
        let any = three_valued(found, unknown)?;
        Ok(if decides { not(any) } else { any })
    }

    /// The value of a scalar subquery as a column that `input` gets; one that is not correlated stays as it is.
    fn scalar(&mut self, subquery: Arc<LogicalPlan>, input: &mut LogicalPlan) -> Result<Expr> {
        let mut refs = outer_columns(&subquery)?;
        refs.retain(|column| input.schema().has_column(column));
        if refs.is_empty() {
            return Ok(Expr::ScalarSubquery(subquery_of(subquery)));
        }
        let value = first_column(&subquery);
        let ty = value.get_type(subquery.schema())?;
        let is_single = subquery.max_rows().is_some_and(|rows| rows <= 1);
        let domain = Domain::new(input, refs)?;
        let pushed = self.push(Arc::unwrap_or_clone(subquery), &domain)?;
        let columns: Vec<Expr> = pushed.columns.iter().cloned().map(Expr::Column).collect();
        let (alias, name) = (self.fresh("scalar"), self.fresh("value"));
        let mut builder = LogicalPlanBuilder::from(pushed.plan);
        let value = if is_single {
            value
        } else {
            let (first, rows) = (self.fresh("first"), self.fresh("rows"));
            let aggregates =
                vec![first_value(value, Vec::new()).alias(first.as_str()), count(lit(1_i64)).alias(rows.as_str())];
            builder = builder.aggregate(columns.clone(), aggregates)?;
            let many = Expr::Column(Column::new_unqualified(rows)).gt(lit(1_i64));
            let refusal = error().call(vec![lit("More than one row returned by a subquery used as an expression")]);
            when(many, cast(refusal, ty)).otherwise(Expr::Column(Column::new_unqualified(first)))?
        };
        let mut exprs = vec![value.alias(name.as_str())];
        exprs.extend(columns.into_iter().enumerate().map(|(i, column)| column.alias(format!("{name}.{i}"))));
        let right = builder.project(exprs)?.alias(alias.as_str())?.build()?;
        let matched = right.schema().columns().split_off(1);
        let condition = same(&domain.refs, &matched);
        *input = LogicalPlanBuilder::from(input.clone()).join_on(right, JoinType::Left, condition)?.build()?;
        Ok(Expr::Column(Column::new(Some(alias), name)))
    }
}

/// TRUE, else NULL, else FALSE.
fn three_valued(found: Expr, unknown: Expr) -> Result<Expr> {
    when(found, lit(true)).when(unknown, lit(ScalarValue::Boolean(None))).otherwise(lit(false))
}

/// `plan` with these columns only.
fn only(plan: LogicalPlan, visible: Vec<Column>) -> Result<LogicalPlan> {
    if plan.schema().fields().len() == visible.len() {
        return Ok(plan);
    }
    LogicalPlanBuilder::from(plan).project(visible.into_iter().map(Expr::Column))?.build()
}

fn first_column(plan: &LogicalPlan) -> Expr {
    Expr::Column(Column::from(plan.schema().qualified_field(0)))
}

fn subquery_of(plan: Arc<LogicalPlan>) -> Subquery {
    let outer_ref_columns = plan.all_out_ref_exprs();
    Subquery { subquery: plan, outer_ref_columns, spans: Spans::new() }
}

/// An expression over `input` as a subquery of it sees it.
fn as_outer(expr: Expr, input: &LogicalPlan) -> Result<Expr> {
    let outer = expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let (_, field) = input.schema().qualified_field_from_column(&column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(Arc::clone(field), column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(outer.data)
}

/// `= ANY` and `<> ALL` as `IN` and `NOT IN`.
fn as_in(expr: Expr) -> Expr {
    let (negated, comparison) = match expr {
        Expr::SetComparison(set) if set.op == Operator::Eq && set.quantifier == SetQuantifier::Any => (false, set),
        Expr::SetComparison(set) if set.op == Operator::NotEq && set.quantifier == SetQuantifier::All => (true, set),
        other => return other,
    };
    Expr::InSubquery(InSubquery { expr: comparison.expr, subquery: comparison.subquery, negated })
}

/// A subquery expression, its plan replaced.
pub(super) fn map_subquery(expr: Expr, f: &mut dyn FnMut(LogicalPlan) -> Result<LogicalPlan>) -> Result<Expr> {
    let mut map = |subquery: Subquery| -> Result<Subquery> {
        Ok(subquery_of(Arc::new(f(Arc::unwrap_or_clone(subquery.subquery))?)))
    };
    Ok(match expr {
        Expr::ScalarSubquery(subquery) => Expr::ScalarSubquery(map(subquery)?),
        Expr::Exists(Exists { subquery, negated }) => Expr::Exists(Exists { subquery: map(subquery)?, negated }),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            Expr::InSubquery(InSubquery { expr, subquery: map(subquery)?, negated })
        }
        Expr::SetComparison(set) => Expr::SetComparison(SetComparison { subquery: map(set.subquery)?, ..set }),
        other => other,
    })
}

fn has_subquery(node: &LogicalPlan) -> bool {
    let mut found = false;
    // Nothing in it fails.
    let _infallible = node.apply_expressions(|expr| {
        found |= expr.exists(|expr| Ok(subquery_in(expr).is_some()))?;
        Ok(TreeNodeRecursion::Continue)
    });
    found
}

fn subquery_in(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::ScalarSubquery(subquery)
        | Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. }) => Some(subquery),
        _ => None,
    }
}

/// Outer columns that a node's expressions refer to, those of subqueries in them included.
pub(super) fn outer_columns_at(node: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    node.apply_expressions(|expr| {
        collect_outer(expr, &mut found)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn collect_outer(expr: &Expr, found: &mut Vec<Column>) -> Result<()> {
    expr.apply(|expr| {
        if let Expr::OuterReferenceColumn(_, column) = expr
            && !found.contains(column)
        {
            found.push(column.clone());
        }
        if let Some(subquery) = subquery_in(expr) {
            found.extend(outer_columns(&subquery.subquery)?);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Outer columns that a plan refers to, each once.
fn outer_columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found: Vec<Column> = Vec::new();
    plan.apply(|node| {
        for column in outer_columns_at(node)? {
            if !found.contains(&column) {
                found.push(column);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Columns of the plan at hand that an expression needs, those that its subqueries refer to included.
fn all_columns(expr: &Expr) -> Result<Vec<Column>> {
    let mut columns: Vec<Column> = expr.column_refs().into_iter().cloned().collect();
    collect_outer(expr, &mut columns)?;
    Ok(columns)
}

/// Whether an expression of this node has a subquery that DataFusion would not plan, or not right.
fn claims(expr: &Expr, node: &LogicalPlan) -> Result<bool> {
    match node {
        LogicalPlan::Filter(_) => {
            for condition in split_conjunction(expr) {
                if claims_condition(condition)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        LogicalPlan::Projection(_) => claims_value(expr),
        _ => expr.exists(|expr| match expr {
            Expr::ScalarSubquery(subquery) => Ok(!outer_columns(&subquery.subquery)?.is_empty()),
            other => Ok(subquery_in(other).is_some()),
        }),
    }
}

/// The same of a condition of a WHERE that stands alone.
fn claims_condition(condition: &Expr) -> Result<bool> {
    let (positive, condition) = match condition {
        Expr::Not(inner) => (false, inner.as_ref()),
        other => (true, other),
    };
    match condition {
        Expr::Exists(Exists { subquery, .. }) => Ok(!is_simple(&subquery.subquery)?),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            let anti = *negated == positive;
            let correlated = !outer_columns(&subquery.subquery)?.is_empty();
            Ok(claims_value(expr)? || (anti && correlated) || !is_simple(&subquery.subquery)?)
        }
        other => claims_value(other),
    }
}

/// The same of a value.
fn claims_value(expr: &Expr) -> Result<bool> {
    expr.exists(|expr| match expr {
        Expr::ScalarSubquery(subquery) => Ok(!is_simple_aggregate(&subquery.subquery)?),
        other => Ok(subquery_in(other).is_some()),
    })
}

fn is_uncorrelated(plan: &LogicalPlan) -> Result<bool> {
    Ok(outer_columns(plan)?.is_empty())
}

/// Whether only filters refer to outer columns, with nothing above them that depends on the number of rows.
fn is_simple(plan: &LogicalPlan) -> Result<bool> {
    if is_uncorrelated(plan)? {
        return Ok(true);
    }
    match plan {
        LogicalPlan::Filter(filter) => Ok(!has_subquery(plan) && is_simple(&filter.input)?),
        LogicalPlan::Projection(projection) => Ok(outer_columns_at(plan)?.is_empty() && is_simple(&projection.input)?),
        LogicalPlan::SubqueryAlias(alias) => is_simple(&alias.input),
        LogicalPlan::Distinct(Distinct::All(input)) => is_simple(input),
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
            Ok(outer_columns_at(plan)?.is_empty() && is_simple(&join.left)? && is_simple(&join.right)?)
        }
        _ => Ok(false),
    }
}

/// Whether a scalar subquery is an aggregate over rows that only equalities tie to the outer row.
fn is_simple_aggregate(plan: &LogicalPlan) -> Result<bool> {
    if is_uncorrelated(plan)? {
        return Ok(true);
    }
    match plan {
        LogicalPlan::Projection(projection) => {
            Ok(outer_columns_at(plan)?.is_empty() && is_simple_aggregate(&projection.input)?)
        }
        LogicalPlan::SubqueryAlias(alias) => is_simple_aggregate(&alias.input),
        LogicalPlan::Aggregate(aggregate) => Ok(aggregate.group_expr.is_empty()
            && outer_columns_at(plan)?.is_empty()
            && is_simple(&aggregate.input)?
            && is_tied_by_equalities(&aggregate.input)?),
        _ => Ok(false),
    }
}

fn is_tied_by_equalities(plan: &LogicalPlan) -> Result<bool> {
    let mut tied = true;
    plan.apply(|node| {
        if let LogicalPlan::Filter(filter) = node {
            let conditions = split_conjunction(&filter.predicate);
            tied &= conditions.into_iter().all(|condition| !condition.contains_outer() || is_tie(condition));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tied)
}

/// `inner = outer`.
fn is_tie(condition: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else {
        return false;
    };
    let is_inner = |expr: &Expr| matches!(expr, Expr::Column(_));
    let is_outer = |expr: &Expr| expr.contains_outer() && expr.column_refs().is_empty();
    (is_inner(left) && is_outer(right)) || (is_outer(left) && is_inner(right))
}
