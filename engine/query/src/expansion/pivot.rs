//! `PIVOT` and `UNPIVOT` as the grouped and unnested queries that they stand for.
//!
//! **Invariants**
//! 1. Columns that a PIVOT neither pivots nor aggregates are those it groups by; those that an UNPIVOT leaves are repeated.
//! 2. Values that a PIVOT is not given are read from the table, sorted as text; NULL is none of them.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::sql::sqlparser::ast::*;
use siltstone_storage::folded_name;

use super::columns::Column;
use super::{COLUMNS_MAX, Surroundings, columns};
use crate::QueryError;
use crate::error::Result;
use crate::output_names::expression_name;
use crate::syntax;

/// Most columns that a PIVOT makes: each is an aggregate of its own.
const PIVOT_COLUMNS_MAX: usize = 1000;

/// The query that a PIVOT or UNPIVOT of a FROM stands for.
///
/// # Errors
/// `Binder Error` for a form that fits no columns, `Not implemented Error` for parts that DuckDB has not.
pub(super) async fn lower(surroundings: &Surroundings<'_>, factor: TableFactor) -> Result<TableFactor> {
    let (select, alias, default) = match factor {
        TableFactor::Pivot { table, aggregate_functions, value_column, value_source, default_on_null, alias } => {
            if default_on_null.is_some() {
                return Err(QueryError::not_implemented("DEFAULT ON NULL is not supported"));
            }
            let pivot = Pivot { source: *table, on: value_column, aggregates: aggregate_functions };
            (pivot.lower(surroundings, value_source).await?, alias, "pivot")
        }
        TableFactor::Unpivot { table, value, name, columns, null_inclusion, alias } => {
            let with_nulls = null_inclusion == Some(NullInclusion::IncludeNulls);
            let unpivot = Unpivot { source: *table, value, name, columns, with_nulls };
            (unpivot.lower(surroundings).await?, alias, "unpivot")
        }
        other => return Err(QueryError::internal(format_args!("{other} is no PIVOT"))),
    };
    let alias = alias.unwrap_or_else(|| syntax::table_alias(Ident::new(default)));
    Ok(syntax::derived(syntax::query(select), alias))
}

/// The names of all columns that expressions mention, folded.
fn mentioned<'a>(expressions: impl Iterator<Item = &'a Expr>) -> HashSet<String> {
    let mut names = HashSet::new();
    for expr in expressions {
        // Collecting never breaks.
        let _all = visit_expressions(expr, |part| {
            match part {
                Expr::Identifier(name) => _ = names.insert(folded_name(&name.value)),
                Expr::CompoundIdentifier(parts) => {
                    names.extend(parts.last().map(|name| folded_name(&name.value)));
                }
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        });
    }
    names
}

/// The columns that are not mentioned, as items.
fn rest(columns: &[Column], mentioned: &HashSet<String>) -> Vec<Expr> {
    let others = columns.iter().filter(|column| !mentioned.contains(&folded_name(&column.name)));
    others.map(Column::expr).collect()
}

fn text(value: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.to_owned()).into())
}

fn as_text(expr: Expr) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(expr),
        data_type: DataType::Varchar(None),
        array: false,
        format: None,
    }
}

struct Pivot {
    source: TableFactor,
    on: Vec<Expr>,
    aggregates: Vec<ExprWithAlias>,
}

/// One value of a pivoted expression: the condition that rows have it, and what it is called.
#[derive(Clone)]
struct PivotValue {
    condition: Expr,
    name: String,
}

impl Pivot {
    async fn lower(mut self, surroundings: &Surroundings<'_>, values: PivotValueSource) -> Result<Select> {
        let from = vec![syntax::alone(self.source.clone())];
        let columns = surroundings.columns(from.clone()).await?;
        let values = match values {
            PivotValueSource::List(given) => match self.on.as_slice() {
                [on] => vec![given_values(on, &given)],
                _ => {
                    return Err(QueryError::not_implemented("PIVOT of several columns with one list is not supported"));
                }
            },
            PivotValueSource::Any(order) if order.is_empty() => self.values(surroundings).await?,
            other => return Err(QueryError::not_implemented(format_args!("PIVOT IN ({other}) is not supported"))),
        };
        if self.aggregates.is_empty() {
            let count = crate::dialect::parse_expression("count(*)")?;
            self.aggregates.push(ExprWithAlias { expr: count, alias: None });
        }
        let used = mentioned(self.on.iter().chain(self.aggregates.iter().map(|aggregate| &aggregate.expr)));
        let groups = rest(&columns, &used);
        let combined = combinations(&values, PIVOT_COLUMNS_MAX / self.aggregates.len())?;
        let mut items: Vec<SelectItem> = groups.iter().cloned().map(SelectItem::UnnamedExpr).collect();
        for value in &combined {
            for aggregate in &self.aggregates {
                items.push(SelectItem::ExprWithAlias {
                    expr: of_rows(surroundings, &aggregate.expr, &value.condition)?,
                    alias: Ident::with_quote('"', self.name(aggregate, value)),
                });
            }
        }
        if items.is_empty() {
            return Err(QueryError::binder("PIVOT leaves no column"));
        }
        let mut select = syntax::select(items, from, None);
        if !groups.is_empty() {
            select.group_by = GroupByExpr::Expressions(groups, Vec::new());
        }
        Ok(select)
    }

