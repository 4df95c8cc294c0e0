//! `COLUMNS(*)`, `COLUMNS(* EXCLUDE …)`, `COLUMNS('pattern')`, `COLUMNS(name -> condition)`, `COLUMNS(['a', 'b'])`, and `* RENAME`.
//!
//! **Invariants**
//! 1. An expression with `COLUMNS` becomes one for each of the columns: in a SELECT list one item each, in conditions all of them with
//!    AND, in ORDER BY one key each.
//! 2. All `COLUMNS` of one expression stand for the same columns.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::*;
use regex::Regex;
use siltstone_storage::{folded_name, same_name};

use super::{COLUMNS_MAX, Surroundings};
use crate::QueryError;
use crate::error::Result;

/// A column of the tables that a form stands on.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// The parts of its table's name, outermost first.
    pub(super) table: Vec<String>,
    /// What it is shown as.
    pub(super) name: String,
    /// What it is planned as: columns of subqueries without a name of their own have a hidden one.
    pub(super) planned: String,
    /// Whether another one is called the same, so that it takes its table's name to tell them apart.
    pub(super) ambiguous: bool,
}

/// A column that a `COLUMNS(…)` stands for.
#[derive(Clone, Debug)]
pub(super) struct Picked {
    pub(super) expr: Expr,
    pub(super) name: String,
    /// What the groups of the pattern matched, the whole first.
    groups: Vec<String>,
}

impl Column {
    /// The column, with its table's name if another one is called the same.
    pub(super) fn expr(&self) -> Expr {
        let quoted = |name: &String| Ident::with_quote('"', name);
        if self.ambiguous {
            return Expr::CompoundIdentifier(self.table.iter().chain([&self.planned]).map(quoted).collect());
        }
        Expr::Identifier(quoted(&self.planned))
    }

    fn picked(&self) -> Picked {
        Picked { expr: self.expr(), name: self.name.clone(), groups: Vec::new() }
    }
}

/// Whether an expression is a `COLUMNS(…)`.
pub(super) fn is_call(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if is_columns(function))
}

fn is_columns(function: &Function) -> bool {
    matches!(function.name.0.as_slice(), [ObjectNamePart::Identifier(name)] if same_name(&name.value, "columns"))
}

/// Whether a wildcard renames columns, which the planner does not know.
pub(super) fn is_altered_wildcard(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) => options.opt_rename.is_some(),
        _ => false,
    }
}

/// The different `COLUMNS(…)` of a SELECT and of the order of its rows.
pub(super) fn calls_of(select: &Select, order: Option<&OrderBy>) -> Vec<Function> {
    let mut calls = Vec::new();
    let mut collect = |expr: &Expr| {
        if let Expr::Function(function) = expr
            && is_columns(function)
            && !calls.contains(function)
        {
            calls.push(function.clone());
        }
        ControlFlow::<()>::Continue(())
    };
    // Collecting never breaks.
    for item in &select.projection {
        let _all = visit_expressions(item, &mut collect);
    }
    for condition in [&select.selection, &select.having, &select.qualify].into_iter().flatten() {
        let _all = visit_expressions(condition, &mut collect);
    }
    if let Some(order) = order {
        let _all = visit_expressions(order, &mut collect);
    }
    calls
}

/// The columns that a `COLUMNS(…)` stands for.
///
/// # Errors
/// `Binder Error` if there are none, or the argument is of another form.
pub(super) async fn picked(surroundings: &Surroundings<'_>, call: &Function, all: &[Column]) -> Result<Vec<Picked>> {
    let bad =
        || QueryError::binder(format_args!("COLUMNS takes *, a pattern, a list of names, or a lambda, not {call}"));
    let FunctionArguments::List(list) = &call.args else {
        return Err(bad());
    };
    let [FunctionArg::Unnamed(argument)] = list.args.as_slice() else {
        return Err(bad());
    };
    let picked = match argument {
        FunctionArgExpr::Wildcard => all.iter().map(|column| column.picked()).collect(),
        FunctionArgExpr::QualifiedWildcard(table) => of_table(table, all)?,
        FunctionArgExpr::WildcardWithOptions(options) => {
            if options.opt_replace.is_some() || options.opt_rename.is_some() || options.opt_ilike.is_some() {
                return Err(QueryError::not_implemented(format_args!("{call} is not supported; only EXCLUDE is")));
            }
            without(options, all.iter().map(|column| column.picked()).collect())
        }
        FunctionArgExpr::Expr(Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(pattern), .. })) => {
            by_pattern(pattern, all)?
        }
        FunctionArgExpr::Expr(Expr::Array(names)) => by_names(&names.elem, all)?,
        FunctionArgExpr::Expr(Expr::Lambda(lambda)) => by_lambda(surroundings, lambda, all).await?,
        FunctionArgExpr::Expr(_) => return Err(bad()),
    };
    if picked.is_empty() {
        return Err(QueryError::binder(format_args!("No matching columns found for {call}")));
    }
    Ok(picked)
}

