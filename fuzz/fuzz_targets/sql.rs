//! SQL text to statements: the query crate's own parser, compiled without DataFusion, which would take longer to build than to fuzz.
#![no_main]

// The parser names sqlparser the way DataFusion re-exports it.
extern crate self as datafusion;

/// Stands for `datafusion::sql`.
pub mod sql {
    pub use sqlparser;
}

#[path = "../../engine/query/src/by_name.rs"]
mod by_name;
#[path = "../../engine/query/src/dialect.rs"]
mod dialect;
#[path = "../../engine/query/src/from_first.rs"]
mod from_first;
#[path = "../../engine/query/src/lake_syntax.rs"]
mod lake_syntax;
#[path = "../../engine/query/src/merge_syntax.rs"]
mod merge_syntax;
#[path = "../../engine/query/src/syntax.rs"]
mod syntax;

/// What the parser needs of the query crate's errors.
mod error {
    use sqlparser::parser::ParserError;

    use crate::QueryError;

    pub type Result<T, E = QueryError> = std::result::Result<T, E>;

    pub fn from_parser(error: &ParserError) -> QueryError {
        QueryError::parser(error)
    }
}

/// What it needs of the query crate's names.
mod names {
    use sqlparser::ast::ObjectName;

    pub fn parts(name: &ObjectName) -> crate::error::Result<Vec<&str>> {
        let part = |part: &'_ sqlparser::ast::ObjectNamePart| part.as_ident().is_some();
        match name.0.iter().all(part) {
            true => Ok(name.0.iter().filter_map(|part| Some(part.as_ident()?.value.as_str())).collect()),
            false => Err(crate::QueryError::parser("a function is no name")),
        }
    }
}

/// Why a text is no statement.
#[derive(Debug)]
pub struct QueryError(String);

impl QueryError {
    fn parser(text: impl std::fmt::Display) -> Self {
        Self(text.to_string())
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Names and expressions stand alone in settings and defaults.
    drop((dialect::parse_name(text), dialect::parse_expression(text)));
    match dialect::parse(text) {
        Ok(statements) => {
            assert!(!statements.is_empty());
            for statement in &statements {
                // What is refused later is named in the message, by its text.
                match statement {
                    dialect::Parsed::Plain(statement) => assert!(!statement.to_string().is_empty()),
                    other => assert!(!format!("{other:?}").is_empty()),
                }
            }
        }
        Err(QueryError(message)) => assert!(!message.is_empty()),
    }
});