    /// The value's name, with that of the aggregate if it has one, or if there are several.
    fn name(&self, aggregate: &ExprWithAlias, value: &PivotValue) -> String {
        match &aggregate.alias {
            Some(alias) => format!("{}_{}", value.name, alias.value),
            None if self.aggregates.len() > 1 => format!("{}_{}", value.name, expression_name(&aggregate.expr)),
            None => value.name.clone(),
        }
    }

    /// The values of each pivoted expression: those of its `IN`, else all that the table has.
    async fn values(&mut self, surroundings: &Surroundings<'_>) -> Result<Vec<Vec<PivotValue>>> {
        let mut values = Vec::with_capacity(self.on.len());
        for on in &mut self.on {
            if let Expr::InList { expr, list, negated: false } = on {
                let given: Vec<ExprWithAlias> =
                    list.drain(..).map(|expr| ExprWithAlias { expr, alias: None }).collect();
                let on_expr = expr.as_ref().clone();
                values.push(given_values(&on_expr, &given));
                *on = on_expr;
                continue;
            }
            let shown = as_text(on.clone());
            let mut names = Vec::new();
            let found = distinct(&self.source, &shown);
            for batch in surroundings.rows(found).await? {
                let array = cast(batch.column(0), &ArrowType::Utf8View)?;
                names.extend(array.as_string_view().iter().flatten().map(str::to_owned));
            }
            names.sort_unstable();
            let value = |name: String| PivotValue { condition: syntax::equal(shown.clone(), text(&name)), name };
            values.push(names.into_iter().map(value).collect());
        }
        Ok(values)
    }
}

/// `SELECT DISTINCT value FROM source`, one more than a PIVOT may have at most.
fn distinct(source: &TableFactor, value: &Expr) -> Select {
    let inner = Select {
        distinct: Some(Distinct::Distinct),
        ..syntax::select(vec![syntax::item(value.clone(), "\0value")], vec![syntax::alone(source.clone())], None)
    };
    let mut limited = syntax::query(inner);
    limited.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(syntax::number(PIVOT_COLUMNS_MAX + 2)),
        offset: None,
        limit_by: Vec::new(),
    });
    let from = syntax::alone(syntax::derived(limited, syntax::table_alias(Ident::new("\0values"))));
    syntax::select(vec![syntax::star()], vec![from], None)
}

fn given_values(on: &Expr, given: &[ExprWithAlias]) -> Vec<PivotValue> {
    let value = |value: &ExprWithAlias| {
        let name = match (&value.alias, &value.expr) {
            (Some(alias), _) => alias.value.clone(),
            (None, Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. })) => text.clone(),
            (None, expr) => expression_name(expr),
        };
        let condition = Expr::IsNotDistinctFrom(Box::new(on.clone()), Box::new(value.expr.clone()));
        PivotValue { condition, name }
    };
    given.iter().map(value).collect()
}

/// Each value of the first with each of the second and so on, names joined by `_`.
fn combinations(values: &[Vec<PivotValue>], max: usize) -> Result<Vec<PivotValue>> {
    let mut combined: Vec<PivotValue> = Vec::new();
    for (i, next) in values.iter().enumerate() {
        if combined.len().max(1) * next.len() > max {
            return Err(QueryError::binder(format_args!("PIVOT makes up to {PIVOT_COLUMNS_MAX} columns")));
        }
        combined = if i == 0 {
            next.clone()
        } else {
            let with = |first: &PivotValue, second: &PivotValue| PivotValue {
                condition: syntax::and(first.condition.clone(), second.condition.clone()),
                name: format!("{}_{}", first.name, second.name),
            };
            combined.iter().flat_map(|first| next.iter().map(move |second| with(first, second))).collect()
        };
    }
    Ok(combined)
}

