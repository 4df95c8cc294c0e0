//! DESCRIBE and SHOW, in DuckDB's shapes.

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, Statement};
use siltstone_storage::{LogicalType, folded_name};

use crate::error::Result;
use crate::information_schema::Rows;
use crate::names::{INFORMATION_SCHEMA, Target, find_table, parts};
use crate::session::Session;
use crate::statement::{check_is_query, one_batch};
use crate::{Output, QueryError};

const DESCRIPTION: [&str; 6] = ["column_name", "column_type", "null", "key", "default", "extra"];

/// `DESCRIBE t`.
pub(crate) fn describe_table(session: &Session, name: &ObjectName) -> Result<Output> {
    let snapshot = session.snapshot();
    let Target::Table(table) = find_table(snapshot.catalog(), &session.defaults, &parts(name)?)? else {
        return Err(QueryError::not_implemented(format_args!("DESCRIBE of {INFORMATION_SCHEMA} is not supported yet")));
    };
    let mut rows = Rows::new(&DESCRIPTION, &[]);
    let schema = table.schema();
    for column in schema.columns() {
        let ty = column.logical_type.to_string();
        let null = if column.nullable { "YES" } else { "NO" };
        let key = schema.primary_key().contains(&column.id).then_some("PRI");
        let default = crate::value::sql_text(&column.logical_type, column.default.as_ref());
        rows.text([Some(&column.name), Some(&ty), Some(null), key, default.as_deref(), None]);
    }
    Ok(one_batch(rows.finish()?))
}

/// `DESCRIBE SELECT …`: planned, not run.
pub(crate) async fn describe_query(session: &Session, statement: Statement) -> Result<Output> {
    match &statement {
        Statement::Query(query) => check_is_query(&query.body)?,
        _ => return Err(QueryError::not_implemented("DESCRIBE takes a table or a query")),
    }
    let planned = session.plan(session.snapshot(), statement).await?;
    Ok(one_batch(description(&planned.schema)?.finish()?))
}

fn description(schema: &Schema) -> Result<Rows> {
    let mut rows = Rows::new(&DESCRIPTION, &[]);
    for field in schema.fields() {
        let ty = type_name(field)?;
        rows.text([Some(field.name()), Some(&ty), Some("YES"), None, None, None]);
    }
    Ok(rows)
}

fn type_name(field: &Field) -> Result<String> {
    if matches!(field.data_type(), DataType::Interval(_)) {
        return Ok("INTERVAL".to_owned());
    }
    Ok(LogicalType::from_field(field)?.to_string())
}

/// `SHOW TABLES`: the current schema's.
pub(crate) fn tables(session: &Session) -> Result<Output> {
    let snapshot = session.snapshot();
    let catalog = snapshot.catalog();
    let schema =
        catalog.database(&session.defaults.database).and_then(|database| database.schema(&session.defaults.schema));
    let ids = schema.into_iter().flat_map(|schema| schema.tables());
    list("name", ids.filter_map(|id| catalog.table_by_id(id)).map(|table| table.name.table.as_str()))
}

/// `SHOW DATABASES`.
pub(crate) fn databases(session: &Session) -> Result<Output> {
    let snapshot = session.snapshot();
    list("database_name", snapshot.catalog().databases().map(|database| database.name()))
}

/// `SHOW SCHEMAS`: those of the current database.
pub(crate) fn schemas(session: &Session) -> Result<Output> {
    let snapshot = session.snapshot();
    let database = snapshot.catalog().database(&session.defaults.database);
    list("schema_name", database.into_iter().flat_map(|database| database.schemas()).map(|schema| schema.name()))
}

/// `SHOW timezone` and the like.
pub(crate) fn variable(session: &Session, variable: &[Ident]) -> Result<Output> {
    let name = variable.iter().map(|ident| folded_name(&ident.value)).collect::<Vec<_>>().join(" ");
    match name.as_str() {
        "timezone" | "time zone" => list("TimeZone", [session.timezone.as_str()]),
        "schema" | "search_path" => list("schema", [session.defaults.schema.as_str()]),
        "tables" => tables(session),
        "databases" => databases(session),
        "schemas" => schemas(session),
        _ => Err(QueryError::catalog(format_args!("unrecognized configuration parameter \"{name}\""))),
    }
}

fn list<'a>(column: &str, values: impl IntoIterator<Item = &'a str>) -> Result<Output> {
    let mut rows = Rows::new(&[column], &[]);
    for value in values {
        rows.text([Some(value)]);
    }
    Ok(one_batch(rows.finish()?))
}
