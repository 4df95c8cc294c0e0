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
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::schema::{Column, TableSchema, check_name, folded_name};
use crate::view::{Commented, Layout, View, check_comment};

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
    /// What is said of it.
    pub comment: Option<String>,
    /// How it would have its rows lie.
    pub layout: Layout,
    /// What is said of its columns.
    column_comments: BTreeMap<ColumnId, String>,
    /// Every version of its columns with the commit that made it, oldest first; never empty.
    history: Vec<(SnapshotId, Arc<TableSchema>)>,
}

impl Table {
    pub(crate) fn from_parts(id: TableId, name: TableName, history: Vec<(SnapshotId, Arc<TableSchema>)>) -> Self {
        assert!(!history.is_empty(), "a table has at least one schema version");
        Self { id, name, comment: None, layout: Layout::default(), column_comments: BTreeMap::new(), history }
    }

    /// What is said of a column.
    pub fn column_comment(&self, id: ColumnId) -> Option<&str> {
        self.column_comments.get(&id).map(String::as_str)
    }

    pub(crate) fn column_comments(&self) -> &BTreeMap<ColumnId, String> {
        &self.column_comments
    }

    /// Puts back what was read from the manifest.
    pub(crate) fn describe(&mut self, comment: Option<String>, columns: BTreeMap<ColumnId, String>, layout: Layout) {
        (self.comment, self.column_comments, self.layout) = (comment, columns, layout);
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

/// A schema and what is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SchemaEntry {
    name: String,
    comment: Option<String>,
    tables: BTreeMap<String, TableId>,
    views: BTreeMap<String, Arc<View>>,
}

impl SchemaEntry {
    /// Spelling as given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is said of it.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// Views, sorted by folded name.
    pub fn views(&self) -> impl Iterator<Item = &Arc<View>> {
        self.views.values()
    }

    /// The view of that name, whatever its case.
    pub fn view(&self, name: &str) -> Option<&Arc<View>> {
        self.views.get(&folded_name(name))
    }

    /// Whether a table or a view has that name.
    fn has(&self, name: &str) -> bool {
        let folded = folded_name(name);
        self.tables.contains_key(&folded) || self.views.contains_key(&folded)
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
    /// The catalog without some databases and all that is in them.
    pub(crate) fn without_databases(&self, is_hidden: impl Fn(&str) -> bool) -> Self {
        let mut rest = self.clone();
        rest.databases.retain(|_, database| !is_hidden(&database.name));
        rest.tables.retain(|_, table| !is_hidden(&table.name.database));
        rest
    }

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

    /// The view of that name, whatever its case.
    pub fn view(&self, database: &str, schema: &str, view: &str) -> Option<&Arc<View>> {
        self.database(database)?.schema(schema)?.view(view)
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
            Change::CreateView { view, replace } => self.create_view(view, *replace),
            Change::DropView { name } => self.drop_view(name),
            Change::Comment { on, text } => self.comment(on, text.as_deref()),
            Change::SetLayout { id, layout } => self.set_layout(*id, layout),
            Change::Append(_) | Change::Merge(_) | Change::Delete(_) | Change::Load(_) => self.check_rows(change),
        }
    }

    pub(crate) fn insert_database(&mut self, name: &str) -> Result<()> {
        self.create_database(name)
    }

    pub(crate) fn insert_schema(&mut self, database: &str, name: &str, comment: Option<&str>) -> Result<()> {
        self.create_schema(database, name)?;
        self.comment(&Commented::Schema { database: database.to_owned(), name: name.to_owned() }, comment)
    }

    pub(crate) fn insert_view(&mut self, view: View) -> Result<()> {
        self.create_view(&Arc::new(view), false)
    }

