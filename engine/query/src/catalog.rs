//! Databases, schemas and tables of one snapshot as DataFusion's catalogs.
//!
//! **Invariants**
//! 1. Nothing is built until it is asked for by name: planning a query costs by the tables it names, not by those there are.
//! 2. All lookups see the one snapshot, whatever is committed meanwhile.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::error::{DataFusionError, Result};
use siltstone_storage::{Snapshot, TableName, folded_name, same_name};

use crate::files::{FileTables, is_file_table};
use crate::names::{INFORMATION_SCHEMA, Spelling};
use crate::table_form::TableForm;
use crate::table_provider::SnapshotTable;
use crate::views::ViewPlans;
use crate::{duckdb_catalog, history, information_schema, system_tables};

/// What a statement is planned against.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) snapshot: Snapshot,
    pub(crate) spelling: Spelling,
    /// The views it names.
    pub(crate) views: ViewPlans,
    /// The files it reads.
    pub(crate) files: FileTables,
    /// Tables whose rows are not for SQL.
    pub(crate) hidden: Arc<[TableName]>,
    /// Databases that are only read.
    pub(crate) read_only: Arc<[String]>,
}

/// All databases of the snapshot.
#[derive(Debug)]
pub(crate) struct Databases(pub(crate) Arc<Scope>);

impl CatalogProviderList for Databases {
    /// Queries register nothing: databases come from commits.
    fn register_catalog(&self, _: String, _: Arc<dyn CatalogProvider>) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        self.0.snapshot.catalog().databases().map(|database| database.name().to_owned()).collect()
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        let database = self.0.snapshot.catalog().database(name)?.name().to_owned();
        Some(Arc::new(Schemas { scope: Arc::clone(&self.0), database }))
    }
}

#[derive(Debug)]
struct Schemas {
    scope: Arc<Scope>,
    database: String,
}

impl CatalogProvider for Schemas {
    fn schema_names(&self) -> Vec<String> {
        let database = self.scope.snapshot.catalog().database(&self.database);
        let stored =
            database.into_iter().flat_map(|database| database.schemas()).map(|schema| schema.name().to_owned());
        stored.chain([INFORMATION_SCHEMA.to_owned()]).collect()
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let scope = Arc::clone(&self.scope);
        if folded_name(name) == INFORMATION_SCHEMA {
            return Some(Arc::new(Information { scope }));
        }
        let schema = self.scope.snapshot.catalog().database(&self.database)?.schema(name)?.name().to_owned();
        Some(Arc::new(Tables { scope, database: self.database.clone(), schema }))
    }
}

#[derive(Debug)]
struct Tables {
    scope: Arc<Scope>,
    database: String,
    schema: String,
}

impl Tables {
    fn is_hidden(&self, table: &str) -> bool {
        self.scope.hidden.iter().any(|hidden| {
            same_name(&hidden.database, &self.database)
                && same_name(&hidden.schema, &self.schema)
                && same_name(&hidden.table, table)
        })
    }
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let catalog = self.scope.snapshot.catalog();
        let schema = catalog.database(&self.database).and_then(|database| database.schema(&self.schema));
        let ids = schema.into_iter().flat_map(|schema| schema.tables());
        let tables = ids.filter_map(|id| catalog.table_by_id(id)).map(|table| &table.name.table);
        let views = schema.into_iter().flat_map(|schema| schema.views()).map(|view| &view.name.table);
        tables.filter(|table| !self.is_hidden(table)).chain(views).cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (name, form) = TableForm::of_name(name);
        let form = form.transpose().map_err(external)?;
        if self.is_hidden(name) {
            return Ok(None);
        }
        let snapshot = &self.scope.snapshot;
        let spelling = &self.scope.spelling;
        if let Some(view) = snapshot.catalog().view(&self.database, &self.schema, name) {
            let planned = self.scope.views.table(&view.name, spelling)?;
            return Ok(planned.map(|view| view as Arc<dyn TableProvider>));
        }
        let Some(table) = snapshot.catalog().table(&self.database, &self.schema, name) else {
            return system_tables::table(&self.scope, &self.database, &self.schema, name);
        };
        let newest = || snapshot.table(table.id);
        Ok(match form {
            None => newest().map(|table| Arc::new(SnapshotTable::new(table, spelling)) as Arc<dyn TableProvider>),
            Some(TableForm::Addressed) => {
                newest().map(|table| Arc::new(SnapshotTable::addressed(table, spelling)) as Arc<dyn TableProvider>)
            }
            Some(TableForm::At(at)) => {
                let table = snapshot.table_at(table.id, at).map_err(external)?;
                Some(Arc::new(SnapshotTable::new(table, spelling)))
            }
            Some(TableForm::Changes { from, to, asked }) => {
                Some(history::changes(&self.scope, table, from, to, asked).map_err(external)?)
            }
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        let (name, _) = TableForm::of_name(name);
        let catalog = self.scope.snapshot.catalog();
        let stored = || catalog.table(&self.database, &self.schema, name).is_some();
        let view = || catalog.view(&self.database, &self.schema, name).is_some();
        !self.is_hidden(name) && (stored() || view() || system_tables::exists(&self.database, &self.schema, name))
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// `information_schema`, the same in every database.
#[derive(Debug)]
struct Information {
    scope: Arc<Scope>,
}

#[async_trait]
impl SchemaProvider for Information {
    fn table_names(&self) -> Vec<String> {
        information_schema::TABLES.iter().map(|name| (*name).to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if is_file_table(name) {
            let table = self.scope.files.table(name, &self.scope.spelling);
            return Ok(table.map(|table| table as Arc<dyn TableProvider>));
        }
        if let Some(table) = history::table(&self.scope, name) {
            return Ok(Some(table));
        }
        match duckdb_catalog::table(&self.scope, name)? {
            Some(table) => Ok(Some(table)),
            None => information_schema::table(&self.scope, name),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        let ours = [&information_schema::TABLES[..], &history::TABLES, &duckdb_catalog::TABLES];
        is_file_table(name) || ours.iter().any(|tables| tables.contains(&name))
    }
}
