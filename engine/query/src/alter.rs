//! ALTER TABLE as changes of one commit.
//!
//! **Invariants**
//! 1. Adding, dropping and renaming columns changes no row.
//! 2. A new type or default makes a new column in the place of the old one, with every row's value cast, in the same commit:
//!    stored rows of the old column stay readable to older snapshots, and a default never changes what rows had.
//! 3. What was found in the rows holds when the commit is made, or it is decided again from the start.

use std::sync::Arc;

use datafusion::sql::sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, Expr, Ident, LimitClause, RenameTableNameKind, Statement,
};
use futures::StreamExt;
use siltstone_storage::{Catalog, Change, ErrorKind, NewColumn, Snapshot, SnapshotId, Table, TableId, TableSchema};

use crate::constant::constant;
use crate::ddl::{is_key, is_missing, new_column};
use crate::dml::conflict;
use crate::dml::rows::RowTarget;
use crate::dml::target::all_rows;
use crate::error::Result;
use crate::names::{parts, stored_table};
use crate::session::Session;
use crate::statement::changed_nothing;
use crate::types::logical_type;
use crate::{Output, QueryError, syntax};

/// What an ALTER TABLE comes to on one snapshot.
#[derive(Default)]
struct Decided {
    changes: Vec<Change>,
    /// The table whose rows were read for it.
    read: Option<(TableId, SnapshotId)>,
}

/// Runs an ALTER TABLE, alone or within the open transaction.
pub(crate) async fn run(session: &mut Session, alter: &AlterTable) -> Result<Output> {
    let core = Arc::clone(&session.core);
    let _others_wait = core.ddl.lock().await;
    for _ in 0..session.attempts() {
        let snapshot = session.snapshot();
        let Decided { changes, read } = decide(session, &snapshot, alter).await?;
        if changes.is_empty() {
            return Ok(changed_nothing());
        }
        let applied = match read {
            Some(read) => session.apply_unless_changed(changes, read).await,
            None => session.apply(changes).await,
        };
        match applied {
            Ok(_) => return Ok(changed_nothing()),
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(conflict())
}

async fn decide(session: &Session, snapshot: &Snapshot, alter: &AlterTable) -> Result<Decided> {
    if alter.only || alter.location.is_some() || alter.on_cluster.is_some() || alter.table_type.is_some() {
        return Err(QueryError::not_implemented("this form of ALTER TABLE is not supported"));
    }
    let table = match stored_table(snapshot.catalog(), &session.defaults, &alter.name) {
        Ok(table) => table,
        Err(error) if alter.if_exists && is_missing(&error) => return Ok(Decided::default()),
        Err(error) => return Err(error),
    };
    session.check_writable(&table.name.database)?;
    match alter.operations.as_slice() {
        [AlterTableOperation::AlterColumn { column_name, op }] => {
            alter_column(session, snapshot, table, &column_name.value, op).await
        }
        operations => {
            let changes = alter_names(session, snapshot.catalog(), table, operations)?;
            Ok(Decided { changes, read: None })
        }
    }
}

/// What needs no look at the rows.
fn alter_names(
    session: &Session,
    catalog: &Catalog,
    table: &Table,
    operations: &[AlterTableOperation],
) -> Result<Vec<Change>> {
    let mut schema = Arc::clone(table.schema());
    let mut changes = Vec::new();
    for operation in operations {
        if let AlterTableOperation::RenameTable { table_name } = operation {
            let name = new_table_name(table_name)?;
            if catalog.view(&table.name.database, &table.name.schema, &name).is_some() {
                return Err(QueryError::catalog(format_args!("View with name \"{name}\" already exists!")));
            }
            changes.push(Change::RenameTable { id: table.id, name });
            continue;
        }
        if let Some(next) = altered(session, table, &schema, operation)? {
            schema = Arc::new(next);
            changes.push(Change::SetSchema { id: table.id, schema: Arc::clone(&schema) });
        }
    }
    Ok(changes)
}

fn new_table_name(name: &RenameTableNameKind) -> Result<String> {
    let (RenameTableNameKind::As(name) | RenameTableNameKind::To(name)) = name;
    match parts(name)?[..] {
        [name] => Ok(name.to_owned()),
        _ => Err(QueryError::not_implemented("a table is renamed within its schema")),
    }
}

/// The schema after one operation; `None` if it changes nothing.
fn altered(
    session: &Session,
    table: &Table,
    schema: &TableSchema,
    operation: &AlterTableOperation,
) -> Result<Option<TableSchema>> {
    Ok(match operation {
        AlterTableOperation::AddColumn { if_not_exists, column_def, column_position: None, .. } => {
            let column = new_column(session, column_def)?;
            if is_key(column_def) {
                return Err(QueryError::not_implemented("a PRIMARY KEY is declared when its table is created"));
            }
            if *if_not_exists && schema.column(&column.name).is_some() {
                return Ok(None);
            }
            if !column.nullable && column.default.is_none() {
                return Err(QueryError::not_implemented("a column added to a table needs a default to be NOT NULL"));
            }
            Some(schema.with_columns(vec![column])?)
        }
        AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
            drop_columns(table, schema, column_names, *if_exists)?
        }
        AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
            check_column(schema, &old_column_name.value)?;
            Some(schema.with_renamed_column(&old_column_name.value, &new_column_name.value)?)
        }
        AlterTableOperation::AlterColumn { .. } => {
            return Err(QueryError::not_implemented("ALTER COLUMN stands alone in its statement"));
        }
        other => return Err(QueryError::not_implemented(format_args!("ALTER TABLE … {other} is not supported yet"))),
    })
}

