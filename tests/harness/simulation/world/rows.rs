//! Changes of rows.

use std::collections::BTreeMap;

use siltstone_storage::{ErrorKind, LogicalType};

use super::{Cell, Counts, How, Op, Refusal, Row, Table, World};

/// Rows as a client sends them.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The columns it speaks of, as it knows them.
    pub columns: Vec<(u32, LogicalType)>,
    /// Values of those columns, row by row.
    pub cells: Vec<Vec<Cell>>,
}

impl Rows {
    pub(super) fn row(&self, at: usize) -> Row {
        let columns = self.columns.iter().map(|(id, _)| *id);
        Row(columns.zip(self.cells[at].iter().cloned()).collect::<BTreeMap<u32, Cell>>())
    }
}

impl World {
    /// Whether the columns of a change of rows are there at this point of the commit.
    pub(super) fn check_rows(&mut self, op: &Op) -> Result<(), Refusal> {
        match op {
            Op::Append { id, rows } => self.check_columns(*id, rows),
            Op::Merge { id, rows, how } => {
                self.check_columns(*id, rows)?;
                let given = |id: &u32| rows.columns.iter().any(|(column, _)| column == id);
                if !how.key.is_empty() && how.key.iter().chain(&how.newer_by).all(given) {
                    return Ok(());
                }
                Err(Refusal::new(ErrorKind::Invalid, "a key column is not in the batch"))
            }
            Op::Delete { id, .. } => self.table_mut(*id).map(|_| ()),
            Op::Net { id, added, .. } => {
                let table: &Table = self.table_mut(*id)?;
                let known = |column: &u32| table.columns.iter().any(|known| known.id == *column);
                if added.iter().flat_map(|row| row.0.keys()).all(known) {
                    return Ok(());
                }
                Err(Refusal::new(ErrorKind::Conflict, "a column is not there any more"))
            }
            _ => Ok(()),
        }
    }

    fn check_columns(&mut self, id: u64, rows: &Rows) -> Result<(), Refusal> {
        let table: &Table = self.table_mut(id)?;
        let fits = |(id, ty): &(u32, LogicalType)| table.columns.iter().any(|known| known.id == *id && known.ty == *ty);
        if rows.columns.iter().all(fits) {
            return Ok(());
        }
        Err(Refusal::new(ErrorKind::Conflict, "a column is not there any more"))
    }

    /// Changes the rows of a table, unless a later change of the same commit has dropped it.
    pub(super) fn change_rows(&mut self, op: &Op, counts: &mut Counts) -> Result<(), Refusal> {
        match op {
            op if op.rows_of().is_none_or(|id| !self.tables.contains_key(&id)) => Ok(()),
            Op::Append { id, rows } => self.append(*id, rows, counts),
            Op::Merge { id, rows, how } => self.merge(*id, rows, how, counts),
            Op::Delete { id, identities, .. } => self.delete(*id, identities, counts),
            Op::Net { id, deleted, added } => {
                self.delete(*id, deleted, counts)?;
                self.check_new_keys(*id, added)?;
                added.iter().try_for_each(|row| self.insert(*id, row.clone()))
            }
            _ => Ok(()),
        }
    }

    fn append(&mut self, id: u64, rows: &Rows, counts: &mut Counts) -> Result<(), Refusal> {
        let new: Vec<Row> = (0..rows.cells.len()).map(|at| rows.row(at)).collect();
        self.check_new_keys(id, &new)?;
        counts.inserted += new.len() as u64;
        new.into_iter().try_for_each(|row| self.insert(id, row))
    }
}

/// How a merge or any other change of rows is told to a person.
pub(super) fn describe(rows: &Rows, how: Option<&How>) -> String {
    let columns: Vec<u32> = rows.columns.iter().map(|(id, _)| *id).collect();
    let how = how.map(|how| format!(", {:?} by {:?} if newer by {:?}", how.on_match, how.key, how.newer_by));
    format!("{} rows of columns {columns:?}{}", rows.cells.len(), how.unwrap_or_default())
}
