//! COPY: the rows of a query into a file, the rows of a file into a table.
//!
//! **Invariants**
//! 1. A file that is written appears whole or not at all.
//! 2. Memory is bounded by a batch and what the format needs to be written.
//! 3. Rows that are read get the types of the table's columns, not ones guessed from the file, where the format has none of its own.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    DictionaryField, Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, Ident, Insert, ObjectName, Query,
    SelectItem, Statement, TableFactor, TableFunctionArgs, Value, ValueWithSpan,
};
use futures::StreamExt;
use siltstone_storage::{Column, folded_name};

use crate::blocking::off_thread;
use crate::copy_syntax::{Copy, Direction};
use crate::dml::Dml;
use crate::error::Result;
use crate::files::{FileFormat, FileWriting, access, format_of_path};
use crate::names::stored_table;
use crate::session::Session;
use crate::statement::{changed, check_is_query};
use crate::{Output, QueryError, syntax};

/// Runs one.
pub(crate) async fn run(session: &mut Session, copy: Copy) -> Result<Output> {
    match &copy.direction {
        Direction::To(query) => write(session, query, &copy).await,
        Direction::From(table, columns) => {
            let insert = as_insert(session, table, columns, &copy)?;
            crate::dml::run(session, &Dml::Insert { insert: Box::new(insert), by_name: false, with: None }).await
        }
    }
}

async fn write(session: &Session, query: &Query, copy: &Copy) -> Result<Output> {
    check_is_query(&query.body)?;
    let writing = writing(copy)?;
    let access = access(session, &copy.file)?;
    if session.read_only {
        return Err(QueryError::invalid_input("Cannot execute this statement: the session is read-only"));
    }
    let planned = session.plan(session.snapshot(), Statement::Query(Box::new(query.clone()))).await?;
    if session.checking {
        return changed(0);
    }
    let (file, schema, zone) = (copy.file.clone(), Arc::clone(&planned.schema), planned.zone);
    let mut writer = off_thread(move || access.create(&file, &writing, &schema, zone)).await?;
    let mut rows = 0;
    let mut batches = planned.execute()?;
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        rows += batch.num_rows();
        writer = off_thread(move || writer.write(&batch).map(|()| writer)).await?;
    }
    off_thread(move || writer.finish()).await?;
    changed(rows)
}

/// How the file is to be written.
fn writing(copy: &Copy) -> Result<FileWriting> {
    let format = format(copy)?;
    let mut writing = FileWriting { format, header: true, delimiter: b',', array: false };
    for (name, value) in &copy.options {
        let name = folded_name(&name.value);
        match (name.as_str(), format) {
            ("format", _) => {}
            ("header", FileFormat::Csv) => writing.header = flag(&name, value.as_ref())?,
            ("delimiter" | "delim" | "sep", FileFormat::Csv) => writing.delimiter = delimiter(&name, value.as_ref())?,
            ("array", FileFormat::Json) => writing.array = flag(&name, value.as_ref())?,
            ("compression" | "codec", FileFormat::Parquet) if text(&name, value.as_ref())? == "zstd" => {}
            ("overwrite" | "overwrite_or_ignore" | "use_tmp_file", _) if flag(&name, value.as_ref())? => {}
            _ => return Err(unsupported(&name, format)),
        }
    }
    Ok(writing)
}

fn unsupported(name: &str, format: FileFormat) -> QueryError {
    QueryError::not_implemented(format_args!(
        "Unrecognized option for {}: \"{name}\", or its value",
        format!("{format:?}").to_uppercase()
    ))
}

/// What is said, else what the file's extension says, else CSV.
fn format(copy: &Copy) -> Result<FileFormat> {
    let said = copy.options.iter().find(|(name, _)| folded_name(&name.value) == "format");
    let Some((_, value)) = said else {
        return Ok(format_of_path(&copy.file).unwrap_or(FileFormat::Csv));
    };
    match text("format", value.as_ref())?.as_str() {
        "csv" => Ok(FileFormat::Csv),
        "json" => Ok(FileFormat::Json),
        "parquet" => Ok(FileFormat::Parquet),
        other => Err(QueryError::catalog(format_args!("Copy Function with name {other} does not exist!"))),
    }
}

