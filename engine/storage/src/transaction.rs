//! Transactions: several changes, seen by their maker at once, that become one commit.
//!
//! A transaction works on a copy of the state it started from. Its rows stand in memory behind those of that state, or in segments of its
//! own once they are many, its deletions in an overlay, so that reading in it is reading any snapshot. Committing hands the committer what
//! it came to: the changes of names, the segments, the rows deleted, the rows that are left of those added.
//!
//! **Invariants**
//! 1. Nobody else sees anything of it before it is committed, and then all of it.
//! 2. It sees the snapshot it started from and its own changes, nothing later (snapshot isolation).
//! 3. Of two transactions that change the same row, schema or name, the first to commit wins; the other one is a `Conflict`.
//!
//! It does not know SQL, sessions or time limits: who holds one decides how long.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow_array::ArrayRef;
use roaring::RoaringBitmap;

use crate::apply;
use crate::commit::{Batch, Change, Commit, CommitInfo, Committed, Merge, RowCounts};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::{ColumnId, SnapshotId, TableId};
use crate::key_tables::KeyTables;
use crate::load::Loaded;
use crate::memtable::MemBatch;
use crate::overlay::{Overlay, within};
use crate::row_set::{Origin, RowSet};
use crate::schema::TableSchema;
use crate::snapshot::Snapshot;
use crate::state::{State, TableRows};

/// Changes that are being made together. Dropping it rolls back.
pub struct Transaction {
    engine: Engine,
    base: SnapshotId,
    state: State,
    keys: KeyTables,
    /// Changes of names and schemas, in order.
    names: Vec<Change>,
    /// Rows that are in segments already.
    loads: Vec<Loaded>,
    /// Tables merged into by another key than their primary one, or read whole: nobody else may have changed them.
    unchanged: BTreeSet<TableId>,
    counts: RowCounts,
}

impl Transaction {
    pub(crate) fn new(engine: Engine, mut state: State, key_secret: [u8; 16]) -> Self {
        let base = state.snapshot;
        state.rows.update(|_| true, |rows| rows.overlay = Some(Overlay::on(base, rows.next_row)));
        Self {
            engine,
            base,
            state,
            keys: KeyTables::new(key_secret),
            names: Vec::new(),
            loads: Vec::new(),
            unchanged: BTreeSet::new(),
            counts: RowCounts::default(),
        }
    }

