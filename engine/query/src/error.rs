//! DataFusion's and storage's failures as ours: one kind a caller can act on, one text in DuckDB's words.
//!
//! **Invariants**
//! 1. A failure of kind `Internal` tells the client nothing but that it happened; the details go to the log.
//! 2. Wrappers (context, sharing, collections, Arrow) never hide the kind of what they wrap.

use datafusion::arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use siltstone_storage::ErrorKind;

use crate::{QueryError, QueryErrorKind};

pub(crate) type Result<T, E = QueryError> = std::result::Result<T, E>;

impl QueryError {
    fn new(kind: QueryErrorKind, message: String) -> Self {
        Self { kind, message }
    }

    pub(crate) fn parser(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Parser Error: {text}"))
    }

    pub(crate) fn catalog(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Catalog Error: {text}"))
    }

    pub(crate) fn binder(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Binder Error: {text}"))
    }

    pub(crate) fn conversion(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Conversion Error: {text}"))
    }

    pub(crate) fn constraint(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Constraint Error: {text}"))
    }

    pub(crate) fn invalid_input(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Invalid Input Error: {text}"))
    }

    pub(crate) fn transaction(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("TransactionContext Error: {text}"))
    }

    pub(crate) fn not_implemented(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Not implemented Error: {text}"))
    }

    pub(crate) fn permission(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::User, format!("Permission Error: {text}"))
    }

    pub(crate) fn exhausted(text: impl std::fmt::Display) -> Self {
        Self::new(QueryErrorKind::Exhausted, format!("Out of Memory Error: {text}"))
    }

    /// Something that others are in, dropped without CASCADE.
    pub(crate) fn new_dependency(schema: &str) -> Self {
        Self::new(
            QueryErrorKind::User,
            format!(
                "Dependency Error: Cannot drop entry \"{schema}\" because there are entries that depend on it. \
                 Use DROP...CASCADE to drop all dependents."
            ),
        )
    }

    /// Logs `detail` and tells the client only that something of ours failed.
    pub(crate) fn internal(detail: impl std::fmt::Display) -> Self {
        tracing::error!(%detail, "query failed internally");
        Self::new(QueryErrorKind::Internal, "INTERNAL Error: the query failed; see the server's log".to_owned())
    }
}

/// A storage failure behind a read or a commit.
impl From<siltstone_storage::Error> for QueryError {
    fn from(error: siltstone_storage::Error) -> Self {
        from_storage(&error)
    }
}

fn from_storage(error: &siltstone_storage::Error) -> QueryError {
    match error.kind() {
        ErrorKind::Invalid => QueryError::binder(error.message()),
        ErrorKind::NotFound => QueryError::catalog(error.message()),
        ErrorKind::Unsupported => QueryError::not_implemented(error.message()),
        ErrorKind::Exhausted => QueryError::exhausted(error.message()),
        ErrorKind::Conflict => QueryError::new(
            QueryErrorKind::Unavailable,
            format!("TransactionContext Error: Conflict with a concurrent change: {}", error.message()),
        ),
        ErrorKind::Unavailable | ErrorKind::Latched => {
            QueryError::new(QueryErrorKind::Unavailable, format!("IO Error: {}", error.message()))
        }
        ErrorKind::Corrupt | ErrorKind::Internal => QueryError::internal(format!("{error:?}")),
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        from_datafusion(&error)
    }
}

impl From<ArrowError> for QueryError {
    fn from(error: ArrowError) -> Self {
        from_arrow(&error)
    }
}

fn from_datafusion(error: &DataFusionError) -> QueryError {
    match error {
        DataFusionError::ArrowError(inner, _) => from_arrow(inner),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(inner),
        DataFusionError::Shared(inner) => from_datafusion(inner),
        DataFusionError::Collection(errors) => {
            errors.first().map_or_else(|| QueryError::internal("empty error collection"), from_datafusion)
        }
        DataFusionError::SQL(inner, _) => from_parser(inner),
        DataFusionError::NotImplemented(text) => QueryError::not_implemented(first_line(text)),
        DataFusionError::Plan(text) | DataFusionError::Configuration(text) => from_plan(first_line(text)),
        DataFusionError::SchemaError(inner, _) => from_schema(inner),
        DataFusionError::Execution(text) => from_execution(first_line(text)),
        DataFusionError::ResourcesExhausted(text) => QueryError::exhausted(first_line(text)),
        DataFusionError::External(inner) => from_external(inner.as_ref()),
        other => QueryError::internal(other),
    }
}