fn text(name: &str, value: Option<&Expr>) -> Result<String> {
    match value {
        Some(Expr::Identifier(word)) => Ok(folded_name(&word.value)),
        Some(Expr::Value(ValueWithSpan { value, .. })) => match value {
            Value::SingleQuotedString(text) => Ok(folded_name(text)),
            Value::Boolean(flag) => Ok(flag.to_string()),
            Value::Number(digits, _) => Ok(digits.clone()),
            other => {
                Err(QueryError::binder(format_args!("{name} takes a text, a number or a truth value, not {other}")))
            }
        },
        _ => Err(QueryError::binder(format_args!("{name} takes a value"))),
    }
}

/// `HEADER` alone is `HEADER true`.
fn flag(name: &str, value: Option<&Expr>) -> Result<bool> {
    let text = if value.is_none() { "true".to_owned() } else { text(name, value)? };
    match text.as_str() {
        "true" | "1" | "on" => Ok(true),
        "false" | "0" | "off" => Ok(false),
        _ => Err(QueryError::binder(format_args!("{name} is true or false, not {text}"))),
    }
}

fn delimiter(name: &str, value: Option<&Expr>) -> Result<u8> {
    let text = text(name, value)?;
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'"' | b'\n' | b'\r') => {
            Ok(*byte)
        }
        _ => Err(QueryError::binder(format_args!("{name} is one ASCII character and no quote, letter or digit"))),
    }
}

/// `INSERT INTO table (columns) SELECT … FROM read_…('file', options)`.
fn as_insert(session: &Session, table: &ObjectName, columns: &[Ident], copy: &Copy) -> Result<Insert> {
    let format = format(copy)?;
    let snapshot = session.snapshot();
    let stored = stored_table(snapshot.catalog(), &session.defaults, table)?;
    let schema = stored.schema();
    let targets: Vec<&Column> = match columns {
        [] => schema.columns().iter().collect(),
        named => named.iter().map(|name| column(schema.column(&name.value), name)).collect::<Result<_>>()?,
    };
    let mut arguments = Vec::with_capacity(copy.options.len() + 1);
    for (name, value) in &copy.options {
        if folded_name(&name.value) != "format" {
            let value = value.clone().unwrap_or_else(syntax::yes);
            arguments.push((folded_name(&name.value), value));
        }
    }
    // Files with types of their own are cast to the table's as an INSERT casts.
    let types = format != FileFormat::Parquet;
    if types {
        arguments.push(("columns".to_owned(), column_types(&targets)));
    }
    let quoted = |column: &&Column| SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('"', &column.name)));
    let items = if types { targets.iter().map(quoted).collect() } else { vec![syntax::star()] };
    let source = syntax::query(syntax::select(items, vec![syntax::alone(call(format, &copy.file, arguments))], None));
    let names = targets.iter().map(|column| ObjectName::from(vec![Ident::with_quote('"', &column.name)]));
    Ok(syntax::insert(table.clone(), names.collect(), source))
}

fn column<'a>(found: Option<&'a Column>, name: &Ident) -> Result<&'a Column> {
    found.ok_or_else(|| QueryError::binder(format_args!("the table does not have a column named {}", name.value)))
}

fn literal(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}

/// `{'a': 'INTEGER', …}`.
fn column_types(columns: &[&Column]) -> Expr {
    let field = |column: &&Column| DictionaryField {
        key: Ident::with_quote('\'', &column.name),
        value: Box::new(literal(&column.logical_type.to_string())),
    };
    Expr::Dictionary(columns.iter().map(field).collect())
}

/// `read_…('file', name = value …)`.
fn call(format: FileFormat, file: &str, arguments: Vec<(String, Expr)>) -> TableFactor {
    let function = match format {
        FileFormat::Csv => "read_csv",
        FileFormat::Json => "read_json",
        FileFormat::Parquet => "read_parquet",
    };
    let path = FunctionArg::Unnamed(FunctionArgExpr::Expr(literal(file)));
    let named = arguments.into_iter().map(|(name, value)| FunctionArg::Named {
        name: Ident::new(name),
        arg: FunctionArgExpr::Expr(value),
        operator: FunctionArgOperator::Equals,
    });
    let args = TableFunctionArgs { args: std::iter::once(path).chain(named).collect(), settings: None };
    let mut factor = syntax::table(ObjectName::from(vec![Ident::new(function)]), None, None);
    if let TableFactor::Table { args: place, .. } = &mut factor {
        *place = Some(args);
    }
    factor
}
