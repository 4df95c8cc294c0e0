//! What a catalog holds beside tables and their columns: views, comments, how rows would lie.

use std::collections::BTreeMap;

use siltstone_storage::ErrorKind;

use super::names::{missing, taken};
use super::{Refusal, World, folded};

/// A query under a name.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Database, schema, view, as spelled.
    pub name: [String; 3],
    /// The query.
    pub query: String,
    /// Names and types of its columns.
    pub columns: Vec<[String; 2]>,
    /// What is said of it.
    pub comment: Option<String>,
}

/// By which columns a table's rows would be cut, and by which sorted: up or down.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Column ids.
    pub partitioned_by: Vec<u32>,
    /// Column ids, and whether from the greatest.
    pub sorted_by: Vec<(u32, bool)>,
}

impl Layout {
    /// Whether it speaks of a column.
    pub fn names(&self, column: u32) -> bool {
        self.partitioned_by.contains(&column) || self.sorted_by.iter().any(|(sorted, _)| *sorted == column)
    }
}

/// What a comment is about.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is what it is called")]
pub enum Commented {
    Schema { database: String, name: String },
    Table(u64),
    Column(u64, u32),
}

/// What is said of a table and its columns, and how its rows would lie.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extras {
    /// Of the table.
    pub comment: Option<String>,
    /// By column id.
    pub column_comments: BTreeMap<u32, String>,
    /// As declared.
    pub layout: Layout,
}

impl World {
    pub(super) fn create_view(&mut self, view: &View, replace: bool) -> Result<(), Refusal> {
        let [database, schema, name] = &view.name;
        let entry = self.schema(database, schema)?;
        let folded = folded(name);
        if entry.tables.contains_key(&folded) || (!replace && entry.views.contains_key(&folded)) {
            return Err(taken("view"));
        }
        let schema = entry.name.clone();
        let spelled = [self.database(database)?.name.clone(), schema.clone(), name.clone()];
        self.schema(database, &schema)?.views.insert(folded, View { name: spelled, ..view.clone() });
        Ok(())
    }

    pub(super) fn drop_view(&mut self, [database, schema, name]: &[String; 3]) -> Result<(), Refusal> {
        self.schema(database, schema)?.views.remove(&folded(name)).map(drop).ok_or_else(|| missing("view"))
    }

    pub(super) fn comment(&mut self, on: &Commented, text: &Option<String>) -> Result<(), Refusal> {
        match on {
            Commented::Schema { database, name } => self.schema(database, name)?.comment.clone_from(text),
            Commented::Table(id) => self.table_mut(*id)?.extras.comment.clone_from(text),
            Commented::Column(id, column) => {
                let table = self.table_mut(*id)?;
                if !table.columns.iter().any(|known| known.id == *column) {
                    return Err(missing("column"));
                }
                match text {
                    Some(text) => table.extras.column_comments.insert(*column, text.clone()),
                    None => table.extras.column_comments.remove(column),
                };
            }
        }
        Ok(())
    }

    pub(super) fn set_layout(&mut self, id: u64, layout: &Layout) -> Result<(), Refusal> {
        let table = self.table_mut(id)?;
        table.extras.layout.clone_from(layout);
        check_layout(table)
    }
}

/// A layout speaks of columns that are there.
pub(super) fn check_layout(table: &super::Table) -> Result<(), Refusal> {
    let layout = &table.extras.layout;
    let named = layout.partitioned_by.iter().chain(layout.sorted_by.iter().map(|(column, _)| column));
    let there = |id: &u32| table.columns.iter().any(|column| column.id == *id);
    match named.into_iter().all(there) {
        true => Ok(()),
        false => Err(Refusal::new(ErrorKind::Invalid, "a column of the layout is not there")),
    }
}
