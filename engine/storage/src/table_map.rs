//! The rows of every table, by id: a map that is copied for each group of commits, and shares with the copy what neither changes.
//!
//! **Invariants**
//! 1. A copy costs a reference per [`GROUP_TABLES`] tables, and the first change of a table afterwards a reference per table of its group.
//! 2. Tables are in the order of their ids; no group is empty.
//!
//! It does not know what rows are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::TableId;
use crate::state::TableRows;

#[cfg(test)]
mod tests;

/// Ids that share a group: about the root of the number of tables that a big database has.
const GROUP_TABLES: u64 = 64;

type Group = BTreeMap<TableId, Arc<TableRows>>;

/// Rows by table.
#[derive(Clone, Debug, Default)]
pub(crate) struct TableMap {
    groups: BTreeMap<u64, Arc<Group>>,
}

impl TableMap {
    pub(crate) fn get(&self, table: &TableId) -> Option<&Arc<TableRows>> {
        self.groups.get(&group_of(*table))?.get(table)
    }

    pub(crate) fn contains_key(&self, table: &TableId) -> bool {
        self.get(table).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TableId, &Arc<TableRows>)> {
        self.groups.values().flat_map(|group| group.iter())
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<TableRows>> {
        self.iter().map(|(_, rows)| rows)
    }

    /// The rows of a table, none if it had no entry, as this map's own.
    pub(crate) fn get_mut(&mut self, table: TableId) -> &mut TableRows {
        let group = Arc::make_mut(self.groups.entry(group_of(table)).or_default());
        Arc::make_mut(group.entry(table).or_default())
    }

    /// Changes the rows of the tables that `wanted` picks, and copies no others.
    pub(crate) fn update(&mut self, wanted: impl Fn(&TableRows) -> bool, mut change: impl FnMut(&mut TableRows)) {
        for group in self.groups.values_mut().filter(|group| group.values().any(|rows| wanted(rows))) {
            for rows in Arc::make_mut(group).values_mut().filter(|rows| wanted(rows)) {
                change(Arc::make_mut(rows));
            }
        }
    }

    /// Leaves out the tables that `stays` refuses.
    pub(crate) fn retain(&mut self, mut stays: impl FnMut(&TableId, &TableRows) -> bool) {
        self.groups.retain(|_, group| {
            let gone: Vec<TableId> =
                group.iter().filter(|(table, rows)| !stays(table, rows)).map(|(table, _)| *table).collect();
            if !gone.is_empty() {
                let group = Arc::make_mut(group);
                gone.iter().for_each(|table| _ = group.remove(table));
            }
            !group.is_empty()
        });
    }
}

fn group_of(table: TableId) -> u64 {
    table.0 / GROUP_TABLES
}
