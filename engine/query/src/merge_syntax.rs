//! `MERGE INTO` as DuckDB writes it: `UPDATE SET *`, `INSERT *`, `BY NAME`, `DO NOTHING`, `ERROR`, `USING (columns)`.
//!
//! **Invariants**: what follows MERGE is parsed wholly or refused; no part of it is ignored.

use datafusion::sql::sqlparser::ast::{Assignment, Expr, Ident, TableFactor};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

type Result<T> = std::result::Result<T, ParserError>;

/// `MERGE INTO target USING source ON … WHEN …`.
#[derive(Clone, Debug)]
pub(crate) struct Merge {
    pub(crate) target: TableFactor,
    pub(crate) source: TableFactor,
    pub(crate) on: On,
    /// In the order written; at least one.
    pub(crate) clauses: Vec<Clause>,
}

/// What makes a source row match a stored one.
#[derive(Clone, Debug)]
pub(crate) enum On {
    Condition(Box<Expr>),
    /// Equality of these columns, which both sides have.
    Using(Vec<Ident>),
}

/// `WHEN … [AND condition] THEN action`.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) when: When,
    pub(crate) condition: Option<Expr>,
    pub(crate) action: Action,
}

/// Which rows a clause is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Pairs of a stored and a source row.
    Matched,
    /// Source rows without a stored one.
    NotMatchedByTarget,
    /// Stored rows without a source row.
    NotMatchedBySource,
}

/// What is done with them.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Update(Values),
    Insert(Values),
    Delete,
    Nothing,
    /// The statement fails, with this text if there is one.
    Error(Option<Box<Expr>>),
}

/// Where the values of an UPDATE or INSERT come from.
#[derive(Clone, Debug)]
pub(crate) enum Values {
    /// `SET a = …, b = …`.
    Assigned(Vec<Assignment>),
    /// `(a, b) VALUES (…)`; no columns: all of the table.
    Listed { columns: Vec<Ident>, values: Vec<Expr> },
    /// The source's columns in their order (`*`).
    ByPosition,
    /// The source's columns by their names.
    ByName,
    /// `DEFAULT VALUES`.
    Defaults,
}

/// Parses what follows the word MERGE.
pub(crate) fn parse(parser: &mut Parser<'_>) -> Result<Merge> {
    parser.expect_keyword(Keyword::INTO)?;
    let target = parser.parse_table_factor()?;
    parser.expect_keyword(Keyword::USING)?;
    let source = parser.parse_table_factor()?;
    let on = if parser.parse_keyword(Keyword::USING) {
        On::Using(parenthesized(parser, Parser::parse_identifier)?)
    } else {
        parser.expect_keyword(Keyword::ON)?;
        On::Condition(Box::new(parser.parse_expr()?))
    };
    let mut clauses = Vec::new();
    while parser.parse_keyword(Keyword::WHEN) {
        clauses.push(clause(parser)?);
    }
    if clauses.is_empty() {
        return parser.expected_ref("WHEN", parser.peek_token_ref());
    }
    Ok(Merge { target, source, on, clauses })
}

fn clause(parser: &mut Parser<'_>) -> Result<Clause> {
    let not = parser.parse_keyword(Keyword::NOT);
    parser.expect_keyword(Keyword::MATCHED)?;
    let when = match not {
        false => When::Matched,
        true if parser.parse_keywords(&[Keyword::BY, Keyword::SOURCE]) => When::NotMatchedBySource,
        true => {
            let _said = parser.parse_keywords(&[Keyword::BY, Keyword::TARGET]);
            When::NotMatchedByTarget
        }
    };
    let condition = if parser.parse_keyword(Keyword::AND) { Some(parser.parse_expr()?) } else { None };
    parser.expect_keyword(Keyword::THEN)?;
    Ok(Clause { when, condition, action: action(parser, when)? })
}

fn action(parser: &mut Parser<'_>, when: When) -> Result<Action> {
    let stored = when != When::NotMatchedByTarget;
    if parser.parse_keywords(&[Keyword::DO, Keyword::NOTHING]) {
        return Ok(Action::Nothing);
    }
    if word(parser, "ERROR") {
        let next = &parser.peek_token_ref().token;
        let ends = matches!(next, Token::EOF | Token::SemiColon)
            || matches!(next, Token::Word(word) if word.keyword == Keyword::WHEN);
        return Ok(Action::Error(if ends { None } else { Some(Box::new(parser.parse_expr()?)) }));
    }
    if stored && parser.parse_keyword(Keyword::DELETE) {
        return Ok(Action::Delete);
    }
    if stored && parser.parse_keyword(Keyword::UPDATE) {
        return Ok(Action::Update(updated(parser)?));
    }
    if !stored && parser.parse_keyword(Keyword::INSERT) {
        return Ok(Action::Insert(inserted(parser)?));
    }
    let expected = if stored { "UPDATE, DELETE, DO NOTHING or ERROR" } else { "INSERT, DO NOTHING or ERROR" };
    parser.expected_ref(expected, parser.peek_token_ref())
}

fn updated(parser: &mut Parser<'_>) -> Result<Values> {
    if let Some(values) = by(parser)? {
        return Ok(values);
    }
    if !parser.parse_keyword(Keyword::SET) || parser.consume_token(&Token::Mul) {
        return Ok(Values::ByPosition);
    }
    Ok(Values::Assigned(parser.parse_comma_separated(Parser::parse_assignment)?))
}

fn inserted(parser: &mut Parser<'_>) -> Result<Values> {
    if let Some(values) = by(parser)? {
        let _star = parser.consume_token(&Token::Mul);
        return Ok(values);
    }
    if parser.consume_token(&Token::Mul) {
        return Ok(Values::ByPosition);
    }
    if parser.parse_keywords(&[Keyword::DEFAULT, Keyword::VALUES]) {
        return Ok(Values::Defaults);
    }
    let columns = match parser.peek_token_ref().token {
        Token::LParen => parenthesized(parser, Parser::parse_identifier)?,
        _ => Vec::new(),
    };
    if parser.parse_keyword(Keyword::VALUES) {
        return Ok(Values::Listed { columns, values: parenthesized(parser, Parser::parse_expr)? });
    }
    if columns.is_empty() { Ok(Values::ByPosition) } else { parser.expected_ref("VALUES", parser.peek_token_ref()) }
}

fn by(parser: &mut Parser<'_>) -> Result<Option<Values>> {
    if !parser.parse_keyword(Keyword::BY) {
        return Ok(None);
    }
    match () {
        () if word(parser, "NAME") => Ok(Some(Values::ByName)),
        () if word(parser, "POSITION") => Ok(Some(Values::ByPosition)),
        () => parser.expected_ref("NAME or POSITION", parser.peek_token_ref()),
    }
}

fn parenthesized<'p, T>(parser: &mut Parser<'p>, item: impl FnMut(&mut Parser<'p>) -> Result<T>) -> Result<Vec<T>> {
    parser.expect_token(&Token::LParen)?;
    let items = parser.parse_comma_separated(item)?;
    parser.expect_token(&Token::RParen)?;
    Ok(items)
}

/// Takes a word that need not be one of the parser's keywords.
fn word(parser: &mut Parser<'_>, expected: &str) -> bool {
    let found = matches!(&parser.peek_token_ref().token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected));
    if found {
        parser.advance_token();
    }
    found
}
