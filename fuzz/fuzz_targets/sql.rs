//! SQL text to statements: the query crate's own parser, compiled without DataFusion, which would take longer to build than to fuzz.
#![no_main]

// The parser names sqlparser the way DataFusion re-exports it.
extern crate self as datafusion;

/// Stands for `datafusion::sql`.
pub mod sql {
    pub use sqlparser;
}

#[path = "../../engine/query/src/dialect.rs"]
mod dialect;

/// What the parser needs of the query crate's errors.
mod error {
    use sqlparser::parser::ParserError;

    use crate::QueryError;

    pub type Result<T> = std::result::Result<T, QueryError>;

    pub fn from_parser(error: &ParserError) -> QueryError {
        QueryError::parser(error)
    }
}

/// Why a text is no statement.
pub struct QueryError(String);

impl QueryError {
    fn parser(text: impl std::fmt::Display) -> Self {
        Self(text.to_string())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match dialect::parse(text) {
        Ok(statements) => {
            assert!(!statements.is_empty());
            for statement in &statements {
                // What is refused later is named in the message, by its text.
                assert!(!statement.to_string().is_empty());
            }
        }
        Err(QueryError(message)) => assert!(!message.is_empty()),
    }
});
