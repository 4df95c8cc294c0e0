//! Statements of DuckDB and DuckLake that the parser crate has no form for: comments, renamed views, how tables lie, copies.
//!
//! **Invariants**: what begins as one of these is parsed wholly or refused; no part of it is ignored.

use datafusion::sql::sqlparser::ast::{Expr, Ident, ObjectName, OrderByExpr, Query, Value};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::copy_syntax::{self, Copy};
use crate::syntax;

type Result<T> = std::result::Result<T, ParserError>;

/// A statement of this module.
#[derive(Clone, Debug)]
pub(crate) enum LakeStatement {
    /// `SUMMARIZE t` or `SUMMARIZE query`.
    Summarize(Box<Query>),
    /// `COPY … TO / FROM 'file'`.
    Copy(Box<Copy>),
    /// `COMMENT ON kind name IS text`.
    Comment { on: CommentKind, name: ObjectName, text: Option<String> },
    /// `ALTER VIEW [IF EXISTS] name RENAME TO to`.
    RenameView { name: ObjectName, to: Ident, if_exists: bool },
    /// `ALTER TABLE [IF EXISTS] name SET / RESET PARTITIONED BY / SORTED BY (…)`.
    SetLayout { table: ObjectName, if_exists: bool, part: LayoutPart },
}

/// What kind of thing a comment is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommentKind {
    Table,
    View,
    Column,
    Schema,
}

/// The part of a table's layout that is set; empty when it is reset.
#[derive(Clone, Debug)]
pub(crate) enum LayoutPart {
    Partitions(Vec<Expr>),
    Order(Vec<OrderByExpr>),
}

/// The statement that begins here, if it is one of ours; else the parser stays where it is.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Option<LakeStatement>> {
    if parser.parse_keyword(Keyword::COMMENT) {
        return comment(parser).map(Some);
    }
    if parser.parse_keyword(Keyword::COPY) {
        return copy_syntax::parse(parser).map(|copy| Some(LakeStatement::Copy(Box::new(copy))));
    }
    if takes_word(parser, "SUMMARIZE") {
        return summarized(parser).map(|query| Some(LakeStatement::Summarize(query)));
    }
    if let Some((name, if_exists)) = parser.maybe_parse(renamed_view)? {
        return Ok(Some(LakeStatement::RenameView { name, to: parser.parse_identifier()?, if_exists }));
    }
    if let Some((table, if_exists, set)) = parser.maybe_parse(altered_layout)? {
        return layout(parser, table, if_exists, set).map(Some);
    }
    Ok(None)
}

/// Takes a word that is no keyword of the parser crate's.
fn takes_word(parser: &mut Parser<'_>, expected: &str) -> bool {
    let is_it = matches!(&parser.peek_token_ref().token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected));
    if is_it {
        parser.advance_token();
    }
    is_it
}

fn summarized(parser: &mut Parser<'_>) -> Result<Box<Query>> {
    let begins = [Keyword::SELECT, Keyword::WITH, Keyword::VALUES].iter().any(|word| parser.peek_keyword(*word));
    if begins || parser.peek_token_ref().token == Token::LParen {
        return parser.parse_query();
    }
    let table = syntax::table(parser.parse_object_name(false)?, None, None);
    Ok(Box::new(syntax::query(syntax::select(vec![syntax::star()], vec![syntax::alone(table)], None))))
}

fn comment(parser: &mut Parser<'_>) -> Result<LakeStatement> {
    parser.expect_keyword_is(Keyword::ON)?;
    let kinds = [Keyword::TABLE, Keyword::VIEW, Keyword::COLUMN, Keyword::SCHEMA];
    let on = match parser.expect_one_of_keywords(&kinds)? {
        Keyword::TABLE => CommentKind::Table,
        Keyword::VIEW => CommentKind::View,
        Keyword::COLUMN => CommentKind::Column,
        _ => CommentKind::Schema,
    };
    let name = parser.parse_object_name(false)?;
    parser.expect_keyword_is(Keyword::IS)?;
    let text = match parser.parse_value()?.value {
        Value::Null => None,
        Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => Some(text),
        other => return Err(ParserError::ParserError(format!("a comment is a text or NULL, not {other}"))),
    };
    Ok(LakeStatement::Comment { on, name, text })
}

/// Up to the new name.
fn renamed_view(parser: &mut Parser<'_>) -> Result<(ObjectName, bool)> {
    parser.expect_keywords(&[Keyword::ALTER, Keyword::VIEW])?;
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let name = parser.parse_object_name(false)?;
    parser.expect_keywords(&[Keyword::RENAME, Keyword::TO])?;
    Ok((name, if_exists))
}

/// Up to `SET` or `RESET` before `PARTITIONED` or `SORTED`.
fn altered_layout(parser: &mut Parser<'_>) -> Result<(ObjectName, bool, bool)> {
    parser.expect_keywords(&[Keyword::ALTER, Keyword::TABLE])?;
    let if_exists = parser.parse_keywords(&[Keyword::IF, Keyword::EXISTS]);
    let table = parser.parse_object_name(false)?;
    let set = parser.expect_one_of_keywords(&[Keyword::SET, Keyword::RESET])? == Keyword::SET;
    if !parser.peek_keyword(Keyword::PARTITIONED) && !parser.peek_keyword(Keyword::SORTED) {
        return parser.expected_ref("PARTITIONED BY or SORTED BY", parser.peek_token_ref());
    }
    Ok((table, if_exists, set))
}

fn layout(parser: &mut Parser<'_>, table: ObjectName, if_exists: bool, set: bool) -> Result<LakeStatement> {
    let partitions = parser.parse_keyword(Keyword::PARTITIONED);
    if !partitions {
        parser.expect_keyword_is(Keyword::SORTED)?;
    }
    parser.expect_keyword_is(Keyword::BY)?;
    let part = match (partitions, set) {
        (true, false) => LayoutPart::Partitions(Vec::new()),
        (false, false) => LayoutPart::Order(Vec::new()),
        (true, true) => LayoutPart::Partitions(in_parentheses(parser, |parser| parser.parse_expr())?),
        (false, true) => LayoutPart::Order(in_parentheses(parser, |parser| parser.parse_order_by_expr())?),
    };
    Ok(LakeStatement::SetLayout { table, if_exists, part })
}

fn in_parentheses<'a, T>(parser: &mut Parser<'a>, item: impl FnMut(&mut Parser<'a>) -> Result<T>) -> Result<Vec<T>> {
    parser.expect_token(&Token::LParen)?;
    let items = parser.parse_comma_separated(item)?;
    parser.expect_token(&Token::RParen)?;
    Ok(items)
}
