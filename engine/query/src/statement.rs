//! One statement: a query goes to DataFusion, a change to storage, a setting to the session; all else is refused by name.
//!
//! **Invariants**
//! 1. The list of what is accepted is closed: a statement not named here never runs.
//! 2. Nothing in SQL reads or writes a file but what [`crate::files`] is given.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{
    DescribeAlias, Expr, Ident, ObjectName, Query, Reset, ResetStatement, Set, SetExpr, Statement, Use, Value,
    ValueWithSpan,
};
use futures::StreamExt;
use siltstone_storage::folded_name;

use crate::ddl::DdlStatement;
use crate::dialect::{Parsed, parse_query};
use crate::dml::Dml;
use crate::error::Result;
use crate::lake_syntax::LakeStatement;
use crate::names::{Defaults, parts};
use crate::session::{Session, output};
use crate::{Output, OutputKind, QueryError, syntax};

/// Runs one statement.
pub(crate) async fn run(session: &mut Session, statement: Parsed) -> Result<Output> {
    let statement = match statement {
        Parsed::Plain(statement) => *statement,
        Parsed::Merge(merge) => return crate::dml::run(session, &Dml::Merge(merge)).await,
        Parsed::InsertByName(insert) => {
            let dml = Dml::Insert { insert, by_name: true, with: None };
            return crate::dml::run(session, &dml).await;
        }
        Parsed::CreateView(create, text) => return crate::views::create(session, &create, text).await,
        Parsed::Lake(statement) => {
            return match *statement {
                LakeStatement::Summarize(query) => crate::summarize::run(session, &query).await,
                LakeStatement::Copy(copy) => crate::copy::run(session, *copy).await,
                other => crate::ddl::run(session, &DdlStatement::Lake(other)).await,
            };
        }
    };
    match statement {
        Statement::Query(query) => match dml_of(*query)? {
            Ok(dml) => crate::dml::run(session, &dml).await,
            Err(query) => {
                check_is_query(&query.body)?;
                select(session, Statement::Query(query)).await
            }
        },
        Statement::Explain { describe_alias, statement, analyze, .. } if describe_alias != DescribeAlias::Explain => {
            if analyze {
                return Err(QueryError::parser("DESCRIBE takes no ANALYZE"));
            }
            crate::show::describe_query(session, *statement).await
        }
        Statement::Explain { statement: ref explained, .. } => {
            match explained.as_ref() {
                Statement::Query(query) => check_is_query(&query.body)?,
                other => return Err(unsupported(other, "EXPLAIN of ")),
            }
            select(session, statement).await
        }
        Statement::ExplainTable { table_name, .. } => crate::show::describe_table(session, &table_name).await,
        Statement::ShowTables { show_options, .. } => crate::show::tables_in(session, &show_options),
        Statement::ShowDatabases { .. } => crate::show::databases(session),
        Statement::ShowSchemas { .. } => crate::show::schemas(session),
        Statement::ShowVariable { variable } => show(session, &variable).await,
        Statement::Pragma { name, value, is_eq: false } => pragma(session, &name, value.as_ref()).await,
        Statement::Reset(reset) => reset_variable(session, &reset),
        Statement::Set(set) => set_variable(session, set),
        Statement::Use(name) => use_schema(session, name),
        Statement::Insert(_) | Statement::Delete(_) | Statement::Update(_) => {
            let dml = Dml::of(statement, None)?;
            crate::dml::run(session, &dml).await
        }
        Statement::Truncate(truncate) => crate::dml::run(session, &Dml::Truncate(Box::new(truncate))).await,
        Statement::StartTransaction { .. } => crate::transaction::begin(session, &statement),
        Statement::Commit { .. } => crate::transaction::commit(session, &statement).await,
        Statement::Rollback { .. } => crate::transaction::roll_back(session, &statement),
        Statement::Call(function) => crate::transaction::call(session, function).await,
        Statement::CreateTable(create) => crate::ddl::create_table(session, create).await,
        Statement::CreateSchema { .. }
        | Statement::CreateDatabase { .. }
        | Statement::AttachDuckDBDatabase { .. }
        | Statement::DetachDuckDBDatabase { .. }
        | Statement::Drop { .. } => crate::ddl::run(session, &DdlStatement::Plain(Box::new(statement))).await,
        Statement::AlterTable(alter) => crate::alter::run(session, &alter).await,
        Statement::CreateIndex(create) => crate::indexes::create(session, &create),
        other => Err(unsupported(&other, "")),
    }
}

/// `SHOW x`: a list, a setting, or the columns of a table of that name.
async fn show(session: &Session, words: &[Ident]) -> Result<Output> {
    let folded: Vec<String> = words.iter().map(|word| folded_name(&word.value)).collect();
    match folded.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["all", "tables"] => select(session, Statement::Query(parse_query(ALL_TABLES)?)).await,
        [_] if !crate::show::is_variable(&folded[0]) => {
            let name = ObjectName::from(words.to_vec());
            crate::show::describe_table(session, &name).await
        }
        _ => crate::show::variable(session, words),
    }
}