    /// Puts back a table read from the manifest.
    pub(crate) fn insert_table(&mut self, table: Table) -> Result<()> {
        if self.tables.contains_key(&table.id) {
            return Err(Error::new(ErrorKind::Conflict, format!("table id used twice: id={}", table.id)));
        }
        let schema = self.schema_mut(&table.name.database, &table.name.schema)?;
        if schema.has(&table.name.table) {
            return Err(taken("table", &table.name));
        }
        schema.tables.insert(folded_name(&table.name.table), table.id);
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
        entry.schemas.insert(folded, SchemaEntry { name: name.to_owned(), ..SchemaEntry::default() });
        Ok(())
    }

    fn drop_schema(&mut self, database: &str, name: &str, cascade: bool) -> Result<()> {
        let schema = self.schema_mut(database, name)?;
        let (tables, views) = (schema.tables.len(), schema.views.len());
        if !cascade && tables + views > 0 {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("schema is not empty: schema={name}, tables={tables}, views={views}"),
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
        if let Some(view) = entry.view(&name.table) {
            // Not a conflict: trying again would not help.
            return Err(Error::new(ErrorKind::Invalid, format!("a view has that name: view={}", view.name)));
        }
        if entry.has(&name.table) {
            return Err(taken("table", name));
        }
        let spelled = self.spelled(name);
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
        if schema.has(name) && schema.tables.get(&folded_name(name)) != Some(&id) {
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
        table.layout.check(schema)?;
        let table = Arc::make_mut(table);
        table.column_comments.retain(|id, _| schema.column_by_id(*id).is_some());
        table.history.push((snapshot, Arc::clone(schema)));
        Ok(())
    }

    fn create_view(&mut self, view: &Arc<View>, replace: bool) -> Result<()> {
        view.check()?;
        let name = self.spelled(&view.name);
        let schema = self.schema_mut(&name.database, &name.schema)?;
        let folded = folded_name(&name.table);
        if schema.tables.contains_key(&folded) || (!replace && schema.views.contains_key(&folded)) {
            return Err(taken("view", &name));
        }
        schema.views.insert(folded, Arc::new(View { name, ..view.as_ref().clone() }));
        Ok(())
    }

    fn drop_view(&mut self, name: &TableName) -> Result<()> {
        let schema = self.schema_mut(&name.database, &name.schema)?;
        match schema.views.remove(&folded_name(&name.table)) {
            Some(_) => Ok(()),
            None => Err(missing("view", name)),
        }
    }

    fn comment(&mut self, on: &Commented, text: Option<&str>) -> Result<()> {
        check_comment(text)?;
        let text = text.map(str::to_owned);
        match on {
            Commented::Schema { database, name } => self.schema_mut(database, name)?.comment = text,
            Commented::Table(id) => self.table_mut(*id)?.comment = text,
            Commented::Column(id, column) => {
                let table = self.table_mut(*id)?;
                if table.schema().column_by_id(*column).is_none() {
                    return Err(missing("column", column));
                }
                match text {
                    Some(text) => table.column_comments.insert(*column, text),
                    None => table.column_comments.remove(column),
                };
            }
        }
        Ok(())
    }

    fn set_layout(&mut self, id: TableId, layout: &Layout) -> Result<()> {
        let table = self.table_mut(id)?;
        layout.check(table.schema())?;
        table.layout = layout.clone();
        Ok(())
    }

    fn table_mut(&mut self, id: TableId) -> Result<&mut Table> {
        self.tables.get_mut(&id).map(Arc::make_mut).ok_or_else(|| missing("table", &id))
    }

    /// The name with its database and schema spelled as these were created.
    fn spelled(&self, name: &TableName) -> TableName {
        let database = self.database(&name.database);
        let schema = database.and_then(|database| database.schema(&name.schema));
        TableName {
            database: database.map_or_else(|| name.database.clone(), |database| database.name.clone()),
            schema: schema.map_or_else(|| name.schema.clone(), |schema| schema.name.clone()),
            table: name.table.clone(),
        }
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
            Change::Load(loaded) => loaded.check(table),
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