    /// What it sees: the snapshot it started from and its own changes so far. It has the id of the snapshot it started from.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(Arc::new(self.state.clone()))
    }

    /// Makes committing it a `Conflict` if another commit changed the rows of this table since it started.
    pub fn require_unchanged(&mut self, table: TableId) {
        self.unchanged.insert(table);
    }

    /// Makes a change, for its own eyes. One that fails changes nothing, and the transaction can go on.
    ///
    /// # Errors
    /// As [`Engine::write`]; `Exhausted` when its rows no longer fit the memory for rows.
    pub fn apply(&mut self, mut change: Change) -> Result<RowCounts> {
        let before = self.state.clone();
        match self.try_apply(&mut change) {
            Ok(counts) => {
                self.counts.add(counts);
                match change {
                    Change::Merge(merge) => self.note_merge(merge.batch.table(), &merge.key),
                    Change::Load(loaded) => self.loads.push(loaded),
                    Change::Append(_) | Change::Delete(_) => {}
                    names => self.names.push(names),
                }
                Ok(counts)
            }
            Err(error) => {
                self.state = before;
                // They are made again from the rows when they are asked for.
                self.keys.retain(|_| false);
                Err(error)
            }
        }
    }

    /// Merges rows that go on where those of earlier merges stopped: of all of them with one key that row counts which would if they were
    /// one batch, so of rows that are equal by `newer_by` the last.
    ///
    /// # Errors
    /// As [`Transaction::apply`].
    pub fn merge_on(&mut self, merge: Merge) -> Result<RowCounts> {
        let table = merge.batch.table();
        self.overlay(table).own_yield = true;
        let outcome = self.apply(Change::Merge(merge));
        self.overlay(table).own_yield = false;
        outcome
    }

    fn overlay(&mut self, table: TableId) -> &mut Overlay {
        self.state.rows_mut(table).overlay.get_or_insert_with(|| Overlay::on(self.base, 0))
    }

    fn try_apply(&mut self, change: &mut Change) -> Result<RowCounts> {
        let Some(table) = change.rows_of() else {
            let mut catalog = self.state.catalog.as_ref().clone();
            catalog.apply(change, self.base)?;
            self.state.catalog = Arc::new(catalog);
            self.state.drop_orphans();
            return Ok(RowCounts::default());
        };
        self.state.catalog.check_rows(change)?;
        self.overlay(table);
        if let Change::Load(loaded) = change {
            return self.add_segments(loaded);
        }
        let commit = Commit::new(vec![change.clone()]);
        let disk = self.engine.disk();
        // Rows of its own bear the snapshot it started from, so that reading as of that one shows them.
        let applied = apply::apply(disk.as_ref(), &mut self.state, &mut self.keys, &commit, self.base)?;
        let bytes = self.state.memory_bytes() as u64;
        let limit = 2 * self.engine.options().memtable_bytes_max;
        if bytes > limit {
            return Err(Error::new(
                ErrorKind::Exhausted,
                format!("the transaction's rows do not fit in memory: limit_bytes={limit}, found={bytes}"),
            ));
        }
        Ok(applied.counts)
    }

    fn add_segments(&mut self, loaded: &mut Loaded) -> Result<RowCounts> {
        let drafts = loaded.draft(self.base)?;
        self.overlay(loaded.table()).own_segments.extend(drafts.iter().map(|draft| draft.entry.id));
        self.state.rows_mut(loaded.table()).segments.extend(drafts);
        Ok(RowCounts { inserted: loaded.rows(), ..RowCounts::default() })
    }

    /// Writes the rows it has in memory to segments, for each table in which they take more than so many bytes. Blocks.
    ///
    /// # Errors
    /// Those of a load; the rows then stay in memory.
    pub fn spill(&mut self, bytes: usize) -> Result<()> {
        let own_bytes = |rows: &TableRows| own_batches(rows).map(|batch| batch.bytes()).sum::<usize>();
        let large = self.state.rows.iter().filter(|(_, rows)| own_bytes(rows) > bytes);
        let large: Vec<TableId> = large.map(|(id, _)| *id).collect();
        large.into_iter().try_for_each(|table| self.spill_table(table))
    }

    fn spill_table(&mut self, id: TableId) -> Result<()> {
        let (Some(table), Some(rows)) = (self.state.catalog.table_by_id(id).cloned(), self.state.rows.get(&id)) else {
            return Ok(());
        };
        let Some(overlay) = &rows.overlay else { return Ok(()) };
        let first = overlay.first_own_row;
        let first_position = rows.memory_position(first);
        let mut load = self.engine.load_checked(id, table.schema());
        for batch in own_batches(rows) {
            load.append(&left_of(id, table.schema(), rows, overlay, batch)?)?;
        }
        if let Some(mut loaded) = load.finish()? {
            self.add_segments(&mut loaded)?;
            self.loads.push(loaded);
        }
        let rows = self.state.rows_mut(id);
        rows.active.truncate(first);
        rows.next_row = first;
        self.overlay(id).memory.remove_range(first_position..);
        self.keys.truncate(id, first);
        if !table.schema().primary_key().is_empty() {
            // Their keys are not looked at again.
            self.unchanged.insert(id);
        }
        Ok(())
    }

    fn note_merge(&mut self, table: TableId, key: &[ColumnId]) {
        let primary = self.state.catalog.table_by_id(table).map(|table| table.schema().primary_key().to_vec());
        if primary.is_none_or(|primary| primary != key) {
            self.unchanged.insert(table);
        }
    }

    /// Makes it durable and visible, as one commit. Without changes there is none, and the snapshot is the one it started from.
    ///
    /// # Errors
    /// `Conflict` if a row, schema or name it changed was changed by another commit since it started; else as [`Engine::write`].
    pub fn commit(self, info: CommitInfo) -> Result<Committed> {
        let changes = self.changes()?;
        if changes.is_empty() {
            return Ok(Committed { snapshot: self.base, rows: self.counts });
        }
        let unchanged = self.unchanged.iter().map(|table| (*table, self.base)).collect();
        let committed = self.engine.write(Commit { changes, info, unchanged })?;
        Ok(Committed { rows: self.counts, ..committed })
    }

    /// What it came to.
    fn changes(&self) -> Result<Vec<Change>> {
        let mut changes = self.names.clone();
        for (id, rows) in self.state.rows.iter() {
            let (Some(table), Some(overlay)) = (self.state.catalog.table_by_id(*id), &rows.overlay) else { continue };
            let loads = self.loads.iter().filter(|loaded| loaded.table() == *id);
            changes.extend(loads.map(|loaded| Change::Load(loaded.within(table.schema()))));
            let deleted = deleted_rows(*id, rows, overlay);
            if deleted.rows() > 0 {
                changes.push(Change::Delete(deleted));
            }
            for batch in own_batches(rows) {
                let left = left_of(*id, table.schema(), rows, overlay, batch)?;
                if left.rows() > 0 {
                    changes.push(Change::Append(left));
                }
            }
        }
        Ok(changes)
    }
}