/// An error that travelled through DataFusion in a box: ours and storage's come back unchanged.
fn from_external(error: &(dyn std::error::Error + Send + Sync + 'static)) -> QueryError {
    if let Some(ours) = error.downcast_ref::<QueryError>() {
        return QueryError::new(ours.kind, ours.message.clone());
    }
    if let Some(storage) = error.downcast_ref::<siltstone_storage::Error>() {
        return from_storage(storage);
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return from_datafusion(inner);
    }
    QueryError::internal(error)
}

pub(crate) fn from_parser(error: &datafusion::sql::sqlparser::parser::ParserError) -> QueryError {
    use datafusion::sql::sqlparser::parser::ParserError;
    match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            QueryError::parser(format_args!("syntax error: {text}"))
        }
        ParserError::RecursionLimitExceeded => QueryError::parser("the statement is nested too deeply"),
    }
}

fn from_arrow(error: &ArrowError) -> QueryError {
    match error {
        ArrowError::ExternalError(inner) => from_external(inner.as_ref()),
        ArrowError::CastError(text) | ArrowError::ParseError(text) => QueryError::conversion(cast_text(text)),
        ArrowError::ArithmeticOverflow(text) => {
            QueryError::new(QueryErrorKind::User, format!("Out of Range Error: {text}"))
        }
        ArrowError::DivideByZero => {
            QueryError::new(QueryErrorKind::User, "Out of Range Error: division by zero".into())
        }
        ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => QueryError::invalid_input(text),
        ArrowError::NotYetImplemented(text) => QueryError::not_implemented(text),
        other => QueryError::internal(other),
    }
}

/// Arrow's cast failures in DuckDB's words where they follow a known pattern.
fn cast_text(text: &str) -> String {
    let Some(rest) = text.strip_prefix("Cannot cast string '") else {
        return text.to_owned();
    };
    match rest.rsplit_once("' to value of ") {
        Some((value, target)) => {
            let target = target.strip_suffix(" type").unwrap_or(target);
            format!("Could not convert string '{value}' to {}", sql_type_word(target))
        }
        None => text.to_owned(),
    }
}

fn sql_type_word(arrow: &str) -> String {
    match arrow {
        "Float32" => "FLOAT".to_owned(),
        "Float64" => "DOUBLE".to_owned(),
        "Boolean" => "BOOL".to_owned(),
        "Date32" => "DATE".to_owned(),
        other => other.to_ascii_uppercase(),
    }
}

/// Planning failures. DataFusion has one kind for them all, so the text decides the prefix.
fn from_plan(text: &str) -> QueryError {
    if let Some(name) = between(text, "table '", "' not found") {
        let name = name.rsplit('.').next().unwrap_or(name);
        return QueryError::catalog(format_args!("Table with name {name} does not exist!"));
    }
    if let Some(name) = between(text, "Invalid function '", "'") {
        return QueryError::catalog(format_args!("Scalar Function with name {name} does not exist!"));
    }
    QueryError::binder(text)
}

fn from_schema(error: &SchemaError) -> QueryError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let candidates: Vec<String> =
                valid_fields.iter().take(5).map(|column| format!("\"{}\"", column.name())).collect();
            let hint = if candidates.is_empty() {
                String::new()
            } else {
                format!(" Candidate bindings: {}", candidates.join(", "))
            };
            QueryError::binder(format_args!("Referenced column \"{}\" not found in FROM clause!{hint}", field.name()))
        }
        SchemaError::AmbiguousReference { field } => {
            QueryError::binder(format_args!("Ambiguous reference to column name \"{}\"", field.name()))
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            QueryError::binder(format_args!("Duplicate column name \"{name}\""))
        }
    }
}

/// Run-time failures of functions and casts.
fn from_execution(text: &str) -> QueryError {
    let lower = text.to_ascii_lowercase();
    if lower.contains("cast") || lower.contains("parsing") || lower.contains("parse ") {
        return QueryError::conversion(text);
    }
    QueryError::invalid_input(text)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let len = text[start..].find(after)?;
    Some(&text[start..start + len])
}

/// Without the backtrace or the hints that DataFusion appends.
fn first_line(text: &str) -> &str {
    text.split(DataFusionError::BACK_TRACE_SEP).next().unwrap_or(text).trim_end()
}
