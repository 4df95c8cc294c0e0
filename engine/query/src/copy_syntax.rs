//! `COPY query TO 'file' (options)` and `COPY t FROM 'file' (options)` as DuckDB writes them.
//!
//! **Invariants**: an option is kept as it is written; whether it means something is for [`crate::copy`] to say.

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, Query, SelectItem};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{IsOptional, Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::syntax;

type Result<T> = std::result::Result<T, ParserError>;

/// A COPY.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) direction: Direction,
    /// As written.
    pub(crate) file: String,
    /// Names, and values where there are any.
    pub(crate) options: Vec<(Ident, Option<Expr>)>,
}

/// What is copied where.
#[derive(Clone, Debug)]
pub(crate) enum Direction {
    /// The rows of a query into the file.
    To(Box<Query>),
    /// The rows of the file into these columns of a table; none are all.
    From(ObjectName, Vec<Ident>),
}

/// What follows the word COPY.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Copy> {
    let direction = if parser.consume_token(&Token::LParen) {
        let query = parser.parse_query()?;
        parser.expect_token(&Token::RParen)?;
        parser.expect_keyword_is(Keyword::TO)?;
        Direction::To(query)
    } else {
        let table = parser.parse_object_name(false)?;
        let columns = parser.parse_parenthesized_column_list(IsOptional::Optional, false)?;
        match parser.expect_one_of_keywords(&[Keyword::TO, Keyword::FROM])? {
            Keyword::TO => Direction::To(Box::new(whole_table(table, &columns))),
            _ => Direction::From(table, columns),
        }
    };
    let file = parser.parse_literal_string()?;
    let with = parser.parse_keyword(Keyword::WITH);
    let options = if parser.consume_token(&Token::LParen) {
        let options = parser.parse_comma_separated(option)?;
        parser.expect_token(&Token::RParen)?;
        options
    } else if with {
        return parser.expected_ref("options in parentheses", parser.peek_token_ref());
    } else {
        Vec::new()
    };
    Ok(Copy { direction, file, options })
}

/// `SELECT columns FROM table`.
fn whole_table(table: ObjectName, columns: &[Ident]) -> Query {
    let from = vec![syntax::alone(syntax::table(table, None, None))];
    let mut items: Vec<_> =
        columns.iter().map(|column| SelectItem::UnnamedExpr(Expr::Identifier(column.clone()))).collect();
    if items.is_empty() {
        items.push(syntax::star());
    }
    syntax::query(syntax::select(items, from, None))
}

/// `NAME`, `NAME value`.
fn option(parser: &mut Parser<'_>) -> Result<(Ident, Option<Expr>)> {
    let name = parser.parse_identifier()?;
    let ends = matches!(parser.peek_token_ref().token, Token::Comma | Token::RParen);
    let value = if ends { None } else { Some(parser.parse_expr()?) };
    Ok((name, value))
}