fn of_table(table: &ObjectName, all: &[Column]) -> Result<Vec<Picked>> {
    let wanted = crate::names::parts(table)?;
    let is_in = |column: &&Column| {
        let at = column.table.len().checked_sub(wanted.len());
        at.is_some_and(|at| column.table[at..].iter().zip(&wanted).all(|(part, wanted)| same_name(part, wanted)))
    };
    Ok(all.iter().filter(is_in).map(|column| column.picked()).collect())
}

fn without(options: &WildcardAdditionalOptions, picked: Vec<Picked>) -> Vec<Picked> {
    let excluded: Vec<String> = match &options.opt_exclude {
        Some(ExcludeSelectItem::Single(name)) => vec![last(name)],
        Some(ExcludeSelectItem::Multiple(names)) => names.iter().map(last).collect(),
        None => Vec::new(),
    };
    picked.into_iter().filter(|column| !excluded.contains(&folded_name(&column.name))).collect()
}

/// The last part of a name, folded.
fn last(name: &ObjectName) -> String {
    let last = name.0.last().and_then(ObjectNamePart::as_ident);
    last.map(|name| folded_name(&name.value)).unwrap_or_default()
}

fn by_pattern(pattern: &str, all: &[Column]) -> Result<Vec<Picked>> {
    let regex = Regex::new(pattern).map_err(|error| QueryError::binder(format_args!("bad pattern: {error}")))?;
    let matched = all.iter().filter_map(|column| {
        let found = regex.captures(&column.name)?;
        let groups = found.iter().map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect();
        Some(Picked { groups, ..column.picked() })
    });
    Ok(matched.collect())
}

/// In the order of the tables, not of the list.
fn by_names(names: &[Expr], all: &[Column]) -> Result<Vec<Picked>> {
    let mut wanted = Vec::with_capacity(names.len());
    for name in names {
        let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(name), .. }) = name else {
            return Err(QueryError::binder(format_args!("COLUMNS takes a list of names, not {name}")));
        };
        if !all.iter().any(|column| same_name(&column.name, name)) {
            return Err(QueryError::binder(format_args!(
                "Column \"{name}\" was selected but was not found in the FROM clause"
            )));
        }
        wanted.push(name);
    }
    let is_wanted = |column: &&Column| wanted.iter().any(|name| same_name(name, &column.name));
    Ok(all.iter().filter(is_wanted).map(|column| column.picked()).collect())
}

/// The columns whose names make the condition true, all asked for at once.
async fn by_lambda(surroundings: &Surroundings<'_>, lambda: &LambdaFunction, all: &[Column]) -> Result<Vec<Picked>> {
    let name = match &lambda.params {
        OneOrManyWithParens::One(parameter) => parameter,
        OneOrManyWithParens::Many(parameters) => match parameters.as_slice() {
            [parameter] => parameter,
            _ => return Err(QueryError::binder("the lambda of COLUMNS takes one parameter")),
        },
    };
    let condition_of = |column: &Column| {
        let mut condition = lambda.body.as_ref().clone();
        // Replacing never breaks.
        let _all = visit_expressions_mut(&mut condition, |expr| {
            if matches!(expr, Expr::Identifier(found) if same_name(&found.value, &name.name.value)) {
                *expr = Expr::Value(Value::SingleQuotedString(column.name.clone()).into());
            }
            ControlFlow::<()>::Continue(())
        });
        condition
    };
    let conditions = all.iter().map(condition_of);
    let answers =
        Box::pin(crate::time_travel::evaluate(surroundings.session, surroundings.snapshot, conditions)).await?;
    let is_true =
        |answer: &ScalarValue| matches!(answer.cast_to(&DataType::Boolean), Ok(ScalarValue::Boolean(Some(true))));
    Ok(all.iter().zip(&answers).filter(|(_, answer)| is_true(answer)).map(|(column, _)| column.picked()).collect())
}

/// Replaces the forms of the first SELECT of a query that has some.
///
/// # Errors
/// `Binder Error` if an expression names different columns at once, or too many come out.
pub(super) fn replace(query: &mut Query, all: &[Column], picked: &[(Function, Vec<Picked>)]) -> Result<()> {
    if let SetExpr::Select(_) = query.body.as_ref()
        && let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &mut query.order_by
    {
        let mut expanded = Vec::with_capacity(keys.len());
        for key in std::mem::take(keys) {
            match columns_of(&key.expr, picked)? {
                Some(columns) => expanded.extend(
                    columns.iter().map(|column| OrderByExpr { expr: with_column(&key.expr, column), ..key.clone() }),
                ),
                None => expanded.push(key),
            }
        }
        *keys = expanded;
    }
    let is_unfinished =
        |select: &&mut Select| select.projection.iter().any(is_altered_wildcard) || !calls_of(select, None).is_empty();
    let Some(select) = super::selects_mut(&mut query.body).into_iter().find(is_unfinished) else {
        return Ok(());
    };
    let mut items = Vec::new();
    for item in std::mem::take(&mut select.projection) {
        expand(item, all, picked, &mut items)?;
        if items.len() > COLUMNS_MAX {
            return Err(super::too_many());
        }
    }
    select.projection = items;
    for slot in [&mut select.selection, &mut select.having, &mut select.qualify] {
        let Some(condition) = slot else { continue };
        if let Some(columns) = columns_of(condition, picked)? {
            let conditions = columns.iter().map(|column| with_column(condition, column)).collect();
            *slot = all_of(conditions);
        }
    }
    Ok(())
}

