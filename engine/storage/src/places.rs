//! Where single rows of a table are, and reading them there.

use std::sync::Arc;

use arrow_array::{ArrayRef, UInt32Array};

use crate::columns::default_array;
use crate::concat::concat;
use crate::error::{Error, ErrorKind, Result};
use crate::memtable::MemBatch;
use crate::schema::Column;
use crate::state::{LiveSegment, TableRows};

/// Where a row of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Which of the table's segments, and the position there.
    Segment(u32, u32),
    /// In memory: the row's number.
    Memory(u64),
}

/// The values of a column in these rows, in the order of `places`, which are distinct.
///
/// # Errors
/// `Corrupt` for damaged bytes.
pub(crate) fn read_places(rows: &TableRows, places: &[Place], column: &Column) -> Result<ArrayRef> {
    let mut order: Vec<u32> = (0..places.len() as u32).collect();
    order.sort_unstable_by_key(|at| places[*at as usize]);
    let mut parts = Vec::new();
    let mut rest = &order[..];
    while let Some(first) = rest.first() {
        let source = Group::of(rows, places[*first as usize])?;
        let here = rest.iter().map_while(|at| source.position(places[*at as usize]));
        let positions: Vec<u32> = here.collect();
        parts.push(source.take(column, &positions)?);
        rest = &rest[positions.len()..];
    }
    let mut back = vec![0; places.len()];
    for (now, at) in order.iter().enumerate() {
        back[*at as usize] = now as u32;
    }
    taken(&concat(&column.logical_type, &parts)?, back)
}

/// What holds neighbouring rows.
enum Group<'a> {
    RowGroup { segment: &'a Arc<LiveSegment>, index: u32, row_group: usize },
    Batch(&'a Arc<MemBatch>),
}

impl<'a> Group<'a> {
    fn of(rows: &'a TableRows, place: Place) -> Result<Self> {
        match place {
            Place::Segment(index, position) => {
                let segment = &rows.segments[index as usize];
                Ok(Self::RowGroup { segment, index, row_group: segment.reader.locate(position).0 })
            }
            Place::Memory(row) => rows
                .batch_of(row)
                .map(Self::Batch)
                .ok_or_else(|| Error::new(ErrorKind::Internal, format!("a row in memory is not there: row={row}"))),
        }
    }

    /// Where a row stands here; `None` if it is elsewhere.
    fn position(&self, place: Place) -> Option<u32> {
        match (self, place) {
            (Self::RowGroup { segment, index, row_group }, Place::Segment(of, position)) if of == *index => {
                let (group, position) = segment.reader.locate(position);
                (group == *row_group).then_some(position)
            }
            (Self::Batch(batch), Place::Memory(row)) if row < batch.end_row() => {
                row.checked_sub(batch.first_row()).map(|position| position as u32)
            }
            _ => None,
        }
    }

    fn take(&self, column: &Column, positions: &[u32]) -> Result<ArrayRef> {
        let found = match self {
            Self::RowGroup { segment, row_group, .. } => segment.reader.take(*row_group, column.id, positions)?,
            Self::Batch(batch) => {
                batch.column(column.id).map(|stored| taken(stored, positions.to_vec())).transpose()?
            }
        };
        found.map_or_else(|| default_array(column, positions.len()), Ok)
    }
}

fn taken(array: &ArrayRef, positions: Vec<u32>) -> Result<ArrayRef> {
    arrow_select::take::take(array, &UInt32Array::from(positions), None)
        .map_err(|error| Error::with_source(ErrorKind::Internal, "rows cannot be picked", error))
}
