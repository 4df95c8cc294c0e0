//! Which rows of a unit a filter lets through, and the columns of just those.
//!
//! **Invariants**
//! 1. What is selected is visible: a selection starts from the unit's visible rows and only shrinks.
//! 2. Conditions are tried in the order of what they cost: what zone maps decide first, then the smallest column chunk; nothing is read
//!    once no row is left.
//! 3. Whether a column is decoded whole or only where rows are selected changes the cost, never the values.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, UInt32Array, UInt64Array, new_empty_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

use super::{ScanUnit, Source};
use crate::columns::default_array;
use crate::condition::{Condition, Decision};
use crate::encoding::Matches;
use crate::error::{Error, ErrorKind, Result};
use crate::ids::ColumnId;
use crate::predicate::Predicate;
use crate::schema::Column;

#[cfg(test)]
mod tests;

/// Of so many stored rows one may be selected for a column to be read late: below it, single values are quicker than the whole chunk
/// and a selection of its rows.
const STORED_ROWS_PER_LATE_ROW: usize = 8;

/// Whether to read single values rather than all of them.
fn is_late(stored_rows: usize, selected_rows: usize) -> bool {
    selected_rows.saturating_mul(STORED_ROWS_PER_LATE_ROW) <= stored_rows
}

/// Some of the visible rows of one [`ScanUnit`]: made by it, read through it.
#[derive(Clone, Debug)]
pub struct Selected {
    rows: usize,
    /// One bit per stored row; `None`: all visible ones.
    stored: Option<BooleanBuffer>,
}

impl Selected {
    fn of(stored: BooleanBuffer) -> Self {
        Self { rows: stored.count_set_bits(), stored: Some(stored) }
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Those of the rows, in order, for which `kept` is true; NULL is not.
    ///
    /// # Panics
    /// If `kept` is not of one value per selected row.
    pub fn narrowed(&self, unit: &ScanUnit, kept: &BooleanArray) -> Self {
        assert_eq!(kept.len(), self.rows, "one value per selected row");
        let kept = crate::condition::with_nulls(kept.values().clone(), kept.nulls());
        if kept.count_set_bits() == self.rows {
            return self.clone();
        }
        Self::of(match &self.stored {
            None if unit.is_whole() => kept,
            None => spread(&unit.mask(), &kept),
            Some(stored) => spread(stored, &kept),
        })
    }

    fn positions(stored: &BooleanBuffer) -> Vec<u32> {
        stored.set_indices_u32().collect()
    }
}

/// The set bits of `within` for which the bit of the same rank in `kept` is set.
fn spread(within: &BooleanBuffer, kept: &BooleanBuffer) -> BooleanBuffer {
    let mut bits = BooleanBufferBuilder::new(within.len());
    bits.append_n(within.len(), false);
    within.set_indices().zip(kept.iter()).filter(|(_, kept)| *kept).for_each(|(row, _)| bits.set_bit(row, true));
    bits.finish()
}

impl ScanUnit {
    /// All visible rows.
    pub fn all(&self) -> Selected {
        Selected { rows: self.rows, stored: None }
    }

    /// The visible rows that meet every predicate. Blocks on disk.
    ///
    /// # Errors
    /// `NotFound` for a column the schema does not have, `Invalid` for a value that is not of the column's type, `Corrupt` for damaged
    /// bytes.
    pub fn filter(&self, predicates: &[Predicate]) -> Result<Selected> {
        let none = || Ok(Selected::of(BooleanBuffer::new_unset(self.source.stored_rows())));
        let mut open = Vec::new();
        for predicate in predicates {
            let column = self.column(predicate.column())?;
            let (condition, decision) = self.decided(column, predicate)?;
            match decision {
                Decision::None => return none(),
                Decision::All => {}
                Decision::NotNull => open.push((column, Condition::IsNotNull)),
                Decision::Unknown => open.push((column, condition)),
            }
        }
        open.sort_by_key(|(column, _)| self.column_bytes(column.id));
        let mut selected = self.all();
        for (column, condition) in open {
            selected = self.refined(selected, column, &condition)?;
            if selected.rows == 0 {
                return none();
            }
        }
        Ok(selected)
    }

    /// The selected rows of these columns, in that order, in the Arrow form of the table's schema. Where few rows are selected, the other
    /// values are not decoded. Blocks on disk.
    ///
    /// # Errors
    /// As [`ScanUnit::read`].
    pub fn read_selected(&self, columns: &[ColumnId], selected: &Selected) -> Result<Vec<ArrayRef>> {
        let Some(stored) = &selected.stored else { return self.read(columns) };
        let positions = self.is_late(selected).then(|| Selected::positions(stored));
        let mask = BooleanArray::new(stored.clone(), None);
        columns
            .iter()
            .map(|id| {
                if *id == ColumnId::ADDRESS {
                    return Ok(self.selected_addresses(stored));
                }
                let column = self.column(*id)?;
                if selected.rows == 0 {
                    return Ok(new_empty_array(&column.logical_type.arrow()));
                }
                match &positions {
                    Some(positions) => self.take(column, positions),
                    None => self.source.read(*id)?.map_or_else(
                        || default_array(column, selected.rows),
                        |all| arrow_select::filter::filter(&all, &mask).map_err(unselectable),
                    ),
                }
            })
            .collect()
    }