fn drop_columns(table: &Table, schema: &TableSchema, names: &[Ident], if_exists: bool) -> Result<Option<TableSchema>> {
    let mut next: Option<TableSchema> = None;
    for name in names {
        let current = next.as_ref().unwrap_or(schema);
        if current.column(&name.value).is_none() && if_exists {
            continue;
        }
        if next.is_some() {
            return Err(QueryError::not_implemented("drop one column per operation"));
        }
        let column = check_column(current, &name.value)?;
        check_not_laid_out_by(table, column)?;
        next = Some(current.without_column(&name.value)?);
    }
    Ok(next)
}

fn check_column<'a>(schema: &'a TableSchema, name: &str) -> Result<&'a siltstone_storage::Column> {
    schema
        .column(name)
        .ok_or_else(|| QueryError::binder(format_args!("Table does not have a column with name \"{name}\"")))
}

fn check_not_laid_out_by(table: &Table, column: &siltstone_storage::Column) -> Result<()> {
    if table.layout.columns().any(|id| id == column.id) {
        return Err(QueryError::binder(format_args!(
            "the table is partitioned or sorted by column \"{}\"; RESET that first",
            column.name
        )));
    }
    Ok(())
}

/// `ALTER COLUMN`.
async fn alter_column(
    session: &Session,
    snapshot: &Snapshot,
    table: &Table,
    name: &str,
    operation: &AlterColumnOperation,
) -> Result<Decided> {
    let schema = table.schema();
    let column = check_column(schema, name)?;
    let same = NewColumn {
        name: column.name.clone(),
        logical_type: column.logical_type.clone(),
        nullable: column.nullable,
        default: column.default.clone(),
    };
    match operation {
        AlterColumnOperation::SetNotNull if !column.nullable => Ok(Decided::default()),
        AlterColumnOperation::SetNotNull => {
            check_no_null(session, snapshot, table, &column.name).await?;
            let change = set_schema(table, schema.with_nullable(name, false)?);
            Ok(Decided { changes: vec![change], read: Some((table.id, snapshot.id())) })
        }
        AlterColumnOperation::DropNotNull if column.nullable => Ok(Decided::default()),
        AlterColumnOperation::DropNotNull => {
            let change = set_schema(table, schema.with_nullable(name, true)?);
            Ok(Decided { changes: vec![change], read: None })
        }
        AlterColumnOperation::SetDefault { value } => {
            let default = constant(session, value, &column.logical_type)?;
            replace(session, snapshot, table, NewColumn { default, ..same }, None).await
        }
        AlterColumnOperation::DropDefault => {
            replace(session, snapshot, table, NewColumn { default: None, ..same }, None).await
        }
        AlterColumnOperation::SetDataType { data_type, using, .. } => {
            let ty = logical_type(data_type)?;
            let default = match crate::value::sql_text(&column.logical_type, column.default.as_ref()) {
                Some(text) => constant(session, &crate::dialect::parse_expression(&text)?, &ty)?,
                None => None,
            };
            let by = NewColumn { logical_type: ty, default, ..same };
            replace(session, snapshot, table, by, using.as_ref()).await
        }
        AlterColumnOperation::AddGenerated { .. } => {
            Err(QueryError::not_implemented("generated columns are not supported"))
        }
    }
}

