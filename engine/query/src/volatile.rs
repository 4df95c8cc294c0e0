//! What does not outlive a session or the server: temporary tables, and databases attached as `':memory:'`.
//!
//! Both are stored like all others (`docs/decisions/0012-volatile-tables.md`). A session's temporary tables are in a database of its own, which
//! goes with it; an attached database has a second, empty one beside it that says so. What a stop leaves of either goes at the next start.
//!
//! **Invariants**
//! 1. Names that begin with one of the prefixes below are ours: no statement makes such a database, and none sees one but a session its own.
//! 2. After a start nothing volatile is left from before.

use siltstone_storage::{Catalog, Change, Commit, Engine, Snapshot, TableName, folded_name, same_name};
use uuid::Uuid;

use crate::QueryError;
use crate::error::Result;
use crate::names::{Defaults, unknown_database};
use crate::session::Session;

/// What SQL calls the database of a session's temporary tables.
pub(crate) const TEMP: &str = "temp";
/// The only schema of such a database.
pub(crate) const TEMP_SCHEMA: &str = "main";
/// What they are called in storage, before something that tells sessions apart.
const TEMP_PREFIX: &str = "__temp_";
/// Before the name of an attached database, what stands for its being attached.
const ATTACHED_PREFIX: &str = "__attached_";

/// A session's own database; nothing is there until the first table is made. Dropping it drops the database.
pub(crate) struct TempDatabase {
    engine: Engine,
    name: String,
}

impl TempDatabase {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, name: format!("{TEMP_PREFIX}{}", Uuid::new_v4().simple()) }
    }

    /// Its name in storage.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        let snapshot = self.engine.snapshot();
        let tables = snapshot.catalog().database(&self.name).into_iter().flat_map(|database| database.schemas());
        tables.flat_map(|schema| schema.tables()).next().is_none()
    }

    /// A table in it, and what has to be made for it.
    pub(crate) fn table(&self, catalog: &Catalog, table: &str) -> (TableName, Vec<Change>) {
        let (database, schema) = (self.name.clone(), TEMP_SCHEMA.to_owned());
        let mut changes = Vec::new();
        let found = catalog.database(&database);
        if found.is_none() {
            changes.push(Change::CreateDatabase { name: database.clone() });
        }
        if found.is_none_or(|found| found.schema(&schema).is_none()) {
            changes.push(Change::CreateSchema { database: database.clone(), name: schema.clone() });
        }
        (TableName::new(database, schema, table), changes)
    }
}

impl Drop for TempDatabase {
    fn drop(&mut self) {
        if self.engine.snapshot().catalog().database(&self.name).is_none() {
            return;
        }
        let drop = Change::DropDatabase { name: self.name.clone() };
        self.engine.submit(Commit::new(vec![drop]), |outcome| {
            if let Err(error) = outcome {
                tracing::warn!(%error, "temporary tables stay until the next start");
            }
        });
    }
}

/// Whether a database may not be called this.
pub(crate) fn is_reserved(name: &str) -> bool {
    let folded = folded_name(name);
    folded == TEMP || is_hidden(&folded)
}

fn is_hidden(name: &str) -> bool {
    is_temp(name) || name.starts_with(ATTACHED_PREFIX)
}

/// Whether a database holds temporary tables.
pub(crate) fn is_temp(database: &str) -> bool {
    database.starts_with(TEMP_PREFIX)
}

/// What SQL calls a database.
pub(crate) fn shown(database: &str) -> &str {
    if is_temp(database) { TEMP } else { database }
}

/// The name in storage of the session's own database, if a catalog that a session sees has it.
pub(crate) fn temp_of(catalog: &Catalog) -> Option<&str> {
    catalog.databases().map(|database| database.name()).find(|name| is_temp(name))
}

/// Whether a name is that of a temporary table by what stands before its last part.
pub(crate) fn is_in_temp(catalog: &Catalog, defaults: &Defaults, parts: &[&str]) -> bool {
    let is_schema = |name: &str| catalog.database(&defaults.database).is_some_and(|home| home.schema(name).is_some());
    match parts {
        [first, _] => same_name(first, TEMP) && !is_schema(first) && catalog.database(first).is_none(),
        [first, schema, _] => {
            same_name(first, TEMP) && same_name(schema, TEMP_SCHEMA) && catalog.database(first).is_none()
        }
        _ => false,
    }
}

