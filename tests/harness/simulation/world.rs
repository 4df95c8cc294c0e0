//! What one snapshot of the database must show: names, schemas, rows. A list of such worlds is the whole history.
//!
//! **Invariants**
//! 1. A world never changes; a commit makes the next one, or is refused and makes none.
//! 2. It is made of maps and lists in memory, and shares no code with the engine but the names of column types.
//! 3. Every row has an identity that it keeps as long as it lives; a row that is changed is another row.

mod changes;
mod extras;
mod merge;
mod names;
mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use siltstone_storage::{ErrorKind, LogicalType};

pub use changes::Change;
pub use extras::{Commented, Extras, Layout, View};
pub use merge::{How, OnMatch};
pub use rows::Rows;

use super::cell::Cell;

/// A column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Unique in the table's life.
    pub id: u32,
    /// As spelled.
    pub name: String,
    /// Its type.
    pub ty: LogicalType,
    /// What rows have that do not say.
    pub default: Cell,
}

/// A row: what its writer said of it, by column id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row(pub BTreeMap<u32, Cell>);

/// A table with its rows by identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The engine's id.
    pub id: u64,
    /// Database, schema, table, as spelled.
    pub name: [String; 3],
    /// Counts schema changes, from 1.
    pub version: u32,
    /// In order.
    pub columns: Vec<Column>,
    /// The id that the next column gets.
    pub next_column: u32,
    /// Column ids of the primary key.
    pub key: Vec<u32>,
    /// What is said of it.
    pub extras: Extras,
    /// By identity.
    pub rows: BTreeMap<u64, Arc<Row>>,
}

impl Table {
    /// A row as wide as the table.
    pub fn shown(&self, row: &Row) -> Vec<Cell> {
        self.columns.iter().map(|column| row.0.get(&column.id).unwrap_or(&column.default).clone()).collect()
    }

    /// All rows as wide as the table, sorted.
    pub fn contents(&self) -> Vec<Vec<Cell>> {
        let mut rows: Vec<Vec<Cell>> = self.rows.values().map(|row| self.shown(row)).collect();
        rows.sort();
        rows
    }

    /// The value of one column of a row.
    pub fn value<'a>(&'a self, row: &'a Row, column: u32) -> &'a Cell {
        let default = self.columns.iter().find(|known| known.id == column).map_or(&Cell::Null, |known| &known.default);
        row.0.get(&column).unwrap_or(default)
    }

    /// The column of that name, whatever its case.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| folded(&column.name) == folded(name))
    }
}

/// A schema: its spelling, table ids and views by folded name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// As spelled.
    pub name: String,
    /// What is said of it.
    pub comment: Option<String>,
    /// By folded name.
    pub tables: BTreeMap<String, u64>,
    /// By folded name.
    pub views: BTreeMap<String, View>,
}

/// A database: its spelling and schemas by folded name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Database {
    /// As spelled.
    pub name: String,
    /// By folded name.
    pub schemas: BTreeMap<String, Schema>,
}

/// What is said of a commit: author, message, extra.
pub type Info = [Option<String>; 3];

/// Everything one snapshot shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    /// The snapshot's id.
    pub id: u64,
    /// When its last commit was made.
    pub time_us: i64,
    /// What was said of that commit.
    pub info: Info,
    /// By folded name.
    pub databases: BTreeMap<String, Database>,
    /// By id.
    pub tables: BTreeMap<u64, Arc<Table>>,
    /// Identities given so far.
    pub identities: u64,
    /// The last commit that spoke of rows of a table, whether it changed any or not.
    pub touched: BTreeMap<u64, u64>,
}

/// One change, as a client asks for it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the statement of the same name")]
pub enum Op {
    CreateDatabase {
        name: String,
    },
    DropDatabase {
        name: String,
    },
    CreateSchema {
        database: String,
        name: String,
    },
    DropSchema {
        database: String,
        name: String,
        cascade: bool,
    },
    CreateTable {
        id: u64,
        name: [String; 3],
        columns: Vec<Column>,
        key: Vec<u32>,
    },
    DropTable {
        id: u64,
    },
    RenameTable {
        id: u64,
        name: String,
    },
    /// `base` is the schema version that the client saw.
    Alter {
        id: u64,
        base: u32,
        alteration: Alteration,
    },
    CreateView {
        view: View,
        replace: bool,
    },
    DropView {
        name: [String; 3],
    },
    Comment {
        on: Commented,
        text: Option<String>,
    },
    SetLayout {
        id: u64,
        layout: Layout,
    },
    Append {
        id: u64,
        rows: Rows,
    },
    Merge {
        id: u64,
        rows: Rows,
        how: How,
    },
    /// `identities` were picked from the table as of snapshot `at`.
    Delete {
        id: u64,
        at: u64,
        identities: Vec<u64>,
    },
    /// What a transaction came to in one table.
    Net {
        id: u64,
        deleted: Vec<u64>,
        added: Vec<Row>,
    },
}

impl Op {
    /// The table whose rows it changes.
    pub fn rows_of(&self) -> Option<u64> {
        match self {
            Self::Append { id, .. } | Self::Merge { id, .. } | Self::Delete { id, .. } | Self::Net { id, .. } => {
                Some(*id)
            }
            _ => None,
        }
    }

