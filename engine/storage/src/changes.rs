//! The change feed: which rows of a table came and went between two snapshots.
//!
//! **Invariants**
//! 1. Applying the changes after `from` up to `to` to the rows as of `from` gives the rows as of `to`.
//! 2. A row that one commit both added and deleted is in no snapshot and so in no feed.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};

use crate::columns::default_array;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::key_tables::Key;
use crate::scan_unit::Source;
use crate::schema::TableSchema;
use crate::snapshot::Snapshot;

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// It came.
    Insert,
    /// It went.
    Delete,
    /// It went, and the same commit put another one with the same primary key in its place.
    UpdateBefore,
    /// It took the place of one with the same primary key.
    UpdateAfter,
}

/// Some changed rows; all arrays are of one length.
#[derive(Clone, Debug)]
pub struct ChangedRows {
    /// The commit of each change.
    pub snapshots: Vec<SnapshotId>,
    /// What it did.
    pub kinds: Vec<ChangeKind>,
    /// The rows' values, in the order of the columns asked for.
    pub columns: Vec<ArrayRef>,
}

/// Positions of one source with the commit that changed each.
struct Found {
    source: Source,
    inserted: Vec<(SnapshotId, u32)>,
    deleted: Vec<(SnapshotId, u32)>,
}

impl Snapshot {
    /// What commits after `from`, up to `to`, did to a table's rows, in columns of the schema as of `to`. In no particular order. Updates are
    /// told from deletions and insertions where the table declares a primary key. Blocks on disk.
    ///
    /// # Errors
    /// As [`Snapshot::table_at`], for either snapshot; `Invalid` if `from` is after `to`; `NotFound` for a column the table did not have.
    pub fn table_changes(
        &self,
        table: TableId,
        from: SnapshotId,
        to: SnapshotId,
        columns: &[ColumnId],
    ) -> Result<Vec<ChangedRows>> {
        if from > to {
            return Err(Error::new(ErrorKind::Invalid, format!("snapshots in the wrong order: from={from}, to={to}")));
        }
        self.check_kept(from)?;
        let schema = Arc::clone(self.table_at(table, to)?.schema());
        if let Some(id) = columns.iter().find(|id| schema.column_by_id(**id).is_none()) {
            return Err(Error::new(ErrorKind::NotFound, format!("column does not exist: id={id}")));
        }
        let found = self.found(table, from, to)?;
        let updates = Updates::among(&found, &schema)?;
        found.iter().map(|found| updates.rows(found, &schema, columns)).collect()
    }

    fn found(&self, table: TableId, from: SnapshotId, to: SnapshotId) -> Result<Vec<Found>> {
        let mut all = Vec::new();
        for (source, deleted) in self.deleted_between(table, from, to) {
            let (first, last) = source.snapshots();
            let inserted = if first > to || last <= from { Vec::new() } else { inserted(&source, from, to)? };
            let own: HashSet<(SnapshotId, u32)> = inserted.iter().copied().collect();
            let both: HashSet<(SnapshotId, u32)> =
                deleted.iter().copied().filter(|change| own.contains(change)).collect();
            let only =
                |changes: Vec<(SnapshotId, u32)>| changes.into_iter().filter(|change| !both.contains(change)).collect();
            let found = Found { source, inserted: only(inserted), deleted: only(deleted) };
            if !found.inserted.is_empty() || !found.deleted.is_empty() {
                all.push(found);
            }
        }
        Ok(all)
    }
}

fn inserted(source: &Source, from: SnapshotId, to: SnapshotId) -> Result<Vec<(SnapshotId, u32)>> {
    let runs = source.commits()?;
    let within = runs.iter().filter(|(commit, _)| from < *commit && *commit <= to);
    let rows = |(commit, rows): (SnapshotId, Range<usize>)| rows.map(move |row| (commit, row as u32));
    Ok(within.flat_map(rows).collect())
}

impl Found {
    /// Positions of the inserted rows, then of the deleted ones.
    fn positions(&self) -> Vec<u32> {
        self.inserted.iter().chain(&self.deleted).map(|(_, position)| *position).collect()
    }

    fn read(&self, schema: &TableSchema, id: ColumnId) -> Result<ArrayRef> {
        let positions = self.positions();
        let column = schema
            .column_by_id(id)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("column does not exist: id={id}")))?;
        let Some(stored) = self.source.read(id)? else { return default_array(column, positions.len()) };
        arrow_select::take::take(&stored, &UInt32Array::from(positions), None)
            .map_err(|error| Error::with_source(ErrorKind::Internal, "rows cannot be picked", error))
    }
}

/// Which changes are halves of updates: a commit's deletions and insertions of one key.
struct Updates {
    key: Option<Key>,
    /// Commit and key, as they were inserted and deleted.
    inserted: HashSet<(SnapshotId, u128)>,
    deleted: HashSet<(SnapshotId, u128)>,
}

impl Updates {
    fn among(found: &[Found], schema: &TableSchema) -> Result<Self> {
        let mut updates = Self { key: None, inserted: HashSet::new(), deleted: HashSet::new() };
        if schema.primary_key().is_empty() {
            return Ok(updates);
        }
        // Nobody keeps these hashes: any secret will do.
        let key = Key::new(schema, schema.primary_key(), [0; 16])?;
        for found in found {
            let keys = found_keys(&key, found, schema)?;
            let (inserted, deleted) = keys.split_at(found.inserted.len());
            updates.inserted.extend(found.inserted.iter().map(|change| change.0).zip(inserted.iter().copied()));
            updates.deleted.extend(found.deleted.iter().map(|change| change.0).zip(deleted.iter().copied()));
        }
        updates.key = Some(key);
        Ok(updates)
    }

    fn rows(&self, found: &Found, schema: &TableSchema, columns: &[ColumnId]) -> Result<ChangedRows> {
        let mut kinds = vec![ChangeKind::Insert; found.inserted.len()];
        kinds.resize(found.inserted.len() + found.deleted.len(), ChangeKind::Delete);
        let changes = || found.inserted.iter().chain(&found.deleted);
        if let Some(key) = &self.key {
            for ((kind, (commit, _)), hash) in kinds.iter_mut().zip(changes()).zip(found_keys(key, found, schema)?) {
                let change = (*commit, hash);
                *kind = match *kind {
                    ChangeKind::Insert if self.deleted.contains(&change) => ChangeKind::UpdateAfter,
                    ChangeKind::Delete if self.inserted.contains(&change) => ChangeKind::UpdateBefore,
                    kind => kind,
                };
            }
        }
        Ok(ChangedRows {
            snapshots: changes().map(|(commit, _)| *commit).collect(),
            kinds,
            columns: columns.iter().map(|id| found.read(schema, *id)).collect::<Result<_>>()?,
        })
    }
}

fn found_keys(key: &Key, found: &Found, schema: &TableSchema) -> Result<Vec<u128>> {
    let rows = found.inserted.len() + found.deleted.len();
    let keys = key.keys(schema, rows, |id| found.read(schema, id).map(Some))?;
    Ok((0..rows as u32).map(|row| keys.whole(row)).collect())
}
