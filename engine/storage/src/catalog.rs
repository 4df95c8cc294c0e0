//! Databases, schemas and tables by name: what one snapshot contains, without its rows.
//!
//! **Invariants**
//! 1. [`Catalog::apply`] is the only way it changes, and it is a pure function of the catalog and the change: the committer and the
//!    replay of the log reach the same catalog.
//! 2. A change that fails leaves the catalog as it was.
//! 3. Every table named in a schema is in `tables`, and the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::commit::{Batch, Change, Merge};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{SnapshotId, TableId};
use crate::schema::{Column, TableSchema, check_name, folded_name};

/// Full name of a table, as spelled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    /// Database ("catalog" in SQL).
    pub database: String,
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// A name from its three parts.
    pub fn new(database: impl Into<String>, schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { database: database.into(), schema: schema.into(), table: table.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.database, self.schema, self.table)
    }
}

/// What a table is, without its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Stable for the table's life.
    pub id: TableId,
    /// Where it is found.
    pub name: TableName,
    /// Every version of its columns with the commit that made it, oldest first; never empty.
    history: Vec<(SnapshotId, Arc<TableSchema>)>,
}

impl Table {
    pub(crate) fn from_parts(id: TableId, name: TableName, history: Vec<(SnapshotId, Arc<TableSchema>)>) -> Self {
        assert!(!history.is_empty(), "a table has at least one schema version");
        Self { id, name, history }
    }

    /// The newest columns.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.history[self.history.len() - 1].1
    }

    /// The columns as of a snapshot; `None` before the table was created.
    pub fn schema_at(&self, snapshot: SnapshotId) -> Option<&Arc<TableSchema>> {
        self.history.iter().rev().find(|(since, _)| *since <= snapshot).map(|(_, schema)| schema)
    }

    /// Every column that a snapshot from `horizon` on can show, as it was last, by id.
    pub(crate) fn columns_since(&self, horizon: SnapshotId) -> Vec<&Column> {
        let seen = self.history.partition_point(|(since, _)| *since <= horizon).saturating_sub(1);
        let columns = self.history[seen..].iter().flat_map(|(_, schema)| schema.columns());
        columns.map(|column| (column.id, column)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    pub(crate) fn history(&self) -> &[(SnapshotId, Arc<TableSchema>)] {
        &self.history
    }
}

/// A schema and the tables in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaEntry {
    name: String,
    tables: BTreeMap<String, TableId>,
}

impl SchemaEntry {
    /// Spelling as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tables by folded name.
    pub fn tables(&self) -> impl Iterator<Item = TableId> {
        self.tables.values().copied()
    }
}

/// A database and the schemas in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    name: String,
    schemas: BTreeMap<String, SchemaEntry>,
}

impl Database {
    /// Spelling as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Schemas, sorted by folded name.
    pub fn schemas(&self) -> impl Iterator<Item = &SchemaEntry> {
        self.schemas.values()
    }

    /// The schema of that name, whatever its case.
    pub fn schema(&self, name: &str) -> Option<&SchemaEntry> {
        self.schemas.get(&folded_name(name))
    }
}

/// All names of one snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalog {
    databases: BTreeMap<String, Database>,
    tables: BTreeMap<TableId, Arc<Table>>,
}

impl Catalog {
    /// Databases, sorted by folded name.
    pub fn databases(&self) -> impl Iterator<Item = &Database> {
        self.databases.values()
    }

