//! Rows picked from a snapshot, to be deleted by a commit.
//!
//! **Invariants**
//! 1. A row set holds on to what it was picked from, so that rows that moved since (flush, consolidation, compaction) are found
//!    by following where that went.
//! 2. All its rows are of one table.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::deletions::Deletions;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::TableId;
use crate::memtable::{MemBatch, Moved};
use crate::places::Place;
use crate::scan_unit::Source;
use crate::state::{LiveSegment, TableRows};

/// Where picked rows were when they were picked.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// Positions in a segment.
    Segment(Arc<LiveSegment>),
    /// Positions in a batch.
    Memory(Arc<MemBatch>),
}

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Segment(a), Self::Segment(b)) => Arc::ptr_eq(a, b),
            (Self::Memory(a), Self::Memory(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// Rows of one table, as [`crate::ScanUnit::row_set`] picks them.
#[derive(Clone, Debug, PartialEq)]
pub struct RowSet {
    table: TableId,
    parts: Vec<(Origin, RoaringBitmap)>,
}

impl RowSet {
    /// No rows of a table.
    pub fn empty(table: TableId) -> Self {
        Self { table, parts: Vec::new() }
    }

    /// Ascending positions of one source.
    pub(crate) fn of(table: TableId, source: Source, positions: Vec<u32>) -> Self {
        let (origin, first) = match source {
            Source::RowGroup { segment, row_group } => {
                let first = segment.reader.first_row(row_group);
                (Origin::Segment(segment), first)
            }
            Source::Memory(batch) => (Origin::Memory(batch), 0),
        };
        let positions: RoaringBitmap = positions.into_iter().map(|position| first + position).collect();
        let parts = if positions.is_empty() { Vec::new() } else { vec![(origin, positions)] };
        Self { table, parts }
    }

    /// Positions in segments and in batches.
    pub(crate) fn of_parts(table: TableId, parts: Vec<(Origin, RoaringBitmap)>) -> Self {
        Self { table, parts }
    }

    /// Adds the rows of another set.
    ///
    /// # Panics
    /// If they are of another table.
    pub fn extend(&mut self, other: Self) {
        assert_eq!(self.table, other.table, "a row set is of one table");
        for (origin, positions) in other.parts {
            match self.parts.iter_mut().find(|(known, _)| *known == origin) {
                Some((_, known)) => *known |= positions,
                None => self.parts.push((origin, positions)),
            }
        }
    }

    /// Whose rows these are.
    pub fn table(&self) -> TableId {
        self.table
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|(_, positions)| positions.len()).sum()
    }

    /// Finds the rows where they are now.
    ///
    /// # Errors
    /// `Conflict` if one of them is gone.
    pub(crate) fn locate(&self, rows: &TableRows) -> Result<Deletions> {
        let mut deletions = Deletions::default();
        for (origin, positions) in &self.parts {
            for position in positions {
                let found = match rows.overlay {
                    None => locate(origin, position, rows, &mut deletions),
                    Some(_) => locate_unmoved(origin, position, rows, &mut deletions),
                };
                found.ok_or_else(|| {
                    Error::new(ErrorKind::Conflict, format!("rows were changed meanwhile: table id={}", self.table))
                })?;
            }
        }
        Ok(deletions.sorted())
    }
}

/// Follows a row to where it is; `None` if it was deleted.
fn locate(origin: &Origin, position: u32, rows: &TableRows, deletions: &mut Deletions) -> Option<()> {
    match origin {
        Origin::Segment(segment) => in_segment(segment, position, deletions),
        Origin::Memory(batch) => {
            let (mut batch, mut position) = (batch, position);
            loop {
                match batch.moved() {
                    Some(Moved::Batch(larger)) => {
                        position += (batch.first_row() - larger.first_row()) as u32;
                        batch = larger;
                    }
                    Some(Moved::Segment(segment, first)) => return in_segment(segment, first + position, deletions),
                    None => break,
                }
            }
            let row = batch.first_row() + u64::from(position);
            let live = !rows.memory_deletes.is_deleted(rows.memory_position(row));
            live.then(|| deletions.push_memory(row))
        }
    }
}

/// Finds a row of a transaction's own snapshot, where nothing moves; `None` if it was deleted.
fn locate_unmoved(origin: &Origin, position: u32, rows: &TableRows, deletions: &mut Deletions) -> Option<()> {
    match origin {
        Origin::Segment(segment) => {
            let at = rows.segments.iter().position(|known| Arc::ptr_eq(known, segment))?;
            let live = !rows.is_deleted(Place::Segment(at as u32, position));
            live.then(|| deletions.push_segment(segment, position))
        }
        Origin::Memory(batch) => {
            let row = batch.first_row() + u64::from(position);
            let known = rows.batch_of(row).is_some_and(|known| Arc::ptr_eq(known, batch));
            let live = known && !rows.is_deleted(Place::Memory(row));
            live.then(|| deletions.push_memory(row))
        }
    }
}

fn in_segment(segment: &Arc<LiveSegment>, position: u32, deletions: &mut Deletions) -> Option<()> {
    let (mut segment, mut position) = (segment, position);
    while let Some(moved) = segment.moved.get() {
        (segment, position) = moved.follow(position)?;
    }
    (!segment.deletes.is_deleted(position)).then(|| deletions.push_segment(segment, position))
}
