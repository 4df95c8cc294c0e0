//! What a commit did to the rows of a table.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::merge::key_of;
use super::{Cell, Row, Table};

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the engine's documentation says what each means")]
pub enum Change {
    Insert,
    Delete,
    UpdateBefore,
    UpdateAfter,
}

impl Table {
    /// The rows that came and went from one version of this table to the next, as wide as this version of it.
    pub fn changes(&self, before: Option<&Arc<Self>>, after: Option<&Arc<Self>>) -> Vec<(Change, Vec<Cell>)> {
        let rows = |table: Option<&Arc<Self>>| table.map(|table| table.rows.clone()).unwrap_or_default();
        let (before, after) = (rows(before), rows(after));
        let gone: Vec<&Row> = before.iter().filter(|(id, _)| !after.contains_key(id)).map(|(_, row)| &**row).collect();
        let new: Vec<&Row> = after.iter().filter(|(id, _)| !before.contains_key(id)).map(|(_, row)| &**row).collect();
        let (gone_keys, new_keys) = (self.keys(&gone), self.keys(&new));
        let mut changes = Vec::new();
        for row in gone {
            let updated = self.primary_key(row).is_some_and(|key| new_keys.contains(&key));
            changes.push((if updated { Change::UpdateBefore } else { Change::Delete }, self.shown(row)));
        }
        for row in new {
            let updated = self.primary_key(row).is_some_and(|key| gone_keys.contains(&key));
            changes.push((if updated { Change::UpdateAfter } else { Change::Insert }, self.shown(row)));
        }
        changes
    }

    fn primary_key(&self, row: &Row) -> Option<Vec<Cell>> {
        if self.key.is_empty() { None } else { key_of(|column| self.value(row, column), &self.key) }
    }

    fn keys(&self, rows: &[&Row]) -> BTreeSet<Vec<Cell>> {
        rows.iter().filter_map(|row| self.primary_key(row)).collect()
    }
}
