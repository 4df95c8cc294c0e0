//! The calls of a statement that read files, each replaced by the name of a table that the catalog knows.
//!
//! **Invariants**
//! 1. The names begin with a NUL: no text is parsed to one.
//! 2. Arguments are evaluated, and files looked at, once per planning.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::sql::sqlparser::ast::*;
use siltstone_storage::{LogicalType, NewColumn, Snapshot, TableSchema, folded_name};

use super::options::{Arguments, format_of_path, named_arguments};
use super::table::{FileCall, FileTable};
use super::{FileFormat, access};
use crate::QueryError;
use crate::blocking::off_thread;
use crate::error::Result;
use crate::names::{Spelling, parts};
use crate::session::Session;
use crate::syntax::table_alias;

/// Begins the names of tables that stand for calls.
const MARK: &str = "\0file ";
/// Most files of one call.
const FILES_MAX: usize = 10_000;

/// Whether a name stands for a call of the statement.
pub(crate) fn is_file_table(name: &str) -> bool {
    name.starts_with(MARK)
}

/// The tables that stand for the calls of a statement.
#[derive(Debug, Default)]
pub(crate) struct FileTables(Vec<Arc<FileCall>>);

impl FileTables {
    /// Names of all their columns.
    pub(crate) fn column_names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|call| call.column_names())
    }

    /// A call's table, its columns spelled as the statement spells them.
    pub(crate) fn table(&self, name: &str, spelling: &Spelling) -> Option<Arc<FileTable>> {
        let number: usize = name.strip_prefix(MARK)?.parse().ok()?;
        Some(Arc::new(FileTable::new(Arc::clone(self.0.get(number)?), spelling)))
    }
}

/// Replaces the calls that read files.
///
/// # Errors
/// `Permission Error` if there are such, and files are not for SQL; `Binder Error` for wrong arguments; those of looking at the files.
pub(crate) async fn lower(session: &Session, snapshot: &Snapshot, statement: &mut Statement) -> Result<FileTables> {
    let mut found = Found::default();
    if let ControlFlow::Break(error) = VisitMut::visit(statement, &mut found) {
        return Err(error);
    }
    let mut tables = Vec::with_capacity(found.requests.len());
    for request in found.requests {
        let expressions =
            std::iter::once(request.path.clone()).chain(request.named.iter().map(|(_, expr)| expr.clone()));
        let mut values = crate::time_travel::evaluate(session, snapshot, expressions).await?.into_iter();
        let path = values.next().ok_or_else(|| QueryError::internal("a call without its argument"))?;
        let named = request.named.into_iter().map(|(name, _)| name).zip(values).collect();
        let arguments = Arguments::of(&request.function, request.format, named)?;
        tables.push(Arc::new(open(session, &request.function, &path, arguments).await?));
    }
    Ok(FileTables(tables))
}

/// Finds the files of a call and looks at their columns.
async fn open(session: &Session, function: &str, path: &ScalarValue, arguments: Arguments) -> Result<FileCall> {
    let patterns = patterns(function, path)?;
    let access = access(session, patterns.first().map_or("", String::as_str))?;
    off_thread(move || {
        let mut files = Vec::new();
        for pattern in &patterns {
            files.extend(access.find(pattern)?);
            if files.len() > FILES_MAX {
                return Err(QueryError::invalid_input(format_args!("more than {FILES_MAX} files: {pattern}")));
            }
        }
        let Arguments { reading, filename, .. } = arguments;
        let mut columns = match &reading.columns {
            Some(columns) => columns.clone(),
            None => access.columns(&files, &reading)?,
        };
        if reading.all_text && reading.columns.is_none() {
            columns.iter_mut().for_each(|column| column.logical_type = LogicalType::Varchar);
        }
        let has_filename = filename.is_some();
        columns.extend(filename.map(|name| NewColumn::new(name, LogicalType::Varchar)));
        if columns.is_empty() {
            return Err(QueryError::invalid_input(format_args!("no columns in \"{}\"", patterns.join("\", \""))));
        }
        let schema = Arc::new(TableSchema::new(columns, &[])?);
        Ok(FileCall { access, files: files.into(), reading, schema, has_filename })
    })
    .await
}

