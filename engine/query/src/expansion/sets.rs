//! `INTERSECT ALL` and `EXCEPT ALL`, which DataFusion answers as if rows that are equal were all on one side, as what they mean: the
//! n-th of equal rows goes with the n-th of the other side.

use datafusion::sql::sqlparser::ast::*;

use super::columns::Column;
use crate::error::Result;
use crate::{QueryError, syntax};

/// The first such operation of a body that holds none itself.
pub(super) fn innermost(body: &SetExpr) -> Option<&SetExpr> {
    let SetExpr::SetOperation { op, set_quantifier, left, right } = body else {
        return None;
    };
    let is_one = *op != SetOperator::Union && *set_quantifier == SetQuantifier::All;
    innermost(left).or_else(|| innermost(right)).or(is_one.then_some(body))
}

/// Replaces it, given the columns of its left side.
///
/// # Errors
/// `Binder Error` if there are none.
pub(super) fn replace(body: &mut SetExpr, columns: &[Column]) -> Result<()> {
    let is_it = match body {
        SetExpr::SetOperation { left, right, .. } => innermost(left).is_none() && innermost(right).is_none(),
        _ => false,
    };
    let SetExpr::SetOperation { op, left, right, .. } = body else {
        return Err(QueryError::internal("a set operation is gone"));
    };
    if !is_it {
        let side = if innermost(left).is_some() { left } else { right };
        return replace(side, columns);
    }
    if columns.is_empty() {
        return Err(QueryError::binder(format_args!("{op} ALL of nothing")));
    }
    let names: Vec<String> = (0..columns.len()).map(|i| format!("c{i}")).collect();
    let sides = SetExpr::SetOperation {
        op: *op,
        set_quantifier: SetQuantifier::None,
        left: Box::new(numbered(left, &names)?),
        right: Box::new(numbered(right, &names)?),
    };
    let named = names.iter().zip(columns).map(|(name, column)| SelectItem::ExprWithAlias {
        expr: Expr::Identifier(Ident::new(name)),
        alias: Ident::with_quote('"', &column.name),
    });
    let sides = syntax::derived(syntax::bare_query(Box::new(sides)), syntax::table_alias(Ident::new("\0sides")));
    *body = SetExpr::Select(Box::new(syntax::select(named.collect(), vec![syntax::alone(sides)], None)));
    Ok(())
}

/// A side's rows under these names, and the how-manieth of its equals each one is.
fn numbered(side: &SetExpr, names: &[String]) -> Result<SetExpr> {
    let column = |name: &String| TableAliasColumnDef { name: Ident::new(name), data_type: None };
    let alias = TableAlias { columns: names.iter().map(column).collect(), ..syntax::table_alias(Ident::new("\0side")) };
    let rows = syntax::derived(syntax::bare_query(Box::new(side.clone())), alias);
    let nth = crate::dialect::parse_expression(&format!("row_number() OVER (PARTITION BY {})", names.join(", ")))?;
    let mut items: Vec<SelectItem> =
        names.iter().map(|name| SelectItem::UnnamedExpr(Expr::Identifier(Ident::new(name)))).collect();
    items.push(syntax::item(nth, "nth"));
    Ok(SetExpr::Select(Box::new(syntax::select(items, vec![syntax::alone(rows)], None))))
}
