//! `MAP(K, V)` as a type, which the parser crate knows as `MAP<K, V>` alone.
//!
//! **Invariants**
//! 1. Only parentheses after `MAP` where a type stands become brackets: after `::`, after a column's name or a word like `TYPE`, after
//!    `CAST(… AS`, and within another such type. `map(keys, values)` in expressions stays a call.
//! 2. Tokens keep their places in the text.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

/// Words after which an expression begins; after any other word, `MAP(` is a type.
const BEFORE_EXPRESSIONS: [&str; 40] = [
    "ALL",
    "AND",
    "ANTI",
    "ANY",
    "AS",
    "ASOF",
    "BETWEEN",
    "BY",
    "CASE",
    "CROSS",
    "DEFAULT",
    "DISTINCT",
    "ELSE",
    "END",
    "EXCEPT",
    "FROM",
    "FULL",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTO",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "OFFSET",
    "ON",
    "OR",
    "QUALIFY",
    "RETURNING",
    "SELECT",
    "SET",
    "THEN",
    "USING",
    "WHEN",
    "WHERE",
];

/// What stands open, at one depth.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    /// `MAP(` as a type.
    Map,
    /// `CAST(` or `TRY_CAST(`.
    Cast,
    Other,
}

/// Gives MAP types the brackets that the parser wants.
pub(crate) fn bracket(tokens: &mut [TokenWithSpan]) {
    let mut open: Vec<Open> = Vec::new();
    // The places of the last two tokens that are not blank.
    let (mut last, mut before_last): (Option<usize>, Option<usize>) = (None, None);
    for at in 0..tokens.len() {
        match &tokens[at].token {
            Token::Whitespace(_) => continue,
            Token::LParen => {
                let is = |words: &[&str]| last.is_some_and(|last| is_one_of(&tokens[last].token, words));
                let opened = if is(&["CAST", "TRY_CAST"]) {
                    Open::Cast
                } else if is(&["MAP"])
                    && before_last.is_some_and(|place| is_before_type(&tokens[place].token, open.last()))
                {
                    tokens[at].token = Token::Lt;
                    Open::Map
                } else {
                    Open::Other
                };
                open.push(opened);
            }
            Token::RParen if open.pop() == Some(Open::Map) => tokens[at].token = Token::Gt,
            Token::SemiColon => open.clear(),
            _ => {}
        }
        (before_last, last) = (last, Some(at));
    }
}

/// Whether a type can follow this token.
fn is_before_type(token: &Token, open: Option<&Open>) -> bool {
    match token {
        Token::DoubleColon => true,
        // The brackets of a MAP around this one have been put in by now.
        Token::Lt | Token::Comma => open == Some(&Open::Map),
        Token::Word(Word { quote_style: Some(_), .. }) => true,
        word if is_one_of(word, &["AS"]) => open == Some(&Open::Cast),
        Token::Word(_) => !is_one_of(token, &BEFORE_EXPRESSIONS),
        _ => false,
    }
}

fn is_one_of(token: &Token, words: &[&str]) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none() && words.iter().any(|known| word.value.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests;