/// A snapshot as a session sees it whose own database is `own`.
pub(crate) fn visible(snapshot: Snapshot, own: Option<&str>) -> Snapshot {
    let is_foreign = |name: &str| is_hidden(name) && Some(name) != own;
    if snapshot.catalog().databases().any(|database| is_foreign(database.name())) {
        return snapshot.without_databases(is_foreign);
    }
    snapshot
}

/// Drops what an earlier run left.
///
/// # Errors
/// Storage's.
pub(crate) fn sweep(engine: &Engine) -> siltstone_storage::Result<()> {
    let snapshot = engine.snapshot();
    let catalog = snapshot.catalog();
    let mut changes = Vec::new();
    for name in catalog.databases().map(|database| database.name()).filter(|name| is_hidden(name)) {
        changes.push(Change::DropDatabase { name: name.to_owned() });
        let attached = name.strip_prefix(ATTACHED_PREFIX).filter(|attached| catalog.database(attached).is_some());
        changes.extend(attached.map(|attached| Change::DropDatabase { name: attached.to_owned() }));
    }
    if changes.is_empty() {
        return Ok(());
    }
    engine.write(Commit::new(changes)).map(|_| ())
}

/// `ATTACH ':memory:' AS name`.
pub(crate) fn attach(session: &Session, catalog: &Catalog, name: &str, if_not_exists: bool) -> Result<Vec<Change>> {
    session.check_writable(name)?;
    check_free(name)?;
    if catalog.database(name).is_some() {
        if if_not_exists {
            return Ok(Vec::new());
        }
        return Err(QueryError::binder(format_args!(
            "Failed to attach database: database with name \"{name}\" already exists"
        )));
    }
    let schema = session.core.options.default_schema.clone();
    Ok(vec![
        Change::CreateDatabase { name: name.to_owned() },
        Change::CreateSchema { database: name.to_owned(), name: schema },
        Change::CreateDatabase { name: mark(name) },
    ])
}

/// `DETACH name`, on all that is stored.
pub(crate) fn detach(session: &Session, stored: &Catalog, name: &str, if_exists: bool) -> Result<Vec<Change>> {
    session.check_writable(name)?;
    if stored.database(name).is_none() || is_hidden(&folded_name(name)) {
        if if_exists {
            return Ok(Vec::new());
        }
        return Err(QueryError::binder(format_args!(
            "Failed to detach database with name \"{name}\": database not found"
        )));
    }
    if !is_attached(stored, name) {
        return Err(QueryError::binder(format_args!(
            "Cannot detach database \"{name}\": it was not attached. DROP DATABASE removes it with what is in it"
        )));
    }
    if same_name(&session.defaults.database, name) {
        return Err(QueryError::binder(format_args!(
            "Cannot detach database \"{name}\" which is the default database. Select a different database using `USE` to \
             allow detaching this database"
        )));
    }
    Ok(vec![Change::DropDatabase { name: name.to_owned() }, Change::DropDatabase { name: mark(name) }])
}

/// What goes with a database that is dropped.
pub(crate) fn with_dropped(stored: &Catalog, name: &str) -> Option<Change> {
    is_attached(stored, name).then(|| Change::DropDatabase { name: mark(name) })
}

/// Whether a database was attached.
pub(crate) fn is_attached(stored: &Catalog, name: &str) -> bool {
    stored.database(&mark(name)).is_some()
}

fn mark(name: &str) -> String {
    format!("{ATTACHED_PREFIX}{}", folded_name(name))
}

/// # Errors
/// `Binder Error` for a name that is reserved.
pub(crate) fn check_free(name: &str) -> Result<()> {
    if is_reserved(name) {
        return Err(QueryError::binder(format_args!("the database name \"{name}\" is reserved")));
    }
    Ok(())
}

/// The name in storage of a database that SQL names.
///
/// # Errors
/// `Catalog Error` if there is none.
pub(crate) fn database<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a str> {
    let stored = catalog.database(name).map(|database| database.name());
    let temp = || temp_of(catalog).filter(|_| same_name(name, TEMP));
    stored.or_else(temp).ok_or_else(|| unknown_database(name))
}