/// What an item of a SELECT list becomes.
fn expand(
    item: SelectItem,
    all: &[Column],
    picked: &[(Function, Vec<Picked>)],
    items: &mut Vec<SelectItem>,
) -> Result<()> {
    if is_altered_wildcard(&item) {
        items.extend(altered(&item, all)?);
        return Ok(());
    }
    let (expr, alias) = match &item {
        SelectItem::UnnamedExpr(expr) => (expr, None),
        SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias)),
        _ => {
            items.push(item);
            return Ok(());
        }
    };
    match columns_of(expr, picked)? {
        None => items.push(item),
        Some(columns) => items.extend(columns.iter().map(|column| {
            let name = alias.map_or_else(|| column.name.clone(), |alias| filled(&alias.value, &column.groups));
            SelectItem::ExprWithAlias { expr: with_column(expr, column), alias: Ident::with_quote('"', name) }
        })),
    }
    Ok(())
}

/// The columns that an expression is to be repeated for, if it is.
fn columns_of<'a>(expr: &Expr, picked: &'a [(Function, Vec<Picked>)]) -> Result<Option<&'a [Picked]>> {
    let mut found: Option<&(Function, Vec<Picked>)> = None;
    let mixed = visit_expressions(expr, |part| {
        let Expr::Function(function) = part else {
            return ControlFlow::Continue(());
        };
        let Some(known) = picked.iter().find(|(call, _)| call == function) else {
            return ControlFlow::Continue(());
        };
        match found.replace(known) {
            Some(before) if before.0 != known.0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    if mixed.is_break() {
        return Err(QueryError::binder("Multiple different STAR/COLUMNS in the same expression are not supported"));
    }
    Ok(found.map(|(_, columns)| columns.as_slice()))
}

fn with_column(expr: &Expr, column: &Picked) -> Expr {
    let mut expr = expr.clone();
    // Replacing never breaks.
    let _all = visit_expressions_mut(&mut expr, |part| {
        if is_call(part) {
            *part = column.expr.clone();
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}

/// An alias whose `\0` … `\9` stand for what the pattern's groups matched.
fn filled(alias: &str, groups: &[String]) -> String {
    let mut name = String::with_capacity(alias.len());
    let mut rest = alias.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().and_then(|next| next.to_digit(10))) {
            ('\\', Some(group)) if !groups.is_empty() => {
                rest.next();
                name.push_str(groups.get(group as usize).map_or("", String::as_str));
            }
            _ => name.push(c),
        }
    }
    name
}

/// All conditions at once, as a tree that is as flat as can be.
fn all_of(mut conditions: Vec<Expr>) -> Option<Expr> {
    let half = conditions.len() / 2;
    if half == 0 {
        return conditions.pop();
    }
    let right = conditions.split_off(half);
    Some(crate::syntax::and(all_of(conditions)?, all_of(right)?))
}

/// The items of a wildcard that renames columns.
fn altered(item: &SelectItem, all: &[Column]) -> Result<Vec<SelectItem>> {
    let (columns, options) = match item {
        SelectItem::Wildcard(options) => (all.iter().map(|column| column.picked()).collect(), options),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(table), options) => {
            (of_table(table, all)?, options)
        }
        other => return Err(QueryError::not_implemented(format_args!("{other} is not supported"))),
    };
    let renamed: &[IdentWithAlias] = match &options.opt_rename {
        Some(RenameSelectItem::Single(one)) => std::slice::from_ref(one),
        Some(RenameSelectItem::Multiple(several)) => several,
        None => &[],
    };
    let columns = without(options, columns);
    for rename in renamed {
        if !columns.iter().any(|column| same_name(&column.name, &rename.ident.value)) {
            let name = &rename.ident.value;
            return Err(QueryError::binder(format_args!("Column \"{name}\" in RENAME list not found in FROM clause")));
        }
    }
    let replaced: Vec<&ReplaceSelectElement> =
        options.opt_replace.iter().flat_map(|replace| &replace.items).map(AsRef::as_ref).collect();
    Ok(columns
        .into_iter()
        .map(|column| {
            let is_it = |name: &Ident| same_name(&name.value, &column.name);
            let name = renamed.iter().find(|rename| is_it(&rename.ident)).map_or(&column.name, |to| &to.alias.value);
            let expr = replaced.iter().find(|replace| is_it(&replace.column_name)).map(|replace| replace.expr.clone());
            SelectItem::ExprWithAlias {
                alias: Ident::with_quote('"', name),
                expr: expr.unwrap_or_else(|| column.expr.clone()),
            }
        })
        .collect())
}
