//! `INSERT INTO t BY NAME query`, which the parser crate does not know.
//!
//! **Invariants**: two words are taken out only where they stand between the table's name and the source of an INSERT.

use std::collections::HashSet;

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Whitespace};

/// Takes `BY NAME` and `BY POSITION` out of INSERTs; gives the places of the statements that had `BY NAME`, counted from 0.
pub(crate) fn take(tokens: &mut [TokenWithSpan]) -> HashSet<usize> {
    let mut named = HashSet::new();
    let mut taken = Vec::new();
    let (mut statement, mut has_tokens) = (0, false);
    for at in 0..tokens.len() {
        match &tokens[at].token {
            Token::Whitespace(_) => {}
            Token::SemiColon => {
                statement += usize::from(has_tokens);
                has_tokens = false;
            }
            _ => {
                if !has_tokens && let Some((by, is_name)) = by_after_insert(tokens, at) {
                    taken.push(by);
                    if is_name {
                        named.insert(statement);
                    }
                }
                has_tokens = true;
            }
        }
    }
    for [by, how] in taken {
        for at in [by, how] {
            tokens[at].token = Token::Whitespace(Whitespace::Space);
        }
    }
    named
}

/// Where the two words are in the INSERT that begins at `start`, and whether the second is NAME.
fn by_after_insert(tokens: &[TokenWithSpan], start: usize) -> Option<([usize; 2], bool)> {
    let is_space = |at: &usize| matches!(tokens[*at].token, Token::Whitespace(_));
    let mut places = (start..tokens.len()).filter(|at| !is_space(at)).peekable();
    let mut take = |words: &[&str]| places.next_if(|at| words.iter().any(|word| is_word(&tokens[*at], word)));
    take(&["INSERT"])?;
    if take(&["OR"]).is_some() {
        take(&["REPLACE", "IGNORE"])?;
    }
    take(&["INTO"])?;
    loop {
        places.next_if(|at| matches!(tokens[*at].token, Token::Word(_)))?;
        if places.next_if(|at| tokens[*at].token == Token::Period).is_none() {
            break;
        }
    }
    let by = places.next_if(|at| is_word(&tokens[*at], "BY"))?;
    let how = places.next()?;
    let is_name = is_word(&tokens[how], "NAME");
    (is_name || is_word(&tokens[how], "POSITION")).then_some(([by, how], is_name))
}

fn is_word(token: &TokenWithSpan, expected: &str) -> bool {
    matches!(&token.token,
        Token::Word(word) if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
}
