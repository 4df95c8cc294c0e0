//! Random changes of rows by key and by pick.

use siltstone_storage::LogicalType;

use super::{Generator, rows_of, values};
use crate::simulation::Model;
use crate::simulation::cell::Cell;
use crate::simulation::world::{Column, How, OnMatch, Op, Table, World};

/// Whether a column can be in a key.
pub(super) fn is_keyable(ty: &LogicalType) -> bool {
    !ty.is_nested() && !matches!(ty, LogicalType::Json | LogicalType::Interval)
}

impl Generator {
    /// Rows to merge by the primary key or any other columns; more than half of them meet a stored row.
    pub(super) fn merge(&mut self, table: &Table) -> Op {
        let key = self.key(table);
        let on_match =
            [OnMatch::Replace, OnMatch::Replace, OnMatch::Update, OnMatch::Update, OnMatch::Keep, OnMatch::Remove]
                [self.random.usize(..6)];
        let newer_by = self.newer_by(table, &key);
        let count = self.random.usize(..10) * [1, 1, 1, 8][self.random.usize(..4)];
        let keys: Vec<Vec<Cell>> = (0..count).map(|_| self.key_cells(table, &key)).collect();
        let mut given = Vec::new();
        for column in &table.columns {
            let wanted = newer_by.contains(&column.id);
            let cells = match key.iter().position(|id| *id == column.id) {
                Some(place) => keys.iter().map(|key| key[place].clone()).collect(),
                None if on_match == OnMatch::Remove && !wanted => continue,
                // An updated row keeps its number, or several would share one.
                None if column.id == 1 && on_match == OnMatch::Update && !wanted => continue,
                None if column.id == 1 => self.tags(count),
                None if !wanted && self.random.u8(..3) == 0 => continue,
                None if wanted => (0..count).map(|_| values::key_value(&mut self.random, &column.ty, 6)).collect(),
                None => values::column(&mut self.random, &column.ty, count),
            };
            given.push((column.id, column.ty.clone(), cells));
        }
        Op::Merge { id: table.id, rows: rows_of(given, count), how: How { key, on_match, newer_by } }
    }

    fn key(&mut self, table: &Table) -> Vec<u32> {
        if !table.key.is_empty() && self.random.u8(..4) > 0 {
            return table.key.clone();
        }
        let mut able: Vec<u32> =
            table.columns.iter().filter(|column| is_keyable(&column.ty)).map(|column| column.id).collect();
        self.random.shuffle(&mut able);
        able.truncate(self.random.usize(1..4));
        able
    }

    fn newer_by(&mut self, table: &Table, key: &[u32]) -> Vec<u32> {
        if self.random.bool() {
            return Vec::new();
        }
        let mut able: Vec<u32> = table
            .columns
            .iter()
            .filter(|column| is_keyable(&column.ty) && column.id != 1 && !key.contains(&column.id))
            .map(|column| column.id)
            .collect();
        self.random.shuffle(&mut able);
        able.truncate(self.random.usize(..3));
        able
    }

    /// One row's key: that of a stored row, one of few, or now and then one that no row can have.
    fn key_cells(&mut self, table: &Table, key: &[u32]) -> Vec<Cell> {
        if !table.rows.is_empty() && self.random.u8(..10) < 6 {
            let row = table.rows.values().nth(self.random.usize(..table.rows.len())).expect("a row in range");
            let cells: Vec<Cell> = key.iter().map(|column| table.value(row, *column).clone()).collect();
            if !cells.contains(&Cell::Null) {
                return cells;
            }
        }
        key.iter().map(|column| self.key_cell(table, *column)).collect()
    }

    fn key_cell(&mut self, table: &Table, column: u32) -> Cell {
        let ty = &table.columns.iter().find(|known| known.id == column).expect("a column of the table").ty;
        match column {
            1 => self.tags(1).remove(0),
            _ if self.random.u8(..250) == 0 => Cell::Null,
            _ => values::key_value(&mut self.random, ty, 12),
        }
    }

    /// Values of a primary key's column that are mostly new to the table.
    pub(super) fn new_keys(&mut self, column: &Column, count: usize) -> Vec<Cell> {
        let distinct = if self.random.u8(..6) == 0 { 12 } else { 1 << 40 };
        let start = self.random.u64(..distinct);
        (0..count as u64).map(|row| values::numbered(&column.ty, start + row)).collect()
    }

    /// Rows of a table to delete, as it is now or was a while ago.
    pub(super) fn delete(&mut self, table: &Table, seen: &World, past: Option<&Model>) -> Option<Op> {
        let back = if past.is_some() && self.random.u8(..4) == 0 { self.random.u64(..6) } else { 0 };
        let horizon = past.map_or(0, |past| past.horizon);
        let at = seen.id.saturating_sub(back).max(horizon).min(seen.id);
        let then = past.map_or(seen, |past| past.at(at)).tables.get(&table.id)?;
        // Rows that nobody can tell apart are left alone: the model would not know which one the engine took.
        let contents = then.contents();
        let unique = |row: &Vec<Cell>| {
            let place = contents.partition_point(|other| other < row);
            contents.get(place + 1) != Some(row)
        };
        let share = [2, 10, 60, 100][self.random.usize(..4)];
        let identities: Vec<u64> = then
            .rows
            .iter()
            .filter(|(_, row)| self.random.u8(..100) < share && unique(&then.shown(row)))
            .map(|(identity, _)| *identity)
            .collect();
        Some(Op::Delete { id: table.id, at, identities })
    }
}