fn set_schema(table: &Table, schema: TableSchema) -> Change {
    Change::SetSchema { id: table.id, schema: Arc::new(schema) }
}

async fn check_no_null(session: &Session, snapshot: &Snapshot, table: &Table, column: &str) -> Result<()> {
    let alias = Ident::with_quote('"', "\0altered");
    let is_null = Expr::IsNull(Box::new(syntax::column(&alias, column)));
    let mut query = syntax::query(syntax::select(
        vec![syntax::item(syntax::yes(), "\0null")],
        vec![syntax::alone(syntax::table(full_name(table), Some(syntax::table_alias(alias)), None))],
        Some(is_null),
    ));
    let limit_clause = LimitClause::LimitOffset { limit: Some(syntax::number(1)), offset: None, limit_by: Vec::new() };
    query.limit_clause = Some(limit_clause);
    let mut rows = session.plan(snapshot.clone(), Statement::Query(Box::new(query))).await?.execute()?;
    while let Some(batch) = rows.next().await {
        if batch?.num_rows() > 0 {
            return Err(QueryError::constraint(format_args!(
                "NOT NULL constraint failed: {}.{column}",
                table.name.table
            )));
        }
    }
    Ok(())
}

fn full_name(table: &Table) -> datafusion::sql::sqlparser::ast::ObjectName {
    let name = &table.name;
    let parts = [&name.database, &name.schema, &name.table].map(|part| Ident::with_quote('"', part));
    parts.to_vec().into()
}

/// Puts a new column in the place of the one of its name, with every row's value cast to it, or computed by `using`.
async fn replace(
    session: &Session,
    snapshot: &Snapshot,
    table: &Table,
    by: NewColumn,
    using: Option<&Expr>,
) -> Result<Decided> {
    let schema = table.schema();
    let old = check_column(schema, &by.name)?;
    if old.logical_type == by.logical_type && old.default == by.default && using.is_none() {
        return Ok(Decided::default());
    }
    if schema.primary_key().contains(&old.id) {
        return Err(QueryError::not_implemented("a column of the PRIMARY KEY cannot be altered"));
    }
    check_not_laid_out_by(table, old)?;
    let rows = snapshot.table(table.id).ok_or_else(|| crate::names::unknown_table(&table.name.table))?;
    let next = Arc::new(schema.with_replaced_column(&by.name, by.clone())?);
    let alias = Ident::with_quote('"', &table.name.table);
    let items = schema.columns().iter().enumerate().map(|(i, column)| {
        let value = match using {
            Some(using) if column.id == old.id => using.clone(),
            _ => syntax::column(&alias, &column.name),
        };
        syntax::item(value, &format!("\0value {i}"))
    });
    let from = vec![syntax::alone(syntax::table(full_name(table), Some(syntax::table_alias(alias.clone())), None))];
    let query = syntax::query(syntax::select(items.collect(), from, None));
    let planned = session.plan(snapshot.clone(), Statement::Query(Box::new(query))).await?;
    let mut target = RowTarget::new(table.id, &next, next.columns().to_vec());
    target.unchanged = schema.columns().iter().map(|column| column.id).filter(|id| *id != old.id).collect();
    let values = target.collect(&session.core.engine, planned).await?;
    let mut changes = vec![Change::SetSchema { id: table.id, schema: next.clone() }];
    if let Some(text) = table.column_comment(old.id)
        && let Some(column) = next.column(&by.name)
    {
        let on = siltstone_storage::Commented::Column(table.id, column.id);
        changes.push(Change::Comment { on, text: Some(text.to_owned()) });
    }
    if values.len() > 0 {
        changes.push(Change::Delete(all_rows(&rows)));
        changes.extend(values.into_changes().await?);
    }
    Ok(Decided { changes, read: Some((table.id, snapshot.id())) })
}