    /// What it does, in one or two words.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::CreateDatabase { .. } => "create database",
            Self::DropDatabase { .. } => "drop database",
            Self::CreateSchema { .. } => "create schema",
            Self::DropSchema { .. } => "drop schema",
            Self::CreateTable { .. } => "create table",
            Self::DropTable { .. } => "drop table",
            Self::RenameTable { .. } => "rename table",
            Self::Alter { alteration: Alteration::Add { .. }, .. } => "add column",
            Self::Alter { alteration: Alteration::Drop { .. }, .. } => "drop column",
            Self::Alter { alteration: Alteration::Rename { .. }, .. } => "rename column",
            Self::Alter { alteration: Alteration::Replace { .. }, .. } => "replace column",
            Self::CreateView { .. } => "create view",
            Self::DropView { .. } => "drop view",
            Self::Comment { .. } => "comment",
            Self::SetLayout { .. } => "set layout",
            Self::Append { .. } => "append",
            Self::Merge { how, .. } => match how.on_match {
                OnMatch::Replace => "merge: replace",
                OnMatch::Update => "merge: update",
                OnMatch::Keep => "merge: keep",
                OnMatch::Remove => "merge: remove",
            },
            Self::Delete { .. } => "delete",
            Self::Net { .. } => "transaction",
        }
    }
}

/// A change of a table's columns.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "each variant is the statement of the same name")]
pub enum Alteration {
    Add {
        name: String,
        ty: LogicalType,
        default: Cell,
    },
    Drop {
        name: String,
    },
    Rename {
        from: String,
        to: String,
    },
    /// A new column in the place of another, under its name.
    Replace {
        name: String,
        ty: LogicalType,
        default: Cell,
    },
}

/// Why a commit is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of error that the engine owes.
    pub kind: ErrorKind,
    /// Why.
    pub why: String,
    /// The rows of the batch that are the reason; `None` if more than one answer is right.
    pub rows: Option<Vec<u32>>,
}

impl Refusal {
    fn new(kind: ErrorKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), rows: Some(Vec::new()) }
    }
}

/// What became of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that are there in addition.
    pub inserted: u64,
    /// Stored rows that were replaced or changed.
    pub updated: u64,
    /// Stored rows that are gone.
    pub deleted: u64,
    /// Rows of a merge that changed nothing.
    pub unchanged: u64,
}

impl World {
    /// The world after a commit of these changes, and what became of rows.
    ///
    /// # Errors
    /// If a change does not fit; nothing is changed then.
    pub fn commit(&self, ops: &[Op], info: Info, now_us: i64) -> Result<(Self, Counts), Refusal> {
        let (mut next, mut counts) = (self.clone(), Counts::default());
        // Rows are changed under the names and columns that the whole commit leaves.
        for op in ops {
            next.check_rows(op)?;
            next.change_names(op)?;
        }
        for op in ops {
            next.change_rows(op, &mut counts)?;
            next.touched.extend(op.rows_of().map(|table| (table, self.id + 1)));
        }
        next.id = self.id + 1;
        next.time_us = now_us.max(self.time_us);
        next.info = info;
        Ok((next, counts))
    }

    fn change_names(&mut self, op: &Op) -> Result<(), Refusal> {
        match op {
            Op::CreateDatabase { name } => self.create_database(name),
            Op::DropDatabase { name } => self.drop_database(name),
            Op::CreateSchema { database, name } => self.create_schema(database, name),
            Op::DropSchema { database, name, cascade } => self.drop_schema(database, name, *cascade),
            Op::CreateTable { id, name, columns, key } => self.create_table(*id, name, columns, key),
            Op::DropTable { id } => self.drop_table(*id),
            Op::RenameTable { id, name } => self.rename_table(*id, name),
            Op::Alter { id, base, alteration } => self.alter(*id, *base, alteration),
            Op::CreateView { view, replace } => self.create_view(view, *replace),
            Op::DropView { name } => self.drop_view(name),
            Op::Comment { on, text } => self.comment(on, text),
            Op::SetLayout { id, layout } => self.set_layout(*id, layout),
            Op::Append { .. } | Op::Merge { .. } | Op::Delete { .. } | Op::Net { .. } => Ok(()),
        }
    }

    /// A table to change.
    fn table_mut(&mut self, id: u64) -> Result<&mut Table, Refusal> {
        let table = self.tables.get_mut(&id);
        Ok(Arc::make_mut(table.ok_or_else(|| Refusal::new(ErrorKind::NotFound, format!("no table {id}")))?))
    }

    /// The tables with rows or not, in the order of their ids.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    /// All stored rows.
    pub fn rows(&self) -> usize {
        self.tables().map(|table| table.rows.len()).sum()
    }
}

/// The form under which names are compared.
pub fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Append { id, rows } => write!(f, "append to {id} {}", rows::describe(rows, None)),
            Self::Merge { id, rows, how } => write!(f, "merge into {id} {}", rows::describe(rows, Some(how))),
            Self::Delete { id, at, identities } => {
                write!(f, "delete from {id} {} rows of snapshot {at}", identities.len())
            }
            Self::Net { id, deleted, added } => {
                write!(f, "in {id} {} rows deleted and {} added", deleted.len(), added.len())
            }
            Self::CreateTable { id, name, columns, key } => {
                write!(f, "create table {id} {}, {} columns, key {key:?}", name.join("."), columns.len())
            }
            other => write!(f, "{other:?}"),
        }
    }
}
