//! SQL text to statements: DuckDB's dialect, with time travel (`t AT (VERSION => n)`) and its `MERGE`.
//!
//! **Invariants**
//! 1. No text makes the parser, the planner or the release of a syntax tree overflow the stack: nesting and the length of
//!    operator chains (which nest to the left) are bounded before anything recursive sees them.
//! 2. Every construct is parsed from tokens; SQL text is never rewritten.

use std::any::TypeId;
use std::collections::HashSet;

use datafusion::sql::sqlparser::ast::{CreateView, DataType, Expr, Insert, Query, Statement};
use datafusion::sql::sqlparser::dialect::{Dialect, DuckDbDialect};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::QueryError;
use crate::error::{Result, from_parser};
use crate::lake_syntax::{self, LakeStatement};
use crate::merge_syntax::{self, Merge};
use crate::{by_name, from_first, map_types, pivot_syntax};

/// Deepest nesting of parentheses, subqueries and the like. Generated SQL stays far below it; each level costs the parser
/// and the planner some kilobytes of stack.
const NESTING_MAX: usize = 64;
/// Most operators in one expression outside parentheses and lists, set operations and joins included.
const CHAIN_MAX: usize = 500;
/// Most common table expressions of a statement, and other texts of the form `AS (`: each may make the plan deeper.
const NAMED_MAX: usize = 500;
/// Longest statement text. Larger than any generated INSERT worth sending as SQL.
const SQL_BYTES_MAX: usize = 64 << 20;

/// Between the parser's comparisons (20) and sums (30).
const ARROW_PRECEDENCE: u8 = 25;

/// A statement as parsed.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    /// What the parser crate knows.
    Plain(Box<Statement>),
    /// An INSERT whose source's columns go by their names.
    InsertByName(Box<Insert>),
    /// A CREATE VIEW, with the text of its query.
    CreateView(Box<CreateView>, String),
    /// What the parser crate has no form for.
    Lake(Box<LakeStatement>),
    /// DuckDB's `MERGE`, of which it knows only a part.
    Merge(Box<Merge>),
}

/// DuckDB's dialect, whose tables also take a version.
#[derive(Debug)]
struct LakeDialect {
    duckdb: DuckDbDialect,
}

/// Forwards to DuckDB's dialect what that one answers differently from the default.
macro_rules! as_duckdb {
    ($($name:ident),* $(,)?) => {
        $(fn $name(&self) -> bool { self.duckdb.$name() })*
    };
}