/// An expression whose aggregates see only the rows that fulfil a condition.
fn of_rows(surroundings: &Surroundings<'_>, expr: &Expr, condition: &Expr) -> Result<Expr> {
    let mut expr = expr.clone();
    let mut aggregates = 0;
    // Replacing never breaks.
    let _all = visit_expressions_mut(&mut expr, |part| {
        if let Expr::Function(function) = part
            && function.over.is_none()
            && surroundings.session.core.is_aggregate(&function.name.to_string())
        {
            aggregates += 1;
            let filter = function.filter.take();
            let both = |filter: Box<Expr>| syntax::and(*filter, condition.clone());
            function.filter = Some(Box::new(filter.map_or_else(|| condition.clone(), both)));
        }
        ControlFlow::<()>::Continue(())
    });
    if aggregates == 0 {
        return Err(QueryError::binder(format_args!("PIVOT takes aggregates, not {expr}")));
    }
    Ok(expr)
}

struct Unpivot {
    source: TableFactor,
    /// The column of values, or a tuple of several.
    value: Expr,
    name: Ident,
    columns: Vec<ExprWithAlias>,
    with_nulls: bool,
}

impl Unpivot {
    async fn lower(self, surroundings: &Surroundings<'_>) -> Result<Select> {
        let from = vec![syntax::alone(self.source.clone())];
        let columns = surroundings.columns(from.clone()).await?;
        let names = match &self.value {
            Expr::Tuple(names) => names.iter().map(column_name).collect::<Result<Vec<_>>>()?,
            name => vec![column_name(name)?],
        };
        let entries = self.entries(surroundings, &columns).await?;
        if entries.iter().any(|(_, values)| values.len() != names.len()) {
            return Err(QueryError::binder(format_args!("UNPIVOT of {} values at a time", names.len())));
        }
        let used = mentioned(entries.iter().flat_map(|(_, values)| values));
        let rest = rest(&columns, &used);
        let mut items: Vec<SelectItem> = rest.iter().cloned().map(SelectItem::UnnamedExpr).collect();
        let labels = entries.iter().map(|(label, _)| text(label)).collect();
        items.push(SelectItem::ExprWithAlias { expr: unnested(labels)?, alias: self.name.clone() });
        for (i, name) in names.iter().enumerate() {
            let values = entries.iter().map(|(_, values)| values[i].clone()).collect();
            items.push(SelectItem::ExprWithAlias { expr: unnested(values)?, alias: name.clone() });
        }
        let long = syntax::query(syntax::select(items, from, None));
        let inner = syntax::alone(syntax::derived(long, syntax::table_alias(Ident::new("\0long"))));
        let is_there = |name: &Ident| Expr::IsNotNull(Box::new(Expr::Identifier(name.clone())));
        let conditions = names.iter().map(is_there);
        let condition = if self.with_nulls { None } else { conditions.reduce(syntax::and) };
        Ok(syntax::select(vec![syntax::star()], vec![inner], condition))
    }

    /// The label and the values of each row that one row becomes.
    async fn entries(&self, surroundings: &Surroundings<'_>, all: &[Column]) -> Result<Vec<(String, Vec<Expr>)>> {
        let mut entries = Vec::new();
        for column in &self.columns {
            let label = column.alias.as_ref().map(|alias| alias.value.clone());
            match &column.expr {
                Expr::Function(call) if columns::is_call(&column.expr) => {
                    for picked in columns::picked(surroundings, call, all).await? {
                        entries.push((picked.name, vec![picked.expr]));
                    }
                }
                Expr::Tuple(values) => {
                    let joined = || values.iter().map(expression_name).collect::<Vec<_>>().join("_");
                    entries.push((label.unwrap_or_else(joined), values.clone()));
                }
                expr => {
                    let mut named = expr;
                    while let Expr::Nested(inner) = named {
                        named = inner;
                    }
                    let label = label.unwrap_or_else(|| match named {
                        Expr::CompoundIdentifier(parts) => {
                            parts.last().map(|part| part.value.clone()).unwrap_or_default()
                        }
                        named => expression_name(named),
                    });
                    entries.push((label, vec![named.clone()]));
                }
            }
        }
        if entries.is_empty() || entries.len() > COLUMNS_MAX {
            return Err(QueryError::binder(format_args!("UNPIVOT takes one to {COLUMNS_MAX} columns")));
        }
        Ok(entries)
    }
}

fn column_name(expr: &Expr) -> Result<Ident> {
    match expr {
        Expr::Identifier(name) => Ok(name.clone()),
        Expr::Nested(inner) => column_name(inner),
        other => Err(QueryError::binder(format_args!("UNPIVOT takes a name for its values, not {other}"))),
    }
}

/// `unnest([a, b, …])`.
fn unnested(values: Vec<Expr>) -> Result<Expr> {
    let mut call = crate::dialect::parse_expression("unnest([])")?;
    if let Expr::Function(Function { args: FunctionArguments::List(list), .. }) = &mut call {
        let array = Expr::Array(Array { elem: values, named: false });
        list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(array))];
    }
    Ok(call)
}
