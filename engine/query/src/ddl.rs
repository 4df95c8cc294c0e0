//! CREATE, DROP and the like as changes of one commit. What ALTER TABLE does is `alter`'s business.
//!
//! **Invariants**
//! 1. A statement is one commit: `CREATE TABLE AS` makes the table and its rows visible together, `CREATE OR REPLACE`
//!    leaves no moment without a table.
//! 2. An option we do not honour is refused, never ignored.
//! 3. When the catalog changed underneath, the statement is decided again from the start.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, CreateTableOptions, Expr, HiveDistributionStyle, IndexColumn, ObjectName,
    ObjectType, SchemaName, Statement, TableConstraint,
};
use siltstone_storage::{
    Catalog, Change, ErrorKind, LogicalType, NewColumn, Snapshot, TableName, TableSchema, folded_name, same_name,
};

use crate::constant::constant;
use crate::dml::{conflict, rows::RowTarget};
use crate::error::Result;
use crate::lake_syntax::LakeStatement;
use crate::names::{Defaults, INFORMATION_SCHEMA, located, parts, stored_table, unknown_database, unknown_schema};
use crate::session::Session;
use crate::statement::{changed, changed_nothing, check_is_query, success};
use crate::types::logical_type;
use crate::{Output, QueryError, comments, layout, views, volatile};

/// A statement that changes names, as parsed.
#[derive(Clone, Debug)]
pub(crate) enum DdlStatement {
    Plain(Box<Statement>),
    Lake(LakeStatement),
}

