//! Applies the row changes of one commit to the newest state, before the commit is logged.
//!
//! **Invariants**
//! 1. Nobody sees what is applied until the state is published; deletions in the shared delete vectors carry the id of a snapshot
//!    that nobody has yet.
//! 2. [`undo`] takes back everything that a commit applied, so that one that is refused leaves no trace.
//! 3. What [`apply`] says was appended and deleted is what the log gets, and all that [`replay`] needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{Batch, Change, Commit, Merge, RowCounts};
use crate::deletions::{Deletions, LoggedDeletions};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::io::Disk;
use crate::key_index::{Keys, duplicates};
use crate::key_tables::{Finder, Key, KeyTables};
use crate::load::Loaded;
use crate::memtable::MemBatch;
use crate::merge::{self, Match};
use crate::row_set::RowSet;
use crate::schema::TableSchema;
use crate::state::{State, TableRows};

/// What a commit came to.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    pub(crate) counts: RowCounts,
    /// Rows that were appended.
    pub(crate) rows: u64,
    /// What was deleted, by table; for the log.
    pub(crate) deleted: Vec<(TableId, LoggedDeletions)>,
    /// The changes as the log has to have them, if they are not those of the commit.
    pub(crate) instead: Option<Commit>,
}

/// Where the tables stood that a commit touches.
pub(crate) struct Before {
    snapshot: SnapshotId,
    tables: BTreeMap<TableId, Stood>,
}

/// Where one table stood.
#[derive(Clone, Copy, Default)]
struct Stood {
    next_row: u64,
    /// The last commit that changed rows.
    changed: SnapshotId,
    segments: usize,
}

impl Before {
    /// Of a commit that will be this snapshot.
    pub(crate) fn of(state: &State, commit: &Commit, snapshot: SnapshotId) -> Self {
        let touched = commit.changes.iter().filter_map(Change::rows_of);
        let stood = |table: TableId| {
            state.rows.get(&table).map_or_else(Stood::default, |rows| Stood {
                next_row: rows.next_row,
                changed: rows.changed,
                segments: rows.segments.len(),
            })
        };
        Self { snapshot, tables: touched.map(|table| (table, stood(table))).collect() }
    }
}

/// Takes back what was applied of a commit, which is the newest.
pub(crate) fn undo(state: &mut State, keys: &mut KeyTables, before: &Before) {
    for (table, Stood { next_row, changed, segments }) in &before.tables {
        if !state.rows.contains_key(table) {
            continue;
        }
        keys.truncate(*table, *next_row);
        let rows = state.rows_mut(*table);
        rows.active.truncate(*next_row);
        rows.next_row = *next_row;
        rows.changed = *changed;
        rows.segments.truncate(*segments);
        rows.memory_deletes.unmark(before.snapshot);
        for segment in &rows.segments {
            segment.deletes.unmark(before.snapshot);
        }
    }
}

/// Applies the changes of rows, in order. The names and schemas are those after the whole commit.
///
/// # Errors
/// `Conflict` or `Invalid` for changes that do not fit the rows that are there; those of reading. The caller then calls [`undo`].
pub(crate) fn apply(
    disk: &dyn Disk,
    state: &mut State,
    keys: &mut KeyTables,
    commit: &Commit,
    snapshot: SnapshotId,
) -> Result<Applied> {
    check_unchanged(state, commit)?;
    let mut applied = Applied::default();
    let mut deleted: BTreeMap<TableId, Vec<Deletions>> = BTreeMap::new();
    let mut changes = Vec::with_capacity(commit.changes.len());
    let mut as_given = true;
    for change in &commit.changes {
        let Some((table, schema)) = target(state, change) else {
            changes.push(None);
            continue;
        };
        let step = Step { disk, state: &mut *state, keys: &mut *keys, table, schema: &schema, snapshot };
        let (counts, instead, deletions) = match change {
            Change::Append(batch) => step.append(batch)?,
            Change::Merge(merge) => step.merge(merge)?,
            Change::Delete(rows) => step.delete(rows)?,
            Change::Load(loaded) => step.load(loaded)?,
            _ => unreachable!("a change of rows has a target"),
        };
        applied.counts.add(counts);
        applied.rows += appended_rows(change, instead.as_ref());
        as_given &= instead.is_none();
        changes.push(instead);
        if deletions.rows() > 0 {
            deleted.entry(table).or_default().push(deletions);
        }
    }
    applied.deleted = deleted.into_iter().map(|(table, deletions)| (table, LoggedDeletions::of(&deletions))).collect();
    if !as_given {
        applied.instead = Some(rewritten(commit, changes));
    }
    Ok(applied)
}