/// Rows in memory that the transaction added.
fn own_batches(rows: &TableRows) -> impl Iterator<Item = &Arc<MemBatch>> {
    let first = rows.overlay.as_ref().map_or(u64::MAX, |overlay| overlay.first_own_row);
    rows.batches().filter(move |batch| batch.first_row() >= first)
}

/// Rows that are deleted of those that are in segments or were in the base.
fn deleted_rows(table: TableId, rows: &TableRows, overlay: &Overlay) -> RowSet {
    let mut parts = Vec::new();
    for segment in &rows.segments {
        if let Some(positions) = overlay.segment(segment.entry.id) {
            parts.push((Origin::Segment(Arc::clone(segment)), positions.clone()));
        }
    }
    for batch in rows.batches().filter(|batch| batch.first_row() < overlay.first_own_row) {
        let positions = within(&overlay.memory, rows.memory_range(batch), None);
        if !positions.is_empty() {
            parts.push((Origin::Memory(Arc::clone(batch)), positions));
        }
    }
    RowSet::of_parts(table, parts)
}

/// What is left of rows that were added, in the columns that the table has in the end.
fn left_of(
    table: TableId,
    schema: &TableSchema,
    rows: &TableRows,
    overlay: &Overlay,
    batch: &MemBatch,
) -> Result<Batch> {
    let deleted = within(&overlay.memory, rows.memory_range(batch), None);
    let kept: RoaringBitmap = (0..batch.rows() as u32).collect::<RoaringBitmap>() - deleted;
    let positions = arrow_array::UInt32Array::from_iter_values(&kept);
    let columns = schema.columns().iter().filter_map(|column| Some((column.id, batch.column(column.id)?)));
    let columns = columns.map(|(id, array)| {
        let taken = arrow_select::take::take(array, &positions, None);
        taken
            .map(|array| (id, array))
            .map_err(|error| Error::with_source(ErrorKind::Internal, "rows cannot be picked", error))
    });
    Batch::new(table, kept.len() as usize, columns.collect::<Result<Vec<(ColumnId, ArrayRef)>>>()?)
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("base", &self.base).field("counts", &self.counts).finish_non_exhaustive()
    }
}
