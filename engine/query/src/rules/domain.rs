//! A correlated plan as one that is not: computed once for all combinations of the outer columns it refers to.
//!
//! The *domain* is the set of those combinations. It is joined to the plan as low as the outer columns are used, and comes out of the
//! top as further columns, by which the result is joined to the outer rows (Neumann and Kemper, *Unnesting Arbitrary Queries*, 2015).
//!
//! **Invariants**
//! 1. For each row of the domain, the rows that come out with it are those that the plan has with these values of the outer columns.
//! 2. The plan's own columns keep their names and types.
//! 3. A plan that cannot be pushed through is refused, never computed wrongly.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ExprSchema, JoinType, ScalarValue, not_impl_err};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    Aggregate, Distinct, Expr, ExprFunctionExt, FetchType, Filter, Join, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, SkipType, SortExpr, SubqueryAlias, Union, Window, binary_expr, lit, when,
};

use super::subqueries::Subqueries;

/// The combinations of outer columns that a subquery refers to.
#[derive(Debug)]
pub(super) struct Domain {
    /// Distinct combinations, one column per entry of `refs`.
    plan: Arc<LogicalPlan>,
    /// The outer columns.
    pub(super) refs: Vec<Column>,
}

/// A plan that the domain was pushed into, and where its columns come out.
#[derive(Debug)]
pub(super) struct Pushed {
    pub(super) plan: LogicalPlan,
    pub(super) columns: Vec<Column>,
}

impl Domain {
    /// The combinations that the rows of `outer` have.
    pub(super) fn new(outer: &LogicalPlan, refs: Vec<Column>) -> Result<Self> {
        let exprs = refs.iter().cloned().map(Expr::Column);
        let plan = LogicalPlanBuilder::from(outer.clone()).project(exprs)?.distinct()?.build()?;
        Ok(Self { plan: Arc::new(plan), refs })
    }

    /// The domain under names that nothing else in the query has.
    fn instance(&self, rule: &mut Subqueries) -> Result<Pushed> {
        let alias = rule.fresh("domain");
        let fields = self.plan.schema().columns();
        let exprs =
            fields.into_iter().enumerate().map(|(i, column)| Expr::Column(column).alias(format!("{alias}.{i}")));
        let plan =
            LogicalPlanBuilder::from(self.plan.as_ref().clone()).project(exprs)?.alias(alias.as_str())?.build()?;
        let columns = plan.schema().columns();
        Ok(Pushed { plan, columns })
    }

    fn is_used(&self, plan: &LogicalPlan) -> Result<bool> {
        plan.exists(|node| self.is_used_at(node))
    }

    fn is_used_at(&self, node: &LogicalPlan) -> Result<bool> {
        Ok(super::subqueries::outer_columns_at(node)?.iter().any(|column| self.refs.contains(column)))
    }
}

impl Pushed {
    /// `expr` with the domain's columns for the outer ones.
    fn substitute(&self, expr: Expr, domain: &Domain) -> Result<Expr> {
        Ok(replace_outer(expr, &|column| self.of(column, domain))?.data)
    }

    fn of(&self, column: &Column, domain: &Domain) -> Option<Column> {
        let i = domain.refs.iter().position(|found| found == column)?;
        self.columns.get(i).cloned()
    }

    fn exprs(&self) -> Vec<Expr> {
        self.columns.iter().cloned().map(Expr::Column).collect()
    }
}

/// Outer references replaced: by columns in the expression itself, by references to those columns in subqueries within it.
fn replace_outer(expr: Expr, to: &dyn Fn(&Column) -> Option<Column>) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match expr {
        Expr::OuterReferenceColumn(field, column) => Ok(match to(&column) {
            Some(column) => Transformed::yes(Expr::Column(column)),
            None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
        }),
        Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) => {
            super::subqueries::map_subquery(expr, &mut |plan| {
                let replaced = plan.transform_up_with_subqueries(|node| {
                    node.map_expressions(|expr| {
                        expr.transform_up(|expr| match expr {
                            Expr::OuterReferenceColumn(field, column) => Ok(match to(&column) {
                                Some(column) => Transformed::yes(Expr::OuterReferenceColumn(field, column)),
                                None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
                            }),
                            other => Ok(Transformed::no(other)),
                        })
                    })
                })?;
                Ok(replaced.data)
            })
            .map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })
}

