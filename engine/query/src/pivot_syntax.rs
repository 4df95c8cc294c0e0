//! DuckDB's statements `PIVOT t ON …` and `UNPIVOT t ON …`, which the parser crate only knows as parts of a FROM.
//!
//! **Invariants**: what begins as one of these is parsed wholly or refused; no part of it is ignored.

use datafusion::sql::sqlparser::ast::*;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;
use siltstone_storage::folded_name;

use crate::syntax;

type Result<T> = std::result::Result<T, ParserError>;

/// The query that begins here, if it is one of these; else the parser stays where it is.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Option<Box<Query>>> {
    let Token::Word(word) = &parser.peek_token_ref().token else {
        return Ok(None);
    };
    let factor = match word.quote_style.map_or_else(|| folded_name(&word.value), |_| String::new()).as_str() {
        "pivot" | "pivot_wider" => {
            parser.advance_token();
            pivot(parser)?
        }
        "unpivot" | "pivot_longer" => {
            parser.advance_token();
            unpivot(parser)?
        }
        _ => return Ok(None),
    };
    let mut query = syntax::query(syntax::select(vec![syntax::star()], vec![syntax::alone(factor)], None));
    query.order_by = parser.parse_optional_order_by()?;
    if parser.parse_keyword(Keyword::LIMIT) {
        let limit = Some(parser.parse_expr()?);
        let offset = parser.parse_keyword(Keyword::OFFSET).then(|| parser.parse_offset()).transpose()?;
        query.limit_clause = Some(LimitClause::LimitOffset { limit, offset, limit_by: Vec::new() });
    }
    Ok(Some(Box::new(query)))
}

/// Behind `PIVOT`.
fn pivot(parser: &mut Parser<'_>) -> Result<TableFactor> {
    let source = parser.parse_table_factor()?;
    parser.expect_keyword_is(Keyword::ON)?;
    let on = parser.parse_comma_separated(|parser| parser.parse_expr())?;
    let aggregates =
        if parser.parse_keyword(Keyword::USING) { parser.parse_comma_separated(aliased)? } else { Vec::new() };
    let groups = if parser.parse_keywords(&[Keyword::GROUP, Keyword::BY]) {
        Some(parser.parse_comma_separated(|parser| parser.parse_expr())?)
    } else {
        None
    };
    let source = match groups {
        Some(groups) => narrowed(source, &groups, &on, &aggregates)?,
        None => source,
    };
    Ok(TableFactor::Pivot {
        table: Box::new(source),
        aggregate_functions: aggregates,
        value_column: on,
        value_source: PivotValueSource::Any(Vec::new()),
        default_on_null: None,
        alias: None,
    })
}

/// Only what a PIVOT groups by, and what it pivots and aggregates: a PIVOT groups by all columns that are left.
fn narrowed(source: TableFactor, groups: &[Expr], on: &[Expr], aggregates: &[ExprWithAlias]) -> Result<TableFactor> {
    let mut used: Vec<Ident> = Vec::new();
    let mut use_column = |name: &Ident| {
        if !used.iter().any(|other| folded_name(&other.value) == folded_name(&name.value)) {
            used.push(name.clone());
        }
    };
    for expr in on.iter().chain(aggregates.iter().map(|aggregate| &aggregate.expr)) {
        // Collecting never breaks.
        let _all = visit_expressions(expr, |part| {
            match part {
                Expr::Identifier(name) => use_column(name),
                Expr::CompoundIdentifier(parts) => parts.last().into_iter().for_each(&mut use_column),
                _ => {}
            }
            std::ops::ControlFlow::<()>::Continue(())
        });
    }
    let mut items = Vec::with_capacity(groups.len() + used.len());
    for group in groups {
        if let Expr::Identifier(name) = group
            && used.iter().any(|other| folded_name(&other.value) == folded_name(&name.value))
        {
            let text = format!("PIVOT cannot group by the column it pivots or aggregates: {name}");
            return Err(ParserError::ParserError(text));
        }
        items.push(SelectItem::UnnamedExpr(group.clone()));
    }
    items.extend(used.into_iter().map(|name| SelectItem::UnnamedExpr(Expr::Identifier(name))));
    let query = syntax::query(syntax::select(items, vec![syntax::alone(source)], None));
    Ok(syntax::derived(query, syntax::table_alias(Ident::new("\0pivoted"))))
}

/// Behind `UNPIVOT`.
fn unpivot(parser: &mut Parser<'_>) -> Result<TableFactor> {
    let source = parser.parse_table_factor()?;
    parser.expect_keyword_is(Keyword::ON)?;
    let columns = parser.parse_comma_separated(aliased)?;
    let (mut name, mut values) = (Ident::new("name"), vec![Expr::Identifier(Ident::new("value"))]);
    if parser.parse_keyword(Keyword::INTO) {
        parser.expect_keyword_is(Keyword::NAME)?;
        name = parser.parse_identifier()?;
        parser.expect_keyword_is(Keyword::VALUE)?;
        values = parser.parse_comma_separated(|parser| parser.parse_identifier().map(Expr::Identifier))?;
    }
    let value = if values.len() == 1 { values.remove(0) } else { Expr::Tuple(values) };
    Ok(TableFactor::Unpivot { table: Box::new(source), value, name, columns, null_inclusion: None, alias: None })
}

fn aliased(parser: &mut Parser<'_>) -> Result<ExprWithAlias> {
    let expr = parser.parse_expr()?;
    let alias = parser.parse_keyword(Keyword::AS).then(|| parser.parse_identifier()).transpose()?;
    Ok(ExprWithAlias { expr, alias })
}
