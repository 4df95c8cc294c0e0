//! Wishes as the engine's commits: the part of a client that speaks the engine's language.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::BooleanArray;
use siltstone_storage::{
    Batch, Change, ColumnId, Commented, Commit, CommitInfo, Error, Layout, Merge, NewColumn, OnMatch, PartitionKey,
    RowSet, Snapshot, SnapshotId, SortKey, TableId, TableName, TableSchema, Transform, View, ViewColumn,
};

use super::cell::{Cell, array};
use super::generate::Wish;
use super::read::{self, chain};
use super::world::{Alteration, Column, How, Op, Rows, World};
use super::{Fault, Model, world};

/// Turns wishes into commits. Schemas come from what the client saw and from what it changes itself.
pub struct Lowering<'a> {
    seen: &'a Snapshot,
    past: &'a Model,
    /// What a transaction sees, where rows are picked in one.
    own: Option<&'a World>,
    schemas: BTreeMap<u64, Arc<TableSchema>>,
}

impl<'a> Lowering<'a> {
    /// For a client that saw this snapshot.
    pub fn new(seen: &'a Snapshot, past: &'a Model) -> Self {
        Self { seen, past, own: None, schemas: BTreeMap::new() }
    }

    /// For one who makes a change in a transaction and sees this.
    pub fn within(seen: &'a Snapshot, past: &'a Model, own: &'a World) -> Self {
        Self { own: Some(own), ..Self::new(seen, past) }
    }

    /// The commit.
    ///
    /// # Errors
    /// If the engine refuses to make one of its parts, that every client may make.
    pub fn commit(mut self, wish: &Wish) -> Result<Commit, Fault> {
        let changes = wish.ops.iter().map(|op| self.change(op)).collect::<Result<_, Fault>>()?;
        Ok(Commit { info: commit_info(&wish.info), ..Commit::new(changes) })
    }

    /// One change.
    ///
    /// # Errors
    /// As for [`Lowering::commit`].
    pub fn change(&mut self, op: &Op) -> Result<Change, Fault> {
        Ok(match op.clone() {
            Op::CreateDatabase { name } => Change::CreateDatabase { name },
            Op::DropDatabase { name } => Change::DropDatabase { name },
            Op::CreateSchema { database, name } => Change::CreateSchema { database, name },
            Op::DropSchema { database, name, cascade } => Change::DropSchema { database, name, cascade },
            Op::DropTable { id } => Change::DropTable { id: TableId(id) },
            Op::RenameTable { id, name } => Change::RenameTable { id: TableId(id), name },
            Op::CreateTable { id, name, columns, key } => {
                let keys: Vec<String> = key.iter().map(|key| column_name(&columns, *key)).collect();
                let made =
                    Arc::new(TableSchema::new(columns.iter().map(new_column).collect(), &keys).map_err(refused)?);
                self.schemas.insert(id, Arc::clone(&made));
                Change::CreateTable { id: TableId(id), name: engine_name(name), schema: made }
            }
            Op::Alter { id, alteration, .. } => {
                let next = Arc::new(altered(&self.schema(id), &alteration).map_err(refused)?);
                self.schemas.insert(id, Arc::clone(&next));
                Change::SetSchema { id: TableId(id), schema: next }
            }
            Op::CreateView { view, replace } => Change::CreateView { view: Arc::new(engine_view(view)), replace },
            Op::DropView { name } => Change::DropView { name: engine_name(name) },
            Op::Comment { on, text } => Change::Comment { on: engine_commented(on), text },
            Op::SetLayout { id, layout } => Change::SetLayout { id: TableId(id), layout: engine_layout(&layout) },
            Op::Append { id, rows } => Change::Append(batch(id, &rows).map_err(refused)?),
            Op::Merge { id, rows, how } => Change::Merge(merge(batch(id, &rows).map_err(refused)?, &how)),
            Op::Net { .. } => unreachable!("only the model speaks of what a transaction came to"),
            Op::Delete { id, at, identities } => Change::Delete(self.row_set(id, at, &identities)?),
        })
    }

    /// Finds rows by what they show, in a table as of some snapshot that the client can look at.
    fn row_set(&self, id: u64, at: u64, identities: &[u64]) -> Result<RowSet, Fault> {
        let then = &self.own.unwrap_or_else(|| self.past.at(at)).tables[&id];
        let wanted: BTreeSet<Vec<Cell>> = identities.iter().map(|identity| then.shown(&then.rows[identity])).collect();
        let table = self.seen.table_at(TableId(id), SnapshotId(at)).map_err(refused)?;
        let columns: Vec<ColumnId> = table.schema().columns().iter().map(|column| column.id).collect();
        let mut rows = RowSet::empty(TableId(id));
        for unit in table.units() {
            let shown = read::unit_rows(unit, &columns).map_err(|unread| unread.fault())?;
            let picked: BooleanArray = shown.iter().map(|row| Some(wanted.contains(row))).collect();
            rows.extend(unit.row_set(&picked));
        }
        if rows.rows() == identities.len() as u64 {
            return Ok(rows);
        }
        Err(format!("{} rows of table {id} as of {at} were to be picked, found {}", identities.len(), rows.rows()))
    }

