//! Names of result columns as DuckDB gives them, duplicates included.
//!
//! DataFusion names expressions its own way and refuses two output columns of one name. So each SELECT is prepared before
//! planning (a repeated name gets a hidden alias), and the result's schema is renamed afterwards.
//!
//! **Invariants**: only names change, never the number, order or type of columns.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::*;
use siltstone_storage::folded_name;

use crate::names::Spelling;

/// Starts a hidden alias; no stored name holds it.
const HIDDEN: char = '\0';

/// What one item of the outermost SELECT is called.
#[derive(Clone, Debug)]
enum Item {
    /// By this name.
    Named(String),
    /// As the column it refers to.
    Column(String),
    /// Any number of columns, as they are.
    Wildcard,
}

/// Names of a query's result columns.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutputNames {
    items: Vec<Item>,
}

impl OutputNames {
    /// Reads the names off a query and gives repeated ones a hidden alias, in every branch of a set operation.
    pub(crate) fn prepare(query: &mut Query) -> Self {
        let mut names = None;
        order_distinct_by_position(query);
        prepare_body(&mut query.body, &mut names);
        // Nothing in it fails.
        let _never_broken = VisitMut::visit(query, &mut Nested);
        Self { items: names.unwrap_or_default() }
    }

    /// The result's schema under these names; all fields nullable, as batches may say either.
    pub(crate) fn apply(&self, schema: &Schema, spelling: &Spelling) -> SchemaRef {
        let width = schema.fields().len();
        let names = self.column_names(width, spelling);
        let fields: Vec<Arc<Field>> = schema
            .fields()
            .iter()
            .zip(names)
            .map(|(field, name)| {
                let name = name.unwrap_or_else(|| visible(field.name()).to_owned());
                Arc::new(field.as_ref().clone().with_name(name).with_nullable(true))
            })
            .collect();
        Arc::new(Schema::new(fields))
    }

    /// One name per column where known: counted from the front up to the first wildcard, and from the back to the last.
    fn column_names(&self, width: usize, spelling: &Spelling) -> Vec<Option<String>> {
        let mut names = vec![None; width];
        let name = |item: &Item| match item {
            Item::Named(name) => Some(name.clone()),
            Item::Column(name) => Some(spelling.of(name)),
            Item::Wildcard => None,
        };
        let wildcards = self.items.iter().filter(|item| matches!(item, Item::Wildcard)).count();
        if wildcards == 0 && self.items.len() != width {
            return names;
        }
        let is_named = |item: &&Item| !matches!(item, Item::Wildcard);
        for (slot, item) in names.iter_mut().zip(self.items.iter().take_while(is_named)) {
            *slot = name(item);
        }
        if wildcards > 0 {
            for (slot, item) in names.iter_mut().rev().zip(self.items.iter().rev().take_while(is_named)) {
                *slot = name(item);
            }
        }
        names
    }
}

/// Hides repeated names inside subqueries, too. The outermost SELECT has none left.
struct Nested;

impl VisitorMut for Nested {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        order_distinct_by_position(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Self::Break> {
        let items: Vec<Item> = select.projection.iter().map(item).collect();
        // A column beside a wildcard keeps its name: the wildcard may leave it out.
        hide_repeated(select, &items, false);
        ControlFlow::Continue(())
    }
}

/// A name without the mark of a hidden alias.
fn visible(name: &str) -> &str {
    name.split(HIDDEN).next().unwrap_or(name)
}

/// The order of a DISTINCT may only name what is selected, which DataFusion finds by names that are about to be hidden.
fn order_distinct_by_position(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return;
    };
    let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &mut query.order_by else {
        return;
    };
    if select.distinct.is_none()
        || select.projection.iter().any(|select_item| matches!(item(select_item), Item::Wildcard))
    {
        return;
    }
    for key in keys {
        let is_key = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(expr) if *expr == key.expr);
        let position = select.projection.iter().position(|item| has_doubtful_name(item) && is_key(item));
        if let Some(position) = position {
            key.expr = Expr::Value(Value::Number((position + 1).to_string(), false).into());
        }
    }
}

fn prepare_body(body: &mut SetExpr, names: &mut Option<Vec<Item>>) {
    match body {
        SetExpr::Select(select) => {
            let items = prepare_select(select);
            names.get_or_insert(items);
        }
        SetExpr::Query(query) => {
            order_distinct_by_position(query);
            prepare_body(&mut query.body, names);
        }
        SetExpr::SetOperation { left, right, .. } => {
            prepare_body(left, names);
            prepare_body(right, names);
        }
        SetExpr::Values(values) => {
            let width = values.rows.first().map_or(0, |row| row.content.len());
            names.get_or_insert((0..width).map(|i| Item::Named(format!("col{i}"))).collect());
        }
        _ => {}
    }
}

fn prepare_select(select: &mut Select) -> Vec<Item> {
    // `FROM t` without a SELECT is `SELECT *`.
    if select.projection.is_empty() {
        return vec![Item::Wildcard];
    }
    let items: Vec<Item> = select.projection.iter().map(item).collect();
    let has_wildcard = items.iter().any(|item| matches!(item, Item::Wildcard));
    hide_repeated(select, &items, has_wildcard);
    items
}

