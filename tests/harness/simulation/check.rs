//! The checkers, one per promise. Each says what is wrong instead of panicking, so that a test can demand that it finds something.

use std::collections::BTreeMap;
use std::sync::Arc;

use siltstone_storage::{
    ChangeKind, Column, ColumnId, ErrorKind, Snapshot, SnapshotId, TableId, TableSchema, TableSnapshot, View,
};

use super::cell::{self, Cell};
use super::lower::{engine_layout, engine_view};
use super::read::{self, Unread, chain};
use super::world::{Change, Table, World};
use super::{Fault, Model};

/// What of a database can be read, or why not.
pub type Checked = Result<(), Unread>;

fn wrong(fault: String) -> Unread {
    Unread::Wrong(fault)
}

/// A snapshot shows exactly this world: id, time, names, columns, rows.
///
/// # Errors
/// What differs.
pub fn snapshot(snapshot: &Snapshot, world: &World) -> Checked {
    position(snapshot, world).map_err(wrong)?;
    names(snapshot, world).map_err(wrong)?;
    for table in world.tables() {
        let found = snapshot.table(TableId(table.id));
        rows(&found.ok_or_else(|| wrong(format!("table {:?} has a name and no rows", table.name)))?, table)?;
    }
    Ok(())
}

/// Id and time of the newest commit.
///
/// # Errors
/// What differs.
pub fn position(snapshot: &Snapshot, world: &World) -> Result<(), Fault> {
    let (found, expected) = ((snapshot.id().0, snapshot.time_us()), (world.id, world.time_us));
    if found == expected {
        return Ok(());
    }
    Err(format!("snapshot and time: expected {expected:?}, found {found:?}"))
}

/// Databases, schemas, tables and their columns.
///
/// # Errors
/// What differs.
pub fn names(snapshot: &Snapshot, world: &World) -> Result<(), Fault> {
    let found: BTreeMap<String, Vec<(String, Vec<u64>)>> = snapshot
        .catalog()
        .databases()
        .map(|database| {
            let schemas = database.schemas().map(|schema| {
                let mut tables: Vec<u64> = schema.tables().map(|id| id.0).collect();
                tables.sort_unstable();
                (schema.name().to_owned(), tables)
            });
            (database.name().to_owned(), schemas.collect())
        })
        .collect();
    let expected = world
        .databases
        .values()
        .map(|database| {
            let schemas = database.schemas.values().map(|schema| {
                let mut tables: Vec<u64> = schema.tables.values().copied().collect();
                tables.sort_unstable();
                (schema.name.clone(), tables)
            });
            (database.name.clone(), schemas.collect())
        })
        .collect();
    if found != expected {
        return Err(format!("names: expected {expected:?}, found {found:?}"));
    }
    for table in world.tables() {
        let found =
            snapshot.catalog().table_by_id(TableId(table.id)).ok_or_else(|| format!("no table {}", table.id))?;
        let name = [&found.name.database, &found.name.schema, &found.name.table].map(Clone::clone);
        if name != table.name {
            return Err(format!("table {}: expected {:?}, found {name:?}", table.id, table.name));
        }
        columns(found.schema(), table)?;
        extras(found, table)?;
    }
    views(snapshot, world)
}

/// What is said of a table and its columns, and how its rows would lie.
fn extras(found: &siltstone_storage::Table, table: &Table) -> Result<(), Fault> {
    let said = table
        .columns
        .iter()
        .filter_map(|column| Some((column.id, found.column_comment(ColumnId(column.id))?.to_owned())));
    let shown = (&found.comment, said.collect::<BTreeMap<u32, String>>());
    let expected = (&table.extras.comment, table.extras.column_comments.clone());
    if shown != expected || found.layout != engine_layout(&table.extras.layout) {
        let name = &table.name;
        return Err(format!("said of {name:?}: expected {:?}, found {shown:?} and {:?}", table.extras, found.layout));
    }
    Ok(())
}