    /// As [`ScanUnit::addresses`]: an address counts visible rows.
    fn selected_addresses(&self, stored: &BooleanBuffer) -> ArrayRef {
        let first = self.first_address();
        let visible = self.mask();
        let ranks = visible.set_indices().enumerate().filter(|(_, position)| stored.value(*position));
        Arc::new(UInt64Array::from_iter_values(ranks.map(|(rank, _)| first + rank as u64)))
    }

    /// Whether [`ScanUnit::read_selected`] reads single values of these rows rather than whole columns.
    pub fn is_late(&self, selected: &Selected) -> bool {
        selected.stored.is_some() && is_late(self.source.stored_rows(), selected.rows)
    }

    fn column(&self, id: ColumnId) -> Result<&Column> {
        let missing = || Error::new(ErrorKind::NotFound, format!("column does not exist: id={id}"));
        self.schema.column_by_id(id).ok_or_else(missing)
    }

    fn column_bytes(&self, column: ColumnId) -> u64 {
        match &self.source {
            Source::RowGroup { segment, row_group } => segment.reader.chunk_bytes(*row_group, column),
            Source::Memory(_) => 0,
        }
    }

    /// The predicate made ready for the column as it is stored here, and what is known without reading it.
    fn decided(&self, column: &Column, predicate: &Predicate) -> Result<(Condition, Decision)> {
        let stored_type = match &self.source {
            Source::RowGroup { segment, .. } => segment.reader.column_type(column.id),
            Source::Memory(batch) => batch.column(column.id).map(|_| &column.logical_type),
        };
        let condition = Condition::new(predicate, stored_type.unwrap_or(&column.logical_type))?;
        let decision = match (&self.source, stored_type) {
            (_, None) => match condition.test(&default_array(column, 1)?).value(0) {
                true => Decision::All,
                false => Decision::None,
            },
            (Source::RowGroup { segment, row_group }, Some(_)) => {
                segment.reader.decide(*row_group, column.id, &condition)?
            }
            (Source::Memory(_), Some(_)) => Decision::Unknown,
        };
        Ok((condition, decision))
    }

    /// Those of the selected rows that meet a condition on a column that is stored here.
    fn refined(&self, selected: Selected, column: &Column, condition: &Condition) -> Result<Selected> {
        if let Some(stored) = selected.stored.as_ref().filter(|_| self.is_late(&selected)) {
            let values = self.take(column, &Selected::positions(stored))?;
            return Ok(Selected::of(spread(stored, &condition.test(&values))));
        }
        let matches = match (self.source.kept(column.id), &self.source) {
            (Some(values), _) => Some(Matches::of(condition.test(&values))),
            (None, Source::RowGroup { segment, row_group }) => {
                segment.reader.matches(*row_group, column.id, condition)?
            }
            (None, Source::Memory(_)) => None,
        };
        let missing = || Error::new(ErrorKind::Internal, format!("column is not stored: id={}", column.id));
        Ok(match (matches.ok_or_else(missing)?, selected.stored) {
            (Matches::All, stored) => Selected { rows: selected.rows, stored },
            (Matches::None, _) => Selected::of(BooleanBuffer::new_unset(self.source.stored_rows())),
            (Matches::Some(bits), Some(stored)) => Selected::of(&bits & &stored),
            (Matches::Some(bits), None) if self.is_whole() => Selected::of(bits),
            (Matches::Some(bits), None) => Selected::of(&bits & &self.mask()),
        })
    }

    /// The values of a column at these stored rows, which ascend.
    fn take(&self, column: &Column, positions: &[u32]) -> Result<ArrayRef> {
        let taken = match (self.source.kept(column.id), &self.source) {
            (Some(all), _) => {
                let positions = UInt32Array::from(positions.to_vec());
                Some(arrow_select::take::take(&all, &positions, None).map_err(unselectable)?)
            }
            (None, Source::RowGroup { segment, row_group }) => segment.reader.take(*row_group, column.id, positions)?,
            (None, Source::Memory(_)) => None,
        };
        taken.map_or_else(|| default_array(column, positions.len()), Ok)
    }
}

fn unselectable(error: arrow_schema::ArrowError) -> Error {
    Error::with_source(ErrorKind::Internal, "rows cannot be selected", error)
}