fn hide_repeated(select: &mut Select, items: &[Item], hide_columns: bool) {
    let mut seen = HashSet::new();
    for (i, (select_item, item)) in select.projection.iter_mut().zip(items).enumerate() {
        let (Item::Named(name) | Item::Column(name)) = item else {
            continue;
        };
        let first = seen.insert(folded_name(name));
        let beside_wildcard = hide_columns && matches!(item, Item::Column(_));
        if !first || beside_wildcard || has_doubtful_name(select_item) {
            hide(select_item, name, i);
        }
    }
}

/// DataFusion leaves casts out of its names, calls every subquery the same, and gives operators and literals names of its own, so
/// that two different expressions may get one name. Columns, and functions of nothing but columns, do not.
fn has_doubtful_name(item: &SelectItem) -> bool {
    let SelectItem::UnnamedExpr(expr) = item else {
        return false;
    };
    visit_expressions(expr, |part| match part {
        Expr::Function(function) if crate::functions::aggregates::is_combination(&function.name.to_string()) => {
            ControlFlow::Break(())
        }
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_) | Expr::Wildcard(_) => {
            ControlFlow::Continue(())
        }
        _ => ControlFlow::Break(()),
    })
    .is_break()
}

fn hide(item: &mut SelectItem, name: &str, position: usize) {
    let alias = Ident::new(format!("{name}{HIDDEN}{position}"));
    let expr = match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => expr.clone(),
        _ => return,
    };
    *item = SelectItem::ExprWithAlias { expr, alias };
}

fn item(item: &SelectItem) -> Item {
    match item {
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Item::Column(ident.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => {
            Item::Column(idents.last().map(|ident| ident.value.clone()).unwrap_or_default())
        }
        SelectItem::UnnamedExpr(expr) => Item::Named(expression_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Item::Named(alias.value.clone()),
        SelectItem::ExprWithAliases { .. } | SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            Item::Wildcard
        }
    }
}

/// DuckDB's name of an expression without alias; forms it does not know keep the text of the statement.
pub(crate) fn expression_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::CompoundIdentifier(idents) => {
            idents.iter().map(|ident| ident.value.as_str()).collect::<Vec<_>>().join(".")
        }
        Expr::Value(value) => value.value.to_string(),
        Expr::Nested(inner) => expression_name(inner),
        Expr::UnaryOp { op, expr } => format!("{op}{}", expression_name(expr)),
        Expr::BinaryOp { left, op, right } => {
            format!("({} {op} {})", expression_name(left), expression_name(right))
        }
        Expr::Cast { expr, data_type, kind: CastKind::Cast | CastKind::DoubleColon, .. } => {
            let target =
                crate::types::logical_type(data_type).map_or_else(|_| data_type.to_string(), |ty| ty.to_string());
            format!("CAST({} AS {target})", expression_name(expr))
        }
        Expr::TypedString(TypedString { data_type, value, .. }) => {
            let target =
                crate::types::logical_type(data_type).map_or_else(|_| data_type.to_string(), |ty| ty.to_string());
            format!("CAST({value} AS {target})")
        }
        Expr::InList { expr, list, negated } => {
            let list: Vec<String> = list.iter().map(expression_name).collect();
            format!("({} {}IN ({}))", expression_name(expr), if *negated { "NOT " } else { "" }, list.join(", "))
        }
        Expr::Between { expr, negated, low, high } => {
            let not = if *negated { "NOT " } else { "" };
            let (low, high) = (expression_name(low), expression_name(high));
            format!("({} {not}BETWEEN {low} AND {high})", expression_name(expr))
        }
        Expr::Like { negated, expr, pattern, escape_char: None, .. } => {
            let op = if *negated { "!~~" } else { "~~" };
            format!("({} {op} {})", expression_name(expr), expression_name(pattern))
        }
        Expr::IsNull(inner) => format!("({} IS NULL)", expression_name(inner)),
        Expr::IsNotNull(inner) => format!("({} IS NOT NULL)", expression_name(inner)),
        Expr::Function(function) => function_name(function).unwrap_or_else(|| expr.to_string()),
        other => other.to_string(),
    }
}

fn function_name(function: &Function) -> Option<String> {
    if function.over.is_some() || function.filter.is_some() || !function.within_group.is_empty() {
        return None;
    }
    let name = folded_name(&function.name.to_string());
    let list = match &function.args {
        FunctionArguments::List(list) if list.clauses.is_empty() => list,
        FunctionArguments::None => return Some(format!("{name}()")),
        _ => return None,
    };
    let distinct = match list.duplicate_treatment {
        Some(DuplicateTreatment::Distinct) => "DISTINCT ",
        _ => "",
    };
    let arguments = list.args.iter().map(argument_name).collect::<Option<Vec<_>>>()?;
    match (name.as_str(), arguments.as_slice()) {
        ("count", []) => Some("count_star()".to_owned()),
        ("count", [argument]) if argument == "*" => Some("count_star()".to_owned()),
        _ => Some(format!("{name}({distinct}{})", arguments.join(", "))),
    }
}

fn argument_name(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expression_name(expr)),
        FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => Some("*".to_owned()),
        _ => None,
    }
}
