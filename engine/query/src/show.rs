//! DESCRIBE and SHOW, in DuckDB's shapes.

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, SelectItem, ShowStatementIn, ShowStatementOptions, Statement, WildcardAdditionalOptions,
};
use siltstone_storage::{LogicalType, folded_name};

use crate::error::Result;
use crate::information_schema::Rows;
use crate::names::{Defaults, Target, find_table, parts};
use crate::session::Session;
use crate::statement::{check_is_query, one_batch};
use crate::volatile::{TEMP_SCHEMA, shown, temp_of};
use crate::{Output, QueryError, syntax};

const DESCRIPTION: [&str; 6] = ["column_name", "column_type", "null", "key", "default", "extra"];

/// `DESCRIBE t`.
pub(crate) async fn describe_table(session: &Session, name: &ObjectName) -> Result<Output> {
    let snapshot = session.snapshot();
    let table = match find_table(snapshot.catalog(), &session.defaults, &parts(name)?)? {
        Target::Table(table) => table,
        Target::View(_) | Target::Computed { .. } => return describe_as_query(session, name).await,
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

/// What is not stored as a table has the columns of reading it.
async fn describe_as_query(session: &Session, name: &ObjectName) -> Result<Output> {
    let all = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    let from = vec![syntax::alone(syntax::table(name.clone(), None, None))];
    let query = syntax::query(syntax::select(all, from, None));
    describe_query(session, Statement::Query(Box::new(query))).await
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

/// DuckDB's name of a column's type.
pub(crate) fn type_name(field: &Field) -> Result<String> {
    if matches!(field.data_type(), DataType::Interval(_)) {
        return Ok("INTERVAL".to_owned());
    }
    Ok(LogicalType::from_field(field)?.to_string())
}

/// `SHOW TABLES [FROM [database.]schema]`.
pub(crate) fn tables_in(session: &Session, options: &ShowStatementOptions) -> Result<Output> {
    if options.filter_position.is_some() || options.limit.is_some() || options.starts_with.is_some() {
        return Err(QueryError::not_implemented("SHOW TABLES takes FROM and nothing else"));
    }
    let name = match &options.show_in {
        None => return tables(session),
        Some(ShowStatementIn { parent_name: Some(name), .. }) => parts(name)?,
        Some(other) => return Err(QueryError::parser(format_args!("expected a schema, found {other}"))),
    };
    let snapshot = session.snapshot();
    let catalog = snapshot.catalog();
    let here = &session.defaults;
    let found = match name[..] {
        [schema] if catalog.database(&here.database).is_some_and(|database| database.schema(schema).is_some()) => {
            Defaults { database: here.database.clone(), schema: schema.to_owned() }
        }
        [database] if catalog.database(database).is_some() => {
            Defaults { database: database.to_owned(), schema: session.core.options.default_schema.clone() }
        }
        [database, schema] if catalog.database(database).is_some_and(|database| database.schema(schema).is_some()) => {
            Defaults { database: database.to_owned(), schema: schema.to_owned() }
        }
        _ => return Err(crate::names::unknown_schema(&name.join("."))),
    };
    tables_of(session, [found])
}

/// `SHOW TABLES`: the current schema's.
pub(crate) fn tables(session: &Session) -> Result<Output> {
    let snapshot = session.snapshot();
    let temporary = temp_of(snapshot.catalog());
    let temporary =
        temporary.map(|database| Defaults { database: database.to_owned(), schema: TEMP_SCHEMA.to_owned() });
    tables_of(session, [Some(session.defaults.clone()), temporary].into_iter().flatten())
}

fn tables_of(session: &Session, homes: impl IntoIterator<Item = Defaults>) -> Result<Output> {
    let snapshot = session.snapshot();
    let catalog = snapshot.catalog();
    let mut names: Vec<&str> = Vec::new();
    for home in homes {
        let schema = catalog.database(&home.database).and_then(|database| database.schema(&home.schema));
        let ids = schema.into_iter().flat_map(|schema| schema.tables());
        names.extend(ids.filter_map(|id| catalog.table_by_id(id)).map(|table| table.name.table.as_str()));
        names.extend(schema.into_iter().flat_map(|schema| schema.views()).map(|view| view.name.table.as_str()));
    }
    names.sort_unstable();
    names.dedup();
    list("name", names)
}

/// `SHOW DATABASES`.
pub(crate) fn databases(session: &Session) -> Result<Output> {
    let snapshot = session.snapshot();
    list("database_name", snapshot.catalog().databases().map(|database| shown(database.name())))
}

/// `SHOW SCHEMAS`: those of the current database.
pub(crate) fn schemas(session: &Session) -> Result<Output> {
    let snapshot = session.snapshot();
    let database = snapshot.catalog().database(&session.defaults.database);
    list("schema_name", database.into_iter().flat_map(|database| database.schemas()).map(|schema| schema.name()))
}

/// Whether `SHOW name` is for [`variable`].
pub(crate) fn is_variable(name: &str) -> bool {
    ["timezone", "schema", "search_path", "tables", "databases", "schemas"].contains(&name)
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