fn check_unchanged(state: &State, commit: &Commit) -> Result<()> {
    let changed = |table: TableId| state.rows.get(&table).map_or(SnapshotId(0), |rows| rows.changed);
    match commit.unchanged.iter().find(|(table, since)| changed(*table) > *since) {
        None => Ok(()),
        Some((table, since)) => Err(Error::new(
            ErrorKind::Conflict,
            format!("table was changed meanwhile: table id={table}, snapshot={since}, changed={}", changed(*table)),
        )),
    }
}

/// The table that a change of rows is of, and its columns; `None` for other changes, and if the commit drops the table in the end.
fn target(state: &State, change: &Change) -> Option<(TableId, Arc<TableSchema>)> {
    let table = state.catalog.table_by_id(change.rows_of()?)?;
    Some((table.id, Arc::clone(table.schema())))
}

fn appended_rows(change: &Change, instead: Option<&Batch>) -> u64 {
    match (change, instead) {
        (Change::Load(loaded), _) => loaded.rows(),
        (_, Some(batch)) | (Change::Append(batch) | Change::Merge(Merge { batch, .. }), None) => batch.rows() as u64,
        _ => 0,
    }
}

/// What one change came to: counts, the batch to log in place of the one given, deletions.
type Outcome = (RowCounts, Option<Batch>, Deletions);

/// One change of rows of one table.
struct Step<'a> {
    disk: &'a dyn Disk,
    state: &'a mut State,
    keys: &'a mut KeyTables,
    table: TableId,
    schema: &'a TableSchema,
    snapshot: SnapshotId,
}

