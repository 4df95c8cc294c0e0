//! Bounds on what a statement expands to. A common table expression or a view stands wherever it is named, so that a short text can mean a
//! plan of any size; and what looks at plans later goes down them.
//!
//! **Invariants**: looking takes time and memory in proportion to the bounds, whatever the plan.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{ObjectName, Query, Statement, TableFactor, Visit, Visitor};
use siltstone_storage::folded_name;

use crate::QueryError;
use crate::error::Result;
use crate::names::parts;

/// Most operators of a plan, subqueries included. Generated SQL stays far below it; planning so many takes seconds.
const OPERATORS_MAX: usize = 10_000;
/// Most operators on the way from the result to a table.
const DEPTH_MAX: usize = 2_000;

/// Most tables that a statement reads, each counted as often as it would be read.
const TABLES_MAX: usize = 5_000;

/// Looks at a statement before it is planned, which takes as long as the plan is large. `operators_of` says what a name stands for.
///
/// # Errors
/// `Binder Error` for one that reads too many tables.
pub(crate) fn check_statement(statement: &Statement, operators_of: impl Fn(&ObjectName) -> usize) -> Result<()> {
    let mut references = References { operators_of, queries: Vec::new() };
    match statement.visit(&mut references) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(QueryError::binder(format_args!(
            "the statement expands to more than {TABLES_MAX} tables: its common table expressions and views refer to each other too often"
        ))),
    }
}

/// Counts tables, query by query.
struct References<F> {
    operators_of: F,
    /// The queries around, the innermost last.
    queries: Vec<Counted>,
}

/// A query that is being looked at. Its common table expressions come first, each a query of its own.
struct Counted {
    tables: usize,
    /// Names of its common table expressions, and how many tables those stand for that were looked at.
    named: Vec<String>,
    known: Vec<usize>,
}

impl<F> References<F> {
    /// What a name of one part stands for, if it is one of a common table expression.
    fn named(&self, name: &ObjectName) -> Option<usize> {
        let [name] = parts(name).ok()?[..] else { return None };
        let name = folded_name(name);
        self.queries.iter().rev().find_map(|query| {
            let place = query.named.iter().take(query.known.len()).rposition(|known| *known == name)?;
            Some(query.known[place])
        })
    }
}

impl<F: Fn(&ObjectName) -> usize> Visitor for References<F> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let named = query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| folded_name(&cte.alias.name.value));
        self.queries.push(Counted { tables: 0, named: named.collect(), known: Vec::new() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        let tables = self.queries.pop().map_or(0, |query| query.tables);
        let Some(around) = self.queries.last_mut() else { return ControlFlow::Continue(()) };
        if around.known.len() < around.named.len() {
            around.known.push(tables.max(1));
            return ControlFlow::Continue(());
        }
        around.tables = around.tables.saturating_add(tables);
        if around.tables > TABLES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, .. } = factor else { return ControlFlow::Continue(()) };
        let tables = self.named(name).unwrap_or_else(|| (self.operators_of)(name));
        let Some(query) = self.queries.last_mut() else { return ControlFlow::Continue(()) };
        query.tables = query.tables.saturating_add(tables);
        if query.tables > TABLES_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// # Errors
/// `Binder Error` for a plan beyond the bounds.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    let mut size = Size::default();
    size.add(plan, 0)?;
    while let Some((subquery, depth)) = size.subqueries.pop() {
        size.add(&subquery, depth)?;
    }
    Ok(())
}

#[derive(Default)]
struct Size {
    operators: usize,
    /// Yet to be added, with how deep they are.
    subqueries: Vec<(Arc<LogicalPlan>, usize)>,
}

impl Size {
    fn add(&mut self, plan: &LogicalPlan, depth: usize) -> Result<()> {
        let mut waiting = vec![(plan, depth)];
        while let Some((plan, depth)) = waiting.pop() {
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                return Err(QueryError::binder(format_args!(
                    "the statement expands to more than {OPERATORS_MAX} operators: its common table expressions and views refer to each other too often"
                )));
            }
            if depth > DEPTH_MAX {
                return Err(QueryError::binder(format_args!(
                    "the statement expands to more than {DEPTH_MAX} nested operators"
                )));
            }
            plan.apply_expressions(|expr| {
                expr.apply(|expr| {
                    let subquery = match expr {
                        Expr::ScalarSubquery(subquery) => Some(subquery),
                        Expr::InSubquery(within) => Some(&within.subquery),
                        Expr::Exists(exists) => Some(&exists.subquery),
                        Expr::SetComparison(comparison) => Some(&comparison.subquery),
                        _ => None,
                    };
                    self.subqueries.extend(subquery.map(|subquery| (Arc::clone(&subquery.subquery), depth + 1)));
                    Ok(TreeNodeRecursion::Continue)
                })
            })?;
            waiting.extend(plan.inputs().into_iter().map(|input| (input, depth + 1)));
        }
        Ok(())
    }
}