    fn schema(&self, id: u64) -> Arc<TableSchema> {
        let seen = || self.seen.catalog().table_by_id(TableId(id)).map(|table| Arc::clone(table.schema()));
        self.schemas.get(&id).cloned().or_else(seen).expect("a client changes only tables that it saw or made")
    }
}

fn refused(error: Error) -> Fault {
    format!("the engine refuses {}", chain(&error))
}

/// What is said of a commit.
pub fn commit_info(info: &world::Info) -> CommitInfo {
    let [author, message, extra] = info.clone();
    CommitInfo { author, message, extra }
}

fn engine_name([database, schema, table]: [String; 3]) -> TableName {
    TableName::new(database, schema, table)
}

/// The view as the engine has it.
pub fn engine_view(view: world::View) -> View {
    let column = |[name, type_name]: [String; 2]| ViewColumn { name, type_name, comment: None };
    View {
        name: engine_name(view.name),
        query: view.query,
        home_database: "LAKE".to_owned(),
        home_schema: "main".to_owned(),
        columns_named: true,
        columns: view.columns.into_iter().map(column).collect(),
        comment: view.comment,
    }
}

fn engine_commented(on: world::Commented) -> Commented {
    match on {
        world::Commented::Schema { database, name } => Commented::Schema { database, name },
        world::Commented::Table(id) => Commented::Table(TableId(id)),
        world::Commented::Column(id, column) => Commented::Column(TableId(id), ColumnId(column)),
    }
}

/// The layout as the engine has it.
pub fn engine_layout(layout: &world::Layout) -> Layout {
    let partition = |id: &u32| PartitionKey { column: ColumnId(*id), transform: Transform::Bucket(*id) };
    let sort = |(id, descending): &(u32, bool)| SortKey {
        column: ColumnId(*id),
        descending: *descending,
        nulls_first: id.is_multiple_of(2),
    };
    Layout {
        partitioned_by: layout.partitioned_by.iter().map(partition).collect(),
        sorted_by: layout.sorted_by.iter().map(sort).collect(),
    }
}

fn merge(batch: Batch, how: &How) -> Merge {
    let ids = |columns: &[u32]| columns.iter().map(|id| ColumnId(*id)).collect();
    let on_match = match how.on_match {
        world::OnMatch::Replace => OnMatch::Replace,
        world::OnMatch::Update => OnMatch::Update,
        world::OnMatch::Keep => OnMatch::Keep,
        world::OnMatch::Remove => OnMatch::Remove,
    };
    Merge { batch, key: ids(&how.key), on_match, newer_by: ids(&how.newer_by) }
}

fn column_name(columns: &[Column], id: u32) -> String {
    columns.iter().find(|column| column.id == id).map(|column| column.name.clone()).unwrap_or_default()
}

fn new_column(column: &Column) -> NewColumn {
    NewColumn { default: column.default.value(), ..NewColumn::new(column.name.clone(), column.ty.clone()) }
}

fn altered(schema: &TableSchema, alteration: &Alteration) -> Result<TableSchema, Error> {
    match alteration {
        Alteration::Add { name, ty, default } => {
            schema.with_columns(vec![NewColumn { default: default.value(), ..NewColumn::new(name, ty.clone()) }])
        }
        Alteration::Replace { name, ty, default } => {
            let by = NewColumn { default: default.value(), ..NewColumn::new(name, ty.clone()) };
            schema.with_replaced_column(name, by)
        }
        Alteration::Drop { name } => schema.without_column(name),
        Alteration::Rename { from, to } => schema.with_renamed_column(from, to),
    }
}

/// The rows as a batch of a table.
///
/// # Errors
/// If the engine does not take them for one.
pub fn batch(id: u64, rows: &Rows) -> Result<Batch, Error> {
    let columns = rows.columns.iter().enumerate().map(|(place, (column, ty))| {
        let cells: Vec<&Cell> = rows.cells.iter().map(|row| &row[place]).collect();
        (ColumnId(*column), array(ty, &cells))
    });
    Batch::new(TableId(id), rows.cells.len(), columns.collect())
}
