//! An immutable view of the database, pinned while held.
//!
//! **Invariants**
//! 1. What a snapshot shows never changes, whatever is written, flushed or dropped meanwhile.
//! 2. Holding one blocks nobody; it costs the memory and disk space of what it still shows.

use std::sync::Arc;

use crate::catalog::{Catalog, Table};
use crate::error::{Error, ErrorKind, Result};
use crate::history;
use crate::ids::{SnapshotId, TableId};
use crate::scan_unit::{ScanUnit, Source};
use crate::schema::TableSchema;
use crate::state::State;

/// Everything up to one commit. Cheap to clone; readers never block writers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: Arc<State>,
    /// What it shows of the state's names.
    catalog: Arc<Catalog>,
}

impl Snapshot {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self { catalog: Arc::clone(&state.catalog), state }
    }

    /// The same without some databases: neither they nor what is in them exists in it.
    #[must_use]
    pub fn without_databases(&self, is_hidden: impl Fn(&str) -> bool) -> Self {
        Self { state: Arc::clone(&self.state), catalog: Arc::new(self.catalog.without_databases(is_hidden)) }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The last commit in it.
    pub fn id(&self) -> SnapshotId {
        self.state.snapshot
    }

    /// When that commit was logged, in microseconds since 1970-01-01 UTC; never less than for an earlier one.
    pub fn time_us(&self) -> i64 {
        self.state.time_us
    }

    /// Its names.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// A table's rows; `None` if it does not exist.
    pub fn table(&self, id: TableId) -> Option<TableSnapshot> {
        self.catalog.table_by_id(id)?;
        Some(
            self.table_at(id, self.id())
                .expect("what a state holds was written up to its snapshot: nothing is read to tell"),
        )
    }

    /// A table's columns and rows as of an earlier snapshot.
    ///
    /// # Errors
    /// `NotFound` if the table does not exist now or did not then, or if what it held then is no longer kept; `Invalid` for a snapshot of
    /// the future; `Corrupt` for damaged bytes.
    pub fn table_at(&self, id: TableId, at: SnapshotId) -> Result<TableSnapshot> {
        if at > self.id() {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("snapshot does not exist yet: newest={}, asked={at}", self.id()),
            ));
        }
        self.check_kept(at)?;
        let missing = || Error::new(ErrorKind::NotFound, format!("table does not exist: id={id}, snapshot={at}"));
        let table = Arc::clone(self.catalog.table_by_id(id).ok_or_else(missing)?);
        let schema = Arc::clone(table.schema_at(at).ok_or_else(missing)?);
        let units = self.units(id, &schema, at)?;
        Ok(TableSnapshot { table, schema, units })
    }

    /// # Errors
    /// `NotFound` if what a snapshot held is no longer kept.
    pub(crate) fn check_kept(&self, at: SnapshotId) -> Result<()> {
        if at < self.state.horizon {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("snapshot is no longer kept: oldest={}, asked={at}", self.state.horizon),
            ));
        }
        Ok(())
    }

    /// The snapshot that was the newest at a time, in microseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// `NotFound` if there was none yet, or it is no longer kept; `Corrupt` for damaged bytes.
    pub fn snapshot_at(&self, time_us: i64) -> Result<SnapshotId> {
        if time_us >= self.time_us() {
            return Ok(self.id());
        }
        for unit in self.history().units().iter().rev() {
            if let Some(found) = history::newest_at(unit, time_us)? {
                self.check_kept(found)?;
                return Ok(found);
            }
        }
        Err(Error::new(ErrorKind::NotFound, format!("no snapshot is that old: time_us={time_us}")))
    }

    /// All commits that are still known, one row each: `snapshot_id UBIGINT`, `snapshot_time TIMESTAMPTZ`, `changes VARCHAR` (verbs and table
    /// ids), `author VARCHAR`, `message VARCHAR`, `extra JSON`; oldest first.
    pub fn history(&self) -> TableSnapshot {
        let table = Arc::clone(history::table());
        let schema = Arc::clone(table.schema());
        let units = self
            .units(TableId::HISTORY, &schema, self.id())
            .expect("what a state holds was written up to its snapshot: nothing is read to tell");
        TableSnapshot { table, schema, units }
    }

    /// The oldest snapshot that can still be asked for.
    pub fn horizon(&self) -> SnapshotId {
        self.state.horizon
    }

    /// What a table's rows lie in, each with the positions that commits after `from`, up to `to`, deleted there.
    pub(crate) fn deleted_between(
        &self,
        id: TableId,
        from: SnapshotId,
        to: SnapshotId,
    ) -> Vec<(Source, Vec<(SnapshotId, u32)>)> {
        let Some(rows) = self.state.rows.get(&id) else { return Vec::new() };
        let relative = |found: Vec<(SnapshotId, u32)>, first: u32| {
            found.into_iter().map(|(commit, position)| (commit, position - first)).collect()
        };
        let mut sources = Vec::new();
        for segment in &rows.segments {
            for row_group in 0..segment.reader.row_groups() {
                let first = segment.reader.first_row(row_group);
                let found = segment.deletes.between(first..first + segment.reader.rows(row_group) as u32, from, to);
                sources.push((Source::RowGroup { segment: Arc::clone(segment), row_group }, relative(found, first)));
            }
        }
        for batch in rows.batches() {
            let range = rows.memory_range(batch);
            let found = rows.memory_deletes.between(range.clone(), from, to);
            sources.push((Source::Memory(Arc::clone(batch)), relative(found, range.start)));
        }
        sources
    }

    /// What is visible of a table, in commit order.
    fn units(&self, id: TableId, schema: &Arc<TableSchema>, at: SnapshotId) -> Result<Vec<ScanUnit>> {
        let Some(rows) = self.state.rows.get(&id) else { return Ok(Vec::new()) };
        let mut units = Vec::new();
        for segment in &rows.segments {
            for row_group in 0..segment.reader.row_groups() {
                let first = segment.reader.first_row(row_group);
                let range = first..first + segment.reader.rows(row_group) as u32;
                let deleted = rows.deleted_in(segment, range, at);
                let source = Source::RowGroup { segment: Arc::clone(segment), row_group };
                units.extend(ScanUnit::as_of(id, source, deleted, schema, at)?);
            }
        }
        for batch in rows.batches() {
            let deleted = rows.deleted_of(batch, at);
            units.extend(ScanUnit::as_of(id, Source::Memory(Arc::clone(batch)), deleted, schema, at)?);
        }
        ScanUnit::number(&mut units);
        Ok(units)
    }
}

/// One table of a snapshot.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    table: Arc<Table>,
    schema: Arc<TableSchema>,
    units: Vec<ScanUnit>,
}

impl TableSnapshot {
    /// What it is.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Its columns as of this snapshot.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    /// Exact number of visible rows.
    pub fn rows(&self) -> u64 {
        self.units.iter().map(|unit| unit.rows() as u64).sum()
    }

    /// Horizontal slices that together are the table, in commit order: at most a row group each; none is empty.
    pub fn units(&self) -> &[ScanUnit] {
        &self.units
    }
}
