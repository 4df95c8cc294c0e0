//! Changes of names and columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use siltstone_storage::ErrorKind;

use super::extras::check_layout;
use super::{Alteration, Column, Database, Extras, Refusal, Schema, Table, World, folded};

pub(super) fn missing(what: &str) -> Refusal {
    Refusal::new(ErrorKind::NotFound, format!("{what} does not exist"))
}

pub(super) fn taken(what: &str) -> Refusal {
    Refusal::new(ErrorKind::Conflict, format!("{what} exists"))
}

impl World {
    pub(super) fn create_database(&mut self, name: &str) -> Result<(), Refusal> {
        if self.databases.contains_key(&folded(name)) {
            return Err(taken("database"));
        }
        self.databases.insert(folded(name), Database { name: name.to_owned(), schemas: BTreeMap::new() });
        Ok(())
    }

    pub(super) fn drop_database(&mut self, name: &str) -> Result<(), Refusal> {
        let database = self.databases.remove(&folded(name)).ok_or_else(|| missing("database"))?;
        for id in database.schemas.values().flat_map(|schema| schema.tables.values()) {
            self.tables.remove(id);
        }
        Ok(())
    }

    pub(super) fn database(&mut self, name: &str) -> Result<&mut Database, Refusal> {
        self.databases.get_mut(&folded(name)).ok_or_else(|| missing("database"))
    }

    pub(super) fn schema(&mut self, database: &str, name: &str) -> Result<&mut Schema, Refusal> {
        self.database(database)?.schemas.get_mut(&folded(name)).ok_or_else(|| missing("schema"))
    }

    pub(super) fn create_schema(&mut self, database: &str, name: &str) -> Result<(), Refusal> {
        let schemas = &mut self.database(database)?.schemas;
        if schemas.contains_key(&folded(name)) {
            return Err(taken("schema"));
        }
        schemas.insert(folded(name), Schema { name: name.to_owned(), ..Schema::default() });
        Ok(())
    }

    pub(super) fn drop_schema(&mut self, database: &str, name: &str, cascade: bool) -> Result<(), Refusal> {
        let schema = self.schema(database, name)?;
        let tables: Vec<u64> = schema.tables.values().copied().collect();
        let is_empty = tables.is_empty() && schema.views.is_empty();
        if !is_empty && !cascade {
            return Err(Refusal::new(ErrorKind::Invalid, "schema is not empty"));
        }
        self.database(database)?.schemas.remove(&folded(name));
        self.tables.retain(|id, _| !tables.contains(id));
        Ok(())
    }

    pub(super) fn create_table(
        &mut self,
        id: u64,
        name: &[String; 3],
        columns: &[Column],
        key: &[u32],
    ) -> Result<(), Refusal> {
        let [database, schema, table] = name;
        let entry = self.schema(database, schema)?;
        if entry.views.contains_key(&folded(table)) {
            return Err(Refusal::new(ErrorKind::Invalid, "a view has that name"));
        }
        if entry.tables.contains_key(&folded(table)) {
            return Err(taken("table"));
        }
        entry.tables.insert(folded(table), id);
        let schema = entry.name.clone();
        let name = [self.database(database)?.name.clone(), schema, table.clone()];
        let next_column = columns.len() as u32 + 1;
        let (columns, key) = (columns.to_vec(), key.to_vec());
        let made =
            Table { id, name, version: 1, columns, next_column, key, extras: Extras::default(), rows: BTreeMap::new() };
        self.tables.insert(id, Arc::new(made));
        Ok(())
    }

    pub(super) fn drop_table(&mut self, id: u64) -> Result<(), Refusal> {
        let table = self.tables.remove(&id).ok_or_else(|| missing("table"))?;
        let [database, schema, name] = &table.name;
        self.schema(database, schema)?.tables.remove(&folded(name));
        Ok(())
    }

    pub(super) fn rename_table(&mut self, id: u64, to: &str) -> Result<(), Refusal> {
        let [database, schema, from] = self.table_mut(id)?.name.clone();
        let entry = self.schema(&database, &schema)?;
        let tables = &mut entry.tables;
        if tables.get(&folded(to)).is_some_and(|other| *other != id) || entry.views.contains_key(&folded(to)) {
            return Err(taken("table"));
        }
        tables.remove(&folded(&from));
        tables.insert(folded(to), id);
        to.clone_into(&mut self.table_mut(id)?.name[2]);
        Ok(())
    }

    pub(super) fn alter(&mut self, id: u64, base: u32, alteration: &Alteration) -> Result<(), Refusal> {
        let table = self.table_mut(id)?;
        if table.version != base {
            return Err(Refusal::new(ErrorKind::Conflict, "the schema changed meanwhile"));
        }
        table.version += 1;
        match alteration {
            Alteration::Add { name, ty, default } => {
                let (id, name) = (table.next_column, name.clone());
                table.columns.push(Column { id, name, ty: ty.clone(), default: default.clone() });
                table.next_column += 1;
            }
            Alteration::Replace { name, ty, default } => {
                for column in table.columns.iter_mut().filter(|column| folded(&column.name) == folded(name)) {
                    let (id, name) = (table.next_column, name.clone());
                    *column = Column { id, name, ty: ty.clone(), default: default.clone() };
                }
                table.next_column += 1;
            }
            Alteration::Drop { name } => table.columns.retain(|column| folded(&column.name) != folded(name)),
            Alteration::Rename { from, to } => {
                for column in table.columns.iter_mut().filter(|column| folded(&column.name) == folded(from)) {
                    column.name.clone_from(to);
                }
            }
        }
        let columns = &table.columns;
        table.extras.column_comments.retain(|id, _| columns.iter().any(|column| column.id == *id));
        check_layout(table)
    }
}