impl Subqueries {
    /// Computes `plan` for all rows of the domain at once.
    ///
    /// # Errors
    /// `NotImplemented` for plans that nothing is known of.
    pub(super) fn push(&mut self, plan: LogicalPlan, domain: &Domain) -> Result<Pushed> {
        if !domain.is_used(&plan)? {
            let Pushed { plan: instance, columns } = domain.instance(self)?;
            let plan = LogicalPlanBuilder::from(instance).cross_join(plan)?.build()?;
            return Ok(Pushed { plan, columns });
        }
        match plan {
            LogicalPlan::Filter(filter) => {
                let input = self.push(Arc::unwrap_or_clone(filter.input), domain)?;
                let predicate = input.substitute(filter.predicate, domain)?;
                let Pushed { plan, columns } = input;
                let plan = self.node(LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(plan))?))?;
                Ok(Pushed { plan, columns })
            }
            LogicalPlan::Projection(projection) => {
                let names = NamePreserver::new_for_projection();
                let input = self.push(Arc::unwrap_or_clone(projection.input), domain)?;
                let mut exprs = substituted(&input, projection.expr, &names, domain)?;
                exprs.extend(input.exprs());
                let Pushed { plan, columns } = input;
                let plan = self.node(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?))?;
                Ok(Pushed { plan, columns })
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Pushed { plan, columns } = self.push(Arc::unwrap_or_clone(alias.input), domain)?;
                let columns = columns.into_iter().map(|column| Column::new(Some(alias.alias.clone()), column.name));
                let columns = columns.collect();
                let plan = LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(plan), alias.alias)?);
                Ok(Pushed { plan, columns })
            }
            LogicalPlan::Aggregate(aggregate) => self.push_into_aggregate(aggregate, domain),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Pushed { plan, columns } = self.push(Arc::unwrap_or_clone(input), domain)?;
                Ok(Pushed { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(plan))), columns })
            }
            // Without a limit, the order of a subquery's rows means nothing.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.push(Arc::unwrap_or_clone(sort.input), domain),
            LogicalPlan::Limit(limit) => self.push_into_limit(limit, domain),
            LogicalPlan::Join(join) => self.push_into_join(join, domain),
            LogicalPlan::Union(union) => self.push_into_union(union, domain),
            LogicalPlan::Window(window) => self.push_into_window(window, domain),
            LogicalPlan::Unnest(unnest) => {
                let exprs = LogicalPlan::Unnest(unnest.clone()).expressions();
                let Pushed { plan, columns } = self.push(unnest.input.as_ref().clone(), domain)?;
                let plan = LogicalPlan::Unnest(unnest).with_new_exprs(exprs, vec![plan])?;
                Ok(Pushed { plan, columns })
            }
            other => not_impl_err!("a correlated subquery over {}", other.display()),
        }
    }

    /// Groups within each row of the domain. Without GROUP BY there is a result for no rows as well.
    fn push_into_aggregate(&mut self, aggregate: Aggregate, domain: &Domain) -> Result<Pushed> {
        if aggregate.group_expr.iter().any(|expr| matches!(expr, Expr::GroupingSet(_))) {
            return not_impl_err!("a correlated subquery over GROUPING SETS");
        }
        let names = NamePreserver::new_for_projection();
        let input = self.push(Arc::unwrap_or_clone(aggregate.input), domain)?;
        let aggregates = substituted(&input, aggregate.aggr_expr.clone(), &names, domain)?;
        let mut groups = substituted(&input, aggregate.group_expr.clone(), &names, domain)?;
        groups.extend(input.exprs());
        let columns = input.columns.clone();
        if !aggregate.group_expr.is_empty() {
            let node = Aggregate::try_new(Arc::new(input.plan), groups, aggregates)?;
            let plan = self.node(LogicalPlan::Aggregate(node))?;
            return Ok(Pushed { plan, columns });
        }
        let marker = self.fresh("some");
        groups.push(lit(true).alias(marker.as_str()));
        let node = Aggregate::try_new(Arc::new(input.plan), groups, aggregates)?;
        let grouped = self.node(LogicalPlan::Aggregate(node))?;
        let all = domain.instance(self)?;
        let matched = same(&all.columns, &columns);
        let joined = LogicalPlanBuilder::from(all.plan).join_on(grouped, JoinType::Left, matched)?.build()?;
        let is_empty = Expr::Column(Column::new_unqualified(marker)).is_null();
        let mut exprs = Vec::new();
        for (expr, column) in aggregate.aggr_expr.iter().zip(aggregate.schema.columns()) {
            let nothing = of_no_rows(expr, aggregate.schema.field_from_column(&column)?.data_type())?;
            let value = Expr::Column(column.clone());
            exprs.push(if nothing.is_null() {
                value
            } else {
                when(is_empty.clone(), lit(nothing)).otherwise(value)?.alias_qualified(column.relation, column.name)
            });
        }
        exprs.extend(all.columns.iter().cloned().map(Expr::Column));
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(joined))?);
        Ok(Pushed { plan, columns: all.columns })
    }

    /// The first rows within each row of the domain.
    fn push_into_limit(&mut self, limit: Limit, domain: &Domain) -> Result<Pushed> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return not_impl_err!("a correlated subquery with a LIMIT that is not a number");
        };
        let (input, order) = match Arc::unwrap_or_clone(limit.input) {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => (Arc::unwrap_or_clone(sort.input), sort.expr),
            other => (other, Vec::new()),
        };
        let input = self.push(input, domain)?;
        let order = order
            .into_iter()
            .map(|key| Ok(SortExpr { expr: input.substitute(key.expr, domain)?, ..key }))
            .collect::<Result<Vec<_>>>()?;
        let name = self.fresh("row");
        let number = row_number().partition_by(input.exprs()).order_by(order).build()?.alias(name.as_str());
        let number_of = || Expr::Column(Column::new_unqualified(name.as_str()));
        let mut kept = number_of().gt(lit(skip as u64));
        if let Some(fetch) = fetch {
            kept = kept.and(number_of().lt_eq(lit(skip.saturating_add(fetch) as u64)));
        }
        let Pushed { plan, columns } = input;
        let visible: Vec<Expr> = plan.schema().columns().into_iter().map(Expr::Column).collect();
        let window = LogicalPlan::Window(Window::try_new(vec![number], Arc::new(plan))?);
        let plan = LogicalPlanBuilder::from(window).filter(kept)?.project(visible)?.build()?;
        Ok(Pushed { plan, columns })
    }

    fn push_into_join(&mut self, join: Join, domain: &Domain) -> Result<Pushed> {
        let on_right = domain.is_used(&join.right)?;
        let keeps_left = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => true,
            other => return not_impl_err!("a correlated subquery over a {other} JOIN"),
        };
        let push_left = keeps_left || !on_right || domain.is_used(&join.left)?;
        let (mut left, mut right) = (Arc::unwrap_or_clone(join.left), Arc::unwrap_or_clone(join.right));
        let mut columns = Vec::new();
        if push_left {
            let pushed = self.push(left, domain)?;
            (left, columns) = (pushed.plan, pushed.columns);
        }
        let mut conditions: Vec<Expr> = join.filter.into_iter().collect();
        if on_right {
            let pushed = self.push(right, domain)?;
            right = pushed.plan;
            if push_left {
                conditions.extend(same(&columns, &pushed.columns));
            } else {
                columns = pushed.columns;
            }
        }
        let at = Pushed { plan: left, columns };
        let conditions = conditions.into_iter().map(|expr| at.substitute(expr, domain)).collect::<Result<Vec<_>>>()?;
        let on = join.on.into_iter().map(|(l, r)| Ok((at.substitute(l, domain)?, at.substitute(r, domain)?)));
        let on = on.collect::<Result<Vec<_>>>()?;
        let Pushed { plan: left, columns } = at;
        let joined = Join::try_new(
            Arc::new(left),
            Arc::new(right),
            on,
            conjunction(conditions),
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        Ok(Pushed { plan: self.node(LogicalPlan::Join(joined))?, columns })
    }

    /// Every branch gives its own columns first, then the domain's.
    fn push_into_union(&mut self, union: Union, domain: &Domain) -> Result<Pushed> {
        let alias = self.fresh("union");
        let names: Vec<String> = (0..domain.refs.len()).map(|i| format!("{alias}.{i}")).collect();
        let mut branches = Vec::new();
        for input in union.inputs {
            let own = input.schema().columns();
            let pushed = self.push(Arc::unwrap_or_clone(input), domain)?;
            let mut exprs: Vec<Expr> = own.into_iter().map(Expr::Column).collect();
            exprs.extend(pushed.exprs().into_iter().zip(&names).map(|(expr, name)| expr.alias(name)));
            branches.push(Arc::new(LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(pushed.plan))?)));
        }
        let pushed = LogicalPlan::Union(Union::try_new_with_loose_types(branches)?);
        // A union drops qualifiers; whoever reads this one knows its columns as they were.
        let exprs = pushed.schema().columns().into_iter().enumerate().map(|(i, column)| {
            match (i < union.schema.fields().len()).then(|| union.schema.qualified_field(i)) {
                Some((relation, field)) => Expr::Column(column).alias_qualified(relation.cloned(), field.name()),
                None => Expr::Column(column),
            }
        });
        let plan = LogicalPlanBuilder::from(pushed.clone()).project(exprs)?.build()?;
        Ok(Pushed { plan, columns: names.into_iter().map(Column::new_unqualified).collect() })
    }

    fn push_into_window(&mut self, window: Window, domain: &Domain) -> Result<Pushed> {
        let names = NamePreserver::new_for_projection();
        let input = self.push(Arc::unwrap_or_clone(window.input), domain)?;
        let mut exprs = Vec::new();
        for expr in window.window_expr {
            let name = names.save(&expr);
            let expr = input.substitute(expr, domain)?.transform_up(|expr| match expr {
                Expr::WindowFunction(function) => {
                    let mut function: WindowFunction = *function;
                    function.params.partition_by.extend(input.exprs());
                    Ok(Transformed::yes(Expr::from(function)))
                }
                other => Ok(Transformed::no(other)),
            })?;
            exprs.push(name.restore(expr.data));
        }
        let Pushed { plan, columns } = input;
        let plan = self.node(LogicalPlan::Window(Window::try_new(exprs, Arc::new(plan))?))?;
        Ok(Pushed { plan, columns })
    }
}

fn substituted(input: &Pushed, exprs: Vec<Expr>, names: &NamePreserver, domain: &Domain) -> Result<Vec<Expr>> {
    exprs
        .into_iter()
        .map(|expr| {
            let name = names.save(&expr);
            Ok(name.restore(input.substitute(expr, domain)?))
        })
        .collect()
}

/// Whether two sets of columns have the same values, NULLs included.
pub(super) fn same(left: &[Column], right: &[Column]) -> Vec<Expr> {
    let pairs = left.iter().zip(right);
    pairs.map(|(left, right)| is_not_distinct(Expr::Column(left.clone()), Expr::Column(right.clone()))).collect()
}

fn is_not_distinct(left: Expr, right: Expr) -> Expr {
    binary_expr(left, Operator::IsNotDistinctFrom, right)
}

/// What an aggregate gives for no rows.
fn of_no_rows(expr: &Expr, ty: &DataType) -> Result<ScalarValue> {
    match expr {
        Expr::Alias(alias) => of_no_rows(&alias.expr, ty),
        Expr::AggregateFunction(function) => function.func.default_value(ty),
        other => not_impl_err!("{other} as an aggregate in a correlated subquery"),
    }
}
