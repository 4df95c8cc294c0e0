//! What a file does to its table: from the mode and what is there.
//!
//! **Invariants**: pure; the same snapshot and upload give the same plan.

use std::sync::Arc;

use siltstone_ingest::Survey;
use siltstone_storage::{Change, ColumnId, Snapshot, Table, TableId, TableName, TableSchema, same_name};

use super::{Mode, Upload, UploadError};
use crate::system;

/// Where the rows go.
#[derive(Debug)]
pub(super) enum Target {
    /// Into a table that is there.
    Existing(Arc<Table>),
    /// Into one that is yet to be made, maybe in the place of another.
    New {
        /// The table that goes.
        replaces: Option<TableId>,
    },
}

/// Finds the target.
///
/// # Errors
/// `Refused` where the mode does not fit what is there.
pub(super) fn target(snapshot: &Snapshot, upload: &Upload) -> Result<Target, UploadError> {
    let TableName { database, schema, table } = &upload.table;
    if same_name(database, system::DATABASE) {
        return Err(refused(format!("Catalog \"{database}\" is read-only")));
    }
    if snapshot.catalog().database(database).is_none() {
        return Err(refused(format!("Catalog \"{database}\" does not exist")));
    }
    if snapshot.catalog().view(database, schema, table).is_some() {
        return Err(refused(format!("\"{schema}.{table}\" is a view")));
    }
    let found = snapshot.catalog().table(database, schema, table).cloned();
    match (upload.mode, found) {
        (Mode::Create, Some(_)) => Err(refused(format!("Table \"{schema}.{table}\" already exists"))),
        (Mode::Append, None) => Err(refused(format!("Table \"{schema}.{table}\" does not exist"))),
        (Mode::Append | Mode::CreateAppend | Mode::Upsert, Some(found)) => Ok(Target::Existing(found)),
        (Mode::Overwrite, found) => Ok(Target::New { replaces: found.map(|table| table.id) }),
        (Mode::Create | Mode::CreateAppend | Mode::Upsert, None) => Ok(Target::New { replaces: None }),
    }
}

/// The changes of names that make a table, in order.
pub(super) fn creation(
    snapshot: &Snapshot,
    name: &TableName,
    replaces: Option<TableId>,
    id: TableId,
    schema: &Arc<TableSchema>,
) -> Vec<Change> {
    let mut changes = Vec::with_capacity(3);
    let database = snapshot.catalog().database(&name.database);
    if database.is_none_or(|database| database.schema(&name.schema).is_none()) {
        changes.push(Change::CreateSchema { database: name.database.clone(), name: name.schema.clone() });
    }
    changes.extend(replaces.map(|id| Change::DropTable { id }));
    changes.push(Change::CreateTable { id, name: name.clone(), schema: Arc::clone(schema) });
    changes
}

/// The columns of these names, each of which the file must have.
///
/// # Errors
/// `Refused` naming one that it has not, or that is named twice.
pub(super) fn columns(
    role: &str,
    names: &[String],
    survey: &Survey,
    schema: &TableSchema,
) -> Result<Vec<ColumnId>, UploadError> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let in_file = survey.columns.iter().any(|column| same_name(&column.name, name));
        let column = schema.column(name).filter(|_| in_file);
        let column = column.ok_or_else(|| refused(format!("{role} column \"{name}\" is not in the file")))?;
        if ids.contains(&column.id) {
            return Err(refused(format!("{role} column \"{name}\" is named twice")));
        }
        ids.push(column.id);
    }
    Ok(ids)
}

pub(super) fn refused(message: impl Into<String>) -> UploadError {
    UploadError::Refused(message.into())
}