/// Views and comments of every schema.
fn views(snapshot: &Snapshot, world: &World) -> Result<(), Fault> {
    let schemas = snapshot.catalog().databases().flat_map(|database| database.schemas());
    let expected = world.databases.values().flat_map(|database| database.schemas.values());
    for (found, expected) in schemas.zip(expected) {
        let views: Vec<View> = found.views().map(|view| view.as_ref().clone()).collect();
        let wanted: Vec<View> = expected.views.values().cloned().map(engine_view).collect();
        if views != wanted || found.comment() != expected.comment.as_deref() {
            let comments = (&expected.comment, found.comment());
            return Err(format!(
                "schema {}: expected {wanted:?}, found {views:?}; comments {comments:?}",
                found.name()
            ));
        }
    }
    Ok(())
}

fn columns(schema: &TableSchema, table: &Table) -> Result<(), Fault> {
    let found: Vec<_> = schema.columns().iter().map(shape).collect();
    let expected: Vec<_> = table
        .columns
        .iter()
        .map(|column| (column.id, column.name.clone(), column.ty.clone(), format!("{:?}", column.default.value())))
        .collect();
    let key: Vec<u32> = schema.primary_key().iter().map(|id| id.0).collect();
    if found == expected && key == table.key && schema.version().0 == table.version {
        return Ok(());
    }
    let (name, version) = (&table.name, table.version);
    let differing = expected.iter().zip(&found).find(|(expected, found)| expected != found);
    Err(format!(
        "columns of {name:?}: version {version} and {}, {} columns and {}, keys {:?} and {key:?}, first difference {differing:?}",
        schema.version(),
        expected.len(),
        found.len(),
        table.key
    ))
}

fn shape(column: &Column) -> (u32, String, siltstone_storage::LogicalType, String) {
    (column.id.0, column.name.clone(), column.logical_type.clone(), format!("{:?}", column.default))
}

/// The rows of a table, whatever their order.
///
/// # Errors
/// What differs.
pub fn rows(found: &TableSnapshot, table: &Table) -> Checked {
    let mut rows = read::rows(found)?;
    rows.sort();
    let expected = table.contents();
    if rows == expected {
        return Ok(());
    }
    Err(wrong(difference(&table.name, &rows, &expected)))
}

/// Says how two sorted tables differ.
fn difference(name: &[String; 3], found: &[Vec<Cell>], expected: &[Vec<Cell>]) -> Fault {
    let only = |these: &[Vec<Cell>], those: &[Vec<Cell>]| -> Vec<String> {
        let mut left: BTreeMap<&Vec<Cell>, i64> = BTreeMap::new();
        these.iter().for_each(|row| *left.entry(row).or_default() += 1);
        those.iter().for_each(|row| *left.entry(row).or_default() -= 1);
        left.iter().filter(|(_, count)| **count > 0).map(|(row, count)| format!("{count} x {row:?}")).collect()
    };
    let (missing, surplus) = (only(expected, found), only(found, expected));
    format!(
        "rows of {name:?}: expected {}, found {}; {} missing, such as {:?}; {} too many, such as {:?}",
        expected.len(),
        found.len(),
        missing.len(),
        missing.first(),
        surplus.len(),
        surplus.first()
    )
}

/// A table as of an earlier snapshot: its columns and rows then, or `NotFound` if it was not there.
///
/// # Errors
/// What differs.
pub fn past(now: &Snapshot, then: &World, id: u64) -> Checked {
    let found = now.table_at(TableId(id), SnapshotId(then.id));
    // What is older than the horizon cannot be asked for, whatever was there.
    match (found, then.tables.get(&id).filter(|_| then.id >= now.horizon().0)) {
        (Ok(found), Some(table)) => {
            columns(found.schema(), table).map_err(|fault| wrong(format!("as of {}: {fault}", then.id)))?;
            rows(&found, table).map_err(|unread| match unread {
                Unread::Wrong(fault) => wrong(format!("as of {}: {fault}", then.id)),
                refused @ Unread::Refused(_) => refused,
            })
        }
        (Err(error), None) if error.kind() == ErrorKind::NotFound => Ok(()),
        (Err(error), None) => Err(wrong(format!("table {id} was not there at {}: {}", then.id, chain(&error)))),
        (Err(error), Some(_)) => Err(Unread::Refused(error)),
        (Ok(_), None) => Err(wrong(format!("table {id} was not there at {} and is shown", then.id))),
    }
}

