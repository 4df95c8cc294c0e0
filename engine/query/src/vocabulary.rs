//! What a session's statements may name, for completion.
//!
//! **Invariants**: names are as stored; hidden tables are not among them.

use siltstone_storage::{Snapshot, folded_name, same_name};

use crate::completion::Vocabulary;
use crate::names::INFORMATION_SCHEMA;
use crate::session::Session;
use crate::volatile::shown;

/// One snapshot's names under a session's defaults.
pub(crate) struct SessionVocabulary<'a> {
    session: &'a Session,
    snapshot: Snapshot,
}

impl<'a> SessionVocabulary<'a> {
    pub(crate) fn new(session: &'a Session) -> Self {
        Self { snapshot: session.snapshot(), session }
    }

    fn is_hidden(&self, catalog: &str, schema: &str, table: &str) -> bool {
        self.session.core.hidden.iter().any(|hidden| {
            same_name(&hidden.database, catalog) && same_name(&hidden.schema, schema) && same_name(&hidden.table, table)
        })
    }
}

impl Vocabulary for SessionVocabulary<'_> {
    fn defaults(&self) -> (&str, &str) {
        (&self.session.defaults.database, &self.session.defaults.schema)
    }

    fn catalogs(&self) -> Vec<String> {
        self.snapshot.catalog().databases().map(|database| shown(database.name()).to_owned()).collect()
    }

    fn schemas(&self, catalog: &str) -> Vec<String> {
        let Some(database) = self.snapshot.catalog().database(catalog) else {
            return Vec::new();
        };
        let stored = database.schemas().map(|schema| schema.name().to_owned());
        stored.chain([INFORMATION_SCHEMA.to_owned()]).collect()
    }

    fn tables(&self, catalog: &str, schema: &str) -> Vec<String> {
        let stored = self.snapshot.catalog();
        if folded_name(schema) == INFORMATION_SCHEMA && stored.database(catalog).is_some() {
            return crate::information_schema::TABLES.iter().map(|name| (*name).to_owned()).collect();
        }
        let schema_entry = stored.database(catalog).and_then(|database| database.schema(schema));
        let tables = schema_entry.into_iter().flat_map(|schema| schema.tables());
        let names = tables.filter_map(|id| stored.table_by_id(id)).map(|table| &table.name.table);
        let views = schema_entry.into_iter().flat_map(|schema| schema.views()).map(|view| &view.name.table);
        names.filter(|table| !self.is_hidden(catalog, schema, table)).chain(views).cloned().collect()
    }

    fn columns(&self, catalog: &str, schema: &str, table: &str) -> Vec<String> {
        if self.is_hidden(catalog, schema, table) {
            return Vec::new();
        }
        let stored = self.snapshot.catalog();
        if let Some(view) = stored.view(catalog, schema, table) {
            return view.columns.iter().map(|column| column.name.clone()).collect();
        }
        let table = stored.table(catalog, schema, table);
        table.map_or_else(Vec::new, |table| table.schema().columns().iter().map(|column| column.name.clone()).collect())
    }

    fn scalar_functions(&self) -> Vec<String> {
        self.session.core.function_names()
    }

    fn table_functions(&self) -> Vec<String> {
        self.session.core.table_function_names()
    }
}
