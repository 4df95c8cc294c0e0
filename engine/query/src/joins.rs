//! DuckDB's joins beyond the standard: `SEMI JOIN` and `ANTI JOIN`, which DataFusion knows by longer names; `POSITIONAL JOIN`, which the
//! parser crate takes for an alias; `unnest` among them.
//!
//! **Invariants**: a join is planned as what it says, or refused.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use crate::QueryError;
use crate::error::Result;

/// Gives every join the name under which it is planned.
///
/// # Errors
/// `Not implemented Error` for a join that is not.
pub(crate) fn lower(statement: &mut Statement) -> Result<()> {
    match VisitMut::visit(statement, &mut Joins) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Joins;

impl Joins {
    fn lower(tables: &mut TableWithJoins) -> ControlFlow<QueryError> {
        let mut before = &tables.relation;
        for join in &tables.joins {
            if is_called_positional(before) {
                return ControlFlow::Break(QueryError::not_implemented("POSITIONAL JOIN is not supported"));
            }
            before = &join.relation;
        }
        for join in &mut tables.joins {
            let operator = std::mem::replace(&mut join.join_operator, JoinOperator::CrossApply);
            join.join_operator = match operator {
                JoinOperator::Semi(constraint) => JoinOperator::LeftSemi(constraint),
                JoinOperator::Anti(constraint) => JoinOperator::LeftAnti(constraint),
                other => other,
            };
        }
        ControlFlow::Continue(())
    }
}

/// `t POSITIONAL` before a JOIN.
fn is_called_positional(factor: &TableFactor) -> bool {
    let (TableFactor::Table { alias, .. } | TableFactor::Derived { alias, .. }) = factor else {
        return false;
    };
    alias.as_ref().is_some_and(|alias| {
        let name = &alias.name;
        !alias.explicit && name.quote_style.is_none() && name.value.eq_ignore_ascii_case("positional")
    })
}

/// `unnest(list)` in a FROM, which the parser crate takes for any other function there.
fn unnested(factor: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, args: Some(arguments), alias, .. } = factor else {
        return None;
    };
    if !name.to_string().eq_ignore_ascii_case("unnest") {
        return None;
    }
    let lists = arguments.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(list)) => Some(list.clone()),
        _ => None,
    });
    Some(TableFactor::UNNEST {
        alias: alias.clone(),
        array_exprs: lists.collect::<Option<_>>()?,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    })
}

impl VisitorMut for Joins {
    type Break = QueryError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<QueryError> {
        select.from.iter_mut().try_for_each(Self::lower)
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        if let Some(unnested) = unnested(factor) {
            *factor = unnested;
        }
        match factor {
            TableFactor::NestedJoin { table_with_joins, .. } => Self::lower(table_with_joins),
            _ => ControlFlow::Continue(()),
        }
    }
}
