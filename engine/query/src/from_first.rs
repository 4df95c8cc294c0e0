//! Tokens of DuckDB's that the parser crate reads only in part: `FROM t [WHERE …]` without a SELECT, and `E'…'`.
//!
//! **Invariants**
//! 1. A `SELECT *` is put only before a FROM that begins a query and is followed by no SELECT of its own.
//! 2. Tokens keep their places in the text; those that are put in have none.

use std::collections::HashSet;

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// The tokens as the parser crate reads them.
pub(crate) fn completed(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let missing = without_select(&tokens);
    let mut completed = Vec::with_capacity(tokens.len() + 2 * missing.len());
    for (at, mut token) in tokens.into_iter().enumerate() {
        if missing.contains(&at) {
            completed.push(TokenWithSpan::wrap(Token::make_keyword("SELECT")));
            completed.push(TokenWithSpan::wrap(Token::Mul));
        }
        if let Token::EscapedStringLiteral(text) = &mut token.token {
            // The tokenizer has resolved the escapes.
            token.token = Token::SingleQuotedString(std::mem::take(text));
        }
        completed.push(token);
    }
    completed
}

/// What may come next, at one depth of parentheses.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Anything; a FROM belongs to what stands before it.
    #[default]
    Within,
    /// The first word of a statement.
    Statement,
    /// The first word of a query.
    Query,
    /// What joins two queries goes on, or the second begins.
    SetOperator,
    /// The query behind an INSERT's table or a WITH, sooner or later.
    Later,
}

/// A query being read: where its leading FROM stands, if it has one and no SELECT came so far.
#[derive(Default)]
struct Open {
    state: State,
    from: Option<usize>,
}

impl Open {
    fn new(state: State) -> Self {
        Self { state, from: None }
    }

    /// Anything but a word.
    fn rest(&mut self) {
        if self.state != State::Later {
            self.state = State::Within;
        }
    }

    fn word(&mut self, keyword: Keyword, at: usize, missing: &mut HashSet<usize>) {
        self.state = match (self.state, keyword) {
            (State::Within, Keyword::FROM) => State::Within,
            (_, Keyword::FROM) => {
                self.from = Some(at);
                State::Within
            }
            (_, Keyword::SELECT) => {
                self.from = None;
                State::Within
            }
            (_, Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT) => {
                missing.extend(self.from.take());
                State::SetOperator
            }
            (State::SetOperator, Keyword::ALL | Keyword::DISTINCT | Keyword::BY | Keyword::NAME) => State::SetOperator,
            (State::Statement, Keyword::DESCRIBE | Keyword::EXPLAIN | Keyword::ANALYZE) => State::Statement,
            (State::Statement | State::Query | State::Later, Keyword::WITH | Keyword::INSERT) => State::Later,
            (State::Later, Keyword::VALUES | Keyword::DEFAULT | Keyword::SET) => State::Within,
            (State::Later, Keyword::DELETE | Keyword::UPDATE | Keyword::MERGE) => State::Within,
            (State::Later, _) => State::Later,
            (_, Keyword::AS) => State::Query,
            _ => State::Within,
        };
    }
}

/// Places of the FROMs that begin a query without SELECT.
fn without_select(tokens: &[TokenWithSpan]) -> HashSet<usize> {
    let mut missing = HashSet::new();
    let mut outer: Vec<Open> = Vec::new();
    let mut open = Open::new(State::Statement);
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::Whitespace(_) => {}
            Token::LParen => outer.push(std::mem::replace(&mut open, Open::new(State::Query))),
            Token::RParen => {
                missing.extend(open.from);
                open = outer.pop().unwrap_or_default();
                open.rest();
            }
            Token::SemiColon | Token::EOF => {
                missing.extend(open.from);
                open = Open::new(State::Statement);
            }
            // No keyword of the parser crate's.
            Token::Word(word) if open.state == State::Statement && word.value.eq_ignore_ascii_case("SUMMARIZE") => {}
            Token::Word(word) => open.word(word.keyword, at, &mut missing),
            _ => open.rest(),
        }
    }
    missing.extend(open.from);
    missing
}