    /// The database of that name, whatever its case.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(&folded_name(name))
    }

    /// All tables, by id.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// The table with that id.
    pub fn table_by_id(&self, id: TableId) -> Option<&Arc<Table>> {
        self.tables.get(&id)
    }

    /// The table of that name, whatever its case.
    pub fn table(&self, database: &str, schema: &str, table: &str) -> Option<&Arc<Table>> {
        let id = self.database(database)?.schema(schema)?.tables.get(&folded_name(table))?;
        self.tables.get(id)
    }

    /// Checks and makes one change on behalf of a commit. Rows are not its business: an append is only checked.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` (name taken, schema changed underneath) or `Invalid`; the catalog is then unchanged.
    pub(crate) fn apply(&mut self, change: &Change, snapshot: SnapshotId) -> Result<()> {
        match change {
            Change::CreateDatabase { name } => self.create_database(name),
            Change::DropDatabase { name } => self.drop_database(name),
            Change::CreateSchema { database, name } => self.create_schema(database, name),
            Change::DropSchema { database, name, cascade } => self.drop_schema(database, name, *cascade),
            Change::CreateTable { id, name, schema } => self.create_table(*id, name, schema, snapshot),
            Change::DropTable { id } => self.drop_table(*id),
            Change::RenameTable { id, name } => self.rename_table(*id, name),
            Change::SetSchema { id, schema } => self.set_schema(*id, schema, snapshot),
            Change::Append(_) | Change::Merge(_) | Change::Delete(_) => self.check_rows(change),
        }
    }

    pub(crate) fn insert_database(&mut self, name: &str) -> Result<()> {
        self.create_database(name)
    }

    pub(crate) fn insert_schema(&mut self, database: &str, name: &str) -> Result<()> {
        self.create_schema(database, name)
    }

    /// Puts back a table read from the manifest.
    pub(crate) fn insert_table(&mut self, table: Table) -> Result<()> {
        if self.tables.contains_key(&table.id) {
            return Err(Error::new(ErrorKind::Conflict, format!("table id used twice: id={}", table.id)));
        }
        let schema = self.schema_mut(&table.name.database, &table.name.schema)?;
        if schema.tables.insert(folded_name(&table.name.table), table.id).is_some() {
            return Err(taken("table", &table.name));
        }
        self.tables.insert(table.id, Arc::new(table));
        Ok(())
    }

    fn create_database(&mut self, name: &str) -> Result<()> {
        check_name(name)?;
        let folded = folded_name(name);
        if self.databases.contains_key(&folded) {
            return Err(taken("database", &name));
        }
        self.databases.insert(folded, Database { name: name.to_owned(), schemas: BTreeMap::new() });
        Ok(())
    }

    fn drop_database(&mut self, name: &str) -> Result<()> {
        let database = self.databases.remove(&folded_name(name)).ok_or_else(|| missing("database", &name))?;
        for table in database.schemas().flat_map(SchemaEntry::tables) {
            self.tables.remove(&table);
        }
        Ok(())
    }

    fn create_schema(&mut self, database: &str, name: &str) -> Result<()> {
        check_name(name)?;
        let entry = self.databases.get_mut(&folded_name(database)).ok_or_else(|| missing("database", &database))?;
        let folded = folded_name(name);
        if entry.schemas.contains_key(&folded) {
            return Err(taken("schema", &name));
        }
        entry.schemas.insert(folded, SchemaEntry { name: name.to_owned(), tables: BTreeMap::new() });
        Ok(())
    }

    fn drop_schema(&mut self, database: &str, name: &str, cascade: bool) -> Result<()> {
        let schema = self.schema_mut(database, name)?;
        if !cascade && !schema.tables.is_empty() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("schema is not empty: schema={name}, tables={}", schema.tables.len()),
            ));
        }
        let tables: Vec<TableId> = schema.tables().collect();
        for table in tables {
            self.tables.remove(&table);
        }
        if let Some(entry) = self.databases.get_mut(&folded_name(database)) {
            entry.schemas.remove(&folded_name(name));
        }
        Ok(())
    }

    fn create_table(
        &mut self,
        id: TableId,
        name: &TableName,
        schema: &Arc<TableSchema>,
        snapshot: SnapshotId,
    ) -> Result<()> {
        check_name(&name.table)?;
        let entry = self.schema_mut(&name.database, &name.schema)?;
        if entry.tables.contains_key(&folded_name(&name.table)) {
            return Err(taken("table", name));
        }
        // Keep the spelling under which the database and the schema were created.
        let spelled = TableName::new(name.database.clone(), entry.name.clone(), name.table.clone());
        let spelled = TableName {
            database: self.database(&name.database).map_or(spelled.database, |database| database.name.clone()),
            ..spelled
        };
        self.insert_table(Table::from_parts(id, spelled, vec![(snapshot, Arc::clone(schema))]))
    }

    fn drop_table(&mut self, id: TableId) -> Result<()> {
        let table = self.tables.remove(&id).ok_or_else(|| missing("table", &id))?;
        self.schema_mut(&table.name.database, &table.name.schema)?.tables.remove(&folded_name(&table.name.table));
        Ok(())
    }

    fn rename_table(&mut self, id: TableId, name: &str) -> Result<()> {
        check_name(name)?;
        let table = Arc::clone(self.tables.get(&id).ok_or_else(|| missing("table", &id))?);
        let schema = self.schema_mut(&table.name.database, &table.name.schema)?;
        if schema.tables.get(&folded_name(name)).is_some_and(|other| *other != id) {
            return Err(taken("table", &name));
        }
        schema.tables.remove(&folded_name(&table.name.table));
        schema.tables.insert(folded_name(name), id);
        let mut renamed = table.as_ref().clone();
        renamed.name.table = name.to_owned();
        self.tables.insert(id, Arc::new(renamed));
        Ok(())
    }

    fn set_schema(&mut self, id: TableId, schema: &Arc<TableSchema>, snapshot: SnapshotId) -> Result<()> {
        let table = self.tables.get_mut(&id).ok_or_else(|| missing("table", &id))?;
        let current = table.schema().version();
        if schema.version() != current.next() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("schema changed meanwhile: table={}, version={current}", table.name),
            ));
        }
        Arc::make_mut(table).history.push((snapshot, Arc::clone(schema)));
        Ok(())
    }

    /// Whether a change of rows fits the table as it is named and typed now.
    ///
    /// # Errors
    /// `NotFound` without the table, `Conflict` for a column that is not there or has another type, `Invalid` for a merge without usable key.
    pub(crate) fn check_rows(&self, change: &Change) -> Result<()> {
        let Some(id) = change.rows_of() else { return Ok(()) };
        let table = self.tables.get(&id).ok_or_else(|| missing("table", &id))?;
        match change {
            Change::Append(batch) => check_batch(table, batch),
            Change::Merge(merge) => check_batch(table, &merge.batch).and_then(|()| check_merge(table, merge)),
            _ => Ok(()),
        }
    }

    fn schema_mut(&mut self, database: &str, schema: &str) -> Result<&mut SchemaEntry> {
        self.databases
            .get_mut(&folded_name(database))
            .ok_or_else(|| missing("database", &database))?
            .schemas
            .get_mut(&folded_name(schema))
            .ok_or_else(|| missing("schema", &format_args!("{database}.{schema}")))
    }
}

fn check_batch(table: &Table, batch: &Batch) -> Result<()> {
    let misfit = batch.columns().iter().find(|(id, array)| table.schema().data_type(*id) != Some(array.data_type()));
    match misfit {
        None => Ok(()),
        Some((id, _)) => Err(Error::new(
            ErrorKind::Conflict,
            format!("batch does not fit the table: table={}, column id={id}", table.name),
        )),
    }
}

fn check_merge(table: &Table, merge: &Merge) -> Result<()> {
    let absent = merge.key.iter().chain(&merge.newer_by).find(|id| merge.batch.column(**id).is_none());
    let distinct = merge.key.iter().collect::<BTreeSet<_>>().len() == merge.key.len();
    if merge.key.is_empty() || !distinct || absent.is_some() {
        return Err(Error::new(
            ErrorKind::Invalid,
            format!(
                "a merge needs distinct key columns, all in its batch: table={}, columns={:?}",
                table.name, merge.key
            ),
        ));
    }
    Ok(())
}

fn missing(kind: &str, name: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, format!("{kind} does not exist: {kind}={name}"))
}

fn taken(kind: &str, name: &dyn fmt::Display) -> Error {
    Error::new(ErrorKind::Conflict, format!("{kind} exists already: {kind}={name}"))
}