/// The paths that an argument names: a text or a list of texts.
fn patterns(function: &str, path: &ScalarValue) -> Result<Vec<String>> {
    let bad = || QueryError::binder(format_args!("{function} takes a path or a list of paths, not {path}"));
    if let Some(text) = path.try_as_str() {
        return Ok(vec![text.ok_or_else(bad)?.to_owned()]);
    }
    let ScalarValue::List(list) = path else {
        return Err(bad());
    };
    if list.is_null(0) {
        return Err(bad());
    }
    let texts = cast(&list.value(0), &DataType::Utf8)?;
    let texts = texts.as_string::<i32>();
    if texts.is_empty() || texts.null_count() > 0 || !list.value_type().is_string() {
        return Err(bad());
    }
    Ok(texts.iter().flatten().map(str::to_owned).collect())
}

/// A call as written.
struct Request {
    function: String,
    format: FileFormat,
    path: Expr,
    named: Vec<(String, Expr)>,
}

#[derive(Default)]
struct Found {
    requests: Vec<Request>,
}

impl VisitorMut for Found {
    type Break = QueryError;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<QueryError> {
        match self.take(factor) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

impl Found {
    fn take(&mut self, factor: &mut TableFactor) -> Result<()> {
        let TableFactor::Table { name, args, alias, version: None, .. } = factor else {
            return Ok(());
        };
        let (request, called) = match args {
            Some(args) => match (parts(name)?.as_slice(), args) {
                ([function], args) => match format_of_function(function) {
                    Some(format) => (of_call(function, format, args)?, (*function).to_owned()),
                    None => return Ok(()),
                },
                _ => return Ok(()),
            },
            None => match quoted_path(name) {
                Some(path) => {
                    let called = Path::new(path).file_stem().map_or(path.into(), |stem| stem.to_string_lossy());
                    (of_path(path)?, called.into_owned())
                }
                None => return Ok(()),
            },
        };
        *args = None;
        alias.get_or_insert_with(|| table_alias(Ident::with_quote('"', called)));
        *name = ObjectName::from(vec![Ident::new(format!("{MARK}{}", self.requests.len()))]);
        self.requests.push(request);
        Ok(())
    }
}

/// What a table function reads, if it is one of these.
fn format_of_function(name: &str) -> Option<FileFormat> {
    Some(match folded_name(name).as_str() {
        "read_csv" | "read_csv_auto" => FileFormat::Csv,
        "read_json" | "read_json_auto" | "read_ndjson" | "read_ndjson_auto" => FileFormat::Json,
        "read_parquet" | "parquet_scan" => FileFormat::Parquet,
        _ => return None,
    })
}

fn of_call(function: &str, format: FileFormat, args: &TableFunctionArgs) -> Result<Request> {
    let function = folded_name(function);
    let (positional, named) = named_arguments(&args.args)?;
    match <[Expr; 1]>::try_from(positional) {
        Ok([path]) if args.settings.is_none() => Ok(Request { function, format, path, named }),
        _ => Err(QueryError::binder(format_args!(
            "expected {function}('path' [, name = value …]): options go by their names"
        ))),
    }
}

/// `FROM 'path'`.
fn quoted_path(name: &ObjectName) -> Option<&str> {
    match name.0.as_slice() {
        [ObjectNamePart::Identifier(Ident { value, quote_style: Some('\''), .. })] => Some(value),
        _ => None,
    }
}

fn of_path(path: &str) -> Result<Request> {
    let Some(format) = format_of_path(path) else {
        return Err(QueryError::catalog(format_args!(
            "Table with name {path} does not exist! A file is named with its extension: .csv, .tsv, .json, .jsonl, .ndjson or .parquet"
        )));
    };
    let path = Expr::Value(Value::SingleQuotedString(path.to_owned()).into());
    Ok(Request { function: "FROM 'file'".to_owned(), format, path, named: Vec::new() })
}