impl Dialect for LakeDialect {
    fn dialect(&self) -> TypeId {
        TypeId::of::<DuckDbDialect>()
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.duckdb.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.duckdb.is_identifier_part(ch)
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    /// `E'…'`, which loaders use for texts with line breaks.
    fn supports_string_escape_constant(&self) -> bool {
        true
    }

    fn supports_numeric_literal_underscores(&self) -> bool {
        true
    }

    /// `ALTER COLUMN … TYPE … USING …`.
    fn supports_alter_column_type_using(&self) -> bool {
        true
    }

    /// The form that [`map_types`] gives `MAP(K, V)`.
    fn supports_map_literal_with_angle_brackets(&self) -> bool {
        true
    }

    /// `x IN ()`, which generators write and SQLite knows.
    fn supports_in_empty_list(&self) -> bool {
        true
    }

    /// `* RENAME (a AS b)`.
    fn supports_select_wildcard_rename(&self) -> bool {
        true
    }

    /// JSON's arrows bind tighter than comparisons, looser than sums.
    fn get_next_precedence(&self, parser: &Parser<'_>) -> Option<Result<u8, ParserError>> {
        let is_arrow = matches!(parser.peek_token_ref().token, Token::Arrow | Token::LongArrow);
        is_arrow.then_some(Ok(ARROW_PRECEDENCE))
    }

    as_duckdb!(
        supports_trailing_commas,
        supports_filter_during_aggregation,
        supports_group_by_expr,
        supports_bitwise_shift_operators,
        supports_named_fn_args_with_eq_operator,
        supports_named_fn_args_with_assignment_operator,
        supports_dictionary_syntax,
        support_map_literal_syntax,
        supports_lambda_functions,
        allow_extract_single_quotes,
        supports_explain_with_utility_options,
        supports_load_extension,
        supports_array_typedef_with_brackets,
        supports_from_first_select,
        supports_order_by_all,
        supports_select_wildcard_exclude,
        supports_notnull_operator,
        supports_install,
        supports_detach,
        supports_select_wildcard_replace,
        supports_comma_separated_trim,
    );
}

/// The statements of `sql`, in order.
///
/// # Errors
/// `Parser Error`, also for text that is too long or nested too deeply.
pub(crate) fn parse(sql: &str) -> Result<Vec<Parsed>> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(QueryError::parser(format_args!("statement longer than {SQL_BYTES_MAX} bytes")));
    }
    let dialect = LakeDialect { duckdb: DuckDbDialect {} };
    let mut tokens = tokens(&dialect, sql)?;
    check_chains(&tokens)?;
    let by_name = by_name::take(&mut tokens);
    map_types::bracket(&mut tokens);
    let tokens = from_first::completed(tokens);
    let parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let statements = statements(parser, sql, &by_name).map_err(|error| from_parser(&error))?;
    if statements.is_empty() {
        return Err(QueryError::parser("there is no statement"));
    }
    Ok(statements)
}

/// Everything up to the end, statements separated by at least one semicolon.
fn statements(mut parser: Parser<'_>, sql: &str, by_name: &HashSet<usize>) -> Result<Vec<Parsed>, ParserError> {
    let mut statements = Vec::new();
    loop {
        let mut separated = statements.is_empty();
        while parser.consume_token(&Token::SemiColon) {
            separated = true;
        }
        if parser.peek_token_ref().token == Token::EOF {
            return Ok(statements);
        }
        if !separated {
            return parser.expected_ref("end of statement", parser.peek_token_ref());
        }
        statements.push(if parser.parse_keyword(Keyword::MERGE) {
            Parsed::Merge(Box::new(merge_syntax::parse(&mut parser)?))
        } else if let Some(query) = pivot_syntax::parse(&mut parser)? {
            Parsed::Plain(Box::new(Statement::Query(query)))
        } else if let Some(statement) = lake_syntax::parse(&mut parser)? {
            Parsed::Lake(Box::new(statement))
        } else {
            let first = parser.index();
            match parser.parse_statement()? {
                Statement::Insert(insert) if by_name.contains(&statements.len()) => {
                    Parsed::InsertByName(Box::new(insert))
                }
                Statement::CreateView(view) => {
                    let text = view_text(&parser, sql, first);
                    Parsed::CreateView(Box::new(view), text)
                }
                statement => Parsed::Plain(Box::new(statement)),
            }
        });
    }
}

/// The text of the query of the CREATE VIEW that begins at token `first` and has just been parsed: all behind its first `AS`
/// outside parentheses.
fn view_text(parser: &Parser<'_>, sql: &str, first: usize) -> String {
    let mut depth = 0_usize;
    let mut query = None;
    for at in first..parser.index() {
        let token = parser.token_at(at);
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 0 && word.keyword == Keyword::AS => {
                query = Some(token.span.end);
                break;
            }
            _ => {}
        }
    }
    let last = parser.token_at(parser.get_current_index()).span.end;
    let start = query.map_or(0, |at| byte_offset(sql, at));
    sql[start..byte_offset(sql, last).max(start)].trim().to_owned()
}

/// Where a place in the text is, in bytes. Lines and columns count from 1, columns in characters.
fn byte_offset(sql: &str, at: Location) -> usize {
    let lines = sql.match_indices('\n').map(|(end, _)| end + 1);
    let line = [0].into_iter().chain(lines).nth((at.line as usize).saturating_sub(1)).unwrap_or(sql.len());
    let column = sql[line..].char_indices().nth((at.column as usize).saturating_sub(1));
    column.map_or(sql.len(), |(offset, _)| line + offset)
}