/// Runs any DDL statement but CREATE TABLE, CREATE VIEW and the plain forms of ALTER TABLE.
pub(crate) async fn run(session: &mut Session, statement: &DdlStatement) -> Result<Output> {
    let core = Arc::clone(&session.core);
    let _others_wait = core.ddl.lock().await;
    for _ in 0..session.attempts() {
        let snapshot = session.snapshot();
        let changes = match statement {
            DdlStatement::Plain(statement) => decide(session, snapshot.catalog(), statement)?,
            DdlStatement::Lake(statement) => decide_lake(session, snapshot.catalog(), statement)?,
        };
        if changes.is_empty() {
            return Ok(changed_nothing());
        }
        match session.apply(changes).await {
            Ok(_) => return Ok(result(statement)),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict())
}

fn result(statement: &DdlStatement) -> Output {
    match statement {
        DdlStatement::Lake(LakeStatement::Comment { .. }) => success(),
        _ => changed_nothing(),
    }
}

fn decide_lake(session: &Session, catalog: &Catalog, statement: &LakeStatement) -> Result<Vec<Change>> {
    let tolerated = |if_exists: &bool, changes: Result<Vec<Change>>| match changes {
        Err(error) if *if_exists && is_missing(&error) => Ok(Vec::new()),
        changes => changes,
    };
    match statement {
        LakeStatement::Summarize(_) | LakeStatement::Copy(_) => Err(QueryError::internal("no change of names")),
        LakeStatement::Comment { on, name, text } => {
            comments::decide(session, catalog, *on, &parts(name)?, text.as_deref())
        }
        LakeStatement::RenameView { name, to, if_exists } => {
            tolerated(if_exists, views::rename(session, catalog, &parts(name)?, to))
        }
        LakeStatement::SetLayout { table, if_exists, part } => {
            tolerated(if_exists, layout::decide(session, catalog, &parts(table)?, part))
        }
    }
}

/// What is not there is what the message says.
pub(crate) fn is_missing(error: &QueryError) -> bool {
    error.message.contains("does not exist")
}

/// The changes a statement asks for, given this catalog; none if there is nothing to do.
fn decide(session: &Session, catalog: &Catalog, statement: &Statement) -> Result<Vec<Change>> {
    match statement {
        Statement::CreateDatabase { db_name, if_not_exists, or_replace: false, .. } => {
            create_database(session, catalog, db_name, *if_not_exists)
        }
        Statement::AttachDuckDBDatabase { if_not_exists, database_path, database_alias, attach_options, .. } => {
            if database_path.value != ":memory:" || !attach_options.is_empty() {
                return Err(QueryError::not_implemented(
                    "only ':memory:' can be attached, and without options: ATTACH ':memory:' AS name",
                ));
            }
            let name = database_alias.as_ref().map_or("memory", |alias| &alias.value);
            volatile::attach(session, catalog, name, *if_not_exists)
        }
        Statement::DetachDuckDBDatabase { if_exists, database_alias, .. } => {
            volatile::detach(session, session.stored().catalog(), &database_alias.value, *if_exists)
        }
        Statement::CreateSchema { schema_name: SchemaName::Simple(name), if_not_exists, .. } => {
            create_schema(session, catalog, name, *if_not_exists)
        }
        Statement::Drop { object_type, if_exists, names, cascade, temporary: false, table: None, .. } => {
            let mut changes = Vec::new();
            for name in names {
                changes.extend(drop_object(session, catalog, *object_type, name, *if_exists, *cascade)?);
            }
            Ok(changes)
        }
        other => Err(QueryError::not_implemented(format_args!("{other} is not supported"))),
    }
}

fn create_database(
    session: &Session,
    catalog: &Catalog,
    name: &ObjectName,
    if_not_exists: bool,
) -> Result<Vec<Change>> {
    let [name] = parts(name)?[..] else {
        return Err(QueryError::parser(format_args!("a database name has one part: {name}")));
    };
    session.check_writable(name)?;
    volatile::check_free(name)?;
    if catalog.database(name).is_some() {
        return exists(if_not_exists, "Database", name);
    }
    let schema = session.core.options.default_schema.clone();
    Ok(vec![
        Change::CreateDatabase { name: name.to_owned() },
        Change::CreateSchema { database: name.to_owned(), name: schema },
    ])
}

fn create_schema(session: &Session, catalog: &Catalog, name: &ObjectName, if_not_exists: bool) -> Result<Vec<Change>> {
    let (database, schema) = schema_parts(&session.defaults, &parts(name)?)?;
    session.check_writable(&database)?;
    let found = catalog.database(&database).ok_or_else(|| unknown_database(&database))?;
    if found.schema(&schema).is_some() || folded_name(&schema) == INFORMATION_SCHEMA {
        return exists(if_not_exists, "Schema", &schema);
    }
    Ok(vec![Change::CreateSchema { database, name: schema }])
}

/// Nothing to do, or an error, for something that exists already.
fn exists(tolerated: bool, kind: &str, name: &str) -> Result<Vec<Change>> {
    if tolerated {
        return Ok(Vec::new());
    }
    Err(QueryError::catalog(format_args!("{kind} with name \"{name}\" already exists!")))
}

pub(crate) fn schema_parts(defaults: &Defaults, parts: &[&str]) -> Result<(String, String)> {
    match parts {
        [schema] => Ok((defaults.database.clone(), (*schema).to_owned())),
        [database, schema] => Ok(((*database).to_owned(), (*schema).to_owned())),
        _ => Err(QueryError::parser(format_args!("a schema name has up to two parts: {}", parts.join(".")))),
    }
}

fn drop_object(
    session: &Session,
    catalog: &Catalog,
    kind: ObjectType,
    name: &ObjectName,
    if_exists: bool,
    cascade: bool,
) -> Result<Vec<Change>> {
    let dropped = match kind {
        ObjectType::Table => drop_table(session, catalog, name),
        ObjectType::View => views::drop(session, catalog, &parts(name)?),
        ObjectType::Schema => drop_schema(session, catalog, &parts(name)?, cascade),
        ObjectType::Database => drop_database(session, catalog, &parts(name)?),
        // None is kept.
        ObjectType::Index => Ok(Vec::new()),
        other => return Err(QueryError::not_implemented(format_args!("DROP {other} is not supported yet"))),
    };
    match dropped {
        // Other refusals stand.
        Err(error) if if_exists && is_missing(&error) => Ok(Vec::new()),
        changes => changes,
    }
}

fn drop_table(session: &Session, catalog: &Catalog, name: &ObjectName) -> Result<Vec<Change>> {
    let table = stored_table(catalog, &session.defaults, name)?;
    session.check_writable(&table.name.database)?;
    Ok(vec![Change::DropTable { id: table.id }])
}

fn drop_schema(session: &Session, catalog: &Catalog, parts: &[&str], cascade: bool) -> Result<Vec<Change>> {
    let (database, name) = schema_parts(&session.defaults, parts)?;
    session.check_writable(&database)?;
    let found = catalog.database(&database).ok_or_else(|| unknown_database(&database))?;
    let schema = found.schema(&name).ok_or_else(|| unknown_schema(&name))?;
    if !cascade && (schema.tables().next().is_some() || schema.views().next().is_some()) {
        return Err(QueryError::new_dependency(&name));
    }
    Ok(vec![Change::DropSchema { database, name, cascade }])
}

fn drop_database(session: &Session, catalog: &Catalog, parts: &[&str]) -> Result<Vec<Change>> {
    let [name] = parts else {
        return Err(QueryError::parser("a database name has one part"));
    };
    session.check_writable(name)?;
    if folded_name(name) == folded_name(&session.core.options.default_database) {
        return Err(QueryError::binder(format_args!("Cannot drop the default database \"{name}\"")));
    }
    if catalog.database(name).is_none() {
        return Err(unknown_database(name));
    }
    let mark = volatile::with_dropped(session.stored().catalog(), name);
    Ok(std::iter::once(Change::DropDatabase { name: (*name).to_owned() }).chain(mark).collect())
}

/// Runs a CREATE TABLE, with or without AS.
pub(crate) async fn create_table(session: &mut Session, create: CreateTable) -> Result<Output> {
    check_supported(&create)?;
    for _ in 0..session.attempts() {
        let snapshot = session.snapshot();
        let Some((changes, rows)) = create_changes(session, snapshot, &create).await? else {
            return Ok(changed_nothing());
        };
        match session.apply(changes).await {
            Ok(_) => return rows.map_or_else(|| Ok(changed_nothing()), changed),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict())
}

fn check_supported(create: &CreateTable) -> Result<()> {
    if create.or_replace && create.if_not_exists {
        return Err(QueryError::parser("CREATE OR REPLACE TABLE takes no IF NOT EXISTS"));
    }
    let refused = [
        (create.external || create.location.is_some() || create.file_format.is_some(), "CREATE EXTERNAL TABLE"),
        (create.global.is_some() || create.transient || create.volatile, "this kind of temporary table"),
        (create.like.is_some() || create.clone.is_some(), "CREATE TABLE … LIKE"),
        (create.partition_by.is_some() || create.cluster_by.is_some() || create.order_by.is_some(), "PARTITION BY"),
        (create.table_options != CreateTableOptions::None, "CREATE TABLE with options"),
        (create.hive_distribution != HiveDistributionStyle::NONE, "PARTITIONED BY"),
        (create.primary_key.is_some(), "PRIMARY KEY without parentheses"),
        (
            create.comment.is_some() || create.inherits.is_some() || create.on_commit.is_some(),
            "this form of CREATE TABLE",
        ),
        (create.dynamic || create.iceberg || create.without_rowid || create.strict, "this form of CREATE TABLE"),
    ];
    if let Some((_, what)) = refused.iter().find(|(present, _)| *present) {
        return Err(QueryError::not_implemented(format_args!("{what} is not supported yet")));
    }
    let other = create.constraints.iter().find(|constraint| !matches!(constraint, TableConstraint::PrimaryKey(_)));
    match other {
        None => Ok(()),
        Some(other) => Err(QueryError::not_implemented(format_args!("{other} is not supported yet"))),
    }
}

/// The changes, and the number of rows if the table is filled; `None` if it exists and that is fine.
async fn create_changes(
    session: &Session,
    snapshot: Snapshot,
    create: &CreateTable,
) -> Result<Option<(Vec<Change>, Option<usize>)>> {
    let parts = parts(&create.name)?;
    let (name, mut changes) = new_table_name(session, snapshot.catalog(), &parts, create.temporary)?;
    if let Some(existing) = snapshot.catalog().table(&name.database, &name.schema, &name.table) {
        match (create.if_not_exists, create.or_replace) {
            (true, _) => return Ok(None),
            (false, true) => changes.push(Change::DropTable { id: existing.id }),
            (false, false) => {
                return Err(QueryError::catalog(format_args!("Table with name \"{}\" already exists!", name.table)));
            }
        }
    }
    if snapshot.catalog().view(&name.database, &name.schema, &name.table).is_some() {
        return Err(QueryError::catalog(format_args!(
            "Existing object {} is of type View, trying to replace with type Table",
            name.table
        )));
    }
    let id = session.core.engine.new_table_id();
    let Some(query) = &create.query else {
        let schema = Arc::new(new_schema(session, create)?);
        changes.push(Change::CreateTable { id, name, schema });
        return Ok(Some((changes, None)));
    };
    if !create.columns.is_empty() || !create.constraints.is_empty() {
        return Err(QueryError::not_implemented("CREATE TABLE AS with a column list is not supported yet"));
    }
    check_is_query(&query.body)?;
    let planned = session.plan(snapshot, Statement::Query(query.clone())).await?;
    let schema = Arc::new(TableSchema::new(result_columns(&planned.schema)?, &[])?);
    changes.push(Change::CreateTable { id, name, schema: Arc::clone(&schema) });
    let target = RowTarget::new(id, &schema, schema.columns().to_vec());
    let rows = target.collect(&session.core.engine, planned).await?;
    let count = rows.len();
    changes.extend(rows.into_changes().await?);
    Ok(Some((changes, Some(count))))
}

/// The full name of a table to be made, and the changes that make room for it.
fn new_table_name(
    session: &Session,
    catalog: &Catalog,
    parts: &[&str],
    temporary: bool,
) -> Result<(TableName, Vec<Change>)> {
    let in_temp = volatile::is_in_temp(catalog, &session.defaults, parts);
    if temporary && !in_temp && parts.len() > 1 {
        return Err(QueryError::parser("TEMPORARY table names can *only* use the \"temp\" catalog"));
    }
    if let (true, Some(table)) = (temporary || in_temp, parts.last()) {
        session.check_writable(volatile::TEMP)?;
        return Ok(session.temp.table(catalog, table));
    }
    let name = table_name(catalog, &session.defaults, parts)?;
    session.check_writable(&name.database)?;
    let changes = missing_schema(catalog, &name, parts)?;
    Ok((name, changes))
}

/// The full name of a table to be made; its database must exist.
pub(crate) fn table_name(catalog: &Catalog, defaults: &Defaults, parts: &[&str]) -> Result<TableName> {
    let (database, schema, table) = located(catalog, defaults, parts)?;
    if catalog.database(database).is_none() {
        return Err(unknown_database(database));
    }
    if folded_name(schema) == INFORMATION_SCHEMA {
        return Err(QueryError::binder(format_args!("{INFORMATION_SCHEMA} cannot be changed")));
    }
    Ok(TableName::new(database, schema, table))
}

/// Makes the schema of a table named in full. A shorter name may be a slip: `schema.t` could mean a database as well.
pub(crate) fn missing_schema(catalog: &Catalog, name: &TableName, parts: &[&str]) -> Result<Vec<Change>> {
    let exists = catalog.database(&name.database).is_some_and(|database| database.schema(&name.schema).is_some());
    match parts {
        _ if exists => Ok(Vec::new()),
        [_, _, _] => Ok(vec![Change::CreateSchema { database: name.database.clone(), name: name.schema.clone() }]),
        _ => Err(unknown_schema(&name.schema)),
    }
}

/// Columns for the result of a query; repeated names get a number, as in DuckDB.
fn result_columns(schema: &Schema) -> Result<Vec<NewColumn>> {
    let mut names: Vec<String> = Vec::with_capacity(schema.fields().len());
    let mut columns: Vec<NewColumn> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        names.push(views::unused(&names, field.name()));
        columns.push(NewColumn::new(names[names.len() - 1].clone(), LogicalType::from_field(field)?));
    }
    Ok(columns)
}

/// Columns and key of a CREATE TABLE. Key columns are NOT NULL, said or not.
fn new_schema(session: &Session, create: &CreateTable) -> Result<TableSchema> {
    let key = primary_key(create)?;
    let mut columns = Vec::with_capacity(create.columns.len());
    for definition in &create.columns {
        let mut column = new_column(session, definition)?;
        column.nullable &= !key.iter().any(|name| same_name(name, &column.name));
        columns.push(column);
    }
    for (i, name) in key.iter().enumerate() {
        let named = columns.iter().find(|column| same_name(&column.name, name));
        if let Some(column) = named.filter(|column| column.logical_type == LogicalType::Interval) {
            let ty = &column.logical_type;
            return Err(QueryError::binder(format_args!("Invalid Type [{ty}]: Invalid type for index key.")));
        }
        if !columns.iter().any(|column| same_name(&column.name, name)) {
            return Err(QueryError::catalog(format_args!(
                "table \"{}\" has no column named \"{name}\"",
                create.name.0.last().map(ToString::to_string).unwrap_or_default()
            )));
        }
        if key[..i].iter().any(|other| same_name(other, name)) {
            return Err(QueryError::parser(format_args!("column \"{name}\" appears twice in primary key constraint")));
        }
    }
    Ok(TableSchema::new(columns, &key)?)
}

/// Names of the key's columns, from the column or the table form; none without a key.
fn primary_key(create: &CreateTable) -> Result<Vec<String>> {
    let of_columns =
        create.columns.iter().filter(|column| is_key(column)).map(|column| vec![column.name.value.clone()]);
    let mut keys: Vec<Vec<String>> = of_columns.collect();
    for constraint in &create.constraints {
        if let TableConstraint::PrimaryKey(key) = constraint {
            keys.push(key.columns.iter().map(key_column).collect::<Result<_>>()?);
        }
    }
    if keys.len() > 1 {
        return Err(QueryError::parser("table has more than one primary key"));
    }
    Ok(keys.pop().unwrap_or_default())
}

pub(crate) fn is_key(definition: &ColumnDef) -> bool {
    definition.options.iter().any(|option| matches!(option.option, ColumnOption::PrimaryKey(_)))
}

fn key_column(column: &IndexColumn) -> Result<String> {
    match &column.column.expr {
        Expr::Identifier(ident) => Ok(ident.value.clone()),
        other => Err(QueryError::parser(format_args!("a primary key consists of columns, not of {other}"))),
    }
}

pub(crate) fn new_column(session: &Session, definition: &ColumnDef) -> Result<NewColumn> {
    let mut column = NewColumn::new(definition.name.value.clone(), logical_type(&definition.data_type)?);
    for option in &definition.options {
        match &option.option {
            ColumnOption::Null => column.nullable = true,
            ColumnOption::NotNull => column.nullable = false,
            ColumnOption::Default(expr) => column.default = constant(session, expr, &column.logical_type)?,
            ColumnOption::PrimaryKey(_) => column.nullable = false,
            other => {
                return Err(QueryError::not_implemented(format_args!("column option {other} is not supported yet")));
            }
        }
    }
    Ok(column)
}