/// What `SHOW ALL TABLES` stands for.
const ALL_TABLES: &str = "SELECT database_name AS database, schema_name AS schema, table_name AS name, \
     array_agg(column_name ORDER BY column_index) AS column_names, array_agg(data_type ORDER BY column_index) AS column_types, \
     false AS temporary FROM information_schema.duckdb_columns GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

/// `PRAGMA name` and `PRAGMA name('value')`.
async fn pragma(session: &Session, name: &ObjectName, value: Option<&ValueWithSpan>) -> Result<Output> {
    let argument = value.map(|value| value.value.clone().into_string().unwrap_or_else(|| value.value.to_string()));
    let sql = match (folded_name(&name.to_string()).as_str(), argument) {
        ("table_info", Some(table)) => format!("FROM pragma_table_info('{}')", table.replace('\'', "''")),
        ("show_tables", None) => return crate::show::tables(session),
        ("show_databases", None) => return crate::show::databases(session),
        ("database_list", None) => {
            "SELECT database_oid AS seq, database_name AS name, path AS file FROM duckdb_databases()".to_owned()
        }
        ("version", None) => "SELECT version() AS library_version".to_owned(),
        (other, _) => {
            return Err(QueryError::catalog(format_args!("Pragma Function with name {other} does not exist!")));
        }
    };
    select(session, Statement::Query(parse_query(&sql)?)).await
}

/// `RESET x`.
fn reset_variable(session: &mut Session, reset: &ResetStatement) -> Result<Output> {
    let Reset::ConfigurationParameter(name) = &reset.reset else {
        return Err(QueryError::not_implemented(format_args!("{reset} is not supported")));
    };
    let name = folded_name(&name.to_string());
    match name.as_str() {
        "timezone" => session.set_timezone(crate::session::TIMEZONE_DEFAULT)?,
        "schema" | "search_path" => {
            let options = &session.core.options;
            let defaults =
                Defaults { database: options.default_database.clone(), schema: options.default_schema.clone() };
            session.set_defaults(defaults)?;
        }
        _ if WITHOUT_EFFECT.contains(&name.as_str()) => {}
        _ => return Err(unrecognized(&name)),
    }
    Ok(success())
}

/// Settings of DuckDB that tell it how to work, not what to answer: taken, and left to the server's own configuration.
const WITHOUT_EFFECT: [&str; 12] = [
    "threads",
    "worker_threads",
    "external_threads",
    "memory_limit",
    "max_memory",
    "temp_directory",
    "max_temp_directory_size",
    "enable_progress_bar",
    "enable_progress_bar_print",
    "enable_object_cache",
    "preserve_insertion_order",
    "partitioned_write_max_open_files",
];

fn unrecognized(name: &str) -> QueryError {
    QueryError::catalog(format_args!("unrecognized configuration parameter \"{name}\""))
}

async fn select(session: &Session, statement: Statement) -> Result<Output> {
    let planned = session.plan(session.snapshot(), statement).await?;
    output(planned)
}

/// `WITH … INSERT`, `WITH … UPDATE` and `WITH … DELETE` are parsed as queries; other queries come back.
fn dml_of(mut query: Query) -> Result<Result<Dml, Box<Query>>> {
    let holds_dml = matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_));
    if !holds_dml || query.with.is_none() {
        return Ok(Err(Box::new(query)));
    }
    let with = query.with.take();
    if query != syntax::bare_query(query.body.clone()) {
        return Err(unsupported(&Statement::Query(Box::new(query)), "this form of "));
    }
    match *query.body {
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) => Dml::of(inner, with).map(Ok),
        _ => Err(QueryError::internal("a query without its statement")),
    }
}

/// A query may syntactically hold an INSERT or UPDATE, and a SELECT an INTO.
pub(crate) fn check_is_query(body: &SetExpr) -> Result<()> {
    match body {
        SetExpr::Select(select) if select.into.is_some() => {
            Err(QueryError::not_implemented("SELECT INTO is not supported; use CREATE TABLE AS"))
        }
        SetExpr::Select(_) | SetExpr::Values(_) | SetExpr::Table(_) => Ok(()),
        SetExpr::Query(query) => check_is_query(&query.body),
        SetExpr::SetOperation { left, right, .. } => check_is_query(left).and_then(|()| check_is_query(right)),
        SetExpr::Insert(inner) | SetExpr::Update(inner) | SetExpr::Delete(inner) | SetExpr::Merge(inner) => {
            Err(unsupported(inner, "WITH before "))
        }
    }
}