/// Everything acknowledged is there, what was in doubt is there wholly or not at all; says which of it is.
///
/// # Errors
/// What differs.
pub fn recovered(found: &Snapshot, newest: &World, doubt: &[Arc<World>]) -> Result<usize, Unread> {
    let id = found.id().0;
    let Some(survived) = id.checked_sub(newest.id).filter(|count| *count <= doubt.len() as u64) else {
        return Err(wrong(format!(
            "snapshot after restart: expected {} and up to {} more, found {id}",
            newest.id,
            doubt.len()
        )));
    };
    let survived = survived as usize;
    let world = if survived == 0 { newest } else { &doubt[survived - 1] };
    snapshot(found, world)?;
    Ok(survived)
}

/// The list of commits: every snapshot once, in order, with its time and what was said of it; and the newest one of any moment.
///
/// # Errors
/// What differs.
pub fn history(now: &Snapshot, model: &Model) -> Checked {
    let found = read::rows(&now.history())?;
    let newest = model.newest().id;
    let (horizon, first) = (now.horizon().0, newest + 1 - (found.len() as u64).min(newest));
    if found.len() as u64 > newest || first > horizon.max(1) {
        return Err(wrong(format!("list of commits: {} up to {newest}, horizon {horizon}", found.len())));
    }
    for (row, id) in found.iter().zip(first..) {
        let world = model.at(id);
        let text = |said: &Option<String>| said.clone().map_or(Cell::Null, Cell::Text);
        let [author, message, extra] = world.info.each_ref().map(text);
        let expected = [&Cell::UInt(id), &Cell::Int(world.time_us), &author, &message, &extra];
        let listed = [&row[0], &row[1], &row[3], &row[4], &row[5]];
        if listed != expected {
            return Err(wrong(format!("list of commits: expected {expected:?}, found {listed:?}")));
        }
        // Several commits may have been made at one moment: the last of them was the newest then.
        let last = model.newest_at(world.time_us);
        match now.snapshot_at(world.time_us) {
            Ok(at) if at.0 == last && last >= horizon => {}
            Err(error) if error.kind() == ErrorKind::NotFound && last < horizon => {}
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Unread::Refused(error)),
            other => return Err(wrong(format!("snapshot at {}: expected {last}, found {other:?}", world.time_us))),
        }
    }
    Ok(())
}

/// The change feed of a table between two snapshots.
///
/// # Errors
/// What differs.
pub fn changes(now: &Snapshot, model: &Model, id: u64, from: u64, to: u64) -> Checked {
    let Some(table) = model.at(to).tables.get(&id) else { return Ok(()) };
    let columns: Vec<ColumnId> = table.columns.iter().map(|column| ColumnId(column.id)).collect();
    if from < now.horizon().0 {
        return match now.table_changes(TableId(id), SnapshotId(from), SnapshotId(to), &columns) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => Err(wrong(format!("changes since {from}, which is not kept: {:?}", other.map(|rows| rows.len())))),
        };
    }
    let found = now.table_changes(TableId(id), SnapshotId(from), SnapshotId(to), &columns).map_err(Unread::Refused)?;
    let mut shown = Vec::new();
    for rows in &found {
        for (row, (snapshot, kind)) in rows.snapshots.iter().zip(&rows.kinds).enumerate() {
            let kind = match kind {
                ChangeKind::Insert => Change::Insert,
                ChangeKind::Delete => Change::Delete,
                ChangeKind::UpdateBefore => Change::UpdateBefore,
                ChangeKind::UpdateAfter => Change::UpdateAfter,
            };
            let cells: Result<Vec<Cell>, Fault> = rows.columns.iter().map(|array| cell::cell(array, row)).collect();
            shown.push((snapshot.0, kind, cells.map_err(wrong)?));
        }
    }
    let mut expected = Vec::new();
    for commit in from + 1..=to {
        let changed = table.changes(model.at(commit - 1).tables.get(&id), model.at(commit).tables.get(&id));
        expected.extend(changed.into_iter().map(|(kind, cells)| (commit, kind, cells)));
    }
    shown.sort();
    expected.sort();
    if shown == expected {
        return Ok(());
    }
    let differing = expected.iter().zip(&shown).find(|(expected, shown)| expected != shown);
    let (name, counts) = (&table.name, (expected.len(), shown.len()));
    Err(wrong(format!("changes of {name:?} after {from} up to {to}: {counts:?} rows, first difference {differing:?}")))
}