impl Step<'_> {
    fn append(mut self, batch: &Batch) -> Result<Outcome> {
        self.check_new_keys(batch, None)?;
        self.push(batch);
        let counts = RowCounts { inserted: batch.rows() as u64, ..RowCounts::default() };
        Ok((counts, None, Deletions::default()))
    }

    fn load(self, loaded: &Loaded) -> Result<Outcome> {
        let segments = loaded.segments(self.snapshot)?;
        let rows = self.state.rows_mut(self.table);
        rows.segments.extend(segments);
        rows.changed = self.snapshot;
        let counts = RowCounts { inserted: loaded.rows(), ..RowCounts::default() };
        Ok((counts, None, Deletions::default()))
    }

    fn merge(mut self, merge: &Merge) -> Result<Outcome> {
        let key = self.index(&merge.key)?;
        let batch = &merge.batch;
        let keys = key.keys(self.schema, batch.rows(), |id| Ok(batch.column(id).cloned()))?;
        let is_primary = is_key(self.schema, &key);
        let rows = self.rows();
        let resolution = merge::resolve(merge, self.schema, &rows, &keys, |wanted| {
            let mut matches = self.find(&rows, &key, &keys, is_primary)?;
            matches.retain(|found| wanted.binary_search(&found.row).is_ok());
            Ok(matches)
        })?;
        self.mark(&resolution.deletions);
        let appended = resolution.instead.as_ref().unwrap_or(batch);
        if !is_primary {
            let sent = resolution.instead.as_ref().map(|_| resolution.sent.as_slice());
            self.check_new_keys(appended, sent)?;
        }
        self.push(appended);
        Ok((resolution.counts, resolution.instead, resolution.deletions))
    }

    fn delete(mut self, rows: &RowSet) -> Result<Outcome> {
        let deletions = rows.locate(&self.rows())?;
        self.mark(&deletions);
        let counts = RowCounts { deleted: deletions.rows(), ..RowCounts::default() };
        Ok((counts, None, deletions))
    }

    fn mark(&mut self, deletions: &Deletions) {
        if deletions.rows() > 0 {
            let rows = self.state.rows_mut(self.table);
            deletions.mark(rows, self.snapshot);
            rows.changed = self.snapshot;
        }
    }

    fn rows(&self) -> Arc<TableRows> {
        self.state.rows.get(&self.table).cloned().unwrap_or_default()
    }

    fn index(&mut self, columns: &[ColumnId]) -> Result<Key> {
        let rows = self.rows();
        self.keys.index(self.table, self.schema, &rows, columns)
    }

    fn find(&self, rows: &TableRows, key: &Key, keys: &Keys, unique: bool) -> Result<Vec<Match>> {
        Finder { disk: self.disk, tables: self.keys, table: self.table, schema: self.schema, rows }
            .find(key, keys, unique)
    }

    /// # Errors
    /// `Conflict` about the rows whose primary key is in the table already, or twice in the batch; `Invalid` about those without a key.
    fn check_new_keys(&mut self, batch: &Batch, sent: Option<&[u32]>) -> Result<()> {
        if self.schema.primary_key().is_empty() || batch.rows() == 0 {
            return Ok(());
        }
        let key = self.index(self.schema.primary_key())?;
        let keys = key.keys(self.schema, batch.rows(), |id| Ok(batch.column(id).cloned()))?;
        merge::check_keys(&keys, sent)?;
        let stored = self.find(&self.rows(), &key, &keys, true)?;
        let mut taken: Vec<u32> = stored.iter().map(|found| found.row).collect();
        taken.extend(duplicates(&keys).iter().map(|(_, row)| *row));
        if taken.is_empty() {
            return Ok(());
        }
        Err(merge::about_rows(ErrorKind::Conflict, "primary key exists already", taken, sent))
    }

    fn push(&mut self, batch: &Batch) {
        if batch.rows() == 0 {
            return;
        }
        let rows = self.state.rows_mut(self.table);
        let first_row = rows.next_row;
        rows.active.push(MemBatch::new(first_row, batch, self.snapshot));
        rows.next_row += batch.rows() as u64;
        rows.changed = self.snapshot;
        self.keys.appended(batch, self.schema, first_row);
    }
}

fn is_key(schema: &TableSchema, key: &Key) -> bool {
    let mut primary = schema.primary_key().to_vec();
    primary.sort_unstable();
    *primary == *key.columns
}

/// The commit with its batches replaced where `instead` says so, merges as the appends that they came to.
fn rewritten(commit: &Commit, instead: Vec<Option<Batch>>) -> Commit {
    let changes = commit.changes.iter().zip(instead).map(|(change, instead)| match (change, instead) {
        (Change::Append(_) | Change::Merge(_), Some(batch)) => Change::Append(batch),
        (change, _) => change.clone(),
    });
    Commit { info: commit.info.clone(), ..Commit::new(changes.collect()) }
}

/// Applies a commit read back from the log: what it appended, then what it deleted.
///
/// # Errors
/// `Corrupt` for deletions of rows that were never there.
pub(crate) fn replay(
    state: &mut State,
    commit: &Commit,
    deleted: &[(TableId, LoggedDeletions)],
    snapshot: SnapshotId,
    deletes_through: SnapshotId,
) -> Result<()> {
    for change in &commit.changes {
        if let Change::Load(loaded) = change
            && state.catalog.table_by_id(loaded.table()).is_some()
        {
            state.rows_mut(loaded.table()).segments.extend(loaded.segments(snapshot)?);
        }
        let Change::Append(batch) = change else { continue };
        if batch.rows() > 0 && state.catalog.table_by_id(batch.table()).is_some() {
            let rows = state.rows_mut(batch.table());
            rows.active.push(MemBatch::new(rows.next_row, batch, snapshot));
            rows.next_row += batch.rows() as u64;
        }
    }
    for (table, deletions) in deleted {
        if state.catalog.table_by_id(*table).is_none() {
            continue;
        }
        let rows = state.rows.get(table).cloned().unwrap_or_default();
        deletions.mark_again(&rows, snapshot, snapshot <= deletes_through)?;
    }
    Ok(())
}