/// Names the statement by its first words.
fn unsupported(statement: &Statement, prefix: &str) -> QueryError {
    let text = statement.to_string();
    let words: Vec<&str> =
        text.split_whitespace().take_while(|word| word.chars().all(|c| c.is_ascii_uppercase())).take(3).collect();
    QueryError::not_implemented(format_args!("{prefix}{} statements are not supported yet", words.join(" ")))
}

fn set_variable(session: &mut Session, set: Set) -> Result<Output> {
    match set {
        Set::SingleAssignment { variable, values, .. } => {
            let name = folded_name(&variable.to_string());
            let [value] = values.as_slice() else {
                return Err(QueryError::binder(format_args!("SET {name} takes one value")));
            };
            assign(session, &name, &literal(value)?)?;
        }
        Set::SetTimeZone { value, .. } => assign(session, "timezone", &literal(&value)?)?,
        other => return Err(QueryError::not_implemented(format_args!("{other} is not supported"))),
    }
    Ok(success())
}

fn assign(session: &mut Session, name: &str, value: &str) -> Result<()> {
    match name {
        "timezone" => session.set_timezone(value),
        "schema" | "search_path" => {
            let names: Vec<&str> = value.split('.').collect();
            go_to(session, &names)
        }
        "integer_division" => {
            session.integer_division = boolean(value)?;
            Ok(())
        }
        _ if WITHOUT_EFFECT.contains(&name) => Ok(()),
        _ => Err(unrecognized(name)),
    }
}

fn boolean(text: &str) -> Result<bool> {
    match folded_name(text).as_str() {
        "true" | "1" | "on" => Ok(true),
        "false" | "0" | "off" => Ok(false),
        _ => Err(QueryError::invalid_input(format_args!("Failed to cast value \"{text}\" to BOOLEAN"))),
    }
}

fn literal(expr: &Expr) -> Result<String> {
    match expr {
        Expr::Value(ValueWithSpan {
            value: Value::SingleQuotedString(text) | Value::DoubleQuotedString(text), ..
        }) => Ok(text.clone()),
        Expr::Value(value) => Ok(value.value.to_string()),
        Expr::Identifier(ident) => Ok(ident.value.clone()),
        Expr::CompoundIdentifier(idents) => {
            Ok(idents.iter().map(|ident| ident.value.as_str()).collect::<Vec<_>>().join("."))
        }
        other => Err(QueryError::binder(format_args!("a setting takes a constant, not {other}"))),
    }
}

fn use_schema(session: &mut Session, name: Use) -> Result<Output> {
    let target: &ObjectName = match &name {
        Use::Object(name) | Use::Database(name) | Use::Schema(name) | Use::Catalog(name) => name,
        other => return Err(QueryError::not_implemented(format_args!("{other} is not supported"))),
    };
    go_to(session, &parts(target)?)?;
    Ok(success())
}

/// `USE x`: a schema of the current database, else a database; or both.
fn go_to(session: &mut Session, names: &[&str]) -> Result<()> {
    let current = session.defaults.database.clone();
    let defaults = match names {
        [database, schema] => Defaults { database: (*database).to_owned(), schema: (*schema).to_owned() },
        [name] => {
            let snapshot = session.snapshot();
            let is_schema = snapshot.catalog().database(&current).is_some_and(|found| found.schema(name).is_some());
            if is_schema {
                Defaults { database: current, schema: (*name).to_owned() }
            } else {
                let schema = session.core.options.default_schema.clone();
                Defaults { database: (*name).to_owned(), schema }
            }
        }
        _ => return Err(QueryError::binder("expected a schema, a database, or database.schema")),
    };
    session.set_defaults(defaults)
}

/// The result of SET, USE, BEGIN and the like: an empty `Success` column.
pub(crate) fn success() -> Output {
    empty(Field::new("Success", DataType::Boolean, true))
}

/// The result of DDL: an empty `Count` column.
pub(crate) fn changed_nothing() -> Output {
    empty(Field::new("Count", DataType::Int64, true))
}

fn empty(field: Field) -> Output {
    let schema = Arc::new(Schema::new(vec![field]));
    Output { schema, kind: OutputKind::Nothing, batches: Box::pin(futures::stream::empty()), watch: None }
}

/// The result of DML: one row, the number of rows changed.
pub(crate) fn changed(rows: usize) -> Result<Output> {
    let schema = Arc::new(Schema::new(vec![Field::new("Count", DataType::Int64, true)]));
    let count = i64::try_from(rows).map_err(QueryError::internal)?;
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from(vec![count]))])?;
    Ok(Output { kind: OutputKind::Count, ..one_batch(batch) })
}

/// A result that is there already.
pub(crate) fn one_batch(batch: RecordBatch) -> Output {
    let schema = batch.schema();
    Output { schema, kind: OutputKind::Rows, batches: futures::stream::iter([Ok(batch)]).boxed(), watch: None }
}