/// The parts of a name given as text, quoted or not.
///
/// # Errors
/// `Parser Error`.
pub(crate) fn parse_name(text: &str) -> Result<Vec<String>> {
    let name = whole(text, |parser| parser.parse_object_name(false))?;
    Ok(crate::names::parts(&name)?.into_iter().map(str::to_owned).collect())
}

/// An expression of our own writing.
///
/// # Errors
/// `Parser Error`.
pub(crate) fn parse_expression(sql: &str) -> Result<Expr> {
    whole(sql, |parser| parser.parse_expr())
}

/// A type's name given as text.
///
/// # Errors
/// `Parser Error`.
pub(crate) fn parse_type(text: &str) -> Result<DataType> {
    whole(text, |parser| parser.parse_data_type())
}

/// A query of our own writing.
///
/// # Errors
/// `Parser Error`.
pub(crate) fn parse_query(sql: &str) -> Result<Box<Query>> {
    whole(sql, |parser| parser.parse_query())
}

fn whole<T>(text: &str, parse: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>) -> Result<T> {
    let dialect = LakeDialect { duckdb: DuckDbDialect {} };
    let mut tokens = tokens(&dialect, text)?;
    map_types::bracket(&mut tokens);
    let tokens = from_first::completed(tokens);
    let mut parser = Parser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
    let parsed = parse(&mut parser).and_then(|parsed| {
        parser.expect_token(&Token::EOF)?;
        Ok(parsed)
    });
    parsed.map_err(|error| from_parser(&error))
}

fn tokens(dialect: &LakeDialect, sql: &str) -> Result<Vec<TokenWithSpan>> {
    Tokenizer::new(dialect, sql)
        .tokenize_with_location()
        .map_err(|error| from_parser(&ParserError::TokenizerError(error.to_string())))
}

/// Refuses chains of operators, and of common table expressions, that would make a deep tree.
fn check_chains(tokens: &[TokenWithSpan]) -> Result<()> {
    let mut outer: Vec<usize> = Vec::new();
    let mut chain = 0;
    let (mut named, mut after_as) = (0, false);
    for token in tokens {
        match &token.token {
            Token::SemiColon => named = 0,
            Token::LParen if after_as => named += 1,
            _ => {}
        }
        after_as = match &token.token {
            Token::Whitespace(_) => after_as,
            Token::Word(word) => {
                matches!(word.keyword, Keyword::AS)
                    || (after_as && matches!(word.keyword, Keyword::NOT | Keyword::MATERIALIZED))
            }
            _ => false,
        };
        if named > NAMED_MAX {
            return Err(QueryError::parser(format_args!(
                "a statement has at most {NAMED_MAX} common table expressions"
            )));
        }
        match &token.token {
            Token::LParen | Token::LBracket | Token::LBrace => outer.push(std::mem::take(&mut chain)),
            Token::RParen | Token::RBracket | Token::RBrace => chain = outer.pop().unwrap_or(0),
            Token::Comma | Token::SemiColon => chain = 0,
            Token::Word(word) => match word.keyword {
                Keyword::CASE => outer.push(std::mem::take(&mut chain)),
                Keyword::END => chain = outer.pop().unwrap_or(0),
                // The branches of a CASE are a list.
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE => chain = 0,
                Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT
                | Keyword::JOIN
                | Keyword::IS
                | Keyword::COLLATE => chain += 1,
                _ => {}
            },
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::Whitespace(_)
            | Token::Period
            | Token::EOF => {}
            _ => chain += 1,
        }
        if chain > CHAIN_MAX || outer.len() > NESTING_MAX {
            return Err(QueryError::parser("the statement is nested too deeply"));
        }
    }
    Ok(())
}
